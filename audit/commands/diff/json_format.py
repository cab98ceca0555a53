"""A comparison as JSON, one user per line; `audit/report/diff-schema-1.json` describes it."""

from typing import BinaryIO

from audit.commands.diff.view import CHANGES, DiffView
from audit.findings.comparison import Change, ComparedUser
from audit.report.json_report import fields, write_document

SCHEMA_VERSION = 1
"""Fields are only ever added within a version."""
_RUN = (
    *("path", "id", "started_at", "state", "stop_reason", "database", "base_url", "account", "order_by", "users"),
    *("whole", "looked_for", "latest_per"),
)
_SIDE = (
    "status",
    "reason",
    "detail",
    "replicate_model_id",
    "current_version",
    "latest_version",
    "also",
    "model_row_id",
)


def render(view: DiffView, out: BinaryIO) -> None:
    """Write the whole comparison to `out`; memory does not grow with the number of users."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "kind": "diff",
        "tool": {"name": "sync-audit", "version": view.tool_version},
        "old": fields(view.old, _RUN),
        "new": fields(view.new, _RUN),
        "redacted": view.redacted,
        "warnings": view.caveats,
        "exit_code": view.exit_status.code,
        "summary": _summary(view),
    }
    write_document(out, head, {"users": (_line(user) for change in CHANGES for user in view.changes(change))})


def _summary(view: DiffView) -> dict[str, object]:
    counts = view.counts
    return {
        "total": counts.total,
        **{change: counts.changes[change] for change in Change},
        "unchanged_by_status": counts.unchanged,
        "maybe_worse": counts.maybe_worse,
    }


def _line(user: ComparedUser) -> dict[str, object]:
    return {
        **fields(user.last, ("user_id", "email", "display_name")),
        **fields(user, ("change", "differs")),
        "old": user.old and fields(user.old, _SIDE),
        "new": user.new and fields(user.new, _SIDE),
    }
