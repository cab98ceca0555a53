"""What the page's table can be narrowed to: only what somebody in it has."""

from collections.abc import Mapping
from typing import NamedTuple

from audit.hints import HINTS
from audit.models import Note, Status
from audit.report.html_listed import Listed
from audit.report.view import ATTENTION, RunView
from audit.report.words import MARK_TITLES, STATUS_TITLES


class Choice(NamedTuple):
    """One entry of a list."""

    code: str
    title: str
    number: int


class Choices(NamedTuple):
    """The lists; the template goes through them in this order."""

    status: tuple[Choice, ...]
    reason: tuple[Choice, ...]
    note: tuple[Choice, ...]
    baseline: tuple[Choice, ...]
    """None without a baseline."""
    acceptance: tuple[Choice, ...]
    """None where nothing is accepted."""


def choices(view: RunView, listed: Listed, notes: Mapping[Note, int]) -> Choices:
    """All lists; `notes` are counted over those who are not up to date."""
    summary, missing = view.summary, bool(listed.left_out)
    statuses = {s: n for s, n in summary.statuses.items() if n and not (missing and s is Status.UP_TO_DATE)}
    reasons = {r: n for r, n in summary.reasons.items() if not (missing and r.status is Status.UP_TO_DATE)}
    marks = view.news.marks if view.news else {}
    return Choices(
        tuple(Choice(status.value, STATUS_TITLES[status], n) for status, n in statuses.items()),
        tuple(Choice(reason.value, HINTS[reason].title, n) for reason, n in reasons.items()),
        tuple(Choice(n.value, HINTS[n].title, count) for n, count in (notes if missing else summary.notes).items()),
        tuple(Choice(m, MARK_TITLES[m], n) for m, n in marks.items() if n and not (missing and m == "resolved")),
        _acceptance(view),
    )


def _acceptance(view: RunView) -> tuple[Choice, ...]:
    if not view.accepted.total:
        return ()
    counts = (("yes", "Accepted", view.accepted.total), ("no", "Open", sum(view.open[each] for each in ATTENTION)))
    return tuple(Choice(*each) for each in counts)
