"""`--open`, with a program in the browser's place, and what keeps a new reports/ out of a repository."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from audit.files import IGNORED, make_reports
from tests.support.audits import Servers, Shell
from tests.support.report_samples import outdated
from tests.support.run_files import run_file_of


@pytest.fixture
def browsing(shell: Shell) -> Shell:
    """A folder with a run, and a browser that writes down what it is asked to open."""
    run_file_of(shell.folder / "a run.sqlite", [outdated(7)])
    browser = shell.folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{shell.folder}/opened"\n')
    browser.chmod(0o755)
    shell.environ = {"BROWSER": str(browser)}
    return shell


def opened(shell: Shell) -> list[Path]:
    lines = (shell.folder / "opened").read_text().splitlines() if (shell.folder / "opened").exists() else []
    assert all(line.startswith("file:///") for line in lines)
    return [Path(unquote(urlsplit(line).path)) for line in lines]


def test_render_opens_the_page_that_it_has_written(browsing: Shell) -> None:
    ended = browsing("render", "a run.sqlite", "--open")
    page = browsing.folder / "a run.html"
    assert opened(browsing) == [page]
    assert page.is_file()
    assert f"opened {page}" in ended.err


def test_nothing_is_opened_unasked(browsing: Shell) -> None:
    browsing("render", "a run.sqlite")
    assert opened(browsing) == []


def test_run_opens_the_page_that_it_has_written(browsing: Shell, servers: Servers) -> None:
    browsing.environ = browsing.environ | servers.environ
    ended = browsing("run", "--open", "-o", "b.html", "--limit", "3")
    assert opened(browsing) == [browsing.folder / "b.html"], ended.err


@pytest.mark.parametrize("outputs", [("-o", "html=-"), ("-o", "a.csv"), ("-o", "html=/dev/null")])
@pytest.mark.parametrize("command", [("render", "a run.sqlite"), ("run",)])
def test_without_a_page_in_a_file_nothing_begins(
    command: tuple[str, ...], outputs: tuple[str, ...], browsing: Shell
) -> None:
    browsing.environ |= {"DATABASE_URL": "postgresql://u@127.0.0.1:1/shop", "REPLICATE_API_TOKEN": "r8_" + "a" * 37}
    ended = browsing(*command, "--open", *outputs)
    assert (ended.code, ended.out) == (2, "")
    assert "--open: no HTML report is written to a file" in ended.err
    assert opened(browsing) == []
    assert not list(browsing.folder.glob("a.*"))
    assert not (browsing.folder / "reports").exists()


def test_where_there_is_no_browser_the_path_is_said_and_nothing_fails(browsing: Shell) -> None:
    plain = browsing("render", "a run.sqlite")
    ended = browsing("render", "a run.sqlite", "--open", BROWSER="/nowhere/browser", PATH=str(browsing.folder / "none"))
    assert ended.code == plain.code
    assert f"no browser could be started here; open it yourself: {browsing.folder / 'a run.html'}" in ended.err


def test_a_new_default_folder_is_kept_out_of_repositories(shell: Shell, servers: Servers) -> None:
    shell.environ = servers.environ
    shell("run", "--limit", "3")
    assert (shell.folder / "reports" / ".gitignore").read_text() == IGNORED


@pytest.mark.parametrize("options", [("--run-file", "reports/a.sqlite", "-o", "reports/a.html"), ()])
def test_elsewhere_and_in_a_folder_that_was_there_nothing_is_added(
    options: tuple[str, ...], shell: Shell, servers: Servers
) -> None:
    shell.environ = servers.environ
    if not options:
        (shell.folder / "reports").mkdir()
    assert shell("run", "--limit", "3", *options).code in {0, 3, 4}
    assert list((shell.folder / "reports").glob("*.html"))
    assert not (shell.folder / "reports" / ".gitignore").exists()


def test_the_file_of_somebody_else_stays(tmp_path: Path) -> None:
    make_reports(tmp_path / "new")
    (tmp_path / "new" / ".gitignore").write_text("mine")
    make_reports(tmp_path / "new")
    assert (tmp_path / "new" / ".gitignore").read_text() == "mine"
