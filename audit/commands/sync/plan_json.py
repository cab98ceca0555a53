"""The plan of a repair as JSON: one change or user per line. `audit/report/sync-1.json` describes it."""

from typing import BinaryIO

import msgspec

from audit import __version__
from audit.model.repair import LeftOut, RowChange
from audit.model.times import utc_text
from audit.repair.plan import Plan, PlanSummary
from audit.report.json_report import write_document

SCHEMA_VERSION = 1
"""Fields are only ever added within a version."""


class RunOfPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The run that the plan is made from."""

    id: str
    started_at: str
    finished_at: str | None
    state: str
    """complete, interrupted or stopped."""
    database: str
    redacted: bool
    """E-mails and names are masked here; the SQL files hold neither."""


def render(plan: Plan, summary: PlanSummary, out: BinaryIO) -> None:
    """Write the whole plan to `out`; memory does not grow with the number of users."""
    info = plan.info
    run = RunOfPlan(
        id=info.id,
        started_at=info.started_at,
        finished_at=info.finished_at,
        state=info.ended_as,
        database=info.database,
        redacted=plan.redacted,
    )
    head = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "sync-audit", "version": __version__},
        "run": run,
        "planned_at": utc_text(plan.now),
    }
    changes = (outcome for outcome in plan.shown() if isinstance(outcome, RowChange))
    left_out = (outcome for outcome in plan.shown() if isinstance(outcome, LeftOut))
    write_document(out, head, {"changes": changes, "left_out": left_out}, {"summary": summary})
