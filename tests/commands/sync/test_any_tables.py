"""A repair of every kind of tables: it changes what was found to be wrong and nothing else, and undoes every byte."""

import asyncio
import csv
import io
import json
import re
import shlex
from collections.abc import Iterator, Sequence

import asyncpg
import pytest

from audit.commands.sync.files import Purpose, is_repaired, is_sql_of
from audit.demo.fake_replicate.server import in_thread
from audit.model.tables import COLUMNS
from audit.report.fix import Fixes
from audit.report.view import RunView
from audit.runfile import RunFile
from tests.support import psql
from tests.support.audits import Servers, Shell, new_database
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.shapes import SHAPES, Shape, Write, each_shape
from tests.support.shapes.story import BENS, NEW_OF_BEN, WORLD

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


@pytest.mark.parametrize("shape", each_shape())
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


@pytest.mark.parametrize("shape", each_shape())
def test_psql_does_the_same(shape: Shape, product: Shell) -> None:
    writes = (*shape.writes, *shape.included)
    dsn, before = product.environ["DATABASE_URL"], rows_of(product)
    planned = product("sync", "run.sqlite", *INCLUDE, "--version-only")
    assert planned.code == 3, planned.err
    for name in ("run-apply.sql", "run-undo.sql"):
        done = psql.run(dsn, product.folder / name)
        assert done.returncode == 0, done.stderr
        with RunFile.open(product.folder / "run.sqlite") as run_file:
            assert is_repaired(run_file) == (name == "run-apply.sql")
            assert all(is_sql_of(product.folder / f"run-{each}.sql", each, run_file.info.id) for each in SQL)
        if name == "run-apply.sql":
            is_changed(product, before, writes)
    assert rows_of(product) == before


@pytest.mark.parametrize("shape", each_shape())
def test_what_is_copied_for_one_user_does_the_same_or_is_the_command_alone(shape: Shape, product: Shell) -> None:
    before, dsn = rows_of(product), product.environ["DATABASE_URL"]
    with RunFile.open(product.folder / "run.sqlite") as run_file:
        fixes = [fix for _, fix in Fixes(RunView(run_file)).users() if fix]
    assert fixes
    if all(fix.sql for fix in fixes):
        for changed in (1, 0):
            for number, fix in enumerate(fixes):
                (product.folder / f"{number}.sql").write_text(fix.sql or "")
                ended = psql.run(dsn, product.folder / f"{number}.sql")
                assert (ended.stdout, ended.stderr) == (f"UPDATE {changed}\n", "")
            is_changed(product, before, shape.writes)
    else:
        for fix in fixes:
            applied = product(*shlex.split(fix.command)[1:], "--yes")
            assert applied.code in {0, 4}, applied.err
        is_changed(product, before, shape.writes)


def without_repair(name: str, **changes: str) -> Shape:
    """A shape whose config file does not say where values that are made are kept, unless `changes` say it wrongly."""
    shape = SHAPES[name]
    toml = shape.toml.partition("[database.repair")[0]
    return shape._replace(toml=toml + changes.pop("repair", ""), name=f"{name}_fixed")


SQL: tuple[Purpose, ...] = ("apply", "undo")
WHY = {
    "an expression": (
        without_repair("whole_answer"),
        "replicate_version_id cannot be set, as it is made by an expression",
        """[database.repair.columns] replicate_version_id = {sql = "output->>'version'"}""",
    ),
    "a query": (
        without_repair("models_and_versions"),
        "column replicate_version_id cannot be set, as it comes from a query",
        '[database.repair.columns] replicate_version_id = "COLUMN"',
    ),
    "no such column": (
        without_repair(
            "models_and_versions",
            repair='[database.repair]\ntable = "ai_model_versions"\ncolumns = {replicate_version_id = "nowhere"}\n',
        ),
        "has no column nowhere (database.repair)",
        "audit again",
    ),
    "no such table": (
        without_repair("whole_answer", repair='[database.repair]\ntable = "app.nowhere"\n'),
        'there is no table "app"."nowhere" that this role can see (database.repair.table)',
        "audit again",
    ),
    "no such key": (
        without_repair("whole_answer", repair='[database.repair]\nkey = "nowhere"\n'),
        "has no column nowhere (database.repair.key)",
        "audit again",
    ),
    "a view that takes no changes": (
        SHAPES["owner_in_code"]._replace(
            name="view_fixed",
            sql=SHAPES["owner_in_code"].sql
            + "CREATE VIEW trained AS SELECT h.* FROM headshot_models AS h JOIN accounts ON accounts.id = account_id;",
            toml=SHAPES["owner_in_code"].toml.replace('"headshot_models"', '"trained"'),
        ),
        "is a view or table that takes no changes",
        "[database.repair] table, key and columns",
    ),
    "no JSON": (
        without_repair(
            "plain", repair="""[database.repair.columns]\nreplicate_version_id = {sql = "trigger_word->>'version'"}\n"""
        ),
        "trigger_word is of type text, and no JSON",
        "audit again",
    ),
    "a composite": (
        (it := without_repair("plain", repair='[database.repair.columns]\nreplicate_version_id = "both"\n'))._replace(
            name="composite",
            sql=it.sql + 'CREATE TYPE two AS (a text, b text); ALTER TABLE user_models ADD "both" two;',
        ),
        "both is of type record, which holds several values",
        "audit again",
    ),
}


@pytest.mark.parametrize(("shape", "why", "step"), WHY.values(), ids=WHY)
def test_where_nothing_can_be_written_the_values_are_shown_for_a_person(
    shape: Shape, why: str, step: str, product: Shell
) -> None:
    before = rows_of(product)
    for more in ((), ("--apply", "--yes")):
        planned = product("sync", "run.sqlite", *more)
        assert planned.code == 5, planned.err
        assert why in planned.err
        assert step in " ".join(planned.err.split())
        shown = planned.out + planned.err
        assert NEW_OF_BEN in shown
        assert BENS.model in shown
        assert not list(product.folder.glob("*.sql"))
    assert rows_of(product) == before
    in_json = product("sync", "run.sqlite", "-o", "plan.json")
    assert in_json.code == 5
    assert NEW_OF_BEN in (product.folder / "plan.json").read_text()


@pytest.mark.parametrize("shape", each_shape())
def test_no_format_names_a_column_that_is_not_there_and_the_query_for_rows_runs(shape: Shape, product: Shell) -> None:
    who = next(user for user, reason in shape.findings.items() if reason == "outdated_version")
    as_json = json.loads(product("user", who, "--run", "run.sqlite", "--json").out)
    sql = as_json["links"]["rows_sql"]
    assert "\n" not in sql
    assert fetched(product, sql)
    live = json.loads(product("user", who, "--json").out)
    assert live["links"]["rows_sql"] == sql
    texts = [product("render", "run.sqlite", "-o", "md=-").out]
    texts += [line for line in product("render", "run.sqlite", "-o", "junit=-").out.split("\n") if "hint: " in line]
    texts += [product("user", who).out, product("user", who, "--run", "run.sqlite").out]
    texts += [product("sync", "run.sqlite", *INCLUDE).out]
    rendered = product("render", "run.sqlite", "-o", "csv=-").out
    texts += [row["hint"] for row in csv.DictReader(io.StringIO(rendered))]
    there = shape.sql + " ".join(re.findall(r"\bAS \w+", shape.toml))
    for text in texts:
        unwrapped = " ".join(text.split()).replace(sql, "")
        plain = re.sub(r"AS \w+|--include \w+|`\w+`|- \w+: the tables ha\w+ no such", "", unwrapped)
        named = {name for name in map(str, COLUMNS["user_models"]) if re.search(rf"\b{name}\b", plain)}
        assert {name for name in named if not re.search(rf"\b{name}\b", there)} <= {"id"}, plain


@pytest.mark.parametrize("shape", [SHAPES["owner_in_code"]], ids=["no updated_at"])
def test_a_date_that_is_not_there_is_not_touched(shape: Shape, product: Shell) -> None:
    before = rows_of(product)
    refused = product("sync", "run.sqlite", "--apply", "--yes", "--touch")
    assert refused.code == 2
    assert 'table "headshot_models" has no such column' in refused.err
    assert rows_of(product) == before


@pytest.mark.parametrize(
    "shape",
    [without_repair("whole_answer", repair='[database.repair]\ntable = "closed.trainings"\n')],
    ids=["closed schema"],
)
def test_a_table_in_a_schema_that_is_closed_to_the_audit_keeps_nobody_from_auditing(
    shape: Shape, shell: Shell, postgres_server: str, fake: InstrumentedReplicate
) -> None:
    role = """
    CREATE SCHEMA closed; CREATE TABLE closed.trainings (id text);
    DO $$ BEGIN CREATE ROLE repair_reader LOGIN PASSWORD 'reads'; EXCEPTION WHEN OTHERS THEN END $$;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO repair_reader;
    """
    dsn = asyncio.run(filled(postgres_server, shape._replace(sql=shape.sql + role, name="closed_schema")))
    shell.environ = Servers(dsn, fake).environ | {"PGUSER": "repair_reader"}
    shell.environ["DATABASE_URL"] = as_role(dsn, "repair_reader", "reads")
    (shell.folder / "sync-audit.toml").write_text(shape.toml)
    ended = shell("run", "--run-file", "run.sqlite", "-o", "run.json")
    assert ended.code == 3, ended.err
    planned = shell("sync", "run.sqlite")
    assert planned.code == 5
    assert "that this role can see (database.repair.table)" in planned.err


def as_role(dsn: str, role: str, password: str) -> str:
    return re.sub(r"//[^/@]*@", f"//{role}:{password}@", dsn)


def fetched(shell: Shell, sql: str) -> list[asyncpg.Record]:
    async def read() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(shell.environ["DATABASE_URL"])
        try:
            found: list[asyncpg.Record] = await connection.fetch(sql)
            return found
        finally:
            await connection.close()

    return asyncio.run(read())


TRAINER = "ostris/flux-dev-lora-trainer"
TRAINER_SHAPES = {
    "owner and name in JSON": SHAPES["nested"]._replace(
        name="trainer_in_json",
        sql=SHAPES["nested"].sql
        + """UPDATE assets SET details = jsonb_set(details, '{replicate,model}',
            '{"owner": "ostris", "name": "flux-dev-lora-trainer"}') WHERE id = 2;""",
        writes=(
            Write("SELECT details->'replicate'->'model'->>'owner' FROM assets WHERE id = 2", "ostris", "acme"),
            Write(
                "SELECT details->'replicate'->'model'->>'name' FROM assets WHERE id = 2",
                "flux-dev-lora-trainer",
                "ben-portrait",
            ),
        ),
    ),
    "model and version in one column": SHAPES["qualified_version"]._replace(
        name="trainer_in_version",
        sql=SHAPES["qualified_version"].sql
        + f"UPDATE studio.tunings SET reference = '{TRAINER}:{BENS.hash}' WHERE id = 2;",
        writes=(
            Write(
                "SELECT reference FROM studio.tunings WHERE id = 2",
                f"{TRAINER}:{BENS.hash}",
                f"{BENS.model}:{BENS.hash}",
            ),
        ),
    ),
    "a view over the table that is written": SHAPES["owner_in_code"]._replace(
        name="view_of_table",
        sql=SHAPES["owner_in_code"].sql
        + """CREATE VIEW trained AS SELECT h.id, account_id, name, trim(version) AS version, h.status, trained_at,
            h.created_at FROM headshot_models AS h JOIN accounts ON accounts.id = account_id WHERE h.name <> 'x';""",
        toml=SHAPES["owner_in_code"].toml.replace('"headshot_models"', '"trained"')
        + """
[database.repair]
table = "headshot_models"
""",
    ),
    "by another key": SHAPES["owner_and_name"]._replace(
        name="by_another_key",
        sql=SHAPES["owner_and_name"].sql
        + """CREATE VIEW "All" AS SELECT * FROM loras;
        ALTER TABLE loras RENAME id TO "lora ID"; ALTER TABLE loras RENAME version_id TO "Version of it";""",
        toml=SHAPES["owner_and_name"].toml.replace('"loras"', '"All"')
        + """
[database.repair]
table = "loras"
key = "lora ID"
columns = {replicate_version_id = "Version of it"}
""",
        writes=(Write("""SELECT "Version of it" FROM loras WHERE "lora ID" = 72""", BENS.hash, NEW_OF_BEN),),
    ),
}


@pytest.mark.parametrize("shape", TRAINER_SHAPES.values(), ids=TRAINER_SHAPES)
def test_what_is_read_and_what_is_written_may_be_two(shape: Shape, product: Shell) -> None:
    (product.folder / "run.sqlite").unlink()
    assert product("run", "--run-file", "run.sqlite", "-o", "run.json", "--trainings").code == 3
    before = rows_of(product)
    assert values_of(product, shape.writes) == [write.before for write in shape.writes]
    applied = product("sync", "run.sqlite", "--include", "trainer_recorded", "--apply", "--yes")
    assert values_of(product, shape.writes) == [write.after for write in shape.writes], applied.err
    assert len(set(rows_of(product)) - set(before)) == 1
    undone = product("sync", "--undo", "run-undo.sql", "--yes")
    assert undone.code == 0, undone.err
    assert rows_of(product) == before
    assert product("sync", "run.sqlite", "--include", "trainer_recorded", "--version-only").code == 3
    for name, values in (("run-apply.sql", "after"), ("run-undo.sql", "before")):
        done = psql.run(product.environ["DATABASE_URL"], product.folder / name)
        assert done.returncode == 0, done.stderr
        assert values_of(product, shape.writes) == [getattr(write, values) for write in shape.writes]
    assert rows_of(product) == before
