"""What a repair writes into JSON: the value is read where it was put, all else stays, and undoing leaves every byte."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from audit.model.tables import Column, RepairTable, Table, Tables, WrittenTable
from audit.postgres.columns import Columns
from audit.postgres.writing import Writing, writing_of
from tests.support.audits import new_database

DEEP = "data->'replicate'->'model'->>'version'"
FLAT = "data->>'version'"
WEIGHTS = "data->'replicate'->>'weights'"
DOCUMENTS = (
    None,
    "null",
    "{}",
    '{"version": "old"}',
    '{"version": null, "other": [1, 2.50, true]}',
    '{"version": 7, "z": {"b": 1, "a": 2}, "replicate": null}',
    '{"replicate": {}}',
    '{"replicate": {"weights": "w", "model": null}}',
    '{"replicate": {"weights": {"url": "w"}, "model": {"version": {"id": "old"}, "name": "n"}}}',
    '{"version": "\\u00e9 \\" \'", "replicate": {"model": {"version": "old"}}}',
)
SPACED = ('{ "z" : 1,\n  "version" : "old", "a" : 1.0, "a" : 2 }', '{"replicate":{"model":{ "version":"old" }} }')
"""What jsonb would write otherwise."""


def wanted(column: Column) -> str:
    return f"judged.wanted ->> '{column}'"


def writing(kind: str, paths: dict[str, str]) -> Writing:
    repair = RepairTable(paths=tuple(paths.items()))
    tables = Tables(user_models=Table("user_models", expressions=tuple(paths.items())), repair=repair)
    types = {"id": "int4", "user_id": "text", "created_at": "timestamptz", **dict.fromkeys(paths, "text")}
    found = WrittenTable("user_models", {"id": "int4", "user_id": "text", "data": kind})
    return writing_of(Columns(tables, "user_models", types), found)


async def changed(dsn: str, kind: str, documents: Sequence[str | None], paths: dict[str, str]) -> list[dict[str, Any]]:
    """Of each document its text before, with values at `paths`, what is read there then, and its text put back."""
    where, columns = writing(kind, paths), tuple(map(Column, paths))
    values = json.dumps({column: f"new {column}" for column in columns})
    before = ", ".join(f"'{column}', {sql}" for column, sql in where.before(columns, "m.").items())
    sets = [where.sets(columns, wanted, puts_back=back) for back in (False, True)]
    read = ", ".join(f"({path}) AS {column}" for column, path in paths.items())
    connection = await asyncpg.connect(dsn)
    found = []
    try:
        await connection.execute(f"CREATE TEMP TABLE user_models (id int, user_id text, data {kind})")
        for document in documents:
            await connection.execute("TRUNCATE user_models")
            await connection.execute("INSERT INTO user_models VALUES (1, 'u', $1::text::" + kind + ")", document)
            text = await connection.fetchval("SELECT data::text FROM user_models")
            was = await connection.fetchval(f"SELECT jsonb_build_object({before})::text FROM user_models AS m")
            update = "UPDATE user_models AS m SET {} FROM (SELECT $1::text::jsonb AS wanted) AS judged"
            await connection.execute(update.format(sets[0]), values)
            [row] = await connection.fetch(f"SELECT data::text AS whole, {read} FROM user_models")
            await connection.execute(update.format(sets[1]), was)
            again = await connection.fetchval("SELECT data::text FROM user_models")
            found.append({"before": text, "after": again, **row})
    finally:
        await connection.close()
    return found


@pytest.fixture(scope="module")
def dsn(postgres_server: str) -> str:
    return asyncio.run(new_database(postgres_server, "writing"))


@pytest.mark.parametrize("kind", ["json", "jsonb"])
@pytest.mark.parametrize(
    "paths",
    [
        {Column.VERSION_ID.value: FLAT},
        {Column.VERSION_ID.value: DEEP},
        {Column.VERSION_ID.value: "data #>> '{replicate,model,version}'", Column.LORA_WEIGHTS_URL.value: WEIGHTS},
        {Column.VERSION_ID.value: FLAT, Column.MODEL_ID.value: DEEP, Column.LORA_WEIGHTS_URL.value: WEIGHTS},
    ],
    ids=["flat", "deep", "two", "three"],
)
def test_a_value_is_read_where_it_was_put_and_every_byte_is_put_back(
    dsn: str, kind: str, paths: dict[str, str]
) -> None:
    documents = (*DOCUMENTS, *SPACED)
    for row in asyncio.run(changed(dsn, kind, documents, paths)):
        assert {column: row[column] for column in paths} == {column: f"new {column}" for column in paths}, row
        assert row["after"] == row["before"]


@pytest.mark.parametrize("kind", ["json", "jsonb"])
@pytest.mark.parametrize("document", ['"https://example.com/a.tar"', "7", '{"replicate": "x"}'])
def test_something_else_in_the_place_of_an_object_is_never_lost(dsn: str, kind: str, document: str) -> None:
    [row] = asyncio.run(changed(dsn, kind, [document], {Column.VERSION_ID.value: DEEP}))
    assert json.loads(row["whole"]) == json.loads(document)
    assert row[Column.VERSION_ID] is None
    assert row["after"] == row["before"]


def test_in_json_that_somebody_has_changed_since_only_what_was_set_is_put_back(dsn: str) -> None:
    async def played() -> str:
        where, columns = writing("json", {Column.VERSION_ID.value: FLAT}), (Column.VERSION_ID,)
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("CREATE TEMP TABLE user_models (id int, user_id text, data json)")
            await connection.execute("""INSERT INTO user_models VALUES (1, 'u', '{"version":"new","seen":true}')""")
            was = json.dumps({Column.VERSION_ID: '{"version" : "old"}'})
            sets = where.sets(columns, wanted, puts_back=True)
            await connection.execute(
                f"UPDATE user_models AS m SET {sets} FROM (SELECT $1::text::jsonb AS wanted) AS judged", was
            )
            return str(await connection.fetchval("SELECT data::text FROM user_models"))
        finally:
            await connection.close()

    assert json.loads(asyncio.run(played())) == {"version": "old", "seen": True}
