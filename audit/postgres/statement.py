"""The UPDATE of a repair for one row, as one statement that a person can paste into any client. Text only.

It says the same as the statements for many rows (`audit.postgres.update`) as far as the row itself goes: what is set is
made by the same code, and what the audit saw in the row has to be there still. Of other rows it knows nothing.
"""

from collections.abc import Iterator

from audit.model.place import Place
from audit.model.repair import RowUpdate
from audit.model.sql import enclosed, literal, quoted
from audit.model.tables import TIMES, Column, ColumnTypes, Tables
from audit.postgres.columns import is_completed, is_date, named_columns
from audit.postgres.script import table_of
from audit.postgres.update import GUARDED, guard_expressions
from audit.postgres.writing import writing_of

_EQUAL_AS_TEXT = frozenset({"int2", "int4", "int8", "uuid", "text", "varchar"})
"""Types of which two values are equal where their texts are, so that an index on the key serves."""


class Statements:
    """For the tables of one run."""

    def __init__(self, tables: Tables, columns: ColumnTypes, place: Place) -> None:
        _, self._models = named_columns(tables, columns, place)
        self._writing = writing_of(self._models, columns.written, table=table_of(columns, place))
        self._fixed = columns.fixed
        self._guards = guard_expressions(self._models)

    def of(self, update: RowUpdate) -> str | None:
        """The UPDATE, which ends in a semicolon.

        None where one statement will not do: another table is written than is read, a column is one that nobody can
        set, no column holds the row's id, or the row is guarded by something that the tables have not.
        """
        writing = self._writing
        can_be_set = all(column in writing.slots and column not in self._fixed for column in update.sets)
        if writing.apart or writing.key is None or not can_be_set or not update.guards.keys() <= self._guards.keys():
            return None
        sets = writing.sets(update.columns, lambda column: _value(update.sets[column]), puts_back=False)
        conditions = "\n    AND ".join(self._conditions(update, writing.key.sql, writing.key.kind))
        return f"UPDATE {writing.table} AS m\nSET {sets}\nWHERE {conditions};"

    def _conditions(self, update: RowUpdate, key: str, kind: str) -> Iterator[str]:
        models = self._models
        yield f"m.{key}{'' if kind in _EQUAL_AS_TEXT else '::text'} = {literal(update.model_row_id)}"
        for column in GUARDED:
            if column not in update.guards:
                continue
            value = update.guards[column]
            if column in TIMES:
                yield is_date(models.sql(column, "m."), models[column], value)
            elif column is Column.TRAINING_STATUS:  # as citext it would not tell A from a
                yield _is(f"({self._guards[column]})::text", value)
            else:
                yield _is(self._guards[column], value)
        if Column.TRAINING_STATUS in models and Column.TRAINING_STATUS not in update.guards:
            yield f"({is_completed(models, 'm.')})"
        if models.tables.where is not None:
            table = quoted(models.table.path[-1])
            yield f"EXISTS (SELECT FROM (SELECT m.*) AS {table} WHERE ({enclosed(models.tables.where)}))"


def _value(text: str | None) -> str:
    return f"{literal(text)}::text"


def _is(expression: str, text: str | None) -> str:
    return f"{expression} IS NULL" if text is None else f"{expression} = {literal(text)}"
