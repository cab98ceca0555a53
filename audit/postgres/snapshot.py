"""One consistent snapshot of the population and of everybody's records, streamed, and its SQL.

Every value travels as a parameter: $1 is `TRIMMED`, $2 the `--user` texts or null, $3 the limit or null; where they are
wanted, $4 the persons to look at, as texts, or $4 the shard, counted from 0, and $5 how many there are.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from audit.errors import SettingsError
from audit.model.codes import OrderBy
from audit.model.place import Place
from audit.model.repair import SETTABLE
from audit.model.run import Filters
from audit.model.shard import HASHED, Shard
from audit.model.sql import literal
from audit.model.tables import NULL, Column, ColumnTypes
from audit.model.users import SHARED_SHOWN, TRIMMED, ModelRecord, Population
from audit.postgres.columns import (
    Columns,
    dates_as_texts,
    key_of_model,
    latest_first,
    missing_columns,
    models_as_read,
    read_columns,
    users_as_read,
)
from audit.postgres.connection import Connection, read_transaction, translate_errors
from audit.postgres.place import read_place
from audit.postgres.rights import column_types, read_rights
from audit.postgres.url import Database

_AT_ONCE = 1000
"""Rows fetched at a time: enough that a distant server is asked a hundred times, not a hundred thousand."""
_COUNTING = """
WITH counting AS (
    SELECT m.*,
        row_number() OVER (PARTITION BY m.person ORDER BY {order}) AS place,
        count(*) OVER (PARTITION BY m.person) AS completed_rows,
        count(*) FILTER (WHERE m.{order_by} IS NULL) OVER (PARTITION BY m.person) AS undated_rows
    FROM {models} AS m
    WHERE m.completed AND NOT m.test
), chosen AS (
    SELECT c.*, u.user_id, u.email, {display_name} AS user_name,
        {model_key} AS model
    FROM counting AS c JOIN {users} AS u ON u.person = c.person
    WHERE c.place = 1
)
"""
_MATCHES = """
lower(c.email) = lower(word) OR c.user_id = {word_as_id} OR position(lower(word) IN lower(c.replicate_model_id)) > 0
"""
_WANTED = "($2::text[] IS NULL OR EXISTS (SELECT FROM unnest($2::text[]) AS word WHERE {matches}))"
"""Whether a row of `chosen` is one that `--user` names, or everybody is."""
# sha256 is the same in every version from 11 on, on every platform and under FIPS, unlike hashtext and md5; and text is
# hashed as UTF-8, whatever the database's encoding is. `shard.number_of` says the same.
_HASH = "sha256(convert_to(coalesce(nullif(c.model, ''), c.user_id), 'UTF8'))"
IN_SHARD = f"('x' || encode(substr({_HASH}, 1, {HASHED}), 'hex'))::bit({HASHED * 8})::bigint % $5::bigint = $4::bigint"
"""Whether a row of `chosen` is in the shard."""
# A row without any date may be later than the one that counts, and is taken to be. Most rows have completed: that they
# have is compared first, as it costs a fifth of looking for the other words.
_RECORDS = """
, later AS (
    SELECT o.person, bool_or(o.in_progress) AS retraining, bool_or(o.failed) AS failed,
        (array_agg(o.failure_reason ORDER BY o.started DESC NULLS LAST, o.id DESC)
            FILTER (WHERE o.failed))[1] AS failure_reason,
        (array_agg(o.training_id ORDER BY o.started DESC NULLS LAST, o.id DESC))[1] AS training_id
    FROM {models} AS o JOIN chosen AS c ON c.person = o.person
    WHERE NOT o.completed AND (o.in_progress OR o.failed) AND NOT o.test
        AND (o.started < c.started) IS NOT TRUE
    GROUP BY o.person
), shared AS (
    SELECT c.model, count(*) AS users, (array_agg(c.user_id ORDER BY c.user_id COLLATE "C"))[1:{shown} + 1] AS first
    FROM chosen AS c WHERE c.model <> '' GROUP BY c.model HAVING count(*) > 1
)
SELECT c.user_id, c.email, c.user_name AS display_name, c.id::text AS model_row_id,
    nullif(c.owner, c.user_id) AS row_user_id, c.status AS training_status, c.is_test,
    c.replicate_model_id, c.replicate_version_id, c.training_id, c.trigger_word, c.lora_scale, c.lora_weights_url,
    c.model_name, {dates},
    c.completed_rows - 1 AS older_completed, c.undated_rows,
    coalesce(l.retraining, false) AS retraining_in_progress, coalesce(l.failed, false) AS later_training_failed,
    l.failure_reason AS later_failure_reason, l.training_id AS later_training_id,
    (array_remove(s.first, c.user_id))[1:{shown}] AS shared_with, coalesce(s.users - 1, 0) AS shared_with_count
FROM chosen AS c LEFT JOIN later AS l ON l.person = c.person LEFT JOIN shared AS s ON s.model = c.model
WHERE {wanted} AND {in_shard}
ORDER BY c.email COLLATE "C" NULLS LAST, c.user_id COLLATE "C"
LIMIT {limit}
"""
_OLDEST = """
SELECT min(oldest.completed_at COLLATE "C") FROM (
    SELECT {dates} FROM chosen AS c
    WHERE {wanted}
) AS oldest
"""
_UNMATCHED = """
SELECT word FROM unnest($2::text[]) WITH ORDINALITY AS given (word, place)
WHERE NOT EXISTS (SELECT FROM chosen AS c WHERE {matches}) ORDER BY place
"""
_POPULATION = """
WITH per_person AS (
    SELECT m.person, count(*) AS completed, count(*) FILTER (WHERE m.test) AS tests,
        count(*) FILTER (WHERE NOT m.test AND coalesce(btrim(m.replicate_model_id, $1::text), '') = '') AS without_id
    FROM {models} AS m WHERE m.completed GROUP BY m.person
)
SELECT (SELECT count(*) FROM {users_table}) AS users,
    count(*) FILTER (WHERE u.person IS NOT NULL AND p.completed > p.tests) AS users_with_completed_model,
    coalesce(sum(p.completed - p.tests) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS completed_models,
    count(*) FILTER (WHERE u.person IS NOT NULL AND p.completed > p.tests + 1) AS users_with_several_completed_models,
    coalesce(sum(p.without_id) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS completed_without_model_id,
    coalesce(sum(p.tests) FILTER (WHERE u.person IS NOT NULL), 0)::bigint AS test_models_left_out,
    coalesce(sum(p.completed) FILTER (WHERE u.person IS NULL), 0)::bigint AS models_without_user
FROM per_person AS p LEFT JOIN {users} AS u ON u.person = p.person
"""
_TRAINING_STATUS = """
SELECT coalesce(m.status::text, {null}) AS status, count(*) AS models
FROM {models} AS m GROUP BY 1 ORDER BY 2 DESC, coalesce(m.status::text, {null}) COLLATE "C"
"""


@dataclass(frozen=True)
class SnapshotStatements:
    """SQL fitted to the tables; the numbers are the parameters that each statement takes."""

    training_status: str
    """No parameter."""
    population: str
    """$1."""
    unmatched: str
    """$1 and $2: those of the `--user` texts that match nobody."""
    oldest: str
    """$1 and $2: the earliest `completed_at` among all records, whichever shards they are in."""
    records: str
    """$1 to $3: rows whose columns are the fields of `ModelRecord`."""
    records_of_shard: str
    """$1 to $5: the same, without those of other shards."""


def snapshot_statements(  # noqa: PLR0913 - the tables, what counts, and how far
    users: Columns,
    models: Columns,
    order_by: OrderBy,
    *,
    include_tests: bool,
    persons: str | None = None,
    whole: bool = False,
) -> SnapshotStatements:
    """The SQL for tables of these columns, all required ones among them.

    With `persons` ("$4", or SQL for an array) nobody else is in the database as far as these statements are concerned.
    With `whole`, `records` has no parameter and is about everybody, to be a part of another statement.
    """
    words = {
        "users_table": users.table.sql,
        "users": users_as_read(users, models, persons),
        "models": models_as_read(users, models, include_tests=include_tests, persons=persons),
        "order": latest_first(order_by),
        "order_by": order_by,
        "display_name": "u.display_name" if "display_name" in users else "c.display_name",
        "dates": dates_as_texts("c"),
        "matches": (matches := _MATCHES.format(word_as_id="lower(word)" if users["id"] == "uuid" else "word")),
        "wanted": "true" if whole else _WANTED.format(matches=matches),
        "limit": "NULL" if whole else "$3::bigint",
        "shown": SHARED_SHOWN,
        "null": literal(NULL),
        "model_key": key_of_model("c.replicate_model_id", literal(TRIMMED) if whole else "$1::text"),
    }
    counting = _COUNTING.format_map(words)
    return SnapshotStatements(
        training_status=_TRAINING_STATUS.format_map(words),
        population=_POPULATION.format_map(words),
        unmatched=counting + _UNMATCHED.format_map(words),
        oldest=counting + _OLDEST.format_map(words),
        records=counting + _RECORDS.format_map({**words, "in_shard": "true"}),
        records_of_shard=counting + _RECORDS.format_map({**words, "in_shard": IN_SHARD}),
    )


@dataclass(frozen=True, repr=False)
class Snapshot:
    """The database at one moment; usable within the `async with` that gave it."""

    population: Population
    missing_columns: tuple[Column, ...]
    columns: ColumnTypes
    place: Place
    server_version: str
    """As the server says it: "18.1", "15.4 (Debian 15.4-1)"."""
    _connection: Connection = field(repr=False)
    _database: Database
    _sql: SnapshotStatements
    _parameters: tuple[Any, ...]

    async def records(self, shard: Shard | None = None) -> AsyncIterator[ModelRecord]:
        """One record per user with a completed model, by e-mail (null last), then by user id, both by code point.

        With `shard` only those of it; what they say of others is said over everybody. A batch is in memory at a time.
        To be read by one reader at a time; read again, it begins again.
        """
        with translate_errors(self._database):
            await self._connection.execute("CLOSE ALL")
            query = self._sql.records_of_shard if shard else self._sql.records
            parameters = (*self._parameters, shard.number - 1, shard.of) if shard else self._parameters
            await self._connection.execute(f"DECLARE records NO SCROLL CURSOR FOR {query}", *parameters)
        while True:
            with translate_errors(self._database):
                rows = await self._connection.fetch(f"FETCH {_AT_ONCE} FROM records")
            for row in rows:
                yield as_record(row)
            if len(rows) < _AT_ONCE:
                return

    async def oldest_completed(self) -> str | None:
        """The earliest `completed_at` of all records, whichever shards they are in; None where none has one."""
        with translate_errors(self._database):
            oldest: str | None = await self._connection.fetchval(self._sql.oldest, *self._parameters[:2])
            return oldest


@asynccontextmanager
async def snapshot(
    database: Database,
    *,
    order_by: OrderBy,
    filters: Filters,
    statement_timeout: float,
    connect_timeout: float = 10.0,
) -> AsyncIterator[Snapshot]:
    """Connect and count. Timeouts are seconds; a `connect_timeout` in the URL wins.

    Raises DatabaseError for whatever the database does, here or in `records`, and SettingsError for a `--user` that is
    nobody or a file in the URL that cannot be read. What the block itself raises passes unchanged.
    """
    async with read_transaction(database, statement_timeout=statement_timeout, connect_timeout=connect_timeout) as (
        connection,
        version,
    ):
        with translate_errors(database):
            taken = await _take(connection, database, version, order_by, filters)
        yield taken


async def _take(
    connection: Connection, database: Database, version: str, order_by: OrderBy, filters: Filters
) -> Snapshot:
    users, models = await read_columns(connection, database)
    sql = snapshot_statements(users, models, order_by, include_tests=filters.include_tests)
    words = [word.strip() for word in filters.users] or None
    if words:
        await _check_words(connection, sql.unmatched, words)
    return Snapshot(
        population=await population(connection, sql),
        missing_columns=missing_columns(users, models),
        columns=column_types(users, models, await read_rights(connection, models, SETTABLE)),
        place=await read_place(connection, database),
        server_version=version,
        _connection=connection,
        _database=database,
        _sql=sql,
        _parameters=(TRIMMED, words, filters.limit),
    )


async def _check_words(connection: Connection, query: str, words: list[str]) -> None:
    unmatched = [""] if "" in words else [row["word"] for row in await connection.fetch(query, TRIMMED, words)]
    if unmatched:
        raise SettingsError(
            f"--user {unmatched[0]!r} matches no user with a completed model",
            "It takes an e-mail address, a user id, or a part of the model id.",
        )


async def population(connection: Connection, sql: SnapshotStatements) -> Population:
    """The counts over everybody, by the statements fitted to the tables."""
    statuses = await connection.fetch(sql.training_status)
    row = await connection.fetchrow(sql.population, TRIMMED)
    assert row  # noqa: S101 - an aggregate has a row
    return Population(
        **row,
        completed_models_hidden=row["completed_models"] - row["users_with_completed_model"],
        training_status={status["status"]: status["models"] for status in statuses},
    )


def as_record(row: asyncpg.Record) -> ModelRecord:
    """A row of `SnapshotStatements.records` as a `ModelRecord`; lists become tuples."""
    return ModelRecord(**{**row, "shared_with": tuple(row["shared_with"] or ())})
