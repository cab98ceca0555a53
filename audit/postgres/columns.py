"""The two tables as they are: which columns there are, of what type, and whether that will do."""

from collections.abc import Mapping
from difflib import get_close_matches

from audit.errors import DatabaseError
from audit.model.tables import COLUMNS, DATES, Column, Table, TableName, Tables

LOOK_UP = """
SELECT wanted.name, found.id IS NOT NULL AS present,
    CASE WHEN found.id IS NOT NULL THEN row_security_active(found.id) ELSE false END AS row_security,
    ARRAY(SELECT CASE WHEN other.relname = wanted.own_name THEN format('one in schema %I', schema.nspname)
            ELSE format('one called %I.%I', schema.nspname, other.relname) END
        FROM pg_class AS other JOIN pg_namespace AS schema ON schema.oid = other.relnamespace
        WHERE lower(other.relname) = lower(wanted.own_name) AND other.relkind IN ('r', 'p', 'v', 'm', 'f')
        ORDER BY 1) AS elsewhere,
    ARRAY(SELECT attname::text FROM pg_attribute
        WHERE attrelid = found.id AND attnum > 0 AND NOT attisdropped ORDER BY attnum) AS columns,
    ARRAY(SELECT coalesce(beneath.typname, outermost.typname)::text FROM pg_attribute
        JOIN pg_type AS outermost ON outermost.oid = atttypid
        LEFT JOIN pg_type AS beneath ON beneath.oid = outermost.typbasetype
        WHERE attrelid = found.id AND attnum > 0 AND NOT attisdropped ORDER BY attnum) AS types
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (name, called, own_name)
CROSS JOIN LATERAL (SELECT to_regclass(wanted.called)::oid AS id) AS found
"""
"""Tables (or views) that the audit calls $1 and SQL $2, as the search path finds them; $3 is without the schema."""


class Columns(dict[str, str]):
    """Column of a table, by the audit's name -> name of its type as in pg_type, of domains the type beneath."""

    def __init__(self, tables: Tables, name: TableName, types: Mapping[str, str]) -> None:
        """`types` by the database's names; columns that the audit does not read are left out."""
        self.tables = tables
        self.table: Table = tables[name]
        own = {column: self.table.called(column) for column in COLUMNS[name]}
        super().__init__({column: types[called] for column, called in own.items() if called in types})
        self.there = tuple(types)
        """All columns, by the database's names."""

    def sql(self, column: str) -> str:
        """The column as SQL names it."""
        return self.table.column(column)


def missing_columns(users: Columns, models: Columns) -> tuple[Column, ...]:
    """Optional columns that there are not. A `display_name` of either table will do."""
    present = {*models, Column.DISPLAY_NAME} if Column.DISPLAY_NAME in users else set(models)
    return tuple(column for column in Column if column.lost and column not in present)


def check_columns(label: str, columns: Columns) -> None:
    """Raises `DatabaseError` for a column that is required or mapped and missing, or is no date where one is needed."""
    table = columns.table
    required = (column for column in COLUMNS[table.name] if not column.lost)
    for name in dict.fromkeys((*required, *dict(table.mapped))):
        own = table.called(name)
        needed = f"The audit needs {table.name}.{name}" if own == name else f"It is to be {table.name}.{name}"
        if name not in columns:
            near = get_close_matches(own.casefold(), columns.there, 1)
            raise DatabaseError(
                f"database {label}: table {table.sql} has no column {own}",
                f"{needed}; [database.columns] in the config file tells how a column is called."
                + (f" Is it {near[0]}?" if near else ""),
            )
        if name in DATES and columns[name] not in ("timestamptz", "timestamp", "date"):
            raise DatabaseError(
                f"database {label}: column {table.sql}.{own} is of type {columns[name]}, not a timestamp",
                f"{needed}; a view may convert it.",
            )
