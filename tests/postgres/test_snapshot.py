"""Reading from a real PostgreSQL: shapes of tables, rights, poolers, TLS, and every way it can fail."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from msgspec.structs import replace

from audit.errors import DatabaseError, SettingsError
from audit.model.run import Filters
from audit.model.tables import PLAIN, Column, Table
from audit.model.users import SHARED_SHOWN, ModelRecord
from audit.postgres.snapshot import _AT_ONCE, snapshot
from audit.postgres.url import parse_database_url
from tests.support.database_rows import ANNA, MODELS, USERS, execute, insert, model, read


async def test_every_field_of_the_record_is_read(tables: str) -> None:
    await insert(tables, "user_models", [model()])
    records, _ = await read(tables)
    assert records == [
        ModelRecord(
            user_id="u1",
            email="anna@example.com",
            display_name="Anna",
            model_row_id="1",
            training_status="completed",
            is_test=False,
            replicate_model_id="acme/anna",
            replicate_version_id="f" * 64,
            training_id="t1",
            trigger_word="TOK",
            lora_scale="0.90",
            lora_weights_url="https://replicate.delivery/a.tar",
            model_name="Anna's",
            created_at="2026-01-01T00:00:00Z",
            updated_at="2026-02-01T00:00:00Z",
            completed_at="2026-03-01T00:00:00.250000Z",
        )
    ]


async def test_server_version_and_missing_columns_are_told(tables: str) -> None:
    async with snapshot(
        parse_database_url(tables), order_by="updated_at", filters=Filters(), statement_timeout=9
    ) as taken:
        assert taken.server_version.partition(".")[0].isdigit()
        assert taken.missing_columns == ()


async def test_nobody_with_a_completed_model_is_no_error(tables: str) -> None:
    records, population = await read(tables)
    assert records == []
    assert (population.users, population.completed_models, population.training_status) == (1, 0, {})


DATES = [
    ("2026-01-01 00:00:00+00", "2026-01-01T00:00:00Z"),
    ("2026-01-01 03:00:00+05:30", "2025-12-31T21:30:00Z"),
    ("2026-01-01 00:00:00.000001+00", "2026-01-01T00:00:00.000001Z"),
    ("0001-01-01 00:00:00+00", "0001-01-01T00:00:00Z"),
    ("9999-12-31 23:59:59.999999+00", "9999-12-31T23:59:59.999999Z"),
    ("10000-01-01 00:00:00+00", None),
    ("0001-12-31 23:59:59+00 BC", None),
    ("infinity", None),
    ("-infinity", None),
    (None, None),
]


@pytest.mark.parametrize("zone", ["America/St_Johns", "UTC"])
async def test_dates_are_texts_in_utc_and_null_outside_of_the_calendar(tables: str, zone: str) -> None:
    name = parse_database_url(tables).name
    await execute(
        tables, f"ALTER DATABASE {name} SET TimeZone = '{zone}'", f"ALTER DATABASE {name} SET DateStyle = 'German'"
    )
    await insert(tables, "users", [{"id": f"d{i:02}", "email": None} for i in range(len(DATES))])
    await insert(
        tables, "user_models", [model(user_id=f"d{i:02}", created_at=date) for i, (date, _) in enumerate(DATES)]
    )
    records, _ = await read(tables)
    assert [record.created_at for record in records] == [text for _, text in DATES]


async def test_a_completed_row_with_impossible_dates_hides_no_newer_one(tables: str) -> None:
    never = dict.fromkeys(("created_at", "updated_at", "completed_at"), "infinity")
    stuck = model(training_status="training", replicate_version_id=None)
    await insert(tables, "user_models", [model(**never), stuck])
    [record], _ = await read(tables)
    assert record.newer
    assert record.newer.model_row_id == "2"


async def test_a_row_that_began_far_in_the_future_is_asked_about(tables: str) -> None:
    await insert(
        tables, "user_models", [model(training_status="training", completed_at=None, updated_at="9999-12-31T00:00:00Z")]
    )
    [record], _ = await read(tables)
    assert record.unfinished


async def test_plain_timestamps_are_taken_as_utc(tables: str) -> None:
    zone = f"ALTER DATABASE {parse_database_url(tables).name} SET TimeZone = 'Asia/Tokyo'"
    await execute(
        tables,
        *(
            f"ALTER TABLE user_models ALTER {name} TYPE {kind}"
            for name, kind in (("created_at", "timestamp"), ("completed_at", "date"))
        ),
        zone,
    )
    await insert(tables, "user_models", [model(created_at="2026-01-01 12:00:00", completed_at="2026-05-05")])
    [record], _ = await read(tables)
    assert (record.created_at, record.completed_at) == ("2026-01-01T12:00:00Z", "2026-05-05T00:00:00Z")
    assert record.updated_at == "2026-02-01T00:00:00Z"


IDS = {
    "text": ("alice", "bob"),
    "varchar(40)": ("alice", "bob"),
    "uuid": ("6f0c1e3a-0000-4000-8000-00000000000a", "6f0c1e3a-0000-4000-8000-00000000000b"),
    "bigint": ("1", "2"),
}


@pytest.mark.parametrize(
    "row_id", ["serial", "bigserial", "uuid DEFAULT gen_random_uuid()", "text DEFAULT 'r' || random()"]
)
async def test_row_ids_of_any_type_are_read(database: str, row_id: str) -> None:
    await execute(
        database, USERS, MODELS, "ALTER TABLE user_models DROP id", f"ALTER TABLE user_models ADD id {row_id}"
    )
    await insert(database, "users", [ANNA])
    await insert(database, "user_models", [model(), model()])
    [record], _ = await read(database)
    connection = await asyncpg.connect(database)
    latest = await connection.fetchval("SELECT id::text FROM user_models ORDER BY user_models.id DESC LIMIT 1")
    await connection.close()
    assert record.model_row_id == latest
    assert record.older_completed == 1


@pytest.mark.parametrize(
    ("users", "models", "values"),
    [
        pytest.param("text", "text", "text", id="text and text"),
        pytest.param("uuid", "uuid", "uuid", id="uuid and uuid"),
        pytest.param("uuid", "text", "uuid", id="uuid and text"),
        pytest.param("text", "uuid", "uuid", id="text and uuid"),
        pytest.param("text", "varchar(40)", "text", id="text and varchar"),
        pytest.param("integer", "bigint", "bigint", id="integer and bigint"),
        pytest.param("bigint", "text", "bigint", id="bigint and text"),
    ],
)
async def test_users_are_joined_whatever_the_types_of_their_ids(
    database: str, users: str, models: str, values: str
) -> None:
    await execute(
        database,
        USERS,
        MODELS,
        f"ALTER TABLE users ALTER id TYPE {users} USING id::{users}",
        f"ALTER TABLE user_models ALTER user_id TYPE {models} USING user_id::{models}",
    )
    first, second = IDS[values]
    # As text, uuids are also seen in upper case.
    in_users, in_models = (
        (first.upper() if kind == "text" and values == "uuid" else first) for kind in (users, models)
    )
    await insert(database, "users", [{"id": in_users, "email": "a@x"}, {"id": second, "email": "b@x"}])
    await insert(database, "user_models", [model(user_id=in_models), model(user_id=second)])
    records, population = await read(database)
    assert [(record.user_id, record.email) for record in records] == [(in_users, "a@x"), (second, "b@x")]
    assert [record.shared_with for record in records] == [(second,), (in_users,)]
    assert (population.users_with_completed_model, population.models_without_user) == (2, 0)


async def test_columns_of_unexpected_types_are_read_as_text(tables: str) -> None:
    await execute(
        tables,
        "CREATE TYPE state AS ENUM ('completed', 'failed')",
        "CREATE DOMAIN model AS text",
        "ALTER TABLE user_models ALTER training_status TYPE state USING training_status::state",
        "ALTER TABLE user_models ALTER replicate_model_id TYPE model",
        "ALTER TABLE user_models ALTER failure_reason TYPE json USING failure_reason::json",
        "ALTER TABLE user_models ALTER lora_scale TYPE real",
        "ALTER TABLE user_models ALTER is_test TYPE text",
    )
    rows = [
        model(lora_scale="0.8"),
        model(is_test="yes"),
        model(is_test="no"),
        model(is_test="0", training_status="failed"),
    ]
    await insert(tables, "user_models", [row | {"failure_reason": ["TOK", None]} for row in rows])
    [record], population = await read(tables)
    assert json.loads(record.failure_reason or "") == ["TOK", None]
    assert (record.lora_scale, record.replicate_model_id) == ("0.9", "acme/anna")
    assert (record.model_row_id, record.older_completed, record.later_training_failed) == ("3", 1, True)
    assert (population.test_models_left_out, population.training_status) == (1, {"completed": 3, "failed": 1})


@pytest.mark.parametrize(
    "kind",
    [
        "text",
        "varchar(20)",
        "char(20)",
        "state",
        "word",
    ],
)
@pytest.mark.parametrize(
    ("status", "retraining", "failed"),
    [
        ("starting", True, False),
        ("Queued", True, False),
        (" running", True, False),
        ("aborted", False, True),
        ("CANCELED", False, True),
        ("archived", False, False),
    ],
)
async def test_words_of_states_are_found_whatever_the_column_s_type(
    tables: str, kind: str, status: str, *, retraining: bool, failed: bool
) -> None:
    await execute(
        tables,
        "CREATE TYPE state AS ENUM ('completed', 'starting', 'Queued', ' running', 'aborted', 'CANCELED', 'archived')",
        "CREATE DOMAIN word AS text",
        f"ALTER TABLE user_models ALTER training_status TYPE {kind} USING training_status::{kind}",
    )
    await insert(tables, "user_models", [model(), model(training_status=status, failure_reason="no face")])
    [record], population = await read(tables)
    assert (record.retraining_in_progress, record.later_training_failed) == (retraining, failed)
    assert record.later_failure_reason == ("no face" if failed else None)
    assert record.later_training_id == ("t1" if retraining or failed else None)
    assert PLAIN.unknown(population.training_status) == ({} if retraining or failed else {status: 1})


OF_USERS = (Column.EMAIL, Column.DISPLAY_NAME)
OPTIONAL = tuple(column for column in Column if column.lost and column is not Column.UPDATED_AT)


async def test_missing_optional_columns_are_read_as_null_and_told(tables: str) -> None:
    await execute(tables, *(f"ALTER TABLE user_models DROP {name}" for name in OPTIONAL if name not in OF_USERS))
    await execute(tables, *(f"ALTER TABLE users DROP {name}" for name in OF_USERS))
    await insert(tables, "user_models", [{k: v for k, v in model().items() if k not in OPTIONAL}])
    async with snapshot(
        parse_database_url(tables), order_by="updated_at", filters=Filters(), statement_timeout=9
    ) as taken:
        [record] = [record async for record in taken.records()]
        assert taken.missing_columns == OPTIONAL
    assert record.is_test is False
    assert {getattr(record, name) for name in OPTIONAL if hasattr(record, name) and name is not Column.IS_TEST} == {
        None
    }


async def test_display_name_of_the_models_table_serves_where_users_has_none(tables: str) -> None:
    await execute(tables, "ALTER TABLE users DROP display_name", "ALTER TABLE user_models ADD display_name text")
    await insert(tables, "user_models", [model(display_name="Anna B.")])
    async with snapshot(
        parse_database_url(tables), order_by="updated_at", filters=Filters(), statement_timeout=9
    ) as taken:
        assert [record.display_name async for record in taken.records()] == ["Anna B."]
        assert taken.missing_columns == ()


async def test_schema_of_the_url_is_where_the_tables_are_found(tables: str) -> None:
    await execute(
        tables,
        'CREATE SCHEMA "My shop"',
        'ALTER TABLE users SET SCHEMA "My shop"',
        'ALTER TABLE user_models SET SCHEMA "My shop"',
    )
    await insert(f"{tables}", '"My shop".user_models', [model()])
    records, _ = await read(f"{tables}&schema=My%20shop")
    assert [record.email for record in records] == ["anna@example.com"]


async def test_views_serve_as_tables(tables: str) -> None:
    await insert(tables, "user_models", [model()])
    await execute(
        tables,
        "ALTER TABLE user_models RENAME TO trainings",
        "CREATE VIEW user_models AS SELECT * FROM trainings",
        "ALTER TABLE users RENAME TO accounts",
        "CREATE MATERIALIZED VIEW users AS SELECT * FROM accounts",
    )
    records, _ = await read(tables)
    assert len(records) == 1


async def test_model_shared_by_many_names_the_first_few_and_counts_all(tables: str) -> None:
    names = [f"s{number}" for number in range(SHARED_SHOWN + 3)]
    await insert(tables, "users", [{"id": name, "email": f"{name}@x"} for name in names])
    await insert(
        tables,
        "user_models",
        [model(user_id=name, replicate_model_id=f" acme/one\v{' ' * i}") for i, name in enumerate(names)],
    )
    records, _ = await read(tables, filters=Filters(users=("s0", "s7@X"), limit=5))
    assert [record.user_id for record in records] == ["s0", "s7"]
    assert records[0].shared_with == ("s1", "s2", "s3", "s4", "s5")
    assert records[1].shared_with == ("s0", "s1", "s2", "s3", "s4")
    assert {record.shared_with_count for record in records} == {len(names) - 1}


async def test_order_is_by_code_point_with_null_emails_last(tables: str) -> None:
    people = [("u3", None), ("u2", None), ("a", "Zoe@x"), ("b", "anna@x"), ("c", "äa@x"), ("d", "\U0001f600@x")]
    await insert(tables, "users", [{"id": name, "email": email} for name, email in people])
    await insert(tables, "user_models", [model(user_id=name) for name, _ in people])
    records, _ = await read(tables)
    assert [record.user_id for record in records] == ["a", "b", "c", "d", "u2", "u3"]
    limited, population = await read(tables, filters=Filters(limit=2))
    assert limited == records[:2]
    assert population.users_with_completed_model == 6, "a limit narrows no count"


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        pytest.param(("ANNA@example.COM",), ["u1"], id="e-mail in any case"),
        pytest.param((" u2 ",), ["u2"], id="user id"),
        pytest.param(("ACME/b",), ["u2"], id="part of the model id in any case"),
        pytest.param(("acme",), ["u1", "u2"], id="shared part"),
        pytest.param(("u2", "anna@example.com"), ["u1", "u2"], id="several, in the report's order"),
        pytest.param(("100%_a",), ["u2"], id="wildcards are letters"),
    ],
)
async def test_users_are_found_by_email_id_or_part_of_the_model_id(
    tables: str, words: tuple[str, ...], ids: list[str]
) -> None:
    await insert(tables, "users", [{"id": "u2", "email": "bob@example.com"}])
    await insert(tables, "user_models", [model(), model(user_id="u2", replicate_model_id="acme/bob-100%_a")])
    records, _ = await read(tables, filters=Filters(users=words))
    assert [record.user_id for record in records] == ids


@pytest.mark.parametrize("word", ["anna", "U1", "%", "u9", "", "x' OR true --", "hidden"])
async def test_user_who_is_nobody_is_named(tables: str, word: str) -> None:
    hidden = model(replicate_model_id="acme/hidden", updated_at="2020-01-01T00:00:00Z")
    await insert(tables, "user_models", [model(replicate_model_id="acme/a-n-n-a"), hidden])
    with pytest.raises(SettingsError) as caught:
        await read(tables, filters=Filters(users=("u1", word)))
    assert str(caught.value) == f"--user {word!r} matches no user with a training that counts"


async def test_uuid_of_a_user_is_found_in_any_case(database: str) -> None:
    await execute(database, USERS, MODELS, "ALTER TABLE users ALTER id TYPE uuid USING id::uuid")
    person = IDS["uuid"][0]
    await insert(database, "users", [{"id": person, "email": None}])
    await insert(database, "user_models", [model(user_id=person)])
    records, _ = await read(database, filters=Filters(users=(person.upper(),)))
    assert len(records) == 1


async def test_hostile_text_comes_through_unchanged(tables: str) -> None:
    planes = "".join(chr(plane << 16 | 0x42) for plane in range(17))
    short = f"<script>alert(1)</script>\x1b[31m=1+1\r\n\t\"';--\u202e\u2028\x7f\x01{planes}"
    text = short + "x" * 100_000
    await insert(tables, "users", [{"id": "\x1b", "email": short, "display_name": text}])
    await insert(tables, "user_models", [model(user_id="\x1b", replicate_model_id=text, replicate_version_id=text)])
    [record], _ = await read(tables)
    assert record.replicate_model_id == record.replicate_version_id == record.display_name == text
    assert (record.user_id, record.email) == ("\x1b", short)


async def test_more_rows_than_one_batch_all_come_once_and_can_be_read_again(tables: str) -> None:
    many = 2 * _AT_ONCE
    await insert(tables, "users", [{"id": f"n{i:05}", "email": None} for i in range(many)])
    await insert(tables, "user_models", [model(user_id=f"n{i:05}") for i in range(many)])
    async with snapshot(
        parse_database_url(tables), order_by="updated_at", filters=Filters(), statement_timeout=20
    ) as taken:
        async for _ in taken.records():
            break
        seen = [record.user_id async for record in taken.records()]
    assert seen == [f"n{i:05}" for i in range(many)]


async def test_all_is_read_of_one_moment(tables: str) -> None:
    await insert(tables, "user_models", [model()])
    async with snapshot(
        parse_database_url(tables), order_by="updated_at", filters=Filters(), statement_timeout=20
    ) as taken:
        await execute(tables, "UPDATE user_models SET training_status = 'failed'", "DELETE FROM user_models")
        records = [record async for record in taken.records()]
    assert (len(records), taken.population.users_with_completed_model) == (1, 1)


async def test_transaction_can_only_read(tables: str) -> None:
    async with snapshot(
        parse_database_url(tables), order_by="updated_at", filters=Filters(), statement_timeout=20
    ) as taken:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await taken._connection.execute("DELETE FROM users")


class OwnError(OSError):
    """What a full disk under the run file would raise."""


async def test_errors_of_the_block_pass_unchanged_and_leave_no_connection(tables: str) -> None:
    with pytest.raises(OwnError):
        async with snapshot(parse_database_url(tables), order_by="updated_at", filters=Filters(), statement_timeout=20):
            raise OwnError


def hours_ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


WIPED = {"training_status": "training", "replicate_version_id": None, "completed_at": None, "created_at": "2024-01-01Z"}


@pytest.mark.parametrize(("hours", "old"), [(5, False), (7, True)])
async def test_without_started_at_a_row_is_as_old_as_the_latest_of_its_dates(
    tables: str, hours: float, *, old: bool
) -> None:
    await execute(tables, "ALTER TABLE user_models DROP COLUMN started_at")
    row = {key: value for key, value in model(**WIPED, updated_at=hours_ago(hours)).items() if key != "started_at"}
    await insert(tables, "user_models", [row])
    records, population = await read(tables)
    assert [(each.unfinished, each.began_at == each.updated_at) for each in records] == [(True, True)] * old
    assert (population.users_with_unfinished_training, population.users_with_unfinished_only) == (old, old)


@pytest.mark.parametrize(("stuck_after", "old"), [(6 * 3600, False), (3 * 3600, True), (0, True)])
async def test_how_long_a_row_may_be_in_progress_is_said(tables: str, stuck_after: float, *, old: bool) -> None:
    await insert(tables, "user_models", [model(**WIPED, updated_at=hours_ago(1), started_at=hours_ago(4))])
    async with snapshot(
        parse_database_url(tables),
        order_by="updated_at",
        filters=Filters(),
        statement_timeout=9,
        stuck_after=stuck_after,
    ) as taken:
        assert bool([record async for record in taken.records()]) is old


@pytest.mark.parametrize("date", ["infinity", "-infinity", "20000-01-01", None])
async def test_a_date_that_is_none_makes_no_row_young(tables: str, date: str | None) -> None:
    await insert(tables, "user_models", [model(**WIPED, updated_at=hours_ago(9), started_at=date)])
    [record] = (await read(tables))[0]
    assert record.began_at == record.updated_at


async def test_a_started_at_that_is_no_date_is_not_read_unless_somebody_says_that_it_is_one(tables: str) -> None:
    await execute(tables, "ALTER TABLE user_models ALTER COLUMN started_at TYPE text")
    await insert(tables, "user_models", [model(**WIPED, updated_at=hours_ago(9), started_at="yesterday")])
    [record] = (await read(tables))[0]
    assert (record.started_at, record.began_at) == (None, record.updated_at)
    mapped = replace(PLAIN, user_models=Table("user_models", (), (("started_at", "started_at"),)))
    with pytest.raises(DatabaseError, match=r"started_at is of type text, not a timestamp"):
        async with snapshot(
            dataclasses.replace(parse_database_url(tables), tables=mapped),
            order_by="updated_at",
            filters=Filters(),
            statement_timeout=9,
        ):
            pass


async def test_words_of_an_enum_are_read_like_texts(tables: str) -> None:
    await execute(
        tables,
        "CREATE TYPE state AS ENUM ('completed', 'PROCESSING', 'Failed')",
        "ALTER TABLE user_models ALTER COLUMN training_status TYPE state USING training_status::state",
    )
    stuck = WIPED | {"training_status": "PROCESSING"}
    failed = WIPED | {"training_status": "Failed", "user_id": "u2"}
    await insert(tables, "users", [{"id": "u2", "email": "b@example.com"}])
    await insert(tables, "user_models", [model(**stuck, updated_at=hours_ago(9)), model(**failed)])
    records, _ = await read(tables)
    assert [(record.user_id, record.training_status) for record in records] == [("u1", "PROCESSING"), ("u2", "Failed")]


async def test_a_test_row_is_no_unfinished_business_unless_tests_are_wanted(tables: str) -> None:
    await insert(tables, "user_models", [model(**WIPED, updated_at=hours_ago(9), is_test=True)])
    assert (await read(tables))[0] == []
    assert len((await read(tables, filters=Filters(include_tests=True)))[0]) == 1
