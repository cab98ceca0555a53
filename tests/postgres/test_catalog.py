"""What there is in a database, and samples of it."""

import pytest

from audit.errors import DatabaseError
from audit.postgres.catalog import Catalog, Sample, also_in, looking, probe, read_catalog, sample
from audit.postgres.url import parse_database_url
from tests.support.database_rows import execute

SECONDS = 30.0


async def catalog_of(dsn: str) -> Catalog:
    async with looking(parse_database_url(dsn), SECONDS) as look:
        return await read_catalog(look.connection)


async def sample_of(dsn: str, name: str) -> Sample | None:
    async with looking(parse_database_url(dsn), SECONDS) as look:
        table = next(each for each in (await read_catalog(look.connection)).tables if each.name == name)
        return await sample(look, table, table.columns)


async def test_tables_views_keys_and_types_are_told_and_the_systems_own_are_not(database: str) -> None:
    await execute(
        database,
        "CREATE TYPE mood AS ENUM ('ok', 'bad'); CREATE DOMAIN address AS text;",
        "CREATE SCHEMA app; CREATE TABLE app.people (id uuid PRIMARY KEY, mail address UNIQUE)",
        """CREATE TABLE "My Models" (id serial PRIMARY KEY, person uuid NOT NULL REFERENCES app.people, state mood,
            kind text CHECK (kind IN ('lora', 'it''s')), meta jsonb, made timestamptz, tags text[],
            double integer GENERATED ALWAYS AS (id * 2) STORED)""",
        'CREATE VIEW seen AS SELECT * FROM "My Models"',
    )
    catalog = await catalog_of(database)
    tables = {table.id: table for table in catalog.tables}
    assert set(tables) == {"app.people", "public.My Models", "public.seen"}
    people, models, seen = tables["app.people"], tables["public.My Models"], tables["public.seen"]
    assert (people.sql, people.path, people.visible) == ("app.people", ("app", "people"), False)
    assert people.unique == (("mail",),)
    assert (models.sql, models.path, models.primary) == ('"My Models"', ("My Models",), ("id",))
    assert [(it.column, it.table, it.other) for it in models.references] == [("person", "app.people", "id")]
    kinds = {column.name: column.kind for column in models.columns}
    assert kinds == {
        "id": "number",
        "person": "uuid",
        "state": "enum",
        "kind": "text",
        "meta": "json",
        "made": "date",
        "tags": "array",
        "double": "number",
    }
    words = {column.name: column.words for column in models.columns if column.words}
    assert words == {"state": ("ok", "bad"), "kind": ("lora", "it's")}
    assert [column.name for column in models.columns if column.fixed] == ["double"]
    assert people.columns[1].kind == "text"
    assert seen.is_view


async def test_a_sample_has_a_thousand_rows_at_most_and_the_same_ones_each_time(database: str) -> None:
    await execute(
        database, "CREATE TABLE t AS SELECT n, n::text AS text FROM generate_series(1, 20000) AS n", "ANALYZE t"
    )
    first, again = await sample_of(database, "t"), await sample_of(database, "t")
    assert first is not None
    assert 500 < first.rows <= 1000
    assert not first.whole
    assert first == again
    assert max(int(value or 0) for value in first.columns["n"]) > 2000  # not the first rows alone


async def test_a_small_table_is_known_to_have_been_seen_whole(database: str) -> None:
    await execute(database, "CREATE TABLE t AS SELECT n FROM generate_series(1, 20) AS n")
    seen = await sample_of(database, "t")
    assert seen == Sample(columns={"n": tuple(map(str, range(1, 21)))}, rows=20, whole=True)


async def test_long_values_are_cut_and_documents_are_not(database: str) -> None:
    await execute(
        database,
        """CREATE TABLE t AS SELECT repeat('x', 100000) AS text, jsonb_build_object('a', repeat('y', 1000)) AS json,
            '{"b": "' || repeat('z', 1000) || '"}' AS document""",
    )
    seen = await sample_of(database, "t")
    assert seen
    lengths = {name: len(values[0] or "") for name, values in seen.columns.items()}
    assert lengths["text"] < 1000 < lengths["json"] < lengths["document"] + 10


async def test_rows_are_probed_in_many_tables_at_once_and_one_that_fails_costs_itself(database: str) -> None:
    await execute(
        database,
        *(f"CREATE TABLE t{n} AS SELECT 'nothing'::text AS a" for n in range(60)),
        "CREATE TABLE hit AS SELECT repeat('a', 64) AS a",
        "CREATE VIEW broken AS SELECT (1 / (random() * 0)::integer)::text AS a",
    )
    async with looking(parse_database_url(database), SECONDS) as look:
        catalog = await read_catalog(look.connection)
        found = await probe(look, catalog.tables, "a{64}", until=0)
        assert [name for name, hits in found.items() if hits] == ["public.hit"]
        assert len(found) == 61
        assert list(look.failed) == ["public.broken"]


async def test_values_are_looked_up_in_a_key_of_another_table(database: str) -> None:
    await execute(database, "CREATE TABLE t (id uuid PRIMARY KEY); INSERT INTO t SELECT gen_random_uuid()")
    async with looking(parse_database_url(database), SECONDS) as look:
        [table] = (await read_catalog(look.connection)).tables
        known = (await look.connection.fetchval("SELECT id::text FROM t"), "00000000-0000-0000-0000-000000000000")
        assert await also_in(look, known, table, table.columns[0]) == 1
        assert await also_in(look, ["no uuid"], table, table.columns[0]) is None


async def test_nothing_can_be_written_while_looking(database: str) -> None:
    with pytest.raises(DatabaseError, match="runs something that writes"):
        async with looking(parse_database_url(database), SECONDS) as look:
            await look.connection.execute("CREATE TABLE t ()")
