"""PostgreSQL -> the record of every user, and the counts around them. The only module that says asyncpg.

One connection, one read-only REPEATABLE READ transaction: counts and records are of the same moment, and nothing
outlives the `async with`. All settings are made within the transaction and nothing is prepared by name, so a pooler in
transaction mode (PgBouncer) may stand in between.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import asyncpg

from audit.errors import DatabaseError, SettingsError
from audit.model.tables import TABLES
from audit.postgres import columns as source_columns
from audit.postgres import errors as source_errors
from audit.postgres import sql as source_sql
from audit.postgres.url import Database

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_LOCK_TIMEOUT = 10.0
"""Seconds to wait for a table that somebody changes; less where half the statement timeout is less."""
_GRACE = 5.0
"""Seconds that our own clock gives the server beyond its own timeout, and a connection to close."""
_READING = {
    "TimeZone": "UTC",
    "row_security": "off",  # policies end in an error; on, they hide users without a word
    "cursor_tuple_fraction": "1",  # every row is fetched, so the plan need not be quick with the first
    "enable_nestloop": "off",  # right for no step of ours, and minutes slow where statistics are missing
    "jit": "off",  # compiles for longer than the queries take
}
_FOREIGN = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, UnicodeError)


@asynccontextmanager
async def read_transaction(
    database: Database, *, statement_timeout: float, connect_timeout: float = 10.0
) -> AsyncIterator[tuple[Connection, str]]:
    """A connection in its one read-only transaction, and the server's version. For source modules alone.

    Raises as `snapshot` does; whoever asks through the connection does so within `border`.
    """
    connection = await connect(database, statement_timeout=statement_timeout, connect_timeout=connect_timeout)
    try:
        with translate_errors(database):
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            version = await set_for_transaction(
                connection, transaction_settings(database, statement_timeout) | _READING
            )
        yield connection, version
    finally:
        await close(connection)


async def connect(database: Database, *, statement_timeout: float, connect_timeout: float = 10.0) -> Connection:
    """A connection without a transaction, to be given to `leave` in the end. For source modules alone."""
    _check_files(database)
    with translate_errors(database):
        return await asyncpg.connect(
            **database.arguments,
            timeout=database.connect_timeout or connect_timeout,
            command_timeout=statement_timeout + _GRACE,
            statement_cache_size=0,
        )


def transaction_settings(database: Database, statement_timeout: float) -> dict[str, str]:
    """Settings of every transaction of ours."""
    lock_timeout = min(_LOCK_TIMEOUT, statement_timeout / 2)
    return {
        "statement_timeout": f"{statement_timeout * 1000:.0f}",
        "lock_timeout": f"{lock_timeout * 1000:.0f}",
        "application_name": "sync-audit",
        **({"search_path": database.search_path} if database.search_path else {}),
    }


async def set_for_transaction(connection: Connection, settings: dict[str, str]) -> str:
    """Until the end of the transaction. Returns the server's version."""
    row = await connection.fetchrow(source_sql.SETTINGS, list(settings), list(settings.values()))
    assert row  # noqa: S101 - an aggregate has a row
    return str(row["current_setting"])


async def read_columns(
    connection: Connection, database: Database
) -> tuple[source_columns.Columns, source_columns.Columns]:
    """Columns of `users` and `user_models`. Raises DatabaseError where one that is needed is missing."""
    found: dict[str, source_columns.Columns] = {}
    tables = [database.tables[name] for name in TABLES]
    names = zip(*((table.name, table.sql, table.own_name) for table in tables), strict=True)
    for row in await connection.fetch(source_columns.LOOK_UP, *map(list, names)):
        table = database.tables[row["name"]]
        if not row["present"]:
            elsewhere = "".join(f" There is {place}." for place in row["elsewhere"])
            raise DatabaseError(
                f"database {database.label} has no table {table.sql} that this role can see",
                f"Check the name in {source_errors.URL}; schema=NAME in the URL chooses another schema, and "
                f"[database.tables] in the config file another name.{elsewhere}",
            )
        types = dict(zip(row["columns"], row["types"], strict=True))
        found[table.name] = source_columns.Columns(database.tables, table.name, types)
        source_columns.check_columns(database.label, found[table.name])
        if row["row_security"]:
            raise source_errors.row_security_error(database.label, table.sql)
    return found["users"], found["user_models"]


def _check_files(database: Database) -> None:
    """What asyncpg raises for these names neither the file nor the parameter."""
    for name, path in database.files:
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise SettingsError(
                f"{source_errors.URL}: cannot read {name}={path}: {error.strerror}",
                f"Name a readable file in {name}, or remove it from the URL.",
            ) from error


@contextmanager
def translate_errors(database: Database) -> Iterator[None]:
    """The one place where foreign errors become ours."""
    try:
        yield
    except _FOREIGN as error:
        raise source_errors.database_error(error, database.label, database.tables) from error


async def close(connection: Connection) -> None:
    """End transaction and connection. What goes wrong here has lost nothing: what was wanted is read or committed."""
    try:
        with suppress(*_FOREIGN):
            async with asyncio.timeout(_GRACE):
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                await connection.close()
    finally:
        connection.terminate()
