"""What earlier runs of the same place have counted."""

import msgspec

from audit.model.codes import Status

LONGEST_TREND = 10
"""Earlier runs that a run keeps the counts of."""


class PastCounts(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier run, as far as a trend needs it."""

    run_id: str
    started_at: str
    statuses: dict[Status, int]
    """Lines by status. Every status has a key."""

    @property
    def total(self) -> int:
        """All lines of that run."""
        return sum(self.statuses.values())
