"""The HTML report in the places where it is read: without scripts, in sandboxes, on paper, in the dark, by machines."""

import io
import re
from pathlib import Path
from typing import Any

import html5lib
import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from msgspec.structs import replace
from playwright.async_api import Browser, Route, expect

from audit.model.codes import Note, Reason
from audit.model.findings import AuditedUser
from audit.model.replies import Account, Training, TrainingsRead
from audit.model.run import Filters
from audit.model.text import escape_controls
from audit.model.users import Population
from audit.report import csv_report
from audit.report.view import RunView
from tests.support.report_browser import Open, Tab, browser, opened, written
from tests.support.report_hostile import CONTROLS, FORMULAS, HTML, PLANES, QUOTES
from tests.support.report_samples import (
    INFO,
    POPULATION,
    SampleRun,
    everything,
    failed,
    narrowed,
    outdated,
    read,
    trained,
    uncompared,
    up_to_date,
    with_trainings,
)
from tests.support.report_states import states

__all__ = ["browser", "opened"]
pytestmark = pytest.mark.asyncio(loop_scope="session")
EVERYTHING = SampleRun(everything())
NOBODY = Population(**dict.fromkeys(POPULATION.__struct_fields__[:-1], 0), training_status={"Completed": 9})
FEW = SampleRun([user for user in everything() if user.record.user_id[-2:] in {"02", "04", "11", "23", "41"}])
TRACED = SampleRun(with_trainings(), read(mode="trainings", sample=1.0, complete=False, problem="500 Server Error"))
STOPPED = SampleRun(
    [outdated(1), failed(2, Reason.STOPPED, None), up_to_date(3)],
    narrowed(state="stopped", stop_reason="SIGTERM", redacted=True, filters=Filters(limit=3)),
)


OPENED = "#reason-outdated_version > summary, #population > summary, #run summary"


async def says_what_matters(tab: Tab) -> None:
    text = await tab.page.locator("body").inner_text()
    order = [
        "2026-03-01 12:00 UTC",
        "of 77 users",
        "could not be checked",
        "What to do now",
        "sync-audit run",
        "Affected since per",
        "Needs sync: 1 to 11 of 11",
        "Check failed: 1 to 16 of 16",
        "Not reached: 1 to 3 of 3",
        "Nothing has to be done",
        "What the problems mean",
        "set replicate_version_id to ‹latest version›",
        "Counted over everybody",
        "Once more",
    ]
    places = [text.find(words) for words in order]
    assert places == sorted(places), "from the answer to the context"
    assert -1 not in places
    assert not await tab.page.locator("#everybody").count()


async def test_without_scripts_everything_that_matters_is_there(opened: Open) -> None:
    tab = await opened(EVERYTHING, java_script_enabled=False)
    for details in await tab.page.locator(OPENED).all():
        await details.click()
    await says_what_matters(tab)
    assert not await tab.page.locator("#no-table, .loading").locator("visible=true").count()
    await tab.page.locator("#needs_sync summary").first.click()
    assert (
        "001f2dcfd6da698d2c4e0cd45fc655f73ad6aeac48271a87e6040456113ffb77"
        in await tab.page.locator("#needs_sync .sheet").first.inner_text()
    )


@pytest.mark.parametrize(
    ("policy", "styled"),
    [
        ("sandbox", True),
        pytest.param("default-src 'none'; style-src 'unsafe-inline'; sandbox", True, marks=pytest.mark.slow),
        ("sandbox; default-src 'none'; style-src 'self'", False),
    ],
    ids=["sandbox", "raw files of code hosts", "Jenkins"],
)
async def test_under_a_strict_policy_it_says_what_matters(
    browser: Browser, tmp_path: Path, policy: str, *, styled: bool
) -> None:
    body = written(EVERYTHING, tmp_path).read_bytes()

    async def answer(route: Route) -> None:
        await route.fulfill(body=body, headers={"content-type": "text/html", "content-security-policy": policy})

    context = await browser.new_context()
    await context.route("**/*", answer)
    tab = Tab(await context.new_page())
    await tab.page.goto("http://report.test/report.html")
    colour = await tab.page.locator("h1").evaluate("element => getComputedStyle(element).color")
    assert (colour != "rgb(0, 0, 0)") is styled
    for details in await tab.page.locator(OPENED).all():
        await details.click()
    await says_what_matters(tab)
    await context.close()


@pytest.mark.parametrize("rights", ["", "allow-scripts"], ids=["no rights", "scripts"])
async def test_in_a_frame_with_a_sandbox_it_can_be_read(opened: Open, tmp_path: Path, rights: str) -> None:
    written(EVERYTHING, tmp_path, "inner.html")
    outer = tmp_path / "outer.html"
    outer.write_text(f'<iframe sandbox="{rights}" src="inner.html" width=1000 height=800></iframe>')
    tab = await opened(outer)
    frame = tab.page.frame_locator("iframe")
    if rights:
        await frame.locator("#q").fill("eva")
        await expect(frame.locator("#found")).to_have_text("1 of 77 users")
        await frame.locator("#rows button").first.click()
        await frame.get_by_role("button", name="Copy id").click()
        await expect(frame.locator("#said")).to_have_text(re.compile("Copied|not allowed"))
        tab.faults = [fault for fault in tab.faults if "Clipboard API has been blocked" not in fault]
    else:
        await expect(frame.locator("#needs_sync th[scope=row]").first).to_be_visible()
        tab.faults = [fault for fault in tab.faults if "Blocked script execution" not in fault]


@pytest.mark.parametrize(
    ("init", "why"),
    [
        ("delete window.DecompressionStream", "DecompressionStream is not defined"),
        pytest.param(
            "window.DecompressionStream = function () { throw new Error('no') }", "no", marks=pytest.mark.slow
        ),
        ("delete Uint8Array.fromBase64; window.atob = () => 'x'", ""),
    ],
    ids=["too old", "broken", "damaged"],
)
async def test_where_the_table_fails_the_static_part_stays_and_a_line_says_so(
    opened: Open, init: str, why: str
) -> None:
    tab = await opened(EVERYTHING, init=init)
    await expect(tab.page.locator("#no-table")).to_contain_text(f"could not be opened here ({why}")
    for details in await tab.page.locator(OPENED).all():
        await details.click()
    await says_what_matters(tab)


async def test_an_older_browser_decodes_the_data_by_itself(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, init="delete Uint8Array.fromBase64")).ready()
    assert await tab.found() == "30 of 77 users"


async def test_paper_has_the_static_tables_and_nothing_to_press(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, "user=user-00210")).ready()
    await tab.page.emulate_media(media="print")
    await expect(tab.page.locator("#needs_sync .static thead >> nth=0")).to_be_visible()
    pressable = tab.page.locator("button, input, select, nav, #everybody")
    assert not await pressable.locator("visible=true").count()
    head = await tab.page.locator("#needs_sync thead").first.evaluate("element => getComputedStyle(element).display")
    assert head == "table-header-group", "it is repeated on every page"
    assert (await tab.page.pdf()).startswith(b"%PDF")


def hostile_users(text: str, number: int) -> list[AuditedUser]:
    fields: dict[str, Any] = {
        "email": text,
        "display_name": text,
        "replicate_model_id": text,
        "training_id": text,
        "trigger_word": text,
        "lora_scale": text,
        "lora_weights_url": text,
        "model_name": text,
        "later_failure_reason": text,
        "shared_with": (text,),
        "shared_with_count": 1,
        "model_row_id": text,
    }
    notes = (Note.SHARED_MODEL, Note.LATER_TRAINING_FAILED, Note.QUALIFIED_VERSION, Note.UNUSUAL_LORA_SCALE)
    users = [
        up_to_date(number, notes=notes, **(fields | {"user_id": f"{text}{number}"})),
        failed(number, Reason.REJECTED, text, **(fields | {"user_id": f"{text}-{number}"})),
        uncompared(number, Reason.MALFORMED_VERSION, text, **(fields | {"user_id": f"{text}/{number}"})),
    ]
    other = f"{text}."
    later = Training(id=f"{text}later", status=other, error=other)
    return [trained(user, later, id=other, weights=other, trigger_word=other, error=other) for user in users]


TEXTS = [
    "Anna;=1+41",
    'a| "@x',
    *HTML,
    *FORMULAS,
    *CONTROLS,
    *PLANES,
    *QUOTES,
    "x" * 100_000,
    "\U0001f600" * 40_000,
    "<b>" * 30_000,
]


@pytest.fixture(scope="module")
def hostile() -> SampleRun:
    users = [hostile_users(text, number)[number % 3] for number, text in enumerate(TEXTS)]
    info = narrowed(
        stop_reason=HTML[0],
        state="stopped",
        database=HTML[1],
        account=Account("user", HTML[2]),
        trainings=TrainingsRead(mode="trainings", problem=HTML[4], began_at=INFO.started_at),
    )
    return SampleRun(users, info, replace(POPULATION, training_status={HTML[3]: 1}))


async def test_hostile_data_stays_text(opened: Open, hostile: SampleRun) -> None:
    tab = await (await opened(hostile, "tab=all")).ready()
    strange = "#rows :is(script, img, iframe, svg, style, input, [onload], [onerror], a:not([href^='https:']))"
    seen = await tab.page.evaluate(
        """(strange) => Array.from(document.querySelectorAll("#rows [data-row]"), ({ dataset }) => {
            document.querySelector(`#rows [data-row="${dataset.row}"]`).click();
            return [document.querySelectorAll("#sheet dl").length > 0, document.querySelectorAll(strange).length];
        })""",
        strange,
    )
    assert seen == [[True, 0]] * len(hostile.audited)


async def test_the_download_guards_hostile_data_like_the_csv_report(opened: Open, hostile: SampleRun) -> None:
    tab = await (await opened(hostile, "tab=all&sort=")).ready()
    async with tab.page.expect_download() as download:
        await tab.page.click("#csv")
    path = await (await download.value).path()
    out = io.BytesIO()
    csv_report.render(RunView(hostile), out)
    assert path.read_bytes().split(b"\r\n") == out.getvalue().split(b"\r\n")


async def test_control_characters_are_spelled_out_in_the_table(opened: Open) -> None:
    tab = await (await opened(SampleRun([up_to_date(1, email="a\x1b[2J\u202eb", trigger_word="\t=1")]))).ready()
    assert await tab.names() == ["a\\x1b[2J\\u202eb"]
    await tab.rows().first.click()
    assert escape_controls("\t=1") in (await tab.page.locator("#sheet").text_content() or "")


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        ("dark", 400),
        pytest.param("light", 400, marks=pytest.mark.slow),
        pytest.param("dark", 1280, marks=pytest.mark.slow),
    ],
)
async def test_axe_finds_nothing_with_a_row_open(opened: Open, scheme: str, width: int) -> None:
    view = {"width": width, "height": 900}
    tab = await (await opened(FEW, "user=user-00202", color_scheme=scheme, viewport=view, bypass_csp=True)).ready()
    results = await Axe().run(tab.page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_axe_finds_nothing_with_trainings_shown(opened: Open, scheme: str) -> None:
    tab = await (await opened(TRACED, "user=user-00501", color_scheme=scheme, bypass_csp=True)).ready()
    results = await Axe().run(tab.page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("run", [pytest.param(FEW, marks=pytest.mark.slow), TRACED], ids=["by versions", "trainings"])
async def test_axe_finds_nothing_in_the_static_page(opened: Open, run: SampleRun) -> None:
    tab = await opened(run, init="delete window.DecompressionStream", bypass_csp=True)
    await expect(tab.page.locator("#no-table")).to_be_visible()
    results = await Axe().run(tab.page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("width", [400, 600, 800, 1440])
@pytest.mark.parametrize("scripts", [True, False], ids=["table", "static"])
async def test_nothing_is_wider_than_the_screen(opened: Open, hostile: SampleRun, width: int, *, scripts: bool) -> None:
    tab = await opened(hostile, viewport={"width": width, "height": 900}, java_script_enabled=scripts)
    if scripts:
        await tab.ready()
        await tab.rows().first.click()
    assert await tab.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "height"), [(1440, 2200), (400, 4500)])
async def test_of_eight_hundred_users_those_in_need_are_on_a_short_page(opened: Open, width: int, height: int) -> None:
    run = states()["affected"]
    tab = await (await opened(run, viewport={"width": width, "height": 900})).ready()
    assert len(await tab.names()) == 35
    assert await tab.page.evaluate("document.documentElement.scrollHeight") <= height
    if width > 1000:
        box = await tab.rows().first.bounding_box()
        assert box
        assert box["y"] < 700
        heights = await tab.page.evaluate(
            "Array.from(document.querySelectorAll('#rows tr'), (row) => row.offsetHeight)"
        )
        assert max(heights) <= 37


async def test_eight_hundred_users_are_a_few_sheets_of_paper(opened: Open) -> None:
    tab = await (await opened(states()["affected"])).ready()
    printed = await tab.page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) < 8


@pytest.mark.parametrize(
    "run",
    [EVERYTHING, STOPPED, SampleRun([], population=NOBODY), SampleRun([outdated(n) for n in range(205)]), TRACED],
    ids=["everything", "stopped", "empty", "many", "trainings"],
)
async def test_the_markup_is_valid(run: SampleRun, tmp_path: Path) -> None:
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(written(run, tmp_path).read_text())
    assert [(position, code) for position, code, _ in parser.errors] == []


async def test_an_empty_report_has_no_table(opened: Open) -> None:
    tab = await opened(SampleRun([], population=NOBODY))
    assert await tab.page.locator("h1").inner_text() == "Unknown Nobody was audited: no user has a completed model"
    assert not await tab.page.locator("#everybody, #no-table, .loading").locator("visible=true").count()
