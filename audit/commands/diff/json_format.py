"""A comparison as JSON, one user per line; `diff-schema-1.json` beside this module describes it."""

from itertools import islice
from typing import BinaryIO

import msgspec

from audit.commands.diff.view import CHANGES, DiffView
from audit.findings.comparison import Change, ComparedRun, ComparedUser, UserSnapshot
from audit.report.json_report import escaped

SCHEMA_VERSION = 1
"""Fields are only ever added within a version."""
_BATCH = 200


def render(view: DiffView, out: BinaryIO) -> None:
    """Write the whole comparison to `out`; memory does not grow with the number of users."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "kind": "diff",
        "tool": {"name": "sync-audit", "version": view.tool_version},
        "old": _run(view.old),
        "new": _run(view.new),
        "redacted": view.redacted,
        "warnings": view.doubts,
        "exit_code": view.exit_status.code,
        "summary": _summary(view),
    }
    encode = msgspec.json.Encoder().encode
    indented = msgspec.json.format(encode(head), indent=2)
    out.write(escaped(indented.removesuffix(b"\n}")) + b',\n  "users": [')
    users = (user for change in CHANGES for user in view.changes(change))
    separator = b"\n    "
    while lines := [escaped(encode(_line(user))) for user in islice(users, _BATCH)]:
        out.write(separator + b",\n    ".join(lines))
        separator = b",\n    "
    out.write(b"\n  ]\n}\n")


def _run(run: ComparedRun) -> dict[str, object]:
    return {
        "path": run.path,
        "id": run.id,
        "started_at": run.started_at,
        "state": run.state,
        "stop_reason": run.stop_reason,
        "database": run.database,
        "base_url": run.base_url,
        "account": run.account,
        "order_by": run.order_by,
        "users": run.users,
        "whole": run.whole,
    }


def _summary(view: DiffView) -> dict[str, object]:
    counts = view.counts
    listed = {change.value: counts.changes[change] for change in Change}
    return {
        "total": counts.total,
        **listed,
        "unchanged_by_status": {status.value: count for status, count in counts.unchanged.items()},
        "maybe_worse": counts.maybe_worse,
    }


def _line(user: ComparedUser) -> dict[str, object]:
    last = user.last
    return {
        "user_id": last.user_id,
        "email": last.email,
        "display_name": last.display_name,
        "change": user.change,
        "differs": user.differs,
        "old": _side(user.old),
        "new": _side(user.new),
    }


def _side(side: UserSnapshot | None) -> dict[str, object] | None:
    if side is None:
        return None
    return {
        "status": side.status,
        "reason": side.reason,
        "detail": side.detail,
        "replicate_model_id": side.replicate_model_id,
        "current_version": side.current_version,
        "latest_version": side.latest_version,
    }
