"""The two tables as the database has them: columns with their types, and SQL to read them whatever the types are.

The SQL holds expressions written in this file, chosen by the columns' types, and names and words as
`audit.model.tables` quotes them. Every value travels as a parameter.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from audit.errors import DatabaseError
from audit.model.codes import OrderBy
from audit.model.sql import folded
from audit.model.tables import COLUMNS, DATES, TABLES, TIMES, Column, Table, TableName, Tables, TrainingState
from audit.postgres.errors import URL_SETTING, row_security_error
from audit.postgres.url import Database

if TYPE_CHECKING:
    from audit.postgres.connection import Connection

TEXT_TYPES = frozenset({"text", "varchar", "bpchar", "citext", "name"})
NUMBER_TYPES = frozenset({"int2", "int4", "int8", "numeric"})
DATE_TYPES = frozenset({"timestamptz", "timestamp", "date"})
_TEXTS = tuple(
    column
    for column in COLUMNS["user_models"]
    if column not in {Column.ID, Column.USER_ID, Column.TRAINING_STATUS, Column.IS_TEST, *TIMES}
)
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
        """`types` has the database's names for keys; columns that the audit does not read are left out.

        So is a `started_at` that is no date, unless somebody has said that it is one, and the weights URL where nobody
        wants to know of it.
        """
        self.tables = tables
        self.table: Table = tables[name]
        own = {column: self.table.called(column) for column in COLUMNS[name]}
        super().__init__({column: types[called] for column, called in own.items() if called in types})
        started = Column.STARTED_AT
        if self.get(started, "date") not in DATE_TYPES and started not in dict(self.table.mapped):
            del self[started]
        if tables.weights == "ignore":
            self.pop(Column.LORA_WEIGHTS_URL, None)
        self.there = tuple(types)
        """All columns, by the database's names."""

    @classmethod
    def kept(cls, tables: Tables, name: TableName, types: Mapping[Column, str]) -> "Columns":
        """Those that a run has kept: `types` by the audit's names."""
        return cls(tables, name, {tables[name].called(column): kind for column, kind in types.items()})

    def sql(self, column: str) -> str:
        """`column`, as SQL names it."""
        return self.table.column(column)


async def read_columns(connection: "Connection", database: Database) -> tuple[Columns, Columns]:
    """Columns of `users` and of `user_models`.

    Raises DatabaseError for a table that is missing or would hide rows, and for a column that is required or mapped and
    missing, or is no date where one is needed.
    """
    found: dict[str, Columns] = {}
    tables = [database.tables[name] for name in TABLES]
    names = zip(*((table.name, table.sql, table.own_name) for table in tables), strict=True)
    for row in await connection.fetch(_LOOK_UP, *map(list, names)):
        table = database.tables[row["name"]]
        if not row["present"]:
            elsewhere = "".join(f" There is {place}." for place in row["elsewhere"])
            raise DatabaseError(
                f"database {database.label} has no table {table.sql} that this role can see",
                f"Check the name in {URL_SETTING}; schema=NAME in the URL chooses another schema, and "
                f"[database.tables] in the config file another name.{elsewhere}",
            )
        types = dict(zip(row["columns"], row["types"], strict=True))
        found[table.name] = Columns(database.tables, table.name, types)
        _check_columns(database.label, found[table.name])
        if row["row_security"]:
            raise row_security_error(database.label, table.sql)
    return found["users"], found["user_models"]


def _check_columns(label: str, columns: Columns) -> None:
    table = columns.table
    required = (column for column in COLUMNS[table.name] if not column.lost)
    for name in dict.fromkeys((*required, *dict(table.mapped))):
        own = table.called(name)
        needed = f"The audit needs {table.name}.{name}" if own == name else f"It is to be {table.name}.{name}"
        if name not in columns and own not in columns.there:
            near = get_close_matches(own.casefold(), columns.there, 1)
            raise DatabaseError(
                f"database {label}: table {table.sql} has no column {own}",
                f"{needed}; [database.columns] in the config file tells how a column is called."
                + (f" Is it {near[0]}?" if near else ""),
            )
        if name in TIMES and columns[name] not in DATE_TYPES:
            raise DatabaseError(
                f"database {label}: column {table.sql}.{own} is of type {columns[name]}, not a timestamp",
                f"{needed}; a view may convert it.",
            )


def missing_columns(users: Columns, models: Columns) -> tuple[Column, ...]:
    """Optional columns that the database lacks. A `display_name` of either table is enough."""
    present = {*models, Column.DISPLAY_NAME} if Column.DISPLAY_NAME in users else set(models)
    return tuple(column for column in Column if column.lost and column not in present)


def latest_first(order_by: OrderBy) -> str:
    """ORDER BY for rows `m` of `user_models`: the first completed row of a user is the one that counts."""
    order = dict.fromkeys(f"m.{name} DESC NULLS LAST" for name in (order_by, "updated_at", "completed_at"))
    return ", ".join((*order, "m.id DESC"))


def dates_as_texts(table: str) -> dict[str, str]:
    """SQL for the dates of `table` as texts such as "2026-01-31T12:00:00Z", by their names."""
    return {name.value: as_text(f"{table}.{name}") for name in TIMES}


def as_iso(expression: str, kind: str) -> str:
    """A date of the type `kind` as text in UTC; null for dates that Python and ISO 8601 lack."""
    return as_text(_utc(expression, kind))


def key_of_model(column: str, trimmed: str = "$1::text") -> str:
    """`audit.model.ids.model_key` of a text; `trimmed` is SQL for `TRIMMED`."""
    return folded(column, trimmed)


def users_as_read(users: Columns, models: Columns, persons: str | None = None) -> str:
    """`users` with ids and texts as text; where `persons` names a parameter, only the users whom it lists."""
    name = f"{users.sql('display_name')}::text" if "display_name" in users else "NULL::text"
    person = person_of_user(users, models)
    only = f" WHERE {is_among(person, users['id'], models['user_id'], persons)}" if persons else ""
    user_id, email = users.sql("id"), users.sql("email")
    listed = f"{person} AS person, {user_id}::text AS user_id, {email}::text AS email, {name} AS display_name"
    return f"(SELECT {listed} FROM {users.table.sql}{only})"  # noqa: S608 - see above


def models_as_read(users: Columns, models: Columns, *, include_tests: bool, persons: str | None = None) -> str:
    """`user_models`: texts as text, dates as timestamps in UTC, null where there is no such column.

    Beside the columns there are `person`, which joins a row to its user, `owner`, the user as the row names it,
    `status`, whether it means `completed`, `in_progress` or `failed`, `test` (`is_test`, but false for all rows with
    `include_tests`), `started`, when the training began as far as the row says so, and `began`, which is the latest of
    the row's dates where there is no `started_at`: some products use one row for one training after the other.
    """
    dates: dict[str, str] = {name: _utc(models.sql(name), models[name]) for name in DATES}
    started_at = _utc(models.sql("started_at"), models["started_at"]) if "started_at" in models else "NULL::timestamp"
    begun = (started_at, dates["created_at"], dates["completed_at"], dates["updated_at"])
    latest = f"greatest({', '.join(map(_possible, dates.values()))})"
    person = person_of_model(users, models)
    is_text = models["training_status"] in TEXT_TYPES - {"bpchar"}  # which as text has no blanks at its end
    status = models.sql("training_status") + ("" if is_text else "::text")
    columns: dict[str, str] = {
        "person": person,
        "id": _ordered(models.sql("id"), models["id"]),
        "status": status,
        "completed": models.tables.is_completed(status),
        "in_progress": models.tables.is_in(TrainingState.IN_PROGRESS, status),
        "failed": models.tables.is_in(TrainingState.FAILED, status),
        "owner": f"{models.sql('user_id')}::text",
        "is_test": (is_test := truth(models.sql("is_test"), models.get("is_test"))),
        "test": "false" if include_tests else is_test,
        **dates,
        "started_at": started_at,
        "started": f"coalesce({', '.join(_possible(each) for each in begun)})",
        "began": f"coalesce({_possible(started_at)}, {latest})",
        **{name: f"{models.sql(name)}::text" if name in models else "NULL::text" for name in _TEXTS},
    }
    listed = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    only = f" WHERE {is_among(person, models['user_id'], users['id'], persons)}" if persons else ""
    return f"(SELECT {listed} FROM {models.table.sql}{only})"  # noqa: S608 - see above


def person_of_user(users: Columns, models: Columns) -> str:
    """What joins a row of `users` to rows of `user_models`."""
    return _person(users.sql("id"), users["id"], models["user_id"])


def person_of_model(users: Columns, models: Columns, of: str = "") -> str:
    """What joins a row of `user_models`, whose columns are written with `of` in front, to one of `users`."""
    return _person(of + models.sql("user_id"), models["user_id"], users["id"])


def is_among(person: str, kind: str, other: str, persons: str) -> str:
    """Whether `person` is among the texts of the parameter `persons`, so that an index on a bare column serves."""
    kinds = {kind, other}
    if not _comparable(kind, other) or kinds <= TEXT_TYPES:
        as_type = "text"
    else:
        as_type = kind if kind == other else "numeric" if "numeric" in kinds else "int8"
    return f"{person} = ANY({persons}::text[]::{as_type}[])"


def _comparable(kind: str, other: str) -> bool:
    return kind == other or {kind, other} <= TEXT_TYPES or {kind, other} <= NUMBER_TYPES


def _person(column: str, kind: str, other: str) -> str:
    """Raw where the two types compare, so that an index can serve; else as text, and a uuid's text is lower case."""
    if _comparable(kind, other):
        return column
    return f"lower({column}::text)" if "uuid" in (kind, other) else f"{column}::text"


def _ordered(column: str, kind: str) -> str:
    return column if kind == "uuid" or kind in NUMBER_TYPES else f'({column}::text COLLATE "C")'


def truth(column: str, kind: str | None) -> str:
    """SQL for a column of the type `kind` (null where there is none) as a truth value: false for null."""
    if kind is None:
        return "false"
    if kind == "bool":
        return f"coalesce({column}, false)"
    return f"coalesce(lower({column}::text) IN ('t', 'true', '1', 'y', 'yes', 'on'), false)"


def _utc(column: str, kind: str) -> str:
    """As `timestamp` in UTC. A plain timestamp is taken to be in UTC already."""
    return f"({column} AT TIME ZONE 'UTC')" if kind == "timestamptz" else f"{column}::timestamp"


def _possible(column: str) -> str:
    """Null for dates that Python and ISO 8601 lack, such as infinity."""
    return f"CASE WHEN {column} >= '0001-01-01' AND {column} < '10000-01-01' THEN {column} END"


def as_text(column: str) -> str:
    """As ISO 8601 with a Z: microseconds where there are any; null for dates that Python and ISO 8601 lack."""
    return f"""CASE WHEN {column} >= '0001-01-01' AND {column} < '10000-01-01' THEN to_char({column},
        CASE WHEN {column} = date_trunc('second', {column}) THEN 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
        ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' END) END"""
