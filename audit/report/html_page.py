"""What the HTML page says above and around its rows: one declared, frozen view with strings ready to print."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from audit import hints
from audit.hints import HINTS, Hint
from audit.models import Note, Population, Reason, Status
from audit.report.html_accepted import AcceptedSection, accepted
from audit.report.html_attention import DrawTable, shown, survey, tables
from audit.report.html_charts import Chart, Segment, reasons_chart, split, split_text
from audit.report.html_data import packed
from audit.report.html_run import reproduce, run_facts
from audit.report.html_verdict import Banner, Count, banners, exit_meaning, head_facts, headline, status_count
from audit.report.html_words import MARK_TITLES, STATUS_TITLES, generic
from audit.report.view import ATTENTION, RunView


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
    lead: str
    tables: Iterator[Markup]
    """Each a finished table of some rows."""


class Choice(NamedTuple):
    """What the table can be narrowed to."""

    code: str
    title: str
    number: int


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
    split: tuple[Segment, ...]
    split_text: str
    reasons: tuple[Group, ...]
    charts: tuple[Chart, ...]
    notes: tuple[Group, ...]
    answers: tuple[Hint, ...]
    population: tuple[tuple[str, int], ...]
    training_status: tuple[tuple[str, int], ...]
    sections: tuple[Section, ...]
    accepted: AcceptedSection | None
    """None where nothing is accepted."""
    checklist: Hint
    run_facts: tuple[tuple[str, str], ...]
    command: str
    status_choices: tuple[Choice, ...]
    reason_choices: tuple[Choice, ...]
    note_choices: tuple[Choice, ...]
    mark_choices: tuple[Choice, ...]
    """None without a baseline."""
    accepted_choices: tuple[Choice, ...]
    """None where nothing is accepted."""
    data: Iterator[Markup]
    """All users for the script, as base64 in pieces: no character of it means anything to HTML."""


def build(view: RunView, draw: DrawTable) -> Page:
    """The page; the users in its sections are read when the template comes to them."""
    run, summary = view.run, view.summary
    verdict, sentence = headline(view)
    surveyed = survey(view)
    charts = (reasons_chart(summary), *surveyed.charts)
    answers = hints.population_answers(view.population, summary, view.tables) if view.population else ()
    return Page(
        title=f"{sentence} · {run.database}",
        verdict=verdict,
        headline=sentence,
        exit_meaning=exit_meaning(view),
        banners=tuple(banners(view)),
        head_facts=head_facts(run),
        counts=tuple(status_count(view, status) for status in Status),
        total=summary.total,
        split=split(summary),
        split_text=split_text(summary),
        reasons=tuple(
            _reason_group(view, reason, surveyed.firsts[reason])
            for reason in summary.reasons
            if reason != Reason.LATEST_VERSION
        ),
        charts=tuple(chart for chart in charts if chart.bars),
        notes=tuple(Group(note.value, "note", n, generic(note), ()) for note, n in summary.notes.items()),
        answers=answers,
        population=_population(view.population),
        training_status=tuple(view.population.training_status.items()) if view.population else (),
        sections=tuple(_section(view, status, draw) for status in Status if view.open[status]),
        accepted=accepted(view),
        checklist=generic(Reason.LATEST_VERSION),
        run_facts=run_facts(view),
        command=reproduce(run),
        status_choices=tuple(Choice(s.value, STATUS_TITLES[s], n) for s, n in summary.statuses.items() if n),
        reason_choices=_choices(summary.reasons),
        note_choices=_choices(summary.notes),
        mark_choices=tuple(Choice(m, MARK_TITLES[m], n) for m, n in view.news.marks.items() if n) if view.news else (),
        accepted_choices=_accepted_choices(view),
        data=map(Markup, packed(view)),
    )


def _accepted_choices(view: RunView) -> tuple[Choice, ...]:
    if not view.accepted.total:
        return ()
    counts = (("yes", "Accepted", view.accepted.total), ("no", "Open", sum(view.open[each] for each in ATTENTION)))
    return tuple(Choice(*each) for each in counts)


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


def _section(view: RunView, status: Status, draw: DrawTable) -> Section:
    title, number = STATUS_TITLES[status], view.open[status]
    return Section(status.value, title, number, shown(view, status), _LEADS[status], tables(view, status, draw))


def _choices(codes: Mapping[Reason, int] | Mapping[Note, int]) -> tuple[Choice, ...]:
    return tuple(Choice(code.value, HINTS[code].title, number) for code, number in codes.items())
