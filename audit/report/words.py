"""Numbers, times and hashes as reports print them; every time is UTC and says so in its column or text."""

import math
from collections.abc import Mapping

from audit.models import Mark, Status

STATUS_TITLES = {
    Status.NEEDS_SYNC: "Needs a sync",
    Status.ERROR: "Could not be checked",
    Status.NOT_CHECKED: "Not reached",
    Status.UP_TO_DATE: "Up to date",
}

MARK_TITLES: Mapping[Mark, str] = {"new": "New", "known": "Known", "resolved": "Resolved"}
"""How a user compares with the baseline."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 user`, `2,310 users`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def instant(iso: str | None) -> str:
    """`2026-03-01 12:00:05 UTC`; a text that is no ISO time is shown as it is."""
    if not iso:
        return ""
    if len(iso) >= 19 and iso[10] == "T":
        return f"{iso[:10]} {iso[11:19]} UTC"
    return iso


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `4 min 12 s`, `1 h 3 min`."""
    if seconds is None:
        return "not known"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def days(count: float) -> str:
    """`less than a day`, `1 day`, `212 days`."""
    return "less than a day" if count < 1 else counted(math.floor(count), "day")


def short_hash(text: str) -> str:
    """Long texts without their middle; hashes differ at both ends."""
    return text if len(text) <= 20 else f"{text[:8]}…{text[-8:]}"
