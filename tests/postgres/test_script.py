"""Lines for psql: whatever the values hold, each is one line of data, and only what was written is read again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.model.sql import quoted, unquoted
from audit.postgres.script import data_line, parse_data_line
from tests.support.repairs import TEXTS, text

RUN = "0" * 32
ROW: dict[str, object] = {"row": "1", "is": {"replicate_version_id": "old"}, "set": {"replicate_version_id": "new"}}
LINE = data_line(RUN, ROW)


@given(st.fixed_dictionaries({"row": text, "set": st.dictionaries(text.filter(bool), text, max_size=2)}))
def test_a_line_is_read_as_the_row_that_it_tells(row: dict[str, object]) -> None:
    line = data_line(RUN, row)
    assert len(line.splitlines()) == 1
    assert parse_data_line(RUN, line) == row


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(LINE.replace("old", "older"), id="value"),
        pytest.param(LINE.replace('"row":"1"', '"row":"2"'), id="row"),
        pytest.param(LINE.replace("('", "(E'"), id="escape that is not needed"),
        pytest.param(LINE.replace("',", "' ,", 1), id="blank"),
        pytest.param(LINE + " ", id="blank at the end"),
        pytest.param(LINE[:-1], id="cut short"),
        pytest.param(LINE + LINE, id="two in one"),
        pytest.param(LINE[:-4] + LINE[-4:].upper().replace("'", "0'", 1), id="checksum"),
        pytest.param("(NULL, '0000000000000000'),", id="nothing"),
        pytest.param("", id="empty"),
    ],
)
def test_a_line_that_was_changed_is_none(line: str) -> None:
    assert parse_data_line(RUN, LINE) == ROW
    assert parse_data_line(RUN, line) is None


def test_a_line_of_another_run_is_none() -> None:
    assert parse_data_line("1" * 32, LINE) is None


def test_a_line_shows_its_row_to_a_person() -> None:
    shown = LINE.removeprefix("('").partition("', '")[0]
    assert json.loads(shown) == ROW


@pytest.mark.parametrize("name", [each for each in TEXTS if each])
def test_names_in_a_path_are_found_again_whatever_they_hold(name: str) -> None:
    assert unquoted(f"{quoted(name)}.user_models") == (name, "user_models")
    assert unquoted(f"public.{quoted(name)}") == ("public", name)
