"""`doctor` on real servers, whole and broken."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audit.commands.doctor.checks import CheckResult, CheckState, Diagnosis
from audit.commands.doctor.examine import examine
from audit.commands.doctor.settings import DoctorSettings, doctor_settings
from audit.demo.database import INDEX
from audit.demo.fake_replicate.server import TOKEN
from audit.demo.fake_replicate.world import Model
from audit.model.exit_status import COULD_NOT_RUN, DOCTOR, ExitStatus
from audit.model.replies import Version
from tests.support import fake_replicate_fixtures
from tests.support.audits import Ended, Servers, Shell
from tests.support.command_lines import context, environment
from tests.support.database_rows import ANNA, MODELS, USERS, execute, insert, model
from tests.support.fake_replicate_fixtures import OWNER, Serve
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate, Rate, ServerTime
from tests.support.postgres_servers import PASSWORD, Bouncer, pgbouncer

serve = fake_replicate_fixtures.serve
FACE = Model(owner=OWNER, name="face", versions=(Version("f" * 64, "2026-02-01T00:00:00Z"),))
STRANGERS = Model(owner="somebody-else", name="face")


@pytest.fixture(scope="module")
def bouncer(postgres_server: str) -> Iterator[Bouncer]:
    with pgbouncer(postgres_server, tls="allow") as running:
        yield running


@pytest.fixture
async def tidy(database: str) -> str:
    """A database in which nothing is amiss: one user, one model, an index, and a role that may only read."""
    face = model(replicate_model_id=f"{OWNER}/face")
    await execute(database, USERS, MODELS, INDEX)
    await insert(database, "users", [ANNA])
    await insert(database, "user_models", [face])
    await execute(
        database,
        "DO $$ BEGIN CREATE ROLE doctors_reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "GRANT SELECT ON users, user_models TO doctors_reader",
    )
    return database.replace("postgresql://postgres@", "postgresql://doctors_reader@")


def doctors(environ: dict[str, str], *arguments: str) -> DoctorSettings:
    with environment(environ):
        return doctor_settings(context("doctor", *arguments, environ=environ))


async def diagnose(dsn: str | None, fake: InstrumentedReplicate | None, clock: Any = None, **environ: str) -> Diagnosis:
    """What the doctor says of these servers."""
    variables = {"SYNC_AUDIT_TIMEOUT": "2"} | environ
    if dsn:
        variables.setdefault("DATABASE_URL", dsn)
    if fake:
        variables.setdefault("REPLICATE_BASE_URL", fake.base_url)
        variables.setdefault("REPLICATE_API_TOKEN", TOKEN)
    settings = doctors(variables)
    diagnosis = await (examine(settings, clock) if clock else examine(settings))
    for secret in (TOKEN, PASSWORD, "wrong-secret"):
        assert secret not in repr(diagnosis)
    for result in diagnosis.results:
        assert result.figure.isprintable()
        assert bool(result.next_step) is (result.state in {CheckState.WARN, CheckState.FAIL}), (
            f"what to do about {result.name}?"
        )
    return diagnosis


def check(diagnosis: Diagnosis, name: str) -> CheckResult:
    """The one check of this name."""
    (result,) = [each for each in diagnosis.results if each.name == name]
    return result


def not_ok(diagnosis: Diagnosis) -> dict[str, str]:
    return {each.name: each.state.value for each in diagnosis.results if each.state is not CheckState.OK}


async def test_where_nothing_is_amiss_every_check_is_ok(tidy: str, serve: Serve) -> None:
    diagnosis = await diagnose(tidy, await serve(FACE))
    assert not_ok(diagnosis) == {}
    assert diagnosis.exit_status is DOCTOR[0]
    assert check(diagnosis, "population").figure == "1 of 1 users have a completed model"
    assert check(diagnosis, "token").figure == f"valid, and belongs to {OWNER} (organization)"
    assert check(diagnosis, "model").data["reason"] == "latest_version"
    assert check(diagnosis, "rate_left").data["remaining"] == 2999
    assert "TLS" not in check(diagnosis, "database_tls").figure
    assert "can only read" in check(diagnosis, "database_role").figure


async def test_the_demos_users_have_what_the_doctor_warns_of(servers: Servers) -> None:
    diagnosis = await diagnose(servers.dsn, servers.fake)
    assert not_ok(diagnosis) == dict.fromkeys(("database_role", "training_status", "model_ids", "owners"), "warn")
    assert str(diagnosis.exit_status) == "an audit can run, with 4 warnings (exit 3)"
    assert check(diagnosis, "training_status").data["near_misses"] == {"Completed": 1, "succeeded": 1}
    assert check(diagnosis, "model_ids").data == {"null": 1, "blank": 1, "malformed": 5}
    assert check(diagnosis, "test_rows").data["test_models_left_out"] == 2
    assert check(diagnosis, "owners").data["account_users"] == 65
    assert check(diagnosis, "duration").data["models"] == 68


async def test_a_wrong_password_is_named_and_replicate_is_asked_all_the_same(bouncer: Bouncer, serve: Serve) -> None:
    diagnosis = await diagnose(bouncer.url("postgres", password="wrong-secret"), await serve(FACE))
    reached = check(diagnosis, "database_reachable")
    assert reached.state is CheckState.FAIL
    assert "refuses user or password" in reached.figure
    assert check(diagnosis, "token").state is CheckState.OK
    assert check(diagnosis, "population").state is CheckState.SKIP
    assert diagnosis.exit_status.code == COULD_NOT_RUN


async def test_a_pooler_is_recognised(bouncer: Bouncer, serve: Serve) -> None:
    diagnosis = await diagnose(bouncer.url("postgres"), await serve(FACE))
    assert check(diagnosis, "database_pooler").data["pooled"] is True
    assert check(diagnosis, "database_reachable").state is CheckState.OK


@pytest.mark.parametrize(("mode", "tls"), [("require", "TLSv1.3"), ("disable", None)])
async def test_encryption_is_that_of_our_own_connection(bouncer: Bouncer, mode: str, tls: str | None) -> None:
    diagnosis = await diagnose(bouncer.url("postgres", f"sslmode={mode}"), None)
    assert check(diagnosis, "database_tls").data == {"tls": tls, "local": True}


async def test_missing_tables_fail_and_what_builds_on_them_is_skipped(database: str, serve: Serve) -> None:
    diagnosis = await diagnose(database, await serve(FACE))
    assert check(diagnosis, "tables").state is CheckState.FAIL
    assert "no table users" in check(diagnosis, "tables").figure
    assert {check(diagnosis, name).state for name in ("optional_columns", "population", "model")} == {CheckState.SKIP}
    assert check(diagnosis, "token").state is CheckState.OK
    assert diagnosis.exit_status.code == COULD_NOT_RUN


async def test_empty_tables_say_why_nobody_shows_up(database: str, serve: Serve) -> None:
    await execute(database, USERS, MODELS)
    diagnosis = await diagnose(database, await serve(FACE))
    assert check(diagnosis, "population").state is CheckState.FAIL
    assert check(diagnosis, "population").figure == "users is empty"
    assert "empty copy" in check(diagnosis, "population").next_step
    await insert(database, "users", [ANNA])
    assert check(await diagnose(database, None), "population").figure == "1 users, and user_models is empty"


async def test_nobody_with_a_completed_model_is_a_failure_that_names_the_near_miss(tables: str) -> None:
    await insert(tables, "user_models", [model(training_status="Completed")])
    diagnosis = await diagnose(tables, None)
    assert check(diagnosis, "population").state is CheckState.FAIL
    assert "'completed', exactly that word" in check(diagnosis, "population").next_step
    assert check(diagnosis, "training_status").state is CheckState.WARN
    assert "Completed" in check(diagnosis, "training_status").next_step


async def test_tables_without_a_place_for_versions_have_nothing_to_audit(tables: str, serve: Serve) -> None:
    await insert(tables, "user_models", [model()])
    await execute(tables, "ALTER TABLE user_models DROP replicate_version_id")
    population = check(await diagnose(tables, await serve(FACE)), "population")
    assert population.state is CheckState.FAIL
    assert "nothing to audit" in population.figure
    assert "the product runs whichever is the latest" in population.figure


async def test_a_user_who_is_there_twice_is_named_before_an_audit_meets_it(tables: str, serve: Serve) -> None:
    await insert(tables, "user_models", [model()])
    await execute(tables, "ALTER TABLE users DROP CONSTRAINT users_pkey, DROP CONSTRAINT users_email_key")
    await insert(tables, "users", [ANNA])
    population = check(await diagnose(tables, await serve(FACE)), "population")
    assert population.state is CheckState.FAIL
    assert "table users has the id u1 2 times" in population.figure


async def test_bare_names_are_said_to_want_their_owner_who_is_the_accounts(tables: str, serve: Serve) -> None:
    await insert(tables, "user_models", [model(replicate_model_id="face")])
    diagnosis = await diagnose(tables, await serve(FACE))
    assert f'[database] owner = "{OWNER}"' in check(diagnosis, "model_ids").next_step


async def test_without_a_table_of_users_the_doctor_counts_those_whom_rows_name(tables: str, serve: Serve) -> None:
    await insert(tables, "user_models", [model(replicate_model_id=f"{OWNER}/face"), model(user_id="u2")])
    await execute(tables, "DROP TABLE users")
    diagnosis = await diagnose(tables, await serve(FACE))
    assert check(diagnosis, "tables").figure.startswith("user_models found, without a table of users, with")
    assert check(diagnosis, "population").figure == "2 of 2 users have a completed model"
    assert "email" in check(diagnosis, "optional_columns").data["missing"]


async def test_words_that_mean_nothing_are_named(tables: str) -> None:
    rows = [model(training_status=status) for status in ("completed", "Starting", "archived", "Completed", None)]
    await insert(tables, "user_models", rows)
    statuses = check(await diagnose(tables, None), "training_status")
    assert statuses.state is CheckState.WARN
    assert statuses.next_step.endswith(
        "Add these words to the config file, [database] completed, in_progress or failed: 1 archived."
    )
    assert set(statuses.data["unknown"]) == {"(null)", "archived"}


async def test_control_characters_in_statuses_and_ids_are_spelled_out(tables: str) -> None:
    await insert(tables, "user_models", [model(training_status="bad\x1b[2J"), model(replicate_model_id="a\u202eb")])
    diagnosis = await diagnose(tables, None)
    assert "\\x1b[2J" in check(diagnosis, "training_status").figure
    assert "a\\u202eb" in check(diagnosis, "model_ids").figure


async def test_optional_columns_that_are_missing_are_named_with_what_is_lost(database: str) -> None:
    bare = "CREATE TABLE user_models AS SELECT id, user_id, training_status, replicate_model_id, replicate_version_id,"
    bare += " updated_at, completed_at, created_at FROM complete"
    users = "CREATE TABLE users (id text PRIMARY KEY, email text)"
    await execute(database, users, MODELS.replace("user_models", "complete"), bare)
    columns = check(await diagnose(database, None), "optional_columns")
    assert columns.state is CheckState.WARN
    assert "trigger_word: missing trigger words are not noticed" in columns.figure
    assert columns.data["missing"] == list(columns.data["lost"])
    assert len(columns.data["missing"]) == 9


async def test_a_role_that_may_not_read_is_told_what_to_grant(tables: str) -> None:
    await execute(tables, "DO $$ BEGIN CREATE ROLE blind LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    diagnosis = await diagnose(tables.replace("postgresql://postgres@", "postgresql://blind@"), None)
    assert check(diagnosis, "population").state is CheckState.FAIL
    assert "GRANT SELECT" in check(diagnosis, "population").next_step
    assert check(diagnosis, "database_role").data["role"] == "blind"


async def test_an_index_is_missed_only_where_there_are_rows_enough(tables: str) -> None:
    await insert(tables, "user_models", [model()])
    assert check(await diagnose(tables, None), "user_id_index").state is CheckState.OK
    await execute(tables, "INSERT INTO user_models (user_id) SELECT 'u1' FROM generate_series(1, 2000)")
    index = check(await diagnose(tables, None), "user_id_index")
    assert (index.state, index.next_step) == (CheckState.WARN, "CREATE INDEX CONCURRENTLY ON user_models (user_id);")
    await execute(tables, INDEX)
    assert check(await diagnose(tables, None), "user_id_index").state is CheckState.OK


async def test_models_whose_ids_differ_in_case_are_foreseen_as_one(tables: str) -> None:
    ids = {"u1": "Acme/M1", "u2": " acme/m1\n", "u3": "acme/m2"}
    await insert(tables, "users", [{"id": user, "email": user} for user in ids if user != "u1"])
    await insert(tables, "user_models", [model(user_id=user, replicate_model_id=each) for user, each in ids.items()])
    assert check(await diagnose(tables, None), "duration").data["models"] == 2


async def test_another_accounts_token_is_recognised_by_owners_and_by_the_model(tidy: str, serve: Serve) -> None:
    await execute(tidy.replace("doctors_reader@", "postgres@"), "UPDATE user_models SET replicate_model_id = 'other/x'")
    diagnosis = await diagnose(tidy, await serve(FACE))
    assert not_ok(diagnosis) == {"owners": "fail", "model": "fail"}
    assert "0 of 1 users' models belong to acme-photos" in check(diagnosis, "owners").figure
    assert "token of other" in check(diagnosis, "owners").next_step
    assert check(diagnosis, "model").data["reason"] == "model_not_found"


async def test_a_foreign_model_that_can_be_seen_is_only_a_warning(tidy: str, serve: Serve) -> None:
    public = Model(owner="other", name="x", versions=FACE.versions, public=True)
    await execute(tidy.replace("doctors_reader@", "postgres@"), "UPDATE user_models SET replicate_model_id = 'other/x'")
    assert not_ok(await diagnose(tidy, await serve(public))) == {"owners": "warn"}


async def test_a_refused_token_fails_and_the_database_is_looked_at_all_the_same(tidy: str, serve: Serve) -> None:
    diagnosis = await diagnose(tidy, await serve(FACE), REPLICATE_API_TOKEN="r8_wrong")
    assert check(diagnosis, "token").state is CheckState.FAIL
    assert "401" in check(diagnosis, "token").figure
    assert check(diagnosis, "population").state is CheckState.OK
    assert check(diagnosis, "model").state is CheckState.SKIP


async def test_an_exhausted_rate_fails_at_once_and_says_how_long(tidy: str, serve: Serve) -> None:
    fake = await serve(FACE, behaviour=Behaviour(rate=Rate(per_minute=60, burst=10)))
    fake.spend(1000)
    began = time.monotonic()
    diagnosis = await diagnose(tidy, fake)
    assert time.monotonic() - began < 1.5
    assert check(diagnosis, "rate_left").state is CheckState.FAIL
    assert "429" in check(diagnosis, "rate_left").figure
    assert check(diagnosis, "token").state is CheckState.WARN
    assert check(diagnosis, "model").state is CheckState.SKIP


async def test_a_rate_that_is_nearly_used_up_is_a_warning(tidy: str, serve: Serve) -> None:
    fake = await serve(FACE, behaviour=Behaviour(rate=Rate(per_minute=3000, burst=3000)))
    fake.spend(2700)
    rate = check(await diagnose(tidy, fake), "rate_left")
    assert rate.state is CheckState.WARN
    assert rate.data["remaining"] == 299


async def test_a_server_whose_clock_is_off_by_an_hour_is_named(tidy: str, serve: Serve) -> None:
    late = ServerTime(now=lambda: datetime.now(UTC) - timedelta(hours=1))
    diagnosis = await diagnose(tidy, await serve(FACE, time=late))
    assert not_ok(diagnosis) == {"replicate_clock": "warn"}
    assert "60 min behind this machine's" in check(diagnosis, "replicate_clock").figure
    assert "that server's clock" in check(diagnosis, "replicate_clock").next_step


async def test_a_clock_of_ours_that_is_off_by_an_hour_is_recognised_as_ours(tidy: str, serve: Serve) -> None:
    diagnosis = await diagnose(tidy, await serve(FACE), lambda: datetime.now(UTC) + timedelta(hours=1))
    assert not_ok(diagnosis) == {"replicate_clock": "warn", "database_clock": "warn"}
    assert "60 min behind this machine's" in check(diagnosis, "database_clock").figure
    assert "this machine's clock" in check(diagnosis, "replicate_clock").next_step


async def test_a_replicate_that_is_not_there_leaves_the_database_checks(tidy: str) -> None:
    nowhere = {"REPLICATE_BASE_URL": "http://127.0.0.1:9", "REPLICATE_API_TOKEN": TOKEN}
    diagnosis = await diagnose(tidy, None, **nowhere)
    assert check(diagnosis, "replicate_reachable").state is CheckState.FAIL
    assert "127.0.0.1:9: no connection" in check(diagnosis, "replicate_reachable").figure
    assert check(diagnosis, "population").state is CheckState.OK


async def test_a_deleted_model_does_not_fail_the_check_where_the_next_one_is_there(tidy: str, serve: Serve) -> None:
    owner = tidy.replace("doctors_reader@", "postgres@")
    await insert(owner, "users", [{"id": "u2", "email": None}])
    gone = model(user_id="u2", replicate_model_id=f"{OWNER}/gone", updated_at="2026-02-20T00:00:00Z")
    await insert(owner, "user_models", [gone])
    one = check(await diagnose(tidy, await serve(FACE)), "model")
    assert one.state is CheckState.OK
    assert "1 tried before that failed (model_not_found)" in one.figure


async def test_without_any_setting_all_is_said_at_once() -> None:
    diagnosis = await diagnose(None, None)
    failed = [each.name for each in diagnosis.results if each.state is CheckState.FAIL]
    assert failed == ["setting_database_url", "setting_api_token"]
    assert "DATABASE_URL is not set" in check(diagnosis, "setting_database_url").figure
    skipped = {each.group for each in diagnosis.results if each.state is CheckState.SKIP}
    assert skipped == {"database", "people", "replicate"}


def test_settings_say_where_they_come_from_and_show_no_secret() -> None:
    environ = {
        "DATABASE_URL": f"postgresql://me:{PASSWORD}@db.example.com/shop",
        "REPLICATE_API_TOKEN": TOKEN,
        "SYNC_AUDIT_RATE": "99",
        "SYNC_AUDIT_RETRIES": "many",
        "HTTPS_PROXY": "http://me:hunter2@proxy.example:3128",
    }
    settings = doctors(environ, "--concurrency", "7")
    found = {each.title: (each.data["value"], each.data["where"]) for each in settings.found}
    assert found["API token"] == ("set, r8_…, 40 characters", "REPLICATE_API_TOKEN")
    assert found["database url"] == ("db.example.com/shop, user me, password set", "DATABASE_URL")
    assert found["base url"] == ("https://api.replicate.com/v1", "default")
    assert found["rate"] == ("99", "SYNC_AUDIT_RATE")
    assert found["concurrency"] == ("7", "--concurrency")
    assert found["HTTPS_PROXY"] == ("proxy.example:3128, password set", "HTTPS_PROXY")
    (wrong,) = [each for each in settings.found if each.state is CheckState.FAIL]
    assert "--retries (SYNC_AUDIT_RETRIES)" in wrong.figure
    assert settings.concurrency == 7
    for secret in (TOKEN, PASSWORD, "hunter2"):
        assert secret not in repr(settings)
        assert secret in settings.secrets


def ends(ended: Ended, status: ExitStatus) -> None:
    assert ended.code == status.code, ended.err
    assert ended.err == f"{status}\n"


def test_the_command_prints_a_screen_that_fits_80_columns(shell: Shell, servers: Servers) -> None:
    shell.environ = servers.environ
    ended = shell("doctor", "-v", SYNC_AUDIT_RATE="2400")
    ends(ended, ExitStatus(3, "an audit can run, with 4 warnings"))
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    assert lines[-1] == "24 ok, 4 warnings"
    assert "\x1b" not in ended.out
    assert TOKEN not in ended.out


def test_only_what_is_not_ok_is_printed_unless_all_is_wanted(shell: Shell, servers: Servers) -> None:
    shell.environ = servers.environ
    short, whole = shell("doctor").out, shell("doctor", "-v").out
    assert not re.search(r"^ +ok ", short, re.MULTILINE)
    assert re.search(r"^ +ok ", whole, re.MULTILINE)
    assert re.findall(r"^ +(?:warn|fail|skip) .*", short, re.MULTILINE)
    assert short.splitlines()[-1] == whole.splitlines()[-1]
    assert len(short.splitlines()) < len(whole.splitlines())


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_no_width_breaks_a_word_of_a_check(shell: Shell, columns: int) -> None:
    environ = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x", "REPLICATE_API_TOKEN": "r8_wrong"}
    here = {"REPLICATE_BASE_URL": "http://127.0.0.1:1", "COLUMNS": str(columns)}
    whole = shell("doctor", "-v", **environ, **(here | {"COLUMNS": "4000"})).out
    for options in ((), ("-v",)):
        ended = shell("doctor", *options, **environ, **here)
        for line in ended.out.splitlines():
            assert len(line) <= columns or len(line.split()[-1]) > columns - 30, line
        assert set(ended.out.split()) - {"→"} <= {*whole.split(), *(f"{each}:" for each in whole.split())} | {
            f"{each}," for each in whole.split()
        }
        assert re.fullmatch(r"\d+ ok(, \d+ warnings?)?, \d+ failed, \d+ skipped", ended.out.splitlines()[-1])


def test_the_command_prints_json_for_programs(shell: Shell, servers: Servers) -> None:
    shell.environ = servers.environ
    ended = shell("doctor", "--json", REPLICATE_API_TOKEN="r8_wrong")
    ends(ended, ExitStatus(5, "1 check failed, 5 warnings"))
    document = json.loads(ended.out)
    assert document["schema_version"] == 1
    assert document["exit_code"] == 5
    assert document["summary"] == {"ok": 21, "warn": 5, "fail": 1, "skip": 1}
    for each in document["checks"]:
        assert set(each) == {"group", "name", "title", "state", "figure", "next_step", "data"}
    names = [each["name"] for each in document["checks"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("environ", "arrow"),
    [({"PYTHONIOENCODING": "cp1252"}, "->"), ({"COLUMNS": "40", "TERM": "dumb", "NO_COLOR": "1"}, "→")],
    ids=["Windows code page", "narrow and dumb"],
)
def test_the_command_prints_on_any_terminal(
    shell: Shell, servers: Servers, environ: dict[str, str], arrow: str
) -> None:
    shell.environ = servers.environ | environ
    process = shell.start("doctor")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    text = out.decode(environ.get("PYTHONIOENCODING", "utf-8"))
    assert f"{arrow} Use a role" in text
    lines = [line for line in text.splitlines() if len(line.split()) > 1]  # a word alone is never broken
    assert max(map(len, lines)) <= int(environ.get("COLUMNS", "80"))


@pytest.mark.slow
async def test_ten_times_the_rows_take_about_ten_times_as_long(tables: str, serve: Serve) -> None:
    fake = await serve(FACE)
    await execute(tables, INDEX)
    took = {}
    for users, rows in ((6_000, 10_000), (60_000, 100_000)):
        await execute(
            tables,
            "TRUNCATE users, user_models",
            f"INSERT INTO users SELECT 'p' || n, 'p' || n || '@example.com' FROM generate_series(1, {users}) AS n",
            f"""INSERT INTO user_models
                (user_id, training_status, replicate_model_id, replicate_version_id, updated_at)
            SELECT 'p' || (n % {users} + 1), CASE WHEN n % 5 = 0 THEN 'failed' ELSE 'completed' END,
                'acme-photos/user-' || (n % {users} + 1), repeat('f', 64), now() - n * interval '1 minute'
            FROM generate_series(1, {rows}) AS n""",
            "ANALYZE",
        )
        seconds = []
        for _ in range(3):  # the machine may have other things to do
            began = time.monotonic()
            diagnosis = await diagnose(tables, fake)
            seconds.append(time.monotonic() - began)
        took[rows] = min(seconds)
        assert check(diagnosis, "tables").data["rows"] == rows
        assert check(diagnosis, "duration").data["models"] == users * 4 // 5
    assert took[100_000] < 25 * took[10_000]
