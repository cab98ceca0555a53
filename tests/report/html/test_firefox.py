"""The page in the other browser: Debian's Firefox, never downloaded, never skipped."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.report.html import render as html_report
from audit.report.view import RunView
from tests.support.firefox import DELETE, ESCAPE, SELECT_ALL, Firefox, firefox
from tests.support.report_states import states

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """The run of 800 users, 35 of whom need attention."""
    out = io.BytesIO()
    html_report.render(RunView(states()["affected"]), out)
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(out.getvalue())
    with firefox(tmp_path_factory.mktemp("firefox")) as browser:
        browser.send("WebDriver:Navigate", url=path.as_uri())
        browser.until(lambda: bool(browser.script("return document.documentElement.matches('.ready')")))
        yield browser


def texts(page: Firefox, selector: str) -> list[str]:
    return list(page.script(f"return [...document.querySelectorAll({selector!r})].map((each) => each.textContent)"))


def names(page: Firefox) -> list[str]:
    return texts(page, "#rows button[data-row]")


def test_the_table_begins_with_who_has_been_affected_for_the_longest(page: Firefox) -> None:
    assert len(names(page)) == 35
    days = [int(text.split()[0]) for text in texts(page, "#rows td:nth-child(3)") if text != "–"]
    assert len(days) == 30
    assert days == sorted(days, reverse=True)


def test_search_finds_a_row_opens_and_closes_and_a_tab_shows_the_others(page: Firefox) -> None:
    page.type("#q", "lena.diaz0")
    page.until(lambda: names(page) == ["lena.diaz0@example.com"])
    page.click("#rows button[data-row]")
    page.until(lambda: "sync-audit sync" in "".join(texts(page, "#sheet .fix")))
    assert "user=" in page.script("return location.hash")
    page.type("#rows button[data-row]", ESCAPE)
    page.until(lambda: not texts(page, "#sheet"))
    page.type("#q", SELECT_ALL + DELETE)
    page.click('[data-tab="error"]')
    page.until(lambda: len(names(page)) == 2)


@pytest.mark.parametrize("width", [500, 800, 1440])
def test_nothing_has_to_be_scrolled_sideways(page: Firefox, width: int) -> None:
    page.send("WebDriver:SetWindowRect", width=width, height=900)
    root = "document.documentElement"
    page.until(lambda: bool(page.script(f"return {root}.scrollWidth <= {root}.clientWidth")))
