"""What tells the lines of a report apart."""

from collections.abc import Mapping
from typing import NamedTuple

from audit.model.codes import LatestPer
from audit.model.ids import model_key
from audit.model.users import ModelRecord

NOUNS: Mapping[LatestPer, str] = {"user": "user", "model": "model", "row": "row"}
"""What has a line, in the singular."""


class Line(NamedTuple):
    """One line of every report. Equal lines of two runs are compared with each other."""

    user_id: str
    part: str = ""
    """The model's key where each user and model has a line, the row's id where each row has; else ""."""


def line_of(record: ModelRecord, latest_per: LatestPer) -> Line:
    """The line of a record, where the latest row is looked for per user, per user and model, or each counts."""
    return line(record.user_id, record.replicate_model_id, record.model_row_id, latest_per)


def line(user_id: str, model_id: str | None, row_id: str, latest_per: LatestPer) -> Line:
    """The same of what a report has of a record."""
    if latest_per == "model":
        return Line(user_id, model_key(model_id))
    return Line(user_id, row_id if latest_per == "row" else "")


def counted_lines(count: int, latest_per: LatestPer) -> str:
    """`1 user`, `2,310 models`: so many lines, by what has one."""
    return f"{count:,} {NOUNS[latest_per]}{'s' * (count != 1)}"


def told_apart(model_id: str | None, row_id: str | None, latest_per: LatestPer) -> str:
    """What tells a person one line of a user from the others: "acme/ann-cat", "row 17"; "" where there is one."""
    match latest_per:
        case "model":
            return (model_id or "").strip() or "no model"
        case "row":
            return f"row {row_id or ''}"
        case "user":
            return ""
