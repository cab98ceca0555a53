"""A literal is one line in which nothing acts on a reader, and what was written is read again."""

from hypothesis import given
from hypothesis import strategies as st

from audit.model.sql import literal, literal_value

TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_a_literal_is_one_line_in_which_nothing_acts_on_a_reader(text: str | None) -> None:
    written = literal(text)
    assert written.splitlines() == [written]
    assert not [char for char in written if char < " " or "\x7f" <= char <= "\xa0" or "\u200b" <= char <= "\u200f"]


@given(TEXT)
def test_what_was_written_is_read_again(text: str | None) -> None:
    assert literal_value(literal(text)) == text


def test_literals_are_plain_where_they_can_be() -> None:
    assert literal("it's æ") == "'it''s æ'"
    assert literal("a\\b\n'\u202e\U000e0041") == "E'a\\\\b\\n''\\u202e\\U000e0041'"
    assert literal(None) == "NULL"
