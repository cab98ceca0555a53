"""Which of a user's training rows counts, and why each of the others does not. Pure."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from audit.model.codes import OrderBy
from audit.model.tables import PLAIN, Column, Tables, TrainingState
from audit.model.text import backticked, escape_controls, shortened
from audit.model.times import parse_utc, to_minute
from audit.model.users import TRIMMED, TrainingRow

_TEXT_LIMIT = 300


class RowClass(StrEnum):
    """What a row is to the audit; exactly one is `counts`, or none."""

    COUNTS = "counts"
    OLDER = "older"
    TEST_ROW = "test_row"
    NOT_COMPLETED = "not_completed"
    NEAR_MISS = "near_miss"
    """A spelling of `training_status` that a person would take for completed, and no program does."""
    NO_USER = "no_user"


class ClassifiedRow(msgspec.Struct, frozen=True):
    """A row and what becomes of it."""

    row: TrainingRow
    verdict: RowClass
    why: str
    """One clause for a person, control characters spelled out."""


class RowRules(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a row count, as the audit was told."""

    order_by: OrderBy
    include_tests: bool = False
    tables: Tables = PLAIN


_COUNTS = {
    "user": "the latest completed row by {}",
    "model": "the latest completed row of its model by {}",
    "row": "a completed row: each of them counts",
}
"""By what has a line."""


def classify_rows(rows: Sequence[TrainingRow], counting_id: str | None, rules: RowRules) -> tuple[ClassifiedRow, ...]:
    """All `rows` of a line, given newest first, with the reason for each. `counting_id` is the one that was chosen.

    None means that the audit has chosen none; rows that could have counted then lack their user.
    """
    counting = next((row for row in rows if row.model_row_id == counting_id), None)
    return tuple(_judged(row, counting, rules) for row in rows)


def columns_in_order(order_by: OrderBy) -> Iterable[OrderBy]:
    """The dates that decide which row is the latest, the first one first."""
    columns: tuple[OrderBy, ...] = (order_by, "updated_at", "completed_at")
    return dict.fromkeys(columns)


def _judged(row: TrainingRow, counting: TrainingRow | None, rules: RowRules) -> ClassifiedRow:
    status = row.training_status
    if not rules.tables.user_models.has(Column.TRAINING_STATUS):
        if not (row.replicate_version_id or "").strip(TRIMMED):
            return ClassifiedRow(row, RowClass.NOT_COMPLETED, "no version is recorded, and there is no status")
    elif rules.tables.state(status) is not TrainingState.COMPLETED:
        verdict = RowClass.NEAR_MISS if rules.tables.is_near_miss(status) else RowClass.NOT_COMPLETED
        return ClassifiedRow(row, verdict, _status(row, verdict, rules.tables))
    if row.is_test and not rules.include_tests:
        return ClassifiedRow(
            row,
            RowClass.TEST_ROW,
            f"a test row ({_called(rules, Column.IS_TEST)}): only --include-tests takes it into account",
        )
    if counting is None:
        return ClassifiedRow(
            row,
            RowClass.NO_USER,
            f"its user is not in the table {escape_controls(rules.tables.users.sql)}, so no audit looks at it",
        )
    if row is counting:
        why = _COUNTS[rules.tables.latest_per].format(_called(rules, rules.order_by))
        return ClassifiedRow(row, RowClass.COUNTS, why)
    return ClassifiedRow(row, RowClass.OLDER, _older(row, counting, rules))


def _called(rules: RowRules, column: str) -> str:
    """The database's name, for a sentence."""
    return escape_controls(rules.tables.user_models.called(column))


def _status(row: TrainingRow, verdict: RowClass, tables: Tables) -> str:
    status, name = row.training_status, escape_controls(tables.user_models.called(Column.TRAINING_STATUS))
    if status is None:
        return f"{name} is null"
    shown = shortened(escape_controls(status), _TEXT_LIMIT)
    if verdict is RowClass.NEAR_MISS:
        return f"{name} is `{shown}`, not {backticked(tables.completed)}, so audit and product miss it"
    if tables.state(status) is None:
        return f"{name} is `{shown}`, which is none of the known ones"
    because = f": {shortened(escape_controls(row.failure_reason), _TEXT_LIMIT)}" if row.failure_reason else ""
    return f"{name} is {shown}{because}"


def _older(row: TrainingRow, counting: TrainingRow, rules: RowRules) -> str:
    """By which column `row` comes behind the one that counts."""
    equal = []
    there = filter(rules.tables.user_models.has, columns_in_order(rules.order_by))
    for date in (*there,) or (Column.CREATED_AT,):
        column = _called(rules, date)
        mine, other = parse_utc(getattr(row, date)), parse_utc(getattr(counting, date))
        if mine == other:
            equal.append(column)
            continue
        same = f"same {' and '.join(equal)}, and " if equal else ""
        if mine is None:
            return f"{same}no {column}, so it counts as the oldest"
        if other is None or mine > other:
            return f"{same}{column} is a date that PostgreSQL puts behind the other"  # infinity, or before year 1
        first, last = getattr(row, date), getattr(counting, date)
        short = to_minute(first) != to_minute(last)
        return f"{same}{column} {to_minute(first) if short else first} is before {to_minute(last) if short else last}"
    return f"same {' and '.join(equal)}, and a lower id than {shortened(escape_controls(counting.model_row_id), 60)}"
