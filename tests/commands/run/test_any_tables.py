"""An audit of every kind of tables: the config file says how they are made, and the verdicts are those of the story."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import pytest

from audit.demo.fake_replicate.server import in_thread
from tests.support.audits import Servers, Shell, new_database
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.shapes import SHAPES, Reason, Shape, each_shape
from tests.support.shapes.shape import per_model
from tests.support.shapes.story import ADAS, BENS, CLEOS, DORAS, NEW_OF_BEN, TRAINED, WORLD, rows


@pytest.fixture(scope="module")
def fake() -> Iterator[InstrumentedReplicate]:
    with in_thread(InstrumentedReplicate(WORLD)) as served:
        yield served


@pytest.fixture
def tables(shell: Shell, postgres_server: str, fake: InstrumentedReplicate, shape: Shape) -> Shell:
    """A shell beside tables of this shape, with its config file."""
    dsn = asyncio.run(filled(postgres_server, shape))
    shell.environ = Servers(dsn, fake).environ
    (shell.folder / "sync-audit.toml").write_text(shape.toml)
    return shell


async def filled(server: str, shape: Shape) -> str:
    dsn = await new_database(server, f"run_{shape.name}")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(shape.sql)
    finally:
        await connection.close()
    return dsn


def users_of(shell: Shell, *options: str, code: int = 3) -> list[dict[str, Any]]:
    ended = shell("run", "-o", "json=-", *options)
    assert ended.code == code, ended.err
    found: list[dict[str, Any]] = json.loads(ended.out)["users"]
    return found


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_each_user_is_judged_by_what_the_tables_hold(shape: Shape, tables: Shell) -> None:
    if shape.latest_per:
        pytest.skip("its lines are told apart by models")
    users = users_of(tables)
    assert {user["user_id"]: user["reason"] for user in users} == shape.findings
    assert {user["email"] for user in users if user["reason"] == "outdated_version"} == {shape.shown}


IN_USE = {shape.name: (shape, shape.per_model) for shape in SHAPES.values() if shape.per_model} | {
    name: (SHAPES[name], per_model(key))
    for name, key in (("owner_in_code", "uuid"), ("nested", "number"), ("through_avatars", "uuid"))
}


@pytest.mark.parametrize(("shape", "expected"), IN_USE.values(), ids=IN_USE)
def test_each_model_of_a_user_is_judged_where_that_is_wanted(
    shape: Shape, expected: Mapping[tuple[str, str], Reason], tables: Shell
) -> None:
    users = users_of(tables, "--latest-per", "model")
    assert {(user["user_id"], user["replicate_model_id"]): user["reason"] for user in users} == expected


IN_ITS_PLACE = Shape(
    name="training_in_the_models_place",
    sql="CREATE TABLE user_models (id int PRIMARY KEY, user_id text, replicate_model_id text,"
    " replicate_version_id text, training_status text, created_at timestamptz);"
    + rows(
        "user_models",
        (
            {
                "id": row.number,
                "user_id": row.person.name,
                "replicate_model_id": "nosuchtrainingatallhere123" if row is CLEOS else row.training,
                "replicate_version_id": row.hash,
                "training_status": "completed" if row.done else row.state,
                "created_at": row.created,
            }
            for row in TRAINED
        ),
    ),
    toml="",
    findings={
        "Ada": Reason.LATEST_VERSION,
        "Ben": Reason.OUTDATED_VERSION,
        "Cleo": Reason.TRAINING_NOT_FOUND,
        "Dora": Reason.TRAINING_NOT_RECORDED,
    },
    shown=None,
)


@pytest.mark.parametrize("shape", [IN_ITS_PLACE], ids=lambda shape: shape.name)
def test_a_training_in_the_models_place_is_asked_which_model_it_is(shape: Shape, tables: Shell) -> None:
    users = {user["user_id"]: user for user in users_of(tables, "--run-file", "run.sqlite", code=4)}
    assert {name: user["reason"] for name, user in users.items()} == shape.findings
    assert (users["Ben"]["replicate_url"], users["Ben"]["latest_version"]) == (
        f"https://replicate.com/{BENS.model}",
        NEW_OF_BEN,
    )
    ended = tables("user", "Ben", "--json")
    assert json.loads(ended.out)["reason"] == "outdated_version"
    unfinished = tables("user", "Dora", "--json")
    assert unfinished.code == 3, unfinished.err
    assert json.loads(unfinished.out)["reason"] == "training_not_recorded"
    planned = tables("sync", "run.sqlite", "--apply", "--yes")
    assert planned.code == 0, planned.err
    assert users_of(tables, "--user", "Ben", code=0)[0]["current_version"] == NEW_OF_BEN


ON_THE_USER = Shape(
    name="no_status_on_the_user",
    sql="CREATE TABLE customers (no int PRIMARY KEY, mail text, lora text, lora_version text, trained_on date);"
    + rows(
        "customers",
        (
            {
                "no": row.person.number,
                "mail": row.person.email,
                "lora": row.model,
                "lora_version": row.hash,
                "trained_on": row.created.date(),
            }
            for row in (ADAS, BENS, DORAS)
        ),
    ),
    toml="""
[database.tables]
users = "customers"
user_models = "customers"
[database.columns]
email = "mail"
user_id = "no"
replicate_model_id = "lora"
replicate_version_id = "lora_version"
created_at = "trained_on"
[database.columns.users]
id = "no"
[database.columns.user_models]
id = "no"
""",
    findings={},
    shown=None,
)


@pytest.mark.parametrize("shape", [ON_THE_USER], ids=lambda shape: shape.name)
def test_a_row_without_a_status_is_completed_by_its_version(shape: Shape, tables: Shell) -> None:
    users = {user["email"]: user for user in users_of(tables, "--run-file", "run.sqlite")}
    dora = users["dora@example.com"]
    assert (dora["reason"], users["ada@example.com"]["reason"]) == ("training_not_recorded", "latest_version")
    assert "the row has no version since 2025-04-20" in dora["detail"]
    repaired = tables("sync", "run.sqlite", "--apply", "--yes", "--include", "training_not_recorded")
    assert repaired.code == 0, repaired.err
    assert "dora@example.com  row 5" not in repaired.err
    assert {user["reason"] for user in users_of(tables, code=0)} == {"latest_version"}


@pytest.mark.parametrize("shape", each_shape())
def test_one_user_and_what_changed_between_two_runs_are_told_in_any_tables(shape: Shape, tables: Shell) -> None:
    users = users_of(tables, "--run-file", "before.sqlite")
    outdated = [user for user in users if user["reason"] == "outdated_version"]
    [ben] = (user for user in outdated if user["replicate_url"].endswith(BENS.name))
    said = json.loads(tables("user", ben["email"] or ben["user_id"], "--json").out)
    assert (said["reason"], said["replicate_model_id"]) == ("outdated_version", ben["replicate_model_id"])
    assert len(said["rows"]) >= 1
    if shape.writes:
        tables("sync", "before.sqlite", "--apply", "--yes", "--user", ben["user_id"])
        tables("run", "--run-file", "after.sqlite", "-o", "after.json")
        changes = json.loads(tables("diff", "before.sqlite", "after.sqlite", "-o", "json=-").out)["users"]
        assert [(each["change"], each["user_id"]) for each in changes] == [("resolved", ben["user_id"])]
