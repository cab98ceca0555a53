"""Real servers for the tests."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import hypothesis
import pytest

from audit.demo.postgres import embedded_postgres
from tests.support.audits import demo_users, faulty_servers, forks, servers, shell, synthetic_servers, synthetic_users
from tests.support.database_rows import ANNA, MODELS, USERS, execute, insert

__all__ = ["demo_users", "faulty_servers", "forks", "servers", "shell", "synthetic_servers", "synthetic_users"]
# Whoever runs the tests in the background, or with nohup, has signals ignored, and so would have all that they start.
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)
hypothesis.settings.register_profile("unhurried", deadline=None)  # no test says how fast anything is
hypothesis.settings.load_profile("unhurried")
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """DSN of a PostgreSQL of our own, as superuser; with pytest-xdist every worker has one."""
    binaries = os.environ.get("SYNC_AUDIT_PG_BIN")
    with embedded_postgres(Path(binaries) if binaries else None) as dsn:
        yield dsn


@pytest.fixture
async def database(postgres_server: str) -> AsyncIterator[str]:
    """DSN of an empty database of this test's own, as superuser. A connection that a test leaves open fails it."""
    name = f"test_{next(_numbers)}"
    server = await asyncpg.connect(postgres_server)
    try:
        await server.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        yield urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
        await server.execute(f"DROP DATABASE {name}")
    finally:
        await server.close()


@pytest.fixture
async def tables(database: str) -> str:
    """DSN of a database with both tables, and Anna."""
    await execute(database, USERS, MODELS)
    await insert(database, "users", [ANNA])
    return database
