"""What Replicate has to say in every shape."""

import asyncio
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg
import pytest

from audit.demo.fake_replicate.server import in_thread
from tests.support.audits import Servers, Shell, new_database
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.shapes.story import WORLD

Make = Callable[..., Shell]


@pytest.fixture(scope="module")
def replicate() -> Iterator[InstrumentedReplicate]:
    """The account of the shapes, its models and trainings."""
    with in_thread(InstrumentedReplicate(WORLD)) as fake:
        yield fake


@pytest.fixture
def make(shell: Shell, postgres_server: str, replicate: InstrumentedReplicate) -> Make:
    """Makes the database by SQL; the shell then sees it, where `role` is named as that role."""

    async def made(sql: str) -> str:
        dsn = await new_database(postgres_server, "init_bad")
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()
        return dsn

    def shop(sql: str, role: str = "") -> Shell:
        dsn = asyncio.run(made(sql))
        shell.environ = Servers(dsn, replicate).environ
        if role:
            parts = urlsplit(dsn)
            query = urlencode(dict(parse_qsl(parts.query)) | {"user": role})
            shell.environ["DATABASE_URL"] = parts._replace(netloc="", query=query).geturl().replace(":/", ":///", 1)
        return shell

    return shop
