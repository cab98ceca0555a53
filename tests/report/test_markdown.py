"""The Markdown report, rendered by GitHub's own implementation of its dialect."""

import io
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

import cmarkgfm  # type: ignore[import-untyped]  # it has no types
import html5lib
import pytest
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]  # it has no types
from hypothesis import given, strategies
from msgspec.structs import replace

from audit.hints.explain import EXPLANATIONS
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser, Finding
from audit.model.replies import Account, WeightsAsked
from audit.model.run import Baseline, Filters
from audit.model.text import escape_controls
from audit.report.answer import answer
from audit.report.markdown import LEAST, LIMIT, NOTHING, code, code_in_text, prose, render, render_within
from audit.report.steps import steps
from audit.report.view import RunView
from audit.report.words import SHORT, STATUS_TITLES
from tests.support.report_hostile import HOSTILE, ids
from tests.support.report_samples import (
    POPULATION,
    SampleRun,
    anna,
    compared,
    everything,
    failed,
    narrowed,
    outdated,
    read,
    record,
    settled,
    uncompared,
    up_to_date,
    version_hash,
)

MARKDOWN = [
    "@octocat and @acme/team",
    "#123 acme/shop#7 GH-9",
    "0123456789abcdef0123456789abcdef01234567",
    "[click](https://evil.example)",
    "![pixel](https://evil.example/p.png)",
    "https://evil.example www.evil.example a@evil.example",
    "<https://evil.example>",
    "`code` ``more``",
    "```\nfence",
    "a|b|c",
    "\\|",
    "ends in \\",
    "|---|",
    "\n\n# heading\n\n---\n> quote\n- item\n1. item",
    "*b* **b** _i_ ~~s~~",
    "</details></td></table><!--",
    "&lt;b&gt; &#64;octocat &commat;",
    "$`\\frac{1}{2}`$ $x$",
    "[^1]\n[^1]: note",
    ":tada: - [ ] task",
    "[ref]: https://evil.example",
]
TEXTS = [*filter(str.strip, HOSTILE), *MARKDOWN]


def raw(run: SampleRun, *, redact: bool = False) -> str:
    out = io.BytesIO()
    render(RunView(run, redact=redact), out)
    return out.getvalue().decode()


def html(markdown: str) -> Element:
    rendered = cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE)
    tree = html5lib.parse(rendered, namespaceHTMLElements=False)
    assert isinstance(tree, Element)
    return tree


def all_text(element: Element) -> str:
    return "".join(element.itertext())


def tables(tree: Element) -> dict[str, list[list[str]]]:
    """Heading above the table -> its rows, without the head."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for element in tree.iter():
        if element.tag in {"h2", "h3"}:
            heading = all_text(element)
        if element.tag == "tbody":
            found.setdefault(heading, []).extend([all_text(cell) for cell in row] for row in element)
    return found


def texts_outside_code(element: Element) -> Iterator[str]:
    if element.tag != "code":
        yield element.text or ""
        for child in element:
            yield from texts_outside_code(child)
            yield child.tail or ""


def shape(element: Element) -> list[Any]:
    """All elements with their attributes, without what stands in them."""
    return [element.tag, sorted(element.attrib.items()), [shape(child) for child in element]]


def test_the_headline_says_how_many_are_affected() -> None:
    (heading,) = html(raw(SampleRun(everything()))).iter("h2")
    said = answer(RunView(SampleRun(everything())))
    assert all_text(heading) == f"Hold: {said.headline}"


def test_what_to_do_now_stands_before_the_counts_with_commands_to_copy() -> None:
    run = SampleRun([outdated(1), failed(2, Reason.MODEL_NOT_FOUND)])
    tree = html(raw(run))
    commands = [all_text(each).strip() for each in tree.iter("pre")]
    assert commands == [step.command for step in steps(RunView(run)) if step.command]
    assert len(commands) == 2
    todo = raw(run).partition("### What to do now")[2]
    assert "| --- |" not in todo.partition("| users |")[0]
    assert "`user00002@example.com`" in todo


def test_a_fence_is_longer_than_what_is_in_it_and_a_command_of_thousands_of_users_is_left_out() -> None:
    for who, shown in (("```\n</pre>", 1), ("x" * 5000, 0)):
        filters = Filters(users=(who,))
        info = narrowed(filters=filters, account=Account("user", "mallory"))
        foreign = Finding(reason=Reason.MODEL_NOT_FOUND, notes=(Note.OWNER_DIFFERS_FROM_ACCOUNT,))
        tree = html(raw(SampleRun([AuditedUser(record(1), foreign)], info)))
        assert len(list(tree.iter("pre"))) == shown


def test_the_counts_are_those_of_the_run() -> None:
    run = SampleRun(everything())
    (counts, *reasons) = next(iter(tables(html(raw(run))).values()))
    summary = run.summary()
    assert counts == [str(summary.total), *(str(summary.statuses[status]) for status in Status)]
    assert {row[1].rpartition("(")[2].rstrip(")"): int(row[2]) for row in reasons} == summary.reasons


@pytest.mark.parametrize("status", [Status.NEEDS_SYNC, Status.ERROR, Status.NOT_CHECKED])
def test_everybody_who_is_not_up_to_date_has_a_row(status: Status) -> None:
    run = SampleRun(everything())
    found = tables(html(raw(run)))
    rows = found[f"{STATUS_TITLES[status]} ({run.summary().statuses[status]})"]
    assert [row[0] for row in rows] == [user.record.email or user.record.user_id for user in run.users(status)]


def test_a_row_has_both_versions_short_and_how_far_they_are_apart() -> None:
    user = outdated(1, behind=2)
    (row,) = tables(html(raw(SampleRun([user]))))["Needs sync (1)"]
    old, new = version_hash((1, 2)), version_hash((1, 0))
    assert row == [
        "user00001@example.com",
        "acme/user-00001-selfie-lora",
        f"{old[:8]}…{old[-8:]} → {new[:8]}…{new[-8:]}",
        "2",
        "2025-07-01 (243 days)",
        "Outdated version (Retraining in progress)",
    ]


def test_a_model_leads_to_its_page_and_no_other_link_leads_anywhere_else() -> None:
    links = [each.get("href") or "" for each in html(raw(SampleRun(everything()))).iter("a")]
    assert "https://replicate.com/acme/user-00201-selfie-lora" in links
    ours = ("https://replicate.com/", "https://api.replicate.com/", "https://www.replicatestatus.com")
    assert all(link.startswith(ours) for link in links)


def test_what_to_do_is_folded_for_each_reason_that_occurs_and_no_other() -> None:
    users = [outdated(1), failed(2, Reason.TIMEOUT), up_to_date(3)]
    found = [all_text(each) for each in html(raw(SampleRun(users))).iter("summary")]
    assert found == ["Outdated version (1 user)", "Timed out (1 user)"]


def test_every_hint_reads_as_it_was_written() -> None:
    for each in EXPLANATIONS:
        for said in (each.meaning, *each.steps):
            (paragraph,) = html(f"1. {prose(said)}").iter("li")
            assert all_text(paragraph) == said.replace("`", "")


def test_an_incomplete_run_is_the_first_thing_said() -> None:
    run = SampleRun(
        [failed(1, Reason.STOPPED)], narrowed(state="stopped", stop_reason="SIGTERM came", finished_at=None)
    )
    said = all_text(html(raw(run)))
    assert said.count("The run ended early: SIGTERM came; 1 user was not reached.") == said.count("SIGTERM came") - 1
    assert said.index("The run ended early") < said.index("What to do now")


def test_a_token_of_another_account_is_the_first_thing_said() -> None:
    foreign = Finding(reason=Reason.MODEL_NOT_FOUND, notes=(Note.OWNER_DIFFERS_FROM_ACCOUNT,))
    run = SampleRun([AuditedUser(record(1), foreign)], narrowed(account=Account("user", "mallory")))
    (said,) = html(raw(run)).iter("blockquote")
    assert "Probably the wrong token. No model was found, and the token belongs to mallory." in all_text(said)


def test_where_no_answer_was_replicates_own_the_base_url_is_suspected() -> None:
    run = SampleRun([failed(1, Reason.BAD_RESPONSE)], narrowed(account=None, base_url="https://gw.example/v1"))
    (said,) = html(raw(run)).iter("blockquote")
    assert "Probably the wrong base URL. Not one answer was Replicate's own." in all_text(said)
    assert "Either https://gw.example/v1 is not its API" in all_text(said)


def test_what_asking_for_weights_came_to_is_told_where_they_were_asked_for() -> None:
    info = narrowed(check_weights=True)
    some = raw(SampleRun([up_to_date(1)], info, weights=WeightsAsked(1200, 3, 0)))
    assert "- Weights asked for: `1,200 URLs: 3 gone`\n" in some
    assert "**Do not trust that all weights are gone.** Every one" in raw(
        SampleRun([up_to_date(1)], info, weights=WeightsAsked(3, 2, 1))
    )
    assert "Weights asked for" not in raw(SampleRun([up_to_date(1)]))


def test_a_narrowed_run_says_so_at_the_top() -> None:
    run = SampleRun([up_to_date(1)], narrowed(filters=Filters(limit=3)))
    said = all_text(html(raw(run)))
    assert said.index("This run checked only 1 of ") < said.index("What to do now")
    assert "Narrowed: to the first 3 users" in said


def test_with_a_baseline_each_row_says_whether_it_is_new() -> None:
    tree = html(raw(compared()))
    said = "Since the run of 2026-02-01 12:00:00 UTC (reports/last.sqlite): 1 new, 1 known, 1 resolved."
    assert said in [all_text(each) for each in tree.iter("p")]
    rows = tables(tree)["Needs sync (2)"]
    assert [row[5] for row in rows] == ["New. Outdated version", "Known. Outdated version"]


def test_words_of_training_status_that_mean_nothing_are_named_where_there_are_any() -> None:
    population = replace(POPULATION, training_status={"completed": 5, "archived": 1200, "": 1})
    assert "- Unknown training_status: `1,200 archived, 1 (blank)`\n" in raw(SampleRun([], population=population))
    assert "Unknown training_status" not in raw(SampleRun([]))


def test_nobody_at_all_is_an_answer_too() -> None:
    (heading,) = html(raw(SampleRun([]))).iter("h2")
    assert (
        all_text(heading)
        == f"{answer(RunView(SampleRun([]))).title}: Nobody was audited: no user matches what the run was narrowed to"
    )


@pytest.mark.parametrize("text", TEXTS, ids=ids(TEXTS))
def test_hostile_text_changes_nothing_but_what_stands_in_code(text: str) -> None:
    assert shape(html(raw(filled(text)))) == shape(html(raw(filled("harmless"))))
    ours = list(texts_outside_code(html(raw(filled(text)))))
    assert ours == list(texts_outside_code(html(raw(filled("harmless")))))


def filled(text: str) -> SampleRun:
    """A run that has `text` wherever data comes from."""
    names = {"email": text, "replicate_model_id": text}
    users = [
        uncompared(1, Reason.UNKNOWN_VERSION, text, **names),
        outdated(2, email=None, user_id=text),
        failed(3, Reason.BAD_RESPONSE, text, replicate_version_id=text, **names),
        failed(4, Reason.STOPPED, text, replicate_version_id=text, **names),
    ]
    filters, since = Filters(users=(text,)), Baseline(run_id=text, started_at=text, path=text, other_place=text)
    said = {"database": text, "base_url": text, "account": Account(text, text), "stop_reason": text}
    return SampleRun(users, narrowed(state="stopped", filters=filters, baseline=since, **said))


@pytest.mark.parametrize("text", TEXTS, ids=ids(TEXTS))
def test_code_shows_the_text_as_it_is_but_for_what_acts_on_a_reader(text: str) -> None:
    (row,) = html(f"| a |\n| --- |\n| {code(text)} |\n").iter("td")
    (line,) = html(f"a {code_in_text(text)} b").iter("p")
    for place, spelled in ((row, escape_controls(text).replace("\\|", "\\\\x7c")), (line, escape_controls(text))):
        (span,) = place.iter("code")
        expected = spelled if len(spelled) < SHORT else spelled[: SHORT // 2]
        assert all_text(span).startswith(expected.strip())


@given(strategies.text(alphabet="`|\\ a\n<&", max_size=12))
def test_code_is_one_span_whatever_stands_in_it(text: str) -> None:
    (row,) = html(f"| a | b |\n| --- | --- |\n| {code(text)} | {code(text)} |\n").iter("tbody")
    (line,) = html(f"{code_in_text(text)} → {code_in_text(text)}").iter("p")
    shown = escape_controls(text).strip()
    for element in (row, line):
        assert [child.tag for child in element.iter("code")] == ["code"] * 2 * bool(shown)
    if "````" not in text and "\\|" not in text:
        assert all_text(line) == f"{shown or NOTHING} → {shown or NOTHING}"
        assert all_text(row).split() == [*(shown or NOTHING).split()] * 2


@pytest.mark.parametrize("text", [None, "", " ", "\u3000"])
def test_nothing_is_shown_as_nothing(text: str | None) -> None:
    assert code_in_text(text) == NOTHING


def test_redaction_leaves_no_trace_of_address_or_name() -> None:
    said = raw(anna(), redact=True).casefold()
    assert "anna" in raw(anna()).casefold()
    assert "anna" not in said
    assert "muster" not in said
    assert "user-00007" in said


def crowd(number: int) -> list[AuditedUser]:
    """Users who take as much room as any."""
    wide = "\U0001f600" * 300
    behind = [outdated(n, email=f"{n}{wide}") for n in range(number)]
    return behind + [failed(number + n, Reason.TIMEOUT, wide, email=f"{n}{wide}") for n in range(number)]


@pytest.mark.parametrize("limit", [LEAST, LIMIT])
def test_what_is_too_long_is_cut_and_says_how_many_are_missing(limit: int) -> None:
    run, out = SampleRun(crowd(2500)), io.BytesIO()
    render_within(RunView(run), out, limit)
    said = out.getvalue().decode()
    assert 0.8 * limit < len(out.getvalue()) <= limit
    found = tables(html(said))
    for status in (Status.NEEDS_SYNC, Status.ERROR):
        shown = len(found[f"{STATUS_TITLES[status]} (2,500)"])
        assert shown
        assert f"**{2500 - shown:,} more are left out here**" in said


def test_a_report_that_fits_is_not_cut() -> None:
    out = io.BytesIO()
    render_within(RunView(SampleRun(everything())), out, LEAST)
    assert out.getvalue().decode() == raw(SampleRun(everything()))
    assert "left out here" not in out.getvalue().decode()


def test_one_user_with_an_endless_model_id_does_not_take_the_room_of_others() -> None:
    users = [outdated(1, replicate_model_id="a/" + "b" * 2_000_000), *(outdated(n) for n in range(2, 50))]
    assert len(tables(html(raw(SampleRun(users))))["Needs sync (49)"]) == 49


def test_what_trainings_came_to_is_told_where_they_were_read() -> None:
    quick = SampleRun([settled(1)], read(mode="trainings", sample=1.0, problem=None))
    said = raw(quick)
    assert "**By trainings.** What that does not see: versions that were pushed or deleted by hand" in said
    assert "- List of trainings: `540 trainings read" in said
    wrong = SampleRun([settled(1), failed(2, Reason.EVIDENCE_DISAGREES, "x")], read(mode="trainings", sample=1.0))
    assert "**Do not trust this run's trainings.**" in raw(wrong)
    assert "List of trainings" not in raw(SampleRun([up_to_date(1)]))
