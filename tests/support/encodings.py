"""Databases of other encodings than UTF-8."""

from urllib.parse import urlsplit

import asyncpg

from audit.postgres.encoding import WITHOUT_CHARACTER
from tests.support.database_rows import MODELS, USERS, execute

_ROWS = """
INSERT INTO users VALUES ('u1', 'anna@example.com', 'Anna'), ('u2', 'zoe@example.com', '{zoe}');
INSERT INTO user_models (user_id, training_status, replicate_model_id, replicate_version_id, trigger_word, updated_at)
VALUES ('u1', 'completed', 'acme/anna', 'a', 'TOK', '2026-01-01'),
    ('u2', 'completed', 'acme/zoe', 'b', 'TOK', '2026-01-01')
"""


async def broken_utf8(server: str, *statements: str) -> str:
    """The same of UTF8 after `statements`, which may leave bytes that are none: past checks that are made today."""
    dsn = await encoded_database(server, "SQL_ASCII", *statements)
    await execute(dsn, "UPDATE pg_database SET encoding = pg_char_to_encoding('UTF8') WHERE datname = 'encoded'")
    return dsn


async def encoded_database(server: str, encoding: str, *statements: str) -> str:
    """DSN of a database of this encoding with both tables, Anna and Zoë, after `statements`; the last one is gone."""
    connection = await asyncpg.connect(server)
    try:
        await connection.execute("DROP DATABASE IF EXISTS encoded")
        await connection.execute(
            f"CREATE DATABASE encoded ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
        )
    finally:
        await connection.close()
    dsn = urlsplit(server)._replace(path="/encoded").geturl()
    await execute(dsn, USERS, MODELS, _ROWS.format(zoe="Zoe" if encoding in WITHOUT_CHARACTER else "Zoë"), *statements)
    return dsn
