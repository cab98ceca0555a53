"""What commands write for a kept run is what an earlier program wrote for it. See `tests.golden`."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.golden import files as golden
from tests.golden import run as golden_run
from tests.support.audits import Servers, Shell, new_database
from tests.support.database_rows import MODELS, USERS, execute, insert

AGAIN = "python -m tests.golden.files tests/fixtures/golden"


@pytest.mark.parametrize("name", golden.COMMANDS)
def test_a_command_writes_for_the_kept_run_what_it_wrote_before(shell: Shell, name: str) -> None:
    kept, now = golden.stored(name), golden.written(shell, name)
    for file in ("output.txt", *sorted(kept.keys() & now.keys() - {"output.txt"})):  # errors are in the first
        differs = golden.difference(file, kept[file], now[file])
        assert not differs, f"{name}/{file} differs; if that is meant: {AGAIN}\n{differs}"
    assert now.keys() == kept.keys(), AGAIN


OLDER = golden.KEPT / "older"
"""The undo file of the plan, by a program that did not ask for deeds; rows as psql's run of that plan had left them;
and what is right after undoing: only the two rows of which the journal says so are put back."""
UNDONE = """\
2 rows put back, 1 put back already, 2 never changed, 1 not known
Of these rows nobody knows yet whether an earlier command has changed them: its
transaction is still open, or the server has forgotten it. They are left as they
are; run the same command again later, or look at them by hand.
"""


def test_a_kept_undo_file_puts_back_every_row_that_its_journal_tells(postgres_server: str, shell: Shell) -> None:
    applied, undone = (json.loads((OLDER / f"{name}.json").read_text()) for name in ("applied", "undone"))
    dsn = asyncio.run(new_database(postgres_server, golden_run.DATABASE))
    asyncio.run(execute(dsn, USERS, MODELS))
    asyncio.run(insert(dsn, "user_models", applied))
    shutil.copy(OLDER / "run-undo.sql", shell.folder)
    moved_from = f"socket:5432/{golden_run.DATABASE}"  # the kept run says no more of its place
    refused = shell("sync", "--undo", "run-undo.sql", "--yes", DATABASE_URL=dsn)
    assert refused.code == 2
    assert "without its run file, it is not known what was really changed" in refused.err
    shutil.copy(golden.KEPT / "run.sqlite", shell.folder)
    ended = shell("sync", "--undo", "run-undo.sql", "--yes", "--moved-from", moved_from, DATABASE_URL=dsn)
    assert asyncio.run(golden_run.rows(dsn)) == undone
    move, _, shown = ended.err.partition("\n")
    assert (ended.code, ended.out) == (4, "")
    assert UNDONE in shown
    assert f"the run was made in {moved_from}" in move
    assert "already changed" not in shell("sync", "run.sqlite", *golden_run.NOT_TOO_OLD).out


CHECKS = """\
settings, setting_config_file, config file: value origin where
settings, setting_database_url, database url: value origin where
settings, setting_api_token, API token: value origin where
settings, setting_base_url, base url: value origin where
settings, setting_rate, rate: value origin where
settings, setting_concurrency, concurrency: value origin where
settings, setting_timeout, timeout: value origin where
settings, setting_retries, retries: value origin where
settings, setting_statement_timeout, statement timeout: value origin where
database, database_reachable, database: label version encoding latency_ms
database, database_tls, encryption: tls local
database, database_role, role: role superuser writable read_only
database, database_pooler, pooler: pooled
database, database_clock, its clock: ahead_seconds
database, tables, tables: rows is_view
database, optional_columns, columns: missing lost
database, user_id_index, index: index is_view
people, population, users: users users_with_completed_model users_with_several_completed_models models_without_user
people, training_status, statuses: training_status near_misses unknown
people, model_ids, model ids: null blank malformed
people, test_rows, test rows: test_models_left_out
replicate, replicate_reachable, Replicate: latency_ms status
replicate, token, token: username type
replicate, replicate_clock, its clock: ahead_seconds
replicate, rate_left, rate left: remaining reset_seconds
replicate, owners, owners: owners owner_count account_users askable_users
replicate, model, one model: model user_id status reason
replicate, duration, an audit: models requests seconds per_minute bound
"""
"""Group, name, title and keys of `data`. Figures depend on the machine."""


def test_the_json_of_doctor_has_the_same_checks_and_keys_as_before(servers: Servers, shell: Shell) -> None:
    document = json.loads(shell("doctor", "--json", **servers.environ).out)
    assert list(document) == ["schema_version", "tool", "exit_code", "summary", "checks"]
    assert {tuple(check) for check in document["checks"]} == {
        ("group", "name", "title", "state", "figure", "next_step", "data")
    }
    checks = [
        f"{check['group']}, {check['name']}, {check['title']}: {' '.join(check['data'])}"
        for check in document["checks"]
    ]
    assert checks == CHECKS.splitlines()


@pytest.mark.parametrize(
    ("file", "kept", "now", "same"),
    [
        ("a.html", "<ul>\n  <li>1 <b>of</b>\n two</li></ul>", "<ul><li> 1 <b>of</b> two\n</li>\n</ul>\n", True),
        ("a.html", "<li>1 <b>of</b> two</li>", "<li>1 <b>of</b>two</li>", False),
        ("a.html", "<pre>a\n b</pre>", "<pre>a\n  b</pre>", False),
        ("a.html", "<script>a  b</script>", "<script>a b</script>", False),
        ("a.html", '<p class="a">b</p>', '<p class="c">b</p>', False),
        ("a.md", "a  b", "a b", False),
        ("a.md", "by sync-audit 0.1.0.", "by sync-audit 0.2.0rc1.", True),
        ("a.json", '"version": "0.1.0"', '"version": "1.10.0"', True),
        ("a.json", '"planned_at": "2026"', '"planned_at": "2027"', True),
        ("a.json", '"started_at": "2026"', '"started_at": "2027"', False),
        ("a.sql", "-- planned 2026Z\nBEGIN;", "-- planned 2027Z\nBEGIN;", True),
        ("a.sql", "BEGIN;", "BEGIN;\n", False),
    ],
)
def test_only_versions_times_of_plans_and_the_layout_of_html_may_differ(
    file: str,
    kept: str,
    now: str,
    same: bool,  # noqa: FBT001 - pytest's
) -> None:
    assert (golden.difference(file, kept, now) == "") is same


@pytest.mark.slow
def test_a_run_like_the_kept_one_can_be_made_anew(tmp_path: Path) -> None:
    golden_run.make(tmp_path)
    assert journal(tmp_path / "run.sqlite") == journal(golden.KEPT / "run.sqlite")


def journal(run_file: Path) -> list[tuple[str, str]]:
    """Row and state of each entry."""
    with closing(sqlite3.connect(f"{run_file.as_uri()}?mode=ro", uri=True)) as file:
        return list(file.execute("SELECT model_row_id, state FROM repair"))
