"""`sync --undo` finds the run of its file whatever that is called, and undoes also where the journal cannot be told."""

import resource
import shutil
from collections.abc import Iterator

import pytest

from audit.model.exit_status import COULD_NOT_RUN, INCOMPLETE, NEEDS_SYNC, OK
from audit.model.repair import ChangeState
from tests.support import psql
from tests.support.audits import Shell
from tests.support.shops import Shop, opened


@pytest.fixture
def shop(postgres_server: str, shell: Shell) -> Iterator[Shop]:
    with opened(postgres_server, "to_undo", shell) as shop:
        yield shop


@pytest.mark.parametrize("name", ["plain", "x.db", "run.v1.sqlite", "-apply.sql.sqlite"])
def test_a_run_file_of_any_name_is_found_and_its_journal_told(shop: Shop, name: str) -> None:
    before = shop.digest
    (shop.shell.folder / "run.sqlite").rename(shop.shell.folder / name)
    undo_file = f"{name.removesuffix('.sqlite')}-undo.sql"
    assert shop.shell("sync", "--apply", "--yes", "--", name).code == OK
    assert shop.states(name) == {ChangeState.DONE}
    undone = shop.shell("sync", "--yes", f"--undo=./{undo_file}")
    assert undone.code == OK, undone.err
    assert shop.states(name) == {ChangeState.UNDONE}
    assert shop.digest == before


def test_a_run_file_is_found_by_its_content_where_it_was_renamed_since(shop: Shop) -> None:
    before = shop.digest
    assert shop.shell("sync", "run.sqlite", "--apply", "--yes").code == OK
    shutil.copy(shop.shell.folder / "run.sqlite", shop.shell.folder / "aaa")
    (shop.shell.folder / "run.sqlite").unlink()
    (shop.shell.folder / "run.sqlite").write_bytes(b"something else")
    (shop.shell.folder / "run-undo.sql").rename(shop.shell.folder / "mine.sql")
    assert shop.shell("sync", "--undo", "mine.sql", "--yes").code == OK
    assert shop.states("aaa") == {ChangeState.UNDONE}
    assert shop.digest == before


@pytest.mark.parametrize("what", [b'"id":"', b'"model_row_id":"', b"CREATE TABLE repair"])
def test_a_damaged_run_file_does_not_turn_what_was_done_into_what_was_planned(shop: Shop, what: bytes) -> None:
    path = shop.shell.folder / "run.sqlite"
    assert shop.shell("sync", "run.sqlite", "--apply", "--yes").code == OK
    after, content = shop.digest, bytearray(path.read_bytes())
    content[content.index(what) + len(what) + 1] ^= 1
    path.write_bytes(content)
    undone = shop.shell("sync", "--undo", "run-undo.sql", "--yes")
    assert (undone.code, shop.digest) == (COULD_NOT_RUN, after), undone.err
    assert "the run file run.sqlite is damaged" in undone.err


@pytest.mark.parametrize("name", ["../run.sqlite", "/", "..", "no/such"])
def test_a_header_leads_nowhere_but_into_its_own_directory(shop: Shop, name: str) -> None:
    before = shop.digest
    assert shop.shell("sync", "run.sqlite", "--apply", "--yes").code == OK
    text = (shop.shell.folder / "run-undo.sql").read_text().replace("Run file: run.sqlite", f"Run file: {name}")
    (shop.shell.folder / "mine.sql").write_text(text)
    undone = shop.shell("sync", "--undo", "mine.sql", "--yes")
    assert (undone.code, shop.digest) == (OK, before), undone.err
    assert shop.states() == {ChangeState.UNDONE}


def test_what_psql_has_done_by_a_run_file_of_any_name_is_undone(shop: Shop) -> None:
    before = shop.digest
    (shop.shell.folder / "run.sqlite").rename(shop.shell.folder / "x.db")
    assert shop.shell("sync", "x.db").code == NEEDS_SYNC
    assert psql.run(shop.dsn, shop.shell.folder / "x.db-apply.sql").returncode == 0
    assert shop.digest != before
    assert shop.shell("sync", "--undo", "x.db-undo.sql", "--yes").code == OK
    assert shop.digest == before


def test_without_room_for_the_journal_everything_is_put_back_and_the_same_command_tells_it_later(shop: Shop) -> None:
    before = shop.digest
    assert shop.shell("sync", "run.sqlite", "--apply", "--yes").code == OK
    assert shop.digest != before
    undo = ("sync", "--undo", "run-undo.sql", "--yes")
    shop.shell.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    shop.shell.who["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    undone = shop.shell(*undo)
    assert undone.code == INCOMPLETE, undone.err
    assert "The rows are put back, but the journal does not know it: " in undone.err
    assert shop.digest == before
    assert shop.states() == {ChangeState.DONE}
    del shop.shell.who["preexec_fn"]
    again = shop.shell(*undo)
    assert again.code == OK, again.err
    assert "put back already" in again.err
    assert shop.states() == {ChangeState.UNDONE}


def test_nothing_that_was_never_done_is_undone_and_that_is_no_failure(shop: Shop) -> None:
    assert shop.shell("sync", "run.sqlite").code == NEEDS_SYNC
    before = shop.digest
    undone = shop.shell("sync", "--undo", "run-undo.sql", "--yes")
    assert undone.code == OK
    assert "0 rows put back, " in undone.err
    assert "never changed" in undone.err
    assert shop.digest == before


def test_a_model_id_with_blanks_around_it_is_asked_for_as_the_audit_asked(shop: Shop) -> None:
    shop.sql("UPDATE user_models SET replicate_model_id = E' ' || replicate_model_id || E'\\n'")
    fresh = shop.shell("run", "--run-file", "blanks.sqlite", "-o", "csv=blanks.csv")
    assert fresh.code in {NEEDS_SYNC, INCOMPLETE}, fresh.err
    applied = shop.shell("sync", "blanks.sqlite", "--apply", "--yes")
    assert applied.code == OK, applied.err
    assert ", 0 users left out" not in applied.out
    assert "rows changed" in applied.err


ODD_TABLES = {
    "no weights": "ALTER TABLE user_models DROP lora_weights_url",
    "an enum of states, two of which mean completed": """
        CREATE TYPE state AS ENUM ('completed', 'succeeded', 'failed', 'training', 'pending', 'processing');
        ALTER TABLE user_models ALTER training_status TYPE state USING training_status::state;
        UPDATE user_models SET training_status = 'succeeded' WHERE training_status = 'completed' AND id % 2 = 0
    """,
    "dates that never come": "UPDATE user_models SET updated_at = 'infinity' WHERE id % 3 = 0",
    "versions of fixed length": "ALTER TABLE user_models ALTER replicate_version_id TYPE char(90)",
}


@pytest.mark.parametrize("change", ODD_TABLES.values(), ids=ODD_TABLES)
def test_odd_tables_are_repaired_and_undone_by_the_program_and_by_psql(shop: Shop, change: str) -> None:
    for statement in change.split(";"):
        shop.sql(statement)
    (shop.shell.folder / "sync-audit.toml").write_text('[database]\ncompleted = ["completed", "succeeded"]\n')
    assert shop("run", "--run-file", "odd.sqlite", "-o", "csv=odd.csv").code in {NEEDS_SYNC, INCOMPLETE}
    before = shop.digest
    applied = shop("sync", "odd.sqlite", "--apply", "--yes")
    assert applied.code == OK, applied.err
    done = shop.digest
    assert done != before
    assert shop("sync", "--undo", "odd-undo.sql", "--yes").code == OK
    assert shop.digest == before
    assert shop("sync", "odd.sqlite").code == NEEDS_SYNC
    for file, expected in (("odd-apply.sql", done), ("odd-undo.sql", before)):
        ended = psql.run(shop.dsn, shop.shell.folder / file)
        assert (ended.returncode, shop.digest) == (0, expected), ended.stderr


def test_touch_does_not_overwrite_a_date_that_is_mapped_to_the_same_column(shop: Shop) -> None:
    (shop.shell.folder / "sync-audit.toml").write_text('[database.columns.user_models]\nupdated_at = "created_at"\n')
    assert shop.shell("run", "--run-file", "mapped.sqlite", "-o", "csv=mapped.csv").code in {NEEDS_SYNC, INCOMPLETE}
    before = shop.digest
    refused = shop.shell("sync", "mapped.sqlite", "--apply", "--yes", "--touch")
    assert refused.code == 2
    assert "--touch would overwrite user_models.created_at" in refused.err
    assert shop.digest == before
    assert shop.shell("sync", "mapped.sqlite", "--apply", "--yes").code == OK


FIXED = {
    "it is generated from other columns": """
        ALTER TABLE user_models RENAME replicate_version_id TO kept;
        ALTER TABLE user_models ADD replicate_version_id text GENERATED ALWAYS AS (trim(kept)) STORED
    """,
    "it is an expression of the view": """
        ALTER TABLE user_models RENAME TO models;
        ALTER TABLE models RENAME replicate_version_id TO kept;
        CREATE VIEW user_models AS SELECT *, trim(kept) AS replicate_version_id FROM models
    """,
}


@pytest.mark.parametrize(("why", "change"), FIXED.items(), ids=FIXED)
def test_a_column_that_nobody_can_set_is_named_when_it_is_planned(shop: Shop, why: str, change: str) -> None:
    for statement in change.split(";"):
        shop.sql(statement)
    assert shop.shell("run", "--run-file", "fixed.sqlite", "-o", "csv=f.csv").code in {NEEDS_SYNC, INCOMPLETE}
    for more in ((), ("--apply", "--yes")):
        refused = shop.shell("sync", "fixed.sqlite", *more)
        assert refused.code == 5
        assert f"column user_models.replicate_version_id cannot be set, as {why}" in refused.err
