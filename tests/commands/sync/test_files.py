"""Files for psql: they mean what was meant, whatever the values hold, and only in their place and time."""

import asyncio
import os
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import pytest

from audit.commands.sync.files import UndoLine, read_notes, read_undo_file, write_plan
from audit.errors import SettingsError
from audit.model.tables import Column
from audit.model.times import utc_now
from audit.repair.plan import Plan
from audit.repair.rules import PlanSettings
from audit.runfile import RunFile
from tests.support import psql
from tests.support.database_rows import execute, insert, model
from tests.support.repairs import TEXTS, TYPES, URL, of_types, people, rows, run_of
from tests.support.samples import NEW

ROW = re.compile(r"^\(E?'\{", re.MULTILINE)


class Files(NamedTuple):
    """Of a plan that gives every row the version `NEW`, and all but those with a version alone the weights `URL`."""

    apply: Path
    undo: Path
    deeds: Path


async def planned(dsn: str, folder: Path, settings: PlanSettings | None = None, alone: tuple[str, ...] = ()) -> Files:
    """Audit the table as it is, as if NEW were everybody's latest version, and plan that."""
    path = await run_of(dsn, folder, alone)
    with RunFile.open(path) as run_file:
        written = write_plan(Plan(run_file, settings or PlanSettings(), utc_now()), path)
    assert written.apply_file
    assert written.undo_file
    return Files(written.apply_file, written.undo_file, folder / "run-applied.txt")


def ran(dsn: str, file: Path, done: int, skipped: int = 0) -> str:
    """Run `file`, and see that it has done so much; what it has printed."""
    ended = psql.run(dsn, file)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(rf"^rows (changed|put back): {done}, skipped: {skipped}$", ended.stdout, re.MULTILINE)
    return ended.stdout


def refused(dsn: str, file: Path) -> str:
    """Run `file`, which has to change nothing; what psql says."""
    ended = psql.run(dsn, file)
    assert ended.returncode == 3
    return ended.stderr


@pytest.fixture
async def two(tables: str) -> str:
    """Two rows of two users."""
    await people(tables, [{"id": 1}, {"id": 2}])
    return tables


@pytest.mark.parametrize("changes", TYPES.values(), ids=TYPES)
async def test_psql_does_and_undoes_it_whatever_the_columns_types(
    database: str, tmp_path: Path, changes: dict[str, str]
) -> None:
    ids = await of_types(database, changes)
    before = await rows(database)
    files = await planned(database, tmp_path, PlanSettings(version_only=True), alone=(ids[3],))
    ran(database, files.apply, 4)
    assert {row["replicate_version_id"].strip() for row in await rows(database)} == {NEW}
    ran(database, files.undo, 4)
    assert await rows(database) == before
    ran(database, files.undo, 0)


@pytest.mark.parametrize("conforming", ["on", "off"])
async def test_hostile_text_is_only_text_to_psql(tables: str, tmp_path: Path, conforming: str) -> None:
    texts = [each for each in TEXTS if each]
    await people(
        tables,
        [
            {"id": number, "replicate_version_id": each, "lora_weights_url": each, "training_id": each}
            for number, each in enumerate(texts)
        ],
    )
    name = urlsplit(tables).path.removeprefix("/")
    await execute(tables, f"ALTER DATABASE {name} SET standard_conforming_strings = {conforming}")
    before = await rows(tables)
    files = await planned(tables, tmp_path, PlanSettings(version_only=True))
    ran(tables, files.apply, len(texts))
    assert {row["replicate_version_id"] for row in await rows(tables)} == {NEW}
    ran(tables, files.undo, len(texts))
    assert await rows(tables) == before
    made = ["run-applied.txt", "run-apply.sql", "run-undo.sql", "run.sqlite"]
    assert sorted(os.listdir(tmp_path)) == made  # noqa: PTH208 - nothing else was made


async def test_names_of_any_kind_are_names_and_a_path_with_quotes_a_path(two: str, tmp_path: Path) -> None:
    folder = tmp_path / 'it is a "folder", isn\'t it $HOME `id`'
    folder.mkdir()
    files = await planned(two, folder)
    ran(two, files.apply, 2)
    assert files.deeds.stat().st_mode & 0o777 == 0o600
    ran(two, files.undo, 2)


CHANGED = {
    "version": ("replicate_version_id = 'newer'", "replicate_version_id"),
    "weights": ("lora_weights_url = 'newer'", "lora_weights_url"),
    "model": ("replicate_model_id = 'acme/other'", "replicate_model_id"),
    "user": ("user_id = 'p2'", "user_id"),
    "test": ("is_test = true", "is_test"),
    "time": ("updated_at = updated_at + interval '1 microsecond'", "updated_at"),
    "status": ("training_status = 'processing'", "training_status"),
}


@pytest.mark.parametrize(("edited", "why"), CHANGED.values(), ids=CHANGED)
async def test_a_row_that_has_changed_is_left_as_it_is_and_named(
    two: str, tmp_path: Path, edited: str, why: str
) -> None:
    await insert(two, "users", [{"id": "p2", "email": None, "display_name": None}])
    files = await planned(two, tmp_path)
    await execute(two, f"UPDATE user_models SET {edited} WHERE id = 1")
    [one, _] = await rows(two)
    assert f'skipped row "1": {why}\n' in ran(two, files.apply, 1, 1)
    assert (await rows(two))[0] == one
    ran(two, files.undo, 1)
    assert (await rows(two))[0] == one


OTHERS = {
    "retraining": {"training_status": "Processing", "created_at": "2026-04-01T00:00:00Z", "user_id": "p0"},
    "other_row": {"updated_at": "2026-04-01T00:00:00Z", "user_id": "p0"},
    "shared": {"user_id": "p2"},
}


@pytest.mark.parametrize(("why", "row"), OTHERS.items(), ids=OTHERS)
async def test_a_row_to_which_another_has_come_is_left_as_it_is(
    two: str, tmp_path: Path, why: str, row: dict[str, Any]
) -> None:
    await insert(two, "users", [{"id": "p2", "email": None, "display_name": None}])
    files = await planned(two, tmp_path)
    await insert(two, "user_models", [model(id=3, replicate_model_id="acme/m0", **row)])
    assert f'skipped row "1": {why}\n' in ran(two, files.apply, 1, 1)


async def test_what_psql_did_not_do_is_not_undone(two: str, tmp_path: Path) -> None:
    """The product records the version itself: its own write stays."""
    files = await planned(two, tmp_path)
    await execute(two, f"UPDATE user_models SET replicate_version_id = '{NEW}'")
    before = await rows(two)
    ran(two, files.undo, 0)
    ran(two, files.apply, 0, 2)
    ran(two, files.undo, 0)
    assert await rows(two) == before


async def test_what_was_put_back_is_not_put_back_twice(two: str, tmp_path: Path) -> None:
    files = await planned(two, tmp_path)
    ran(two, files.apply, 2)
    applied = await rows(two)
    ran(two, files.undo, 2)
    await execute(two, f"UPDATE user_models SET replicate_version_id = '{NEW}', lora_weights_url = '{URL}'")
    assert await rows(two) == applied, "as if nobody had been there"
    ran(two, files.undo, 0)
    assert await rows(two) == applied
    assert [notes[-1].undone for notes in read_notes(files.deeds, "0" * 32).values()] == [True, True]


async def test_lines_may_be_deleted_from_both_files(two: str, tmp_path: Path) -> None:
    files = await planned(two, tmp_path)

    def without_first_row(file: Path) -> None:
        lines = file.read_text().splitlines(keepends=True)
        first = next(line for line in lines if ROW.match(line))
        file.write_text("".join(line for line in lines if line != first))

    undo = files.undo.read_text()
    without_first_row(files.apply)
    ran(two, files.apply, 1)
    assert [row["replicate_version_id"] == NEW for row in await rows(two)] == [False, True]
    ran(two, files.undo, 1)
    ran(two, (await planned(two, tmp_path)).apply, 2)
    assert len(ROW.findall(files.undo.read_text())) == len(ROW.findall(undo)) == 2
    without_first_row(files.undo)
    ran(two, files.undo, 1)
    assert [row["replicate_version_id"] == NEW for row in await rows(two)] == [True, False]


def edit(file: Path, old: str, new: str) -> None:
    """Replace `old` wherever it stands."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", ["apply", "undo"])
async def test_a_line_that_was_changed_changes_nothing(two: str, tmp_path: Path, name: str) -> None:
    files = await planned(two, tmp_path)
    if name == "undo":
        ran(two, files.apply, 2)
    before = await rows(two)
    file: Path = getattr(files, name)
    edit(file, f'"replicate_version_id":"{NEW if name == "apply" else "f" * 64}"', '"replicate_version_id":"mine"')
    said = refused(two, file)
    assert "sync-audit: the line of row 1, 2 was changed. Lines may be deleted, but not changed." in said
    assert await rows(two) == before


async def test_both_files_are_for_their_time_alone(two: str, tmp_path: Path) -> None:
    files = await planned(two, tmp_path, PlanSettings(max_age=timedelta(seconds=1)))
    await asyncio.sleep(1.1)
    for file in (files.apply, files.undo):
        assert "sync-audit: this file was good until" in refused(two, file)
    assert [row["replicate_version_id"] for row in await rows(two)] == ["f" * 64] * 2


async def test_both_files_are_for_their_database_alone(two: str, tmp_path: Path, postgres_server: str) -> None:
    files = await planned(two, tmp_path)
    name = urlsplit(two).path.removeprefix("/")
    copy = f"{name}_copy"
    await execute(postgres_server, f"CREATE DATABASE {copy} TEMPLATE {name}")
    dsn = urlsplit(two)._replace(path=f"/{copy}").geturl()
    for file in (files.apply, files.undo):
        said = refused(dsn, file)
        assert "sync-audit: this file is for " in said
        assert f"/{name} (" in said
        assert f"/{copy} (" in said


async def test_both_files_name_their_schema_whatever_the_search_path_is(two: str, tmp_path: Path) -> None:
    files = await planned(two, tmp_path)
    name = urlsplit(two).path.removeprefix("/")
    await execute(
        two,
        "CREATE SCHEMA tb; CREATE TABLE tb.users AS TABLE users; CREATE TABLE tb.user_models AS TABLE user_models;"
        f"ALTER DATABASE {name} SET search_path = tb",
    )
    before = await rows(two)
    ran(two, files.apply, 2)
    assert await rows(two) == before, "those of the other schema"
    ran(two, files.undo, 2)
    await execute(two, "DROP TABLE public.user_models")
    assert "for the table public.user_models in" in refused(two, files.apply)


async def test_after_a_move_the_tables_alone_are_looked_for(two: str, tmp_path: Path, postgres_server: str) -> None:
    files = await planned(two, tmp_path, PlanSettings(moved_from="localhost:5432/shop"))
    name = urlsplit(two).path.removeprefix("/")
    await execute(postgres_server, f"CREATE DATABASE {name}_moved TEMPLATE {name}")
    dsn = urlsplit(two)._replace(path=f"/{name}_moved").geturl()
    ran(dsn, files.apply, 2)
    assert '"moved_from": "localhost:5432/shop"' in files.deeds.read_text()
    ran(dsn, files.undo, 2)


async def test_what_cannot_be_noted_is_not_done(two: str, tmp_path: Path) -> None:
    files = await planned(two, tmp_path)
    files.deeds.mkdir()
    before = await rows(two)
    assert "what was done cannot be noted in the file that DEEDS_FILE names" in refused(two, files.apply)
    assert await rows(two) == before


async def test_a_commit_that_nobody_has_noted_is_asked_about(two: str, tmp_path: Path) -> None:
    files = await planned(two, tmp_path)
    before = await rows(two)
    ran(two, files.apply, 2)
    lines = files.deeds.read_text().splitlines(keepends=True)
    assert '"committed"' in lines[-1]
    files.deeds.write_text("".join(lines[:-1]) + lines[0][:40])
    assert [note.certain for notes in read_notes(files.deeds, "0" * 32).values() for note in notes] == [False, False]
    ran(two, files.undo, 2)
    assert await rows(two) == before


TRIGGER = """
CREATE FUNCTION meddling() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does} END $$;
CREATE TRIGGER meddling {when} ON user_models FOR EACH ROW EXECUTE FUNCTION meddling();
"""


async def test_it_is_undone_also_where_a_trigger_dates_every_change(two: str, tmp_path: Path) -> None:
    await execute(two, TRIGGER.format(does="NEW.updated_at = clock_timestamp(); RETURN NEW;", when="BEFORE UPDATE"))
    files = await planned(two, tmp_path)
    ran(two, files.apply, 2)
    ran(two, files.undo, 2)
    assert [row["replicate_version_id"] for row in await rows(two)] == ["f" * 64] * 2


async def test_nothing_is_done_where_a_trigger_makes_something_else_of_it(two: str, tmp_path: Path) -> None:
    mine = "lora_weights_url = 'mine'"
    does = f"UPDATE user_models SET {mine} WHERE id = NEW.id AND id = 2 AND NOT {mine};"
    await execute(two, TRIGGER.format(does=f"{does} RETURN NULL;", when="AFTER UPDATE"))
    files = await planned(two, tmp_path)
    before = await rows(two)
    assert "the database makes something else of row 2" in refused(two, files.apply)
    assert await rows(two) == before
    ran(two, files.undo, 0)


async def test_a_row_that_a_trigger_leaves_as_it_was_is_named(two: str, tmp_path: Path) -> None:
    does = "IF NEW.id = 1 THEN RETURN NULL; END IF; RETURN NEW;"
    await execute(two, TRIGGER.format(does=does, when="BEFORE UPDATE"))
    files = await planned(two, tmp_path)
    assert 'skipped row "1": the database left it as it was' in ran(two, files.apply, 1, 1)
    ran(two, files.undo, 1)


async def test_one_error_undoes_all_of_it(two: str, tmp_path: Path) -> None:
    files = await planned(two, tmp_path)
    before = await rows(two)
    await execute(two, "ALTER TABLE user_models ADD CHECK (id <> 2 OR replicate_version_id = trigger_word) NOT VALID")
    assert "violates check constraint" in refused(two, files.apply)
    assert await rows(two) == before
    ran(two, files.undo, 0)
    assert await rows(two) == before


async def test_a_row_that_somebody_holds_ends_it_soon(two: str, tmp_path: Path) -> None:
    files = await planned(two, tmp_path)
    files.apply.write_text(files.apply.read_text().replace("'5s'", "'50ms'"))
    holder = await asyncpg.connect(two)
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM user_models FOR UPDATE")
            assert "lock timeout" in refused(two, files.apply)
    finally:
        await holder.close()


async def test_a_file_of_several_batches_does_all_of_them(tables: str, tmp_path: Path) -> None:
    await people(tables, [{"id": number} for number in range(1, 1203)])
    files = await planned(tables, tmp_path)
    assert files.apply.read_text().count("FOR NO KEY UPDATE") == 3
    ran(tables, files.apply, 1202)
    ran(tables, files.undo, 1202)


async def test_the_header_says_how_to_run_it_with_no_password_and_names_nobody(two: str, tmp_path: Path) -> None:
    await execute(two, "UPDATE users SET email = 'anna@example.org' WHERE id = 'p0'")
    files = await planned(two, tmp_path)
    text = files.undo.read_text()
    command = next(line for line in text.splitlines() if "psql" in line).partition(": ")[2]
    words = shlex.split(command)
    assert words[-4:] == ["psql", "-X", "-f", str(files.undo)]
    assert [word.partition("=")[0] for word in words[:-4]] == ["PGHOST", "PGPORT", "PGDATABASE", "PGUSER"]
    assert "2 rows of public.user_models" in text
    assert "anna" not in text + files.apply.read_text()


async def written(two: str, folder: Path) -> list[str]:
    """Lines of an undo file."""
    return (await planned(two, folder)).undo.read_text().splitlines(keepends=True)


async def test_an_undo_file_is_read_as_it_was_written_and_a_person_may_delete_lines(two: str, tmp_path: Path) -> None:
    lines = await written(two, tmp_path)
    read = list(read_undo_file(tmp_path / "run-undo.sql"))
    old: dict[Column, str | None] = {
        Column.VERSION_ID: "f" * 64,
        Column.LORA_WEIGHTS_URL: "https://replicate.delivery/a.tar",
    }
    assert read == [UndoLine("1", None, old), UndoLine("2", None, old)]
    first = next(line for line in lines if ROW.match(line))
    (tmp_path / "run-undo.sql").write_text("".join(line for line in lines if line != first))
    assert [line.model_row_id for line in read_undo_file(tmp_path / "run-undo.sql")] == ["2"]


async def test_a_line_that_was_changed_is_named_and_refused(two: str, tmp_path: Path) -> None:
    lines = await written(two, tmp_path)
    number, first = next((number, line) for number, line in enumerate(lines) if ROW.match(line))
    lines[number] = first.replace("a.tar", "b.tar")
    (tmp_path / "run-undo.sql").write_text("".join(lines))
    with pytest.raises(SettingsError) as caught:
        list(read_undo_file(tmp_path / "run-undo.sql"))
    assert f"line {number + 1}: not what sync-audit has written: " in str(caught.value)
    assert caught.value.next_step.startswith("Lines may be deleted, but not changed or added.")


@pytest.mark.parametrize("kept", [slice(0, -1), slice(0, 0)], ids=["no end", "empty"])
async def test_a_file_that_ends_early_is_refused(two: str, tmp_path: Path, kept: slice) -> None:
    lines = await written(two, tmp_path)
    (tmp_path / "run-undo.sql").write_text("".join(lines[kept]))
    with pytest.raises(SettingsError, match="without its last line"):
        list(read_undo_file(tmp_path / "run-undo.sql"))


async def test_the_file_that_applies_is_not_taken_for_the_one_that_undoes(two: str, tmp_path: Path) -> None:
    files = await planned(two, tmp_path)
    with pytest.raises(SettingsError, match="is no undo file of sync-audit"):
        list(read_undo_file(files.apply))
