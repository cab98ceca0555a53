"""The section of accepted findings on the HTML page."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

from audit.hint_table import HINTS
from audit.models import Acceptance, AuditedUser
from audit.report.html_attention import placed
from audit.report.html_facts import model_page
from audit.report.html_words import anchor, head
from audit.report.view import ATTENTION, RunView
from audit.report.words import MARK_TITLES, short_hash

SHOWN = 1_000
"""How many have a row: all others are in the page's own table, and in CSV and JSON."""


class AcceptedRow(NamedTuple):
    """One accepted finding."""

    anchor: str
    who: str
    model: str
    url: str | None
    recorded: str
    status: str
    title: str
    mark: str
    """How the user compares with the baseline, or ""."""
    until: str
    because: str
    author: str


class AcceptedSection(NamedTuple):
    """All of them, streamed: `rows` can be gone through once."""

    number: int
    file: str
    left_out: int
    rows: Iterator[AcceptedRow]


def accepted(view: RunView) -> AcceptedSection | None:
    """The section; None where nothing is accepted."""
    number, block = view.accepted.total, view.run.acceptances
    if not number or not block:
        return None
    users = chain.from_iterable(placed(view, status, accepted=True) for status in ATTENTION)
    rows = (_row(place, user, user.accepted) for place, user in islice(users, SHOWN) if user.accepted)
    return AcceptedSection(number, block.file, max(0, number - SHOWN), rows)


def _row(place: int, user: AuditedUser, entry: Acceptance) -> AcceptedRow:
    record, reason = user.record, user.finding.reason
    return AcceptedRow(
        anchor=anchor(place),
        who=head(record.email or record.user_id),
        model=head(record.replicate_model_id or ""),
        url=model_page(record),
        recorded=short_hash((record.replicate_version_id or "").strip()),
        status=reason.status.value,
        title=HINTS[reason].title,
        mark=MARK_TITLES[user.baseline] if user.baseline else "",
        until=entry.until,
        because=entry.because,
        author=entry.author or "",
    )
