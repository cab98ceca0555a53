"""The UPDATE as a line for psql: it says all that has to hold, and only what was written so is read again."""

from hypothesis import given
from msgspec.structs import replace

from audit.model.repair import RowUpdate, undo_for, update_for
from audit.model.tables import PLAIN, Column, Table, Tables
from audit.postgres.update import Names, guarded_columns, parse_update_line, update_line
from tests.support.repairs import change, edits
from tests.support.samples import NEW

NAMES = Names.of(PLAIN)
HOSTILE = Table(
    "user_models",
    ("s", "UPDATE \"x\" SET a = 'b' WHERE "),
    (
        ("id", "id = 'x' AND id"),
        ("replicate_version_id", ", version"),
        ("lora_weights_url", "a = 'b'"),
        ("updated_at", " IS NOT DISTINCT FROM NULL"),
        ("training_status", "status;"),
    ),
)


@given(edits())
def test_a_line_is_read_as_the_edit_that_it_makes(one: RowUpdate) -> None:
    assert parse_update_line(update_line(one, NAMES), NAMES) == one


@given(edits())
def test_names_that_look_like_sql_are_only_names(one: RowUpdate) -> None:
    names = Names.of(Tables(user_models=HOSTILE, completed=("it's", "WHERE id = 'x'")))
    assert parse_update_line(update_line(one, names), names) == one


@given(edits())
def test_without_the_column_there_is_nothing_about_weights(one: RowUpdate) -> None:
    without = replace(one, old_weights=None, new_weights=None, sets_weights=False)
    line = update_line(without, NAMES.without_weights())
    assert "lora_weights_url" not in line
    assert parse_update_line(line, NAMES) == without


@given(edits())
def test_all_columns_that_a_repair_may_set_are_guarded_but_a_date_that_nobody_knows(one: RowUpdate) -> None:
    line = update_line(one, NAMES)
    for column in (Column.VERSION_ID, Column.LORA_WEIGHTS_URL, Column.UPDATED_AT):
        assert (f" AND {column} IS NOT DISTINCT FROM " in line) == (column in guarded_columns(one))
    assert (Column.UPDATED_AT in guarded_columns(one)) == one.guards_updated_at


def test_a_statement_says_all_that_it_takes_for_granted() -> None:
    assert update_line(update_for(change()), NAMES) == (
        f"UPDATE user_models SET replicate_version_id = '{NEW}', lora_weights_url = 'https://replicate.delivery/b.tar'"
        f" WHERE id = '1' AND replicate_version_id IS NOT DISTINCT FROM '{'f' * 64}'"
        " AND lora_weights_url IS NOT DISTINCT FROM 'https://replicate.delivery/a.tar'"
        " AND updated_at IS NOT DISTINCT FROM '2026-02-01T00:00:00Z' AND training_status = 'completed';"
    )


def test_a_weights_url_that_is_left_alone_is_guarded_and_not_set() -> None:
    left_alone = change(weights="left_alone", new_weights="https://replicate.delivery/a.tar")
    for one in (update_for(left_alone), undo_for(left_alone, None)):
        sets, _, guards = update_line(one, NAMES).partition(" WHERE ")
        assert "lora_weights_url" not in sets
        assert "lora_weights_url IS NOT DISTINCT FROM 'https://replicate.delivery/a.tar'" in guards
