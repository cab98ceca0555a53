"""Tables and columns that are called otherwise: everything finds them, and nothing else can be in a name."""

import asyncio
import csv
import io
import json
import re
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import msgspec
import pytest

from audit.demo.database import load
from audit.demo.users import DemoUsers
from audit.errors import DatabaseError
from audit.model.run import Filters
from audit.model.sql import literal, quoted
from audit.model.tables import COLUMNS, PLAIN, TABLES, Column, Table, TableName, Tables, TrainingState
from audit.model.text import escape_controls
from audit.postgres.snapshot import snapshot
from audit.postgres.url import Database, parse_database_url
from tests.support import psql
from tests.support.audits import Servers, Shell, new_database
from tests.support.database_rows import execute, insert, model

HOSTILE = [
    'users"; DROP TABLE users; --',
    "it's",
    "back\\slash",
    "\\' OR 1=1 --",
    "$1",
    "{users}",
    "%s %(a)s",
    "a.b",
    "select",
    "MiXeD Case",
    "ü 🐘",
    '"',
    "/* */",
]
SCHEMA = 'Shop "1"'
WORD = "it's \\ {ready}"


def toml(text: str) -> str:
    """As a basic string, which TOML spells as JSON does."""
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True)
class Elsewhere:
    """The demo users' rows, in tables and columns that are called otherwise."""

    dsn: str
    tables: Tables

    @property
    def toml(self) -> str:
        """The config file that says so."""
        return "\n".join(
            [
                f"[database]\ncompleted = [{toml(WORD)}]\n[database.tables]",
                *(f"{name} = {toml(self.tables[name].sql)}" for name in TABLES),
                *(
                    line
                    for name in TABLES
                    for line in (
                        f"[database.columns.{name}]",
                        *(f"{column} = {toml(quoted(own))}" for column, own in self.tables[name].mapped),
                    )
                ),
            ]
        )


ONE_ID = {name: [each for each in COLUMNS[name] if each not in {Column.OWNER, Column.NAME}] for name in TABLES}
"""Columns of tables with one column for the model's id."""


def renamed(name: TableName) -> Table:
    hostile = (HOSTILE * 3)[len(name) :]
    mapped = tuple((column, f"{hostile[place]} {place}") for place, column in enumerate(ONE_ID[name]))
    return Table(name, (SCHEMA, f'My {name}"; DROP TABLE x; --'), mapped)


async def rename(dsn: str, tables: Tables) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE SCHEMA {quoted(SCHEMA)}")
        await connection.execute(
            f"UPDATE user_models SET training_status = {literal(WORD)} WHERE training_status = 'completed'"
        )
        for name in TABLES:
            table = tables[name]
            there = await connection.fetch("SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass", name)
            for column, own in table.mapped:
                if column in {row["attname"] for row in there}:
                    await connection.execute(f"ALTER TABLE {name} RENAME COLUMN {column} TO {quoted(own)}")
            await connection.execute(f"ALTER TABLE {name} RENAME TO {quoted(table.own_name)}")
            await connection.execute(f"ALTER TABLE {quoted(table.own_name)} SET SCHEMA {quoted(SCHEMA)}")
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def elsewhere(postgres_server: str, demo_users: DemoUsers) -> Elsewhere:
    dsn = asyncio.run(new_database(postgres_server, "elsewhere"))
    asyncio.run(load(dsn, demo_users))
    tables = Tables(users=renamed("users"), user_models=renamed("user_models"), completed=(WORD,))
    asyncio.run(rename(dsn, tables))
    return Elsewhere(dsn, tables)


@pytest.fixture
def other(shell: Shell, servers: Servers, elsewhere: Elsewhere) -> Shell:
    """A shell with a config file, and beside it a folder without."""
    (shell.folder / "sync-audit.toml").write_text(elsewhere.toml)
    shell.environ = servers.environ | {"DATABASE_URL": elsewhere.dsn}
    return shell


def document(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def in_plain_names(text: str, elsewhere: Elsewhere) -> str:
    """What a person is told, with the audit's names in the place of the database's."""
    for column, own in sorted(elsewhere.tables.user_models.mapped, key=lambda pair: -len(pair[1])):
        for shown in (escape_controls(quoted(own)), escape_controls(own)):
            text = text.replace(shown, column)
    return text.replace(WORD, "completed")


def all_in_plain_names(value: Any, elsewhere: Elsewhere) -> Any:
    if isinstance(value, str):
        return in_plain_names(value, elsewhere)
    if isinstance(value, list):
        return [all_in_plain_names(each, elsewhere) for each in value]
    if isinstance(value, dict):
        return {key: all_in_plain_names(each, elsewhere) for key, each in value.items()}
    return value


def test_an_audit_comes_to_the_same(other: Shell, servers: Servers, elsewhere: Elsewhere) -> None:
    outputs = ("-o", "a.json", "-o", "a.csv", "-o", "a.html", "--run-file", "a.sqlite", "--quiet")
    there = other("run", *outputs)
    folder = other.folder
    texts = {name: (folder / name).read_text() for name in ("a.json", "a.csv", "a.html")}
    for name in (*texts, "a.sqlite"):
        (folder / name).unlink()
    here = other("run", "--no-config", *outputs, DATABASE_URL=servers.dsn)
    assert there.code == here.code == 4, there.err
    mapped, plain = document(texts["a.json"]), document((folder / "a.json").read_text())
    counts = mapped["population"]["training_status"]
    counts["completed"] = counts.pop(WORD)
    mapped["users"] = all_in_plain_names(mapped["users"], elsewhere)
    assert {**mapped, "run": None} == {**plain, "run": None}
    rows = list(csv.reader(io.StringIO(texts["a.csv"])))
    plain_rows = list(csv.reader(io.StringIO((folder / "a.csv").read_text())))
    assert all_in_plain_names(rows, elsewhere) == plain_rows
    assert "FROM user_models" not in texts["a.html"]


def test_a_run_file_knows_the_names(other: Shell, elsewhere: Elsewhere) -> None:
    other("run", "-o", "a.html", "--run-file", "a.sqlite", "--quiet", "--limit", "3")
    before = (other.folder / "a.html").read_bytes()
    (other.folder / "sync-audit.toml").unlink()
    other("render", "a.sqlite", "-o", "b.html")
    assert (other.folder / "b.html").read_bytes() == before
    case = document(other("user", "--run", "a.sqlite", "--json", users_of(elsewhere)[0]).out)
    assert elsewhere.tables.user_models.sql in case["links"]["rows_sql"]


def users_of(elsewhere: Elsewhere) -> list[str]:
    async def asked() -> list[str]:
        tables = elsewhere.tables
        async with snapshot(
            with_tables(elsewhere.dsn, tables), order_by="updated_at", filters=Filters(limit=3), statement_timeout=20
        ) as taken:
            return [record.user_id async for record in taken.records()]

    return asyncio.run(asked())


def with_tables(dsn: str, tables: Tables) -> Database:
    return replace(parse_database_url(dsn), tables=tables)


def test_one_user_is_found_by_all_names_and_the_query_for_the_rows_runs(
    other: Shell, servers: Servers, elsewhere: Elsewhere, demo_users: DemoUsers
) -> None:
    rows = [row for row in demo_users.rows if row.replicate_model_id and "/" in row.replicate_model_id]
    user = next(each for each in demo_users.users if each.id == rows[0].user_id)
    for who in (str(user.email).upper(), str(rows[0].replicate_model_id)):
        mapped = document(other("user", who, "--json").out)
        plain = document(other("user", who, "--json", "--no-config", DATABASE_URL=servers.dsn).out)
        sql = mapped["links"].pop("rows_sql")
        for each in (mapped, plain):
            each["links"].pop("rows_sql", None)
            each["source"] = None
        assert all_in_plain_names(mapped, elsewhere) == plain
    found = asyncio.run(fetched(elsewhere.dsn, sql))
    assert len(found) == len(mapped["rows"])


async def fetched(dsn: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


def test_doctor_finds_the_same_and_names_what_is_there(other: Shell, servers: Servers, elsewhere: Elsewhere) -> None:
    mapped = {each["name"]: each for each in document(other("doctor", "--json").out)["checks"]}
    plain_out = other("doctor", "--json", "--no-config", DATABASE_URL=servers.dsn).out
    plain = {each["name"]: each for each in document(plain_out)["checks"]}
    assert {name: mapped[name]["state"] for name in plain} == {name: each["state"] for name, each in plain.items()}
    sql = elsewhere.tables.user_models.sql
    assert sql in mapped["tables"]["figure"]
    assert sql in mapped["database_role"]["figure"] + mapped["database_role"]["next_step"]
    assert f"{sql}.{elsewhere.tables.user_models.column('user_id')}" in mapped["user_id_index"]["figure"]
    assert mapped["setting_tables_called"]["figure"].startswith(f"users = {elsewhere.tables.users.sql}, user_models =")


async def test_a_name_that_is_not_there_is_said_with_what_it_stands_for(tables: str) -> None:
    for mapping, words in (
        (Tables(users=Table("users", ("shop", "people"))), 'has no table "shop"."people" that this role can see'),
        (Tables(user_models=Table("user_models", (), (("trigger_word", "word"),))), "user_models has no column word"),
        (Tables(users=Table("users", ("Users",))), "There is one called public.users."),
        (Tables(users=Table("users", (), (("email", "EMail"),))), "is it email?"),
    ):
        with pytest.raises(DatabaseError) as caught:
            async with snapshot(
                with_tables(tables, mapping), order_by="updated_at", filters=Filters(), statement_timeout=20
            ):
                pass
        assert words in f"{caught.value} {caught.value.next_step}"
        assert "config file" in caught.value.next_step


async def test_one_column_may_stand_for_two(tables: str) -> None:
    await execute(tables, "ALTER TABLE user_models DROP COLUMN completed_at")
    mapping = Tables(user_models=Table("user_models", (), (("completed_at", "updated_at"),)))
    async with snapshot(
        with_tables(tables, mapping), order_by="completed_at", filters=Filters(), statement_timeout=20
    ) as taken:
        assert taken.population.users == 1


@pytest.mark.parametrize("mapped", [(), (("lora_weights_url", "is_test"),)], ids=["plain", "mapped"])
async def test_weights_that_are_not_to_be_judged_are_not_read(tables: str, mapped: tuple[tuple[str, str], ...]) -> None:
    mapping = Tables(user_models=Table("user_models", (), mapped), weights="ignore")
    await insert(tables, "user_models", [model()])
    async with snapshot(
        with_tables(tables, mapping), order_by="updated_at", filters=Filters(), statement_timeout=20
    ) as taken:
        assert Column.LORA_WEIGHTS_URL in taken.missing_columns
        assert Column.LORA_WEIGHTS_URL not in taken.columns.user_models
        assert {record.lora_weights_url async for record in taken.records()} == {None}


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_name_is_nothing_but_a_name_and_a_word_nothing_but_a_word(postgres_server: str, text: str) -> None:
    connection = await asyncpg.connect(postgres_server)
    try:
        for setting in ("on", "off"):
            await connection.execute(f"SET standard_conforming_strings = {setting}; SET escape_string_warning = off")
            row = await connection.fetchrow(f"SELECT {literal(text)}::text AS {quoted(text)}")
            assert row
            assert dict(row) == {text: text}
            words = Tables(completed=(text, "ready"))
            assert await connection.fetchval(f"SELECT {words.is_completed('$1::text')}", text)
            assert not await connection.fetchval(f"SELECT {words.is_completed('$1::text')}", f"{text} ")
    finally:
        await connection.close()


@pytest.mark.parametrize("text", [*HOSTILE, "\u0130n", "K", "Ä", "a b"])
async def test_postgresql_finds_words_of_states_as_the_program_does(postgres_server: str, text: str) -> None:
    connection = await asyncpg.connect(postgres_server)
    try:
        for state in (TrainingState.IN_PROGRESS, TrainingState.FAILED):
            words = msgspec.structs.replace(PLAIN, **{state.value: (text, "Other")})
            for status in (text, f"\t{text}\n", text.upper(), text.lower(), "OTHER", "others", "", f"\u00a0{text}"):
                if "\0" not in status:
                    found = await connection.fetchval(f"SELECT {words.is_in(state, '$1::text')}", status)
                    assert found == (words.state(status) is state), status
            assert await connection.fetchval(f"SELECT {words.is_in(state, 'NULL')}") is None
    finally:
        await connection.close()


def test_a_run_file_without_words_of_states_has_those_by_default() -> None:
    assert msgspec.json.decode(b'{"completed":["ready"]}', type=Tables) == Tables(completed=("ready",))


def test_words_that_mean_nothing_are_told_from_near_misses_and_null() -> None:
    counts = {"completed": 9, "Failed": 1, "Completed": 2, "archived": 3, "(null)": 4, "": 5, "starting": 6}
    assert PLAIN.unknown(counts) == {"archived": 3, "": 5}


def test_names_that_are_not_mapped_are_not_quoted() -> None:
    assert (PLAIN.users.sql, PLAIN.user_models.column("id"), PLAIN.is_completed("s")) == (
        "users",
        "id",
        "s = 'completed'",
    )


async def everything(dsn: str, table: str) -> str:
    """All rows of a table, byte for byte."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(f"SELECT m::text AS line FROM {table} AS m ORDER BY 1")
        return "\n".join(row["line"] for row in rows)
    finally:
        await connection.close()


def test_a_repair_changes_the_rows_there_and_is_undone_byte_for_byte(
    shell: Shell, servers: Servers, postgres_server: str, demo_users: DemoUsers
) -> None:
    dsn = asyncio.run(new_database(postgres_server, "elsewhere_repaired"))
    asyncio.run(load(dsn, demo_users))
    tables = Tables(users=renamed("users"), user_models=renamed("user_models"), completed=(WORD,))
    asyncio.run(rename(dsn, tables))
    (shell.folder / "sync-audit.toml").write_text(Elsewhere(dsn, tables).toml)
    shell.environ = servers.environ | {"DATABASE_URL": dsn}
    before = asyncio.run(everything(dsn, tables.user_models.sql))

    assert shell("run", "--trainings", "-o", "a.json", "--run-file", "a.sqlite", "-q").code == 4
    include = ["--version-only"]
    include += [f"--include={reason}" for reason in ("training_not_recorded", "version_lost", "trainer_recorded")]
    plan = shell("sync", "a.sqlite", *include)
    assert plan.code == 3, plan.err
    assert re.search(r"rows changed: 1\d, skipped: 0", psql.run(dsn, shell.folder / "a-apply.sql").stdout)
    assert asyncio.run(everything(dsn, tables.user_models.sql)) != before
    psql.run(dsn, shell.folder / "a-undo.sql")
    assert asyncio.run(everything(dsn, tables.user_models.sql)) == before

    applied = shell("sync", "a.sqlite", *include, "--apply", "--yes")
    assert applied.code == 0, applied.err
    assert "up to date now" in applied.err
    assert asyncio.run(everything(dsn, tables.user_models.sql)) != before
    undone = shell("sync", "--undo", "a-undo.sql", "--yes")
    assert undone.code == 0, undone.err
    assert asyncio.run(everything(dsn, tables.user_models.sql)) == before
