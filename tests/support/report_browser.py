"""Reports in a real browser: Debian's chromium, driven by Playwright, never downloaded, never skipped."""

import io
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Dialog, Locator, Page, Request, async_playwright

from audit.report.html import render as html_report
from audit.report.html.data import MOST
from audit.report.view import RunView
from tests.support.report_samples import SampleRun

FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-software-rasterizer",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
)
"""Quiet and offline; without a sandbox, because CI runs as root and the only pages are our own."""


@dataclass
class Tab:
    """A page in the browser, and all that it should not have done."""

    page: Page
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Notes requests, dialogs, and whatever the browser complains of."""

        def requested(request: Request) -> None:
            self.requests.append(request.url)

        def on_console(message: ConsoleMessage) -> None:
            self.faults.append(message.text)

        async def asked(dialog: Dialog) -> None:
            self.faults.append(f"dialog: {dialog.message}")
            await dialog.dismiss()

        self.page.on("request", requested)
        self.page.on("console", on_console)
        self.page.on("dialog", asked)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    async def ready(self) -> "Tab":
        """Waits for the table of everybody."""
        await self.page.wait_for_selector("html.ready", state="attached")
        return self

    def rows(self) -> Locator:
        """The names in the table, as buttons."""
        return self.page.locator("#rows button[data-row]")

    async def names(self) -> list[str]:
        """The names in the table, top to bottom."""
        return await self.rows().all_inner_texts()

    async def found(self) -> str:
        """The words about the number of results."""
        return await self.page.locator("#found").inner_text()

    async def fragment(self) -> str:
        """The address, behind the `#`."""
        return self.page.url.partition("#")[2]


Open = Callable[..., Awaitable[Tab]]
"""Path or run, a fragment, and options of the browser's context -> the page."""


def written(run: SampleRun, folder: Path, name: str = "report.html", most: int = MOST) -> Path:
    """The run's report as a file."""
    out = io.BytesIO()
    html_report.render(RunView(run), out, most)
    path = folder / name
    path.write_bytes(out.getvalue())
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests of a process."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("these tests need a browser: apt-get install chromium", pytrace=False)
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def opened(browser: Browser, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens reports; at the end no page may have asked for anything, or have complained."""
    tabs: list[Tab] = []

    async def open_report(run: SampleRun | Path, fragment: str = "", init: str = "", **options: Any) -> Tab:
        path = run if isinstance(run, Path) else written(run, tmp_path)
        context = await browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        context.set_default_timeout(10_000)
        if init:
            await context.add_init_script(init)
        tab = Tab(await context.new_page())
        tab.listen()
        tabs.append(tab)
        await tab.page.goto(f"{path.as_uri()}{'#' * bool(fragment)}{fragment}")
        return tab

    yield open_report
    for tab in tabs:
        await tab.page.context.close()
        assert tab.faults == []
        assert [url for url in tab.requests if not url.startswith(("file:", "data:", "blob:"))] == []
