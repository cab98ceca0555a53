"""The JSON report: the contract's fields, one user per line, so that it reads, diffs and greps well."""

import re
from itertools import islice
from typing import BinaryIO

import msgspec

from audit.hints import filled as hints
from audit.hints.trainings import TrainingLine, shown_trainings
from audit.model.codes import Note, Reason, Status
from audit.model.findings import Acceptance, AuditedUser, BaselineState, Summary
from audit.model.replies import Evidence, Version
from audit.model.users import Population
from audit.report.view import RunView

SCHEMA_VERSION = 1
"""Fields are only ever added within a version; `schema-1.json` beside this module describes it."""
_BATCH = 200
"""Users encoded per write: enough to make writing cheap, too few to matter in memory."""
# What JSON leaves bare and a terminal or an editor acts on, as UTF-8: DEL, C1, U+061C, U+200E/F, U+2028..E,
# U+2066..9, U+FEFF. C0 is escaped by every encoder. Outside strings there is none of these.
_ACTS = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xef\xbb\xbf")


class AcceptedBlock(msgspec.Struct, frozen=True):
    """`accepted` of a user."""

    because: str
    until: str
    author: str | None


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


def render(view: RunView, out: BinaryIO) -> None:
    """Write the whole report to `out`; memory does not grow with the number of users."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "sync-audit", "version": view.tool_version},
        "run": view.run,
        "population": view.population and _population(view.population),
        "summary": {
            **_summary(view.summary),
            "baseline": view.since_baseline and view.since_baseline.states,
            "accepted": view.accepted.total,
        },
    }
    encode = msgspec.json.Encoder().encode
    indented = msgspec.json.format(encode(head), indent=2)
    out.write(escaped(indented.removesuffix(b"\n}")) + b',\n  "users": [')
    users = view.users()
    separator = b"\n    "
    while lines := [escaped(encode(user_line(user))) for user in islice(users, _BATCH)]:
        out.write(separator + b",\n    ".join(lines))
        separator = b",\n    "
    out.write(b"\n  ]\n}\n")


def user_line(user: AuditedUser) -> UserLine:
    """Everything that is told about one user."""
    record, finding = user.record, user.finding
    reason = finding.reason
    return UserLine(
        record.user_id,
        record.email,
        record.display_name,
        record.model_row_id,
        record.replicate_model_id,
        hints.model_url(record),
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
        hints.one_line(user),
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
    )


def _accepted(entry: Acceptance | None) -> AcceptedBlock | None:
    return None if entry is None else AcceptedBlock(entry.because, entry.until, entry.author)


def _population(population: Population) -> dict[str, object]:
    """The contract's order; what was added later stands at the end."""
    return {
        "users": population.users,
        "users_with_completed_model": population.users_with_completed_model,
        "completed_models": population.completed_models,
        "users_with_several_completed_models": population.users_with_several_completed_models,
        "completed_without_model_id": population.completed_without_model_id,
        "test_models_left_out": population.test_models_left_out,
        "training_status": population.training_status,
        "completed_models_hidden": population.completed_models_hidden,
        "models_without_user": population.models_without_user,
    }


def _summary(summary: Summary) -> dict[str, object]:
    return {
        "total": summary.total,
        "up_to_date": summary.statuses[Status.UP_TO_DATE],
        "needs_sync": summary.statuses[Status.NEEDS_SYNC],
        "error": summary.statuses[Status.ERROR],
        "not_checked": summary.statuses[Status.NOT_CHECKED],
        "reasons": summary.reasons,
        "notes": summary.notes,
    }


def escaped(encoded: bytes) -> bytes:
    r"""The same JSON value, with characters that act on a reader written as \uXXXX."""
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    return _ACTS.sub(_spelled, encoded)


def _spelled(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(match[0].decode())
