"""Tables of every make, and what is said where they cannot be read, on a real server."""

import tomllib
from dataclasses import replace

import pytest

from audit.cli.config_file import mapping
from audit.errors import DatabaseError
from audit.model.run import Filters
from audit.model.users import ModelRecord
from audit.postgres.snapshot import Snapshot, snapshot
from audit.postgres.url import Database, parse_database_url
from tests.support.database_rows import execute, insert, model
from tests.support.samples import digest

HASH = digest("recorded")


def told(dsn: str, toml: str) -> Database:
    """The database, read as a config file with this below `[database]` says."""
    return replace(parse_database_url(dsn), tables=mapping(tomllib.loads(toml)))


async def taken_by(dsn: str, toml: str) -> tuple[list[ModelRecord], Snapshot]:
    async with snapshot(told(dsn, toml), order_by="updated_at", filters=Filters(), statement_timeout=20) as taken:
        return [record async for record in taken.records()], taken


async def refusal(dsn: str, toml: str) -> str:
    with pytest.raises(DatabaseError) as caught:
        await taken_by(dsn, toml)
    return f"{caught.value} {caught.value.next_step}"


async def test_everything_that_is_missing_is_named_at_once_with_lines_to_paste(database: str) -> None:
    await execute(
        database,
        'CREATE TABLE user_models (uuid uuid, "ownerId" text, "modelVersion" text, "insertedAt" timestamptz)',
    )
    said = await refusal(database, "")
    for words in ("no column id", "no column user_id", "neither a version nor a model", "no date"):
        assert words in said
    for line in ('user_models.id = "uuid"', 'user_id = "ownerId"', 'replicate_version_id = "modelVersion"'):
        assert line in said
    assert 'created_at = "insertedAt"' in said


@pytest.mark.parametrize(
    ("kind", "value", "line"),
    [
        (
            "jsonb",
            '{"model_version": "x"}',
            "replicate_version_id = {sql = \"replicate_version_id->>'model_version'\"}",
        ),
        ("json", "{}", "replicate_version_id = {sql = \"replicate_version_id->>'KEY'\"}"),
        ("text[]", "{}", 'replicate_version_id = {sql = "(replicate_version_id)[1]"}'),
        ("pair", "(a,b)", 'replicate_version_id = {sql = "(replicate_version_id).version"}'),
    ],
)
async def test_what_is_no_text_is_refused_with_the_expression_to_write(
    tables: str, kind: str, value: str, line: str
) -> None:
    await execute(tables, "CREATE TYPE pair AS (model text, version text)")
    await execute(
        tables,
        f"ALTER TABLE user_models ALTER replicate_version_id TYPE {kind} USING NULL",
        f"INSERT INTO user_models (user_id, replicate_version_id) VALUES ('u1', '{value}')",
    )
    assert line in await refusal(tables, "")


@pytest.mark.parametrize(
    ("kind", "made"),
    [("text", "(updated_at)::timestamptz"), ("bigint", "to_timestamp(updated_at)")],
)
async def test_a_date_of_another_type_is_refused_with_the_cast_to_write(tables: str, kind: str, made: str) -> None:
    await execute(tables, f"ALTER TABLE user_models ALTER updated_at TYPE {kind} USING NULL")
    assert f'updated_at = {{sql = "{made}"}}' in await refusal(tables, "")
    await insert(
        tables, "user_models", [model(updated_at="1767225600" if kind == "bigint" else "2026-01-01T00:00:00Z")]
    )
    [record], _ = await taken_by(tables, f'[columns]\nupdated_at = {{sql = "{made}"}}')
    assert record.updated_at == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("date", ["created_at", "completed_at", "updated_at"])
async def test_any_one_date_is_enough_and_the_run_says_which_decides(tables: str, date: str) -> None:
    others = ({"created_at", "completed_at", "updated_at"}) - {date}
    await execute(tables, *(f"ALTER TABLE user_models DROP {name}" for name in others))
    rows = [{name: value for name, value in model().items() if name not in others} for _ in "12"]
    rows[0][date], rows[0]["replicate_version_id"] = "2026-05-01T00:00:00Z", HASH
    await insert(tables, "user_models", rows)
    [record], taken = await taken_by(tables, "")
    assert (record.replicate_version_id, taken.order_by) == (HASH, date)


async def test_without_a_status_a_row_with_a_version_is_completed_and_one_without_is_not(tables: str) -> None:
    await execute(tables, "ALTER TABLE user_models DROP training_status")
    without = {name: value for name, value in model().items() if name != "training_status"}
    newer = without | {"replicate_version_id": " ", "created_at": "2026-06-01T00:00:00Z", "training_id": "t2"}
    await insert(tables, "user_models", [without, newer])
    [record], _ = await taken_by(tables, "")
    assert (record.training_id, record.newer and record.newer.training_id) == ("t1", "t2")


@pytest.mark.parametrize("toml", ["", "[tables]\nusers = false"])
async def test_without_a_table_of_users_everybody_whom_a_row_names_is_shown_by_the_id(tables: str, toml: str) -> None:
    await insert(tables, "user_models", [model(), model(user_id="u2"), model(user_id=None)])
    if not toml:
        await execute(tables, "DROP TABLE users")
    records, taken = await taken_by(tables, toml)
    assert [(record.user_id, record.email) for record in records] == [("u1", None), ("u2", None)]
    assert ("email" in taken.missing_columns, taken.population.users) == (True, 2)


@pytest.mark.parametrize(
    ("toml", "columns", "values", "model_id", "version"),
    [
        ('owner = "acme"', {}, {"replicate_model_id": " anna "}, "acme/anna", "f" * 64),
        ('owner = "acme"', {}, {"replicate_model_id": "other/anna"}, "other/anna", "f" * 64),
        ("", {}, {"replicate_model_id": f"acme/anna:{HASH}"}, "acme/anna", "f" * 64),
        ("", {"replicate_version_id": None}, {"replicate_model_id": f"acme/a:{HASH}"}, "acme/a", f"acme/a:{HASH}"),
        ("", {"replicate_model_id": None}, {"replicate_version_id": f"acme/b:{HASH}"}, "acme/b", f"acme/b:{HASH}"),
        ("", {"replicate_owner": "text", "replicate_name": "text"}, ("acme", "c"), "acme/c", "f" * 64),
        ('owner = "acme"', {"replicate_owner": "text", "replicate_name": "text"}, (None, "c"), "acme/c", "f" * 64),
        ("", {"replicate_owner": "text", "replicate_name": "text"}, ("acme", None), None, "f" * 64),
        (
            'owner = "acme"',
            {},
            {"replicate_model_id": "abcdefghijklmnopqrst012345"},
            "abcdefghijklmnopqrst012345",
            "f" * 64,
        ),
    ],
)
async def test_the_model_id_is_taken_from_wherever_it_is(  # noqa: PLR0917 - a table
    tables: str,
    toml: str,
    columns: dict[str, str | None],
    values: dict[str, str] | tuple[str | None, str | None],
    model_id: str | None,
    version: str,
) -> None:
    for name, kind in columns.items():
        await execute(tables, f"ALTER TABLE user_models {'ADD' if kind else 'DROP'} {name} {kind or ''}")
    if isinstance(values, tuple):
        values = {"replicate_owner": values[0] or "", "replicate_name": values[1] or ""}
    gone = {name for name, kind in columns.items() if kind is None}
    await insert(tables, "user_models", [{k: v for k, v in model(**values).items() if k not in gone}])
    [record], _ = await taken_by(tables, toml)
    assert (record.replicate_model_id, record.replicate_version_id) == (model_id, version)


async def test_columns_may_be_expressions_over_the_tables_own_columns(tables: str) -> None:
    await execute(tables, 'ALTER TABLE user_models ADD "Out put" jsonb')
    await insert(tables, "user_models", [model(replicate_version_id=None) | {'"Out put"': {"version": HASH}}][:0])
    await insert(tables, "user_models", [model(user_id="U1")])
    await execute(tables, f"""UPDATE user_models SET "Out put" = '{{"version": "{HASH}"}}'""")
    toml = """
[columns]
replicate_version_id = {sql = '''"Out put"->>'version' -- where it is'''}
user_id = {sql = "lower(user_id)"}
[columns.users]
display_name = {sql = "upper(email)"}
"""
    [record], _ = await taken_by(tables, toml)
    assert (record.replicate_version_id, record.user_id, record.display_name) == (HASH, "u1", "ANNA@EXAMPLE.COM")


async def test_a_condition_leaves_rows_out_everywhere(tables: str) -> None:
    await execute(tables, "ALTER TABLE user_models ADD provider text, ADD deleted_at timestamptz")
    other = model(replicate_version_id=HASH, updated_at="2026-09-01T00:00:00Z")
    await insert(
        tables,
        "user_models",
        [
            model(provider="replicate", deleted_at=None),
            other | {"provider": "fal", "deleted_at": None},
            other | {"provider": "replicate", "deleted_at": "2026-09-02T00:00:00Z"},
        ],
    )
    [record], taken = await taken_by(tables, "where = \"provider = 'replicate' AND deleted_at IS NULL\"")
    assert (record.replicate_version_id, record.older_completed, taken.population.completed_models) == ("f" * 64, 0, 1)


QUERY = """
[queries]
user_models = '''
SELECT m.id, m.user_id, m.training_status, m.replicate_model_id, v.hash AS replicate_version_id, m.updated_at
FROM user_models m JOIN versions v ON v.model = m.id -- the version is there
;
'''
"""


async def test_a_query_stands_in_the_tables_place(tables: str) -> None:
    await insert(tables, "user_models", [model(replicate_version_id=None)])
    await execute(tables, "CREATE TABLE versions AS SELECT 1 AS model, '" + HASH + "'::text AS hash")
    [record], taken = await taken_by(tables, QUERY)
    assert (record.replicate_version_id, taken.order_by) == (HASH, "updated_at")
    assert "created_at" in taken.missing_columns


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (
            '[queries]\nusers = "SELECT id FROM nowhere"',
            'database.queries.users, column 16, at `nowhere`: relation "now',
        ),
        (
            '[queries]\nusers = """SELECT id,\n  emial AS email\nFROM users"""',
            "database.queries.users, line 2, column 3, at `emial AS email`: column",
        ),
        ('[queries]\nusers = "WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone"', "data-modifying"),
        ('[queries]\nusers = "SELECT * FROM users FOR UPDATE"', "database.queries.users: it writes"),
        ('[queries]\nusers = "SELECT email FROM users"', "the query users has no column id"),
        ('[queries]\nusers = "SELECT id, id, email FROM users"', "database.queries.users has two columns id"),
        ('[columns]\nuser_id = {sql = "nobody"}', "database.columns.user_id, column 1, at `nobody`: column"),
        ('[columns]\nuser_id = {sql = "generate_series(1, 2)::text"}', "set-returning functions are not allowed"),
        ('[columns]\nuser_id = {sql = "max(user_id)"}', "database.columns.user_id"),
        ('where = "is_tset"', "database.where, column 1, at `is_tset`: column"),
        ('where = "user_id"', "database.where"),
        ('where = "count(*) > 1"', "database.where, column 1, at `count(*) > 1`: aggregate functions"),
        (
            '[columns]\nlora_scale = {sql = "replicate_version_id::numeric::text"}',
            "database.columns.lora_scale fails for a row: invalid input syntax",
        ),
        (
            '[columns]\nlora_scale = {sql = "(SELECT x::text FROM generate_series(1, 2) AS x)"}',
            "database.columns.lora_scale fails for a row: more than one row",
        ),
    ],
)
async def test_sql_of_the_config_file_that_postgresql_refuses_is_named_with_key_and_place(
    tables: str, toml: str, words: str
) -> None:
    await insert(tables, "user_models", [model()])
    said = await refusal(tables, toml)
    assert words in said
    assert "config file" in said


async def test_a_user_who_is_there_twice_is_named(tables: str) -> None:
    await insert(tables, "user_models", [model()])
    doubled = "SELECT id, email FROM users UNION ALL SELECT id, 'other@example.com' FROM users"
    await execute(tables, f"CREATE VIEW people AS {doubled}")
    for toml in ('[tables]\nusers = "people"', f'[queries]\nusers = "{doubled}"'):
        assert "has the id u1 2 times" in await refusal(tables, toml)


async def test_a_row_that_a_join_doubles_is_named(tables: str) -> None:
    await insert(tables, "user_models", [model()])
    toml = '[queries]\nuser_models = "SELECT m.* FROM user_models m CROSS JOIN generate_series(1, 3)"'
    assert "the query user_models has the id 1 3 times" in await refusal(tables, toml)


async def test_a_row_with_a_model_and_without_an_id_is_refused_and_one_that_a_join_makes_is_not(tables: str) -> None:
    await insert(tables, "user_models", [model()])
    columns = "user_id, training_status, replicate_model_id, replicate_version_id, created_at"
    toml = f'[queries]\nuser_models = "SELECT NULLIF(id::text, id::text) AS id, {columns} FROM user_models"'
    assert "the query user_models has rows without an id" in await refusal(tables, toml)
    await execute(tables, f"CREATE TABLE nullable AS SELECT NULL::integer AS id, {columns} FROM user_models")
    await execute(tables, "ALTER TABLE nullable ADD UNIQUE (id)")
    assert '"nullable" has rows without an id' in await refusal(tables, '[tables]\nuser_models = "nullable"')
    await execute(tables, "UPDATE nullable SET replicate_model_id = NULL, replicate_version_id = NULL")
    await taken_by(tables, '[tables]\nuser_models = "nullable"')


@pytest.mark.parametrize("status", [True, False])
async def test_tables_that_store_no_version_have_nothing_to_audit(tables: str, status: bool) -> None:  # noqa: FBT001 - a table of two
    await insert(tables, "user_models", [model()])
    await execute(tables, "ALTER TABLE user_models DROP replicate_version_id")
    if not status:
        await execute(tables, "ALTER TABLE user_models DROP training_status")
    said = await refusal(tables, "")
    assert "nothing to audit: table user_models stores no version" in said
    assert "the product runs whichever is the latest" in said
