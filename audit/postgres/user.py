"""One user's rows: whom a WHO means, all of the user's training rows, and the record that an audit would classify."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audit.model.codes import OrderBy, Status
from audit.model.ids import model_key
from audit.model.lines import Line, line_of
from audit.model.sql import literal
from audit.model.tables import Column, Tables
from audit.model.users import STUCK_AFTER, TRIMMED, ModelRecord, Person, TrainingRow
from audit.model.who import ROW, named_row
from audit.postgres.columns import (
    NUMBER_TYPES,
    TEXT_TYPES,
    Columns,
    dates_as_texts,
    key_of_model,
    latest_first,
    missing_columns,
    models_as_read,
    order_of,
    person_of_model,
    person_of_user,
    text_as_read,
    users_as_read,
)
from audit.postgres.connection import Connection, despite_bytes, read_transaction, translate_errors
from audit.postgres.shape import check_ids, read_columns
from audit.postgres.snapshot import as_record
from audit.postgres.snapshot_sql import snapshot_statements, usual_statement
from audit.postgres.url import Database

SEARCH_LIMIT = 101
"""Persons that a search returns: more than anybody reads."""

_MOST_SHARERS = 1000
"""Persons who share a model and are looked at by name; of more everybody is, at the price of reading whole tables."""
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHARING = """
SELECT DISTINCT {person}::text AS person FROM {table}
WHERE {model_key} = ANY($2::text[]) AND {person} IS NOT NULL LIMIT {limit}
"""
_ROWS = """
SELECT m.id::text AS model_row_id, m.status AS training_status, m.replicate_model_id, m.replicate_version_id,
    m.training_id, m.trigger_word, m.lora_scale, m.lora_weights_url, m.test AS is_test, m.failure_reason, {dates}
FROM {models} AS m ORDER BY {order}
"""


@dataclass(frozen=True)
class UserStatements:
    """SQL fitted to the tables. A person is what joins the two, as text."""

    searches: tuple[str, ...]
    """Tried in this order with $1, what was typed, until one finds persons: exact ones first, and of them those that an
    index can serve."""
    users: str
    """The users among the persons $1: `person` and the fields of `Person`."""
    sharing: str
    """Persons with a row whose model has one of the keys $2, one more than are looked at by name at most; $1 is
    `TRIMMED`. No index serves: it reads the table."""
    rows: str
    """All training rows of the persons $1, the latest first: the fields of `TrainingRow`."""


def user_statements(users: Columns, models: Columns, order_by: OrderBy, typed: str) -> UserStatements:
    """The SQL for tables of these columns. `typed` only decides which searches make sense: it is no part of them."""
    words = {
        "person": person_of_model(users, models),
        "table": models.source,
        "model_key": key_of_model(text_as_read(models, Column.MODEL_ID)),
        "limit": _MOST_SHARERS + 1,
        "dates": ", ".join(f"{sql} AS {name}" for name, sql in dates_as_texts("m").items()),
        "models": models_as_read(users, models, include_tests=False, persons="$1"),
        "order": latest_first(models, order_by),
    }
    return UserStatements(
        searches=tuple(_searches(users, models, typed)),
        users=f"SELECT person::text AS person, user_id, email, display_name FROM {users_as_read(users, models, '$1')} AS u",  # noqa: S608, E501 - names and expressions of `columns`
        sharing=_SHARING.format_map(words),
        rows=_ROWS.format_map(words),
    )


def _searches(users: Columns, models: Columns, typed: str) -> Iterator[str]:
    by_row = _search_by_row(users, models, typed)
    if named_row(typed, models.tables.latest_per) is not None:  # and nothing else
        yield from filter(None, [by_row])
        return
    yield from _exact_searches(users, models, typed)
    yield from filter(None, [by_row])
    user, model = person_of_user(users, models), person_of_model(users, models)
    email = users.sql("email") if "email" in users else None
    looked_into = filter(None, (email, users.sql("id")))
    parts = " OR ".join(f"position(lower($1::text) IN lower({column}::text)) > 0" for column in looked_into)
    part_of_model = f"position(lower($1::text) IN lower({text_as_read(models, Column.MODEL_ID)})) > 0"
    from_users = f"SELECT {user}::text AS person FROM {users.source} WHERE {parts}"  # noqa: S608 - names of `tables`
    owned = f"{part_of_model} AND {models.sql('user_id')} IS NOT NULL"
    from_models = f"SELECT {model}::text AS person FROM {models.source} WHERE {owned}"  # noqa: S608 - the same
    yield f"{from_users} UNION {from_models} {_LIMIT}"


_LIMIT = f"ORDER BY person LIMIT {SEARCH_LIMIT}"


def _exact_searches(users: Columns, models: Columns, typed: str) -> Iterator[str]:
    user, model = person_of_user(users, models), person_of_model(users, models)
    user_id, owner = users.sql("id"), models.sql("user_id")
    email = users.sql("email") if "email" in users else None
    model_id = text_as_read(models, Column.MODEL_ID)
    from_users = f"SELECT {user}::text AS person FROM {users.source}"  # noqa: S608 - names of `tables`
    from_models = f"SELECT {model}::text AS person FROM {models.source}"  # noqa: S608 - the same
    if _castable(users["id"], typed):
        yield f"{from_users} WHERE {user_id} = $1::text::{_kind(users['id'])}"
    if email:
        yield f"{from_users} WHERE {email} = ANY(ARRAY[$1::text, lower($1::text)]::{_kind(users['email'])}[])"
    if _castable(models["user_id"], typed):
        yield f"{from_models} WHERE {owner} = $1::text::{_kind(models['user_id'])} LIMIT 1"
    if Column.MODEL_ID in models:
        recorded, kind = models.sql(Column.MODEL_ID), _kind(models[Column.MODEL_ID])
        names = "$1::text"
        if models.tables.owner:  # recorded may be the name alone
            names = f"$1::text, split_part($1::text, {literal(models.tables.owner + '/')}, 2)"
        yield f"{from_models} WHERE {recorded} = ANY(ARRAY[{names}]::{kind}[]) AND $1::text <> '' GROUP BY 1 {_LIMIT}"
    if models.tables.owner or not {Column.MODEL_ID, Column.VERSION_ID} <= models.keys():  # no index serves
        yield f"{from_models} WHERE {model_id} = $1::text GROUP BY 1 {_LIMIT}"
    if email:
        yield f"{from_users} WHERE lower({email}::text) = lower($1::text) {_LIMIT}"


def _search_by_row(users: Columns, models: Columns, typed: str) -> str | None:
    """By a row's id, where each row has a line; None where `typed` can be none."""
    named = named_row(typed, models.tables.latest_per)
    kind = models["id"]
    if models.tables.latest_per != "row" or not _castable(kind, typed if named is None else named):
        return None
    row_id = "$1::text" if named is None else f"btrim(substr($1::text, {len(ROW) + 1}))"
    model = person_of_model(users, models)
    where = f"{models.sql('id')} = ({row_id})::{_kind(kind)}"
    return f"SELECT {model}::text AS person FROM {models.source} WHERE {where} LIMIT 1"  # noqa: S608 - the same


def _kind(kind: str) -> str:
    """The type that `kind` is compared in; a type of the user's own is compared as what it is."""
    return kind if kind in TEXT_TYPES | NUMBER_TYPES | {"uuid"} else "text"


def _castable(kind: str, typed: str) -> bool:
    """Whether `typed` can be a value of the type `kind`, so that a comparison with it is no error."""
    if kind == "uuid":
        return _UUID.fullmatch(typed) is not None
    if kind in NUMBER_TYPES:
        return re.fullmatch("[0-9]{1,18}", typed) is not None
    return kind in TEXT_TYPES


@dataclass(frozen=True)
class Candidates:
    """Those whom WHO may mean: several, or nobody."""

    persons: tuple[Person, ...]
    """By e-mail, null last, then by user id."""
    more: bool = False
    """There are others, too many to read."""
    statuses: tuple[Status, ...] = ()
    """Of `persons`, in their order; empty where they were not checked."""


@dataclass(frozen=True)
class OneUser:
    """Everything the database says of one user."""

    person: Person
    rows: tuple[TrainingRow, ...]
    """The latest first, in the order that decides which completed one counts."""
    records: tuple[ModelRecord, ...]
    """The very records that an audit classifies, one for each line; none where no row counts and none is unfinished."""
    tables: Tables
    """As they were found."""
    order_by: OrderBy
    """The date that decides which row is the latest."""
    missing_columns: tuple[Column, ...]
    weights_are_usual: bool
    """Most completed rows of the database have something in `lora_weights_url`; false also where it does not matter."""
    qualified_is_usual: bool
    """Most versions recorded in them have their model in front; the same."""

    @property
    def record(self) -> ModelRecord | None:
        """The first of the records."""
        return self.records[0] if self.records else None


async def find_user(  # noqa: PLR0913 - whom, and how an audit would read it
    database: Database,
    who: str,
    *,
    order_by: OrderBy,
    include_tests: bool,
    statement_timeout: float,
    stuck_after: float = STUCK_AFTER,
) -> OneUser | Candidates:
    """Look for `who`: user id, e-mail, model id, or else a part of any of them, all at one moment.

    Rows in progress count as unfinished when they began more than `stuck_after` seconds ago.

    Raises DatabaseError and SettingsError as `snapshot` does.
    """

    async def find(database: Database) -> OneUser | Candidates:
        return await _find_user(
            database, who, order_by, statement_timeout, stuck_after=stuck_after, include_tests=include_tests
        )

    return await despite_bytes(database, find)


async def _find_user(  # noqa: PLR0913 - as `find_user`
    database: Database,
    who: str,
    order_by: OrderBy,
    statement_timeout: float,
    *,
    stuck_after: float,
    include_tests: bool,
) -> OneUser | Candidates:
    async with read_transaction(database, statement_timeout=statement_timeout) as (connection, _):
        with translate_errors(database):
            users, models = await read_columns(connection, database)
            await check_ids(connection, database, users, models)
            sql = user_statements(users, models, order_by, who)
            found = await _find_persons(connection, sql, who)
            if len(found) != 1:
                persons = sorted(found.values(), key=lambda each: (each.email is None, each.email or "", each.user_id))
                return Candidates(tuple(persons[: SEARCH_LIMIT - 1]), more=len(persons) >= SEARCH_LIMIT)
            [(key, person)] = found.items()
            rows = tuple(TrainingRow(**row) for row in await connection.fetch(sql.rows, [key]))
            sharers = await _with_sharers(connection, sql, key, rows)
            query = snapshot_statements(
                users,
                models,
                order_by,
                include_tests=include_tests,
                stuck_after=stuck_after,
                persons=None if sharers is None else "$4",
            ).records
            records = await _records(connection, query, sharers, person)
            usual = None
            if any(map(_depends_on_others, records)):  # it costs reading the whole table
                usual = await connection.fetchrow(usual_statement(users, models, include_tests=include_tests), TRIMMED)
            return OneUser(
                person=person,
                rows=rows,
                records=records,
                tables=models.tables,
                order_by=order_of(models, order_by),
                missing_columns=missing_columns(users, models),
                weights_are_usual=bool(usual and usual["weights_are_usual"]),
                qualified_is_usual=bool(usual and usual["qualified_is_usual"]),
            )


def _depends_on_others(record: ModelRecord) -> bool:
    """Whether what is usual in the table makes a difference: no weights, or a version with its model in front."""
    return not (record.lora_weights_url or "").strip(TRIMMED) or ":" in (record.replicate_version_id or "")


async def records_of(
    database: Database, user_ids: Sequence[str], *, order_by: OrderBy, include_tests: bool, statement_timeout: float
) -> dict[Line, ModelRecord]:
    """The records that an audit would classify now, by line; what has no row that counts is missing.

    Only among these users is a model found to be shared. Raises DatabaseError.
    """

    async def read(database: Database) -> dict[Line, ModelRecord]:
        return await _records_of(database, user_ids, order_by, statement_timeout, include_tests=include_tests)

    return await despite_bytes(database, read)


async def _records_of(
    database: Database, user_ids: Sequence[str], order_by: OrderBy, statement_timeout: float, *, include_tests: bool
) -> dict[Line, ModelRecord]:
    async with read_transaction(database, statement_timeout=statement_timeout) as (connection, _):
        with translate_errors(database):
            users, models = await read_columns(connection, database)
            sql = snapshot_statements(users, models, order_by, include_tests=include_tests, persons="$4")
            persons = list({text for user_id in user_ids for text in (user_id, user_id.lower())})
            records = map(as_record, await connection.fetch(sql.records, TRIMMED, None, None, persons))
            latest_per, wanted = database.tables.latest_per, set(user_ids)
            return {line_of(record, latest_per): record for record in records if record.user_id in wanted}


async def _find_persons(connection: Connection, sql: UserStatements, who: str) -> dict[str, Person]:
    """By what joins the tables; empty where nobody is found."""
    for search in sql.searches:
        keys = [row["person"] for row in await connection.fetch(search, who)]
        if keys:
            known = {
                row["person"]: Person(user_id=row["user_id"], email=row["email"], display_name=row["display_name"])
                for row in await connection.fetch(sql.users, keys)
            }
            return {key: known.get(key) or Person(user_id=key, in_users=False) for key in keys}
    return {}


async def _with_sharers(
    connection: Connection, sql: UserStatements, key: str, rows: tuple[TrainingRow, ...]
) -> list[str] | None:
    """The user and all who have a row with one of the user's models: those whom a shared model may concern.

    None where these are so many that everybody has to be looked at.
    """
    keys = set(filter(None, (model_key(row.replicate_model_id) for row in rows)))
    others = await connection.fetch(sql.sharing, TRIMMED, sorted(keys)) if keys else []
    return sorted({key, *(row["person"] for row in others)}) if len(others) <= _MOST_SHARERS else None


async def _records(
    connection: Connection, query: str, persons: list[str] | None, person: Person
) -> tuple[ModelRecord, ...]:
    values = [TRIMMED, None, None, *([] if persons is None else [persons]), person.user_id]
    its = f"SELECT * FROM ({query}) AS record WHERE record.user_id = ${len(values)}"  # noqa: S608 - SQL of our own
    return tuple(as_record(row) for row in await connection.fetch(its, *values))
