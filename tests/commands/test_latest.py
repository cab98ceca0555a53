"""`reports/latest.html` and the like, after real runs."""

import os
from typing import Any

import pytest

from audit.commands.latest import point_latest
from audit.report.writer import Output
from audit.runfile import RunFile
from tests.support.audits import Ended, Servers, Shell
from tests.support.past_runs import past_run, with_reports

ENDS = ("html", "csv", "sqlite")


@pytest.fixture
def run(shell: Shell, servers: Servers) -> Shell:
    """A shell with everything set that an audit of the demo's users needs."""
    shell.environ = servers.environ
    return shell


def links(shell: Shell) -> dict[str, str]:
    """Where each link in reports/ leads to."""
    return {each.name: str(each.readlink()) for each in (shell.folder / "reports").iterdir() if each.is_symlink()}


def audited(shell: Shell, *options: str) -> str:
    """What the files of a new run in reports/ are called, without their ends."""
    reports = shell.folder / "reports"
    before = set(reports.glob("sync-audit-*.sqlite"))
    ended = shell("run", "-q", *options)
    assert ended.code in {0, 3, 4}, ended.err
    (new,) = set(reports.glob("sync-audit-*.sqlite")) - before
    return new.stem


def test_after_a_whole_run_the_links_lead_to_its_files(run: Shell) -> None:
    first = audited(run)
    assert links(run) == {f"latest.{end}": f"{first}.{end}" for end in ENDS}
    second = audited(run)
    assert links(run) == {f"latest.{end}": f"{second}.{end}" for end in ENDS}
    assert (run.folder / "reports" / "latest.html").read_bytes().startswith(b"<!DOCTYPE html>")
    assert not list((run.folder / "reports").glob(".sync-audit-*"))


def test_a_folder_with_links_can_be_moved(run: Shell) -> None:
    audited(run)
    (run.folder / "reports").rename(run.folder / "elsewhere")
    assert run("render", "elsewhere/latest.sqlite", "-o", "json=report.json").code in {3, 4}


@pytest.mark.parametrize("options", [("--limit", "2"), ("--user", "a"), ("--shard", "1/2")])
def test_a_narrowed_run_leaves_the_links_as_they_are(run: Shell, options: tuple[str, ...]) -> None:
    whole = audited(run)
    audited(run, *options)
    assert links(run) == {f"latest.{end}": f"{whole}.{end}" for end in ENDS}


@pytest.mark.parametrize(
    "options",
    [
        ("-o", "html=other/page.html"),
        ("-o", "json=-"),
        ("--run-file", "mine.sqlite", "-o", "html=mine.html"),
    ],
)
def test_a_run_whose_reports_go_elsewhere_makes_no_links(run: Shell, options: tuple[str, ...]) -> None:
    assert run("run", "-q", *options).code in {3, 4}
    assert not (run.folder / "reports").exists() or links(run) == {}


def test_every_format_has_its_link_and_one_without_a_file_of_the_newest_run_has_none(run: Shell) -> None:
    outputs = [f"{kind}=reports/mine.{end}" for kind, end in (("json", "json"), ("md", "md"), ("junit", "xml"))]
    name = audited(run, *(word for output in outputs for word in ("-o", output)))
    every = {f"latest.{end}": f"mine.{end}" for end in ("json", "md", "xml")}
    assert links(run) == {**every, "latest.sqlite": f"{name}.sqlite"}

    name = audited(run)
    assert links(run) == {f"latest.{end}": f"{name}.{end}" for end in ENDS}


def test_a_run_file_elsewhere_is_found_from_the_links(run: Shell) -> None:
    (run.folder / "data").mkdir()
    ended = run("run", "-q", "--run-file", "data/mine.sqlite", "-o", "html=reports/mine.html")
    assert ended.code in {3, 4}
    assert links(run) == {"latest.html": "mine.html", "latest.sqlite": "../data/mine.sqlite"}


def test_what_is_no_link_is_left_as_it_is_and_that_is_said_with_v(run: Shell) -> None:
    reports = run.folder / "reports"
    reports.mkdir()
    (reports / "latest.html").write_text("mine")
    (reports / "latest.csv").mkdir()

    ended = run("run", "-v")

    assert ended.code in {3, 4}
    assert (reports / "latest.html").read_text() == "mine"
    assert list((reports / "latest.csv").iterdir()) == []
    assert set(links(run)) == {"latest.sqlite"}
    assert "latest.html: it is a file, and no link" in ended.err
    assert "latest.html" not in run("run").err


def test_a_report_that_is_called_latest_replaces_the_link_and_not_an_earlier_report(run: Shell) -> None:
    first = audited(run)
    before = (run.folder / "reports" / f"{first}.html").read_bytes()
    assert run("run", "-q", "-o", "html=reports/latest.html").code in {3, 4}
    assert (run.folder / "reports" / f"{first}.html").read_bytes() == before
    assert not (run.folder / "reports" / "latest.html").is_symlink()
    assert "latest.csv" not in links(run)


def test_an_older_run_that_is_resumed_does_not_take_the_links(run: Shell) -> None:
    older = audited(run)
    newer = audited(run)
    assert _ended(run("run", "-q", "--resume", f"reports/{older}.sqlite"))
    assert links(run)["latest.sqlite"] == f"{newer}.sqlite"
    assert _ended(run("run", "-q", "--resume", f"reports/{newer}.sqlite"))
    assert links(run) == {f"latest.{end}": f"{newer}.{end}" for end in ENDS}


def _ended(ended: Ended) -> bool:
    assert ended.code in {0, 3, 4}, ended.err
    return True


@pytest.mark.parametrize("target", ["gone.sqlite", "damaged.sqlite", "latest.sqlite"])
def test_links_that_lead_nowhere_are_replaced(run: Shell, target: str) -> None:
    reports = run.folder / "reports"
    reports.mkdir()
    (reports / "damaged.sqlite").write_text("SELECT 1")
    (reports / "latest.sqlite").symlink_to(target)
    name = audited(run)
    assert links(run)["latest.sqlite"] == f"{name}.sqlite"


def test_rendering_makes_no_links(shell: Shell) -> None:
    path = with_reports(past_run(shell.folder / "reports", 1))
    assert shell("render", os.path.relpath(path, shell.folder)).code == 0
    assert links(shell) == {}


def test_a_merged_run_has_the_links_if_it_is_whole(run: Shell) -> None:
    shards = [f"reports/{audited(run, '--shard', f'{number}/2')}.sqlite" for number in (1, 2)]
    assert links(run) == {}
    assert _ended(run("merge", shards[0], "--partial", "--run-file", "reports/part.sqlite"))
    assert links(run) == {}
    assert _ended(run("merge", *shards, "--run-file", "reports/all.sqlite"))
    assert links(run) == {f"latest.{end}": f"all.{end}" for end in ENDS}


def test_the_run_behind_the_links_is_never_pruned(run: Shell) -> None:
    name, reports = audited(run), run.folder / "reports"
    with RunFile.open(reports / f"{name}.sqlite") as run_file:
        info = run_file.info
    later: dict[str, Any] = {"place": info.place, "base_url": info.base_url, "started_at": "2099-01-01T00:00:00Z"}
    past_run(reports, 1, **later)
    ended = run("prune", "--keep", "1", "--yes", "-v")
    assert ended.code == 0
    assert f"{name}.sqlite latest.sqlite points at it" in " ".join(ended.out.split())
    assert {f"{name}.{end}" for end in ENDS} <= {path.name for path in reports.iterdir()}


@pytest.mark.parametrize("changes", [{"made_up": True}, {"state": "stopped"}, {"state": "interrupted"}])
def test_a_demo_or_an_unfinished_run_makes_no_links(
    shell: Shell, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shell.folder)
    path = with_reports(past_run(shell.folder / "reports", 1, **changes))
    outputs = [Output("html", str(path.with_suffix(".html")))]
    with RunFile.open(path) as run_file:
        point_latest(run_file, outputs)
    assert links(shell) == {}
    with RunFile.open(past_run(shell.folder / "reports", 2)) as run_file:
        point_latest(run_file, outputs)
    assert links(shell) == {"latest.html": "day-01.html", "latest.sqlite": "day-02.sqlite"}
