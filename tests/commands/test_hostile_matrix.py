"""Whatever a command runs in: it ends in its documented code, without a traceback and without a secret."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from audit.demo.fake_replicate.server import TOKEN
from audit.postgres.url import parse_database_url
from tests.support.audits import Servers, Shell
from tests.support.ordinary_users import AS_NOBODY, NOBODY
from tests.support.pairs import Case, pairwise_cases

COMMANDS = {
    "run": ("run", "-o", "csv=report.csv", "--run-file", "new.sqlite"),
    "run to stdout": ("run", "-o", "json=-", "--run-file", "new.sqlite"),
    "resume": ("run", "--resume", "run.sqlite"),
    "render": ("render", "run.sqlite", "-o", "md=-"),
    "doctor": ("doctor",),
    "user": ("user", "noah.kim"),
    "user of a run": ("user", "noah.kim", "--run", "run.sqlite", "--json"),
    "explain": ("explain", "outdated_version"),
    "sync": ("sync", "run.sqlite"),
    "diff": ("diff", "run.sqlite", "run.sqlite"),
    "accept": (
        "accept",
        "noah.kim@example.com",
        "--reason",
        "outdated_version",
        "--because",
        "жду",
        "--until",
        "2099-01-01",
    ),
    "init": ("init", "--print"),
    "help": ("run", "--help"),
}
LOCALES = {
    "UTF-8": {"LC_ALL": "C.UTF-8"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
    "unknown": {"LC_ALL": "xx_YY.nonsense", "LANG": "\udcff"},
}
CLOCKS = {"UTC": {}, "no zone": {"TZ": "Mars/Olympus"}, "far": {"TZ": "<+14>-14"}}
PATHS = {"plain": "plain", "odd": "ünï 'cödé' ☃ $(x)", "no UTF-8": "\udcff\udcfe", "deep": "/".join(["d" * 200] * 16)}
WIDTHS = {"80": {"COLUMNS": "80"}, "0": {"COLUMNS": "0"}, "odd": {"COLUMNS": "x", "TERM": "unknown"}}
DIMENSIONS = {
    "command": list(COMMANDS),
    "stream": ["pipe", "full", "no stdout", "no stderr", "none", "gone"],
    "locale": list(LOCALES),
    "clock": list(CLOCKS),
    "path": list(PATHS),
    "home": ["there", "unset", "a file", "closed"],
    "uid": ["this", "nobody"],
    "width": list(WIDTHS),
}
CASES = list(pairwise_cases(DIMENSIONS))


@pytest.fixture(scope="module")
def finished(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run file of a run of the demo's users."""
    folder = tmp_path_factory.mktemp("finished")
    ended = Shell(folder, servers.environ)("run", "-o", "csv=report.csv", "--run-file", "run.sqlite")
    assert ended.code == 4, ended.err
    return folder / "run.sqlite"


@pytest.fixture(scope="module")
def codes(servers: Servers, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What each command ends in where nothing is odd."""
    found = {}
    for name, arguments in COMMANDS.items():
        folder = tmp_path_factory.mktemp("usual")
        shutil.copy(finished, folder / "run.sqlite")
        ended = Shell(folder, servers.environ)(*arguments)
        found[name] = ended.code
        assert ended.code in {0, 3, 4}, f"{name}: {ended.err}"
    assert found["run"] == 4
    return found


@contextmanager
def streams(kind: str, folder: Path) -> Iterator[tuple[int, int]]:
    """File descriptors of stdout and stderr; what is closed the shell closes that begins the command."""
    with ExitStack() as stack:
        out = stack.enter_context((folder / "out").open("wb")).fileno()
        err = stack.enter_context((folder / "err").open("wb")).fileno()
        if kind == "full":
            out = stack.enter_context(Path("/dev/full").open("wb", buffering=0)).fileno()
        if kind == "gone":
            reader, out = os.pipe()
            os.close(reader)
            stack.callback(os.close, out)
        yield out, err


def let_in(folder: Path) -> None:
    """Anybody may go through this folder of a test's own, and to it."""
    for each in (folder, *folder.parents):
        if each.is_dir() and each not in {Path("/"), Path("/tmp")}:
            each.chmod(each.stat().st_mode | 0o011)


CLOSED = {"no stdout": ">&-", "no stderr": "2>&-", "none": "<&- >&- 2>&-"}


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("case", CASES, ids=lambda case: ", ".join(case.values()))
def test_each_command_ends_in_its_code_whatever_it_runs_in(
    case: Case, servers: Servers, finished: Path, codes: dict[str, int], tmp_path: Path
) -> None:
    folder = tmp_path / PATHS[case["path"]]
    folder.mkdir(parents=True)
    shutil.copy(finished, folder / "run.sqlite")
    uid = os.geteuid() if case["uid"] == "this" else NOBODY
    for path in (folder, folder / "run.sqlite"):
        os.chown(path, uid, -1)
    let_in(tmp_path)
    let_in(Path(parse_database_url(servers.dsn).hosts[0]))
    environ = Shell(folder, servers.environ).all_environ({})
    environ |= LOCALES[case["locale"]] | CLOCKS[case["clock"]] | WIDTHS[case["width"]]
    home = tmp_path / "home"
    if case["home"] == "a file":
        home.write_text("")
    else:
        home.mkdir(mode=0o700)
    if case["home"] == "there":
        os.chown(home, uid, -1)
    environ |= {} if case["home"] == "unset" else {"HOME": str(home)}
    begin = ["-m", "audit"] if case["uid"] == "this" else ["-c", AS_NOBODY]
    command = [sys.executable, *begin, *COMMANDS[case["command"]]]
    if redirection := CLOSED.get(case["stream"]):
        command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *command]
    with streams(case["stream"], tmp_path) as (out, err):
        done = subprocess.run(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            timeout=60,
            check=False,
        )
    told = ((tmp_path / "out").read_bytes() + (tmp_path / "err").read_bytes()).decode(errors="replace")
    assert "Traceback" not in told, told
    assert "Exception ignored" not in told, told
    assert TOKEN not in told
    assert done.returncode in wanted(case, codes[case["command"]]), told


def wanted(case: Case, usual: int) -> set[int]:
    """The codes that are documented for what is odd in `case`."""
    if case["path"] == "no UTF-8" and case["command"].startswith("run"):
        return {2, 5}  # what a run keeps of paths has to be text
    if case["stream"] == "no stderr":
        return {usual, 5}  # where something is to be said
    if case["stream"] in {"full", "none"}:
        return {5}
    if case["locale"] == "C" and case["command"] == "accept":
        return {2}  # Python can't tell what its argument means
    found = {usual}
    if case["stream"] == "no stdout":
        found |= {5}  # where something is to be printed
    if case["path"] == "no UTF-8":
        found |= {5}  # no SQL can be written there
    if case["path"] == "deep":
        found |= {5}  # SQLite opens no path of such a length
    return found
