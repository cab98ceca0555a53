"""Rows in chunks that a browser can skip, and the row of a user who is not up to date: all of it, ready to print."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from audit import hints
from audit.models import AuditedUser, Finding, Note
from audit.origins import BASIS, NONE_MADE, labelled, origins
from audit.report.html_charts import days_behind
from audit.report.html_facts import facts, model_page, training_facts
from audit.report.html_words import Comparison, anchor, comparison, head
from audit.report.words import MARK_TITLES, counted, days, instant, short_hash
from audit.tables import PLAIN, Tables

CHUNK = 100
"""Rows per table: a browser lays out only the tables in view."""


_User = TypeVar("_User")
_Row = TypeVar("_Row")


class Chunk(NamedTuple, Generic[_Row]):
    """Some rows in a table of their own; `first` and `last` count from 1 within the section."""

    first: str
    last: str
    rows: list[_Row]
    place: str
    """CSS class: `far` lets a browser skip a full table further down until it is scrolled to."""


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


class TrainingCard(NamedTuple):
    """A training behind the finding."""

    label: str
    facts: list[tuple[str, str]]


class AttentionRow(NamedTuple):
    """A user who needs a sync, failed, or was not reached: everything, explanations included."""

    anchor: str
    who: str
    name: str
    user_id: str
    model: str
    url: str | None
    recorded: str
    nothing: str
    """What is shown where no version is recorded."""
    recorded_short: str
    recorded_date: str
    latest: str
    latest_short: str
    latest_date: str
    behind: str
    lag: str
    reason: str
    title: str
    mark: str
    """How the user compares with the baseline, or ""."""
    detail: str
    hint: str
    steps: tuple[str, ...]
    comparison: Comparison | None
    versions: list[VersionLine]
    older: str
    """What is said of the versions that are not listed, or ""."""
    notes: list[NoteLine]
    basis: str
    """What the verdict rests on; "" where trainings were not read."""
    trainings: list[TrainingCard]
    no_training: str
    """What is said where trainings were read and none is known, or ""."""
    facts: list[tuple[str, str]]
    sql: str


class ListedRow(NamedTuple):
    """A user far down the list: what is wrong and where. The template unpacks these in this order."""

    place: int
    who: str
    model: str
    recorded: str
    latest: str
    title: str
    detail: str


def chunks(users: Iterator[_User], row: Callable[[_User], _Row], first: int = 1) -> Iterator[Chunk[_Row]]:
    """The users as chunks of rows, made as they are asked for; `first` is the number of the first one."""
    start = first
    while rows := [row(user) for user in islice(users, CHUNK)]:
        place = "far" if first > start and len(rows) == CHUNK else "near"
        yield Chunk(f"{first:,}", f"{first + len(rows) - 1:,}", rows, place)
        first += len(rows)


def listed_row(user: AuditedUser, place: int) -> ListedRow:
    """The short row of a user who is not up to date."""
    record, finding = user.record, user.finding
    return ListedRow(
        place,
        head(record.email or record.user_id),
        head(record.replicate_model_id or ""),
        short_hash((record.replicate_version_id or "").strip()),
        short_hash(finding.latest_version or ""),
        hints.HINTS[finding.reason].title + (f" ({user.baseline})" if user.baseline else ""),
        head(finding.detail or ""),
    )


def attention_row(user: AuditedUser, place: int, tables: Tables = PLAIN) -> AttentionRow:
    """The row of a user who is not up to date; `place` counts from 1 in the report's order."""
    record, finding = user.record, user.finding
    hint, sql = hints.filled(finding.reason, user, tables), hints.rows_sql(record, tables)
    recorded, latest, lag = (
        (record.replicate_version_id or "").strip(),
        finding.latest_version or "",
        days_behind(finding),
    )
    cards = [TrainingCard(label, training_facts(training)) for label, training in labelled(origins(user))]
    return AttentionRow(
        anchor=anchor(place),
        who=head(record.email or record.user_id),
        name=head(record.display_name or ""),
        user_id=head(record.user_id) if record.email else "",
        model=head(record.replicate_model_id or ""),
        url=model_page(record),
        recorded=recorded,
        nothing="nothing" if record.replicate_version_id is None else "only blanks",
        recorded_short=short_hash(recorded),
        recorded_date=(finding.current_version_created_at or "")[:10],
        latest=latest,
        latest_short=short_hash(latest),
        latest_date=(finding.latest_version_created_at or "")[:10],
        behind=counted(finding.versions_behind, "version") if finding.versions_behind else "",
        lag=days(lag) if lag is not None else "",
        reason=finding.reason.value,
        title=hint.title,
        mark=MARK_TITLES[user.baseline] if user.baseline else "",
        detail=finding.detail or "",
        hint=hints.one_line(user),
        steps=_below(hint, sql),
        comparison=comparison(record.replicate_version_id, finding.latest_version),
        versions=_versions(finding),
        older=_older(finding),
        notes=[_note(hints.filled(note, user, tables), note, sql) for note in finding.notes],
        basis=BASIS[finding.evidence] if finding.evidence and finding.traced else "",
        trainings=cards,
        no_training=NONE_MADE if finding.traced and not cards else "",
        facts=facts(record, finding),
        sql=sql,
    )


def _versions(finding: Finding) -> list[VersionLine]:
    return [
        VersionLine(version.id, instant(version.created_at), number == finding.versions_behind)
        for number, version in enumerate(finding.versions)
    ]


def _older(finding: Finding) -> str:
    shown, behind = len(finding.versions), finding.versions_behind or 0
    hidden = (finding.total_versions or shown) - shown
    if hidden <= 0:
        return ""
    return f"and {hidden:,} older" + (f"; the recorded one is number {behind + 1:,}" if behind >= shown else "")


def _note(hint: hints.Hint, note: Note, sql: str) -> NoteLine:
    return NoteLine(note.value, hint.title, hint.meaning, _below(hint, sql))


def _below(hint: hints.Hint, sql: str) -> tuple[str, ...]:
    """The steps, with the query named and not repeated: it stands below them, ready to copy."""
    return tuple([step.replace(sql, "the query below") for step in hint.steps])
