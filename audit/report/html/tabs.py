"""The tabs and lists by which the page's script narrows its table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from audit.hints.effects import EFFECT_OF, Effect
from audit.hints.table import HINTS
from audit.model.codes import Note, Reason, Status
from audit.report.html.data import Listed
from audit.report.view import ATTENTION, RunView
from audit.report.words import BASELINE_TITLES, STATUS_TITLES

EFFECT_TITLES: Mapping[Effect, str] = {
    Effect.OLD_VERSION: "Old version",
    Effect.OTHER_WEIGHTS: "Wrong weights",
    Effect.CANNOT_GENERATE: "Can’t generate",
    Effect.WAITS: "Waiting",
}
"""What those who need a sync notice, in a word or two."""


class Tab(NamedTuple):
    """Some users of the table."""

    id: str
    title: str
    number: int
    reasons: Sequence[Reason]
    """Those whose reason is one of these."""
    accepted: bool | None
    """True: the accepted only; false: without them; None: both."""


def tabs(view: RunView, listed: Listed) -> Iterator[Tab]:
    """The tabs that have somebody, the most urgent first; the first one is what a reader sees first."""
    reasons = tuple(view.summary.reasons)
    attention = tuple(reason for reason in reasons if reason.status in ATTENTION)
    groups = [("attention", "Needs attention", attention)]
    groups += [
        (effect.value, title, tuple(reason for reason in reasons if EFFECT_OF.get(reason) is effect))
        for effect, title in EFFECT_TITLES.items()
    ]
    groups += [
        (status.value, STATUS_TITLES[status], tuple(reason for reason in reasons if reason.status is status))
        for status in (Status.ERROR, Status.NOT_CHECKED)
    ]
    found = [Tab(name, title, _open(view, some), some, accepted=False) for name, title, some in groups]
    found = [tab for tab in found if tab.number]
    yield from found if len(found) != 2 else found[:1]  # one group is all who need attention
    if accepted := view.accepted.total:
        yield Tab("accepted", "Accepted", accepted, reasons, accepted=True)
    good = view.summary.statuses[Status.UP_TO_DATE]
    if good and not listed.left_out:
        up_to_date = tuple(reason for reason in reasons if reason.status is Status.UP_TO_DATE)
        yield Tab(Status.UP_TO_DATE.value, STATUS_TITLES[Status.UP_TO_DATE], good, up_to_date, accepted=None)
    yield Tab("all", "All", listed.number, reasons, accepted=None)


def _open(view: RunView, reasons: Sequence[Reason]) -> int:
    return sum(view.open_reasons.get(reason, 0) for reason in reasons)


class TableFilter(NamedTuple):
    """What further narrows the table."""

    id: str
    label: str
    options: Sequence[tuple[str, str, int]]
    """Code, title, and the number of users."""


def table_filters(view: RunView, listed: Listed, notes: Mapping[Note, int]) -> Iterator[TableFilter]:
    """Those that have something to choose; `notes` are counted over those who are not up to date."""
    summary, missing = view.summary, bool(listed.left_out)
    marks = view.since_baseline.states if view.since_baseline else {}
    there = notes if missing else summary.notes
    found = (
        TableFilter(
            "reason", "Problem", [(r, HINTS[r].title, n) for r, n in summary.reasons.items() if r.status in ATTENTION]
        ),
        TableFilter(
            "baseline",
            "Since the baseline",
            [(m, BASELINE_TITLES[m], n) for m, n in marks.items() if n and not (missing and m == "resolved")],
        ),
        TableFilter("note", "Note", [(note, HINTS[note].title, n) for note, n in there.items()]),
    )
    yield from (each for each in found if each.options)
