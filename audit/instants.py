"""The time, and how it is written."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the time, with a time zone."""


def utc_now() -> datetime:
    """The time that a run is dated with."""
    return datetime.now(UTC)


def instant(moment: datetime) -> str:
    """`moment` (aware) as every time in this program is written."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
