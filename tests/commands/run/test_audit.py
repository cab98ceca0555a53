"""The whole way, on a real PostgreSQL and a real HTTP server."""

import asyncio
import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from audit.cli.signals import Stop
from audit.commands import outputs
from audit.commands.replicate import ProgressListener, Session, StoppedError
from audit.commands.run import audit as audit_run
from audit.demo.fake_replicate.server import TOKEN, in_thread
from audit.demo.fake_replicate.world import SmallWorld
from audit.demo.users import DemoUsers
from audit.errors import DatabaseError, ReplicateError, RunFileError, SettingsError
from audit.model import exit_status
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.replies import Account, TrainingsRead
from audit.model.run import Filters
from audit.postgres.connection import Connection
from audit.report.writer import Output
from audit.runfile import RunFile
from tests.support.audits import Servers, audit
from tests.support.database_rows import MODELS, USERS, execute, insert, locked, model
from tests.support.expected_findings import expected_findings
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.ordered_replicate import OrderedReplicate
from tests.support.synthetic_users import SyntheticUsers


def report(servers: Servers, folder: Path, **changes: Any) -> dict[str, Any]:
    """Audit and read the JSON report."""
    with audit(servers.settings(folder, **changes)) as run_file:
        outputs.report(run_file, [Output("json", str(folder / "report.json"))])
    return json.loads((folder / "report.json").read_text())  # type: ignore[no-any-return]  # an object, as the schema says


def test_every_demo_user_gets_the_verdict_that_the_data_call_for(
    faulty_servers: Servers, demo_users: DemoUsers, tmp_path: Path
) -> None:
    weights = {"check_weights": True, "delivery_stand_in": faulty_servers.fake.origin}
    with audit(faulty_servers.settings(tmp_path, **weights)) as run_file:
        got = {user.record.user_id: (user.finding.reason, frozenset(user.finding.notes)) for user in run_file.users()}
    assert got == expected_findings(demo_users, check_weights=True)


def test_the_demo_shows_every_reason_and_note_that_a_complete_run_can_have(demo_users: DemoUsers) -> None:
    expected = expected_findings(demo_users, check_weights=True).values()
    reasons = {reason for reason, _ in expected}
    notes = {note for _, notes in expected for note in notes}
    assert reasons == set(Reason) - {Reason.STOPPED, Reason.EVIDENCE_DISAGREES, Reason.UNREADABLE_ROW}
    assert notes == set(Note)


def test_synthetic_users_get_the_verdicts_that_their_data_call_for(
    synthetic_servers: Servers, synthetic_users: SyntheticUsers, tmp_path: Path
) -> None:
    with audit(synthetic_servers.settings(tmp_path)) as run_file:
        got = {user.record.user_id: user.finding.reason for user in run_file.users()}
        summary = run_file.summary()
    expected = {synthetic_users.user_id(i): synthetic_users.reason(i) for i in range(synthetic_users.n)}
    assert got == expected
    assert summary.reasons == Counter(expected.values())
    assert summary.total == synthetic_users.n == sum(summary.statuses.values())


def test_each_model_is_asked_once_and_on_no_more_sockets_than_allowed(
    synthetic_users: SyntheticUsers, synthetic_servers: Servers, tmp_path: Path
) -> None:
    with in_thread(InstrumentedReplicate(synthetic_users)) as fake:
        audit(Servers(synthetic_servers.dsn, fake).settings(tmp_path, concurrency=5)).close()
        asked = Counter(path for path in fake.request_log.paths.elements() if path.endswith("/versions"))
        assert set(asked.values()) == {1}
        assert fake.request_log.peak_sockets <= 5
        assert fake.request_log.peak_in_flight <= 5
        assert fake.request_log.tokens.keys() == {"valid"}


async def test_a_model_whose_ids_differ_in_case_is_asked_for_once_and_is_shared(database: str, tmp_path: Path) -> None:
    ids = {"a": " Acme/M1\n", "b": "acme/m1", "c": "ACME/m1", "d": "acme/m2"}
    await execute(database, USERS, MODELS)
    await insert(database, "users", [{"id": user, "email": f"{user}@example.com"} for user in ids])
    await insert(database, "user_models", [model(user_id=user, replicate_model_id=each) for user, each in ids.items()])
    with in_thread(InstrumentedReplicate(SmallWorld(Account("user", "acme"), []))) as fake:
        found = await asyncio.to_thread(report, Servers(database, fake), tmp_path)
        asked = Counter(path for path in fake.request_log.paths.elements() if path.startswith("/v1/models/"))
    assert {path.partition("/versions")[0]: count for path, count in asked.items()} == {
        "/v1/models/Acme/M1": 1,
        "/v1/models/acme/m2": 1,
    }
    users = {each["user_id"]: each for each in found["users"]}
    assert {user: each["replicate_model_id"] for user, each in users.items()} == ids
    assert {user: each["shared_with"] for user, each in users.items()} == {
        "a": ["b", "c"],
        "b": ["a", "c"],
        "c": ["a", "b"],
        "d": [],
    }
    assert [user for user, each in users.items() if Note.SHARED_MODEL in each["notes"]] == ["a", "b", "c"]
    assert found["summary"]["reasons"] == {Reason.MODEL_NOT_FOUND: 4}


@pytest.mark.slow
def test_two_runs_differ_in_nothing_but_the_run_block(faulty_servers: Servers, tmp_path: Path) -> None:
    reports = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        reports.append(report(faulty_servers, tmp_path / name, concurrency=1 if name == "one" else 16))
    runs = [each.pop("run") for each in reports]
    assert runs[0]["id"] != runs[1]["id"]
    assert reports[0] == reports[1]


def test_the_run_block_says_what_was_asked_of_whom(faulty_servers: Servers, tmp_path: Path) -> None:
    run = report(faulty_servers, tmp_path)["run"]
    assert run["state"] == "complete"
    assert run["account"] == {"type": "organization", "username": "acme-photos"}
    assert run["database"] == "socket/servers"
    assert run["base_url"] == faulty_servers.fake.base_url
    assert run["requests"]["sent"] > run["requests"]["retried"] > 0
    assert run["requests"]["throttled"] > 0


def test_a_user_can_be_audited_alone_and_still_sees_who_shares_the_model(
    servers: Servers, demo_users: DemoUsers, tmp_path: Path
) -> None:
    user_id = next(user for user, (_, notes) in expected_findings(demo_users).items() if Note.SHARED_MODEL in notes)
    alone = report(servers, tmp_path, filters=Filters(users=(user_id,)))
    assert [user["user_id"] for user in alone["users"]] == [user_id]
    assert len(alone["users"][0]["shared_with"]) == 1
    assert alone["population"]["users"] == len(demo_users.users)


def test_a_limit_takes_the_first_users(servers: Servers, tmp_path: Path) -> None:
    assert report(servers, tmp_path, filters=Filters(limit=3))["summary"]["total"] == 3


def test_a_user_whom_nobody_knows_is_an_error_and_leaves_no_run_file(servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nobody@example"):
        audit(servers.settings(tmp_path, filters=Filters(users=("nobody@example",))))
    assert list(tmp_path.iterdir()) == []


def test_a_refused_token_leaves_no_run_file(servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(ReplicateError, match="refuses the API token"):
        audit(servers.settings(tmp_path, token="r8_wrong"))
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_down_leaves_no_run_file(servers: Servers, tmp_path: Path) -> None:
    nowhere = Servers("postgresql://u:hunter2@127.0.0.1:9/shop", servers.fake)
    with pytest.raises(DatabaseError) as caught:
        audit(nowhere.settings(tmp_path))
    assert "127.0.0.1/shop" in str(caught.value)
    assert "hunter2" not in f"{caught.value}{caught.value.next_step}"
    assert list(tmp_path.iterdir()) == []


async def readers(connection: Connection) -> int:
    """Connections of the audit to this database, whatever they do."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return int(await connection.fetchval(query))


ACME = SmallWorld(Account("user", "acme"), [])
OTHERS = ("acme/m0", "Other/m1", "other/m2", "acme/m3")
"""Models of four users; to a stranger two of them belong."""


async def four_users(database: str) -> None:
    await execute(database, USERS, MODELS)
    await insert(database, "users", [{"id": f"u{i}", "email": f"u{i}@example.com"} for i in range(4)])
    completed = [model(user_id=f"u{i}", replicate_model_id=each) for i, each in enumerate(OTHERS)]
    stuck = model(user_id="u1", training_status="training", replicate_model_id="other/m9", updated_at="2026-04-01Z")
    await insert(database, "user_models", [*completed, stuck | {"completed_at": None, "replicate_version_id": None}])


@pytest.mark.parametrize("wanted", [None, TrainingsRead(mode="versions")], ids=["", "trainings"])
async def test_account_and_list_are_asked_for_while_the_database_is_being_read(
    database: str, tmp_path: Path, wanted: TrainingsRead | None
) -> None:
    await four_users(database)
    expected = ["/v1/account", "/v1/trainings"][: 2 if wanted else 1]
    async with OrderedReplicate(ACME) as fake:
        settings = Servers(database, fake).settings(tmp_path, timeout=20, trainings=wanted)
        async with locked(database):
            running = asyncio.create_task(audit_run.audit(settings, ProgressListener(), Stop()))
            await fake.until(lambda: len(fake.order) == len(expected))
            assert sorted(fake.order) == expected
        with await running as run_file:
            assert run_file.info.account == Account("user", "acme")
            assert run_file.summary().total == 4


@pytest.mark.parametrize("known", [True, False], ids=["at once", "after the database was read"])
async def test_records_are_judged_alike_whenever_it_is_known_whose_token_it_is(
    database: str, tmp_path: Path, *, known: bool
) -> None:
    """Here nobody is asked for, so that what was judged first stays."""
    await four_users(database)
    async with OrderedReplicate(ACME, keeps=lambda path, _: not known and path == "/v1/account") as fake:
        settings = Servers(database, fake).settings(tmp_path, timeout=20, trainings=None)
        stop = Stop()

        class Stopped(ProgressListener):
            def asking(self, models: int, session: Session) -> None:
                stop.request("interrupted", "stopped by SIGINT")

        running = asyncio.create_task(audit_run.audit(settings, Stopped(), stop))
        if not known:
            await fake.until(lambda: fake.order == ["/v1/account"])
            await read_and_gone(database)
            await fake.release()
        with await running as run_file:
            foreign = {
                user.record.user_id for user in run_file.users() if Note.OWNER_DIFFERS_FROM_ACCOUNT in notes(user)
            }
            bases = {each.row_id: each.base and each.base.notes for each in run_file.pending_unfinished()}
            assert run_file.summary().notes[Note.OWNER_DIFFERS_FROM_ACCOUNT] == 2
            assert run_file.info.account == Account("user", "acme")
    assert foreign == {"u1", "u2"}
    assert [Note.OWNER_DIFFERS_FROM_ACCOUNT in (each or ()) for each in bases.values()] == [True]


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def notes(user: AuditedUser) -> tuple[Note, ...]:
    return user.finding.notes


async def read_and_gone(database: str) -> None:
    """Wait until somebody has read the rows, and holds no connection any more."""
    connection = await asyncpg.connect(database)
    try:
        query = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'user_models'"
        while not await connection.fetchval(query) or await readers(connection):  # noqa: ASYNC110 - another server's state
            await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def test_a_refused_token_ends_a_run_whose_database_is_still_being_read(database: str, tmp_path: Path) -> None:
    await four_users(database)
    async with OrderedReplicate(ACME) as fake, locked(database) as connection:
        with pytest.raises(ReplicateError, match="refuses the API token"):
            await audit_run.audit(
                Servers(database, fake).settings(tmp_path, token="r8_wrong", timeout=20), ProgressListener(), Stop()
            )
        assert await readers(connection) == 0
    assert left_in(tmp_path) == []


async def test_a_token_that_is_refused_after_the_database_was_read_leaves_no_run_file(
    database: str, tmp_path: Path
) -> None:
    await four_users(database)
    async with OrderedReplicate(ACME, keeps=lambda path, _: path == "/v1/account") as fake:
        settings = Servers(database, fake).settings(tmp_path, token="r8_wrong", timeout=20)
        running = asyncio.create_task(audit_run.audit(settings, ProgressListener(), Stop()))
        await fake.until(lambda: "/v1/account" in fake.order)
        await read_and_gone(database)
        await fake.release()
        with pytest.raises(ReplicateError, match="refuses the API token"):
            await running
    assert left_in(tmp_path) == []


async def test_a_database_that_is_down_ends_a_run_that_waits_for_the_account(tmp_path: Path) -> None:
    nowhere = "postgresql://u@127.0.0.1:9/shop"
    async with OrderedReplicate(ACME, keeps=lambda *_: True) as fake:
        settings = Servers(nowhere, fake).settings(tmp_path, timeout=300)
        with pytest.raises(DatabaseError, match=r"127\.0\.0\.1/shop"):
            await asyncio.wait_for(audit_run.audit(settings, ProgressListener(), Stop()), 60)
    assert left_in(tmp_path) == []


async def test_a_stop_ends_a_run_that_waits_for_account_and_database(database: str, tmp_path: Path) -> None:
    await four_users(database)
    stop = Stop()
    async with OrderedReplicate(ACME, keeps=lambda *_: True) as fake, locked(database) as connection:
        settings = Servers(database, fake).settings(tmp_path, timeout=300)
        running = asyncio.create_task(audit_run.audit(settings, ProgressListener(), stop))
        await fake.until(lambda: len(fake.order) == 2)
        stop.request("interrupted", "stopped by SIGINT")
        with pytest.raises(StoppedError, match="stopped by SIGINT before any request was sent"):
            await asyncio.wait_for(running, 60)
        assert await readers(connection) == 0
    assert left_in(tmp_path) == []


def test_the_run_file_may_not_be_one_of_the_reports(servers: Servers, tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with pytest.raises(SettingsError, match="same path"):
        audit(servers.settings(tmp_path, outputs=(("json", str(path)),), run_file=path))


def test_an_existing_run_file_is_not_overwritten(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "run.sqlite").write_text("precious")
    with pytest.raises(RunFileError, match="exists already"):
        audit(servers.settings(tmp_path))
    assert (tmp_path / "run.sqlite").read_text() == "precious"


def test_a_run_that_is_stopped_names_those_who_were_not_checked(synthetic_servers: Servers, tmp_path: Path) -> None:
    async def stopped() -> RunFile:
        stop = Stop()

        class After50(ProgressListener):
            def __init__(self) -> None:
                self.count = 0

            def answered(self, findings: Any) -> None:
                self.count += len(findings)
                if self.count == 50:
                    stop.request("interrupted", "stopped by SIGINT")

        return await audit_run.audit(synthetic_servers.settings(tmp_path), After50(), stop)

    with asyncio.run(stopped()) as run_file:
        outcome = outputs.report(run_file, [])
    assert (outcome.view.run.state, outcome.view.run.stop_reason) == ("interrupted", "stopped by SIGINT")
    assert outcome.view.summary.statuses[Status.NOT_CHECKED] > 100
    assert outcome.view.summary.statuses[Status.UP_TO_DATE] > 30
    assert outcome.exit_status.code == exit_status.INCOMPLETE


def test_no_secret_is_in_the_run_file(servers: Servers, tmp_path: Path) -> None:
    audit(servers.settings(tmp_path)).close()
    content = (tmp_path / "run.sqlite").read_bytes()
    assert b"r8_" not in content
    assert subprocess.run(["grep", "-c", TOKEN[:8], tmp_path / "run.sqlite"], check=False).returncode == 1
