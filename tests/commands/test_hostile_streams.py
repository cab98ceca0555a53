"""Every command with streams that are full, closed, left by their reader or hung up: no traceback, and its own code."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from audit.commands import COMMANDS
from audit.demo.database import load
from audit.demo.users import DemoUsers
from audit.model.exit_status import COULD_NOT_RUN
from tests.support.audits import Ended, Servers, Shell, new_database
from tests.support.broken_streams import LEAVING, Broken, noise, run, ways

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
    "accept": ("accept", WHO, "--because", "leaves in May", "--run", "run.sqlite"),
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


def pairs() -> list[tuple[str, Broken]]:
    """Each way with a fourth of the commands, and each command with a fourth of the ways."""
    names = list(COMMAND_LINES)
    return [
        (name, broken)
        for at, name in enumerate(names)
        for number, broken in enumerate(BROKEN)
        if (at + number) % 4 == 0
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "broken"), pairs(), ids=str)
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
