"""The documentation as a site, in a real browser."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests import ROOT
from tests.support.report_browser import Tab, browser

__all__ = ["browser"]
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]
pytest.importorskip("zensical", reason="it comes with the extra `docs`; make lint and make docs install it")


class Quiet(SimpleHTTPRequestHandler):
    """A web server that logs nothing."""

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built elsewhere, so that nothing of an earlier one is in it."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("docs", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "zensical.toml", folder)
    done = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where it is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def pages(site: Path) -> list[str]:
    """All pages, as addresses within the site."""
    return [path.relative_to(site).as_posix() for path in site.rglob("*.html") if path.name != "404.html"]


async def test_no_page_asks_another_host(browser: Browser, pages: list[str], address: str) -> None:
    tab = Tab(await browser.new_page())
    tab.listen()
    assert len(pages) > 10
    for page in pages:
        await tab.page.goto(address + page, wait_until="networkidle")
    await tab.page.close()
    assert {url for url in tab.requests if not url.startswith((address, "data:", "blob:"))} == set()
    assert tab.faults == []


async def test_every_picture_is_shown(browser: Browser, pages: list[str], address: str) -> None:
    page = await browser.new_page()
    shown = 0
    for name in pages:
        await page.goto(address + name, wait_until="networkidle")
        widths = await page.evaluate("[...document.querySelectorAll('article img')].map(each => each.naturalWidth)")
        assert all(widths), name
        shown += len(widths)
    await page.close()
    assert shown >= 5


async def test_the_search_finds_pages(browser: Browser, address: str) -> None:
    page = await browser.new_page()
    await page.goto(address, wait_until="networkidle")
    await page.keyboard.press("/")
    await page.keyboard.type("outdated_version")
    await page.locator("a[href*='reasons.html']").filter(has_text="outdated_version").first.wait_for(timeout=10_000)
    await page.close()
