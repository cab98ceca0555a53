"""The HTML report in a real browser: the table of everybody, its address, its keys, and what it downloads."""

import csv
import io
from pathlib import Path
from urllib.parse import quote

import pytest
from msgspec.structs import replace
from playwright.async_api import expect

from audit.hints import filled as hints
from audit.hints.table import CHECKLIST
from audit.hints.trainings import BASIS, NONE_MADE
from audit.model.codes import LatestPer, Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.tables import Column, Tables
from audit.report import csv_report
from audit.report.fix import Fixes
from audit.report.html import data as html_data
from audit.report.html.users import Sheet, comparison, facts, why
from audit.report.view import RunView
from tests.support.report_browser import Open, Tab, browser, opened, written
from tests.support.report_samples import (
    INFO,
    SampleRun,
    everything,
    newest_rows,
    outdated,
    read,
    report_order,
    settled,
    trained,
    up_to_date,
    version_hash,
    with_trainings,
)

__all__ = ["browser", "opened"]
pytestmark = pytest.mark.asyncio(loop_scope="session")
EVERYTHING = SampleRun(everything())
TRACED = SampleRun(with_trainings(), read(mode="trainings", sample=1.0))
NEWEST = SampleRun(newest_rows(), replace(INFO, stuck_after=21_600.0))
USERS = sorted(EVERYTHING.audited, key=report_order)
ALL = "tab=all&sort="
"""Everybody, in the order of the report."""
URGENT = [user for user in USERS if user.finding.status is not Status.UP_TO_DATE]
EVA = "eva.von-und-zu-langenau@mail.example.org"


def shown(users: list[AuditedUser]) -> list[str]:
    return [user.record.email or user.record.user_id for user in users]


async def test_the_table_takes_the_place_of_the_static_tables_and_shows_who_needs_attention(opened: Open) -> None:
    tab = await (await opened(EVERYTHING)).ready()
    assert sorted(await tab.names()) == sorted(shown(URGENT))
    assert await tab.found() == f"{len(URGENT)} of {len(USERS)} users"
    assert not await tab.page.locator(".users, #no-table, .loading").locator("visible=true").count()
    assert tab.requests == [tab.page.url]
    await tab.page.click("[data-tab=all]")
    assert await tab.found() == f"{len(USERS)} users"
    assert await tab.fragment() == "tab=all"


async def test_who_has_been_affected_the_longest_comes_first(opened: Open) -> None:
    tab = await (await opened(EVERYTHING)).ready()
    since = {name: user.finding.affected_since for name, user in zip(shown(USERS), USERS, strict=True)}
    dates = [since[name] for name in await tab.names()]
    known = [date for date in dates if date]
    assert known == sorted(known)
    assert dates == [*known, *[None] * (len(dates) - len(known))]


async def test_each_tab_has_as_many_as_it_says(opened: Open) -> None:
    tab = await (await opened(EVERYTHING)).ready()
    for button in await tab.page.locator("[data-tab]").all():
        await button.click()
        number = await button.locator("b").inner_text()
        assert (await tab.found()).split()[0] == number
        assert await button.get_attribute("aria-pressed") == "true"
        assert await tab.page.locator("[data-tab][aria-pressed=true]").count() == 1


async def test_a_group_for_each_problem_has_a_heading_with_its_number(opened: Open) -> None:
    tab = await (await opened(EVERYTHING)).ready()
    await tab.page.click("#group")
    headings = await tab.page.locator("#rows .heading").all_inner_texts()
    assert sum(int(heading.split()[-1]) for heading in headings) == len(URGENT)
    assert len(headings) == len({user.finding.reason for user in URGENT})
    assert sorted(await tab.names()) == sorted(shown(URGENT))


async def test_a_column_of_the_histogram_shows_whom_it_counts(opened: Open) -> None:
    tab = await (await opened(EVERYTHING)).ready()
    columns = tab.page.locator("rect[data-affected]")
    for number in range(await columns.count()):
        bucket = await columns.nth(number).get_attribute("data-affected")
        start, end = (bucket or "").split("..")
        await columns.nth(number).click()
        expected = [u for u in URGENT if u.finding.affected_since and start <= u.finding.affected_since < end]
        assert sorted(await tab.names()) == sorted(shown(expected))
        assert await tab.fragment() == f"affected={bucket}"
    await tab.page.click("#chips .chip")
    assert sorted(await tab.names()) == sorted(shown(URGENT))


FOUND = {
    "e-mail": ("EVA.von", [EVA]),
    "id": ("user-00223", ["user00223@example.com"]),
    "no match": ("acme/user-00301", []),
    "model": ("a/b/c", ["user00301@example.com"]),
    "recorded hash": (version_hash((203, 3)), ["user00203@example.com"]),
    "another hash": (version_hash((203, 1))[:12], ["user00203@example.com"]),
    "unlisted hash": ("abababab", ["user00220@example.com"]),
    "code": ("forbidden", ["user00316@example.com"]),
    "words": ("Access 003", ["user00316@example.com"]),
    "name": ("Name user-00210", [EVA]),
    "digits": ("0da6d", []),
    "html": ("<script>", []),
}
"""What is searched for, and who is found."""


async def test_search_finds(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, ALL)).ready()
    for kind, (words, expected) in FOUND.items():
        await tab.page.fill("#q", words)
        assert await tab.names() == expected, kind
        assert await tab.page.locator("#nobody").is_visible() is not bool(expected)
        assert await tab.found() == (f"{1 if expected else 0} of {len(USERS)} users")
        await tab.page.fill("#q", "")
        assert await tab.found() == f"{len(URGENT)} of {len(USERS)} users"


async def test_chips_narrow_by_problem_and_note_and_are_taken_away_by_a_click(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, "sort=")).ready()
    await tab.page.click(".choose:has([data-filter=reason]) summary")
    await tab.page.click(".choose [data-value=timeout]")
    assert await tab.names() == shown([u for u in USERS if u.finding.reason is Reason.TIMEOUT])
    await tab.page.click("#chips .chip")
    assert await tab.names() == shown(URGENT)
    await tab.page.click(".choose:has([data-filter=note]) summary")
    await tab.page.click(".choose [data-value=shared_model]")
    noted = [u for u in USERS if Note.SHARED_MODEL in u.finding.notes]
    assert await tab.names() == shown(noted)
    await tab.rows().first.click()
    await tab.page.click(f"#sheet [data-value={noted[0].finding.notes[-1]}]")
    assert await tab.names() == shown([u for u in USERS if noted[0].finding.notes[-1] in u.finding.notes])


async def test_every_column_sorts_both_ways_with_what_is_missing_last(opened: Open) -> None:
    users = [user for place, user in enumerate(USERS) if place % 3 == 0]
    tab = await (await opened(SampleRun(users), ALL)).ready()
    since = {name: user.finding.affected_since for name, user in zip(shown(users), users, strict=True)}
    heads = tab.page.locator("[data-sort]")
    assert await heads.count() == 6
    for number in range(6):
        head = heads.nth(number)
        for way in ("ascending", "descending"):
            await head.click()
            assert await tab.page.locator("th[aria-sort]").get_attribute("aria-sort") == way
            names = await tab.names()
            assert sorted(names) == sorted(shown(users))
            if await head.inner_text() == "User":
                assert names == sorted(names, key=str.lower, reverse=way == "descending")
            if await head.inner_text() == "Since":
                known = [since[name] for name in names if since[name] is not None]
                assert known == sorted(known, reverse=way == "descending")  # type: ignore[type-var]  # none is None
                assert all(since[name] is None for name in names[len(known) :])
        await head.click()
        if await head.get_attribute("data-sort") != "for":
            await expect(tab.page.locator("th[aria-sort] [data-sort=for]")).to_be_visible()


async def test_pages_hold_a_hundred(opened: Open) -> None:
    users = [up_to_date(number) for number in range(250)]
    tab = await (await opened(SampleRun(users))).ready()
    assert await tab.found() == "1 to 100 of 250 users"
    await tab.page.click("#after")
    await tab.page.click("#after")
    assert await tab.names() == shown(users[200:])
    assert await tab.page.locator("#page").inner_text() == "Page 3 of 3"
    assert await tab.page.is_disabled("#after")
    assert await tab.fragment() == "page=3"


async def test_the_address_leads_back_to_what_was_seen(opened: Open) -> None:
    tab = await (await opened(EVERYTHING)).ready()
    await tab.page.fill("#q", "user00")
    await tab.page.click("[data-tab=error]")
    await tab.page.click("[data-sort=user]")
    await tab.rows().first.click()
    names, address = await tab.names(), await tab.fragment()
    assert address == f"tab=error&q=user00&sort=user&user={names[0][:4]}-{names[0][4:9]}"
    other = await (await opened(EVERYTHING, address)).ready()
    assert await other.names() == names
    assert await other.page.locator("#sheet").is_visible()
    assert await other.page.locator("#sheet").evaluate("element => element.getBoundingClientRect().top < innerHeight")


async def test_back_takes_one_step_at_a_time(opened: Open) -> None:
    tab = await (await opened(EVERYTHING)).ready()
    await tab.page.click("[data-tab=error]")
    await tab.page.locator("#q").press_sequentially("user0031")
    await tab.rows().first.click()
    assert await tab.page.locator("#sheet").count() == 1
    found = len([u for u in URGENT if u.finding.status is Status.ERROR and "user0031" in (u.record.email or "")])
    errors = len([u for u in URGENT if u.finding.status is Status.ERROR])
    for fragment, count in (("tab=error&q=user0031", found), ("tab=error", errors), ("", len(URGENT))):
        await tab.page.go_back()
        await tab.page.wait_for_function("count => document.querySelectorAll('#rows > tr').length === count", arg=count)
        assert await tab.fragment() == fragment
    assert await tab.page.input_value("#q") == ""


@pytest.mark.parametrize(
    ("link", "fragment"),
    [
        ("#reason-outdated_version .first a >> nth=0", "u-1"),
        ("#reason-outdated_version [data-go]", "reason=outdated_version"),
        (".numbers a >> nth=0", "affected="),
    ],
    ids=["first user", "all of a reason", "column"],
)
async def test_links_around_the_table_lead_into_it(opened: Open, link: str, fragment: str) -> None:
    tab = await (await opened(EVERYTHING, viewport={"width": 1280, "height": 500})).ready()
    await tab.page.locator(link).evaluate("element => { element.closest('details').open = true; }")
    await tab.page.click(link)
    assert (await tab.fragment()).startswith(fragment)
    if fragment == "u-1":
        assert await tab.page.locator("#rows [aria-expanded=true]").inner_text() == EVA
    elif fragment == "reason=outdated_version":
        wanted = [u for u in USERS if u.finding.reason is Reason.OUTDATED_VERSION]
        assert sorted(await tab.names()) == sorted(shown(wanted))
    assert await tab.page.evaluate("scrollY") > 0


@pytest.mark.parametrize("old", [*Status, "status=error", "u-3", "everybody"])
async def test_addresses_of_older_reports_still_lead_to_whom_they_mean(opened: Open, old: str) -> None:
    tab = await (await opened(EVERYTHING, old)).ready()
    status = old.removeprefix("status=")
    if old in set(Status) or old == "status=error":
        assert sorted(await tab.names()) == sorted(shown([u for u in USERS if u.finding.status == status]))
    elif old == "u-3":
        assert await tab.page.locator("#rows [aria-expanded=true]").inner_text() == shown(USERS)[2]
    else:
        assert sorted(await tab.names()) == sorted(shown(URGENT))


async def test_the_next_and_the_previous_user_are_a_key_away(opened: Open) -> None:
    tab = await (await opened(EVERYTHING)).ready()
    names, opener = await tab.names(), tab.page.locator("#rows [aria-expanded=true]")
    for key, place in (("j", 0), ("j", 1), ("ArrowRight", 2), ("k", 1), ("ArrowLeft", 0), ("k", 0)):
        await tab.page.keyboard.press(key)
        assert await opener.inner_text() == names[place]
    await tab.page.get_by_role("button", name="Next ›").click()
    assert await opener.inner_text() == names[1]


async def test_what_is_copied_for_a_ticket_names_the_file_and_no_path(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, "user=user-00210", permissions=["clipboard-read", "clipboard-write"])).ready()
    await tab.page.get_by_role("button", name="Copy link").click()
    assert await tab.page.evaluate("navigator.clipboard.readText()") == "report.html#user=user-00210"
    await tab.page.get_by_role("button", name="Copy text for the ticket").click()
    ticket = await tab.page.evaluate("navigator.clipboard.readText()")
    assert ticket.splitlines()[0] == f"{EVA} (user-00210)"
    assert ticket.splitlines()[-1] == "Report: report.html#user=user-00210"
    assert why(next(u for u in USERS if u.record.email == EVA)) in ticket
    await tab.page.get_by_role("button", name="Copy e-mail").click()
    assert await tab.page.evaluate("navigator.clipboard.readText()") == EVA


async def test_the_fix_that_a_row_copies_is_the_one_that_sync_would_make(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, ALL, permissions=["clipboard-read", "clipboard-write"])).ready()
    fixes = [fix.text if fix else "" for _, fix in Fixes(RunView(EVERYTHING)).users()]
    buttons = tab.page.locator("#rows tr:not(.more) .copy")
    assert await buttons.count() == len([fix for fix in fixes if fix]) > 0
    await buttons.first.click()
    assert await tab.page.evaluate("navigator.clipboard.readText()") == next(filter(None, fixes))


async def test_a_user_whose_id_needs_quoting_has_an_address(opened: Open) -> None:
    odd = "a&b=c #1/ü%20"
    run = SampleRun([up_to_date(1), up_to_date(2, user_id=odd, email=None)])
    tab = await (await opened(run, f"user={quote(odd)}")).ready()
    assert await tab.page.locator("#rows [aria-expanded=true]").inner_text() == odd


@pytest.mark.parametrize(("per", "part"), [("model", "acme/cat"), ("row", "7")])
async def test_each_line_of_a_user_has_an_address_and_opens_alone(opened: Open, per: LatestPer, part: str) -> None:
    several = [
        up_to_date(1, replicate_model_id="acme/dog", model_row_id="6"),
        up_to_date(1, replicate_model_id="acme/cat", model_row_id="7"),
    ]
    run = SampleRun([*several, up_to_date(2)], replace(INFO, tables=Tables(latest_per=per)))
    tab = await (await opened(run, ALL)).ready()
    assert await tab.found() == f"3 {per}s"
    await tab.rows().nth(1).click()
    address = f"user=user-00001&line={quote(part, safe='')}"
    assert (await tab.fragment()).endswith(address)
    other = await (await opened(run, address)).ready()
    assert await other.page.locator("#rows button[data-row]").nth(1).get_attribute("aria-expanded") == "true"
    assert await other.page.locator("#rows [aria-expanded=true]").count() == 1
    old = await (await opened(run, "user=user-00001")).ready()  # as reports of users have them
    assert await old.page.locator("#rows button[data-row]").first.get_attribute("aria-expanded") == "true"
    await old.page.fill("#q", "cat" if per == "model" else "7")
    assert len(await old.names()) == 1


async def test_an_address_that_means_nothing_shows_everybody(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, "user=nobody&status=x&page=-7&sort=constructor")).ready()
    assert await tab.names() == []
    await tab.page.click("#chips .chip")
    assert await tab.names() == shown(URGENT)


async def test_keys_are_enough(opened: Open) -> None:
    tab = await (await opened(EVERYTHING)).ready()
    keys = tab.page.keyboard
    await keys.press("/")
    await keys.type("user0020")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "Enter"):
        await keys.press(key)
    focused = tab.page.locator("#rows button[data-row]:focus")
    assert await focused.inner_text() == "user00202@example.com"
    assert await focused.get_attribute("aria-expanded") == "true"
    assert await tab.page.locator(f"#{await focused.get_attribute('aria-controls')}").is_visible()
    outline = await focused.evaluate("element => getComputedStyle(element).outlineStyle")
    assert outline == "solid", "focus is to be seen"
    await keys.press("Tab")
    assert await tab.page.evaluate("document.activeElement.tagName") == "BUTTON"
    await keys.press("Escape")
    assert await tab.page.locator("#sheet").count() == 0
    assert await focused.inner_text() == "user00202@example.com"


@pytest.mark.parametrize("clipboard", ["", "delete Navigator.prototype.clipboard"], ids=["asynchronous", "old"])
async def test_the_query_can_be_copied(opened: Open, clipboard: str) -> None:
    tab = await (
        await opened(EVERYTHING, "user=user-00210", init=clipboard, permissions=["clipboard-read", "clipboard-write"])
    ).ready()
    await tab.page.click("#sheet > td > .sheet > details:last-of-type > summary")
    await tab.page.click("[aria-label='Copy the query']")
    await expect(tab.page.locator("#said")).to_have_text("Copied")
    await tab.page.focus("#q")
    await tab.page.keyboard.press("Control+V")
    assert await tab.page.input_value("#q") == hints.rows_sql(USERS[0].record.user_id)


async def downloaded(tab: Tab) -> bytes:
    async with tab.page.expect_download() as download:
        await tab.page.click("#csv")
    path = await (await download.value).path()
    return path.read_bytes()


async def test_the_download_of_everybody_is_the_csv_report_to_the_byte(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, ALL)).ready()
    out = io.BytesIO()
    csv_report.render(RunView(EVERYTHING), out)
    assert await downloaded(tab) == out.getvalue()


async def test_the_download_holds_what_is_seen_in_its_order(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, "status=needs_sync&sort=-user")).ready()
    rows = list(csv.DictReader(io.StringIO((await downloaded(tab)).decode())))
    assert [row["email"] or row["user_id"] for row in rows] == await tab.names()
    assert len(rows) == 11


SHEET = """(row) => {
    document.querySelector(`#rows [data-row="${row}"]`).click();
    const texts = (what) => Array.from(document.querySelectorAll(`#sheet ${what}`), (element) => element.textContent);
    return {
        hint: texts(".hint")[0], sql: texts("pre.sql")[0], why: texts(".why")[0],
        steps: texts("ol:not(.versions, .timeline) > li"), notes: texts(".noted:not(.trained) h4"),
        cards: texts(".trained h4"), basis: texts(".basis"), none: texts(".no-training"),
        labels: texts(".facts dt"), values: texts(".facts dd"), versions: texts(".versions code"),
        plain: texts(".hashes dd > code"), marks: texts(".hashes mark"), remark: texts(".hashes + .remark"),
    };
}"""
"""Opens a row and reads it, in one question to the browser."""


@pytest.mark.parametrize("run", [EVERYTHING, TRACED, NEWEST], ids=["by versions", "trainings", "newest rows"])
async def test_an_opened_row_says_what_the_hint_table_says(opened: Open, run: SampleRun) -> None:
    tab = await (await opened(run, ALL)).ready()
    for place, user in enumerate(run.users()):
        said = await tab.page.evaluate(SHEET, place)
        expected, finding = Sheet(user, RunView(run)), user.finding
        own = () if finding.status is Status.UP_TO_DATE else expected.filled(finding.reason).steps
        cards = [fact for _, card in expected.trainings for fact in card]
        told = [*expected.newest, *expected.also, *cards, *facts(user.record, finding)]
        basis = BASIS[finding.evidence] if finding.evidence and finding.lineage else ""
        assert said["cards"] == [label for label, _ in expected.trainings]
        assert said["basis"] == ([f"The verdict rests on: {basis}"] if basis else [])
        assert said["why"] == expected.why
        waits = Note.RETRAINING_IN_PROGRESS in finding.notes and finding.status is not Status.UP_TO_DATE
        coming = f"Wait first. {hints.HINTS[Note.RETRAINING_IN_PROGRESS].meaning}"
        assert said["hint"] == (coming if waits else hints.one_line(user))
        assert said["steps"] == [*own, *(step for _, note in expected.notes for step in note.steps)]
        assert said["none"] == ([NONE_MADE] if finding.lineage and not cards else [])
        assert said["notes"] == [f"{note.title} {code}" for code, note in expected.notes]
        assert said["sql"] == expected.sql
        assert said["labels"] == [label for label, _ in told]
        assert [text.removesuffix("Copy") for text in said["values"]] == [value for _, value in told]
        assert said["versions"] == [version.id for version in user.finding.versions]
        compared = comparison(user.record.replicate_version_id, user.finding.latest_version)
        assert said["marks"] == ([part for part in (compared[2], compared[4]) if part] if compared else [])
        assert said["remark"] == ([compared.sentence] if compared else [])
        if compared:
            assert said["plain"] == [user.record.replicate_version_id, user.finding.latest_version]


async def test_the_checklist_has_this_users_values(opened: Open) -> None:
    plain = up_to_date(1, trigger_word="OHWX", lora_scale="0.9")
    verdicts = [
        (plain, [True, True, True, None, None]),
        (
            AuditedUser(plain.record, replace(plain.finding, weights_checked="training")),
            [True, True, True, True, None],
        ),
        (
            up_to_date(2, trigger_word=None, notes=(Note.MISSING_TRIGGER_WORD, Note.GUESSED_WEIGHTS_URL)),
            [True, False, True, False, None],
        ),
        (
            up_to_date(3, notes=(Note.TRIGGER_WORD_DIFFERS, Note.WEIGHTS_URL_OF_ANOTHER_VERSION)),
            [True, False, True, False, None],
        ),
        (up_to_date(4, lora_scale="9", notes=(Note.UNUSUAL_LORA_SCALE,)), [True, True, False, None, None]),
    ]
    tab = await (await opened(SampleRun([user for user, _ in verdicts]))).ready()
    for place, (user, good) in enumerate(verdicts):
        await tab.rows().nth(place).click()
        checks, record = tab.page.locator(".checks li"), user.record
        assert await checks.locator("b").all_inner_texts() == [check.question for check in CHECKLIST]
        assert await checks.locator("code").all_inner_texts() == [
            record.replicate_version_id,
            record.trigger_word or "(not stored)",
            record.lora_scale,
            record.lora_weights_url,
            "not stored",
        ]
        classes = [{None: "null", True: "true", False: "false"}[each] for each in good]
        assert await checks.evaluate_all("items => items.map((item) => item.className)") == classes


async def test_the_checklist_judges_no_column_that_the_table_lacks(opened: Open) -> None:
    lacking = replace(INFO, missing_columns=(Column.TRIGGER_WORD, Column.LORA_SCALE, Column.LORA_WEIGHTS_URL))
    tab = await (await opened(SampleRun([up_to_date(1)], lacking))).ready()
    await tab.rows().first.click()
    classes = await tab.page.locator(".checks li").evaluate_all("items => items.map((item) => item.className)")
    assert classes == ["true", "null", "null", "null", "null"]


async def test_dates_show_the_readers_local_time(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, "user=user-00210", timezone_id="Asia/Tokyo", locale="de-DE")).ready()
    started = tab.page.locator(".run-facts time")
    assert await started.inner_text() == "2026-03-01 12:00 UTC"
    assert await started.get_attribute("datetime") == "2026-03-01T12:00:00Z"
    assert "1. März 2026 um 21:00:00" in (await started.get_attribute("title") or "")
    made = tab.page.locator(".versions time").first
    assert await made.text_content() == "2026-02-20 10:00:00 UTC"
    assert "19:00:00" in (await made.get_attribute("title") or "")


async def test_many_blocks_are_one_table(opened: Open) -> None:
    users = [outdated(n, behind=1 + n % 7) for n in range(30)] + [up_to_date(n) for n in range(100, 4_150)]
    tab = await (await opened(SampleRun(users), "tab=all&sort=&page=41")).ready()
    assert await tab.found() == "4,001 to 4,080 of 4,080 users"
    assert (await tab.names())[-1] == "user04149@example.com"
    await tab.page.fill("#q", "user041")
    assert await tab.found() == "50 of 4,080 users"
    await tab.page.fill("#q", version_hash((3333, 1))[:20])
    assert await tab.names() == ["user03333@example.com"]


async def test_of_very_many_users_the_table_has_those_who_are_not_up_to_date(opened: Open, tmp_path: Path) -> None:
    tab = await (await opened(written(EVERYTHING, tmp_path, most=9), ALL)).ready()
    assert await tab.names() == shown(URGENT)
    assert "who are up to date are in the CSV report" in await tab.page.locator(".keys").inner_text()
    await tab.page.fill("#q", EVA)
    assert await tab.found() == f"1 of {len(URGENT)} users listed"


async def test_the_real_weights_url_can_be_copied(opened: Open) -> None:
    run = SampleRun([trained(outdated(1), id="tr-new", weights="https://replicate.delivery/real")], read())
    tab = await (await opened(run, "user=user-00001", permissions=["clipboard-read", "clipboard-write"])).ready()
    await tab.page.click("#sheet > td > .sheet > details:last-of-type > summary")
    await tab.page.click("[aria-label='Copy the real weights URL']")
    await expect(tab.page.locator("#said")).to_have_text("Copied")
    await tab.page.focus("#q")
    await tab.page.keyboard.press("Control+V")
    assert await tab.page.input_value("#q") == "https://replicate.delivery/real"


async def test_a_user_settled_by_a_training_is_found_by_the_version(opened: Open) -> None:
    tab = await (await opened(TRACED)).ready()
    await tab.page.fill("#q", version_hash((521, 0))[:12])
    assert await tab.names() == ["user00521@example.com"]
    await tab.rows().first.click()
    assert version_hash((521, 0)) in (await tab.page.locator("#sheet").text_content() or "")


async def test_in_a_large_report_what_is_left_out_is_said(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_data, "LARGE", 2)  # nobody wants to wait for as many as it really takes
    users = [trained(settled(1), id="tr-other"), trained(outdated(2), id="tr-new")]
    tab = await (await opened(SampleRun(users, read(mode="trainings")), ALL)).ready()
    said = [await tab.page.evaluate(SHEET, place) for place in (1, 0)]
    ids = [dict(zip(each["labels"], each["values"], strict=True))["Training"] for each in said]
    assert said[0]["values"][0] == "in the JSON report"
    assert said[1]["values"][0] == "tr-new"
    assert ids == [user.record.training_id for user in users], "those that are recorded come last"


async def test_where_trainings_were_not_read_nothing_of_them_is_shown(opened: Open) -> None:
    tab = await (await opened(EVERYTHING, ALL)).ready()
    for place in range(0, len(USERS), 7):
        said = await tab.page.evaluate(SHEET, place)
        assert not {"Real weights URL", "Ended as"} & set(said["labels"])
        assert said["basis"] == said["none"] == said["cards"] == []
