"""`sync-audit sync` as a person plans a repair with it: from run files of real audits, carried out by psql."""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import asyncpg
import jsonschema
import msgspec
import pytest

import audit.report
from audit.cli.signals import Stop
from audit.commands.replicate import ProgressListener
from audit.commands.run import audit as audit_run
from audit.commands.sync.files import read_undo_file, write_plan
from audit.demo.database import load
from audit.demo.fake_replicate.server import in_thread
from audit.demo.fake_replicate.world import Model, SmallWorld
from audit.demo.users import DemoUsers
from audit.model.codes import RETRYABLE, Note, Reason, Status
from audit.model.exit_status import NEEDS_SYNC, OK, PLAN, ExitStatus
from audit.model.findings import AuditedUser, Finding
from audit.model.repair import (
    ChangeOutcome,
    ChangeState,
    Deed,
    LeftOut,
    RowChange,
    Weights,
    WhyLeftOut,
)
from audit.model.replies import Account, Version
from audit.model.run import Filters
from audit.model.tables import PLAIN, Column, Table, Tables
from audit.model.times import utc_now
from audit.model.users import Population
from audit.repair.plan import Plan
from audit.repair.rules import INCLUDABLE, PlanRules, PlanSettings
from audit.report.view import RunView
from audit.runfile import JournalEntry, RunFile
from tests.support import psql
from tests.support.audits import Ended, Servers, Shell, new_database
from tests.support.audits import audit as audited
from tests.support.database_rows import MODELS, USERS, execute, insert, model
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.run_files import edited, run_file_of
from tests.support.samples import NEW, OLD, finding, planned_run, record

EVERY = tuple(word for reason in INCLUDABLE for word in ("--include", reason.value))
SCHEMA = json.loads((Path(audit.report.__file__).parent / "sync-1.json").read_text())
NOTHING, SOMETHING = PLAN[OK], PLAN[NEEDS_SYNC]


@pytest.fixture(scope="session")
def run_file(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of the demo's users, trainings read."""
    folder = tmp_path_factory.mktemp("audited")
    audited(servers.settings(folder)).close()
    return folder / "run.sqlite"


@pytest.fixture
def sync(shell: Shell, run_file: Path) -> Shell:
    """A shell beside a copy of that run file, `run.sqlite`, in which nothing says where database or Replicate are."""
    shutil.copy(run_file, shell.folder)
    return shell


def ends(ended: Ended, status: ExitStatus) -> None:
    assert ended.code == status.code, ended.err
    if status is SOMETHING:
        assert re.fullmatch(
            r"planned, nothing changed yet: (1 row|[\d,]+ rows) would change \(exit 3\)", ended.last_line
        )
    else:
        assert ended.last_line == str(status)


def plan(sync: Shell, *options: str) -> dict[str, Any]:
    ended = sync("sync", "run.sqlite", "-o", "-", *options)
    document: dict[str, Any] = json.loads(ended.out)
    changes = len(document["changes"])
    ends(ended, SOMETHING if changes else NOTHING)
    assert not changes or f": {changes:,} row{'s' * (changes != 1)} would change" in ended.last_line
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def ids(changes: list[dict[str, Any]]) -> list[str]:
    return [each["model_row_id"] for each in changes]


def updates(path: Path) -> list[str]:
    """Lines of rows."""
    return [line for line in path.read_text().splitlines() if line.startswith(("('{", "(E'{"))]


def test_everybody_who_needs_a_sync_is_changed_or_left_out_with_a_reason(sync: Shell) -> None:
    document = plan(sync)
    with RunFile.open(sync.folder / "run.sqlite") as run_file:
        users = list(run_file.users())
    rows = [user.record.model_row_id for user in users if user.finding.status is Status.NEEDS_SYNC]
    also = [user.counting for user in users if user.finding.also and user.finding.also.status is Status.NEEDS_SYNC]
    rows += [row.model_row_id for row in also if row]
    assert sorted(ids(document["changes"]) + ids(document["left_out"])) == sorted(rows)
    assert {each["reason"] for each in document["changes"]} >= {Reason.OUTDATED_VERSION, Reason.NO_VERSION_RECORDED}
    assert not {each["reason"] for each in document["changes"]} & set(INCLUDABLE)
    assert {each["why"] for each in document["left_out"]} >= set(WhyLeftOut) - {
        *INCLUDABLE.values(),
        WhyLeftOut.RETRAINING_IN_PROGRESS,
        WhyLeftOut.FAILURE_NOT_RECORDED,
        WhyLeftOut.TRAINING_NOT_KNOWN,
        WhyLeftOut.TOO_OLD,
        WhyLeftOut.CHECKED_IN_FUTURE,
        WhyLeftOut.WEIGHTS_ELSEWHERE,
        WhyLeftOut.WEIGHTS_GONE,
        WhyLeftOut.OWNER_NOT_RECORDED,
    }


def test_counts_are_those_of_the_lists(sync: Shell) -> None:
    document = plan(sync, "--limit", "3")
    changes, left_out, summary = document["changes"], document["left_out"], document["summary"]
    assert (summary["changes"], summary["left_out"]) == (len(changes), len(left_out)) == (3, len(left_out))
    assert summary["weights"] == Counter(each["weights"] for each in changes)
    assert summary["why_left_out"] == Counter(each["why"] for each in left_out)
    rest = summary["left_out"] + summary["done_already"] + summary["begun"] + summary["beyond_limit"]
    assert summary["needs_sync"] == 3 + rest


def test_reports_count_as_many_changes_as_sync_plans_and_leave_the_rest_to_people(sync: Shell, run_file: Path) -> None:
    found = plan(sync)
    with RunFile.open(run_file, "ro") as run:
        repairs = RunView(run).repairs
        failed = {user.record.user_id for user in run.users(Status.ERROR) if user.finding.reason not in RETRYABLE}
    changed = {each["user_id"] for each in found["changes"]}
    left_out = {each["user_id"] for each in found["left_out"]}
    assert repairs.changes == len(found["changes"]) > 0
    assert repairs.by_hand == len((left_out | failed) - changed) > 0


def test_the_schema_names_exactly_what_there_is() -> None:
    definitions = SCHEMA["$defs"]
    assert definitions["change"]["required"] == list(definitions["change"]["properties"])
    assert definitions["change"]["required"] == [field.name for field in msgspec.structs.fields(RowChange)]
    assert definitions["left_out"]["required"] == [field.name for field in msgspec.structs.fields(LeftOut)]
    assert definitions["why"]["enum"] == list(WhyLeftOut)
    assert definitions["weights"]["enum"] == list(get_args(Weights))
    assert definitions["reason"]["enum"] == [reason for reason in Reason if reason.status is Status.NEEDS_SYNC]


def test_what_somebody_may_have_meant_is_included_by_name(sync: Shell) -> None:
    every = plan(sync, *EVERY)
    assert {each["reason"] for each in every["changes"]} > {Reason.UNKNOWN_VERSION, Reason.MALFORMED_VERSION}
    assert not {each["why"] for each in every["left_out"]} & set(INCLUDABLE.values())


def test_a_plan_needs_no_server_and_leaves_the_run_file_as_it_is(sync: Shell) -> None:
    before = (sync.folder / "run.sqlite").read_bytes()
    ends(sync("sync", "run.sqlite"), SOMETHING)
    assert (sync.folder / "run.sqlite").read_bytes() == before
    assert {path.name: path.stat().st_mode & 0o777 for path in sync.folder.iterdir() if path.suffix == ".sql"} == {
        "run-apply.sql": 0o600,
        "run-undo.sql": 0o600,
    }


def test_nothing_to_do_ends_in_0_and_leaves_no_file(sync: Shell) -> None:
    ended = sync("sync", "run.sqlite", "--user", "mara.lindqvist@example.com")
    ends(ended, NOTHING)
    assert "0 rows to change, 0 users left out" in ended.out
    assert "Files" not in ended.out
    assert [path.name for path in sync.folder.iterdir()] == ["run.sqlite"]


def test_a_later_plan_leaves_nothing_of_an_earlier_one_to_be_applied_but_all_to_be_undone(sync: Shell) -> None:
    sync("sync", "run.sqlite")
    undo = updates(sync.folder / "run-undo.sql")
    ends(sync("sync", "run.sqlite", "--max-age", "0"), NOTHING)
    assert updates(sync.folder / "run-apply.sql") == []
    assert updates(sync.folder / "run-undo.sql") == undo
    ends(sync("sync", "run.sqlite", "--include", "unknown_version"), SOMETHING)
    both = updates(sync.folder / "run-undo.sql")
    assert set(undo) < set(both)
    assert len(both) == len(set(both)) == len(undo) + 2


def test_the_undo_file_of_another_run_is_kept_by_another_name(sync: Shell) -> None:
    count = len(plan(sync)["changes"])
    sync("sync", "run.sqlite", "--include", "unknown_version")
    path = sync.folder / "run-undo.sql"
    text = re.sub("Run [0-9a-f]{32} of", f"Run {'ab' * 16} of", path.read_text(), count=1)
    path.write_text(text)
    ends(sync("sync", "run.sqlite"), SOMETHING)
    assert (sync.folder / "run-undo-abababab.sql").read_text() == text
    assert len(updates(path)) == count


def test_an_undo_file_that_somebody_has_changed_is_not_overwritten(sync: Shell) -> None:
    sync("sync", "run.sqlite")
    path = sync.folder / "run-undo.sql"
    path.write_text(
        changed := path.read_text().replace('"set":{"replicate_version_id":"', '"set":{"replicate_version_id":"0', 1)
    )
    ended = sync("sync", "run.sqlite")
    assert ended.code == 2
    assert re.match(r"Error: run-undo\.sql, line \d+: not what sync-audit has written: \('{", ended.last_line)
    assert path.read_text() == changed


def test_findings_older_than_wanted_are_left_out(sync: Shell) -> None:
    young = plan(sync)["changes"]
    edited(sync.folder / "run.sqlite", "UPDATE audited SET checked_at = checked_at - 7000")
    document = plan(sync)
    assert document["changes"] == []
    assert document["summary"]["why_left_out"]["too_old"] >= len(young)
    assert plan(sync, "--max-age", "2h")["changes"] == young


def test_a_file_of_the_first_schema_is_as_old_as_its_run(sync: Shell) -> None:
    path, young = sync.folder / "run.sqlite", plan(sync)["changes"]
    edited(path, "ALTER TABLE audited DROP COLUMN checked_at", "DROP TABLE repair", "PRAGMA user_version = 1")
    assert plan(sync)["changes"] == young
    edited(path, "UPDATE run SET value = json_set(value, '$.started_at', '2026-01-01T00:00:00Z') WHERE name = 'info'")
    assert plan(sync)["changes"] == []


def test_user_and_limit_narrow_the_plan_and_stand_in_the_command_that_goes_on(sync: Shell) -> None:
    ended = sync("sync", "run.sqlite", "--user", "acme-photos/", "--user", "noah.kim@example.com", "--limit", "2")
    ends(ended, SOMETHING)
    assert re.search(r"^\d more beyond --limit$", ended.out, re.MULTILINE)
    assert len(updates(sync.folder / "run-apply.sql")) == 2
    proposed = shlex.split(ended.out.splitlines()[-1])
    narrowed = ["--user", "acme-photos/", "--user", "noah.kim@example.com", "--limit", "2"]
    assert proposed == ["sync-audit", "sync", "run.sqlite", *narrowed, "--apply"]


def test_who_is_not_in_the_run_is_an_error(sync: Shell) -> None:
    ended = sync("sync", "run.sqlite", "--user", "nobody@example.com")
    assert ended.code == 2
    assert ended.last_line.startswith("Error: --user 'nobody@example.com' matches no user of this run (exit ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            ["--include", "timeout"],
            "--include: 'timeout' is not one of 'unknown_version', 'malformed_version'",
            id="include",
        ),
        pytest.param(["--max-age", "soon"], "--max-age: must be a time such as 90m, 2h, 1d or 3600", id="max-age"),
        pytest.param(["--limit", "0"], "--limit: 0 is not in the range 1<=x", id="limit"),
        pytest.param(["-o", "run.sqlite"], "-o run.sqlite is the path of run.sqlite", id="run file"),
        pytest.param(["-o", "./run-undo.sql"], "-o ./run-undo.sql is the path of run-undo.sql", id="undo file"),
    ],
)
def test_what_cannot_be_meant_is_said_and_nothing_is_written(sync: Shell, options: list[str], message: str) -> None:
    ended = sync("sync", "run.sqlite", *options)
    assert ended.code == 2
    assert ended.last_line.startswith(f"Error: {message}")
    assert [path.name for path in sync.folder.iterdir()] == ["run.sqlite"]


def test_a_file_that_cannot_be_written_is_named(sync: Shell) -> None:
    (sync.folder / "run-undo.sql").mkdir()
    ended = sync("sync", "run.sqlite")
    assert ended.code == 5
    assert ended.last_line.startswith("Error: cannot write the SQL to undo it to run-undo.sql: Is a directory (exit ")
    assert not (sync.folder / "run-apply.sql").exists()


@pytest.mark.parametrize("made_so", [True, False], ids=["redacted run", "--redact"])
def test_redacted_nothing_shown_names_anybody_and_the_sql_is_the_same(sync: Shell, *, made_so: bool) -> None:
    sync("sync", "run.sqlite")
    names = ("run-apply.sql", "run-undo.sql")
    before = [updates(sync.folder / name) for name in names]
    options = [] if made_so else ["--redact"]
    if made_so:
        redacted = "UPDATE run SET value = json_set(value, '$.redacted', json('true')) WHERE name = 'info'"
        edited(sync.folder / "run.sqlite", redacted)
    shown = sync("sync", "run.sqlite", "-o", "plan.json", *options)
    document = json.loads((sync.folder / "plan.json").read_text())
    assert document["run"]["redacted"]
    assert {each["email"][1:] for each in document["changes"] + document["left_out"]} == {"***@***"}
    files = "".join((sync.folder / name).read_text() for name in names)
    assert not re.search(r"@example\.(com|org)", shown.out + shown.err + json.dumps(document) + files)
    assert [updates(sync.folder / name) for name in names] == before


def test_lines_fit_the_terminal_but_for_commands_that_are_to_be_copied_whole(sync: Shell) -> None:
    for line in sync("sync", "run.sqlite", "--include", "unknown_version").out.splitlines():
        assert len(line) <= 80 or line.startswith(("  PGHOST=", "  sync-audit "))


def test_an_unfinished_run_is_planned_from_and_the_plan_says_so(sync: Shell) -> None:
    stopped = "UPDATE run SET value = json_set(value, '$.state', 'interrupted') WHERE name = 'info'"
    edited(sync.folder / "run.sqlite", stopped)
    ended = sync("sync", "run.sqlite")
    ends(ended, SOMETHING)
    assert "The run is not complete: users who were not checked are not in this plan." in ended.out


def test_a_plan_of_many_users_has_each_of_them_once(shell: Shell) -> None:
    outdated = finding(Reason.OUTDATED_VERSION, latest_version=NEW)
    ids_wanted = [f"{number:04}" for number in range(1203)]
    with RunFile.create(shell.folder / "run.sqlite", planned_run()) as run_file, run_file.loading():
        for row_id in ids_wanted:
            run_file.add(record(model_row_id=row_id, replicate_version_id=OLD), "acme/ann", outdated)
    assert ids(plan(shell, "--max-age", "9999d")["changes"]) == ids_wanted
    assert [line.model_row_id for line in read_undo_file(shell.folder / "run-undo.sql")] == ids_wanted


OUTDATED = finding(Reason.OUTDATED_VERSION, latest_version=NEW)
TRAINING = finding(Reason.OUTDATED_VERSION, latest_version=NEW, notes=(Note.RETRAINING_IN_PROGRESS,))
NEWER_ROWS: dict[str, tuple[Finding, tuple[str, ...], list[str], dict[str, str]]] = {
    "not included": (
        finding(Reason.TRAINING_NOT_RECORDED, latest_version=NEW, also=TRAINING, unfinished=True),
        (),
        ["old"],
        {"new": "training_not_recorded"},
    ),
    "included": (
        finding(Reason.TRAINING_NOT_RECORDED, latest_version=NEW, also=TRAINING, unfinished=True),
        EVERY,
        ["new"],
        {},
    ),
    "the completed one is right": (
        finding(Reason.TRAINING_NOT_RECORDED, latest_version=NEW, unfinished=True),
        (),
        [],
        {"new": "training_not_recorded"},
    ),
    "it has failed": (
        finding(Reason.FAILURE_NOT_RECORDED, also=TRAINING, unfinished=True),
        EVERY,
        ["old"],
        {"new": "failure_not_recorded"},
    ),
    "nobody knows its training": (
        finding(Reason.TRAINING_NOT_FOUND, also=TRAINING, unfinished=True),
        (),
        ["old"],
        {},
    ),
    "it could not be asked about, and says that it goes on": (
        finding(Reason.TIMEOUT, also=TRAINING, unfinished=True),
        (),
        [],
        {"old": "retraining_in_progress"},
    ),
    "it could not be asked about, and says that it has failed": (
        finding(Reason.TIMEOUT, also=OUTDATED, unfinished=True),
        (),
        ["old"],
        {},
    ),
    "it has yet to be asked about": (
        finding(Reason.STOPPED, also=TRAINING, unfinished=True),
        (),
        [],
        {"old": "retraining_in_progress"},
    ),
    "the completed one is shared": (
        finding(
            Reason.FAILURE_NOT_RECORDED,
            also=finding(Reason.OUTDATED_VERSION, latest_version=NEW, notes=(Note.SHARED_MODEL,)),
            unfinished=True,
        ),
        (),
        [],
        {"new": "failure_not_recorded", "old": "shared_model"},
    ),
}


@pytest.mark.parametrize(("found", "options", "changed", "left_out"), NEWER_ROWS.values(), ids=NEWER_ROWS)
def test_the_completed_row_is_planned_where_the_newer_one_is_not_repaired(
    shell: Shell, found: Finding, options: tuple[str, ...], changed: list[str], left_out: dict[str, str]
) -> None:
    newer = record(model_row_id="new", replicate_version_id=None, training_status="training", unfinished=True)
    with RunFile.create(shell.folder / "run.sqlite", planned_run()) as run_file, run_file.loading():
        run_file.add(record(model_row_id="old", replicate_version_id=OLD, newer=newer), "acme/ann", found)
    document = plan(shell, "--max-age", "9999d", *options)
    assert ids(document["changes"]) == changed
    assert {each["model_row_id"]: each["why"] for each in document["left_out"]} == left_out


def test_of_a_user_whose_newer_row_was_repaired_the_completed_one_is_left_as_it_is(shell: Shell) -> None:
    newer = record(model_row_id="new", replicate_version_id=None, training_status="training", unfinished=True)
    found = finding(Reason.TRAINING_NOT_RECORDED, latest_version=NEW, also=OUTDATED, unfinished=True)
    with RunFile.create(shell.folder / "run.sqlite", planned_run()) as run_file:
        with run_file.loading():
            run_file.add(record(model_row_id="old", replicate_version_id=OLD, newer=newer), "acme/ann", found)
        every = PlanSettings(include=frozenset(INCLUDABLE), max_age=timedelta(days=9999))
        [done] = Plan(run_file, every, utc_now()).changes()
        run_file.journal.write([JournalEntry(done, ChangeState.DONE, ChangeOutcome())])
    document = plan(shell, "--max-age", "9999d")
    assert (document["changes"], document["left_out"]) == ([], [])
    assert document["summary"]["done_already"] == 1


@pytest.fixture
def changes(sync: Shell) -> list[RowChange]:
    """Those of the plan, in its order."""
    return [msgspec.convert(each, RowChange) for each in plan(sync)["changes"]]


BEFORE: dict[Column, str | None] = {Column.VERSION_ID: OLD}
AFTER: dict[Column, str | None] = {Column.VERSION_ID: NEW}


def weights(change: RowChange) -> dict[Column, str | None]:
    """What `change` leaves in that column."""
    return {Column.LORA_WEIGHTS_URL: change.new_weights}


def test_what_was_done_before_is_not_planned_again_and_can_still_be_undone(
    sync: Shell, changes: list[RowChange]
) -> None:
    done, begun, skipped, undone, *rest = changes
    entries = [
        JournalEntry(done, ChangeState.DONE, ChangeOutcome(updated_at="2026-03-01T00:00:00Z")),
        JournalEntry(begun, ChangeState.BEGUN, ChangeOutcome(deed=Deed(txid="7", before=BEFORE, after=AFTER))),
        JournalEntry(skipped, ChangeState.SKIPPED, ChangeOutcome(why="edited")),
        JournalEntry(undone, ChangeState.UNDONE, ChangeOutcome()),
    ]
    with RunFile.resume(sync.folder / "run.sqlite") as run_file:
        run_file.journal.write(entries)
    document = plan(sync)
    assert ids(document["changes"]) == [each.model_row_id for each in (skipped, undone, *rest)]
    assert (document["summary"]["done_already"], document["summary"]["begun"]) == (1, 1)
    undo = list(read_undo_file(sync.folder / "run-undo.sql"))
    assert sorted(each.model_row_id for each in undo) == sorted(each.model_row_id for each in changes)
    assert [each.model_row_id for each in undo if each.guards] == [done.model_row_id, begun.model_row_id]
    assert [each.guards for each in undo][:2] == [
        {Column.VERSION_ID: done.new_version, **weights(done), Column.UPDATED_AT: "2026-03-01T00:00:00Z"},
        AFTER,
    ]
    assert [each.txid for each in undo if each.txid] == ["7"], "whether that was committed is to be asked"


def test_a_plan_with_nothing_left_to_do_still_says_how_to_undo_it(sync: Shell, changes: list[RowChange]) -> None:
    with RunFile.resume(sync.folder / "run.sqlite") as run_file:
        run_file.journal.write(JournalEntry(each, ChangeState.DONE, ChangeOutcome()) for each in changes)
    ended = sync("sync", "run.sqlite")
    ends(ended, NOTHING)
    assert f"{len(changes)} more already changed by an earlier --apply" in ended.out
    assert re.search(r"To undo it: +run-undo\.sql", ended.out)
    assert "To apply it" not in ended.out
    assert len(updates(sync.folder / "run-undo.sql")) == len(changes)


async def table(dsn: str) -> dict[str, tuple[object, ...]]:
    """Every row, by its id."""
    connection = await asyncpg.connect(dsn)
    try:
        return {str(row["id"]): tuple(row.values()) for row in await connection.fetch("SELECT * FROM user_models")}
    finally:
        await connection.close()


async def test_psql_syncs_the_users_of_the_plan_touches_no_other_row_and_undoes_it(
    database: str, servers: Servers, demo_users: DemoUsers, tmp_path: Path
) -> None:
    await load(database, demo_users)
    before = await table(database)
    settings = Servers(database, servers.fake).settings(tmp_path)
    with await audit_run.audit(settings, ProgressListener(), Stop()) as run_file:
        every = Plan(run_file, PlanSettings(include=frozenset(INCLUDABLE)), utc_now())
        planned = write_plan(every, settings.run_file)
        changed = {update.model_row_id for _, update in every.updates()}
    assert planned.apply_file
    assert planned.undo_file
    assert len(changed) >= 13
    assert f"rows changed: {len(changed)}, skipped: 0" in psql.run(database, planned.apply_file).stdout
    after = await table(database)
    assert {row_id for row_id, row in after.items() if row != before[row_id]} == changed
    again = replace(settings, run_file=tmp_path / "again.sqlite")
    with await audit_run.audit(again, ProgressListener(), Stop()) as run_file:
        needing = {user.record.model_row_id for user in run_file.users(Status.NEEDS_SYNC)}
        right = {user.record.model_row_id for user in run_file.users(Status.UP_TO_DATE)}
    assert not changed & needing
    assert changed <= right
    assert f"rows put back: {len(changed)}, skipped: 0" in psql.run(database, planned.undo_file).stdout
    assert await table(database) == before


def test_whose_training_goes_on_in_any_word_and_who_shares_a_model_in_another_case_are_left_out(
    shell: Shell, postgres_server: str
) -> None:
    dsn = asyncio.run(new_database(postgres_server, "words_and_cases"))
    models = {"a": "acme/a", "b": "acme/b", "c": "acme/c", "d": " Acme/C"}
    old = {
        user: model(user_id=user, replicate_model_id=each, replicate_version_id=OLD) for user, each in models.items()
    }
    begun = {"training_id": None, "replicate_version_id": None, "created_at": "2026-04-01T00:00:00Z"}
    later = [old["a"] | begun | {"training_status": "Starting"}, old["b"] | begun | {"training_status": "aborted"}]
    asyncio.run(execute(dsn, USERS, MODELS))
    asyncio.run(insert(dsn, "users", [{"id": user, "email": f"{user}@example.com"} for user in models]))
    asyncio.run(insert(dsn, "user_models", [*old.values(), *later]))
    versions = (Version(NEW, "2026-03-01T00:00:00Z"), Version(OLD, "2026-01-02T00:00:00Z"))
    world = [Model(owner="acme", name=name, versions=versions) for name in "abc"]
    with in_thread(InstrumentedReplicate(SmallWorld(Account("user", "acme"), world))) as fake:
        audited(Servers(dsn, fake).settings(shell.folder)).close()
    document = plan(shell)
    assert [each["user_id"] for each in document["changes"]] == ["b"]
    assert {each["user_id"]: each["why"] for each in document["left_out"]} == {
        "a": WhyLeftOut.RETRAINING_IN_PROGRESS,
        "c": WhyLeftOut.SHARED_MODEL,
        "d": WhyLeftOut.SHARED_MODEL,
    }


def test_a_plan_loads_no_driver_of_the_database() -> None:
    program = "import sys, audit.commands.sync.files, audit.commands.sync.screen; sys.exit('asyncpg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def rules_of(folder: Path, versions: list[str | None], tables: Tables = PLAIN, **counts: Any) -> PlanRules:
    """Those of a run in which users who are up to date have recorded `versions`, and with these counts."""
    plain = dict.fromkeys(("users", "users_with_completed_model", "users_with_several_completed_models"), 0)
    plain |= dict.fromkeys(("completed_models_hidden", "completed_without_model_id", "test_models_left_out"), 0)
    numbers: dict[str, Any] = {
        **plain,
        "completed_models": 0,
        "models_without_user": 0,
        "training_status": {},
        **counts,
    }
    with RunFile.create(folder / "rules.sqlite", planned_run(tables=tables)) as run_file:
        with run_file.loading():
            run_file.save_population(Population(**numbers))
            for number, version in enumerate(versions):
                run_file.add(record(user_id=f"u{number}", replicate_version_id=version), "acme/ann", finding())
            other = finding(Reason.OUTDATED_VERSION, latest_version=NEW)
            run_file.add(record(user_id="x", replicate_version_id=f"acme/ann:{OLD}"), "acme/ann", other)
        return Plan(run_file, PlanSettings(), utc_now()).rules


QUALIFIED = f"acme/ann:{NEW}"


@pytest.mark.parametrize(
    ("versions", "tables", "counts", "form"),
    [
        pytest.param([NEW, NEW, QUALIFIED], PLAIN, {}, "hash", id="most are bare"),
        pytest.param([NEW, QUALIFIED, QUALIFIED], PLAIN, {}, "qualified", id="most are qualified"),
        pytest.param([NEW, QUALIFIED], PLAIN, {}, "hash", id="as many"),
        pytest.param([], PLAIN, {}, "hash", id="nobody is up to date, and nothing is known"),
        pytest.param(
            [],
            PLAIN,
            {"completed_with_version": 3, "completed_qualified": 2},
            "qualified",
            id="nobody is up to date, and most completed rows are qualified",
        ),
        pytest.param([QUALIFIED], msgspec.structs.replace(PLAIN, version_form="hash"), {}, "hash", id="it is said"),
    ],
)
def test_versions_are_written_as_most_rows_that_are_up_to_date_have_them(
    tmp_path: Path, versions: list[str | None], tables: Tables, counts: dict[str, int], form: str
) -> None:
    assert rules_of(tmp_path, versions, tables, **counts).version_form == form


@pytest.mark.parametrize(("count", "in_use"), [(0, False), (5, False), (6, True)])
def test_weights_are_in_use_where_more_than_half_of_all_completed_rows_have_some(
    tmp_path: Path, count: int, *, in_use: bool
) -> None:
    assert rules_of(tmp_path, [], completed_models=10, completed_with_weights=count).weights_in_use is in_use


@pytest.mark.parametrize(
    ("counts", "word"),
    [({}, "ready"), ({"succeeded": 2, "ready": 1, "failed": 9}, "succeeded"), ({"succeeded": 1, "ready": 1}, "ready")],
)
def test_a_row_is_completed_by_the_word_that_most_have(tmp_path: Path, counts: dict[str, int], word: str) -> None:
    tables = msgspec.structs.replace(PLAIN, completed=("ready", "succeeded"))
    assert rules_of(tmp_path, [], tables, training_status=counts).completed_word == word


def test_a_date_that_shares_its_column_with_another_is_not_set(tmp_path: Path) -> None:
    shared = Table("user_models", (), (("completed_at", "updated_at"),))
    tables = msgspec.structs.replace(PLAIN, user_models=shared)
    assert rules_of(tmp_path, [], tables).not_set == {Column.UPDATED_AT}


@pytest.mark.parametrize("who", ["7", "SEVEN@example.com", "acme/m7"])
def test_an_id_or_e_mail_names_nobody_whose_model_has_it_as_a_part(tmp_path: Path, who: str) -> None:
    numbers = (7, 77, 17)
    users = [
        AuditedUser(
            record(
                user_id=f"{n}",
                email="seven@example.com" if n == 7 else None,
                model_row_id=f"r{n}",
                replicate_model_id=f"acme/m{n}-seven@example.com",
            ),
            finding(Reason.OUTDATED_VERSION, latest_version=NEW),
        )
        for n in numbers
    ]
    with RunFile.open(run_file_of(tmp_path / "run.sqlite", users)) as run_file:
        plan = Plan(run_file, PlanSettings(filters=Filters(users=(who,))), utc_now())
        meant = {planned.user.record.user_id for planned in plan.outcomes()}
    assert meant == ({"7", "77"} if who == "acme/m7" else {"7"})
