"""Rows -> PostgreSQL."""

import asyncpg

from audit.demo.rows import INDEX, SCHEMA, ModelRow, Tables, UserRow

_NEXT_ID = "SELECT setval('user_models_id_seq', coalesce((SELECT max(id) FROM user_models), 0) + 1, false)"


async def load(dsn: str, tables: Tables) -> None:
    """Makes both tables in an empty database and fills them by COPY, in one transaction, reading `tables` once.

    asyncpg's own errors come through: a demo and tests load, nobody else does.
    """
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute(SCHEMA)
            await connection.copy_records_to_table("users", records=tables.users, columns=UserRow._fields)
            await connection.copy_records_to_table("user_models", records=tables.rows, columns=ModelRow._fields)
            await connection.execute(INDEX)
            await connection.execute(_NEXT_ID)
        await connection.execute("ANALYZE users, user_models")
    finally:
        await connection.close()
