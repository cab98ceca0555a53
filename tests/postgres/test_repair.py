"""Rows of a real table changed where they still are what they were, and left alone, with the reason, where not."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from msgspec.structs import replace

from audit.errors import DatabaseError
from audit.model.repair import ChangeOutcome, ChangeState, Deed, RowUpdate
from audit.model.tables import Column
from audit.postgres.repair import Fate, Outcomes, repairer
from audit.postgres.update import ALREADY
from audit.postgres.url import parse_database_url
from tests.support.database_rows import ANNA, MODELS, USERS, execute, insert, model
from tests.support.postgres_servers import pgbouncer
from tests.support.report_hostile import HOSTILE

OLD, NEW = "f" * 64, "e" * 64
WEIGHTS, BETTER = "https://replicate.delivery/a.tar", "https://replicate.delivery/b.tar"
BOTH: tuple[Column, ...] = (Column.VERSION_ID, Column.LORA_WEIGHTS_URL)
NAMES = {"version": Column.VERSION_ID, "weights": Column.LORA_WEIGHTS_URL, "updated_at": Column.UPDATED_AT}


def edit(row_id: str = "1", *, judged: bool = False, **changes: Any) -> RowUpdate:
    """Of a row of `model()`; `old_...` is what has to be there, `new_...` what is to be, of version, weights, dates."""
    old = {"version": OLD, "weights": WEIGHTS, "updated_at": "2026-02-01T00:00:00Z"}
    new: dict[str, Any] = {"version": NEW}
    for name, value in changes.items():
        side, _, what = name.partition("_")
        (old if side == "old" else new)[what] = value
    return RowUpdate(
        model_row_id=row_id,
        guards={NAMES[name]: value for name, value in old.items()},
        sets={NAMES[name]: value for name, value in new.items()},
        judged=judged,
    )


def nothing(_: Mapping[str, Deed], __: Collection[str]) -> None:
    """Nobody has to be told."""


async def write(dsn: str, *edits: RowUpdate, columns: tuple[Column, ...] = BOTH) -> Outcomes:
    async with repairer(parse_database_url(dsn), statement_timeout=5, columns=columns) as table:
        return await table.write(edits, nothing)


def deed(became: Outcomes, row_id: str = "1") -> Deed:
    """What was done to a row."""
    state, outcome = became[row_id]
    assert state is ChangeState.DONE, outcome.why
    assert outcome.deed
    return outcome.deed


def undone(became: Outcomes, row_id: str = "1") -> RowUpdate:
    """What takes it back."""
    known = deed(became, row_id)
    return RowUpdate(model_row_id=row_id, guards=known.after or {}, sets=known.before, judged=False)


async def rows(dsn: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [dict(row) for row in await connection.fetch("SELECT * FROM user_models ORDER BY id")]
    finally:
        await connection.close()


async def refusal(dsn: str, *columns: Column) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught:
        async with repairer(parse_database_url(dsn), statement_timeout=5, columns=columns or BOTH):
            pass
    return caught.value


def whys(became: Outcomes) -> dict[str, str | None]:
    assert all(state is ChangeState.SKIPPED for state, _ in became.values())
    return {row_id: outcome.why for row_id, (_, outcome) in became.items()}


@pytest.fixture
async def anna(tables: str) -> str:
    """One completed row of Anna's, with id 1."""
    await insert(tables, "user_models", [model(id=1)])
    return tables


async def test_a_row_that_is_as_it_was_gets_the_version_and_nothing_else(anna: str) -> None:
    [before] = await rows(anna)
    became = await write(anna, edit())
    assert deed(became).before == {Column.VERSION_ID: OLD}
    assert (deed(became).after or {})[Column.UPDATED_AT] == "2026-02-01T00:00:00Z"
    assert await rows(anna) == [before | {"replicate_version_id": NEW}]


async def test_weights_are_set_where_they_are_replaced(anna: str) -> None:
    await insert(anna, "user_models", [model(id=2)])
    await write(anna, edit("1", new_weights=BETTER), edit("2"))
    assert [row["lora_weights_url"] for row in await rows(anna)] == [BETTER, WEIGHTS]
    assert [row["replicate_version_id"] for row in await rows(anna)] == [NEW, NEW]


async def test_updated_at_is_set_to_the_time_that_is_given_and_put_back(anna: str) -> None:
    before = await rows(anna)
    touched = "2026-03-05T10:00:00.123456Z"
    columns: tuple[Column, ...] = (*BOTH, Column.UPDATED_AT)
    became = await write(anna, edit(new_updated_at=touched), columns=columns)
    assert (deed(became).after or {})[Column.UPDATED_AT] == touched
    await write(anna, undone(became), columns=columns)
    assert await rows(anna) == before


EDITS = {
    "version": ("replicate_version_id = 'x'", "replicate_version_id is x now"),
    "version null": ("replicate_version_id = NULL", "replicate_version_id is null now"),
    "version blank": ("replicate_version_id = ''", "replicate_version_id is '' now"),
    "version the same": (f"replicate_version_id = '{NEW}'", ALREADY),
    "weights": ("lora_weights_url = E'a\\nb'", "lora_weights_url is a\\nb now"),
    "weights null": ("lora_weights_url = NULL", "lora_weights_url is null now"),
    "another column": (
        "trigger_word = 'X', updated_at = '2026-02-02'",
        "edited since: updated_at is 2026-02-02T00:00:00Z now, and was 2026-02-01T00:00:00Z",
    ),
    "updated_at infinity": (
        "updated_at = 'infinity'",
        "edited since: updated_at is null now, and was 2026-02-01T00:00:00Z",
    ),
    "status": ("training_status = 'training'", "training_status is training now"),
}


@pytest.mark.parametrize(("change", "why"), EDITS.values(), ids=EDITS)
async def test_a_row_that_somebody_has_edited_is_left_alone_and_says_how(anna: str, change: str, why: str) -> None:
    await execute(anna, f"SET TIME ZONE 'UTC'; UPDATE user_models SET {change}")
    before = await rows(anna)
    assert whys(await write(anna, edit())) == {"1": why}
    assert await rows(anna) == before


async def test_a_row_that_is_gone_is_said_to_be(anna: str) -> None:
    await execute(anna, "DELETE FROM user_models")
    assert whys(await write(anna, edit())) == {"1": "the row is gone"}


async def test_a_locked_row_is_skipped_and_the_others_are_done(anna: str) -> None:
    await insert(anna, "user_models", [model(id=2)])
    other = await asyncpg.connect(anna)
    try:
        await other.execute("BEGIN; UPDATE user_models SET trigger_word = 'MINE' WHERE id = 1")
        async with asyncio.timeout(2):
            became = await write(anna, edit("1"), edit("2"))
        assert became["1"] == (ChangeState.SKIPPED, ChangeOutcome(why="the row is locked"))
        assert became["2"][0] is ChangeState.DONE
        await other.execute("COMMIT")
    finally:
        await other.close()
    assert [row["trigger_word"] for row in await rows(anna)] == ["MINE", "TOK"]


async def test_no_updated_at_is_a_value_like_any_other(tables: str) -> None:
    empty = {"replicate_version_id": None, "lora_weights_url": None, "updated_at": None}
    await insert(tables, "user_models", [model(id=1, **empty)])
    became = await write(tables, edit(old_version=None, old_weights=None, old_updated_at=None, new_weights=BETTER))
    assert (deed(became).after or {})[Column.UPDATED_AT] is None
    await write(tables, undone(became))
    [row] = await rows(tables)
    assert (row["replicate_version_id"], row["lora_weights_url"]) == (None, None)


@pytest.mark.parametrize("date", ["infinity", "-infinity", "0044-03-15 BC"])
async def test_a_date_that_iso_lacks_is_touched_and_put_back_as_it_was(anna: str, date: str) -> None:
    await execute(anna, f"UPDATE user_models SET updated_at = '{date}'")
    columns: tuple[Column, ...] = (*BOTH, Column.UPDATED_AT)
    touched = edit(old_updated_at=None, new_updated_at="2026-03-05T10:00:00Z")
    became = await write(anna, touched, columns=columns)
    await write(anna, undone(became), columns=columns)
    connection = await asyncpg.connect(anna)
    try:
        assert await connection.fetchval(f"SELECT updated_at = '{date}' FROM user_models")
    finally:
        await connection.close()


async def test_hostile_text_stays_text(tables: str) -> None:
    texts = [text for text in (*HOSTILE, "'; DROP TABLE users; --", '{"a",NULL}', "\\") if "\x00" not in text]
    await insert(
        tables, "user_models", [model(id=i, replicate_version_id=t, lora_weights_url=t) for i, t in enumerate(texts)]
    )
    edits = [
        edit(str(i), old_version=t, new_version=t + "'", old_weights=t, new_weights=f'"{t}')
        for i, t in enumerate(texts)
    ]
    became = await write(tables, *edits)
    assert {state for state, _ in became.values()} == {ChangeState.DONE}
    assert [(row["replicate_version_id"], row["lora_weights_url"]) for row in await rows(tables)] == [
        (t + "'", f'"{t}') for t in texts
    ]


KINDS = {
    "serial": ("serial", "1", "timestamptz"),
    "bigint": ("bigint", "9007199254740993", "timestamp"),
    "uuid": ("uuid", "0b0a7ef0-5c3c-4a8e-9d6f-111111111111", "timestamptz(3)"),
    "text": ("text", "row 'one'", "date"),
    "varchar": ("varchar(40)", "Row-1", "timestamp"),
    "numeric": ("numeric", "12", "timestamptz"),
}


@pytest.mark.parametrize(("kind", "row_id", "date"), KINDS.values(), ids=KINDS)
async def test_ids_and_dates_of_any_type_serve(database: str, kind: str, row_id: str, date: str) -> None:
    table = MODELS.replace("integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY", f"{kind} PRIMARY KEY")
    await execute(database, USERS, table.replace("updated_at timestamptz", f"updated_at {date}"))
    await insert(database, "users", [ANNA])
    await insert(database, "user_models", [model(id=row_id)])
    became = await write(database, edit(row_id))
    await write(database, undone(became, row_id))
    assert [row["replicate_version_id"] for row in await rows(database)] == [OLD]


@pytest.mark.parametrize(("judged", "scans"), [(False, 0), (True, 1)])
async def test_the_primary_key_serves_and_models_are_looked_for_once_a_batch(
    tables: str,
    judged: bool,  # noqa: FBT001 - given by the parameters
    scans: int,
) -> None:
    await insert(tables, "users", [{"id": f"p{i}", "email": None} for i in range(1, 3001)])
    several = [model(id=i, user_id=f"p{i}", replicate_model_id=f"acme/m{i}") for i in range(1, 3001)]
    await insert(tables, "user_models", several)
    await execute(tables, "CREATE INDEX ON user_models (user_id); ANALYZE")
    connection = await asyncpg.connect(tables)
    try:
        await connection.execute("SELECT pg_stat_reset()")
        became = await write(tables, *(edit(str(i), judged=judged) for i in range(1, 101)))
        assert {state for state, _ in became.values()} == {ChangeState.DONE}
        await connection.execute("SELECT pg_stat_clear_snapshot(), pg_sleep(0.1)")
        found = await connection.fetchval("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'user_models'")
    finally:
        await connection.close()
    assert found == scans


async def test_a_table_without_a_weights_column_can_be_repaired(tables: str) -> None:
    await execute(tables, "ALTER TABLE user_models DROP COLUMN lora_weights_url")
    row = model(id=1)
    del row["lora_weights_url"]
    await insert(tables, "user_models", [row])
    update = edit()
    del update.guards[Column.LORA_WEIGHTS_URL]
    became = await write(tables, update)
    await write(tables, undone(became))
    assert [row["replicate_version_id"] for row in await rows(tables)] == [OLD]


async def test_a_trigger_that_dates_rows_is_let_be_and_its_date_is_known(anna: str) -> None:
    await execute(anna, DATING)
    became = await write(anna, edit())
    dated = (deed(became).after or {})[Column.UPDATED_AT]
    assert dated is not None
    assert dated > "2026-03"
    assert deed(await write(anna, undone(became))).after


DATING = """
CREATE FUNCTION dated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.updated_at = clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER dated BEFORE UPDATE ON user_models FOR EACH ROW EXECUTE FUNCTION dated();
"""
MEDDLING = """
CREATE FUNCTION meddling() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does} END $$;
CREATE TRIGGER meddling BEFORE UPDATE ON user_models FOR EACH ROW EXECUTE FUNCTION meddling();
"""


AFTERWARDS = "UPDATE user_models SET replicate_version_id = 'mine' WHERE id = NEW.id; RETURN NULL;"
DELETING = "DELETE FROM user_models WHERE id = NEW.id; RETURN NULL;"


async def test_a_row_that_a_trigger_refuses_has_failed_and_the_others_are_done(anna: str) -> None:
    does = "IF OLD.id = 1 THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW;"
    await insert(anna, "user_models", [model(id=2)])
    await execute(anna, MEDDLING.format(does=does))
    became = await write(anna, edit("1"), edit("2"))
    assert became["1"][0] is ChangeState.FAILED
    assert "not this one" in (became["1"][1].why or "")
    assert became["2"][0] is ChangeState.DONE


async def test_a_version_too_long_for_its_column_has_failed(anna: str) -> None:
    await execute(anna, "ALTER TABLE user_models ALTER replicate_version_id TYPE varchar(64)")
    became = await write(anna, edit(new_version=f"acme/anna:{NEW}"))
    assert became["1"][0] is ChangeState.FAILED
    assert "too long" in (became["1"][1].why or "")


async def test_a_row_that_a_trigger_leaves_as_it_was_is_skipped(anna: str) -> None:
    await execute(anna, MEDDLING.format(does="RETURN NULL;"))
    assert whys(await write(anna, edit())) == {"1": "the database left it as it was (a trigger or a rule?)"}


@pytest.mark.parametrize(
    ("does", "when"),
    [
        ("NEW.replicate_version_id = 'mine'; RETURN NEW;", "BEFORE UPDATE"),
        ("NEW.training_status = 'stale'; RETURN NEW;", "BEFORE UPDATE"),
        (AFTERWARDS, "AFTER UPDATE"),
        (DELETING, "AFTER UPDATE"),
    ],
)
async def test_a_row_of_which_a_trigger_makes_something_else_has_failed_and_the_others_are_done(
    anna: str, does: str, when: str
) -> None:
    await insert(anna, "user_models", [model(id=2)])
    [before, _] = await rows(anna)
    only_one = f"{when} ON user_models FOR EACH ROW WHEN (OLD.id = 1 AND pg_trigger_depth() = 0)"
    await execute(anna, MEDDLING.format(does=does).replace("BEFORE UPDATE ON user_models FOR EACH ROW", only_one))
    became = await write(anna, edit("1"), edit("2"))
    assert became["1"][0] is ChangeState.FAILED
    assert "(a trigger or a rule?)" in (became["1"][1].why or "")
    assert (await rows(anna))[0] == before
    assert became["2"][0] is ChangeState.DONE


async def test_a_deferred_trigger_counts_too(anna: str) -> None:
    does = MEDDLING.format(does=AFTERWARDS).replace("CREATE TRIGGER", "CREATE CONSTRAINT TRIGGER")
    deferred = "AFTER UPDATE ON user_models DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (pg_trigger_depth() = 0)"
    await execute(anna, does.replace("BEFORE UPDATE ON user_models FOR EACH ROW", deferred))
    before = await rows(anna)
    assert (await write(anna, edit()))["1"][0] is ChangeState.FAILED
    assert await rows(anna) == before


async def test_a_view_whose_trigger_does_something_else_has_changed_nothing(database: str) -> None:
    await execute(database, USERS, MODELS.replace("TABLE user_models", "TABLE models"))
    await execute(database, "CREATE VIEW user_models AS SELECT * FROM models")
    await execute(database, MEDDLING.format(does="RETURN NEW;").replace("BEFORE UPDATE", "INSTEAD OF UPDATE"))
    await insert(database, "models", [model(id=1)])
    became = await write(database, edit())
    assert became["1"][0] is ChangeState.FAILED


async def test_ids_that_several_rows_have_end_the_repair_with_nothing_changed(database: str) -> None:
    table = MODELS.replace("integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY", "integer")
    await execute(database, USERS, table)
    await insert(database, "user_models", [model(id=1), model(id=1)])
    before = await rows(database)
    with pytest.raises(DatabaseError, match="several rows have the same id"):
        await write(database, edit())
    assert await rows(database) == before


async def reader(dsn: str) -> str:
    """The DSN of a role called "the reader", which may read and no more."""
    await execute(dsn, 'CREATE ROLE "the reader" LOGIN; GRANT SELECT ON users, user_models TO "the reader"')
    return urlsplit(dsn)._replace(netloc="the%20reader@").geturl()


async def test_a_role_that_may_not_update_is_told_the_very_grant(anna: str) -> None:
    dsn = await reader(anna)
    error = await refusal(dsn)
    assert 'does not let the role "the reader" change user_models (replicate_version_id, lora_weights_url)' in str(
        error
    )
    grant = 'GRANT UPDATE (replicate_version_id, lora_weights_url) ON user_models TO "the reader";'
    assert grant in error.next_step
    await execute(anna, grant)
    assert (await write(dsn, edit()))["1"][0] is ChangeState.DONE, "and that is all it takes"
    error = await refusal(dsn, Column.VERSION_ID, Column.UPDATED_AT)
    assert "GRANT UPDATE (updated_at)" in error.next_step
    await execute(anna, 'DROP OWNED BY "the reader"; DROP ROLE "the reader"')


async def test_a_database_that_is_read_only_is_told(anna: str) -> None:
    await execute(anna, f"ALTER DATABASE {urlsplit(anna).path[1:]} SET default_transaction_read_only = on")
    error = await refusal(anna)
    assert "takes no changes: default_transaction_read_only is on" in str(error)


async def test_a_view_that_takes_no_changes_is_told(database: str) -> None:
    await execute(database, USERS, MODELS.replace("TABLE user_models", "TABLE models"))
    await execute(database, "CREATE VIEW user_models AS SELECT DISTINCT * FROM models")
    assert "is a view or table that takes no changes" in str(await refusal(database))


async def test_a_simple_view_is_as_good_as_a_table(database: str) -> None:
    await execute(database, USERS, MODELS.replace("TABLE user_models", "TABLE models"))
    await execute(database, "CREATE VIEW user_models AS SELECT * FROM models")
    await insert(database, "models", [model(id=1)])
    assert (await write(database, edit()))["1"][0] is ChangeState.DONE


async def test_a_connection_lost_between_two_batches_is_made_anew(anna: str) -> None:
    await insert(anna, "user_models", [model(id=2)])
    async with repairer(parse_database_url(anna), statement_timeout=5, columns=BOTH) as table:
        await table.write([edit("1")], nothing)
        await execute(anna, END_OTHERS)
        await asyncio.sleep(0.05)
        assert (await table.write([edit("2")], nothing))["2"][0] is ChangeState.DONE


END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name IN ('sync-audit', '') AND pid <> pg_backend_pid()
"""


async def test_a_pooler_in_transaction_mode_may_stand_in_between(anna: str, postgres_server: str) -> None:
    with pgbouncer(postgres_server, tls="disable") as bouncer:
        url = bouncer.url(urlsplit(anna).path[1:], "pgbouncer=true")
        await insert(anna, "user_models", [model(id=i) for i in range(2, 7)])
        became = await asyncio.gather(*(write(url, edit(str(i))) for i in range(1, 7)))
        assert [state for each in became for state, _ in each.values()] == [ChangeState.DONE] * 6


async def test_two_repairs_at_once_change_each_row_once(tables: str) -> None:
    await insert(tables, "user_models", [model(id=i) for i in range(1, 101)])
    edits = [edit(str(i)) for i in range(1, 101)]
    first, second = await asyncio.gather(write(tables, *edits), write(tables, *edits))
    for row_id in first:
        assert {first[row_id][0], second[row_id][0]} == {ChangeState.DONE, ChangeState.SKIPPED}


CHANGED_SINCE = {
    "corrected model id": ("replicate_model_id = 'acme/anna2'", "replicate_model_id is acme/anna2 now"),
    "another user": ("user_id = 'u2'", "user_id is u2 now"),
    "test row": ("is_test = true", "is_test is true now"),
    "another training": ("training_id = 't2'", "training_id is t2 now"),
    "completed later": ("completed_at = '2026-03-02'", "completed_at is 2026-03-02T00:00:00Z now"),
    "created otherwise": ("created_at = NULL", "created_at is null now"),
}


def decided() -> RowUpdate:
    """An update of Anna's row that rests on all that an audit reads of it."""
    guards: dict[Column, str | None] = {
        Column.USER_ID: "u1",
        Column.IS_TEST: "false",
        Column.TRAINING_STATUS: "completed",
        Column.MODEL_ID: "acme/anna",
        Column.TRAINING_ID: "t1",
        Column.COMPLETED_AT: "2026-03-01T00:00:00.250000Z",
        Column.CREATED_AT: "2026-01-01T00:00:00Z",
    }
    update = edit(judged=True)
    return RowUpdate(model_row_id="1", guards=guards | update.guards, sets=update.sets)


async def test_a_row_that_is_all_that_the_audit_saw_is_changed(anna: str) -> None:
    assert deed(await write(anna, decided())).before == {Column.VERSION_ID: OLD}


@pytest.mark.parametrize(("change", "why"), CHANGED_SINCE.values(), ids=CHANGED_SINCE)
async def test_a_row_of_which_the_decision_does_not_hold_any_more_is_left_alone(
    anna: str, change: str, why: str
) -> None:
    await insert(anna, "users", [{"id": "u2", "email": None, "display_name": None}])
    await execute(anna, f"SET TIME ZONE 'UTC'; UPDATE user_models SET {change}")
    before = await rows(anna)
    assert whys(await write(anna, decided())) == {"1": why}
    assert await rows(anna) == before


OTHER_ROWS = {
    "newer completed": (
        {"id": 2, "updated_at": "2026-02-02T00:00:00Z"},
        "it no longer is the row that counts for its user",
    ),
    "retraining": (
        {"id": 2, "training_status": "processing", "created_at": "2026-04-01T00:00:00Z", "completed_at": None},
        "a newer training of its user is in progress",
    ),
    "same model": (
        {"id": 2, "user_id": "u2", "replicate_model_id": "acme/anna"},
        "another user has the same model now",
    ),
    "same model in other letters": (
        {"id": 2, "user_id": "u2", "replicate_model_id": " ACME/Anna "},
        "another user has the same model now",
    ),
}


@pytest.mark.parametrize(("row", "why"), OTHER_ROWS.values(), ids=OTHER_ROWS)
async def test_a_row_to_which_other_rows_have_come_is_left_alone(anna: str, row: dict[str, Any], why: str) -> None:
    await insert(anna, "users", [{"id": "u2", "email": None, "display_name": None}])
    await insert(anna, "user_models", [model(**row)])
    before = await rows(anna)
    assert whys(await write(anna, decided())) == {"1": why}
    assert await rows(anna) == before


@pytest.mark.parametrize("row", [row for row, _ in OTHER_ROWS.values()], ids=OTHER_ROWS)
async def test_undoing_asks_nothing_of_other_rows(anna: str, row: dict[str, Any]) -> None:
    await insert(anna, "users", [{"id": "u2", "email": None, "display_name": None}])
    became = await write(anna, decided())
    await insert(anna, "user_models", [model(**row)])
    assert deed(await write(anna, undone(became))).after
    assert (await rows(anna))[0]["replicate_version_id"] == OLD


async def test_what_is_announced_first_is_undone_by_nobody_and_then_what_stands(anna: str) -> None:
    told: list[tuple[Mapping[str, Deed], Collection[str]]] = []
    async with repairer(parse_database_url(anna), statement_timeout=5, columns=BOTH) as table:
        became = await table.write([edit()], lambda *deeds: told.append(deeds))
    (first, _), (second, left) = told
    assert not left
    assert first["1"].after is None
    assert second["1"] == deed(became)
    assert first["1"].txid == second["1"].txid


def elsewhere(one: Deed) -> Deed:
    """The same by a server from which the database has moved."""
    return replace(one, moved_from="db.example.com:5432/shop")


async def test_the_server_knows_what_became_of_a_transaction(anna: str) -> None:
    await insert(anna, "user_models", [model(id=2), model(id=3)])
    other = await asyncpg.connect(anna)
    try:
        async with repairer(parse_database_url(anna), statement_timeout=5, columns=BOTH) as table:
            became = await table.write([edit("1")], nothing)
            after: dict[Column, str | None] = {Column.VERSION_ID: NEW}
            await other.execute("BEGIN; UPDATE user_models SET trigger_word = 'X' WHERE id = 2")
            open_one = str(await other.fetchval("SELECT txid_current()"))
            deeds = {
                "1": deed(became),
                "2": Deed(txid=open_one, before={}, after=after),
                "3": Deed(txid="999999999999", before={}, after=after),
            }
            assert await table.fates(deeds) == {
                "1": Fate.DONE,
                "2": Fate.UNKNOWN,
                "3": Fate.UNKNOWN,
            }
            await other.execute("ROLLBACK")
            assert (await table.fates(deeds))["2"] is Fate.NOT_DONE
            assert await table.fates({row_id: elsewhere(each) for row_id, each in deeds.items()}) == {
                "1": Fate.DONE,
                "2": Fate.UNKNOWN,
                "3": Fate.UNKNOWN,
            }
    finally:
        await other.close()


async def test_a_role_that_may_read_only_columns_repairs_and_knows_less_of_lost_transactions(anna: str) -> None:
    columns = ", ".join(model())
    await execute(
        anna,
        "CREATE ROLE narrow LOGIN",
        f"GRANT SELECT (id, {columns}) ON user_models TO narrow; GRANT SELECT ON users TO narrow",
        "GRANT UPDATE (replicate_version_id, lora_weights_url) ON user_models TO narrow",
    )
    dsn = urlsplit(anna)._replace(netloc="narrow@").geturl()
    try:
        async with repairer(parse_database_url(dsn), statement_timeout=5, columns=BOTH) as table:
            done = deed(await table.write([decided()], nothing))
            assert await table.fates({"1": done}) == {"1": Fate.DONE}
            assert await table.fates({"1": elsewhere(done)}) == {"1": Fate.UNKNOWN}
    finally:
        await execute(anna, "DROP OWNED BY narrow; DROP ROLE narrow")


STATES = {
    "40P01": ("ended a deadlock", "Nothing of this batch was changed"),
    "40001": ("because somebody else", "Nothing of this batch was changed"),
    "42501": ("does not let this role do what the change needs", "SECURITY DEFINER"),
    "42703": ("refuses a change", "trigger"),
    "53100": ("has run out of", "Nothing of this batch was changed"),
    "55P03": ("has locked", "Nothing of this batch was changed"),
    "57014": ("ended a change", "Nothing of this batch was changed"),
    "25006": ("is read-only", "Nothing of this batch was changed"),
}


@pytest.mark.parametrize("state", STATES)
async def test_what_ends_a_batch_is_said_of_a_change_and_with_what_became_of_it(anna: str, state: str) -> None:
    await execute(anna, MEDDLING.format(does=rf"RAISE EXCEPTION E'not \x1b[31mnow' USING ERRCODE = '{state}';"))
    with pytest.raises(DatabaseError) as caught:
        await write(anna, edit())
    words, step = STATES[state]
    assert words in str(caught.value)
    assert r"not \x1b[31mnow" in str(caught.value)
    assert step in caught.value.next_step
    assert "GRANT SELECT" not in caught.value.next_step
    assert (await rows(anna))[0]["replicate_version_id"] != NEW


@pytest.mark.parametrize("state", ["23505", "23503", "23514", "23502", "22001", "P0001", "44000"])
async def test_what_stands_against_one_row_fails_that_row_in_words_of_a_change(anna: str, state: str) -> None:
    await execute(anna, MEDDLING.format(does=f"RAISE EXCEPTION 'not this' USING ERRCODE = '{state}';"))
    became = await write(anna, edit())
    assert became["1"][0] is ChangeState.FAILED
    assert "refuses a change: not this" in (became["1"][1].why or "")
