"""The place that a connection leads to, as the server knows it."""

import asyncpg

from audit.model.place import Place
from audit.postgres.connection import Connection
from audit.postgres.url import Database

_STAND_INS = {"user_models": "a query"}
_PLACE = """
SELECT current_setting('search_path') AS search_path, current_setting('port') AS server_port,
    extract(epoch FROM pg_postmaster_start_time())::text AS server_started_at,
    (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS database_oid,
    (SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = to_regclass($1)) AS users,
    (SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = to_regclass($2)) AS user_models
"""
# Not in one statement with what is asked of it: a function's rights are checked before any of it is run.
_MAY_READ = "SELECT has_function_privilege(to_regprocedure('pg_catalog.pg_control_system()'), 'EXECUTE')"
_SYSTEM = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"


async def read_place(connection: Connection, database: Database) -> Place:
    """To be called within a transaction, after both tables were found there. Raises as asyncpg does."""
    tables = database.tables
    named = (None if table.query or table.is_absent else table.sql for table in (tables.users, tables.user_models))
    row = await connection.fetchrow(_PLACE, *named)
    assert row  # noqa: S101 - there is no WHERE
    address = database.address
    return Place(
        host=address.host,
        port=address.port,
        database=address.database,
        asked_path=address.asked_path,
        system=await _system(connection),
        **{name: row[name] or _STAND_INS.get(name, "") for name in row.keys()},  # noqa: SIM118 - a record iterates over its values
    )


async def _system(connection: Connection) -> str | None:
    """Null too where a hosted server refuses what its own rights allow."""
    if not await connection.fetchval(_MAY_READ):
        return None
    await connection.execute("SAVEPOINT before_system")
    try:
        return str(await connection.fetchval(_SYSTEM))
    except asyncpg.PostgresError:
        await connection.execute("ROLLBACK TO SAVEPOINT before_system")
        return None
