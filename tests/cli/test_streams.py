"""Standard output and error: what a broken one does to a command, and what a CI job's runner makes of a hostile one."""

import csv
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import termios
import time
from functools import partial
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from audit.cli.streams import Outlet
from audit.model import exit_status
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from tests.support.audits import Shell
from tests.support.broken_streams import LEAVING, LOSING, Broken, noise, run, ways
from tests.support.ci_runner import TRICKS, obeyed
from tests.support.report_hostile import ids
from tests.support.report_samples import failed, outdated
from tests.support.run_files import run_file_of
from tests.support.samples import planned_run

PRINTING = pytest.mark.parametrize("command", [("--help",), ("explain",)], ids=lambda words: words[0])
FAILING = ("render", "not-there.sqlite")


@PRINTING
@pytest.mark.parametrize("how", LOSING)
def test_what_standard_output_does_not_take_is_said_and_ends_in_5(shell: Shell, command: tuple[str], how: Any) -> None:
    ended = run(shell, Broken(stdout=how), *command)
    assert ended.code == exit_status.COULD_NOT_RUN
    cause = {"full": "No space left on device", "closed": "it was closed"}[how]
    assert ended.last_line == f"Error: standard output could not be written: {cause} (exit {ended.code})"
    assert not noise(ended.err)


@PRINTING
@pytest.mark.parametrize("broken", ways(LEAVING), ids=str)
def test_a_reader_who_goes_away_changes_no_code(shell: Shell, command: tuple[str], broken: Broken) -> None:
    ended = run(shell, broken, *command)
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("how", LOSING)
def test_an_error_that_nobody_can_be_told_is_one_of_writing(shell: Shell, how: Any) -> None:
    assert run(shell, Broken(stderr=how), *FAILING).code == exit_status.COULD_NOT_RUN
    assert run(shell, Broken(stderr=how), "run", "--no-such-option").code == exit_status.COULD_NOT_RUN


def test_a_stream_to_which_nothing_is_written_may_be_in_any_state(shell: Shell) -> None:
    assert run(shell, Broken(stderr="closed"), "--version").code == 0
    assert run(shell, Broken(stdout="closed", stdin_closed=True), "run", "--no-such-option").code == exit_status.USAGE


def test_a_reader_who_is_slow_gets_everything(shell: Shell) -> None:
    path = run_file_of(shell.folder / "run.sqlite", [outdated(number) for number in range(300)])
    ended = run(shell, Broken(stdout="not blocking"), "render", path.name, "-o", "json=-")
    assert len(json.loads(ended.out)["users"]) == 300
    assert ended.code == exit_status.NEEDS_SYNC


@pytest.mark.parametrize("blocking", [True, False])
def test_nobody_waits_for_a_reader_who_does_not_read_once_the_command_is_stopped(
    shell: Shell, *, blocking: bool
) -> None:
    path = run_file_of(shell.folder / "run.sqlite", [outdated(number) for number in range(300)])
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    command, environ = shell.command("render", path.name, "-o", "json=-"), shell.all_environ({})
    begin = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command,
        cwd=shell.folder,
        env=environ,
        stdout=writing,
        stderr=subprocess.PIPE,
        preexec_fn=begin,  # noqa: PLW1509
    ) as process:
        os.close(writing)
        size = bytearray(4)
        deadline = time.monotonic() + 30
        while int.from_bytes(size, sys.byteorder) < 1 << 15:  # near to what a pipe holds: it will wait for a reader
            assert process.poll() is None
            assert time.monotonic() < deadline
            fcntl.ioctl(reading, termios.FIONREAD, size)
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    os.close(reading)
    assert process.returncode == exit_status.INTERRUPTED
    assert not noise(err.decode())


def test_a_file_that_is_opened_never_becomes_standard_output(shell: Shell) -> None:
    run_file_of(shell.folder / "run.sqlite", [outdated(1)])
    command = ("render", "run.sqlite", "-o", "a.json", "-o", "csv=-")
    ended = run(shell, Broken(stdout="closed", stderr="closed", stdin_closed=True), *command)
    assert ended.code == exit_status.COULD_NOT_RUN
    assert json.loads((shell.folder / "a.json").read_text())["summary"]["total"] == 1


def test_a_report_that_standard_output_does_not_take_is_named_once_and_the_others_are_written(shell: Shell) -> None:
    run_file_of(shell.folder / "run.sqlite", [outdated(1)])
    ended = run(shell, Broken(stdout="full"), "render", "run.sqlite", "-o", "csv=-", "-o", "a.json")
    assert ended.code == exit_status.COULD_NOT_RUN
    assert ended.err.count("No space left on device") == 1
    assert "the csv report to standard output: No space left on device" in ended.err
    assert (shell.folder / "a.json").exists()


def test_children_get_streams_that_are_open(shell: Shell) -> None:
    code = (
        "import subprocess, sys; from audit.cli import streams; streams.set_up(); "
        "sys.exit(subprocess.call([sys.executable, '-c', 'import os; [os.fstat(fd) for fd in range(3)]']))"
    )
    command = f'exec {sys.executable} -c "$1" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", command, "sh", code], env=shell.all_environ({}), check=False)
    assert done.returncode == 0


class Sink(io.RawIOBase):
    """Takes so many bytes at a time."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.taken += bytes(data[:3])
        return min(3, len(data))


def printed(text: str, step: int, *, guarded: bool = True) -> str:
    """What comes out where `text` is printed in pieces of `step` bytes."""
    sink = Sink()
    outlet = Outlet(sink, guarded=guarded)
    data = text.encode()
    for at in range(0, len(data), step):
        outlet.write(data[at : at + step])
    return sink.taken.decode()


_WITHOUT_CONTROLS = [trick for trick in TRICKS if "\x1b[0K" not in trick]  # `escape_controls` takes care of those


@pytest.mark.parametrize("step", [1, 2, 5, 1000])
@pytest.mark.parametrize("before", ["", "user ", "\n", "x" * 100, " " * 100, "\n" + "\x1b[1m" * 40])
@pytest.mark.parametrize("trick", _WITHOUT_CONTROLS, ids=ids(_WITHOUT_CONTROLS))
def test_a_runner_obeys_nothing_that_is_printed_however_it_comes(trick: str, before: str, step: int) -> None:
    out = printed(before + trick + "::x\n", step)
    assert obeyed(out.replace("\x1b[1m", "")) == []
    assert out.replace("\\x3a", ":").replace("\\x5b", "[") == before + trick + "::x\n"


@pytest.mark.parametrize("text", ["[::1]:5432 and x::text", "a: :b\n: :", "# [error] ## [x]", "é::x"[1:] + "#"])
def test_what_is_no_command_is_printed_as_it_is(text: str) -> None:
    for step in (1, 4, 100):
        assert printed("at " + text, step) == "at " + text


def test_elsewhere_everything_is_printed_as_it_is() -> None:
    assert printed("::error::x\n##[error]x", 4, guarded=False) == "::error::x\n##[error]x"


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_another_name_of_standard_output_is_guarded_as_well(shell: Shell, name: str) -> None:
    run_file_of(shell.folder / "run.sqlite", [outdated(1, user_id="##[error]x")])
    ended = shell("render", "run.sqlite", "-o", f"csv={name}", GITHUB_ACTIONS="true")
    assert "##\\x5berror]x" in ended.out
    assert obeyed(ended.out) == []


RUNNERS = [{"GITHUB_ACTIONS": "true"}, {"TF_BUILD": "True"}, {"TEAMCITY_VERSION": "2026.1"}]


def hostile(trick: str) -> list[AuditedUser]:
    """Users who have it in every text, at its beginning and within."""
    texts = ("email", "display_name", "trigger_word", "lora_scale", "replicate_model_id", "training_id")
    fields: dict[str, Any] = dict.fromkeys(texts, trick)
    return [
        outdated(1, **{**fields, "user_id": trick, "model_row_id": trick}),
        outdated(2, **fields | {"display_name": f"a {trick}"}),
        failed(3, Reason.MODEL_NOT_FOUND, trick, email=trick),
    ]


COMMANDS = {
    **{
        f"render {name}": ("render", "run.sqlite", "-o", f"{name}=-") for name in ("html", "csv", "json", "md", "junit")
    },
    **{
        f"diff {name}": ("diff", "a.json", "b.json", "-o", f"{name}=-")
        for name in ("text", "html", "csv", "json", "md")
    },
    "user": ("user", "--run", "run.sqlite", "user-00002"),
    "user as JSON": ("user", "--run", "run.sqlite", "user-00002", "--json"),
    "user, several": ("user", "--run", "run.sqlite", "a"),
    "diff": ("diff", "a.json", "b.json"),
    "sync": ("sync", "run.sqlite", "--max-age", "99999d"),
    "sync to stdout": ("sync", "run.sqlite", "--max-age", "99999d", "-o", "-"),
    "merge": ("merge", "run.sqlite"),
    "accept": ("accept", "user-00002", "--because", "x", "--run", "run.sqlite"),
}


@pytest.mark.parametrize("trick", TRICKS, ids=ids(TRICKS))
def test_no_runner_obeys_what_a_database_holds_whichever_command_prints_it(shell: Shell, trick: str) -> None:
    info = {name: getattr(planned_run(), name) for name in ("place", "columns")}
    path = run_file_of(shell.folder / "run.sqlite", hostile(trick), **info, database=f"{trick}/shop")
    fine = [outdated(1, user_id=trick), outdated(4)]
    run_file_of(shell.folder / "old.sqlite", fine)
    for name, file in (("a.json", "old.sqlite"), ("b.json", path.name)):
        shell("render", file, "-o", name)
    for number, (name, command) in enumerate(COMMANDS.items()):
        ended = shell(*command, **RUNNERS[0 if number % 3 else (number // 3) % 3])
        assert not noise(ended.err), name
        assert ended.code in {0, 2, 3, 4}, (name, ended.err)
        assert obeyed(ended.out) == [], name
        assert obeyed(ended.err) == [], name


@pytest.mark.parametrize("trick", ["::error::x", "##[error]x", "##vso[task.x y=z]"])
def test_machines_read_the_same_inside_a_runner(shell: Shell, trick: str) -> None:
    run_file_of(shell.folder / "run.sqlite", [outdated(1, user_id=trick, email=trick, display_name=f"a {trick}")])

    def rendered(name: str) -> str:
        return shell("render", "run.sqlite", "-o", f"{name}=-", GITHUB_ACTIONS="true").out

    (user,) = json.loads(rendered("json"))["users"]
    assert (user["user_id"], user["display_name"]) == (trick, f"a {trick}")
    (case,) = ElementTree.fromstring(rendered("junit")).iter("testcase")
    assert trick in case.attrib["name"]
    texts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = texts.append  # type: ignore[assignment, method-assign]  # it is a parameter as good as any
    parser.feed(rendered("html"))
    assert trick in "".join(texts)
    (row,) = csv.DictReader(io.StringIO(rendered("csv"), newline=""), strict=True)
    assert row["email"].replace("\\x5b", "[") == trick
    single = shell("user", "--run", "run.sqlite", "--json", trick, GITHUB_ACTIONS="true").out
    assert json.loads(single)["user_id"] == trick
