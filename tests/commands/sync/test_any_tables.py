"""A repair of every kind of tables: it changes what was found to be wrong and nothing else, and undoes every byte."""

import asyncio
import re
from collections.abc import Iterator, Sequence

import asyncpg
import pytest

from audit.demo.fake_replicate.server import in_thread
from tests.support import psql
from tests.support.audits import Servers, Shell, new_database
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.shapes import SHAPES, Shape, Write
from tests.support.shapes.story import WORLD

INCLUDE = ("--include", "training_not_recorded")
TABLES = """
SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""


@pytest.fixture(scope="module")
def fake() -> Iterator[InstrumentedReplicate]:
    with in_thread(InstrumentedReplicate(WORLD)) as served:
        yield served


@pytest.fixture
def product(shell: Shell, postgres_server: str, fake: InstrumentedReplicate, shape: Shape) -> Shell:
    """A shell beside tables of this shape, with its config file and a finished run of it."""
    dsn = asyncio.run(filled(postgres_server, shape))
    shell.environ = Servers(dsn, fake).environ
    (shell.folder / "sync-audit.toml").write_text(shape.toml)
    ended = shell("run", "--run-file", "run.sqlite", "-o", "run.json")
    assert ended.code == 3, ended.err
    return shell


async def filled(server: str, shape: Shape) -> str:
    dsn = await new_database(server, f"sync_{shape.name}")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(shape.sql)
    finally:
        await connection.close()
    return dsn


def rows_of(shell: Shell) -> list[str]:
    """Every row of every table, as PostgreSQL writes it."""

    async def read() -> list[str]:
        connection = await asyncpg.connect(shell.environ["DATABASE_URL"])
        try:
            found: list[str] = []
            for (table,) in await connection.fetch(TABLES):
                rows = await connection.fetch(f"SELECT t::text FROM {table} AS t")
                found += sorted(f"{table} {row[0]}" for row in rows)
            return found
        finally:
            await connection.close()

    return asyncio.run(read())


def values_of(shell: Shell, writes: Sequence[Write]) -> list[str | None]:
    """What is in the places that a repair writes to."""

    async def read() -> list[str | None]:
        connection = await asyncpg.connect(shell.environ["DATABASE_URL"])
        try:
            found = [await connection.fetchval(write.sql) for write in writes]
            return [None if value is None else str(value) for value in found]
        finally:
            await connection.close()

    return asyncio.run(read())


def targets(writes: Sequence[Write]) -> int:
    """In how many rows they are."""
    return len({re.sub(r"^SELECT .*? FROM ", "", write.sql) for write in writes})


def is_changed(shell: Shell, before: list[str], writes: Sequence[Write]) -> None:
    assert values_of(shell, writes) == [write.after for write in writes]
    assert len(set(rows_of(shell)) - set(before)) == targets(writes)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("include", [(), INCLUDE], ids=["usual", "included"])
def test_what_was_found_is_changed_and_put_back(shape: Shape, include: tuple[str, ...], product: Shell) -> None:
    writes = (*shape.writes, *(shape.included if include else ()))
    before = rows_of(product)
    assert values_of(product, writes) == [write.before for write in writes]
    applied = product("sync", "run.sqlite", *include, "--apply", "--yes")
    assert applied.code == 0, applied.err
    is_changed(product, before, writes)
    undone = product("sync", "--undo", "run-undo.sql", "--yes")
    assert undone.code == 0, undone.err
    assert rows_of(product) == before
    again = product("sync", "--undo", "run-undo.sql", "--yes")
    assert again.code == 0, again.err


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_psql_does_the_same(shape: Shape, product: Shell) -> None:
    writes = (*shape.writes, *shape.included)
    dsn, before = product.environ["DATABASE_URL"], rows_of(product)
    planned = product("sync", "run.sqlite", *INCLUDE, "--version-only")
    assert planned.code == 3, planned.err
    for name in ("run-apply.sql", "run-undo.sql"):
        done = psql.run(dsn, product.folder / name)
        assert done.returncode == 0, done.stderr
        if name == "run-apply.sql":
            is_changed(product, before, writes)
    assert rows_of(product) == before
