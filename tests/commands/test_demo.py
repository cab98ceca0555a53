"""`sync-audit demo` as somebody runs it who has just heard of it: nothing prepared, nothing left behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from audit.demo.users import DemoUsers
from audit.files import IGNORED
from audit.model import exit_status
from tests.support.audits import Shell
from tests.support.expected_findings import expected_findings
from tests.support.ordinary_users import as_nobody

FILES = ["demo-interrupted.html", "demo.csv", "demo.html", "demo.json", "demo.sqlite"]


@pytest.fixture
def nobody(shell: Shell) -> Iterator[Shell]:
    """A shell of the user `nobody`, with a home and working directory of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; the other tests run as an ordinary one anyway")
    with as_nobody(shell):
        yield shell


def check(shell: Shell, demo_users: DemoUsers) -> None:
    """Run the demo; everything is as promised."""
    ended = shell("demo")
    assert ended.code == exit_status.INCOMPLETE, ended.err
    assert ended.last_code == exit_status.INCOMPLETE
    assert "reports/demo.html" in ended.err
    assert ended.out == ""
    assert (shell.folder / "reports" / ".gitignore").read_text() == IGNORED
    reports = sorted((shell.folder / "reports").glob("[!.]*"))
    assert [path.name for path in reports] == FILES
    assert {path.stat().st_mode & 0o777 for path in reports} == {0o600}
    interrupted = (shell.folder / "reports/demo-interrupted.html").read_text()
    assert "stopped by the demo" in interrupted
    assert "Not reached" in interrupted
    users = json.loads((shell.folder / "reports/demo.json").read_text())["users"]
    got = {user["user_id"]: (user["reason"], frozenset(user["notes"])) for user in users}
    assert got == expected_findings(demo_users, check_weights=True)


@pytest.mark.slow
def test_the_demo_works_twice_in_a_row_and_finds_what_it_should(shell: Shell, demo_users: DemoUsers) -> None:
    check(shell, demo_users)
    check(shell, demo_users)


@pytest.mark.slow
def test_the_demo_works_for_an_ordinary_user(nobody: Shell, demo_users: DemoUsers) -> None:
    check(nobody, demo_users)


def test_outputs_can_be_chosen_and_stdout_carries_nothing_else(shell: Shell) -> None:
    ended = shell("demo", "-q", "-o", "json=-")
    assert json.loads(ended.out)["summary"]["total"] > 50
    assert [path.name for path in (shell.folder / "reports").glob("[!.]*")] == ["demo.sqlite"]


def while_postgresql_starts(demo: subprocess.Popen[bytes]) -> Path:
    """The directory of the server, into which it has begun to write."""

    def there() -> list[Path]:
        found = (path for pid in descendants(demo.pid) for path in working_directory(pid))
        return [path for path in found if (path / "data").exists()]

    wait_until(there)
    return there()[0]


def while_auditing(demo: subprocess.Popen[bytes]) -> Path:
    """The same; some models have answered, and some take two seconds to fail."""
    assert demo.stderr
    assert any(b"/versions: 200" in line for line in demo.stderr)
    return while_postgresql_starts(demo)


Moment = Callable[[subprocess.Popen[bytes]], Path]
MOMENTS = pytest.mark.parametrize("moment", [while_postgresql_starts, while_auditing], ids=lambda each: each.__name__)


@MOMENTS
def test_kill_9_leaves_no_server_and_no_directory(shell: Shell, moment: Moment) -> None:
    process = shell.start("demo", "-vv")
    directory = moment(process)
    process.kill()
    process.wait()
    wait_until(lambda: not processes_in(directory) and not directory.exists())


@MOMENTS
def test_sigterm_leaves_no_server_and_no_directory(shell: Shell, moment: Moment) -> None:
    process = shell.start("demo", "-vv")
    directory = moment(process)
    process.terminate()
    process.communicate(timeout=20)
    wait_until(lambda: not processes_in(directory) and not directory.exists())
    if moment is while_auditing:
        assert process.returncode == exit_status.TERMINATED
        run = json.loads((shell.folder / "reports/demo.json").read_text())["run"]
        assert (run["state"], run["stop_reason"]) == ("interrupted", "stopped by SIGTERM")
    else:
        assert process.returncode in (-signal.SIGTERM, exit_status.TERMINATED)  # shells call both 143


def wait_until(true: Callable[[], object]) -> None:
    """Ask often, for 20 s at most."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, those that these have started, and so on."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        parents[int(entry.parent.name)] = int(fields[1])
    found = [pid]
    for ancestor in found:
        found.extend(child for child, parent in parents.items() if parent == ancestor)
    return found[1:]


def working_directory(pid: int) -> list[Path]:
    """The embedded server's directory, where the process works in one."""
    try:
        path = (Path("/proc") / str(pid) / "cwd").readlink()
    except OSError:
        return []
    return [each for each in (path, *path.parents) if each.name.startswith("sync-audit-pg-")]


def processes_in(directory: Path) -> list[int]:
    """Processes whose working directory is this one or below, even where it has been removed."""
    pids = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if any(str(path).startswith(str(directory)) for path in working_directory(pid))]
