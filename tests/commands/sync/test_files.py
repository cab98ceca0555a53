"""SQL for psql: it means what was meant, whatever the values hold, and only what was written is read again."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.commands.sync.files import Purpose, ScriptHeader, read_script, script_lines
from audit.errors import SettingsError
from audit.model.repair import ChangeOutcome, RowChange, RowUpdate, undo_for, update_for
from audit.model.tables import PLAIN
from audit.postgres.update import Names
from tests.support import psql
from tests.support.database_rows import execute, insert
from tests.support.repairs import TEXTS, change, edits
from tests.support.samples import NEW, OLD

NAMES = Names.of(PLAIN)
HEADER = ScriptHeader(
    purpose="undo",
    run_id="0" * 32,
    started_at="2026-03-01T12:00:00Z",
    database="db.example.com/shop",
    planned_at="2026-03-01T12:30:00Z",
    file_name="run-undo.sql",
    rows=2,
)


def lines(*several: RowUpdate, purpose: Purpose = "undo") -> list[str]:
    return list(script_lines(msgspec.structs.replace(HEADER, purpose=purpose), several, NAMES))


@given(st.lists(edits(), max_size=3), st.sampled_from(get_args(Purpose)))
def test_what_was_written_is_read_again(several: list[RowUpdate], purpose: Purpose) -> None:
    assert list(read_script(lines(*several, purpose=purpose), "x.sql", purpose, NAMES)) == several


WRITTEN = lines(
    undo_for(change(), None), undo_for(change(model_row_id="2"), ChangeOutcome(updated_at="2026-03-01T00:00:00Z"))
)
UPDATE = next(line for line in WRITTEN if line.startswith("UPDATE"))


def test_a_person_may_delete_lines() -> None:
    rest = [line for line in WRITTEN if line != UPDATE]
    assert [one.model_row_id for one in read_script(rest, "x.sql", "undo", NAMES)] == ["2"]
    bare = [line for line in rest if not line.startswith(("--", "SET")) or line == rest[0]]
    assert [one.model_row_id for one in read_script(bare, "x.sql", "undo", NAMES)] == ["2"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(UPDATE.replace(NEW, NEW.upper() + "'"), id="quote"),
        pytest.param(UPDATE.replace(" AND training_status = 'completed'", ""), id="guard missing"),
        pytest.param(UPDATE.replace("id = '1'", "id = '1' OR true"), id="condition"),
        pytest.param(UPDATE.replace("id = '1'", "id = 1"), id="number"),
        pytest.param(UPDATE.replace("id = '1'", "id = NULL"), id="no row"),
        pytest.param(UPDATE.replace("id = '1'", "id = E'1'"), id="escape that is not needed"),
        pytest.param(UPDATE.replace("id = '1'", "id = E'\\061'"), id="escape that is not ours"),
        pytest.param(UPDATE.replace("id = '1'", "id = E'\\U99999999'"), id="escape of no character"),
        pytest.param(UPDATE.replace("id = '1'", "id = 'a\tb'"), id="character that should be an escape"),
        pytest.param(UPDATE.replace(" = '", "='", 1), id="blank missing"),
        pytest.param(UPDATE.replace("UPDATE", "update", 1), id="case"),
        pytest.param(UPDATE.replace("\n", " \n"), id="blank at the end"),
        pytest.param(UPDATE.replace("\n", "\r\n"), id="Windows"),
        pytest.param(UPDATE[:-20], id="cut short"),
        pytest.param(UPDATE.strip() + UPDATE, id="two in one"),
        pytest.param(UPDATE.replace(" AND lora_weights_url IS NOT", " AND trigger_word IS NOT"), id="column"),
        pytest.param("DELETE FROM user_models;\n", id="another statement"),
        pytest.param("\\! rm -rf /\n", id="command of psql"),
        pytest.param("\n", id="empty"),
        pytest.param(f"COMMIT;\n{UPDATE}", id="behind the end"),
    ],
)
def test_a_line_that_was_changed_or_added_is_named_and_refused(line: str) -> None:
    changed = "".join(WRITTEN).replace(UPDATE, line).splitlines(keepends=True)
    with pytest.raises(SettingsError) as caught:
        list(read_script(changed, "x.sql", "undo", NAMES))
    number = WRITTEN.index(UPDATE) + 1 + ("COMMIT" in line)
    assert str(caught.value).startswith(f"x.sql, line {number}: not what sync-audit has written: ")
    assert (
        caught.value.next_step
        == "Lines may be deleted, but not changed or added. To have it written anew, move it away and plan again."
    )


@pytest.mark.parametrize("kept", [slice(0, -1), slice(0, 0)], ids=["no end", "empty"])
def test_a_file_that_ends_early_is_refused(kept: slice) -> None:
    with pytest.raises(SettingsError, match=r"without its last line, COMMIT;"):
        list(read_script(WRITTEN[kept], "x.sql", "undo", NAMES))


def test_the_file_that_applies_is_not_taken_for_the_one_that_undoes() -> None:
    with pytest.raises(SettingsError, match=r"x\.sql is no undo file of sync-audit"):
        list(read_script(lines(update_for(change()), purpose="apply"), "x.sql", "undo", NAMES))


def test_a_header_cannot_be_made_to_run_anything() -> None:
    hostile = msgspec.structs.replace(HEADER, database="a\n\\! touch owned\n", file_name="a b\n\\! x.sql")
    assert [
        line for line in script_lines(hostile, [], NAMES) if not line.startswith(("--", "SET", "BEGIN", "COMMIT"))
    ] == ["\\set ON_ERROR_STOP on\n"]


def test_files_are_read_and_written_line_by_line() -> None:
    def endless() -> Iterator[RowUpdate]:
        while True:
            yield undo_for(change(), None)

    read_again = read_script(script_lines(HEADER, endless(), NAMES), "x.sql", "undo", NAMES)
    assert [next(read_again).model_row_id for _ in range(3)] == ["1", "1", "1"]


TYPES = {
    "texts": ("text", "text", "text", "timestamptz"),
    "numbers and short texts": ("bigint", "varchar(200000)", "varchar(200000)", "timestamp"),
    "without time zone": ("integer", "text", "text", "timestamp(6)"),
    "case insensitive": ("numeric", "text", "name", "timestamptz"),
}


async def rows(dsn: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetch('SELECT * FROM user_models ORDER BY id::text COLLATE "C"')
        return [tuple(row.values()) for row in found]
    finally:
        await connection.close()


async def table(dsn: str, kinds: tuple[str, str, str, str], several: list[dict[str, Any]]) -> None:
    row_id, version, weights, updated_at = kinds
    await execute(
        dsn,
        f"CREATE TABLE user_models (id {row_id} PRIMARY KEY, training_status text, replicate_version_id {version},"
        f" lora_weights_url {weights}, updated_at {updated_at}, trigger_word text)",
    )
    await insert(dsn, "user_models", several)


def row(row_id: str, version: str | None, weights: str | None, **more: Any) -> dict[str, Any]:
    plain = {"id": row_id, "training_status": "completed", "replicate_version_id": version, "lora_weights_url": weights}
    return plain | {"updated_at": "2026-02-01T00:00:00.123456Z", "trigger_word": "TOK"} | more


def files(folder: Path, changes: list[RowChange]) -> tuple[Path, Path]:
    """apply, undo"""
    apply_file, undo_file = folder / "run-apply.sql", folder / "run-undo.sql"
    apply_file.write_bytes("".join(lines(*map(update_for, changes), purpose="apply")).encode())
    undo_file.write_bytes("".join(lines(*(undo_for(each, None) for each in changes))).encode())
    return apply_file, undo_file


def changed(
    several: list[dict[str, Any]], new: str = NEW, url: str = "https://replicate.delivery/b.tar"
) -> list[RowChange]:
    return [
        change(
            model_row_id=each["id"],
            old_version=each["replicate_version_id"],
            new_version=new,
            old_weights=each["lora_weights_url"],
            new_weights=url,
            old_updated_at=each["updated_at"],
        )
        for each in several
    ]


@pytest.mark.parametrize("kinds", TYPES.values(), ids=TYPES)
async def test_psql_does_and_undoes_it_whatever_the_columns_types(
    database: str, tmp_path: Path, kinds: tuple[str, str, str, str]
) -> None:
    several = [row("1", OLD, "https://a"), row("2", None, None), row("3", " padded ", "x", updated_at=None)]
    await table(database, kinds, several)
    before = await rows(database)
    apply_file, undo_file = files(tmp_path, changed(several, url="https://b"))
    done = psql.run(database, apply_file)
    assert (done.returncode, done.stdout.count("UPDATE 1"), done.stderr) == (0, 3, "")
    assert {each[2:4] for each in await rows(database)} == {(NEW, "https://b")}
    assert psql.run(database, undo_file).stdout.count("UPDATE 1") == 3
    assert await rows(database) == before


@pytest.mark.parametrize("conforming", ["on", "off"])
async def test_hostile_text_is_only_text_to_psql(database: str, tmp_path: Path, conforming: str) -> None:
    texts = [each for each in TEXTS if each]
    several = [row(f"{number} {each[:500]}", each, each) for number, each in enumerate(texts)]
    await table(database, TYPES["texts"], several)
    name = urlsplit(database).path.removeprefix("/")
    await execute(database, f"ALTER DATABASE {name} SET standard_conforming_strings = {conforming}")
    before = await rows(database)
    back = texts[1:] + texts[:1]
    changes = [
        change for each, url in zip(several, back, strict=True) for change in changed([each], new=f"{url}!", url=url)
    ]
    apply_file, undo_file = files(tmp_path, changes)
    done = psql.run(database, apply_file, "-v", "var=x")
    assert (done.returncode, done.stderr, done.stdout.count("UPDATE 1")) == (0, "", len(texts))
    assert {each[2:4] for each in await rows(database)} == {(f"{url}!", url) for url in back}
    assert psql.run(database, undo_file).stdout.count("UPDATE 1") == len(texts)
    assert await rows(database) == before
    assert sorted(os.listdir(tmp_path)) == ["run-apply.sql", "run-undo.sql"]  # noqa: PTH208 - nothing else was made


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param("replicate_version_id = 'newer'", id="version"),
        pytest.param("lora_weights_url = 'newer'", id="weights"),
        pytest.param("updated_at = updated_at + interval '1 microsecond'", id="time"),
        pytest.param("training_status = 'processing'", id="status"),
    ],
)
async def test_a_row_that_has_changed_is_left_as_it_is(database: str, tmp_path: Path, edited: str) -> None:
    several = [row("1", OLD, "https://a"), row("2", OLD, "https://a")]
    await table(database, TYPES["texts"], several)
    apply_file, _ = files(tmp_path, changed(several))
    await execute(database, f"UPDATE user_models SET {edited} WHERE id = '1'")
    [one, _] = await rows(database)
    done = psql.run(database, apply_file)
    assert [line for line in done.stdout.splitlines() if "UPDATE" in line] == ["UPDATE 0", "UPDATE 1"]
    assert (await rows(database))[0] == one


async def test_it_is_undone_also_where_a_trigger_dates_every_change(database: str, tmp_path: Path) -> None:
    several = [row("1", OLD, "https://a")]
    await table(database, TYPES["texts"], several)
    await execute(
        database,
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.updated_at = now(); RETURN NEW; END'",
        "CREATE TRIGGER touch BEFORE UPDATE ON user_models FOR EACH ROW EXECUTE FUNCTION touch()",
    )
    apply_file, undo_file = files(tmp_path, changed(several))
    psql.run(database, apply_file)
    assert psql.run(database, undo_file).stdout.count("UPDATE 1") == 1
    assert [each[2:4] for each in await rows(database)] == [(OLD, "https://a")]


async def test_one_error_undoes_all_of_it(database: str, tmp_path: Path) -> None:
    several = [row("1", OLD, "https://a"), row("2", OLD, "https://a")]
    await table(database, TYPES["texts"], several)
    before = await rows(database)
    apply_file, _ = files(tmp_path, changed(several))
    await execute(
        database, "ALTER TABLE user_models ADD CHECK (id <> '2' OR replicate_version_id = trigger_word) NOT VALID"
    )
    done = psql.run(database, apply_file)
    assert done.returncode == 3
    assert "violates check constraint" in done.stderr
    assert await rows(database) == before


async def test_a_row_that_somebody_holds_ends_it_soon(database: str, tmp_path: Path) -> None:
    several = [row("1", OLD, "https://a")]
    await table(database, TYPES["texts"], several)
    apply_file, _ = files(tmp_path, changed(several))
    apply_file.write_text(apply_file.read_text().replace("'5s'", "'50ms'"))
    holder = await asyncpg.connect(database)
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM user_models FOR UPDATE")
            done = psql.run(database, apply_file)
    finally:
        await holder.close()
    assert "lock timeout" in done.stderr
    assert done.returncode == 3


def test_the_header_says_how_to_run_it_and_names_nobody() -> None:
    first = lines(undo_for(change(), None))[:10]
    command = next(line for line in first if "psql" in line).partition("psql ")[2]
    assert shlex.split(command)[-2:] == ["-f", "run-undo.sql"]
    assert "2 rows of user_models" in "".join(first)
    assert "anna" not in "".join(lines(undo_for(change(), None)))
