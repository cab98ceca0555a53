"""Every command with streams that are full, closed, left by their reader or hung up, and in odd environments.

There is no traceback, and it ends in its own code.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from audit.commands import COMMANDS
from audit.demo.database import load
from audit.demo.users import DemoUsers
from audit.model import exit_status
from audit.model.exit_status import COULD_NOT_RUN
from tests.support.audits import Ended, Servers, Shell, new_database
from tests.support.broken_streams import LEAVING, Broken, noise, run, ways
from tests.support.report_samples import outdated
from tests.support.run_files import run_file_of
from tests.support.samples import planned_run

WHO = "beatriz.costa@example.com"
COMMAND_LINES: dict[str, tuple[str, ...]] = {
    "help": ("--help",),
    "version": ("--version",),
    "init": ("init", "--print"),
    "run": ("run", "-o", "new.json", "--run-file", "new.sqlite", "-v"),
    "run to stdout": ("run", "-o", "csv=-", "-o", "new.json", "--run-file", "new.sqlite", "-q"),
    "resume": ("run", "--resume", "run.sqlite", "-o", "new.json"),
    "render": ("render", "run.sqlite", "-o", "json=-", "-o", "new.csv"),
    "doctor": ("doctor",),
    "doctor as JSON": ("doctor", "--json"),
    "user": ("user", WHO),
    "user as JSON": ("user", "--run", "run.sqlite", "--json", WHO),
    "user, several": ("user", "example"),
    "explain": ("explain",),
    "sync": ("sync", "run.sqlite", "--max-age", "9999d"),
    "sync to stdout": ("sync", "run.sqlite", "--max-age", "9999d", "-o", "-"),
    "sync --apply": ("sync", "run.sqlite", "--apply", "--yes", "--limit", "1"),
    "merge": ("merge", "run.sqlite", "-o", "json=-", "--run-file", "new.sqlite"),
    "diff": ("diff", "run.sqlite", "run.sqlite"),
    "diff to stdout": ("diff", "run.sqlite", "run.sqlite", "-o", "json=-"),
    "accept": ("accept", WHO, "--because", "leaves in May", "--until", "2099-01-01", "--run", "run.sqlite"),
    "history": ("history", "."),
    "prune": ("prune", "."),
    "a wrong option": ("run", "--no-such-option"),
    "an error": ("render", "not-there.sqlite"),
}
BROKEN = [
    *ways(("full", "closed", "not blocking", *LEAVING)),
    Broken(stdout="closed", stderr="closed"),
    Broken(stdout="closed", stderr="closed", stdin_closed=True),
    Broken(stdin_closed=True),
    Broken(stdout="full", stderr="full"),
    Broken(stdout="gone", stderr="gone"),
    Broken(stdout="hung up", stderr="hung up"),
]


T = TypeVar("T")
ODD: list[dict[str, str]] = [
    *({"COLUMNS": columns} for columns in ("", "0", "-5", "abc", "\u00b2", "1", "9" * 30, "9" * 5000)),
    {"LINES": "0", "TERM": "dumb"},
    {"TERM": "unknown", "FORCE_COLOR": "1"},
    *({"PYTHONIOENCODING": encoding} for encoding in ("latin-1", "ascii", "cp1252:strict", "euc_jp", "utf-8:strict")),
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LANG": "xx_YY.junk", "LC_ALL": "nonsense", "TZ": "No/Where"},
    {"PYTHONUNBUFFERED": "1", "TMPDIR": "/nonexistent"},
    {"PYTHONWARNINGS": "default", "PYTHONDEVMODE": "1"},
]


class Undisturbed:
    """A folder with a finished run, copied for each command; and what commands come to whom nobody disturbs."""

    def __init__(self, folder: Path, servers: Servers) -> None:
        self._folder = folder
        self._servers = servers
        self._ended: dict[str, Ended] = {}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        made = Shell(folder, servers.environ)("run", "--run-file", "run.sqlite", "-o", "run.json")
        assert made.code in {3, 4}, made.err

    def shell(self, folder: Path) -> Shell:
        """A folder like that."""
        shutil.copytree(self._folder, folder, dirs_exist_ok=True)
        return Shell(folder, self._servers.environ)

    def ended(self, name: str, folder: Path) -> Ended:
        """How the command ends by itself."""
        if name not in self._ended:
            shell = self.shell(folder)
            self._ended[name] = run(shell, Broken(), *COMMAND_LINES[name])
            if "--apply" in COMMAND_LINES[name]:
                put_back(shell)
        return self._ended[name]


def put_back(shell: Shell) -> None:
    """Undo the change that `sync --apply` has made, whatever became of its output."""
    undone = shell("sync", "--undo", "run-undo.sql", "--yes")
    assert "1 row put back" in undone.err, undone.err


@pytest.fixture(scope="module")
def undisturbed(
    postgres_server: str, servers: Servers, demo_users: DemoUsers, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    dsn = asyncio.run(new_database(postgres_server, "hostile_streams"))
    asyncio.run(load(dsn, demo_users))
    return Undisturbed(tmp_path_factory.mktemp("undisturbed") / "home", Servers(dsn, servers.fake, retries=0))


def test_no_command_is_missing() -> None:
    # `demo` is `run` and starts servers of its own, which takes long.
    assert {words[0] for words in COMMAND_LINES.values()} >= COMMANDS.keys() - {"demo"}


def pairs(places: Sequence[T], every: int) -> list[tuple[str, T]]:
    """Each of `places` with each `every`-th command, and the other way round."""
    names = list(COMMAND_LINES)
    return [
        (name, place)
        for at, name in enumerate(names)
        for number, place in enumerate(places)
        if (at + number) % every == 0
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "broken"), pairs(BROKEN, 4), ids=str)
def test_a_command_does_its_work_and_ends_in_its_code_or_in_5(
    undisturbed: Undisturbed, name: str, broken: Broken, tmp_path: Path
) -> None:
    plain = undisturbed.ended(name, tmp_path / "undisturbed")
    shell = undisturbed.shell(tmp_path / "here")
    ended = run(shell, broken, *COMMAND_LINES[name])
    if "--apply" in COMMAND_LINES[name]:
        put_back(shell)
    lost = any(text and lost for text, lost in zip((plain.out, plain.err), broken.loses, strict=True))
    assert ended.code == (COULD_NOT_RUN if lost else plain.code), ended.err
    assert not noise(ended.out + ended.err)
    if lost and not broken.stderr:
        assert "standard output" in ended.err
    for path in (tmp_path / "undisturbed").glob("new.*"):
        assert (shell.folder / path.name).stat().st_size > 0
    if (shell.folder / "new.json").exists():
        assert json.loads((shell.folder / "new.json").read_text())["summary"]["total"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "environ"), pairs(ODD, 7), ids=lambda each: str(each)[:60])
def test_a_command_ends_in_its_code_whatever_surrounds_it(
    undisturbed: Undisturbed, name: str, environ: dict[str, str], tmp_path: Path
) -> None:
    plain = undisturbed.ended(name, tmp_path / "undisturbed")
    shell = undisturbed.shell(tmp_path / "here")
    ended = run(shell, Broken(), *COMMAND_LINES[name], **environ)
    if "--apply" in COMMAND_LINES[name]:
        put_back(shell)
    assert ended.code == plain.code, ended.err
    assert not noise(ended.out + ended.err)
    assert bool(ended.out) is bool(plain.out)


NAMED = "山田 太郎 👩 …→é"
IN_A_RUN = [
    ("render", "run.sqlite", "-v", "-o", "new.json"),
    ("user", "--run", "run.sqlite", "user-00001"),
    ("user", "--run", "run.sqlite", "user-0000"),
    ("sync", "run.sqlite", "--max-age", "99999d"),
    ("diff", "run.sqlite", "run.sqlite"),
    ("accept", "user-00001", "--because", NAMED, "--until", "2099-01-01", "--run", "run.sqlite"),
]


@pytest.mark.parametrize(
    "encoding",
    [
        "ascii",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("utf-8", "latin-1", "cp437", "euc_jp", "big5")),
    ],
)
@pytest.mark.parametrize("command", IN_A_RUN, ids=lambda words: words[0])
def test_a_name_in_another_script_is_shown_as_far_as_the_terminal_can(
    shell: Shell, command: tuple[str, ...], encoding: str
) -> None:
    known = {name: getattr(planned_run(), name) for name in ("place", "columns")}
    users = [outdated(number, email=f"{NAMED}@example.com", display_name=NAMED) for number in (1, 2)]
    run_file_of(shell.folder / "run.sqlite", users, **known)
    done = subprocess.run(
        shell.command(*command),
        cwd=shell.folder,
        env=shell.all_environ({"PYTHONIOENCODING": encoding}),
        capture_output=True,
        check=False,
    )
    assert done.returncode in {0, 2, 3}, done.stderr
    text = (done.stdout + done.stderr).decode(encoding)
    assert not noise(text)
    if encoding == "ascii":
        assert "\\u5c71" in text or command[0] == "diff"
    if encoding == "utf-8":
        assert "山田 太郎 👩" in text or command[0] == "diff"


@pytest.mark.parametrize(
    "command",
    [*IN_A_RUN, ("render", "run.sqlite"), ("merge", "run.sqlite"), ("run",), ("init", "--print"), ("explain",)],
    ids=" ".join,
)
def test_without_a_working_directory_there_is_a_sentence(shell: Shell, command: tuple[str, ...]) -> None:
    gone = shell.folder / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec "$@"'
    environ = shell.all_environ({"DATABASE_URL": "postgresql://a@127.0.0.1:9/x", "REPLICATE_API_TOKEN": "x"})
    done = subprocess.run(
        ["sh", "-c", script, "sh", *shell.command(*command)], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode in ({0} if command == ("explain",) else {2, 5}), done.stderr
    assert not noise(done.stderr)
    if done.returncode:
        assert "Error: " in done.stderr


@pytest.mark.parametrize("word", [b"\xff", pytest.param("é".encode() + b"\xed\xa0", marks=pytest.mark.slow)], ids=ascii)
@pytest.mark.parametrize(
    "command",
    [
        ("user", "{}"),
        ("user", "--run", "{}", "a"),
        ("render", "{}"),
        ("sync", "{}"),
        ("sync", "--undo", "{}", "--yes"),
        ("merge", "{}"),
        ("diff", "{}", "{}"),
        ("explain", "{}"),
        ("accept", "{}", "--because", "x", "--until", "2099-01-01"),
        ("accept", "a", "--because", "{}", "--until", "2099-01-01"),
        ("run", "--user", "{}"),
        ("run", "--config", "{}"),
        ("run", "--token-file", "{}"),
        ("run", "--{}"),
        ("init", "--print", "--owner", "{}"),
        ("{}",),
    ],
    ids=" ".join,
)
def test_a_word_that_is_no_text_is_refused_by_name(shell: Shell, command: tuple[str, ...], word: bytes) -> None:
    """Which file is not there, or which option has it, is in the first line of the error."""
    environ = {"DATABASE_URL": "postgresql://a@127.0.0.1:9/x", "REPLICATE_API_TOKEN": "x"}
    words = [each.replace("{}", os.fsdecode(word)) for each in command]
    ended = run(shell, Broken(), *words, **environ)
    assert ended.code in {exit_status.USAGE, COULD_NOT_RUN}, ended.err
    assert not noise(ended.err)
    assert "Error: " in ended.err
