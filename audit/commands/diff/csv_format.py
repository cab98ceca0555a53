"""A comparison as CSV: a row for each line of which there is something to tell; as safe as the CSV report."""

from typing import BinaryIO

from audit.commands.diff.view import CHANGES, DiffView
from audit.findings.comparison import ComparedUser
from audit.report.csv_report import cell, write_table

SIDES = (
    "status",
    "reason",
    "replicate_model_id",
    "current_version",
    "latest_version",
    "detail",
    "also",
    "model_row_id",
)
"""Fields of both runs."""
COLUMNS = (
    "change",
    "user_id",
    "email",
    "display_name",
    *(f"{side}_{field}" for field in SIDES for side in ("old", "new")),
)


def render(view: DiffView, out: BinaryIO) -> None:
    """Write the whole table to `out`; memory does not grow with the number of users."""
    write_table(COLUMNS, (_row(user) for change in CHANGES for user in view.changes(change)), out)


def _row(user: ComparedUser) -> list[str]:
    last = user.last
    sides = (getattr(side, field) if side else None for field in SIDES for side in (user.old, user.new))
    return [user.change.value, cell(last.user_id), cell(last.email), cell(last.display_name), *map(cell, sides)]
