"""What tells the lines of a report apart."""

from typing import NamedTuple

from audit.model.codes import LatestPer
from audit.model.ids import model_key
from audit.model.users import ModelRecord


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
