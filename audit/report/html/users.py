"""The users on the HTML page: which of them have a static row, and what their templates may call.

Templates get `AuditedUser`s with their places and say themselves what stands in a row; here are only the functions that
they call, beside the filters of `html_report.environment`.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import NamedTuple, TypeVar

from audit.hints import filled as hints
from audit.hints.filled import HINTS, Hint
from audit.hints.trainings import BASIS, NONE_MADE, labelled, shown_trainings
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser, Finding
from audit.model.tables import Tables
from audit.report.facts import NOT_RECORDED, brief_trainings, facts, model_page, rare_facts, training_facts
from audit.report.html.charts import days_behind
from audit.report.html.words import anchor, comparison, head
from audit.report.view import ATTENTION, RunView
from audit.report.words import MARK_TITLES, STATUS_TITLES, counted, days, instant, short_hash

SHOWN = 5_000
"""How many users who are not up to date have a static row: a browser copes, and the file stays small."""
IN_FULL = 100
"""How many of these, the first ones, have all their details there as well."""
UP_TO_DATE_SHOWN = 100
"""How many up-to-date users have a static row: a sample, as nothing has to be done for them."""
ACCEPTED_SHOWN = 1_000
CHUNK = 100
"""Rows per table: a browser lays out only the tables in view."""
Placed = tuple[int, AuditedUser]
_T = TypeVar("_T")


class Table(NamedTuple):
    """Some users in a table of their own; `first` and `last` count from 1 within the section."""

    template: str
    first: int
    last: int
    users: list[Placed]
    far: bool
    """A full table further down: a browser may skip it until it is scrolled to."""


def placed(view: RunView, status: Status) -> Iterator[Placed]:
    """The users of `status` with their places in the report's order, counted from 1."""
    counts = [view.summary.statuses[other] for other in Status]
    return enumerate(view.users(status=status), sum(counts[: list(Status).index(status)]) + 1)


def accepted(view: RunView) -> Iterator[Placed]:
    """The first users whose findings are accepted."""
    users = chain.from_iterable(placed(view, status) for status in ATTENTION)
    return islice(((place, user) for place, user in users if user.accepted), ACCEPTED_SHOWN)


def shown(view: RunView, status: Status) -> int:
    """How many users of `status` have a static row in its section."""
    number = view.open[status]
    if status is Status.UP_TO_DATE:
        return min(number, UP_TO_DATE_SHOWN)
    return max(0, min(number, SHOWN - _before(view, status)))


def _before(view: RunView, status: Status) -> int:
    """How many rows stand before those of `status`, if all have one; accepted findings have a section of their own."""
    counts = [view.open[other] for other in Status]
    return sum(counts[: list(Status).index(status)])


def tables(view: RunView, status: Status) -> Iterator[Table]:
    """The static tables of a section."""
    number = shown(view, status)
    users = islice(((place, user) for place, user in placed(view, status) if not user.accepted), number)
    if status is Status.UP_TO_DATE:
        yield from _tables("up_to_date.html", users)
        return
    in_full = max(0, min(number, IN_FULL - _before(view, status)))
    yield from _tables("attention.html", islice(users, in_full))
    yield from _tables("listed.html", users, in_full)


def _tables(template: str, users: Iterator[Placed], before: int = 0) -> Iterator[Table]:
    first = before + 1
    while some := list(islice(users, CHUNK)):
        yield Table(template, first, first + len(some) - 1, some, first > before + 1 and len(some) == CHUNK)
        first += len(some)


class Sheet:
    """What the details of one user are made of, each worked out when the template asks for it."""

    def __init__(self, user: AuditedUser, tables: Tables) -> None:
        self.user, self._tables = user, tables
        self.sql = hints.rows_sql(user.record.user_id, tables)
        self.hint = hints.one_line(user)
        self.trainings = [(label, training_facts(each)) for label, each in labelled(shown_trainings(user))]

    @property
    def notes(self) -> Iterable[tuple[str, Hint]]:
        """Code and text."""
        return [(note.value, self.filled(note)) for note in self.user.finding.notes]

    def filled(self, code: Reason | Note) -> Hint:
        """With the query named and not repeated: it stands below, ready to copy."""
        hint = hints.filled(code, self.user, self._tables)
        return Hint(hint.title, hint.meaning, tuple([step.replace(self.sql, "the query below") for step in hint.steps]))


def older(finding: Finding) -> str:
    """What is said of the versions that are not listed, or ""."""
    listed, behind = len(finding.versions), finding.versions_behind or 0
    hidden = (finding.total_versions or listed) - listed
    if hidden <= 0:
        return ""
    return f"and {hidden:,} older" + (f"; the recorded one is number {behind + 1:,}" if behind >= listed else "")


def lag(finding: Finding) -> str:
    """`2 versions, 30 days`, or "" where dates are not known."""
    gap = days_behind(finding)
    behind = counted(finding.versions_behind, "version") if finding.versions_behind else ""
    return "" if gap is None else f"{behind}, {days(gap)}"


def whole(user: AuditedUser) -> Iterator[tuple[str, str]]:
    """What the row of an up-to-date user has cut or left out."""
    record, finding = user.record, user.finding
    yield from rare_facts(record)
    yield from brief_trainings(user)
    if record.replicate_version_id != (finding.latest_version or ""):
        yield "Recorded as", record.replicate_version_id or ""
    told = (record.email, "E-mail"), (record.display_name, "Name"), (record.user_id, "User id")
    yield from (
        (label, text) for text, label in (*told, (record.replicate_model_id, "Model id")) if text and head(text) != text
    )


FUNCTIONS: Mapping[str, object] = {
    "HINTS": HINTS,
    "MARKS": MARK_TITLES,
    "TITLES": STATUS_TITLES,
    "BASIS": BASIS,
    "NONE_MADE": NONE_MADE,
    "NOT_RECORDED": NOT_RECORDED,
    "anchor": anchor,
    "comparison": comparison,
    "facts": facts,
    "lag": lag,
    "older": older,
    "page_of": model_page,
    "sheet": Sheet,
    "whole": whole,
}
"""What templates may call."""
FILTERS: Mapping[str, object] = {"head": head, "short": short_hash, "instant": instant}
