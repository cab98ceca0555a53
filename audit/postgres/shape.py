"""What the tables look like: their columns with types, and everything that keeps an audit from reading them.

Where the config file has put SQL of its own into what is read, PostgreSQL is asked what it makes of it, without
running it over any row; what it refuses is said with the key and the place.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import msgspec

from audit.errors import DatabaseError
from audit.model.sql import identifier, literal
from audit.model.tables import (
    DATES,
    NAMES_OF_MODELS,
    REQUIRED,
    TABLES,
    TIMES,
    Column,
    Table,
    TableName,
    Tables,
    key_of_column,
)
from audit.model.text import escape_controls, shortened, toml_text
from audit.postgres.columns import DATE_TYPES, NUMBER_TYPES, Columns, users_columns
from audit.postgres.encoding import CHECKED_UTF8
from audit.postgres.errors import OWN_SQL_STEP, own_sql_error, row_security_error
from audit.postgres.messages import URL_SETTING
from audit.postgres.url import Database

if TYPE_CHECKING:
    from audit.postgres.connection import Connection

_LOOK_UP = """
SELECT wanted.name, found.id IS NOT NULL AS present,
    CASE WHEN found.id IS NOT NULL THEN row_security_active(found.id) ELSE false END AS row_security,
    ARRAY(SELECT CASE WHEN other.relname = wanted.own_name THEN format('one in schema %I', schema.nspname)
            ELSE format('one called %I.%I', schema.nspname, other.relname) END
        FROM pg_class AS other JOIN pg_namespace AS schema ON schema.oid = other.relnamespace
        WHERE lower(other.relname) = lower(wanted.own_name) AND other.relkind IN ('r', 'p', 'v', 'm', 'f')
        ORDER BY 1) AS elsewhere,
    ARRAY(SELECT attname::text FROM pg_attribute
        WHERE attrelid = found.id AND attnum > 0 AND NOT attisdropped ORDER BY attnum) AS columns,
    ARRAY(SELECT CASE WHEN coalesce(beneath.typtype, outermost.typtype) = 'c' THEN 'record'
            ELSE coalesce(beneath.typname, outermost.typname)::text END FROM pg_attribute
        JOIN pg_type AS outermost ON outermost.oid = atttypid
        LEFT JOIN pg_type AS beneath ON beneath.oid = outermost.typbasetype
        WHERE attrelid = found.id AND attnum > 0 AND NOT attisdropped ORDER BY attnum) AS types
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (name, called, own_name)
CROSS JOIN LATERAL (SELECT to_regclass(wanted.called)::oid AS id) AS found
"""
"""Tables (or views) that the audit calls $1 and SQL $2, as the search path finds them; $3 is without the schema."""


async def read_columns(connection: "Connection", database: Database) -> tuple[Columns, Columns]:
    """Columns of `users` and of `user_models`; their `tables` say what was found.

    Raises DatabaseError for a table that is missing or would hide rows, for columns that are needed or mapped and
    missing, or of a type that cannot be read, all of them at once, and for SQL of the config file that PostgreSQL
    refuses, with the place.
    """
    tables, label = database.tables, database.label
    found = await _found_tables(connection, database)
    types: dict[TableName, dict[str, str] | None] = dict.fromkeys(TABLES)
    for name in TABLES:
        table = tables[name]
        if table.query is not None:
            types[name] = await described(connection, label, table.query, f"database.queries.{name}")
        elif name in found:
            types[name] = dict(zip(found[name]["columns"], found[name]["types"], strict=True))
    if tables.where is not None:
        await _check_where(connection, label, tables)
    for name in TABLES:
        if types[name] is not None:
            types[name] = {**(types[name] or {}), **await _made_columns(connection, label, tables[name])}
    problems = [
        each for name in TABLES if types[name] is not None for each in _problems(tables, name, types[name] or {})
    ]
    if problems:
        raise await _shape_error(connection, database, problems)
    models = Columns(tables, "user_models", types["user_models"] or {}, _encoding(connection, database))
    users = users_columns(tables, types["users"], models)
    for name, row in found.items():
        if row["row_security"]:
            raise row_security_error(label, tables[name].sql)
    seen = msgspec.structs.replace(
        tables,
        users=msgspec.structs.replace(tables.users, there=() if types["users"] is None else tuple(users)),
        user_models=msgspec.structs.replace(tables.user_models, there=tuple(models)),
    )
    models.tables = users.tables = seen
    return users, models


def _encoding(connection: "Connection", database: Database) -> str:
    encoding: str = connection.get_settings().server_encoding
    return CHECKED_UTF8 if encoding == "UTF8" and database.has_bytes else encoding


async def check_ids(connection: "Connection", database: Database, users: Columns, models: Columns) -> None:
    """See that no id occurs twice, where no index of the database sees to that. Raises DatabaseError, which names it.

    A user who is there twice would be audited twice, and share the model with nobody else.
    """
    for columns in (users, models):
        table = columns.table
        if table.is_absent or (columns.tables.users.is_absent and table.name == "users"):
            continue
        own = table.query is None and table.expression(Column.ID) is None
        if own and await connection.fetchval(_IS_UNIQUE, table.sql, table.called(Column.ID)):
            continue
        made = columns.sql(Column.ID)
        query = (
            f"SELECT {columns.text(Column.ID)} AS id, count(*) AS times FROM {columns.source} WHERE {made} IS NOT NULL"  # noqa: S608 - names and SQL of the config file
            " GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
        )
        if row := await connection.fetchrow(query):
            shown = shortened(escape_controls(row["id"]), 100)
            raise DatabaseError(
                f"database {database.label}: {table.shown} has the id {shown} {row['times']:,} times",
                "An id has to be there once: have the view or query return one row for each, with DISTINCT ON or a "
                "narrower join.",
            )
        if columns is models:
            await _check_nulls(connection, database, models)


async def _check_nulls(connection: "Connection", database: Database, models: Columns) -> None:
    """See that no row with a model lacks an id. One that joins make of users who have none says nothing."""
    ids, person = models.sql(Column.ID), models.sql(Column.USER_ID)
    kept = [models.sql(column) for column in (Column.VERSION_ID, Column.MODEL_ID, Column.NAME) if column in models]
    has_model = " OR ".join(f"{each} IS NOT NULL" for each in kept)
    query = f"SELECT FROM {models.source} WHERE {ids} IS NULL AND {person} IS NOT NULL AND ({has_model}) LIMIT 1"
    if await connection.fetchrow(query) is not None:
        raise DatabaseError(
            f"database {database.label}: {models.table.shown} has rows without an id ({Column.ID} is null)",
            "An id tells rows apart: take another column for it ([database.columns.user_models] id in the config "
            "file), or leave such rows out (where, or the query's own).",
        )


async def _found_tables(connection: "Connection", database: Database) -> dict[TableName, Any]:
    """What the catalog has of the tables that are read themselves; `users` may be missing where nobody has named it."""
    found: dict[TableName, Any] = {}
    tables = [database.tables[name] for name in TABLES]
    wanted = [table for table in tables if table.query is None and not table.absent]
    names = [[getattr(table, what) for table in wanted] for what in ("name", "sql", "own_name")]
    missing: list[tuple[Table, str]] = []
    for row in await connection.fetch(_LOOK_UP, *names):
        table = database.tables[row["name"]]
        if row["present"]:
            found[table.name] = row
        else:
            missing.append((table, "".join(f" There is {place}." for place in row["elsewhere"])))
    if any(table.name != "users" or _is_named(table) for table, _ in missing):  # without `users` alone an audit can do
        raise DatabaseError(
            f"database {database.label} has {' and '.join(f'no {table.shown}' for table, _ in missing)} that this role "
            "can see",
            f"Check the name in {URL_SETTING}; schema=NAME in the URL chooses another schema, and [database.tables] in "
            "the config file another name. sync-audit init looks for the tables."
            + "".join(elsewhere for _, elsewhere in missing),
        )
    return found


def _is_named(table: Table) -> bool:
    """Whether the config file says something of it."""
    return bool(table.path or table.mapped or table.expressions)


async def described(connection: "Connection", label: str, query: str, key: str) -> dict[str, str]:
    """Columns of a query of the config file, by name, with their types. Raises DatabaseError, which names `key`."""
    types = await _described(connection, label, query, key, "", "")
    await _described(connection, label, query, key, "SELECT * FROM (\n", "\n) AS it LIMIT 0", run=True)
    return types


async def _made_columns(connection: "Connection", label: str, table: Table) -> dict[str, str]:
    """Types of the columns that are expressions, by the audit's names."""
    found: dict[str, str] = {}
    for column, made in table.expressions:
        key = key_of_column(table.name, column)
        around = f"\n) AS made FROM {table.source} LIMIT 0"
        found[column] = (await _described(connection, label, made, key, "SELECT (\n", around))["made"]
        # An aggregate makes one row of many, a function that returns several many of one: no WHERE takes them.
        before = f"SELECT 1 AS one FROM {table.source} WHERE (\n"  # noqa: S608 - the same
        await _described(connection, label, made, key, before, "\n) IS NULL LIMIT 0")
    return found


async def _check_where(connection: "Connection", label: str, tables: Tables) -> None:
    before = f"SELECT 1 AS one FROM {tables.user_models.source} WHERE (\n"  # noqa: S608 - a table, or SQL of the config file
    await _described(connection, label, tables.where or "", "database.where", before, "\n) LIMIT 0")


async def _described(  # noqa: PLR0913, PLR0917 - the text and what stands around it
    connection: "Connection", label: str, sql: str, key: str, before: str, behind: str, *, run: bool = False
) -> dict[str, str]:
    """Types of what `sql` of the config file gives, where it stands between `before` and `behind`."""
    try:
        statement = await connection.prepare(f"{before}{sql}{behind}", name="")
        attributes = statement.get_attributes()
        if statement.get_parameters():
            raise DatabaseError(f"database {label}: {key} has parameters, which have no value here", OWN_SQL_STEP)
        if run:
            await statement.fetch()
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise own_sql_error(error, label, key, sql, len(before)) from error
    names = [attribute.name for attribute in attributes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DatabaseError(f"database {label}: {key} has two columns {escape_controls(twice)}", OWN_SQL_STEP)
    kinds = await connection.fetch(_TYPES, [attribute.type.oid for attribute in attributes])
    named = {row["oid"]: row["name"] for row in kinds}
    return {attribute.name: named.get(attribute.type.oid, attribute.type.name) for attribute in attributes}


_TYPES = """
SELECT outermost.oid, CASE WHEN coalesce(beneath.typtype, outermost.typtype) = 'c' THEN 'record'
    ELSE coalesce(beneath.typname, outermost.typname)::text END AS name FROM pg_type AS outermost
LEFT JOIN pg_type AS beneath ON beneath.oid = outermost.typbasetype WHERE outermost.oid = ANY($1::oid[])
"""


_IS_UNIQUE = """
SELECT EXISTS (SELECT FROM pg_index AS x JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attname = $2::text
        AND a.attnotnull
    WHERE x.indrelid = to_regclass($1::text) AND x.indisunique AND x.indisvalid AND x.indpred IS NULL
        AND x.indnkeyatts = 1 AND x.indkey[0] = a.attnum)
"""


class _Problem(NamedTuple):
    """What is wrong with a column of a table."""

    table: Table
    what: str
    column: str | None = None
    """By the audit's name, where it is there and cannot be read as it is."""
    own: str = ""
    kind: str = ""
    near: tuple[str, ...] = ()
    """Lines for [database.columns] that may be meant."""


def _problems(tables: Tables, name: TableName, types: Mapping[str, str]) -> Iterator[_Problem]:
    """Everything that keeps the audit from reading this table."""
    table, columns = tables[name], Columns(tables, name, types)
    where = table.shown
    for needed in REQUIRED[name]:
        if needed not in columns:
            yield _missing(columns, types, (needed,), f"{where} has no column {table.called(needed)}")
    for called, own in table.mapped:
        if own not in types and called not in REQUIRED[name]:
            yield _missing(columns, types, (Column(called),), f"{where} has no column {own}, which is to be {called}")
    if name == "user_models":
        if not columns.keys() & set(NAMES_OF_MODELS):
            yield _missing(columns, types, NAMES_OF_MODELS, f"{where} has neither a version nor a model")
        if not columns.keys() & set(DATES):
            yield _missing(columns, types, DATES, f"{where} has no date ({', '.join(DATES[:-1])} or {DATES[-1]})")
    for column, kind in columns.items():
        if why := _unreadable(column, kind):
            own = table.called(column) if table.expression(column) is None else column
            yield _Problem(table, f"{where.removeprefix('table ')}.{own} is {why}", column, own, kind)


def _unreadable(column: str, kind: str) -> str | None:
    """Why a column of that type cannot be read as it is: a clause; None where it can."""
    if column in TIMES:
        return None if kind in DATE_TYPES else f"of type {kind}, not a timestamp"
    if column in _ANY_TEXT or not (kind in _NO_TEXTS or kind.startswith("_")):
        return None
    return f"of type {kind[1:] + '[]' if kind.startswith('_') else kind}, not a text"


_ANY_TEXT = (Column.IS_TEST, Column.DISPLAY_NAME, Column.MODEL_NAME, Column.FAILURE_REASON)
"""Columns that are only shown, and so may be anything."""
_NO_TEXTS = frozenset({"json", "jsonb", "bytea", "hstore", "record", "xml"})


def _missing(columns: Columns, types: Mapping[str, str], wanted: Sequence[Column], what: str) -> _Problem:
    table = columns.table
    used = {table.called(column) for column in columns}
    free = [own for own in types if own not in used]
    near = {column: nearest_names(column, dict(table.mapped).get(column, column), free) for column in wanted}
    lines = [_line(table, column, own) for column, names in near.items() for own in names if own != column]
    names = list(dict.fromkeys(own for each in near.values() for own in each))
    return _Problem(table, what + (f" (is it {' or '.join(names)}?)" if names else ""), near=tuple(lines))


def _line(table: Table, column: str, own: str) -> str:
    """The line of the config file that says what `column` is called, or made of."""
    key = key_of_column(table.name, column).removeprefix("database.columns.")
    return f"{key} = {toml_text(own)}"


def nearest_names(column: str, wanted: str, names: Sequence[str]) -> list[str]:
    """Those of `names` that may be meant by a column, nearest first: at most two."""

    def plain(name: str) -> str:
        return re.sub(r"[^a-z0-9]", "", name.lower())

    by_plain = {plain(name): name for name in reversed(names)}
    asked = dict.fromkeys((plain(wanted), plain(column), *_OTHER_NAMES.get(column, ())))
    exact = [by_plain[each] for each in asked if each in by_plain]
    near = [by_plain[name] for each in asked for name in get_close_matches(each, by_plain, 2, 0.75)]
    return list(dict.fromkeys(exact + near))[:2]


_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    Column.ID: ("uuid", "pk", "modelid", "trainingid"),
    Column.USER_ID: ("userid", "ownerid", "accountid", "profileid", "customerid", "createdby", "uid", "owner", "user"),
    Column.MODEL_ID: ("replicatemodel", "modelid", "model", "destination", "modelname", "replicatemodelname"),
    Column.VERSION_ID: ("replicateversion", "versionid", "version", "modelversion", "modelversionid", "versionhash"),
    Column.NAME: ("modelname",),
    Column.UPDATED_AT: ("updatedat", "updated", "modifiedat", "updatedon"),
    Column.COMPLETED_AT: ("completedat", "finishedat", "endedat", "trainedat"),
    Column.CREATED_AT: ("createdat", "created", "insertedat", "createdon", "timestamp"),
}
"""What products call them, without anything but letters and digits."""


async def _shape_error(connection: "Connection", database: Database, problems: Sequence[_Problem]) -> DatabaseError:
    """All that is wrong, with lines to paste."""
    lines = [line for problem in problems for line in (*problem.near, *await _expressions(connection, problem))]
    step = "[database.columns] in the config file tells how a column is called, or what it is made of"
    if lines:
        step += ": " + "; ".join(dict.fromkeys(lines))
    listed = "; ".join(dict.fromkeys(problem.what for problem in problems))
    return DatabaseError(
        f"database {database.label}: {listed}",
        f"{step}. sync-audit init looks through the tables and writes the file.",
    )


async def _expressions(connection: "Connection", problem: _Problem) -> list[str]:
    """Lines for a column that is there and cannot be read as it is."""
    table, column, kind = problem.table, problem.column, problem.kind
    if column is None:
        return []
    key = key_of_column(table.name, column).removeprefix("database.columns.")
    own = table.expression(column) or identifier(problem.own)
    if column in TIMES:
        made = f"to_timestamp({own})" if kind in NUMBER_TYPES | {"float8", "float4"} else f"({own})::timestamptz"
    elif kind in {"json", "jsonb"}:
        made = f"{own}->>{literal(await _key_in(connection, table, column, own) or 'KEY')}"
    elif kind == "record":
        made = f"({own}).{identifier(await _key_in(connection, table, column, own) or 'FIELD')}"
    elif kind.startswith("_"):
        made = f"({own})[1]"
    else:
        made = f"encode({own}, 'hex')" if kind == "bytea" else f"({own})::text"
    return [f"{key} = {{sql = {toml_text(made)}}}"]


async def _key_in(connection: "Connection", table: Table, column: str, own: str) -> str | None:
    """The key of the JSON, or the field of the composite, in `own` that is nearest to what `column` is."""
    query = (
        f"SELECT DISTINCT jsonb_object_keys(it) AS key FROM (SELECT to_jsonb({own}) AS it FROM {table.source}"  # noqa: S608 - the same
        f" WHERE jsonb_typeof(to_jsonb({own})) = 'object' LIMIT 100) AS few ORDER BY 1 LIMIT 100"
    )
    try:
        keys = [row["key"] for row in await connection.fetch(query)]
    except asyncpg.PostgresError:
        return None
    return next(iter(nearest_names(column, column, keys)), None)
