"""The JSON report: the contract's fields, one user per line, so that it reads, diffs and greps well."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import BinaryIO

import msgspec

from audit.hints import filled as hints
from audit.hints.trainings import TrainingLine, shown_trainings
from audit.model.codes import Note, Reason, Status
from audit.model.findings import Acceptance, AuditedUser, BaselineState
from audit.model.replies import Evidence, Version, WeightsEvidence
from audit.model.tables import PLAIN, Tables
from audit.model.text import escape_in_json
from audit.model.users import Population
from audit.report.view import ATTENTION, RunView

SCHEMA_VERSION = 1
"""Fields are only ever added within a version; `schema-1.json` beside this module describes it."""
_BATCH = 200
"""Users encoded per write: enough to make writing cheap, too few to matter in memory."""


class AcceptedBlock(msgspec.Struct, frozen=True):
    """`accepted` of a user."""

    because: str
    until: str
    author: str | None


class AlsoBlock(msgspec.Struct, frozen=True):
    """`also` of a user."""

    reason: Reason
    model_row_id: str | None
    replicate_model_id: str | None
    current_version: str | None
    latest_version: str | None
    latest_version_created_at: str | None
    versions_behind: int | None
    affected_since: str | None


class UserLine(msgspec.Struct, frozen=True):
    """One user of the report, in the order of the fields."""

    user_id: str
    email: str | None
    display_name: str | None
    model_row_id: str
    replicate_model_id: str | None
    replicate_url: str | None
    status: Status
    reason: Reason
    detail: str | None
    current_version: str | None
    latest_version: str | None
    latest_version_created_at: str | None
    versions_behind: int | None
    total_versions_on_replicate: int | None
    all_versions: tuple[Version, ...]
    training_id: str | None
    trigger_word: str | None
    lora_scale: str | None
    lora_weights_url: str | None
    created_at: str | None
    updated_at: str | None
    completed_at: str | None
    notes: tuple[Note, ...]
    hint: str
    current_version_created_at: str | None
    model_name: str | None
    older_completed_models: int
    later_failure_reason: str | None
    shared_with: tuple[str, ...]
    shared_with_count: int
    evidence: Evidence | None
    current_training: TrainingLine | None
    latest_training: TrainingLine | None
    later_training: TrainingLine | None
    baseline: BaselineState | None
    accepted: AcceptedBlock | None
    affected_since: str | None
    row_status: str | None
    started_at: str | None
    began_at: str | None
    weights_checked: WeightsEvidence | None
    also: AlsoBlock | None
    other_models: int | None


_TRAININGS = ("mode", "since", "back_to", "began_at", "complete", "problem", "pages", "read", "unreadable", "sample")
_RUN_UNTIL_TRAININGS = (
    *("state", "stop_reason", "database", "base_url", "account", "order_by", "filters", "redacted", "requests"),
    "missing_columns",
)
_POPULATION = (
    *("users", "users_with_completed_model", "completed_models", "users_with_several_completed_models"),
    *("completed_without_model_id", "test_models_left_out", "training_status", "completed_models_hidden"),
    *("models_without_user", "users_with_unfinished_training", "users_with_unfinished_only", "completed_with_weights"),
    "users_with_several_models",
)


def render(view: RunView, out: BinaryIO) -> None:
    """Write the whole report to `out`; memory does not grow with the number of users."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "sync-audit", "version": view.run.tool_version},
        "run": _run(view),
        "population": view.population and _population(view.population, view),
        "summary": _summary(view),
    }
    write_document(out, head, {"users": (user_line(user, view.run.tables) for user in view.users())})


def _population(population: Population, view: RunView) -> dict[str, object]:
    unknown = view.run.tables.unknown(population.training_status)
    return {
        **fields(population, _POPULATION),
        "without_line": view.without_line,
        **({"unknown_training_status": unknown} if unknown else {}),
    }


def write_document(
    out: BinaryIO,
    head: Mapping[str, object],
    lists: Mapping[str, Iterator[object]],
    tail: Mapping[str, object] | None = None,
) -> None:
    """Write one JSON object: the members of `head` indented, `lists` with an item a line, `tail` with a member a line.

    Memory does not grow with the number of items. Characters that act on a reader are escaped.
    """
    encode = msgspec.json.Encoder().encode
    out.write(escaped(msgspec.json.format(encode(head), indent=2).removesuffix(b"\n}")))
    for name, items in lists.items():
        out.write(f',\n  "{name}": ['.encode())
        separator = b"\n    "
        while lines := [escaped(encode(item)) for item in islice(items, _BATCH)]:
            out.write(separator + b",\n    ".join(lines))
            separator = b",\n    "
        out.write(b"\n  ]")
    for name, value in (tail or {}).items():
        out.write(f',\n  "{name}": '.encode() + escaped(encode(value)))
    out.write(b"\n}\n")


def fields(noun: msgspec.Struct, names: Sequence[str]) -> dict[str, object]:
    """These fields of `noun`, in this order."""
    return {name: getattr(noun, name) for name in names}


def _run(view: RunView) -> dict[str, object]:
    run, accepted = view.run, view.accepted
    trainings = run.trainings and {
        **fields(run.trainings, _TRAININGS),
        "users_settled": view.by_training,
        "users_asked": view.answered,
    }
    acceptances = run.acceptances and {
        "file": run.acceptances.file,
        "accepted": accepted.total,
        "expired": accepted.expired,
        "unmatched": accepted.unmatched,
    }
    return {
        **fields(run, ("id", "started_at", "finished_at")),
        "duration_seconds": view.duration_seconds,
        **fields(run, _RUN_UNTIL_TRAININGS),
        "trainings": trainings,
        "baseline": run.baseline,
        "acceptances": acceptances,
        **fields(run, ("shard", "shards")),
        "coverage": view.coverage,
        "looked_for": run.looked_for,
        "weights": view.weights,
        "latest_per": run.latest_per,
        "trend": [{**fields(past, ("run_id", "started_at", "total")), **past.statuses} for past in view.trend],
    }


def _summary(view: RunView) -> dict[str, object]:
    summary = view.summary
    return {
        "verdict": view.verdict,
        "total": summary.total,
        **{status: summary.statuses[status] for status in (Status.UP_TO_DATE, *ATTENTION)},
        "reasons": summary.reasons,
        "notes": summary.notes,
        "baseline": view.since_baseline and view.since_baseline.states,
        "accepted": view.accepted.total,
        "also": summary.also,
        "users": summary.users,
    }


def user_line(user: AuditedUser, tables: Tables = PLAIN) -> UserLine:
    """Everything that is told about one user."""
    record, finding = user.record, user.finding
    reason = finding.reason
    return UserLine(
        record.user_id,
        record.email,
        record.display_name,
        record.model_row_id,
        record.replicate_model_id,
        hints.model_url(record, finding.model),
        reason.status,
        reason,
        finding.detail,
        record.replicate_version_id,
        finding.latest_version,
        finding.latest_version_created_at,
        finding.versions_behind,
        finding.total_versions,
        finding.versions,
        record.training_id,
        record.trigger_word,
        record.lora_scale,
        record.lora_weights_url,
        record.created_at,
        record.updated_at,
        record.completed_at,
        finding.notes,
        hints.one_line(user, tables),
        finding.current_version_created_at,
        record.model_name,
        record.older_completed,
        record.later_failure_reason,
        record.shared_with,
        record.shared_with_count,
        finding.evidence,
        *shown_trainings(user),
        user.baseline,
        _accepted(user.accepted),
        finding.affected_since,
        record.training_status,
        record.started_at,
        record.began_at,
        finding.weights_checked,
        also_block(user),
        record.other_models,
    )


def also_block(user: AuditedUser) -> AlsoBlock | None:
    """What is wrong with the completed row besides; None where nothing is."""
    also, row = user.finding.also, user.counting
    if also is None:
        return None
    return AlsoBlock(
        also.reason,
        row.model_row_id if row else None,
        row.replicate_model_id if row else None,
        row.replicate_version_id if row else None,
        also.latest_version,
        also.latest_version_created_at,
        also.versions_behind,
        also.affected_since,
    )


def _accepted(entry: Acceptance | None) -> AcceptedBlock | None:
    return None if entry is None else AcceptedBlock(entry.because, entry.until, entry.author)


def escaped(encoded: bytes) -> bytes:
    r"""The same JSON value, with what acts on a reader, or cannot be seen, written as \uXXXX."""
    if encoded.isascii() and b"\x7f" not in encoded and b"##" not in encoded:
        return encoded
    return escape_in_json(encoded.decode()).encode()
