"""Times as they are stored and shown: UTC, ISO 8601."""

from collections.abc import Callable
from datetime import UTC, datetime


def milliseconds(seconds: float) -> str:
    """Short: "0.4 ms", "12 ms"."""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:,.0f} ms"


def duration(seconds: float) -> str:
    """To about two figures: "2 s", "3 min", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60} min"


Clock = Callable[[], datetime]
"""Gives the time, with a time zone."""


def utc_now() -> datetime:
    """The time that a run is dated with."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """`moment` (aware) as every time in this program is written."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_utc(text: str | None) -> datetime | None:
    """The instant that `text` (ISO 8601) names, or None; without an offset it is taken as UTC."""
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def epoch_seconds(text: str | None) -> float:
    """The same since 1970; 0 where `text` names no instant."""
    found = parse_utc(text)
    return found.timestamp() if found else 0.0


def to_minute(text: str | None) -> str:
    """A time as people compare it, "2026-03-01 12:00"; "" for none."""
    return (text or "")[:16].replace("T", " ")
