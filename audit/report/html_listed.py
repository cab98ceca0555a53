"""Who is in the page's own table: everybody; of very many, all who are not up to date."""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from audit.models import AuditedUser, Status
from audit.report.view import ATTENTION, RunView

MOST = 100_000
"""With more users than that, those who are up to date are left to CSV. Nobody else ever is, however many they are."""


class Listed(NamedTuple):
    """How many users are in the table, and how many are left out, all of them up to date."""

    number: int
    left_out: int


def listed(view: RunView, most: int) -> Listed:
    """The two numbers for a page with at most `most` users who are up to date among others."""
    calm = view.summary.statuses[Status.UP_TO_DATE] if view.summary.total > most else 0
    return Listed(view.summary.total - calm, calm)


def users(view: RunView, shown: Listed) -> Iterator[AuditedUser]:
    """Those in the table, in the report's order: whoever is left out would stand at the end."""
    return chain.from_iterable(map(view.users, ATTENTION)) if shown.left_out else view.users()
