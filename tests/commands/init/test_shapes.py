"""`init` on the shapes, without a terminal: the file means what it has to, and an audit with it is right."""

import asyncio
import json
import tomllib
from collections.abc import Sequence

import asyncpg
import msgspec
import pytest

from audit.cli import config_file
from audit.model.tables import Table, Tables
from tests.support.audits import Servers, Shell, new_database
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.shapes import SHAPES, UNFIT, Shape, Write, each_shape


async def made(server: str, name: str, sql: str) -> str:
    """The DSN of a database in which `sql` was run."""
    dsn = await new_database(server, name)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
    return dsn


@pytest.fixture
def shop(request: pytest.FixtureRequest, shell: Shell, postgres_server: str, replicate: InstrumentedReplicate) -> Shell:
    """A shell for a database of the shape that the test is parametrized with."""
    shape = request.param
    dsn = asyncio.run(made(postgres_server, f"init_{shape.name}", shape.sql))
    shell.environ = Servers(dsn, replicate).environ
    return shell


def meaning(text: str) -> Tables:
    """What a config file says of the tables, in an order that says nothing."""
    tables = config_file.mapping(tomllib.loads(text).get("database", {}))

    def ordered(table: Table) -> Table:
        return msgspec.structs.replace(
            table, mapped=tuple(sorted(table.mapped)), expressions=tuple(sorted(table.expressions))
        )

    repair = msgspec.structs.replace(
        tables.repair, columns=tuple(sorted(tables.repair.columns)), paths=tuple(sorted(tables.repair.paths))
    )
    return msgspec.structs.replace(
        tables, users=ordered(tables.users), user_models=ordered(tables.user_models), repair=repair
    )


def told(shape: Shape) -> list[str]:
    return ["--latest-per", shape.latest_per] if shape.latest_per else []


BY_NAMES = [shape for shape in SHAPES.values() if meaning(shape.toml).user_models.query is None]


@pytest.mark.parametrize(("shop", "shape"), [(shape, shape) for shape in BY_NAMES], ids=repr, indirect=["shop"])
def test_the_file_means_what_a_person_would_have_written(shop: Shell, shape: Shape) -> None:
    ended = shop("init", *told(shape))
    assert ended.last_code == 0, ended.out + ended.err
    assert meaning((shop.folder / "sync-audit.toml").read_text()) == meaning(shape.toml)


@pytest.mark.parametrize(("shop", "shape"), [(shape, shape) for shape in SHAPES.values()], ids=repr, indirect=["shop"])
def test_a_run_with_that_file_finds_what_there_is_to_find(shop: Shell, shape: Shape) -> None:
    ended = shop("init", *told(shape))
    assert ended.code == 0, ended.out + ended.err
    ended = shop("run", "--run-file", "r.sqlite", "-o", "r.json", "--exit-zero")
    assert ended.code == 0, ended.err
    users = json.loads((shop.folder / "r.json").read_text())["users"]
    if shape.per_model:
        assert {(user["user_id"], user["replicate_model_id"]): user["reason"] for user in users} == shape.per_model
        return
    assert {user["user_id"]: user["reason"] for user in users} == shape.findings
    ben = next(user for user in users if user["reason"] == "outdated_version")
    assert ben["email"] == shape.shown


async def values(dsn: str, writes: Sequence[Write]) -> list[object]:
    """What is in each place now."""
    connection = await asyncpg.connect(dsn)
    try:
        return [await connection.fetchval(write.sql) for write in writes]
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("shop", "shape"),
    [pytest.param(*each.values, *each.values, id=each.id, marks=each.marks) for each in each_shape()],
    indirect=["shop"],
)
def test_a_repair_with_that_file_changes_what_is_to_be_changed_and_can_be_undone(shop: Shell, shape: Shape) -> None:
    writes = (*shape.writes, *shape.included)
    dsn = shop.environ["DATABASE_URL"]
    before = asyncio.run(values(dsn, writes))
    assert before == [write.before for write in writes]
    shop("init", *told(shape))
    shop("run", "--run-file", "r.sqlite", "-o", "r.json")
    ended = shop("sync", "r.sqlite", "--apply", "--yes", "--include", "training_not_recorded")
    assert ended.code == 0, ended.out + ended.err
    assert asyncio.run(values(dsn, writes)) == [write.after for write in writes]
    [undo] = shop.folder.glob("*undo*")
    ended = shop("sync", "--undo", undo.name, "--yes")
    assert ended.code == 0, ended.out + ended.err
    assert asyncio.run(values(dsn, writes)) == before


@pytest.mark.parametrize(("shop", "shape"), [(shape, shape) for shape in UNFIT], ids=repr, indirect=["shop"])
def test_nothing_to_audit_is_said_in_these_words(shop: Shell, shape: Shape) -> None:
    ended = shop("init")
    assert ended.last_code == 3
    said = " ".join(ended.out.split())
    if shape.name == "runs_the_latest":
        assert "stores models or trainings, and no version of any. The product always runs the latest version" in said
    assert not (shop.folder / "sync-audit.toml").exists()
