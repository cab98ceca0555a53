"""The two tables as the database has them: columns with their types, and SQL to read them whatever the types are.

The SQL holds expressions written in this file, chosen by the columns' types, and names and words as
`audit.model.tables` quotes them. Every value travels as a parameter.
"""

from collections.abc import Mapping

import msgspec

from audit.model.codes import OrderBy
from audit.model.ids import PART, TRAINING_ID
from audit.model.place import Place
from audit.model.sql import enclosed, folded, literal, unquoted
from audit.model.tables import COLUMNS, DATES, TIMES, Column, ColumnTypes, Table, TableName, Tables, TrainingState
from audit.model.users import TRIMMED
from audit.postgres.encoding import as_sent

TEXT_TYPES = frozenset({"text", "varchar", "bpchar", "citext", "name"})
NUMBER_TYPES = frozenset({"int2", "int4", "int8", "numeric"})
DATE_TYPES = frozenset({"timestamptz", "timestamp", "date"})
_ASCII_TYPES = NUMBER_TYPES | DATE_TYPES | {"uuid", "bool", "float4", "float8"}
"""As texts they are ASCII."""
_TEXTS = tuple(
    column
    for column in COLUMNS["user_models"]
    if column
    not in {Column.ID, Column.USER_ID, Column.TRAINING_STATUS, Column.IS_TEST, Column.OWNER, Column.NAME, *TIMES}
)


class Columns(dict[str, str]):
    """Column of a table, by the audit's name -> name of its type as in pg_type, of domains the type beneath."""

    def __init__(self, tables: Tables, name: TableName, types: Mapping[str, str], encoding: str = "UTF8") -> None:
        """`types` has the database's names for keys, or where an expression stands for a column, the audit's.

        `encoding` is the database's: see `audit.postgres.encoding`.

        Columns that the audit does not read are left out. So is a `started_at` that is no date, unless somebody has
        said that it is one, and the weights URL where nobody wants to know of it.
        """
        self.tables = tables
        self.encoding = encoding
        self.table: Table = tables[name]
        own = {column: self.table.called(column) for column in COLUMNS[name]}
        super().__init__(
            {
                column: types[key]
                for column, called in own.items()
                if (key := column if self.table.expression(column) else called) in types
            }
        )
        said = {*dict(self.table.mapped), *dict(self.table.expressions)}
        started = Column.STARTED_AT
        if self.get(started, "date") not in DATE_TYPES and started not in said:
            del self[started]
        if tables.weights == "ignore":
            self.pop(Column.LORA_WEIGHTS_URL, None)
        self.there = tuple(types)
        """All columns, by the database's names."""
        self.source = self.table.source
        """What is read, as it stands behind FROM."""
        if name == "user_models" and tables.where is not None:
            self.source = f"(SELECT * FROM {self.source} WHERE ({enclosed(tables.where)})) AS {name}"  # noqa: S608 - SQL of the config file, which is there for that

    @classmethod
    def kept(cls, tables: Tables, name: TableName, types: Mapping[Column, str]) -> "Columns":
        """Those that a run has kept: `types` by the audit's names."""
        table = tables[name]
        return cls(
            tables,
            name,
            {column if table.expression(column) else table.called(column): kind for column, kind in types.items()},
        )

    def sql(self, column: str, of: str = "") -> str:
        """`column`, as SQL names it, of the row that `of` names: "m."."""
        made = self.table.expression(column)
        if made is None or not of:
            return of + self.table.column(column)
        return f"(SELECT {enclosed(made)} FROM (SELECT {of}*) AS {self.table.name})"  # noqa: S608 - the same

    def text(self, column: str, of: str = "") -> str:
        """The same as a text that the server can send."""
        plain = f"{self.sql(column, of)}::text"
        return plain if self[column] in _ASCII_TYPES else as_sent(plain, self.encoding)


def users_columns(tables: Tables, types: Mapping[str, str] | None, models: Columns) -> Columns:
    """Columns of `users`, of these types by the database's names; where there is no such table (None), of its stand-in.

    That has everybody whom a row of `user_models` names.
    """
    if types is not None:
        return Columns(tables, "users", types, models.encoding)
    everybody = Table(
        "users",
        query=f"SELECT DISTINCT {models.sql(Column.USER_ID)} AS id FROM {models.source}"  # noqa: S608 - the same
        f" WHERE {models.sql(Column.USER_ID)} IS NOT NULL",
    )
    stand_in = msgspec.structs.replace(tables, users=everybody)
    return Columns(stand_in, "users", {"id": models[Column.USER_ID]}, models.encoding)


def kept_columns(tables: Tables, kept: ColumnTypes) -> tuple[Columns, Columns]:
    """Columns of `users` and of `user_models` that a run has kept."""
    models = Columns.kept(tables, "user_models", kept.user_models)
    if tables.users.is_absent:
        return users_columns(tables, None, models), models
    return Columns.kept(tables, "users", kept.users), models


def named_columns(tables: Tables, kept: ColumnTypes, place: Place) -> tuple[Columns, Columns]:
    """The same of tables that are named with their schema, whatever the search path of whoever runs the SQL is."""
    users, models = tables.users, tables.user_models
    if users.query is None and not users.is_absent:
        users = msgspec.structs.replace(users, path=unquoted(place.users))
    if models.query is None:
        models = msgspec.structs.replace(models, path=unquoted(place.user_models))
    return kept_columns(msgspec.structs.replace(tables, users=users, user_models=models), kept)


def missing_columns(users: Columns, models: Columns) -> tuple[Column, ...]:
    """Optional columns that the database lacks. A `display_name` of either table is enough."""
    present = {*models, *(set(users) & {Column.DISPLAY_NAME, Column.EMAIL})}
    return tuple(column for column in Column if column.lost and column not in present)


def order_of(models: Columns, order_by: OrderBy) -> OrderBy:
    """The date by which the latest row is found: `order_by`, or the next one that there is."""
    choices: tuple[OrderBy, ...] = (order_by, "updated_at", "completed_at", "created_at")
    return next((date for date in choices if date in models), order_by)


def latest_first(models: Columns, order_by: OrderBy) -> str:
    """ORDER BY for rows `m` of `user_models`: the first completed row of a user is the one that counts."""
    names = (order_of(models, order_by), "updated_at", "completed_at")
    order = dict.fromkeys(f"m.{name} DESC NULLS LAST" for name in names)
    return ", ".join((*order, "m.id DESC"))


def dates_as_texts(table: str) -> dict[str, str]:
    """SQL for the dates of `table` as texts such as "2026-01-31T12:00:00Z", by their names."""
    return {name.value: as_text(f"{table}.{name}") for name in TIMES}


def as_iso(expression: str, kind: str) -> str:
    """A date of the type `kind` as text in UTC; null for dates that Python and ISO 8601 lack."""
    return as_text(_utc(expression, kind))


def is_date(expression: str, kind: str, date: str | None) -> str:
    """SQL for whether a date of the type `kind` is the one that `as_iso` gave as `date`."""
    if date is None:
        return f"{_possible(_utc(expression, kind))} IS NULL"
    return (
        f"{expression} = {literal(date)}::{kind}"
        if kind in DATE_TYPES
        else f"{as_iso(expression, kind)} = {literal(date)}"
    )


def key_of_model(column: str, trimmed: str = "$1::text") -> str:
    """`audit.model.ids.model_key` of a text; `trimmed` is SQL for `TRIMMED`."""
    return folded(column, trimmed)


def users_as_read(users: Columns, models: Columns, persons: str | None = None) -> str:
    """`users` with ids and texts as text; where `persons` names a parameter, only the users whom it lists."""
    name, email = (users.text(each) if each in users else "NULL::text" for each in ("display_name", "email"))
    person = person_of_user(users, models)
    only = f" WHERE {is_among(person, users['id'], models['user_id'], persons)}" if persons else ""
    listed = f"{person} AS person, {users.text('id')} AS user_id, {email} AS email, {name} AS display_name"
    return f"(SELECT {listed} FROM {users.source}{only})"  # noqa: S608 - see above


def text_as_read(models: Columns, column: Column, of: str = "") -> str:
    """SQL for a column of `user_models` that is no date, as the audit reads it: a text, or null.

    The model's id and the version may have to be made of what else there is; `of` names the row: "m.".
    """
    if column is Column.MODEL_ID:
        return _model_id(models, of)
    if column is Column.VERSION_ID and column not in models:
        recorded = _plain(models, Column.MODEL_ID, of)
        return f"CASE WHEN {_is_qualified(recorded)} THEN {recorded} END"
    if column is Column.TRAINING_STATUS:
        kind = models.get(column, "")
        is_text = kind in TEXT_TYPES - {"bpchar"}  # which as text has no blanks at its end
        return as_sent(models.sql(column, of), models.encoding) if is_text else _plain(models, column, of)
    return _plain(models, column, of)


def is_completed(models: Columns, of: str = "") -> str:
    """SQL for whether a row is completed: so says its status, or where there is none, there is a version."""
    if Column.TRAINING_STATUS in models:
        return models.tables.is_completed(text_as_read(models, Column.TRAINING_STATUS, of))
    return f"coalesce(btrim({text_as_read(models, Column.VERSION_ID, of)}, {literal(TRIMMED)}), '') <> ''"


def _plain(models: Columns, column: Column, of: str) -> str:
    return models.text(column, of) if column in models else "NULL::text"


def _is_qualified(text: str) -> str:
    """Whether a text is `owner/name:` and more; most have no colon, and looking for one costs least."""
    return f"(position(':' IN {text}) > 0 AND btrim({text}, {literal(TRIMMED)}) ~ {literal(f'^{PART}/{PART}:')})"


def _model_id(models: Columns, of: str) -> str:
    owner = literal(models.tables.owner) if models.tables.owner else "NULL"
    if Column.NAME in models:
        name = f"nullif(btrim({_plain(models, Column.NAME, of)}, {literal(TRIMMED)}), '')"
        own = f"nullif(btrim({_plain(models, Column.OWNER, of)}, {literal(TRIMMED)}), '')"
        whole = f"concat(coalesce({own}, {owner}) || '/', {name})"
        return f"CASE WHEN {name} IS NULL OR position('/' IN {name}) > 0 THEN {name} ELSE {whole} END"
    if Column.MODEL_ID not in models:
        return _before_colon(_plain(models, Column.VERSION_ID, of), "NULL")
    recorded = _plain(models, Column.MODEL_ID, of)
    bare = recorded
    if models.tables.owner:
        trimmed = f"btrim({recorded}, {literal(TRIMMED)})"
        is_name = f"{trimmed} ~ {literal(f'^{PART}$')} AND {trimmed} !~ {literal(f'^{TRAINING_ID}$')}"
        is_bare = f"position('/' IN {recorded}) = 0 AND {is_name}"
        bare = f"CASE WHEN {is_bare} THEN {owner} || '/' || {trimmed} ELSE {recorded} END"
    return _before_colon(recorded, bare)


def _before_colon(text: str, otherwise: str) -> str:
    model = f"split_part(btrim({text}, {literal(TRIMMED)}), ':', 1)"
    return f"CASE WHEN {_is_qualified(text)} THEN {model} ELSE {otherwise} END"


def models_as_read(users: Columns, models: Columns, *, include_tests: bool, persons: str | None = None) -> str:
    """`user_models`: texts as text, dates as timestamps in UTC, null where there is no such column.

    Beside the columns there are `person`, which joins a row to its user, `owner`, the user as the row names it,
    `status`, whether it means `completed`, `in_progress` or `failed`, `test` (`is_test`, but false for all rows with
    `include_tests`), `started`, when the training began as far as the row says so, `began`, which is the latest of
    the row's dates where there is no `started_at` (some products use one row for one training after the other), and
    `part`, which tells the lines of one user apart.
    """
    dates: dict[str, str] = {
        name: _utc(models.sql(name), models[name]) if name in models else "NULL::timestamp" for name in DATES
    }
    started_at = _utc(models.sql("started_at"), models["started_at"]) if "started_at" in models else "NULL::timestamp"
    begun = (started_at, dates["created_at"], dates["completed_at"], dates["updated_at"])
    latest = f"greatest({', '.join(map(_possible, dates.values()))})"
    person = person_of_model(users, models)
    status = text_as_read(models, Column.TRAINING_STATUS)
    texts: dict[str, str] = {name: text_as_read(models, name) for name in _TEXTS}
    columns: dict[str, str] = {
        "person": person,
        "id": _ordered(models, "id"),
        "status": status,
        "completed": is_completed(models),
        "in_progress": models.tables.is_in(TrainingState.IN_PROGRESS, status),
        "failed": models.tables.is_in(TrainingState.FAILED, status),
        "owner": models.text("user_id"),
        "is_test": (is_test := truth(models.sql("is_test"), models.get("is_test"))),
        "test": "false" if include_tests else is_test,
        **dates,
        "started_at": started_at,
        "started": f"coalesce({', '.join(_possible(each) for each in begun)})",
        "began": f"coalesce({_possible(started_at)}, {latest})",
        **texts,
        **_part(models, texts),
    }
    listed = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    only = f" WHERE {is_among(person, models['user_id'], users['id'], persons)}" if persons else ""
    return f"(SELECT {listed} FROM {models.source}{only})"  # noqa: S608 - see above


def line_keys(models: Columns) -> tuple[str, ...]:
    """Columns of `models_as_read` that tell the lines of a report apart: `audit.model.lines.line_of` in SQL."""
    return ("person",) if models.tables.latest_per == "user" else ("person", "part")


def _part(models: Columns, texts: Mapping[str, str]) -> dict[str, str]:
    """`line_of` in SQL; nothing where everybody has one line."""
    match models.tables.latest_per:
        case "model":
            return {"part": f"coalesce({key_of_model(texts[Column.MODEL_ID], literal(TRIMMED))}, '')"}
        case "row":
            return {"part": models.text("id")}
        case _:
            return {}


def person_of_user(users: Columns, models: Columns) -> str:
    """What joins a row of `users` to rows of `user_models`."""
    return _person(users, "id", models["user_id"])


def person_of_model(users: Columns, models: Columns, of: str = "") -> str:
    """What joins a row of `user_models`, whose columns are written with `of` in front, to one of `users`."""
    return _person(models, "user_id", users["id"], of)


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


def _person(columns: Columns, column: str, other: str, of: str = "") -> str:
    """Raw where the two types compare, so that an index can serve; else as text, and a uuid's text is lower case."""
    text, raw = columns.text(column, of), columns.sql(column, of)
    if _comparable(columns[column], other):
        return raw if text == f"{raw}::text" else f"{text}::citext" if columns[column] == "citext" else text
    return f"lower({text})" if "uuid" in (columns[column], other) else text


def _ordered(columns: Columns, column: str) -> str:
    kind = columns[column]
    return columns.sql(column) if kind == "uuid" or kind in NUMBER_TYPES else f'({columns.text(column)} COLLATE "C")'


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
