"""PostgreSQL -> one user: whom a WHO means, all training rows, and the record that an audit would judge; or a few."""

from collections.abc import Sequence
from dataclasses import dataclass

from audit import source_columns, source_sql
from audit.dsn import Database
from audit.models import TRIMMED, ModelRecord, OptionalColumn, OrderBy
from audit.person import Person, TrainingRow
from audit.source import Connection, as_record, border, columns, session
from audit.source_user_sql import AT_MOST, UserStatements, user_statements


@dataclass(frozen=True)
class Several:
    """WHO may mean each of these, or nobody."""

    people: tuple[Person, ...]
    """By e-mail, null last, then by user id."""
    more: bool = False
    """There are others, too many to read."""


@dataclass(frozen=True)
class OneUser:
    """Everything the database says of one user."""

    person: Person
    rows: tuple[TrainingRow, ...]
    """The latest first, in the order that decides which completed one counts."""
    record: ModelRecord | None
    """The very record that an audit judges; None where no row counts."""
    missing_columns: tuple[OptionalColumn, ...]


async def find(
    database: Database, who: str, *, order_by: OrderBy, include_tests: bool, statement_timeout: float
) -> OneUser | Several:
    """Look for `who`: user id, e-mail, model id, or else a part of any of them, in one snapshot.

    Raises SourceError and SettingsError as `source.snapshot` does.
    """
    async with session(database, statement_timeout=statement_timeout) as (connection, _):
        with border(database):
            users, models = await columns(connection, database)
            sql = user_statements(users, models, order_by, who)
            found = await _people(connection, sql, who)
            if len(found) != 1:
                people = sorted(found.values(), key=lambda each: (each.email is None, each.email or "", each.user_id))
                return Several(tuple(people[: AT_MOST - 1]), more=len(people) >= AT_MOST)
            [(key, person)] = found.items()
            rows = tuple(TrainingRow(**row) for row in await connection.fetch(sql.rows, [key]))
            records = source_sql.statements(users, models, order_by, include_tests=include_tests, persons="$4").records
            return OneUser(
                person=person,
                rows=rows,
                record=await _record(connection, records, await _with_sharers(connection, sql, key, rows), person),
                missing_columns=source_columns.missing_columns(users, models),
            )


async def records_of(
    database: Database, user_ids: Sequence[str], *, order_by: OrderBy, include_tests: bool, statement_timeout: float
) -> dict[str, ModelRecord]:
    """The records that an audit would judge now, by user id; whoever has no row that counts is missing.

    Only among these users is a model found to be shared. Raises SourceError.
    """
    async with session(database, statement_timeout=statement_timeout) as (connection, _):
        with border(database):
            users, models = await columns(connection, database)
            sql = source_sql.statements(users, models, order_by, include_tests=include_tests, persons="$4")
            persons = list({text for user_id in user_ids for text in (user_id, user_id.lower())})
            records = map(as_record, await connection.fetch(sql.records, TRIMMED, None, None, persons))
            return {record.user_id: record for record in records if record.user_id in set(user_ids)}


async def _people(connection: Connection, sql: UserStatements, who: str) -> dict[str, Person]:
    """By what joins the tables; empty where nobody is found."""
    for search in sql.searches:
        keys = [row["person"] for row in await connection.fetch(search, who)]
        if keys:
            known = {
                row["person"]: Person(user_id=row["user_id"], email=row["email"], display_name=row["display_name"])
                for row in await connection.fetch(sql.people, keys)
            }
            return {key: known.get(key) or Person(user_id=key, in_users=False) for key in keys}
    return {}


async def _with_sharers(
    connection: Connection, sql: UserStatements, key: str, rows: tuple[TrainingRow, ...]
) -> list[str]:
    """The user and all who have a row with one of the user's model ids: those whom a shared model may concern.

    Ids of others that differ in white space around them are not found: that would take reading the whole table.
    """
    ids = {text for row in rows if (raw := row.replicate_model_id) for text in (raw, raw.strip(TRIMMED)) if text}
    others = await connection.fetch(sql.sharing, sorted(ids)) if ids else []
    return sorted({key, *(row["person"] for row in others if row["person"] is not None)})


async def _record(connection: Connection, query: str, persons: list[str], person: Person) -> ModelRecord | None:
    for row in await connection.fetch(query, TRIMMED, None, None, persons):
        if row["user_id"] == person.user_id:
            return as_record(row)
    return None
