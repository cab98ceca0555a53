"""What hints call columns: by the database's own names, and none that is not there."""

from functools import cache

from audit.hints.table import HINTS
from audit.model.codes import Note, Reason
from audit.model.sql import one_line, quoted
from audit.model.tables import Column, Table, Tables
from audit.model.text import escape_controls

_NEEDS = {"{weights_column}": Column.LORA_WEIGHTS_URL, "{trigger_column}": Column.TRIGGER_WORD}
"""Steps that name one of these are left out where there is no such column."""


@cache
def steps_of(code: Reason | Note, tables: Tables) -> tuple[str, ...]:
    """The steps of `code` that these tables have the columns for."""
    has = tables.user_models.has
    absent = [name for name, column in _NEEDS.items() if not has(column)]
    return tuple(step for step in HINTS[code].steps if not any(name in step for name in absent))


@cache
def names(tables: Tables) -> dict[str, str]:
    """What steps and lines may name in braces, of the tables and not of a user."""
    has = tables.user_models.has
    status = _named(tables, Column.TRAINING_STATUS)
    model = _model(tables)
    own = {
        "status_column": status.strip('"') if has(Column.TRAINING_STATUS) else "state",
        "version_column": _named(tables, Column.VERSION_ID) if has(Column.VERSION_ID) else model,
        "model_column": model,
        "weights_column": _named(tables, Column.LORA_WEIGHTS_URL),
        "trigger_column": _named(tables, Column.TRIGGER_WORD),
        "set_failed": f"Set its {status} to failed, tell the user" if has(Column.TRAINING_STATUS) else "Tell the user",
        "or_set_status": f", or set {status} to what it really is" if has(Column.TRAINING_STATUS) else "",
        "says_completed": f"{status} says completed for this row; that is wrong"
        if has(Column.TRAINING_STATUS)
        else "The row has a version, which can't be right",
    }
    return {name: escape_controls(text) for name, text in own.items()}


def column_item(table: Table, column: str) -> str:
    """`column` of a SELECT on one line: by its own name, or what it is made by."""
    line = table.line(column)
    return line if table.expression(column) is None else f"({line}) AS {column}"


def from_item(tables: Tables) -> str:
    """What is read as `user_models`, on one line, as it stands behind FROM."""
    table = tables.user_models
    return table.sql if table.query is None else f"({one_line(table.query)}) AS {quoted(table.name)}"


def _model(tables: Tables) -> str:
    has = tables.user_models.has
    if tables.user_models.there is not None and has(Column.NAME):
        both = (Column.OWNER, Column.NAME) if has(Column.OWNER) else (Column.NAME,)
        return " and ".join(_named(tables, column) for column in both)
    return _named(tables, Column.MODEL_ID if has(Column.MODEL_ID) else Column.VERSION_ID)


def _named(tables: Tables, column: Column) -> str:
    """What is to be set for `column`: what [database.repair] says, else what is read."""
    repair, table = tables.repair, tables.user_models
    written = dict(repair.paths).get(column)
    if written is not None:
        return one_line(written)
    own = dict(repair.columns).get(column)
    if own is not None:
        return quoted(own)
    return table.line(column)
