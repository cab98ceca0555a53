"""Since when users who need a sync are affected."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from audit.model.findings import AuditedUser
from audit.model.times import parse_utc, utc_text


class Affected(NamedTuple):
    """Over the lines of a run that need a sync and are not accepted."""

    first: str | None = None
    """Since when the first one is affected, in UTC; null where that is known of nobody."""
    latest: str | None = None
    by_hour: Mapping[str, int] = {}
    """How many began to be affected in each hour, "2026-03-01T11", oldest first; hours without any are left out."""
    undated: int = 0
    """Lines of which it is not known."""


def affected(users: Iterable[AuditedUser]) -> Affected:
    """Count `users`, all of whom need a sync; those that are accepted are left out."""
    first = latest = None
    undated = 0
    hours: Counter[str] = Counter()
    for user in users:
        if user.accepted:
            continue
        moment = parse_utc(user.finding.affected_since)
        if moment is None:
            undated += 1
            continue
        first = moment if first is None else min(first, moment)
        latest = moment if latest is None else max(latest, moment)
        hours[utc_text(moment)[:13]] += 1
    return Affected(
        first=utc_text(first) if first else None,
        latest=utc_text(latest) if latest else None,
        by_hour=dict(sorted(hours.items())),
        undated=undated,
    )
