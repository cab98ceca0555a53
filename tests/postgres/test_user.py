"""Finding one user in a real PostgreSQL, whatever the tables are like, and who shares the model."""

from typing import Any

import asyncpg
import pytest

from audit.model.run import Filters
from audit.model.users import TRIMMED
from audit.postgres.connection import Connection, read_transaction
from audit.postgres.shape import read_columns
from audit.postgres.snapshot import snapshot
from audit.postgres.snapshot_sql import snapshot_statements
from audit.postgres.url import parse_database_url
from audit.postgres.user import SEARCH_LIMIT, Candidates, OneUser, find_user, records_of, user_statements
from tests.support.audits import Servers
from tests.support.database_rows import MODELS, USERS, Row, execute, insert, model

PEOPLE: list[Row] = [
    {"id": "u1", "email": "anna@example.com", "display_name": "Anna"},
    {"id": "u2", "email": "Bob@Example.com", "display_name": None},
    {"id": "u3", "email": None, "display_name": "Carl"},
    {"id": "u10", "email": "dora@example.org", "display_name": None},
]


async def look(dsn: str, who: str, **changes: Any) -> OneUser | Candidates:
    plain: dict[str, Any] = {"order_by": "updated_at", "include_tests": False, "statement_timeout": 20.0}
    return await find_user(parse_database_url(dsn), who, **(plain | changes))


async def one(dsn: str, who: str, **changes: Any) -> OneUser:
    found = await look(dsn, who, **changes)
    assert isinstance(found, OneUser)
    return found


async def ids(dsn: str, who: str) -> list[str]:
    found = await look(dsn, who)
    return [each.user_id for each in (found.persons if isinstance(found, Candidates) else (found.person,))]


@pytest.fixture
async def people(database: str) -> str:
    """Four users, two of whom share a model, and rows of somebody who is gone."""
    await execute(database, USERS, MODELS)
    await insert(database, "users", PEOPLE)
    await insert(
        database,
        "user_models",
        [
            model(replicate_model_id="acme/user-50c-lora"),
            model(user_id="u2", replicate_model_id="acme/user-50c-lora"),
            model(user_id="u3", replicate_model_id=" acme/padded\n"),
            model(user_id="gone", replicate_model_id="acme/orphan"),
        ],
    )
    return database


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        pytest.param("u1", ["u1"], id="user id, and not all that begin with it"),
        pytest.param("anna@example.com", ["u1"], id="e-mail"),
        pytest.param("ANNA@example.COM", ["u1"], id="e-mail in other case"),
        pytest.param("bob@example.com", ["u2"], id="e-mail that is recorded in other case"),
        pytest.param("acme/user-50c-lora", ["u2", "u1"], id="model id of two users, by e-mail"),
        pytest.param("USER-50C", ["u2", "u1"], id="part of a model id"),
        pytest.param("acme/padded", ["u3"], id="model id that is recorded with white space"),
        pytest.param("@example.org", ["u10"], id="part of an e-mail"),
        pytest.param("gone", ["gone"], id="somebody who is not in users"),
        pytest.param("orphan", ["gone"], id="model of somebody who is not in users"),
        pytest.param("%", [], id="wildcards are letters"),
        pytest.param("nobody", [], id="nobody"),
        pytest.param("x' OR true --", [], id="no way into the SQL"),
    ],
)
async def test_who_is_found_by_email_id_model_or_a_part(people: str, who: str, expected: list[str]) -> None:
    assert await ids(people, who) == expected


async def test_somebody_who_is_not_in_users_has_rows_and_no_record(people: str) -> None:
    found = await one(people, "gone")
    assert (found.person.in_users, found.record, len(found.rows)) == (False, None, 1)


async def test_all_rows_come_the_latest_first_with_every_field(people: str) -> None:
    await insert(
        people,
        "user_models",
        [
            model(user_id="u10", updated_at="2026-01-01T00:00:00Z"),
            model(user_id="u10", updated_at=None),
            model(user_id="u10", updated_at="2026-03-01T00:00:00Z", training_status="Completed"),
            model(user_id="u10", updated_at="2026-02-01T00:00:00Z", is_test=True, failure_reason="none"),
        ],
    )
    found = await one(people, "u10")
    assert [row.model_row_id for row in found.rows] == ["7", "8", "5", "6"]
    assert found.record
    assert found.record.model_row_id == "5"
    test = found.rows[1]
    assert (test.is_test, test.failure_reason, test.training_id, test.lora_scale) == (True, "none", "t1", "0.90")
    assert (test.created_at, test.completed_at) == ("2026-01-01T00:00:00Z", "2026-03-01T00:00:00.250000Z")
    with_tests = await one(people, "u10", include_tests=True)
    assert with_tests.record
    assert with_tests.record.model_row_id == "8"
    assert with_tests.rows[1].is_test, "what a row is does not depend on whether it counts"


async def test_more_matches_than_anybody_reads_are_cut(people: str) -> None:
    await insert(people, "users", [{"id": f"many{i:04}", "email": None} for i in range(SEARCH_LIMIT + 20)])
    found = await look(people, "many")
    assert isinstance(found, Candidates)
    assert (len(found.persons), found.more) == (SEARCH_LIMIT - 1, True)


@pytest.mark.parametrize(
    ("users", "models", "who"),
    [
        pytest.param("uuid", "uuid", "6F0C1E3A-0000-4000-8000-00000000000A", id="uuids"),
        pytest.param("uuid", "text", "6f0c1e3a-0000-4000-8000-00000000000a", id="uuid and text"),
        pytest.param("text", "uuid", "6f0c1e3a-0000-4000-8000-00000000000a", id="text and uuid"),
        pytest.param("integer", "bigint", "7", id="integer and bigint"),
        pytest.param("bigint", "text", "7", id="bigint and text"),
        pytest.param("varchar(40)", "text", "someone", id="varchar and text"),
    ],
)
async def test_ids_of_any_type_are_found_and_other_words_are_no_error(
    database: str, users: str, models: str, who: str
) -> None:
    await execute(
        database,
        USERS,
        MODELS,
        f"ALTER TABLE users ALTER id TYPE {users} USING id::{users}",
        f"ALTER TABLE user_models ALTER user_id TYPE {models} USING user_id::{models}",
    )
    await insert(database, "users", [{"id": who.lower(), "email": "a@x"}])
    await insert(database, "user_models", [model(user_id=who.lower())])
    for word in (who, "a@x", "acme/anna", "anna"):
        found = await one(database, word)
        assert (found.person.user_id, found.person.email, len(found.rows)) == (who.lower(), "a@x", 1)
        assert found.record
        assert found.record.user_id == who.lower()
    assert await ids(database, "99999999999999999999999") == []


async def test_the_record_is_the_one_that_a_run_judges(servers: Servers) -> None:
    async with snapshot(
        parse_database_url(servers.dsn), order_by="updated_at", filters=Filters(), statement_timeout=20
    ) as taken:
        records = [record async for record in taken.records()]
    assert len(records) > 50
    for record in records:
        found = await one(servers.dsn, record.user_id)
        assert found.record == record


@pytest.mark.parametrize("kind", ["text", "varchar(60)", "char(60)", "citext", "model"])
async def test_others_share_the_model_in_whatever_case_and_blanks_theirs_is_recorded(people: str, kind: str) -> None:
    await execute(
        people,
        "CREATE EXTENSION IF NOT EXISTS citext" if kind == "citext" else "CREATE DOMAIN model AS text",
        f"ALTER TABLE user_models ALTER replicate_model_id TYPE {kind}",
    )
    await insert(people, "user_models", [model(user_id="u10", replicate_model_id=" ACME/User-50c-Lora\n")])
    found = await one(people, "u10")
    assert found.record
    assert (found.record.replicate_model_id or "").strip() == "ACME/User-50c-Lora"
    assert (found.record.shared_with, found.record.shared_with_count) == (("u1", "u2"), 2)
    found = await one(people, "u1")
    assert found.record
    assert found.record.shared_with == ("u10", "u2")
    settings: dict[str, Any] = {"order_by": "updated_at", "include_tests": False, "statement_timeout": 20.0}
    records = await records_of(parse_database_url(people), ["u1", "u10", "u3"], **settings)
    assert {each_line.user_id: each.shared_with for each_line, each in records.items()} == {
        "u1": ("u10",),
        "u10": ("u1",),
        "u3": (),
    }


async def test_optional_columns_may_be_missing(people: str) -> None:
    await execute(people, "ALTER TABLE user_models DROP is_test, DROP trigger_word, DROP failure_reason")
    found = await one(people, "u1")
    assert found.missing_columns == ("trigger_word", "is_test", "failure_reason")
    assert found.rows[0].trigger_word is None


async def test_whoever_is_named_exactly_is_found_through_indexes_alone_and_read_through_them(people: str) -> None:
    many = "SELECT 'm' || i, 'm' || i || '@x' FROM generate_series(1, 20000) AS i"
    rows = "SELECT 'm' || i, 'completed', 'acme/m' || i FROM generate_series(1, 20000) AS i"
    await execute(
        people,
        f"INSERT INTO users (id, email) {many}",
        f"INSERT INTO user_models (user_id, training_status, replicate_model_id) {rows}",
        "CREATE INDEX ON user_models (user_id)",
        "CREATE INDEX ON user_models (replicate_model_id)",
        "ANALYZE",
    )
    database = parse_database_url(people)
    async with read_transaction(database, statement_timeout=20) as (connection, _):
        users, models = await read_columns(connection, database)
        sql = user_statements(users, models, "updated_at", "m77")
        record = snapshot_statements(users, models, "updated_at", include_tests=False, persons="$4").records
        by_id, by_email, orphan, by_model, *others = sql.searches
        assert len(others) == 2
        exact: list[tuple[str, tuple[Any, ...]]] = [
            (by_id, ("m77",)),
            (by_email, ("m77@x",)),
            (orphan, ("m77",)),
            (by_model, ("acme/m77",)),
            (sql.users, (["m77"],)),
            (sql.rows, (["m77"],)),
            (record, (TRIMMED, None, None, ["m77", "m78"])),
        ]
        for query, arguments in exact:
            plan = await planned(connection, query, arguments)
            assert "Seq Scan" not in plan, plan
            assert "Index" in plan
        assert "Seq Scan" in await planned(connection, others[1], ("m77",)), "the check can see one"


async def planned(connection: Connection, query: str, arguments: tuple[Any, ...]) -> str:
    rows: list[asyncpg.Record] = await connection.fetch(f"EXPLAIN {query}", *arguments)
    return "\n".join(row[0] for row in rows)
