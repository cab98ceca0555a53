"""What the doctor makes of facts that the servers at hand do not show."""

from typing import Any

import pytest
from msgspec.structs import replace

from audit.commands.doctor.checks import Check, CheckResult, CheckState, Diagnosis, Group
from audit.commands.doctor.database import database_checks, user_checks
from audit.commands.doctor.replicate import ReplicateAnswers, Speed, Trial, duration_check, replicate_checks
from audit.model.codes import Reason
from audit.model.exit_status import DOCTOR
from audit.model.findings import Finding
from audit.model.replies import Account, Failed, Found, Version
from audit.model.tables import Column, Table, Tables
from audit.model.times import duration, milliseconds
from audit.model.users import ModelRecord, Population
from audit.postgres.server import AuditableUsers, Inspection, Owner, Server, TableShape
from audit.replicate.transport import ResponseMetadata

SERVER = Server(
    label="db.example.com/shop",
    version="16.2",
    encoding="UTF8",
    latency=0.012,
    clock_ahead=0.1,
    tls="TLSv1.3",
    local=False,
    role="reader",
    superuser=False,
    writable=(),
    read_only=False,
    pooled=False,
)
TABLES = TableShape(missing=(), rows=5000, is_view=False, index="by_user")
POPULATION = Population(
    users=100,
    users_with_completed_model=90,
    completed_models=95,
    users_with_several_completed_models=5,
    completed_models_hidden=5,
    completed_without_model_id=0,
    test_models_left_out=0,
    models_without_user=0,
    training_status={"completed": 95},
)
USERS = AuditableUsers(
    population=POPULATION,
    null_model_ids=0,
    blank_model_ids=0,
    malformed_model_ids=0,
    malformed_example=None,
    models=4800,
    askable_users=90,
    owners=(Owner("acme", 90),),
    owner_count=1,
    account_users=90,
    recent=(),
)
METADATA = ResponseMetadata(latency=0.1, status=200, clock_ahead=0.2, remaining=2990, reset=50)
ACME = Account(type="user", username="acme")
RECORD = ModelRecord(
    user_id="u1",
    email=None,
    display_name=None,
    model_row_id="1",
    replicate_model_id="acme/face",
    replicate_version_id="f" * 64,
    created_at=None,
    updated_at=None,
    completed_at=None,
)
FOUND = Found((Version("f" * 64, None),))
TRIAL = Trial(RECORD, FOUND, Finding(reason=Reason.LATEST_VERSION, total_versions=1), 0.05)
ANSWERS = ReplicateAnswers("api.replicate.com", ACME, METADATA, (TRIAL,))
SPEED = Speed(per_minute=2400, concurrency=32)


def database(**changes: Any) -> dict[str, CheckResult]:
    server = replace(SERVER, **changes)
    return {each.name: each for each in database_checks(Inspection(server, TABLES))}


def replicate(answers: ReplicateAnswers, server: Server | None = SERVER) -> dict[str, CheckResult]:
    return {each.name: each for each in replicate_checks(answers, Inspection(server, TABLES, USERS))}


def test_facts_without_a_flaw_are_ok() -> None:
    results = [*database().values(), *replicate(ANSWERS).values(), *user_checks(Inspection(SERVER, TABLES, USERS))]
    results.append(duration_check(ANSWERS, USERS, SPEED))
    assert {each.state for each in results} == {CheckState.OK}
    assert Diagnosis(tuple(results)).exit_status is DOCTOR[0]


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("database_tls", {"tls": None}, "sslmode=verify-full"),
        ("database_reachable", {"latency": 0.8}, "closer to the database"),
        ("database_role", {"writable": ("users", "user_models")}, "only SELECT"),
        ("database_role", {"superuser": True}, "only SELECT"),
        ("database_clock", {"clock_ahead": -6.0}, "Set the wrong clock"),
    ],
)
def test_a_flaw_of_the_server_is_a_warning_with_a_next_step(name: str, changes: dict[str, Any], words: str) -> None:
    results = database(**changes)
    assert [each.name for each in results.values() if each.state is CheckState.WARN] == [name]
    assert words in results[name].next_step


def test_a_role_that_may_write_does_not_matter_where_nothing_can_be_written() -> None:
    assert database(writable=("users",), read_only=True)["database_role"].state is CheckState.OK


def test_a_view_is_not_blamed_for_having_no_index() -> None:
    tables = replace(TABLES, is_view=True, index=None)
    (index,) = [each for each in database_checks(Inspection(SERVER, tables)) if each.name == "user_id_index"]
    assert (index.state, index.figure) == (CheckState.OK, "not known: user_models is a view")


def test_every_optional_column_has_something_that_is_lost_without_it() -> None:
    columns = tuple(column for column in Column if column.lost)
    results = database_checks(Inspection(SERVER, replace(TABLES, missing=columns)))
    (found,) = [each for each in results if each.name == "optional_columns"]
    assert all(f"{column}: {column.lost}" in found.figure for column in columns)


@pytest.mark.parametrize(
    ("reason", "name"),
    [(Reason.SERVER_ERROR, "replicate_reachable"), (Reason.FORBIDDEN, "token"), (Reason.UNAUTHORIZED, "token")],
)
def test_why_the_account_is_not_known_fails_the_check_that_it_belongs_to(reason: Any, name: str) -> None:
    results = replicate(ReplicateAnswers("api", Failed(reason, "HTTP 5xx"), METADATA))
    assert results[name].state is CheckState.FAIL
    assert results["model"].state is CheckState.SKIP
    assert results["owners"].state is CheckState.WARN


def test_three_clocks_that_all_differ_are_told_to_begin_with_ours() -> None:
    answers = ReplicateAnswers("api", ACME, replace(METADATA, clock_ahead=3600.0), (TRIAL,))
    results = replicate(answers, replace(SERVER, clock_ahead=-3600.0))
    assert "All three clocks" in results["replicate_clock"].next_step


def test_no_rate_and_no_date_in_the_answer_is_no_flaw() -> None:
    results = replicate(
        ReplicateAnswers("api", ACME, replace(METADATA, remaining=None, reset=None, clock_ahead=None), (TRIAL,))
    )
    assert (results["rate_left"].figure, results["replicate_clock"].figure) == ("not known", "not known")


@pytest.mark.parametrize(
    ("latency", "speed", "figure"),
    [
        (0.05, SPEED, "about 2 min for 4,800 models: at most 2,400 requests a minute (--rate)"),
        (0.05, Speed(6000, 256), "about 96 s for 4,800 models: Replicate allows 3,000 requests a minute"),
        (0.5, Speed(2400, 8), "about 5 min for 4,800 models: at most 8 at once (--concurrency), 500 ms each"),
    ],
    ids=["rate", "limit", "concurrency"],
)
def test_the_time_of_an_audit_is_told_with_what_holds_it_up(latency: float, speed: Speed, figure: str) -> None:
    answers = ReplicateAnswers("api", ACME, METADATA, (Trial(RECORD, FOUND, TRIAL.finding, latency),))
    assert duration_check(answers, USERS, speed).figure.startswith(figure)


def test_of_a_long_audit_it_is_told_that_it_can_be_resumed_and_how_long_trainings_take_at_best() -> None:
    users = replace(USERS, models=100_000, population=replace(POPULATION, completed_models=120_000))
    short = duration_check(ANSWERS, USERS, SPEED)
    assert "trainings" not in short.figure
    answers = ReplicateAnswers("api", ACME, METADATA, (Trial(RECORD, FOUND, TRIAL.finding, 0.3),))
    check = duration_check(answers, users, Speed(per_minute=1200, concurrency=32))
    assert check.figure == (
        "about 83 min for 100,000 models: at most 1,200 requests a minute (--rate); "
        "with --mode trainings at least 6 min"
    )
    assert check.data["trainings_requests"] == 1 + 1200 + 1000
    assert "--resume" in check.next_step


def test_nothing_is_said_of_latency_where_nobody_has_answered() -> None:
    check = duration_check(None, USERS, SPEED)
    assert check.data["bound"] == "rate"
    assert check.data["seconds"] == 120.0


def test_a_rate_above_the_accounts_limit_is_a_warning() -> None:
    hasty = duration_check(ANSWERS, USERS, Speed(per_minute=6000, concurrency=256))
    assert hasty.state is CheckState.WARN
    assert "3,000" in hasty.next_step


def test_the_worst_check_decides() -> None:
    ok, warn, fail = (
        CheckResult(group=Group.DATABASE, name=state, title="x", state=state, figure="")
        for state in (CheckState.OK, CheckState.WARN, CheckState.FAIL)
    )
    skip = Check(Group.DATABASE, "x", "x").skip("why")
    ended = [
        str(Diagnosis(each).exit_status)
        for each in ((ok, skip), (ok, warn), (warn, warn), (fail, ok), (warn, fail, ok), (fail, fail, warn, warn))
    ]
    assert ended == [
        "all checks are ok (exit 0)",
        "an audit can run, with 1 warning (exit 3)",
        "an audit can run, with 2 warnings (exit 3)",
        "1 check failed (exit 5)",
        "1 check failed, 1 warning (exit 5)",
        "2 checks failed, 2 warnings (exit 5)",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.2, "1 s"), (119, "119 s"), (150, "2 min"), (3600, "60 min"), (7500, "2 h 5 min")]
)
def test_a_duration_is_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_milliseconds_have_as_many_figures_as_are_of_use() -> None:
    assert [milliseconds(each) for each in (0.00041, 0.0123, 1.5)] == ["0.4 ms", "12 ms", "1,500 ms"]


def test_what_to_do_names_tables_as_the_database_does() -> None:
    tables = Tables(
        user_models=Table("user_models", ("app", "T"), (("user_id", "Owner"),)), completed=("done", "ready")
    )
    table_shape = replace(TABLES, index=None)
    results = {each.name: each for each in database_checks(Inspection(SERVER, table_shape), tables)}
    assert results["user_id_index"].next_step == 'CREATE INDEX CONCURRENTLY ON "app"."T" ("Owner");'
    assert results["tables"].figure.startswith('users and "app"."T" found')
    found = replace(USERS, population=replace(USERS.population, users_with_completed_model=0))
    first, statuses, *_ = user_checks(Inspection(SERVER, TABLES, found), tables)
    assert "training_status = 'done' or 'ready', exactly that word" in first.next_step
    assert "only `done` or `ready` counts" in statuses.next_step
