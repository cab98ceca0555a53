"""The run that is taken where none is named, and bare names of files, with whole commands."""

from pathlib import Path
from typing import Any

import pytest

from audit.model.codes import Reason
from audit.model.run import Filters
from tests.support.audits import Shell
from tests.support.report_samples import as_stored, outdated, unfinished
from tests.support.run_files import run_file_of

COMMANDS = {
    "render": ("render",),
    "sync": ("sync",),
    "apply": ("sync", "--apply", "--yes"),
    "word": ("render", "latest"),
    "user": ("user", "user-00007", "--run", "latest"),
    "accept": ("accept", "user-00007", "--because", "b", "--until", "2099-01-01"),
}
NAMED = {
    "render": ("render", "RUN"),
    "sync": ("sync", "RUN", "--max-age", "9999d"),
    "user": ("user", "user-00007", "--run", "RUN"),
    "accept": ("accept", "user-00007", "--because", "b", "--until", "2099-01-01", "--run", "RUN"),
    "diff": ("diff", "RUN", "RUN"),
    "merge": ("merge", "RUN"),
    "resume": ("run", "--resume", "RUN"),
}


def run_in(shell: Shell, name: str, day: int = 1, **changes: Any) -> Path:
    """A finished run in the default folder."""
    folder = shell.folder / "reports"
    folder.mkdir(exist_ok=True)
    started = f"2026-03-{day:02}T12:00:00Z"
    info: dict[str, Any] = {"id": f"{day:032x}", "started_at": started, "database": "db.example.com/shop"} | changes
    users = map(as_stored, (unfinished(7, Reason.FAILURE_NOT_RECORDED, outdated(7)), outdated(8)))
    return run_file_of(folder / name, users, **info)


@pytest.mark.parametrize("command", NAMED)
def test_a_bare_name_that_is_not_here_is_found_in_the_default_folder(command: str, shell: Shell) -> None:
    run_in(shell, "a.sqlite")
    ended = shell(*("a.sqlite" if each == "RUN" else each for each in NAMED[command]))
    assert "a.sqlite" not in (ended.err + ended.out).replace("reports/a.sqlite", "")
    missing = shell(*("b.sqlite" if each == "RUN" else each for each in NAMED[command]))
    assert "b.sqlite" in missing.err.replace("reports/b.sqlite", "")


def test_a_file_that_is_here_goes_first(shell: Shell) -> None:
    run_in(shell, "a.sqlite")
    (shell.folder / "a.sqlite").write_text("something else")
    assert "a.sqlite" in shell("render", "a.sqlite").err
    assert not (shell.folder / "reports" / "a.html").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_newest_whole_run_is_taken_and_named(command: str, shell: Shell) -> None:
    run_in(shell, "old.sqlite", 1)
    run_in(shell, "new.sqlite", 2)
    run_in(shell, "stopped.sqlite", 3, state="interrupted")
    run_in(shell, "narrowed.sqlite", 4, filters=Filters(limit=5))
    run_in(shell, "demo.sqlite", 5, made_up=True, database="socket/demo")
    ended = shell(*COMMANDS[command])
    assert "using reports/new.sqlite, the newest whole run of db.example.com/shop, " in " ".join(ended.err.split())
    assert " ago" in ended.err


@pytest.mark.parametrize("command", [*COMMANDS, "diff"])
def test_of_several_places_none_is_taken_unless_one_is_configured(command: str, shell: Shell) -> None:
    words = COMMANDS.get(command, ("diff",))
    run_in(shell, "before.sqlite", 1)
    run_in(shell, "shop.sqlite", 2)
    run_in(shell, "staging.sqlite", 3, database="staging.example.com/shop")
    ended = shell(*words)
    assert ended.code == 2
    assert "several places: staging.example.com/shop, db.example.com/shop" in " ".join(ended.err.split())
    shell.environ = {**shell.environ, "DATABASE_URL": "postgresql://u:secret@db.example.com/shop"}
    ended = shell(*words)
    assert "using reports/shop.sqlite" in ended.err
    assert "secret" not in ended.err


@pytest.mark.parametrize("command", ["render", "sync", "user", "diff"])
def test_where_there_is_none_the_next_step_is_a_run(command: str, shell: Shell) -> None:
    run_in(shell, "demo.sqlite", made_up=True)
    ended = shell(*COMMANDS.get(command, ("diff",)))
    assert ended.code == 2
    assert "no whole run in reports/" in ended.err
    assert "sync-audit run" in ended.err


@pytest.mark.parametrize("command", ["render", "sync", "apply", "user", "diff"])
def test_a_run_of_another_database_than_the_configured_is_not_taken(command: str, shell: Shell) -> None:
    run_in(shell, "a.sqlite", 1)
    run_in(shell, "b.sqlite", 2)
    shell.environ = {"DATABASE_URL": "postgresql://u:secret@staging.example.com/shop"}
    ended = shell(*COMMANDS.get(command, ("diff",)))
    assert ended.code == 2
    assert "no whole run in reports/ of staging.example.com/shop" in " ".join(ended.err.split())
    assert "secret" not in ended.err
    assert "using" not in ended.err


def test_the_config_file_says_which_database_too(shell: Shell) -> None:
    run_in(shell, "shop.sqlite", 1)
    run_in(shell, "staging.sqlite", 2, database="staging.example.com/shop")
    (shell.folder / "sync-audit.toml").write_text('database-url = "postgresql://u@db.example.com/shop"\n')
    for command in (("render",), ("sync",), ("user", "user-00007", "--run", "latest")):
        assert "using reports/shop.sqlite" in shell(*command).err


def test_diff_compares_the_newest_two_or_the_one_that_is_named_with_the_newest(shell: Shell) -> None:
    for day in (1, 2, 3):
        run_in(shell, f"{day}.sqlite", day)
    ended = shell("diff")
    assert "using reports/2.sqlite, the second newest whole run of db.example.com/shop" in ended.err
    assert "using reports/3.sqlite" in ended.err
    ended = shell("diff", "1.sqlite")
    assert "reports/2.sqlite" not in ended.err
    assert "using reports/3.sqlite" in ended.err
    assert "is the newest whole run itself" in shell("diff", "3.sqlite").err
