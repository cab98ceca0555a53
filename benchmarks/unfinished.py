"""What asking about unfinished rows costs: `python -m benchmarks.unfinished`.

Requests are counted by the stand-in and compared with what the rules call for. What reading the database costs is a
ratio: the snapshot of users of whom most have an unfinished row, and of the same users when all rows are completed.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import asyncpg

from audit.demo.database import load
from audit.demo.fake_replicate.server import in_thread
from audit.demo.postgres import embedded_postgres
from audit.model.run import Filters
from audit.postgres.snapshot import snapshot
from audit.postgres.url import parse_database_url
from benchmarks.results import Figure, Results, conditions, table
from tests.support.audits import Servers, audit
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.unfinished_users import Expected, UnfinishedUsers

_PART = "unfinished"


def measure(users: UnfinishedUsers, dsn: str, rounds: int, folder: Path) -> Iterator[Figure]:
    """Figures of a database that has been loaded with `users`; in the end all rows there are completed."""
    expected = Expected(users.facts)
    expected.outcomes()
    with in_thread(InstrumentedReplicate(users.world)) as fake:
        settings = Servers(dsn, fake).settings(folder, timeout=60, trainings=None, run_file=folder / "run.sqlite")
        audit(settings).close()
        asked = Counter(fake.request_log.paths)
    del asked["/v1/account"]
    of_trainings = sum(count for path, count in asked.items() if path.startswith("/v1/trainings/"))
    yield Figure(_PART, "requests", asked.total(), "")
    yield Figure(_PART, "of them for trainings that rows name", of_trainings, "")
    yield Figure(_PART, "requests that the rules do not call for", (asked - expected.requests).total(), "", 0)
    yield Figure(_PART, "requests that the rules call for and nobody made", (expected.requests - asked).total(), "", 0)
    with_rows = median(_seconds(dsn) for _ in range(rounds))
    asyncio.run(_complete(dsn))
    without = median(_seconds(dsn) for _ in range(rounds))
    yield Figure(_PART, "time to read the database, of that without unfinished rows", with_rows / without, "x", 3)


def _seconds(dsn: str) -> float:
    async def read() -> float:
        began = time.perf_counter()
        async with snapshot(
            parse_database_url(dsn), order_by="updated_at", filters=Filters(), statement_timeout=600
        ) as taken:
            async for _ in taken.records():
                pass
        return time.perf_counter() - began

    return asyncio.run(read())


async def _complete(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("UPDATE user_models SET training_status = 'completed'")
        await connection.execute("VACUUM FULL ANALYZE user_models")
    finally:
        await connection.close()


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unfinished", description=__doc__)
    parser.add_argument("--users", type=int, default=20_000, help="users in the database (default: 20000)")
    parser.add_argument("--rounds", type=int, default=3, help="times that the database is read (default: 3)")
    chosen = parser.parse_args()
    command = f"python -m benchmarks.unfinished --users {chosen.users} --rounds {chosen.rounds}"
    where = conditions(chosen.users, chosen.rounds, 32, command)
    users = UnfinishedUsers(chosen.users)
    with tempfile.TemporaryDirectory() as folder, embedded_postgres() as dsn:
        asyncio.run(load(dsn, users))
        results = Results(where, tuple(measure(users, dsn, chosen.rounds, Path(folder))))
    print(table(results))
    return 1 if results.broken else 0


if __name__ == "__main__":
    sys.exit(main())
