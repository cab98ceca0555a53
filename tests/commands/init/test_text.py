"""The file as text."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from audit.commands.init.draft import Entry, multiline, named
from audit.commands.init.text import config_text
from audit.model.sql import unquoted
from audit.model.text import toml_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@given(TEXTS)
def test_any_text_comes_through_a_value_of_several_lines(text: str) -> None:
    assert tomllib.loads(f"key = {multiline(text)}")["key"] == text.replace("\r\n", "\r\n")


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=2))
def test_any_name_comes_through_a_path(parts: list[str]) -> None:
    assert unquoted(named(parts)) == tuple(parts)


def test_what_is_left_open_stands_in_comments_and_says_what_to_complete() -> None:
    text = config_text([Entry("database", "owner", '"…"', "to complete: whose", left_open=True)])
    assert '# owner = "…"  # to complete: whose' in text
    assert tomllib.loads(text) == {"database": {}}


def test_the_rest_of_a_file_stays_and_what_it_said_of_the_database_goes() -> None:
    before = '# ours\nrate = 3\n\n[database.tables]\nusers = "old"\n\n[demo]\nkeep = true\n'
    text = config_text([Entry("database.tables", "users", toml_text("new"))], before)
    assert tomllib.loads(text) == {"rate": 3, "demo": {"keep": True}, "database": {"tables": {"users": "new"}}}
    assert "# ours" in text


def test_a_file_that_is_no_toml_is_replaced_whole() -> None:
    assert tomllib.loads(config_text([], "[[[")) == {"database": {}}
