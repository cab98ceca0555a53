"""Copy fix: the command for one user, and an UPDATE that changes the row that the audit saw, and no other."""

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from audit.commands.sync.files import write_plan
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.model.tables import Tables
from audit.model.times import utc_now
from audit.repair.plan import Plan
from audit.repair.rules import PlanSettings
from audit.report.fix import Fix, Fixes
from audit.report.view import RunView
from audit.runfile import RunFile
from tests.support import psql
from tests.support.database_rows import execute, insert, model
from tests.support.repairs import TEXTS, TYPES, of_types, people, rows, run_of
from tests.support.report_samples import SampleRun, everything, failed, outdated, up_to_date
from tests.support.samples import NEW

FILE = "sync-audit-20260301-120000.sqlite"


def fixes_of(path: Path, *, redact: bool = False) -> list[Fix]:
    """Of a run in which everybody has one."""
    with RunFile.open(path) as run_file:
        found = [fix for _, fix in Fixes(RunView(run_file, redact=redact)).users()]
    return [fix for fix in found if fix]


def made(users: Iterable[AuditedUser], **changes: Any) -> list[tuple[AuditedUser, Fix | None]]:
    return list(Fixes(RunView(SampleRun([*users]), **changes)).users())


async def done(dsn: str, fixes: Iterable[Fix]) -> list[str]:
    """What the server says of each statement."""
    connection = await asyncpg.connect(dsn)
    try:
        return [await connection.execute(fix.sql) for fix in fixes if fix.sql]
    finally:
        await connection.close()


def by_psql(dsn: str, folder: Path, fixes: Iterable[Fix]) -> list[str]:
    """What psql prints, as it is pasted."""
    (folder / "fix.sql").write_text("\n\n".join(fix.sql or "" for fix in fixes))
    ended = psql.run(dsn, folder / "fix.sql", "--set", "ON_ERROR_STOP=1")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split("\n")[:-1]


@pytest.mark.parametrize("changes", TYPES.values(), ids=TYPES)
async def test_it_does_what_sync_does_whatever_the_columns_types(
    database: str, tmp_path: Path, changes: dict[str, str]
) -> None:
    await of_types(database, changes)
    path = await run_of(database, tmp_path)
    fixes = fixes_of(path)
    with RunFile.open(path) as run_file:
        written = write_plan(Plan(run_file, PlanSettings(), utc_now()), path)
    assert written.apply_file
    assert written.undo_file
    assert psql.run(database, written.apply_file).returncode == 0
    synced = await rows(database)
    assert await done(database, fixes) == ["UPDATE 0"] * 4
    assert psql.run(database, written.undo_file).returncode == 0
    assert await rows(database) != synced
    assert by_psql(database, tmp_path, fixes) == ["UPDATE 1"] * 4
    assert await rows(database) == synced


CHANGES = {
    "user": "user_id = 'p2'",
    "test": "is_test = true",
    "status": "training_status = 'Completed'",
    "model": "replicate_model_id = 'acme/other'",
    "version": "replicate_version_id = replicate_version_id || ' '",
    "weights": "lora_weights_url = NULL",
    "training": "training_id = NULL",
    "updated": "updated_at = updated_at + interval '1 microsecond'",
    "completed": "completed_at = 'infinity'",
    "created": "created_at = NULL",
}


@pytest.mark.parametrize("edited", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("word", ["text", "citext"])
async def test_a_row_that_has_changed_since_is_left_as_it_is(
    tables: str, tmp_path: Path, edited: str, word: str
) -> None:
    await execute(tables, "CREATE EXTENSION IF NOT EXISTS citext" if word == "citext" else "SELECT 1")
    await execute(tables, f"ALTER TABLE user_models ALTER training_status TYPE {word}")
    await people(tables, [{"id": 1}, {"id": 2}])
    fixes = fixes_of(await run_of(tables, tmp_path))
    await execute(tables, f"UPDATE user_models SET {edited} WHERE id = 1")
    [one, _] = await rows(tables)
    assert await done(tables, fixes) == ["UPDATE 0", "UPDATE 1"]
    assert (await rows(tables))[0] == one


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
@pytest.mark.parametrize("date", ["infinity", "0044-03-15 BC", "2026-02-01 00:00:00.000001+14", None])
async def test_dates_are_what_the_audit_saw_wherever_it_is_pasted(
    tables: str, tmp_path: Path, zone: str, date: str | None
) -> None:
    await people(tables, [{"id": 1, "updated_at": date}])
    await execute(tables, "ALTER TABLE user_models ALTER created_at TYPE timestamp, ALTER completed_at TYPE date")
    fixes = fixes_of(await run_of(tables, tmp_path))
    await execute(tables, f"ALTER ROLE CURRENT_USER SET TimeZone = '{zone}'")
    await execute(tables, "ALTER ROLE CURRENT_USER SET DateStyle = 'SQL, DMY'")
    try:
        assert await done(tables, fixes) == ["UPDATE 1"]
    finally:
        await execute(tables, "ALTER ROLE CURRENT_USER RESET ALL")


@pytest.mark.parametrize("conforming", ["on", "off"])
async def test_hostile_text_is_only_text(tables: str, tmp_path: Path, conforming: str) -> None:
    texts = [each for each in TEXTS if each]
    several = [{"id": n, "training_id": each, "user_id": f"{n}{each}"} for n, each in enumerate(texts)]
    await people(tables, several)
    fixes = fixes_of(await run_of(tables, tmp_path))
    assert len(fixes) > len(texts) / 2  # ids that no command can hold have none
    options = {"standard_conforming_strings": conforming}
    connection = await asyncpg.connect(tables, server_settings=options)
    for fix in fixes:
        assert await connection.execute(fix.sql or "") == "UPDATE 1"
    await connection.close()
    assert [row["replicate_version_id"] for row in await rows(tables)].count(NEW) == len(fixes)
    await execute(tables, "UPDATE user_models SET replicate_version_id = repeat('f', 64)")
    await execute(tables, "UPDATE user_models SET lora_weights_url = 'https://replicate.delivery/a.tar'")
    assert by_psql(tables, tmp_path, fixes) == ["UPDATE 1"] * len(fixes)
    assert sorted(os.listdir(tmp_path)) == ["fix.sql", "run.sqlite"]  # noqa: PTH208 - nothing else was made


def test_a_pasted_command_means_one_user_however_the_id_looks() -> None:
    for name in ("7", "-5", "it's", "$(id)", "a b", "ünï", "*", "~"):
        [(_, fix)] = made([outdated(1, user_id=name)])
        assert fix
        words = shlex.split(fix.command)
        assert words[:3] == ["sync-audit", "sync", FILE]
        assert words[-1] == "--apply"
        assert words[3:-1] in (["--user", name], [f"--user={name}"])


@pytest.mark.parametrize("name", ["a\nid", "\x1b[201~", " x ", ""])
def test_an_id_that_cannot_be_pasted_is_not(name: str) -> None:
    [(user, fix)] = made([outdated(1, user_id=name)])
    assert fix
    assert shlex.split(fix.command)[-2] == user.record.email
    assert made([outdated(1, user_id=name, email=None)])[0][1] is None


def test_only_whom_sync_would_change_has_a_fix() -> None:
    users = [outdated(1), failed(2, Reason.TIMEOUT), up_to_date(3)]
    assert [fix is not None for _, fix in made(users)] == [True, False, False]


def test_everybody_has_one_place_as_in_the_report() -> None:
    view = RunView(SampleRun(everything()))
    assert [user for user, _ in Fixes(view).users()] == list(view.users())
    assert sum(fix is not None for _, fix in Fixes(view).users()) == view.repairs.changes


@pytest.mark.parametrize(
    ("changes", "has_sql"),
    [({}, True), ({"training_id": "p1@example.com"}, False), ({"training_id": "of-Zoe"}, False)],
)
async def test_a_redacted_report_names_nobody(
    tables: str, tmp_path: Path, changes: dict[str, str], *, has_sql: bool
) -> None:
    await insert(tables, "users", [{"id": "p0", "email": "p0@example.com", "display_name": "Zoe"}])
    await insert(tables, "user_models", [model(user_id="p0", **changes)])
    path = await run_of(tables, tmp_path)
    [fix] = fixes_of(path, redact=True)
    assert fix.command == "sync-audit sync run.sqlite --user p0 --apply"
    assert (fix.sql is not None) is has_sql
    assert "@" not in fix.text
    assert "Zoe" not in fix.text
    [plain] = fixes_of(path)
    assert plain.sql


def test_an_id_that_is_an_address_is_not_in_a_redacted_report() -> None:
    users = [outdated(1, user_id="anna@example.com")]
    assert made(users)[0][1]
    assert made(users, redact=True)[0][1] is None


async def test_where_the_weights_are_looked_up_first_there_is_the_command_alone(tables: str, tmp_path: Path) -> None:
    await people(tables, [{"id": 1}])
    [fix] = fixes_of(await run_of(tables, tmp_path, alone=["1"]))
    assert fix.sql is None
    assert fix.text == fix.command


async def test_rows_that_a_condition_has_left_out_since_are_left_as_they_are(tables: str, tmp_path: Path) -> None:
    await people(tables, [{"id": 1}, {"id": 2}])
    where = Tables(where="model_name <> 'hidden' -- theirs")
    fixes = fixes_of(await run_of(tables, tmp_path, tables=where))
    await execute(tables, "UPDATE user_models SET model_name = 'hidden' WHERE id = 1")
    assert await done(tables, fixes) == ["UPDATE 0", "UPDATE 1"]


async def test_the_comments_name_the_run_and_nobody(tables: str, tmp_path: Path) -> None:
    await people(tables, [{"id": 1}])
    [fix] = fixes_of(await run_of(tables, tmp_path))
    first, second, update = (fix.sql or "").split("\n")[:3]
    assert first.startswith(f"-- sync-audit, run {'0' * 32} of socket/test_")
    assert "UPDATE 0" in first
    assert second.startswith("-- ")
    assert update == "UPDATE public.user_models AS m"
    assert fix.text == f"{fix.command}\n\n{fix.sql}"
