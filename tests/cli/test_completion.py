"""Commands and options completed by real shells, set up as the documents say."""

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from audit.commands import COMMANDS, cli
from tests.support.audits import Shell
from tests.support.documents import blocks
from tests.support.terminals import Terminal

SETUP = {each.language: each.text for each in blocks(Path("docs/how-to/completion.md"))}
HEAVY = ("aiohttp", "asyncio", "asyncpg", "msgspec", "jinja2", "rich", "sqlite3")
COMPLETED = [
    ("sync-audit ren", "sync-audit render"),
    ("sync-audit run --redac", "sync-audit run --redact"),
    ("sync-audit render july-au", "sync-audit render july-audit.sqlite"),
    ("sync-audit run --resume july-au", "sync-audit run --resume july-audit.sqlite"),
    ("sync-audit run --mode tr", "sync-audit run --mode trainings"),
    ("sync-audit explain out", "sync-audit explain outdated_version"),
]
IDS = ["command", "option", "argument", "value", "choice", "code"]


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed; make test installs it")


@pytest.fixture
def programs(shell: Shell) -> dict[str, str]:
    """An environment in which there is `sync-audit`, quiet enough to read the screen."""
    command = shell.folder / "bin/sync-audit"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m audit "$@"\n')
    command.chmod(0o755)
    (shell.folder / "july-audit.sqlite").touch()
    path = f"{command.parent}:{os.environ['PATH']}"
    return shell.all_environ({"PATH": path, "PS1": "ready> ", "TERM": "vt100", "HOME": str(shell.folder)})


@contextmanager
def interactive(command: list[str], environ: dict[str, str]) -> Iterator[Terminal]:
    """A shell with somebody at the keyboard."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command, cwd=environ["HOME"], env=environ, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    with process:
        try:
            yield Terminal(master, process, 80)
        finally:
            process.kill()
            os.close(master)


@pytest.mark.parametrize(("typed", "completed"), COMPLETED, ids=IDS)
@pytest.mark.parametrize(
    ("command", "before"),
    [
        pytest.param(["bash", "--noprofile", "--norc", "-i"], "", id="bash"),
        pytest.param(["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u\n", id="zsh", marks=needs("zsh")),
    ],
)
def test_tab_completes(command: list[str], before: str, typed: str, completed: str, programs: dict[str, str]) -> None:
    with interactive(command, programs) as terminal:
        terminal.until(lambda lines: lines and lines[-1].startswith("ready>"))
        terminal.type(f"{before}{SETUP[command[0]]}echo set up".encode() + b"\n")
        terminal.until(lambda lines: "set up" in lines and lines[-1].strip() == "ready>")
        terminal.type(typed.encode() + b"\t")
        terminal.until(lambda lines: lines[-1] == f"ready> {completed}")


@needs("fish")
@pytest.mark.parametrize(("typed", "completed"), COMPLETED, ids=IDS)
def test_fish_completes(typed: str, completed: str, programs: dict[str, str]) -> None:
    script = f"{SETUP['fish']}\ncomplete -C '{typed}'"
    done = subprocess.run(
        ["fish", "-c", script],
        cwd=programs["HOME"],
        env=programs,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    offered = {line.partition("\t")[0] for line in done.stdout.splitlines()}
    assert offered == {completed.rsplit(maxsplit=1)[-1]}, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_whatever_takes_a_path_completes_paths(name: str) -> None:
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command
    paths = [each for each in command.params if str(each.metavar).split("]")[-1] in {"PATH", "FILE", "RUN"}]
    offered = {str(each.name): [item.type for item in each.shell_complete(context, "")] for each in paths}
    assert {name for name, types in offered.items() if types != ["file"]} == set()


@pytest.mark.parametrize(
    "words",
    [
        "sync-audit ",
        "sync-audit run --re",
        "sync-audit run --database-url postgresql://h/d --shard 1/2 --base-url https://x --mode ",
        "sync-audit explain ",
    ],
    ids=["command", "option", "choice after values", "code"],
)
def test_completing_imports_nothing_that_takes_long(words: str, shell: Shell) -> None:
    (shell.folder / "sync-audit.toml").write_text("rate = 1\n[database]\ncompleted = 3")
    environ = {"_SYNC_AUDIT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    environ |= {"DATABASE_URL": "postgresql://h/d", "REPLICATE_API_TOKEN": "r8_x", "SYNC_AUDIT_RATE": "many"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "audit"],
        env=shell.all_environ(environ | {"COVERAGE_PROCESS_CONFIG": ""}),  # it imports some of them
        cwd=shell.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "plain," in done.stdout
    assert imported.isdisjoint(HEAVY)
