"""A small database of users who need a sync, a run of it, and a shell where both are known."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg

from audit.demo.database import load
from audit.demo.fake_replicate.server import in_thread
from audit.model.repair import ChangeState
from audit.runfile import RunFile
from tests.support.audits import Ended, Servers, Shell, audit, new_database
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.synthetic_users import SyntheticUsers

DIGEST = "SELECT md5(string_agg(t::text, E'\\n' ORDER BY id)) FROM user_models t"


@dataclass
class Shop:
    """The database, and the shell in whose folder `run.sqlite` is."""

    server: str
    dsn: str
    shell: Shell

    def __call__(self, *arguments: str, **environ: str) -> Ended:
        return self.shell(*arguments, **environ)

    def sql(self, query: str) -> object:
        """The one value that `query` gives."""

        async def fetch() -> object:
            connection = await asyncpg.connect(self.dsn)
            try:
                return await connection.fetchval(query)
            finally:
                await connection.close()

        return asyncio.run(fetch())

    @property
    def digest(self) -> object:
        """Of the table, wherever it is now."""
        return self.sql(DIGEST)

    def states(self, run_file: str = "run.sqlite") -> set[ChangeState]:
        """The journal."""
        with RunFile.open(self.shell.folder / run_file) as opened:
            return {entry.state for entry in opened.journal.entries()}


@contextmanager
def opened(server: str, name: str, shell: Shell) -> Iterator[Shop]:
    """A shop in the database `name` of `server`, which is made anew."""
    users = SyntheticUsers(20, oddities=0.5)
    dsn = asyncio.run(new_database(server, name))
    asyncio.run(load(dsn, users))
    with in_thread(InstrumentedReplicate(users)) as fake:
        servers = Servers(dsn, fake)
        audit(servers.settings(shell.folder, outputs=())).close()
        shell.environ = servers.environ
        yield Shop(server, dsn, shell)
