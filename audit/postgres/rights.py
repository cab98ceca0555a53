"""Which columns of `user_models` may be set, by this role and by anybody."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from audit.errors import DatabaseError
from audit.model.tables import Column, ColumnTypes
from audit.postgres.columns import Columns
from audit.postgres.errors import URL_SETTING

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
_FIXED = {"generated": "it is generated from other columns", "computed": "it is an expression of the view"}


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


async def read_rights(connection: "Connection", models: Columns, columns: Sequence[Column]) -> Rights:
    """To be called within a transaction. Raises as asyncpg does."""
    plain = (column for column in columns if column in models and models.table.expression(column) is None)
    own = {models.table.called(column): column for column in plain}
    row = await connection.fetchrow(_RIGHTS, list(own), models.table.sql) if models.table.query is None else None
    if row is None:  # what a query gives cannot be written to
        role = await connection.fetchval("SELECT format('%I', current_user)")
        return Rights(tells_xmin=False, fixed={}, denied=(), role=role, updatable=False, read_only=None)
    read_only = None
    if row["read_only"]:
        read_only = "it is a replica" if row["replica"] else "default_transaction_read_only is on"
    return Rights(
        tells_xmin=row["tells_xmin"],
        fixed={own[name]: why for kind, why in _FIXED.items() if row["updatable"] for name in row[kind]},
        denied=tuple(own[name] for name in row["denied"]),
        role=row["role"],
        updatable=row["updatable"],
        read_only=read_only,
    )


def check_rights(label: str, models: Columns, rights: Rights) -> None:
    """Raises DatabaseError, with what would help, where the columns that `rights` are about may not be set."""
    table = models.table.sql
    if rights.read_only:
        raise DatabaseError(
            f"database {label} takes no changes: {rights.read_only}",
            f"Name the primary server and a role that may write in {URL_SETTING}.",
        )
    if not rights.updatable:
        raise DatabaseError(
            f"database {label}: {table} is a view or table that takes no changes",
            "schema=NAME in the URL chooses another schema; or have the view made updatable.",
        )
    for column, why in rights.fixed.items():
        raise fixed_column_error(label, f"{table}.{models.table.called(column)}", why)
    if rights.denied:
        listed = ", ".join(map(models.sql, rights.denied))
        raise DatabaseError(
            f"database {label} does not let the role {rights.role} change {table} ({listed})",
            f"Have an owner run: GRANT UPDATE ({listed}) ON {table} TO {rights.role};",
        )


def fixed_column_error(label: str, column: str, why: str) -> DatabaseError:
    """The error for a column that no change can set."""
    return DatabaseError(
        f"database {label}: column {column} cannot be set, as {why}",
        "Repair what it is made from by hand: sync-audit explain REASON has the steps. Or map the column that holds "
        "the value itself ([database.columns] in the config file), and audit again.",
    )


def column_types(users: Columns, models: Columns, rights: Rights) -> ColumnTypes:
    """What a run keeps of the tables' columns."""
    return ColumnTypes(
        users={Column(name): kind for name, kind in users.items()},
        user_models={Column(name): kind for name, kind in models.items()},
        fixed=rights.fixed,
        denied=rights.denied,
        role=rights.role,
    )
