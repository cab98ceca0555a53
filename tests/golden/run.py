"""Makes the run of the golden files: an audit of the demo's users, and a repair of some of them.

The run file has trainings, acceptances of every kind, users that are new, known and resolved since a baseline, and a
repair journal with every state. Commands make it on real servers. Times and the port of the fake Replicate are set
afterwards.
"""

import asyncio
import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from msgspec.structs import replace

from audit.demo.database import load
from audit.demo.fake_replicate.faults import Refused
from audit.demo.fake_replicate.server import in_thread
from audit.demo.postgres import embedded_postgres
from audit.demo.users import users_at
from audit.model.times import utc_text
from audit.runfile import RunFile
from tests import ROOT
from tests.support.audits import Ended, Servers, Shell, new_database
from tests.support.database_rows import execute
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.run_files import edited

EARLIER = ROOT / "tests/fixtures/report-0.1.0.json"
"""The baseline: a JSON report of the demo's users as release 0.1.0 wrote it."""
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
"""When the run began; later than the baseline."""
DATABASE = "golden"
NOT_TOO_OLD = ("--max-age", "20000d")
"""Findings of the run stay young enough for decades, but for one user, who was checked in 1970."""

ACCEPTED = """\
[[accept]]
user = "MATEO.garcia@example.com"
reason = "outdated_version"
because = "the studio's own model, which they record themselves"
until = 2027-06-30
author = "Bo"

[[accept]]
model = "acme-labs/user-9019beb7-selfie-lora"
reason = "model_not_found"
because = "deleted on purpose"
until = 2026-12-01

[[accept]]
user = "sarah.cohen@example.com"
reason = "outdated_version"
version = "{sarah}"
because = "shares a model, and is content with this version"
until = 2027-06-30

[[accept]]
user = "zofia.nowak@example.com"
reason = "no_version_recorded"
because = "was to be repaired in November"
until = 2026-11-30
author = "Ann"

[[accept]]
user = "victor.almeida@example.com"
reason = "outdated_version"
version = "0000000000000000000000000000000000000000000000000000000000000000"
because = "holds for a version that is not recorded any more"
until = 2027-12-31

[[accept]]
user = "nobody@example.com"
reason = "timeout"
because = "is not in the run"
until = 2027-12-31
"""

LOSE = """
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
CREATE TRIGGER losing BEFORE UPDATE ON user_models FOR EACH ROW EXECUTE FUNCTION lose();
"""
LOSE_NO_MORE = "DROP TRIGGER losing ON user_models; DROP FUNCTION lose;"


def make(folder: Path) -> None:
    """Write run.sqlite into `folder`."""
    demo_users = users_at(NOW)
    with (
        tempfile.TemporaryDirectory() as scratch,
        embedded_postgres(None) as server,
        in_thread(InstrumentedReplicate(demo_users.world)) as fake,
    ):
        dsn = asyncio.run(new_database(server, DATABASE))
        asyncio.run(load(dsn, demo_users))
        shell = Shell(Path(scratch), Servers(dsn, fake).environ)
        _since_earlier(dsn)
        _audit(shell)
        _repair(shell, dsn, fake)
        _settle_times(shell.folder / "run.sqlite")
        shutil.copy(shell.folder / "run.sqlite", folder)


async def rows(dsn: str) -> list[dict[str, Any]]:
    """All rows of `user_models` by id, as JSON; times in UTC."""
    connection = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"})
    try:
        query = "SELECT json_agg(to_jsonb(each) - 'display_name' - 'started_at' ORDER BY id) FROM user_models AS each"
        found: list[dict[str, Any]] = json.loads(await connection.fetchval(query))
    finally:
        await connection.close()
    return found


def _since_earlier(dsn: str) -> None:
    """Change rows so that users are resolved, new, changed, not comparable and gone since the baseline."""
    noah, jonas, alice = map(_earlier, ("noah.kim@", "jonas.weber@", "alice.moreau@"))
    _set(dsn, "noah.kim@example.com", "replicate_version_id", noah["latest_version"])
    _set(dsn, "jonas.weber@example.com", "replicate_version_id", jonas["all_versions"][1]["id"])
    _set(dsn, "elena.petrova@example.com", "replicate_version_id", "newest")
    _set(dsn, "tomas.herrera@example.org", "replicate_model_id", alice["replicate_model_id"])
    _set(dsn, "hugo.martin@example.com", "training_status", "failed")


def _audit(shell: Shell) -> None:
    shutil.copy(EARLIER, shell.folder / "earlier.json")
    (shell.folder / "accepted.toml").write_text(ACCEPTED.format(sarah=_earlier("sarah.cohen@")["current_version"]))
    read = ("--mode", "trainings", "--verify-sample", "50", "--baseline", "earlier.json", "--accept", "accepted.toml")
    _ends(shell("run", *read, "--fail-on", "new", "--run-file", "run.sqlite", "-o", "json=-"), 4)


def _repair(shell: Shell, dsn: str, fake: InstrumentedReplicate) -> None:
    """Leave two rows done, two undone, one failed, one skipped and one begun; the rest is not tried."""

    def apply(*names: str, code: int, more: tuple[str, ...] = ()) -> None:
        users = (word for name in names for word in ("--user", f"{name}@example.com"))
        _ends(shell("sync", "run.sqlite", "--apply", "--yes", *users, *more), code)

    fake.inject(Refused(status=500, times=1))
    more = ("--include", "malformed_version", "--concurrency", "1", "--retries", "0")
    apply("aisha.bello", "marcus.johnson", code=4, more=more)
    _set(dsn, "ingrid.solberg@example.com", "replicate_version_id", "edited by somebody")
    apply("beatriz.costa", "ingrid.solberg", "samuel.osei", "victor.almeida", code=4)
    undo_file = shell.folder / "run-undo.sql"
    lines = undo_file.read_text().splitlines(keepends=True)
    two = [line for line in lines if line.startswith("('{")][:2]
    undo_file.write_text("".join(line for line in lines if not line.startswith("('{") or line in two))
    _ends(shell("sync", "--undo", "run-undo.sql", "--yes"), 0)
    asyncio.run(execute(dsn, LOSE))
    apply("zofia.nowak", code=4)
    asyncio.run(execute(dsn, LOSE_NO_MORE))


def _settle_times(run_file: Path) -> None:
    with RunFile.resume(run_file) as opened:
        info = opened.info
        assert info.trainings
        opened.save_info(
            replace(
                info,
                started_at=utc_text(NOW),
                finished_at=utc_text(NOW + timedelta(seconds=2.25)),
                base_url="http://127.0.0.1:8000/v1",
                trainings=replace(info.trainings, began_at=utc_text(NOW)),
            )
        )
    edited(
        run_file,
        f"UPDATE audited SET checked_at = {int(NOW.timestamp()) + 1} WHERE checked_at IS NOT NULL",
        "UPDATE audited SET checked_at = 1 WHERE record LIKE '%marcus.johnson%'",
    )


def _earlier(email: str) -> dict[str, Any]:
    """The user of the baseline whose e-mail begins so."""
    users: list[dict[str, Any]] = json.loads(EARLIER.read_text())["users"]
    return next(user for user in users if (user["email"] or "").startswith(email))


def _set(dsn: str, email: str, column: str, value: str) -> None:
    async def update() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            query = f"UPDATE user_models SET {column} = $1 WHERE user_id = (SELECT id FROM users WHERE email = $2)"
            assert await connection.execute(query, value, email) == "UPDATE 1"
        finally:
            await connection.close()

    asyncio.run(update())


def _ends(ended: Ended, code: int) -> None:
    assert ended.code == code, ended.err
