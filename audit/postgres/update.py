"""The UPDATE of a repair: what it sets in a row of `user_models`, and what has to hold of the row until then.

Text only. One function writes it for both ways of running it: for many rows at once, whose values travel as
parameters, and for one row as a line of SQL for psql. `why_not` says in words which guard a row has failed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple, Self

import msgspec

from audit.model.repair import RowUpdate
from audit.model.sql import LITERAL, literal, literal_value
from audit.model.tables import PLAIN, Column, Tables, TrainingState
from audit.model.text import escape_controls, shortened
from audit.postgres.columns import Columns, as_iso, is_among

_FIELDS: Mapping[Column, tuple[str, str]] = {
    Column.VERSION_ID: ("old_version", "new_version"),
    Column.LORA_WEIGHTS_URL: ("old_weights", "new_weights"),
    Column.UPDATED_AT: ("old_updated_at", "new_updated_at"),
}
"""Column that a repair may set -> fields of `RowUpdate`: what has to be in it, and what is to be in it."""
_PARAMETERS = ("model_row_id", *chain.from_iterable(_FIELDS.values()))
"""Fields of `RowUpdate` in the order of the parameters of `batch_update`."""
ALREADY = "it is what it was to be already"
"""Why a row is skipped that somebody has changed to the very same."""
_SHOWN = 80
"""Characters of a value in a sentence."""


def guarded_columns(update: RowUpdate) -> tuple[Column, ...]:
    """Columns that have to be what they were. Beside them, the row's training has to be completed in any case."""
    return tuple(column for column in _FIELDS if column is not Column.UPDATED_AT or update.guards_updated_at)


def _update(  # noqa: PLR0913, PLR0917 - the parts of a statement, in its order
    table: str,
    sets: Iterable[tuple[str, str]],
    source: str,
    row: str,
    guards: Iterable[tuple[str, str]],
    completed: str,
) -> str:
    """Set columns to expressions in `row`, where each guard's column still has its value."""
    changes = ", ".join(f"{column} = {value}" for column, value in sets)
    unchanged = " AND ".join(f"{column} IS NOT DISTINCT FROM {value}" for column, value in guards)
    # Values are parameters or literals; names are quoted where they are not ours.
    return f"UPDATE {table} SET {changes}{source} WHERE {row} AND {unchanged} AND {completed}"  # noqa: S608


class StoredRow(NamedTuple):
    """What the table holds of one row; the time as in `ModelRecord`."""

    model_row_id: str
    status: str | None
    version: str | None
    weights: str | None
    updated_at: str | None


def select_rows(models: Columns) -> str:
    """SQL for the rows with the ids $1, as `StoredRow`."""
    return f"SELECT {_stored_row(models)} FROM {models.table.sql} AS m WHERE {_is_listed(models)}"  # noqa: S608 - names


def batch_update(models: Columns, sets: Sequence[Column], guarded: Sequence[Column]) -> str:
    """SQL that makes updates which all set and guard the same columns; it returns the changed rows as `StoredRow`.

    Its parameters are those of `batch_parameters`.
    """
    arrays = (
        f"${number}::text[]" + (f"::{models[Column.UPDATED_AT]}[]" if field in _FIELDS[Column.UPDATED_AT] else "")
        for number, field in enumerate(_PARAMETERS, 1)
    )
    statement = _update(
        f"{models.table.sql} AS m",
        [(models.sql(column), f"wanted.{_FIELDS[column][1]}") for column in sets],
        f" FROM unnest({', '.join(arrays)}) AS wanted ({', '.join(_PARAMETERS)})",
        f"{_is_listed(models)} AND m.{models.sql(Column.ID)}::text = wanted.model_row_id",
        [(_compared(models, column), f"wanted.{_FIELDS[column][0]}") for column in guarded],
        models.tables.is_completed(_text(models, Column.TRAINING_STATUS)),
    )
    return f"{statement} RETURNING {_stored_row(models)}"


def batch_parameters(updates: Iterable[RowUpdate]) -> list[list[str | None]]:
    """One array for each of `_PARAMETERS`."""
    rows = [[getattr(update, field) for field in _PARAMETERS] for update in updates]
    return [list(values) for values in zip(*rows, strict=True)]


def _is_listed(models: Columns) -> str:
    kind = models[Column.ID]
    return is_among(f"m.{models.sql(Column.ID)}", kind, kind, "$1")


def _text(models: Columns, column: Column) -> str:
    return f"m.{models.sql(column)}::text" if column in models else "NULL::text"


def _compared(models: Columns, column: Column) -> str:
    return f"m.{models.sql(column)}" if column is Column.UPDATED_AT else _text(models, column)


def _stored_row(models: Columns) -> str:
    date = f"m.{models.sql(Column.UPDATED_AT)}"
    return (
        f"{_text(models, Column.ID)} AS model_row_id, {_text(models, Column.TRAINING_STATUS)} AS status, "
        f"{_text(models, Column.VERSION_ID)} AS version, {_text(models, Column.LORA_WEIGHTS_URL)} AS weights, "
        f"coalesce({as_iso(date, models[Column.UPDATED_AT])}, {date}::text) AS updated_at"
    )


class Names(msgspec.Struct, frozen=True):
    """What a line for psql calls the table and its columns, quoted already where that is needed."""

    table: str
    columns: dict[Column, str]
    """The id and those of `_FIELDS` that the table has."""
    completed: str
    """What is true of a row whose training has completed."""

    @classmethod
    def of(cls, tables: Tables, *, weights: bool = True) -> Self:
        """As `tables` has them; without `weights` there is no column for their URL."""
        table = tables.user_models
        columns = {column: table.column(column) for column in (Column.ID, *_FIELDS)}
        names = cls(table.sql, columns, tables.is_completed(table.column(Column.TRAINING_STATUS)))
        return names if weights else names.without_weights()

    def without_weights(self) -> Self:
        """Those of a table that has no column for the weights URL."""
        columns = {column: name for column, name in self.columns.items() if column is not Column.LORA_WEIGHTS_URL}
        return msgspec.structs.replace(self, columns=columns)


def update_line(update: RowUpdate, names: Names) -> str:
    """`update` as one line of SQL, whatever its values hold. Literals have no type, so they suit columns of any."""

    def pairs(columns: Iterable[Column], field: int) -> list[tuple[str, str]]:
        known = (column for column in columns if column in names.columns)
        return [(names.columns[column], literal(getattr(update, _FIELDS[column][field]))) for column in known]

    row = f"{names.columns[Column.ID]} = {literal(update.model_row_id)}"
    sets, guards = pairs(update.columns, 1), pairs(guarded_columns(update), 0)
    return f"{_update(names.table, sets, '', row, guards, names.completed)};"


def parse_update_line(line: str, names: Names) -> RowUpdate | None:
    """The update that `update_line` writes as exactly `line`; None where there is none."""
    beginning, end = f"UPDATE {names.table} SET ", f" AND {names.completed};"  # noqa: S608 - only compared with
    if not (line.startswith(beginning) and line.endswith(end)):
        return None
    columns = {name: column for column, name in names.columns.items()}
    old, new = dict[Column, str | None](), dict[Column, str | None]()
    for match in _pair(tuple(columns)).finditer(line, len(beginning), len(line) - len(end)):
        (new if match["relation"] == "=" else old)[columns[match["column"]]] = literal_value(match["value"])
    row_id = new.get(Column.ID)
    if row_id is None:
        return None
    update = RowUpdate(
        model_row_id=row_id,
        old_version=old.get(Column.VERSION_ID),
        new_version=new.get(Column.VERSION_ID),
        old_weights=old.get(Column.LORA_WEIGHTS_URL),
        new_weights=new.get(Column.LORA_WEIGHTS_URL, old.get(Column.LORA_WEIGHTS_URL)),
        sets_weights=Column.LORA_WEIGHTS_URL in new,
        old_updated_at=old.get(Column.UPDATED_AT),
        guards_updated_at=Column.UPDATED_AT in old,
        new_updated_at=new.get(Column.UPDATED_AT),
        sets_updated_at=Column.UPDATED_AT in new,
    )
    written_with = names if Column.LORA_WEIGHTS_URL in old else names.without_weights()
    return update if update_line(update, written_with) == line else None


@cache
def _pair(names: tuple[str, ...]) -> re.Pattern[str]:
    """One of the columns `names` with the literal that it is set to or compared with."""
    return re.compile(
        rf"(?P<column>{'|'.join(map(re.escape, names))}) (?P<relation>=|IS NOT DISTINCT FROM) (?P<value>{LITERAL})"
    )


def why_not(update: RowUpdate, row: StoredRow | None, tables: Tables = PLAIN) -> str:
    """Why `update` is not right for `row` of `tables`, for a person."""
    if row is None:
        return "the row is gone"
    if tables.state(row.status) is not TrainingState.COMPLETED:
        return f"training_status is {_shown(row.status)} now"
    if (row.version, row.weights) == (update.new_version, update.new_weights):
        return ALREADY
    if row.version != update.old_version:
        return f"replicate_version_id is {_shown(row.version)} now"
    if row.weights != update.old_weights:
        return f"lora_weights_url is {_shown(row.weights)} now"
    if update.guards_updated_at and row.updated_at != update.old_updated_at:
        return f"edited since: updated_at is {_shown(row.updated_at)} now, and was {_shown(update.old_updated_at)}"
    return "the database left it as it was (a trigger or a rule?)"


def _shown(value: str | None) -> str:
    return "null" if value is None else shortened(escape_controls(value), _SHOWN) if value.strip() else repr(value)
