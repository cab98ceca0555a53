"""Accepted findings in every format: to be seen, told apart, and whatever their texts are, only texts."""

import csv
import io
import json
from typing import Any

import jsonschema
import pytest
from playwright.async_api import expect

from audit.model import exit_status
from audit.model.codes import Reason, Status
from audit.model.findings import Acceptances
from audit.model.text import escape_controls, shortened
from audit.report import csv_report, json_report
from audit.report.markdown import LEAST, render_within
from audit.report.view import RunView
from audit.report.words import stale
from tests.commands.run import test_github
from tests.report import test_junit_report as test_report_junit
from tests.report import test_markdown as test_report_md
from tests.report.html import test_page as test_report_html
from tests.report.test_json_report import SCHEMA
from tests.support.ci_runner import TRICKS
from tests.support.report_browser import Open, browser, opened
from tests.support.report_hostile import HOSTILE, ids
from tests.support.report_samples import SampleRun, accepted, accepting, anna, failed, narrowed, outdated, up_to_date

__all__ = ["browser", "opened"]
TEXTS = [text for text in HOSTILE if text.strip()]
ALL = SampleRun(
    [accepting(outdated(1)), up_to_date(2)], narrowed(acceptances=Acceptances(file="accept.toml", entries=()))
)


def as_json(run: SampleRun, *, redact: bool = False) -> dict[str, Any]:
    out = io.BytesIO()
    json_report.render(RunView(run, redact=redact), out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def test_json_has_what_accepts_a_finding_and_what_is_wrong_with_the_entries() -> None:
    document = as_json(accepted(author="Bo"))
    told = {user["user_id"]: user["accepted"] for user in document["users"] if user["accepted"]}
    entry = {"because": "leaves in May", "until": "2026-12-31", "author": "Bo"}
    assert told == {"user-00002": entry, "user-00004": entry}
    summary, block = document["summary"], document["run"]["acceptances"]
    assert summary["accepted"] == 2
    assert summary["total"] == sum(summary[status] for status in Status) == 5
    assert (block["file"], block["accepted"]) == ("accept.toml", 2)
    assert [(each["user"], each["until"]) for each in block["expired"]] == [("gone@example.com", "2026-01-31")]
    assert [each["model"] for each in block["unmatched"]] == ["gone@example.com"]


def test_json_fits_the_schema() -> None:
    validate = jsonschema.Draft202012Validator(SCHEMA).validate
    for run in (accepted(), accepted(author="Bo"), ALL, SampleRun([up_to_date(1)])):
        validate(as_json(run))


def test_without_a_file_json_says_null() -> None:
    document = as_json(SampleRun([outdated(1)]))
    assert (document["run"]["acceptances"], document["summary"]["accepted"]) == (None, 0)
    assert document["users"][0]["accepted"] is None


def test_csv_says_until_when() -> None:
    out = io.BytesIO()
    csv_report.render(RunView(accepted()), out)
    rows = list(csv.reader(io.StringIO(out.getvalue().decode())))
    assert [row[-6] for row in rows] == ["accepted", "", "2026-12-31", "", "2026-12-31", ""]


# HTML
def cells(page: test_report_html.Parsed) -> str:
    """The words of the section of accepted findings."""
    return page.words.partition("Accepted 2 ")[2].partition("Who is in the database")[0]


def test_html_has_a_section_of_them_and_they_are_in_no_other() -> None:
    page = test_report_html.page(accepted(author="Bo"))
    words = page.words
    assert "Needs sync: 1 to 1 of 1" in words
    assert "Check failed: 1 to 1 of 1" in words
    assert "user00002@example.com acme/user-00002-selfie-lora Outdated version" in cells(page)
    assert "2026-12-31 leaves in May Bo" in cells(page)
    assert "1 acceptance expired, and what it accepted counts again. gone@example.com (timed out), until" in words
    assert "1 acceptance matches nobody. model gone@example.com (timed out)." in words


def test_html_links_lead_somewhere_also_where_a_whole_status_is_accepted() -> None:
    for run in (accepted(), ALL):
        page = test_report_html.page(run)
        named = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(named) == len(set(named))
        targets = {link[1:] for link in page.links() if link.startswith("#") and "=" not in link}
        assert targets <= set(named)


@pytest.mark.parametrize("text", TEXTS, ids=ids(TEXTS))
def test_hostile_texts_are_only_text_in_html(text: str) -> None:
    raw = test_report_html.rendered(accepted(text, text, text))
    hostile, harmless = test_report_html.Parsed(raw), test_report_html.page(accepted("~", "~", "~"))
    assert hostile.shape == harmless.shape
    assert escape_controls(raw.replace("\n", "")) == raw.replace("\n", "")
    assert escape_controls(text[:20]) in "".join(hostile.text)


@pytest.mark.asyncio(loop_scope="session")
async def test_the_table_of_everybody_has_badges_texts_and_a_tab(opened: Open) -> None:
    tab = await (await opened(accepted("because <b>\x1b", "Bo"))).ready()
    assert sorted(await tab.names()) == ["user00001@example.com", "user00003@example.com"]
    await tab.page.click("[data-tab=accepted]")
    assert sorted(await tab.names()) == ["user00002@example.com", "user00004@example.com"]
    assert await tab.page.locator("#rows td small").all_inner_texts() == ["Accepted", "Accepted"]
    assert await tab.fragment() == "tab=accepted"
    await tab.rows().first.click()
    await expect(tab.page.locator("#sheet")).to_contain_text("Accepted until 2026-12-31: because <b>\\x1b Bo")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_name_in_the_section_opens_the_user_in_the_table(opened: Open) -> None:
    tab = await (await opened(accepted())).ready()
    await tab.page.click("#accepted summary")
    await tab.page.locator("#accepted th a").first.click()
    await expect(tab.page.locator("#sheet")).to_contain_text("user00002@example.com")
    await expect(tab.page.locator('#rows [aria-expanded="true"]')).to_be_in_viewport()


@pytest.mark.asyncio(loop_scope="session")
async def test_what_is_downloaded_has_the_column_too(opened: Open) -> None:
    tab = await (await opened(accepted(), "tab=all&sort=")).ready()
    async with tab.page.expect_download() as waiting:
        await tab.page.click("#csv")
    path = await (await waiting.value).path()
    out = io.BytesIO()
    csv_report.render(RunView(accepted()), out)
    assert path.read_bytes() == out.getvalue()


@pytest.mark.asyncio(loop_scope="session")
async def test_without_acceptances_there_is_no_filter_for_them(opened: Open) -> None:
    tab = await (await opened(SampleRun([outdated(1)]))).ready()
    assert not await tab.page.locator("[data-tab=accepted]").count()


# Markdown
def test_markdown_has_a_table_of_them_and_they_are_in_no_other() -> None:
    tree = test_report_md.html(test_report_md.raw(accepted(author="Bo")))
    found = test_report_md.tables(tree)
    assert [row[0] for row in found["Needs sync (1)"]] == ["user00001@example.com"]
    assert [row[0] for row in found["Check failed (1)"]] == ["user00003@example.com"]
    assert found["Accepted (2)"][0] == [
        "user00002@example.com",
        "acme/user-00002-selfie-lora",
        "Outdated version",
        "2026-12-31",
        "leaves in May (Bo)",
    ]
    said = test_report_md.all_text(tree)
    assert "2 accepted by accept.toml: they are in these counts, and not in the exit code." in said
    assert "1 acceptance expired, and what it accepted counts again: gone@example.com (timed out), until" in said


@pytest.mark.parametrize("text", [*TEXTS, *test_report_md.MARKDOWN], ids=ids([*TEXTS, *test_report_md.MARKDOWN]))
def test_hostile_texts_are_only_text_in_markdown(text: str) -> None:
    hostile = test_report_md.html(test_report_md.raw(accepted(text, text, text)))
    harmless = test_report_md.html(test_report_md.raw(accepted("~", "~", "~")))
    assert test_report_md.shape(hostile) == test_report_md.shape(harmless)
    plain = "".join(test_report_md.texts_outside_code(hostile))
    assert plain == "".join(test_report_md.texts_outside_code(harmless))


def test_markdown_with_many_stays_within_its_limit() -> None:
    users = [accepting(outdated(number), "x" * 500, "y" * 100) for number in range(400)]
    users += [failed(500 + number, Reason.STOPPED) for number in range(400)]
    out = io.BytesIO()
    render_within(RunView(SampleRun(users, ALL.info)), out, LEAST)
    assert len(out.getvalue()) <= LEAST
    assert b"### Accepted (400)" in out.getvalue()


# JUnit, annotations
def test_in_junit_they_are_skipped_with_the_text() -> None:
    suite = test_report_junit.suite(accepted(author="Bo"))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 1, 1, 2)
    results = [case.result for case in test_report_junit.cases(suite)]
    assert results[1][0].message == (
        "Accepted until 2026-12-31: leaves in May (Bo). Outdated version: 1 newer version on Replicate"
    )
    assert [type(each).__name__ for result in results for each in result] == ["Failure", "Skipped", "Error", "Skipped"]


@pytest.mark.parametrize("text", TEXTS, ids=ids(TEXTS))
def test_hostile_texts_are_only_text_in_junit(text: str) -> None:
    suite = test_report_junit.suite(accepted(text, None, text))
    message = test_report_junit.cases(suite)[1].result[0].message
    assert len(test_report_junit.cases(suite)) == 5
    if text.isprintable() and len(text) < 1000 and text.isascii():
        assert message.startswith(f"Accepted until 2026-12-31: {text}. Outdated")


def test_annotations_are_about_what_is_open() -> None:
    outcome, *reasons = test_github.told(accepted())
    assert "1 acceptance expired, and what it accepted counts again: gone@example.com" in outcome.data
    assert [each.properties["title"] for each in reasons] == ["Outdated version: 1 user", "Model not found: 1 user"]
    assert reasons[0].data.startswith("user00001@example.com. ")


def test_where_all_is_accepted_there_is_a_notice_and_no_warning() -> None:
    assert test_github.levels(test_github.told(ALL, exit_status.OK)) == ["notice"]


@pytest.mark.parametrize("text", [*TEXTS, *TRICKS], ids=ids([*TEXTS, *TRICKS]))
def test_hostile_texts_are_only_text_in_annotations(text: str) -> None:
    assert len(test_github.told(accepted(text, text, text))) == 3


# Redaction
def test_redaction_masks_the_texts_of_acceptances_as_all_others() -> None:
    because = "Anna Muster (anna.muster@example.com) leaves, says Bo Berg"
    run, (user,) = anna(), anna().audited
    entries = accepted(because, "Bo Berg", "anna.muster@example.com").info.acceptances
    whole = SampleRun(
        [accepting(user, because, "Bo Berg")], narrowed(acceptances=entries, filters=run.info.filters), run.population
    )
    document = as_json(whole, redact=True)
    assert document["users"][0]["accepted"] == {
        "because": "*** (***) leaves, says ***",
        "until": "2026-12-31",
        "author": "***",
    }
    (over,) = document["run"]["acceptances"]["expired"]
    assert (over["user"], over["because"], over["author"]) == ("a***@***", "***", "***")
    everywhere = [
        json.dumps(document),
        test_report_md.raw(whole, redact=True),
        test_report_html.rendered(whole, redact=True),
        test_report_junit.rendered(whole, redact=True),
        str(test_github.told(whole, redact=True)),
    ]
    for name in ("muster", "berg"):
        assert [text[:40] for text in everywhere if name in text.casefold()] == []


def test_redaction_masks_the_name_of_a_model_that_is_in_no_row() -> None:
    (stray,) = as_json(accepted(who="acme/anna-muster"), redact=True)["run"]["acceptances"]["unmatched"]
    assert stray["model"] == "acme/***"


def test_of_many_stale_entries_the_first_are_named() -> None:
    entries = tuple(
        entry
        for number in range(8)
        for entry in (accepted(who=f"gone{number}").info.acceptances or Acceptances(file="", entries=())).entries[:1]
    )
    view = RunView(SampleRun([outdated(1)], narrowed(acceptances=Acceptances(file="a", entries=entries))))
    (expired,) = stale(view.accepted)
    assert expired.sentence == "8 acceptances expired, and what they accepted counts again"
    assert expired.text.endswith("gone4 (timed out), until 2026-01-31 and 3 more")
    assert len(shortened(expired.text, 1000)) < 1000
