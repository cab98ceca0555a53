"""The page of a comparison in a real browser."""

from pathlib import Path

import html5lib
import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from playwright.async_api import expect

from audit.commands.diff import compare
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.report.writer import Output
from tests.support.report_browser import Open, browser, opened
from tests.support.run_files import run_file_of
from tests.support.samples import NEW, OLD, finding, record

__all__ = ["browser", "opened"]
pytestmark = pytest.mark.asyncio(loop_scope="session")
LONG = "<img src=x onerror=alert(1)>" + "x" * 3000


def user(name: str, reason: Reason, **changes: str) -> AuditedUser:
    return AuditedUser(
        record(user_id=name, email=f"{name}@example.com", **changes), finding(reason, latest_version=NEW, detail=LONG)
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison with every change."""
    folder = tmp_path_factory.mktemp("diff")
    due, fine, unknown = Reason.OUTDATED_VERSION, Reason.LATEST_VERSION, Reason.TIMEOUT
    old = [user("cleo", due), user("bea", due, replicate_version_id=OLD), user("ada", fine), user("dan", fine)]
    new = [user("ada", due), user("bea", due), user("eve", unknown, replicate_model_id=LONG), user("cleo", fine)]
    first = run_file_of(folder / "a.sqlite", [*old, user("fay", fine)], id="a" * 32)
    second = run_file_of(folder / "b.sqlite", [*new, user("gus", fine), user("fay", fine)], id="b" * 32, database=LONG)
    with compare.comparison(first, second) as view:
        compare.write([Output("html", str(folder / "diff.html"))], view)
    return folder / "diff.html"


async def test_each_change_has_a_section_to_which_its_count_leads(opened: Open, page: Path) -> None:
    tab = await opened(page)
    titles = await tab.page.locator("section h2").all_inner_texts()
    counted = ["New 1", "Not compared 1", "Changed 1", "Resolved 1", "Appeared 1", "Left 1"]
    assert titles == ["What became of the users", *counted, "The two runs"]
    for link in await tab.page.locator(".changes a").all():
        assert await tab.page.locator(str(await link.get_attribute("href"))).count() == 1
    await expect(tab.page.locator("#new tbody tr")).to_contain_text("ada@example.com")
    await expect(tab.page.locator(".banner").first).to_contain_text("The databases differ")


async def test_the_markup_is_valid(page: Path) -> None:
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(page.read_text())  # noqa: ASYNC240 - nobody waits for this test
    assert [(position, code) for position, code, _ in parser.errors] == []


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    opened: Open, page: Path, scheme: str, width: int
) -> None:
    view = {"width": width, "height": 900}
    tab = await opened(page, color_scheme=scheme, viewport=view, bypass_csp=True)
    results = await Axe().run(tab.page)
    assert results.violations_count == 0, results.generate_report()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_page_allows_its_own_style_and_no_script(opened: Open, page: Path) -> None:
    tab = await opened(page)
    policy = await tab.page.locator("meta[http-equiv]").get_attribute("content")
    assert policy
    assert "script-src" not in policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    background = await tab.page.evaluate("getComputedStyle(document.querySelector('.diff')).tableLayout")
    assert background == "fixed"
