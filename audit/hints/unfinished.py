"""What every format says of a newer row that is not completed, of the completed row beside it, and since when."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from audit.hints.table import HINTS
from audit.hints.trainings import shown_trainings
from audit.model.codes import Reason
from audit.model.findings import AuditedUser, Finding
from audit.model.times import parse_utc, to_minute, to_second

NOT_KNOWN = "not known"
Fact = tuple[str, str]
"""Label and value."""


def days_between(first: str | None, last: str | None) -> float | None:
    """Never negative; None where one of the times is not known."""
    start, end = parse_utc(first), parse_utc(last)
    if start is None or end is None:
        return None
    return max(0.0, (end - start) / timedelta(days=1))


def age(days: float) -> str:
    """`3 hours`, `1 day`, `212 days`."""
    count, unit = (int(days * 24), "hour") if days < 1 else (int(days), "day")
    return f"{count:,} {unit}{'s' * (count != 1)}" if count else "less than an hour"


def row_facts(user: AuditedUser, now: str) -> list[Fact]:
    """The newest row, its status and age at `now`, its training, and what that made; none for a completed row."""
    record, finding = user.record, user.finding
    if not finding.unfinished:
        return []
    old = days_between(record.began_at, now)
    began = to_minute(record.began_at) + (f" ({age(old)} before this run)" if old is not None else "")
    facts = [
        ("Newest row", record.model_row_id),
        ("It says", record.training_status or "(null)"),
        ("Since", began or NOT_KNOWN),
        ("Its training", record.training_id or "none stored"),
    ]
    if record.failure_reason:
        facts += [("It failed because", record.failure_reason)]
    if finding.reason is Reason.TRAINING_NOT_RECORDED:
        facts += [("Version that it made", finding.latest_version or NOT_KNOWN)]
        facts += [("Weights that it made", _weights(user) or NOT_KNOWN)]
    elif finding.latest_version:
        facts += [("Latest version of its model", finding.latest_version)]
    return facts


def _weights(user: AuditedUser) -> str | None:
    made = shown_trainings(user)
    training = made.latest or made.current
    return training.weights if training else None


def also_facts(user: AuditedUser) -> list[Fact]:
    """What is wrong with the completed row beside it; none where nothing is."""
    also, row = user.finding.also, user.counting
    if also is None:
        return []
    return list(_also(also, user) if row is None else [("Completed row", row.model_row_id), *_also(also, user)])


def _also(also: Finding, user: AuditedUser) -> Iterator[Fact]:
    row = user.counting
    yield "Finding", f"{HINTS[also.reason].title} ({also.reason})"
    if row and row.replicate_model_id:
        yield "Model id", row.replicate_model_id
    if row:
        yield "Stored version", row.replicate_version_id or "none stored"
    if also.latest_version:
        yield "Latest version", also.latest_version
    if also.versions_behind:
        yield "Behind", f"{also.versions_behind:,} version{'s' * (also.versions_behind != 1)}"
    if also.affected_since:
        yield "Affected since", to_second(also.affected_since)
    if also.detail:
        yield "Cause", also.detail


def brief(user: AuditedUser, now: str, shown: Callable[[str], str] = str) -> str:
    """The same in one line, for lists: "row 7 says training since 2026-02-03 10:00 (26 days before this run)".

    `shown` is how a version is written.
    """
    facts = dict(row_facts(user, now))
    if not facts:
        return ""
    weights = _weights(user) if user.finding.reason is Reason.TRAINING_NOT_RECORDED else None
    since = f" since {facts['Since']}" if facts["Since"] != NOT_KNOWN else ", since when is not known"
    parts = [f"row {facts['Newest row']} says {facts['It says']}{since}"]
    version = shown(user.finding.latest_version or "")
    known = (("training", user.record.training_id), ("version", version), ("weights", weights))
    return "; ".join([*parts, *(f"{what} {value}" for what, value in known if value)])


def brief_also(user: AuditedUser) -> str:
    """The finding on the completed row in a few words, or ""."""
    also = user.finding.also
    return f"completed row: {HINTS[also.reason].title.lower()}" if also else ""
