"""Runs with trainings, killed while they read the list, settle users or ask for the rest, and then resumed."""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from audit.demo.database import load
from audit.demo.fake_replicate.answers import PageSizes
from audit.demo.fake_replicate.faults import Refused
from audit.demo.fake_replicate.server import in_thread
from audit.model import exit_status
from audit.runfile import RunFile
from tests.commands.run.test_kill_matrix import wait_until
from tests.support.audits import Servers, Shell, new_database
from tests.support.faults import Slow
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.synthetic_users import OddlyTrainedUsers

RUN = ("run", "--run-file", "run.sqlite", "-oreport.json", "--trainings-since", "2020-01-01")
FAST = (*RUN, "--mode", "trainings", "--verify-sample", "0")
FULL = (*RUN, "--trainings")
RESUME = ("run", "--resume", "run.sqlite")
MODES = pytest.mark.parametrize(
    "command", [FAST, pytest.param(FULL, marks=pytest.mark.slow)], ids=["trainings", "versions"]
)
SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)], ids=lambda number: number.name
)


LIST = "/v1/trainings"


class Requests(NamedTuple):
    """How many requests a run has made, for the list of trainings and in all."""

    pages: int
    all: int


MOMENTS = pytest.mark.parametrize(
    "moment",
    [Requests(2, 0), Requests(9, 20), pytest.param(Requests(18, 40), marks=pytest.mark.slow)],
    ids=["list begun", "amid list and models", "list read"],
)
"""The list has 18 pages."""


@dataclass(frozen=True)
class Arena:
    """Servers that take their time, and what runs that nobody disturbs come to."""

    dsn: str
    synthetic_users: OddlyTrainedUsers
    fake: InstrumentedReplicate
    whole: dict[tuple[str, ...], dict[str, Any]]

    def environ(self, fake: InstrumentedReplicate | None = None) -> dict[str, str]:
        return Servers(self.dsn, fake or self.fake).environ | {
            "SYNC_AUDIT_TIMEOUT": "20",
            "SYNC_AUDIT_CONCURRENCY": "4",
        }


@pytest.fixture(scope="module")
def arena(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    synthetic_users = OddlyTrainedUsers(300, oddities=0.2, odd_trainings=0.1)
    dsn = asyncio.run(new_database(postgres_server, "trainings_resume"))
    asyncio.run(load(dsn, synthetic_users))
    behaviour = Behaviour(sizes=PageSizes(trainings=20), faults=(Slow(low=0.01, high=0.02),))
    with in_thread(InstrumentedReplicate(synthetic_users, behaviour)) as fake, ExitStack() as cleanup:
        arena = Arena(dsn, synthetic_users, fake, {})
        for command in (FAST, FULL):
            shell = Shell(tmp_path_factory.mktemp("whole"), arena.environ(), cleanup)
            assert shell(*command).code == exit_status.INCOMPLETE
            arena.whole[command] = outcome(shell.folder)
        yield arena


def outcome(folder: Path) -> dict[str, Any]:
    """The JSON report but for its run block."""
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    assert report.pop("run")["state"] == "complete"
    return report


def killed(shell: Shell, arena: Arena, command: tuple[str, ...], moment: Requests, number: int) -> int:
    """End a run at that moment."""
    log = arena.fake.request_log
    before = Requests(log.paths[LIST], log.requests)
    process = shell.start(*command)
    wait_until(
        lambda: log.paths[LIST] >= before.pages + moment.pages and log.requests >= before.all + moment.all, process
    )
    process.send_signal(number)
    process.communicate(timeout=30)
    return process.returncode


@MODES
@MOMENTS
@SIGNALS
def test_a_run_that_was_stopped_at_any_moment_comes_to_the_same(
    shell: Shell, arena: Arena, command: tuple[str, ...], moment: Requests, number: int
) -> None:
    shell.environ = arena.environ()
    assert killed(shell, arena, command, moment, number) != 0
    done = shell(*RESUME, "-oreport.json")
    assert done.code == exit_status.INCOMPLETE, done.err
    assert outcome(shell.folder) == arena.whole[command]


def test_pages_that_were_read_are_not_read_again_but_for_the_last_day(shell: Shell, arena: Arena) -> None:
    shell.environ = arena.environ()
    killed(shell, arena, FAST, Requests(9, 0), signal.SIGKILL)
    with RunFile.open(shell.folder / "run.sqlite") as run_file:
        read = run_file.info.trainings
    assert read
    assert 5 <= read.pages <= 10
    assert read.next


def test_a_list_that_breaks_off_means_more_questions_and_no_wrong_verdict(shell: Shell, arena: Arena) -> None:
    behaviour = Behaviour(sizes=PageSizes(trainings=20), faults=(Refused(status=500, on=("trainings",), times=None),))
    with in_thread(InstrumentedReplicate(arena.synthetic_users, behaviour)) as broken:
        shell.environ = arena.environ(broken)
        done = shell(*FAST)
    report = json.loads((shell.folder / "report.json").read_text())
    assert done.code == exit_status.INCOMPLETE
    assert {user["evidence"] for user in report["users"]} <= {"versions", None}
    right = {arena.synthetic_users.user_id(i): arena.synthetic_users.verdict(i) for i in range(arena.synthetic_users.n)}
    assert {user["user_id"]: user["reason"] for user in report["users"]} == right
