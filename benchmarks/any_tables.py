"""What tables of other kinds cost to read, and a large database to be looked into: `python -m benchmarks.any_tables`.

Ratios: the snapshot of the same users from plain tables, and from tables whose model id, version or rows are made by
what a config file says. `sync-audit init` is looked at with few tables, and with thousands beside them.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from statistics import median

import asyncpg

from audit.cli.config_file import mapping
from audit.demo.postgres import embedded_postgres
from audit.model.run import Filters
from audit.postgres.snapshot import snapshot
from audit.postgres.url import parse_database_url
from benchmarks.results import Figure, Results, conditions, table

_PART = "any tables"
_TABLES = """
CREATE TABLE users (id text PRIMARY KEY, email text);
CREATE TABLE user_models (
    id integer PRIMARY KEY, user_id text, training_status text, replicate_model_id text, replicate_version_id text,
    name text, qualified text, answer jsonb, created_at timestamptz, updated_at timestamptz, completed_at timestamptz
);
INSERT INTO users SELECT 'u' || i, 'u' || i || '@example.com' FROM generate_series(1, {users}) AS i;
INSERT INTO user_models SELECT i, 'u' || (i % {users} + 1), 'completed', 'acme/m' || i, hash, 'm' || i,
    'acme/m' || i || ':' || hash, jsonb_build_object('version', hash, 'status', 'completed'), now(), now(), now()
FROM generate_series(1, {users} * 3 / 2) AS i, LATERAL (SELECT md5(i::text) || md5(i::text) AS hash) AS made;
ANALYZE;
"""
_KINDS: Mapping[str, str] = {
    "names without an owner": 'owner = "acme"\n[columns]\nreplicate_name = "name"',
    "owner/name:hash in one column": '[columns]\nreplicate_version_id = "qualified"\nreplicate_model_id = "qualified"',
    "versions inside jsonb": "[columns]\nreplicate_version_id = {sql = \"answer->>'version'\"}",
    "a condition": "where = \"training_status = 'completed'\"",
    "a query with a join": "[queries]\nuser_models = 'SELECT m.* FROM user_models m JOIN users u ON u.id = user_id'",
    "a line for each model": 'latest_per = "model"',
    "no table of users": "[tables]\nusers = false",
}


def measure(dsn: str, rounds: int, many: int) -> Iterator[Figure]:
    """Figures of a database that has the tables."""
    plain = median(_seconds(dsn, "") for _ in range(rounds))
    for kind, toml in _KINDS.items():
        took = median(_seconds(dsn, toml) for _ in range(rounds))
        yield Figure(_PART, f"time to read the database, of that of plain tables: {kind}", took / plain, "x")
    few = median(_init(dsn) for _ in range(rounds))
    asyncio.run(_more_tables(dsn, many))
    beside = median(_init(dsn) for _ in range(rounds))
    yield Figure(_PART, f"time of init beside {many:,} tables, of that without them", beside / few, "x")


def _seconds(dsn: str, toml: str) -> float:
    database = replace(parse_database_url(dsn), tables=mapping(tomllib.loads(toml)))

    async def read() -> float:
        began = time.perf_counter()
        async with snapshot(database, order_by="updated_at", filters=Filters(), statement_timeout=600) as taken:
            async for _ in taken.records():
                pass
        return time.perf_counter() - began

    return asyncio.run(read())


def _init(dsn: str) -> float:
    environ = {name: value for name, value in os.environ.items() if name != "REPLICATE_API_TOKEN"}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "audit", "init", "--print", "--no-config"],
        env=environ | {"DATABASE_URL": dsn},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


async def _more_tables(dsn: str, many: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for first in range(0, many, 100):  # a transaction holds a lock for each
            names = range(first, min(first + 100, many))
            await connection.execute(
                "".join(f"CREATE TABLE other_{i} (id serial PRIMARY KEY, words text, at timestamptz);" for i in names)
            )
    finally:
        await connection.close()


async def _fill(dsn: str, users: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_TABLES.format(users=users))
    finally:
        await connection.close()


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.any_tables", description=__doc__)
    parser.add_argument("--users", type=int, default=100_000, help="users in the database (default: 100000)")
    parser.add_argument("--tables", type=int, default=2000, help="other tables beside theirs (default: 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="times that each is done (default: 3)")
    chosen = parser.parse_args()
    options = f"--users {chosen.users} --tables {chosen.tables} --rounds {chosen.rounds}"
    with embedded_postgres() as dsn:
        asyncio.run(_fill(dsn, chosen.users))
        where = conditions(chosen.users, chosen.rounds, 32, f"python -m benchmarks.any_tables {options}")
        results = Results(where, tuple(measure(dsn, chosen.rounds, chosen.tables)))
    print(table(results))
    return 1 if results.broken else 0


if __name__ == "__main__":
    sys.exit(main())
