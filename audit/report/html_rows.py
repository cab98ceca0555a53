"""The rows of the HTML report's tables: plain values, ready to print, in chunks that a browser can skip.

A row of an up-to-date user is what a report has most of, so it is a tuple that the template unpacks (jinja2 looks
up an attribute in 0.3 microseconds, a local name in none) and has fields, not explanations.
"""

from collections.abc import Callable, Iterator
from hashlib import blake2s
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from audit import hints
from audit.models import AuditedUser, Finding, ModelRecord, Note
from audit.report.html_charts import days_behind
from audit.report.html_words import Comparison, comparison, counted, days, head, instant, short_hash

CHUNK = 100
"""Rows per table: a browser lays out only the tables in view."""

_REPLICATE = "https://replicate.com/"

_Row = TypeVar("_Row")

UpToDateRow = tuple[str, str, str, str, str | None, str, str, str, int | None, tuple[str, ...], list[tuple[str, str]]]
"""who, name, user id, model id, its page, short hash, hash, its date, number of versions, note titles, facts."""


class Chunk(NamedTuple, Generic[_Row]):
    """Some rows in a table of their own; `first` and `last` count from 1 within the section."""

    first: str
    last: str
    rows: list[_Row]


class VersionLine(NamedTuple):
    """One of the first versions on Replicate."""

    id: str
    date: str
    is_recorded: bool


class NoteLine(NamedTuple):
    """A note of this user, with its explanation."""

    code: str
    title: str
    meaning: str
    steps: tuple[str, ...]


class AttentionRow(NamedTuple):
    """A user who needs a sync, failed, or was not reached: everything, explanations included."""

    anchor: str
    who: str
    name: str
    user_id: str
    model: str
    url: str | None
    recorded: str
    recorded_short: str
    recorded_date: str
    latest: str
    latest_short: str
    latest_date: str
    behind: str
    lag: str
    reason: str
    title: str
    detail: str
    hint: str
    steps: tuple[str, ...]
    comparison: Comparison | None
    versions: list[VersionLine]
    hidden_versions: int
    notes: list[NoteLine]
    facts: list[tuple[str, str]]
    sql: str


def chunks(users: Iterator[AuditedUser], row: Callable[[AuditedUser], _Row]) -> Iterator[Chunk[_Row]]:
    """The users as chunks of rows, made as they are asked for."""
    first = 1
    while rows := [row(user) for user in islice(users, CHUNK)]:
        yield Chunk(f"{first:,}", f"{first + len(rows) - 1:,}", rows)
        first += len(rows)


def attention_row(user: AuditedUser) -> AttentionRow:
    """The row of a user who is not up to date."""
    record, finding = user.record, user.finding
    hint = hints.filled(finding.reason, user)
    recorded, latest, lag = record.replicate_version_id or "", finding.latest_version or "", days_behind(finding)
    return AttentionRow(
        anchor=anchor(record.user_id),
        who=head(record.email or record.user_id),
        name=head(record.display_name or ""),
        user_id=head(record.user_id) if record.email else "",
        model=head(record.replicate_model_id or ""),
        url=_page(record),
        recorded=recorded,
        recorded_short=short_hash(recorded),
        recorded_date=(finding.current_version_created_at or "")[:10],
        latest=latest,
        latest_short=short_hash(latest),
        latest_date=(finding.latest_version_created_at or "")[:10],
        behind=counted(finding.versions_behind, "version") if finding.versions_behind else "",
        lag=days(lag) if lag is not None else "",
        reason=finding.reason.value,
        title=hint.title,
        detail=finding.detail or "",
        hint=hints.one_line(user),
        steps=hint.steps,
        comparison=comparison(record.replicate_version_id, finding.latest_version),
        versions=_versions(finding),
        hidden_versions=max(0, (finding.total_versions or 0) - len(finding.versions)),
        notes=[_note(user, note) for note in finding.notes],
        facts=_facts(record, finding),
        sql=hints.rows_sql(record),
    )


def up_to_date_row(user: AuditedUser) -> UpToDateRow:
    """The row of an up-to-date user, for unpacking."""
    record, finding = user.record, user.finding
    email, latest = record.email, finding.latest_version or ""
    facts = _facts(record, finding)
    if record.replicate_version_id != latest:
        facts.insert(0, ("Recorded as", record.replicate_version_id or ""))
    facts.extend(
        (f"Version {number}", f"{version.id} {instant(version.created_at)}")
        for number, version in enumerate(finding.versions, 1)
    )
    return (
        head(email or record.user_id),
        head(record.display_name or ""),
        head(record.user_id) if email else "",
        head(record.replicate_model_id or ""),
        _page(record),
        short_hash(latest),
        latest,
        (finding.latest_version_created_at or "")[:10],
        finding.total_versions,
        tuple(hints.HINTS[note].title for note in finding.notes),
        facts,
    )


def anchor(user_id: str) -> str:
    """An id for the user's row that holds nothing of the user's."""
    return "u-" + blake2s(user_id.encode(errors="replace"), digest_size=6).hexdigest()


def _page(record: ModelRecord) -> str | None:
    url = hints.model_url(record)
    return url if url and url.startswith(_REPLICATE) else None


def _versions(finding: Finding) -> list[VersionLine]:
    return [
        VersionLine(version.id, instant(version.created_at), number == finding.versions_behind)
        for number, version in enumerate(finding.versions)
    ]


def _note(user: AuditedUser, note: Note) -> NoteLine:
    hint = hints.filled(note, user)
    return NoteLine(note.value, hint.title, hint.meaning, hint.steps)


def _facts(record: ModelRecord, finding: Finding) -> list[tuple[str, str]]:
    """Label and value of what is recorded; what is not there is left out."""
    facts = [
        ("User id", record.user_id),
        ("E-mail", record.email),
        ("Name", record.display_name),
        ("Model id", record.replicate_model_id),
        ("Model name", record.model_name),
        ("Row of user_models", record.model_row_id),
        ("Training", record.training_id),
        ("Trigger word", record.trigger_word or "none recorded"),
        ("LoRA scale", record.lora_scale or "none recorded"),
        ("Weights URL", record.lora_weights_url or "none recorded"),
        ("Created", instant(record.created_at)),
        ("Updated", instant(record.updated_at)),
        ("Completed", instant(record.completed_at)),
    ]
    if finding.total_versions is not None:
        facts.append(("Versions on Replicate", f"{finding.total_versions:,}"))
    if record.older_completed:
        facts.append(("Older completed models", f"{record.older_completed:,}"))
    if record.later_failure_reason:
        facts.append(("Later training failed", record.later_failure_reason))
    if record.shared_with_count:
        names = ", ".join(record.shared_with)
        more = record.shared_with_count - len(record.shared_with)
        facts.append(("Model shared with", f"{names} and {more:,} more" if more > 0 else names))
    return [(label, value) for label, value in facts if value]
