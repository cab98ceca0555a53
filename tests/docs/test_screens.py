"""The pictures of terminals show what the commands print."""

import re
from html import unescape

import pytest

from tests import ROOT
from tests.docs import screens


@pytest.fixture(scope="module")
def printed() -> dict[str, str]:
    return screens.screens()


@pytest.mark.parametrize("name", screens.COMMANDS)
def test_a_picture_shows_what_the_command_prints_now(printed: dict[str, str], name: str) -> None:
    drawn = (ROOT / f"docs/pictures/{name}.svg").read_text("utf-8")
    lines = "".join(re.findall(r"<text class=[^>]*>[^<]*</text>", drawn))
    pictured = unescape(re.sub("<[^>]+>", "", lines)).replace("\xa0", " ")
    # Where lines break, and what is drawn in pieces, depends on how many milliseconds there were.
    expected, got = (re.sub(r"\s+", "", text) for text in (screens.plain(printed[name]), pictured))
    assert got.endswith(expected), f"docs/pictures/{name}.svg is out of date; if the change is meant: make screens"


@pytest.mark.parametrize("name", screens.COMMANDS)
def test_a_picture_loads_nothing_and_holds_no_path_of_a_machine(name: str) -> None:
    drawn = (ROOT / f"docs/pictures/{name}.svg").read_text("utf-8")
    assert not re.search(r"url\(['\"]?http|<image|<script|/tmp/|sync-audit-pg", drawn)
