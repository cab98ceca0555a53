"""A connection to PostgreSQL, and the transaction in which everything is read.

One connection, one read-only REPEATABLE READ transaction: all that is read is of the same moment, and nothing outlives
the `async with`. All settings are made within the transaction and nothing is prepared by name, so a pooler in
transaction mode (PgBouncer) may stand in between.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import TypeAlias, TypeVar

import asyncpg

from audit.errors import DatabaseError
from audit.postgres.errors import database_error, is_about_bytes, is_about_password
from audit.postgres.login import Login, find_login
from audit.postgres.messages import Doing
from audit.postgres.tls_files import check_files
from audit.postgres.url import Database

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_T = TypeVar("_T")
_LOCK_TIMEOUT = 10.0
"""Seconds to wait for a table that somebody changes; less where half the statement timeout is less."""
_GRACE = 5.0
"""Seconds that our own clock gives the server beyond its own timeout, and a connection to close."""
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "row_security": "off",  # policies end in an error; on, they hide users without a word
    "enable_nestloop": "off",  # right for no step of ours, and minutes slow where statistics are missing
    "jit": "off",  # compiles for longer than the queries take
}
_SET_FOR_TRANSACTION = """
SELECT count(set_config(wanted.name, wanted.value, true)), current_setting('server_version')
FROM unnest($1::text[], $2::text[]) AS wanted (name, value)
JOIN pg_catalog.pg_settings AS known ON known.name = wanted.name
"""
_FOREIGN = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, UnicodeError)


@asynccontextmanager
async def read_transaction(
    database: Database, *, statement_timeout: float, connect_timeout: float = 10.0
) -> AsyncIterator[tuple[Connection, str]]:
    """A connection in its one read-only transaction, and the server's version. Timeouts are seconds.

    Raises DatabaseError, and SettingsError where a file that the URL names cannot be read. Queries through the
    connection belong within `translate_errors`.
    """
    connection = await connect(database, statement_timeout=statement_timeout, connect_timeout=connect_timeout)
    try:
        with translate_errors(database):
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            settings = transaction_settings(database, statement_timeout)
            # Every row is fetched, so the plan need not be quick with the first.
            version = await set_for_transaction(connection, settings | {"cursor_tuple_fraction": "1"})
        yield connection, version
    finally:
        await close(connection)


async def despite_bytes(database: Database, read: Callable[[Database], Awaitable[_T]]) -> _T:
    """What `read` returns, which is called once more where it meets bytes in a database of UTF8 that are no text."""
    try:
        return await read(database)
    except DatabaseError as error:
        if database.has_bytes or not is_about_bytes(error.__cause__):
            raise
    return await read(replace(database, has_bytes=True))


async def connect(database: Database, *, statement_timeout: float, connect_timeout: float = 10.0) -> Connection:
    """A connection without a transaction, which ends with `close`. Raises as `read_transaction` does."""
    check_files(database)
    login = find_login(database)
    passwords = iter(login.passwords)
    with _with_source_of_password(login), translate_errors(database, "connecting", login.passwords):
        return await asyncpg.connect(
            **database.arguments | {"user": login.user, "password": lambda: next(passwords, "")},  # host after host
            timeout=database.connect_timeout or connect_timeout,
            command_timeout=statement_timeout + _GRACE,
            statement_cache_size=0,
        )


def transaction_settings(database: Database, statement_timeout: float) -> dict[str, str]:
    """Settings of every transaction of the audit, by their names; times are milliseconds."""
    lock_timeout = min(_LOCK_TIMEOUT, statement_timeout / 2)
    return {
        "statement_timeout": f"{statement_timeout * 1000:.0f}",
        "lock_timeout": f"{lock_timeout * 1000:.0f}",
        "application_name": "sync-audit",
        **_SETTINGS,
        **({"search_path": database.search_path} if database.search_path else {}),
    }


async def set_for_transaction(connection: Connection, settings: dict[str, str]) -> str:
    """Make these settings until the transaction ends; those that the server does not know are skipped.

    Returns the server's version: "18.1", "15.4 (Debian 15.4-1)".
    """
    row = await connection.fetchrow(_SET_FOR_TRANSACTION, list(settings), list(settings.values()))
    assert row  # noqa: S101 - an aggregate has a row
    return str(row["current_setting"])


@contextmanager
def _with_source_of_password(login: Login) -> Iterator[None]:
    """Say of a password that is refused from which file it was: nobody thinks of that file."""
    try:
        yield
    except DatabaseError as error:
        if login.file is None or not is_about_password(error.__cause__):
            raise
        said = f"{error} (the password is from the file {login.file})"
        raise DatabaseError(said, f"Correct the password in {login.file}. {error.next_step}") from error.__cause__


@contextmanager
def translate_errors(database: Database, doing: Doing = "reading", passwords: Sequence[str] = ()) -> Iterator[None]:
    """Translate errors of asyncpg and the system into DatabaseError; nowhere else does."""
    try:
        yield
    except _FOREIGN as error:
        secrets = (database.password or "", dict(database.tls).get("sslpassword", ""), *passwords)
        raise database_error(error, database.label, database.tables, doing, secrets) from error


async def close(connection: Connection) -> None:
    """End transaction and connection; raises nothing. What was wanted is read or committed by then."""
    try:
        with suppress(*_FOREIGN):
            async with asyncio.timeout(_GRACE):
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                await connection.close()
    finally:
        connection.terminate()
