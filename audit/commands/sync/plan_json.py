"""The plan of a repair as JSON: one change or user per line. `audit/report/sync-1.json` describes it."""

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from audit.model.repair import LeftOut, RowChange
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


class PlanSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How many, of all whom the plan is about."""

    needs_sync: int
    """The sum of the next four."""
    changes: int
    left_out: int
    done_already: int
    """Changed by an earlier `--apply`."""
    beyond_limit: int
    weights: dict[str, int]
    """Of the changes, what happens to the weights URL."""
    why_left_out: dict[str, int]


def render(
    head: dict[str, object],
    changes: Iterator[RowChange],
    left_out: Iterator[LeftOut],
    summary: PlanSummary,
    out: BinaryIO,
) -> None:
    """Write the whole plan to `out`; memory does not grow with the number of users."""
    head = {"schema_version": SCHEMA_VERSION, **head}
    write_document(out, head, {"changes": changes, "left_out": left_out}, {"summary": summary})
