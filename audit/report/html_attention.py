"""Those who are not up to date: one pass that gathers what the page says of them, and their static tables."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from markupsafe import Markup

from audit.models import AuditedUser, Note, Reason, Status
from audit.report.html_charts import Chart, lag_charts
from audit.report.html_rows import attention_row, chunks, listed_row
from audit.report.html_up_to_date import up_to_date_row
from audit.report.html_words import anchor, head
from audit.report.view import RunView
from audit.report.words import STATUS_TITLES

SHOWN = 5_000
"""How many users who are not up to date have a static row: a browser copes, and the file stays small."""

IN_FULL = 100
"""How many of these, the first ones, have all their details there as well."""

UP_TO_DATE_SHOWN = 100
"""How many up-to-date users have a static row: a sample, as nothing has to be done for them."""

NAMED = 5
"""How many users a reason names."""

DrawTable = Callable[[str, Mapping[str, object]], Markup]
"""Template name and values -> the table."""


class Survey(NamedTuple):
    """What the page says of those who are not up to date, above their rows."""

    firsts: Mapping[Reason, tuple[tuple[str, str], ...]]
    """Anchor and name of the first users of each reason."""
    charts: tuple[Chart, ...]
    notes: Mapping[Note, int]
    """Most frequent first, then by name, as in a summary."""


def survey(view: RunView) -> Survey:
    """Reads those who are not up to date, once."""
    firsts: dict[Reason, list[tuple[str, str]]] = {}
    notes: Counter[Note] = Counter()

    def outdated() -> Iterator[tuple[int, AuditedUser]]:
        for place, user in _attention(view):
            reason = user.finding.reason
            notes.update(user.finding.notes)
            named = firsts.setdefault(reason, [])
            if len(named) < NAMED:
                named.append((anchor(place), head(user.record.email or user.record.user_id)))
            if reason is Reason.OUTDATED_VERSION:
                yield place, user

    charts = lag_charts(outdated())
    return Survey(
        {reason: tuple(named) for reason, named in firsts.items()},
        charts,
        dict(sorted(notes.items(), key=lambda item: (-item[1], item[0]))),
    )


def _attention(view: RunView) -> Iterator[tuple[int, AuditedUser]]:
    """With their places in the report's order, in which the up-to-date users are last."""
    for status in Status:
        if status is not Status.UP_TO_DATE and view.summary.statuses[status]:
            yield from enumerate(view.users(status=status), _before(view, status) + 1)


def _before(view: RunView, status: Status) -> int:
    """How many users stand before the first one of `status`."""
    counts = [view.summary.statuses[other] for other in Status]
    return sum(counts[: list(Status).index(status)])


def placed(view: RunView, status: Status, *, accepted: bool) -> Iterator[tuple[int, AuditedUser]]:
    """The users of `status` whose findings are accepted, or those whose are not, with their places."""
    users = enumerate(view.users(status=status), _before(view, status) + 1)
    return ((place, user) for place, user in users if (user.accepted is not None) is accepted)


def shown(view: RunView, status: Status) -> int:
    """How many users of `status` have a static row in its section."""
    number = view.open[status]
    if status is Status.UP_TO_DATE:
        return min(number, UP_TO_DATE_SHOWN)
    return max(0, min(number, SHOWN - _rows_before(view, status)))


def _rows_before(view: RunView, status: Status) -> int:
    """How many rows stand before those of `status`, if all have one; accepted findings have a section of their own."""
    counts = [view.open[other] for other in Status]
    return sum(counts[: list(Status).index(status)])


def tables(view: RunView, status: Status, draw: DrawTable) -> Iterator[Markup]:
    """Whole tables, not rows: a template that is included passes each of its many pieces up through all others."""
    number = shown(view, status)
    said = {"status": status.value, "title": STATUS_TITLES[status], "number": view.open[status]}
    if status is Status.UP_TO_DATE:
        for calm in chunks(islice(view.users(status=status), number), up_to_date_row):
            yield draw("up_to_date.html", {**said, "chunk": calm})
        return
    users = islice(placed(view, status, accepted=False), number)
    in_full = max(0, min(number, IN_FULL - _rows_before(view, status)))
    for urgent in chunks(islice(users, in_full), lambda each: attention_row(each[1], each[0], view.tables)):
        yield draw("attention.html", {**said, "chunk": urgent})
    for listed in chunks(users, lambda each: listed_row(each[1], each[0]), in_full + 1):
        yield draw("listed.html", {**said, "chunk": listed})
