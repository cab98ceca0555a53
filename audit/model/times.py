"""Times as they are stored and shown: UTC, ISO 8601."""

from collections.abc import Callable
from datetime import UTC, datetime


def milliseconds(seconds: float) -> str:
    """Short: "0.4 ms", "12 ms"."""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:,.0f} ms"


def duration(seconds: float, *, exact: bool = False) -> str:
    """To about two figures: "2 s", "3 min", "1 h 5 min"; exact: "0.4 s", "12 s", "4 min 12 s", "1 h 3 min"."""
    if exact and seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < (60 if exact else 120):
        return f"{whole} s"
    minutes, rest = divmod(whole, 60) if exact else (round(whole / 60), 0)
    if minutes >= (60 if exact else 120):
        return f"{minutes // 60:,} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if exact else f"{minutes} min"


Clock = Callable[[], datetime]
"""Gives the time, with a time zone."""


def utc_now() -> datetime:
    """The time that a run is dated with."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """`time` (aware) in UTC as ISO 8601 with a Z, the form of every stored time."""
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


def at_epoch(seconds: float) -> datetime | None:
    """The instant so many seconds after 1970; None where the calendar has no such day."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def epoch_seconds(text: str | None) -> float:
    """`text` as seconds since 1970; 0 where it is no time."""
    found = parse_utc(text)
    return found.timestamp() if found else 0.0


def to_second(text: str | None) -> str:
    """A time in full, "2026-03-01 12:00:05 UTC"; a text that is no ISO time as it is, "" for none."""
    if text and len(text) >= 19 and text[10] == "T":
        return f"{text[:10]} {text[11:19]} UTC"
    return text or ""


def to_minute(text: str | None) -> str:
    """A time as people compare it, "2026-03-01 12:00"; "" for none."""
    return (text or "")[:16].replace("T", " ")
