"""Where a repair writes by the catalog, and what of it may be set, by this role and by anybody."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from audit.errors import DatabaseError
from audit.model.sql import json_path
from audit.model.tables import Column, ColumnTypes, Tables, WrittenTable
from audit.model.text import toml_text
from audit.postgres.columns import Columns
from audit.postgres.messages import URL_SETTING
from audit.postgres.writing import Writing, is_plain, table_to_write, writing_of

if TYPE_CHECKING:
    from audit.postgres.connection import Connection

# A version before 12 has no generated columns, and so no column of the catalog that tells them.
_RIGHTS = """
SELECT current_setting('transaction_read_only') = 'on' AS read_only, pg_is_in_recovery() AS replica,
    format('%I', current_user) AS role, pg_relation_is_updatable(found.id, true) & 4 = 4 AS updatable,
    relation.relkind IN ('r', 'p') AND has_table_privilege(found.id, 'SELECT') AS tells_xmin,
    ARRAY(SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
        WHERE NOT has_column_privilege(found.id, name, 'UPDATE') ORDER BY place) AS denied,
    ARRAY(SELECT attname::text FROM pg_attribute AS a
        WHERE attrelid = found.id AND attname = ANY($1::text[]) AND NOT attisdropped
            AND (to_jsonb(a) ->> 'attgenerated' <> '' OR attidentity = 'a')) AS generated,
    ARRAY(SELECT attname::text FROM pg_attribute
        WHERE attrelid = found.id AND attname = ANY($1::text[]) AND NOT attisdropped
            AND NOT pg_column_is_updatable(found.id, attnum, true)) AS computed
FROM (SELECT to_regclass($2)::oid AS id) AS found JOIN pg_class AS relation ON relation.oid = found.id
"""
"""Whether the columns $1 of the table $2 may be set here and now."""
_WRITTEN = """
SELECT format('%I.%I', nspname, relname) AS name,
    ARRAY(SELECT attname::text FROM pg_attribute
        WHERE attrelid = found.id AND attnum > 0 AND NOT attisdropped ORDER BY attnum) AS columns,
    ARRAY(SELECT CASE WHEN coalesce(beneath.typtype, outermost.typtype) = 'c' THEN 'record'
            ELSE coalesce(beneath.typname, outermost.typname)::text END FROM pg_attribute
        JOIN pg_type AS outermost ON outermost.oid = atttypid
        LEFT JOIN pg_type AS beneath ON beneath.oid = outermost.typbasetype
        WHERE attrelid = found.id AND attnum > 0 AND NOT attisdropped ORDER BY attnum) AS types
FROM (SELECT to_regclass($1)::oid AS id) AS found JOIN pg_class AS relation ON relation.oid = found.id
JOIN pg_namespace AS schema ON schema.oid = relation.relnamespace
"""
"""The table $1, with its columns."""
_CLOSED = "42501"
"""What the server says of a table in a schema that is closed to this role; another role may repair it."""
_FIXED = {"generated": "it is generated from other columns", "computed": "it is an expression of the view"}


_TAKES_NOTHING = "is a view or table that takes no changes"


class Rights(NamedTuple):
    """What may be set. Columns by the audit's names."""

    tells_xmin: bool
    """A row says which transaction has written it; no view does, nor a table of which only columns may be read."""
    fixed: dict[Column, str]
    """Columns that nobody can set, and why: clauses."""
    denied: tuple[Column, ...]
    """Columns that this role may not set."""
    role: str
    """As SQL writes it."""
    updatable: bool
    read_only: str | None
    """Why nothing at all can be written here; null where it can."""


async def read_writing(connection: "Connection", models: Columns) -> Writing:
    """Where a repair writes, by the catalog. To be called within a transaction. Raises as asyncpg does."""
    table = table_to_write(models)
    if is_plain(models) or table is None:
        return writing_of(models)
    await connection.execute("SAVEPOINT before_written")
    try:
        row = await connection.fetchrow(_WRITTEN, table)
    except Exception as error:  # as asyncpg's, which whoever only plans need not import
        if getattr(error, "sqlstate", None) != _CLOSED:
            raise
        await connection.execute("ROLLBACK TO SAVEPOINT before_written")
        row = None
    types = dict(zip(row["columns"], row["types"], strict=True)) if row else {}
    found = WrittenTable(row["name"], types) if row else None
    return writing_of(models, found, table=found.name if found else None)


async def read_rights(connection: "Connection", writing: Writing, columns: Sequence[Column]) -> Rights:
    """To be called within a transaction. Raises as asyncpg does."""
    of_columns = {column: writing.own(column) for column in columns}
    names = list(dict.fromkeys(name for own in of_columns.values() for name in own))
    unknown = {column: why for column, why in writing.why_not.items() if column in columns}
    row = await connection.fetchrow(_RIGHTS, names, writing.table) if writing.key else None
    if row is None:  # there is nothing to write to
        role = await connection.fetchval("SELECT format('%I', current_user)")
        return Rights(tells_xmin=False, fixed=unknown, denied=(), role=role, updatable=True, read_only=None)
    read_only = None
    if row["read_only"]:
        read_only = "it is a replica" if row["replica"] else "default_transaction_read_only is on"
    fixed = {name: why for kind, why in _FIXED.items() if row["updatable"] for name in row[kind]}
    if not row["updatable"]:
        fixed = dict.fromkeys(names, f"{writing.table} {_TAKES_NOTHING}")
    return Rights(
        tells_xmin=row["tells_xmin"],
        fixed={column: fixed[name] for column, own in of_columns.items() for name in own if name in fixed} | unknown,
        denied=tuple(column for column, own in of_columns.items() if {*own} & {*row["denied"]}),
        role=row["role"],
        updatable=row["updatable"],
        read_only=read_only,
    )


def check_rights(label: str, models: Columns, writing: Writing, rights: Rights) -> None:
    """Raises DatabaseError, with what would help, where the columns that `rights` are about may not be set."""
    table = writing.table
    if rights.read_only:
        raise DatabaseError(
            f"database {label} takes no changes: {rights.read_only}",
            f"Name the primary server and a role that may write in {URL_SETTING}.",
        )
    if not rights.updatable:
        raise DatabaseError(
            f"database {label}: {table} {_TAKES_NOTHING}",
            "schema=NAME in the URL chooses another schema; or have the view made updatable; or name the table "
            "beneath it in the config file ([database.repair] table).",
        )
    for column, why in rights.fixed.items():
        raise fixed_column_error(label, models.tables, column, why)
    if rights.denied:
        listed = ", ".join(writing.names(rights.denied))
        raise DatabaseError(
            f"database {label} does not let the role {rights.role} change {table} ({listed})",
            f"Have an owner run: GRANT UPDATE ({listed}) ON {table} TO {rights.role};",
        )


def fixed_column_error(label: str, tables: Tables, column: Column, why: str) -> DatabaseError:
    """The error for a column that no change can set."""
    table = tables.user_models
    shown = f"{table.sql}.{table.called(column)}" if table.query is None else column.value
    return DatabaseError(
        f"database {label}: column {shown} cannot be set, as {why}", fixed_column_step(tables, column, why)
    )


def fixed_column_step(tables: Tables, column: Column, why: str) -> str:
    """What to do about it."""
    if why in _FIXED.values():
        return (
            "Repair what it is made from by hand: sync-audit explain REASON has the steps. Or map the column that "
            "holds the value itself ([database.columns] in the config file), and audit again."
        )
    if why.endswith(_TAKES_NOTHING):
        return (
            "Set these values by hand; or have the view made updatable; or say in the config file which table is "
            "beneath it, and audit again: [database.repair] table, key and columns"
        )
    made = tables.user_models.expression(column)
    value = f"{{sql = {toml_text(made)}}}" if made and json_path(made) else '"COLUMN"'
    line = f"[database.repair.columns] {column} = {value}"
    return f"Set these values by hand, or say in the config file where they are kept, and audit again: {line}"


def column_types(users: Columns, models: Columns, writing: Writing, rights: Rights) -> ColumnTypes:
    """What a run keeps of the tables' columns."""
    return ColumnTypes(
        users={Column(name): kind for name, kind in users.items()},
        user_models={Column(name): kind for name, kind in models.items()},
        fixed=rights.fixed,
        denied=rights.denied,
        role=rights.role,
        written=writing.found,
    )
