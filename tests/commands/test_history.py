"""`sync-audit history` as a person runs it."""

import os
from typing import Any

import pytest

from audit.model.run import Filters
from audit.model.shard import Shard
from audit.runfile import RunFile
from tests.support.audits import Shell
from tests.support.past_runs import past_run
from tests.support.run_files import edited
from tests.support.samples import place


def lines(shell: Shell, *arguments: str, **environ: str) -> list[str]:
    """What is printed, with one blank between words."""
    ended = shell("history", *arguments, **environ)
    assert (ended.code, ended.err) == (0, "")
    return [" ".join(line.split()) for line in ended.out.splitlines()]


def test_runs_are_listed_with_their_counts_and_verdicts_the_newest_first(shell: Shell) -> None:
    folder = shell.folder / "reports"
    past_run(folder, 1, need=3, failed=1, fine=1234)
    past_run(folder, 3, fine=2)
    past_run(folder, 2, failed=1)

    assert lines(shell) == [
        "db.example.com/shop",
        "Needs Check Up to",
        "Started (UTC) Covered sync failed date Verdict File",
        "2026-03-03 12:00 whole 0 0 2 Release OK day-03.sqlite",
        "2026-03-02 12:00 whole 0 1 1 Unknown day-02.sqlite",
        "2026-03-01 12:00 whole 3 1 1,234 Hold day-01.sqlite",
    ]


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, "whole"),
        ({"filters": Filters(limit=2), "in_all": 800}, "trial 2 of 800"),
        ({"state": "stopped"}, "incomplete"),
        ({"state": "interrupted"}, "incomplete"),
        ({"state": "running", "finished_at": None}, "incomplete"),
        ({"shard": Shard(2, 4), "in_all": 8}, "shard 2 of 4"),
        ({"made_up": True}, "demo"),
    ],
)
def test_what_a_run_covered_is_said(shell: Shell, changes: dict[str, Any], covered: str) -> None:
    past_run(shell.folder / "runs", 1, fine=2, **changes)
    assert f" {covered} " in lines(shell, "runs")[-1]


def test_runs_of_several_places_are_listed_place_by_place(shell: Shell) -> None:
    folder = shell.folder / "reports"
    staging: dict[str, Any] = {"place": place(host="staging.example.com"), "database": "staging.example.com/shop"}
    for day in (1, 3):
        past_run(folder, day)
    for day in (2, 4):
        past_run(folder, day, **staging)
    past_run(folder, 5, made_up=True)

    listed = [line for line in lines(shell) if line.endswith((".sqlite", "shop", "demo"))]

    assert [line.split()[-1] for line in listed] == [
        *("demo", "day-05.sqlite"),
        *("staging.example.com/shop", "day-04.sqlite", "day-02.sqlite"),
        *("db.example.com/shop", "day-03.sqlite", "day-01.sqlite"),
    ]


def test_places_that_are_called_alike_are_told_apart(shell: Shell) -> None:
    folder = shell.folder / "reports"
    past_run(folder, 1)
    past_run(folder, 2, place=place(port="5433"))

    titles = [line for line in lines(shell) if "/shop" in line]
    assert len(set(titles)) == 2
    assert "db.example.com:5433/shop" in titles[0]


def test_only_so_many_runs_are_shown_as_are_wanted(shell: Shell) -> None:
    for day in range(1, 5):
        past_run(shell.folder / "reports", day)
    listed = lines(shell, "--limit", "2")
    assert [line.split()[-1] for line in listed if line.endswith(".sqlite")] == ["day-04.sqlite", "day-03.sqlite"]
    assert listed[-1] == "2 older runs are not shown: --limit 4"


def test_a_run_that_is_going_on_is_shown_as_running(shell: Shell) -> None:
    folder = shell.folder / "reports"
    past_run(folder, 1)
    with RunFile.resume(past_run(folder, 2)):
        listed = lines(shell)
    assert listed[-1] == "Running now: day-02.sqlite"
    assert sum(line.endswith("day-01.sqlite") for line in listed) == 1


def test_files_that_are_no_sound_run_files_are_counted_and_named_in_one_line(shell: Shell) -> None:
    folder = shell.folder / "reports"
    past_run(folder, 1)
    edited(past_run(folder, 2), "DROP TABLE run")
    (folder / "notes.sqlite").write_text("SELECT 1")
    (folder / "empty.sqlite").touch()
    (folder / "folder.sqlite").mkdir()
    os.mkfifo(folder / "pipe.sqlite")
    (folder / "link.sqlite").symlink_to("day-01.sqlite")
    (folder / "odd\n\x1b[2J.sqlite").touch()

    listed = lines(shell, COLUMNS="200")

    said = "4 files are damaged, or no run files: day-02.sqlite, empty.sqlite, notes.sqlite, odd\\n\\x1b[2J.sqlite"
    assert " ".join(listed).endswith(said)
    assert sum(line.endswith("day-01.sqlite") for line in listed) == 1


def test_a_run_whose_users_cannot_be_read_keeps_its_line(shell: Shell) -> None:
    edited(past_run(shell.folder / "reports", 1), "DROP TABLE audited")
    assert lines(shell)[-1] == "2026-03-01 12:00 damaged day-01.sqlite"


def test_nothing_in_the_folder_changes(shell: Shell) -> None:
    folder = shell.folder / "reports"
    past_run(folder, 1, need=2)
    past_run(folder, 2, state="running", finished_at=None)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    lines(shell)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


@pytest.mark.parametrize("arguments", [(), ("empty",)])
def test_a_folder_without_runs_is_no_failure(shell: Shell, arguments: tuple[str, ...]) -> None:
    (shell.folder / "empty").mkdir()
    assert lines(shell, *arguments) == [f"No runs in {arguments[0] if arguments else 'reports'}/"]


@pytest.mark.parametrize(("name", "why"), [("nowhere", "no such file or directory"), ("file", "not a directory")])
def test_a_folder_that_is_none_is_an_error(shell: Shell, name: str, why: str) -> None:
    (shell.folder / "file").touch()
    ended = shell("history", name)
    assert ended.code == 2
    assert f"{name}/ cannot be read: {why}" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal_and_file_names_are_whole(shell: Shell, columns: int) -> None:
    folder = shell.folder / "reports"
    path = past_run(folder, 1, need=2, filters=Filters(limit=3), in_all=100_000)
    path.rename(folder / "sync-audit-20260301T120000Z.sqlite")
    past_run(folder, 2)

    out = shell("history", COLUMNS=str(columns)).out

    assert max(map(len, out.splitlines())) <= columns
    assert "sync-audit-20260301T120000Z.sqlite" in out
    assert "2026-03-01 12:00" in out
    assert "Hold" in out
    assert ("trial 3 of 100,000" in out) == (columns >= 60)
