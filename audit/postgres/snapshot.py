"""One consistent snapshot of the population and of everybody's records, streamed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
import msgspec

from audit.errors import DatabaseError, SettingsError
from audit.model.codes import OrderBy
from audit.model.place import Place
from audit.model.repair import SETTABLE
from audit.model.run import Filters
from audit.model.shard import Shard
from audit.model.tables import Column, ColumnTypes, Tables
from audit.model.users import STUCK_AFTER, TRIMMED, ModelRecord, Population
from audit.postgres.columns import Columns, missing_columns, order_of
from audit.postgres.connection import Connection, read_transaction, translate_errors
from audit.postgres.place import read_place
from audit.postgres.rights import column_types, read_rights, read_writing
from audit.postgres.shape import check_ids, read_columns
from audit.postgres.snapshot_sql import SnapshotStatements, snapshot_statements
from audit.postgres.url import Database

_NEWER = msgspec.json.Decoder(ModelRecord)
_AT_ONCE = 1000
"""Rows fetched at a time: enough that a distant server is asked a hundred times, not a hundred thousand."""


@dataclass(frozen=True, repr=False)
class Snapshot:
    """The database at one moment; usable within the `async with` that gave it."""

    population: Population
    tables: Tables
    """As they were found."""
    order_by: OrderBy
    """The date that decides which row is the latest: the one that was asked for, or what there is in its place."""
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
        """One record per line, by e-mail (null last), user id, model id (null last) and row id, all by code point.

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
async def snapshot(  # noqa: PLR0913 - what is read, and how long it may take
    database: Database,
    *,
    order_by: OrderBy,
    filters: Filters,
    statement_timeout: float,
    stuck_after: float = STUCK_AFTER,
    connect_timeout: float = 10.0,
) -> AsyncIterator[Snapshot]:
    """Connect and count. Timeouts are seconds; a `connect_timeout` in the URL wins.

    Rows in progress count as unfinished when they began more than `stuck_after` seconds ago.

    Raises DatabaseError for whatever the database does, here or in `records`, and SettingsError for a `--user` that is
    nobody or a file in the URL that cannot be read. What the block itself raises passes unchanged.
    """
    async with read_transaction(database, statement_timeout=statement_timeout, connect_timeout=connect_timeout) as (
        connection,
        version,
    ):
        with translate_errors(database):
            users, models = await read_columns(connection, database)
            sql = snapshot_statements(
                users, models, order_by, include_tests=filters.include_tests, stuck_after=stuck_after
            )
            await check_ids(connection, database, users, models)
            taken = await _take(connection, database, version, (users, models), sql, filters)
            taken = replace(taken, order_by=order_of(models, order_by))
        yield taken


async def _take(  # noqa: PLR0913, PLR0917 - what is read, and how
    connection: Connection,
    database: Database,
    version: str,
    columns: tuple[Columns, Columns],
    sql: SnapshotStatements,
    filters: Filters,
) -> Snapshot:
    users, models = columns
    writing = await read_writing(connection, models)
    words = [word.strip() for word in filters.users] or None
    if words:
        await _check_words(connection, sql.unmatched, words)
    counted = await population(connection, sql)
    check_versions(database, models, counted)
    return Snapshot(
        population=counted,
        tables=models.tables,
        order_by="updated_at",
        missing_columns=missing_columns(users, models),
        columns=column_types(users, models, writing, await read_rights(connection, writing, SETTABLE)),
        place=await read_place(connection, database),
        server_version=version,
        _connection=connection,
        _database=database,
        _sql=sql,
        _parameters=(TRIMMED, words, filters.limit),
    )


def check_versions(database: Database, models: Columns, counted: Population) -> None:
    """Raises DatabaseError where no row tells a version, as there is no place for one: nobody could be behind."""
    some = counted.completed_models or Column.TRAINING_STATUS not in models
    if Column.VERSION_ID in models or counted.completed_with_version or not counted.training_status or not some:
        return
    raise DatabaseError(
        f"database {database.label}: nothing to audit: {models.table.shown} stores no version of the models, so the "
        "product runs whichever is the latest",
        "If versions are stored elsewhere, say in the config file where: replicate_version_id below "
        "[database.columns], or [database.queries]. sync-audit init looks for them.",
    )


async def _check_words(connection: Connection, query: str, words: list[str]) -> None:
    unmatched = [""] if "" in words else [row["word"] for row in await connection.fetch(query, TRIMMED, words)]
    if unmatched:
        raise SettingsError(
            f"--user {unmatched[0]!r} matches no user with a training that counts",
            "It takes an e-mail address, a user id, or a part of the model id.",
        )


async def population(connection: Connection, sql: SnapshotStatements) -> Population:
    """The counts over everybody, by the statements fitted to the tables."""
    statuses = await connection.fetch(sql.training_status)
    row = await connection.fetchrow(sql.population, TRIMMED)
    unfinished = await connection.fetchrow(sql.unfinished, TRIMMED)
    assert row  # noqa: S101 - an aggregate has a row
    assert unfinished  # noqa: S101 - the same
    lines = unfinished.get("completed_lines", row["users_with_completed_model"])
    return Population(
        **row,
        **unfinished,
        completed_models_hidden=row["completed_models"] - lines,
        training_status={status["status"]: status["models"] for status in statuses},
    )


def as_record(row: asyncpg.Record) -> ModelRecord:
    """A row of `SnapshotStatements.records` as a `ModelRecord`; lists become tuples."""
    newer = row["newer"] and _NEWER.decode(row["newer"])
    return ModelRecord(**{**row, "shared_with": tuple(row["shared_with"] or ()), "newer": newer})
