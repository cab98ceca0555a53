"""What the HTML page says above and around its rows: one declared, frozen view with strings ready to print."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from audit import hints
from audit.hints import Hint
from audit.models import AuditedUser, Note, Population, Reason, Status
from audit.report.headline import exit_meaning, headline
from audit.report.html_charts import Chart, Segment, lag_charts, reasons_chart, split, split_text
from audit.report.html_choices import Choices, choices
from audit.report.html_data import packed
from audit.report.html_listed import Listed
from audit.report.html_run import reproduce, run_facts
from audit.report.html_users import ACCEPTED_SHOWN, Placed, accepted, placed, shown, tables
from audit.report.html_verdict import Banner, Count, banners, head_facts, status_count
from audit.report.html_words import anchor, generic, head
from audit.report.view import ATTENTION, RunView
from audit.report.words import STATUS_TITLES

DrawTable = Callable[[str, Mapping[str, object]], Markup]
"""Template name and values -> the table."""

NAMED = 5
"""How many users a reason names."""


class Group(NamedTuple):
    """A reason or note that occurs, with its entry in the hint table and the first users it concerns."""

    code: str
    tone: str
    number: int
    hint: Hint
    users: tuple[tuple[str, str], ...]
    """Anchor and name; none where all of them are up to date."""
    section: str = ""
    """Where the others are on the page."""


class Section(NamedTuple):
    """The users of one status, streamed: `tables` can be gone through once."""

    status: str
    title: str
    number: int
    shown: int
    """How many of them have a static row."""
    in_table: bool
    """Whether the script has the others."""
    lead: str
    tables: Iterator[Markup]
    """Each a finished table of some rows."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """The whole page, top to bottom."""

    title: str
    verdict: str
    """`ok`, `needs_sync`, `error` or `empty`: colours the headline and the icon in the browser's tab."""
    headline: str
    exit_meaning: str
    banners: tuple[Banner, ...]
    head_facts: tuple[tuple[str, str], ...]
    counts: tuple[Count, ...]
    total: int
    listed: Listed
    split: tuple[Segment, ...]
    split_text: str
    reasons: tuple[Group, ...]
    charts: tuple[Chart, ...]
    notes: tuple[Group, ...]
    answers: tuple[Hint, ...]
    population: tuple[tuple[str, int], ...]
    training_status: tuple[tuple[str, int], ...]
    sections: tuple[Section, ...]
    accepted: Iterator[Placed]
    accepted_number: int
    accepted_file: str
    accepted_left_out: int
    checklist: Hint
    run_facts: tuple[tuple[str, str], ...]
    command: str
    choices: Choices
    data: Iterator[Markup]
    """The table's users for the script, as base64 in pieces: no character of it means anything to HTML."""


def build(view: RunView, draw: DrawTable, listed: Listed) -> Page:
    """The page; the users in its sections are read when the template comes to them."""
    run, summary = view.run, view.summary
    verdict, sentence = headline(view)
    firsts, notes, lags = _survey(view)
    charts = (reasons_chart(summary), *lags)
    answers = hints.population_answers(view.population, summary, view.tables) if view.population else ()
    return Page(
        title=f"{sentence} · {run.database}",
        verdict=verdict,
        headline=sentence,
        exit_meaning=exit_meaning(view),
        banners=(*banners(view), *_left_out(listed)),
        head_facts=head_facts(run),
        counts=tuple(status_count(view, status) for status in Status),
        total=summary.total,
        listed=listed,
        split=split(summary),
        split_text=split_text(summary),
        reasons=tuple(
            _reason_group(view, reason, firsts[reason]) for reason in summary.reasons if reason != Reason.LATEST_VERSION
        ),
        charts=tuple(chart for chart in charts if chart.bars),
        notes=tuple(Group(note.value, "note", n, generic(note), ()) for note, n in summary.notes.items()),
        answers=answers,
        population=_population(view.population),
        training_status=tuple(view.population.training_status.items()) if view.population else (),
        sections=tuple(_section(view, status, draw, listed) for status in Status if view.open[status]),
        accepted=accepted(view),
        accepted_number=view.accepted.total,
        accepted_file=run.acceptances.file if run.acceptances else "",
        accepted_left_out=max(0, view.accepted.total - ACCEPTED_SHOWN),
        checklist=generic(Reason.LATEST_VERSION),
        run_facts=run_facts(view),
        command=reproduce(run),
        choices=choices(view, listed, notes),
        data=map(Markup, packed(view, listed)),
    )


def _survey(
    view: RunView,
) -> tuple[Mapping[Reason, tuple[tuple[str, str], ...]], Mapping[Note, int], tuple[Chart, ...]]:
    """Of those who are not up to date, in one pass: the first users of each reason, notes, and how far behind."""
    firsts: dict[Reason, tuple[tuple[str, str], ...]] = {}
    notes: Counter[Note] = Counter()

    def outdated() -> Iterator[tuple[int, AuditedUser]]:
        for status in ATTENTION:
            for place, user in placed(view, status) if view.summary.statuses[status] else ():
                reason = user.finding.reason
                notes.update(user.finding.notes)
                named = firsts.setdefault(reason, ())
                if len(named) < NAMED:
                    firsts[reason] = (*named, (anchor(place), head(user.record.email or user.record.user_id)))
                if reason is Reason.OUTDATED_VERSION:
                    yield place, user

    charts = lag_charts(outdated())
    return firsts, dict(sorted(notes.items(), key=lambda item: (-item[1], item[0]))), charts


def _left_out(listed: Listed) -> Iterator[Banner]:
    if listed.left_out:
        text = "The {:,} who are up to date are in every count, and in the CSV report of this run: <code>{}</code>"
        command = "sync-audit render RUN -o all.csv"
        title = "Only those who are not up to date are listed"
        yield Banner("not_checked", title, Markup(text).format(listed.left_out, command))  # noqa: S704 - ours


def _reason_group(view: RunView, reason: Reason, users: tuple[tuple[str, str], ...]) -> Group:
    section = reason.status.value if view.open[reason.status] else "accepted"
    return Group(reason.value, reason.status.value, view.summary.reasons[reason], generic(reason), users, section)


def _population(population: Population | None) -> tuple[tuple[str, int], ...]:
    if population is None:
        return ()
    return (
        ("Users", population.users),
        ("Users with a completed model", population.users_with_completed_model),
        ("Completed models that count", population.completed_models),
        ("Users with several completed models", population.users_with_several_completed_models),
        ("Completed models hidden by a newer one", population.completed_models_hidden),
        ("Completed models without a model id", population.completed_without_model_id),
        ("Completed test models left out", population.test_models_left_out),
        ("Completed models whose user does not exist", population.models_without_user),
    )


_LEADS = {
    Status.NEEDS_SYNC: "The product runs another version for these users than the newest one, or none.",
    Status.ERROR: "Nothing is known about these users: neither that they are up to date nor that they are not.",
    Status.NOT_CHECKED: "The run ended before their turn.",
    Status.UP_TO_DATE: "The recorded version is the latest one on Replicate.",
}


def _section(view: RunView, status: Status, draw: DrawTable, listed: Listed) -> Section:
    said = {"status": status.value, "title": STATUS_TITLES[status], "number": view.open[status], "tables": view.tables}
    return Section(
        status=status.value,
        title=STATUS_TITLES[status],
        number=view.open[status],
        shown=shown(view, status),
        in_table=status is not Status.UP_TO_DATE or not listed.left_out,
        lead=_LEADS[status],
        tables=(draw(table.template, {**said, "chunk": table}) for table in tables(view, status)),
    )
