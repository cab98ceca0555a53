"""Signals that were ignored before the program began, and a terminal that is closed."""

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from audit.cli.signals import CODES, Signals
from audit.demo.fake_replicate.server import in_thread
from audit.model import exit_status
from tests.support.audits import Servers, Shell
from tests.support.faults import Slow
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.synthetic_users import SyntheticUsers
from tests.support.terminals import make_controlling

RUN = ("run", "--run-file", "run.sqlite", "-o", "report.json")
SIGNALS = pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)


@pytest.fixture
def slow(synthetic_servers: Servers, synthetic_users: SyntheticUsers) -> Iterator[Servers]:
    """An audit of some seconds."""
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(faults=(Slow(low=0.01, high=0.03),)))) as fake:
        yield Servers(synthetic_servers.dsn, fake)


@pytest.fixture
def run(shell: Shell, slow: Servers) -> Shell:
    shell.environ = slow.environ | {"SYNC_AUDIT_RATE": "24000", "SYNC_AUDIT_TIMEOUT": "20"}
    return shell


def asked(servers: Servers, process: subprocess.Popen[bytes]) -> None:
    """Return when some models have been asked for."""
    deadline = time.monotonic() + 20
    while servers.fake.request_log.requests < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def state(shell: Shell) -> tuple[Any, Any]:
    document = json.loads((shell.folder / "report.json").read_text())["run"]
    return document["state"], document["stop_reason"]


def beginning(action: Callable[[], object]) -> dict[str, Any]:
    """Have a process begin with `action`."""
    return {"preexec_fn": action}


@SIGNALS
def test_a_signal_that_was_ignored_at_the_start_is_left_alone(
    run: Shell, slow: Servers, number: signal.Signals
) -> None:
    run.who = beginning(partial(signal.signal, number, signal.SIG_IGN))
    process = run.start(*RUN)
    asked(slow, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == exit_status.INCOMPLETE, err
    assert state(run) == ("complete", None)


def test_reports_are_written_where_the_terminal_is_closed(run: Shell, slow: Servers) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        run.command(*RUN, "-v"),
        cwd=run.folder,
        env=run.all_environ({"TERM": "xterm"}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=make_controlling,  # noqa: PLW1509 - two system calls
    )
    with process:
        os.close(slave)
        try:
            asked(slow, process)
            os.close(master)
            assert process.wait(60) == exit_status.HUNG_UP
        finally:
            process.kill()
    assert state(run) == ("interrupted", "stopped by SIGHUP")


def test_a_terminal_that_is_closed_sends_many_signals_and_means_one() -> None:
    times = iter([10.0, 10.1, 10.19])
    caught = Signals(lambda: next(times))
    for _ in range(3):
        caught.caught(signal.SIGHUP, None)
    assert caught.code == exit_status.HUNG_UP


@pytest.mark.parametrize(
    ("first", "second", "later"),
    [
        (signal.SIGHUP, signal.SIGHUP, 1.0),
        (signal.SIGHUP, signal.SIGTERM, 0.0),
        (signal.SIGINT, signal.SIGINT, 0.0),
        (signal.SIGINT, signal.SIGHUP, 0.0),
    ],
)
def test_any_other_second_signal_ends_at_once(first: signal.Signals, second: signal.Signals, later: float) -> None:
    times = iter([10.0, 10.0 + later])
    caught = Signals(lambda: next(times))
    before = {number: signal.getsignal(number) for number in CODES}
    try:
        caught.caught(first, None)
        with pytest.raises(SystemExit) as left:
            caught.caught(second, None)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert left.value.code == 128 + second
