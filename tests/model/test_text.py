"""What is spelled out where a person reads, and what is left as it is."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.model.text import escape_controls, escape_in_json, runner_safe_markup
from tests.support.report_hostile import HOSTILE, ids

UNSEEN = {
    "C0": "\x00\x07\x1b\x1f",
    "DEL and C1": "\x7f\x80\x85\x9b\x9f",
    "soft hyphen": "\xad",
    "joiners and zero-width blanks": "\u200b\u200c\u200d\u2060\u2061\u2064\ufeff\u180e",
    "bidirectional": "\u061c\u200e\u200f\u202a\u202e\u2066\u2069",
    "separators": "\u2028\u2029",
    "fillers": "\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5",
    "interlinear": "\ufff9\ufffa\ufffb",
    "tags": "\U000e0001\U000e0020\U000e0041\U000e007f",
    "selectors behind nothing": "\ufe0f\ufe00\U000e0100\u180b",
    "shorthand and music": "\U0001bca0\U0001d173",
    "private": "\ue000\uf8ff\U000f0000\U0010fffd",
    "unassigned and no characters": "\u0378\ufdd0\ufffe\uffff\U0001fffe",
    "surrogates": "\udfff\udcff\ud800",
}
CHARS = [char for chars in UNSEEN.values() for char in chars]
SEEN = [
    "Anna Müller",
    "Σωκράτης",
    "山田　太郎",
    "naïve",
    "a b\u2003c",
    "🎉",
    "❤️",
    "1️⃣#️⃣",
    "葛\U000e0100城",
    "नमस्ते",
    "שלום",
    "عربي",
    "‘quoted’ – so…",
    "e\u0301",
    "👍🏽",
    "🇩🇪",
]


@pytest.mark.parametrize("char", CHARS, ids=[f"U+{ord(char):04X}" for char in CHARS])
@pytest.mark.parametrize("around", ["{}", "a{}b", "é{}x", "{}{}", "x\n{}"])
def test_what_acts_or_cannot_be_seen_is_spelled_out_wherever_it_stands(char: str, around: str) -> None:
    if unicodedata.category(char) == "Mn" and "é{" in around:
        around = around.replace("é", "e")  # behind é a selector might choose a form
    out = escape_controls(around.replace("{}", char))
    assert char not in out
    code = ord(char)
    spelled = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    assert out.count(spelled) == around.count("{}")
    assert out.isprintable()


@pytest.mark.parametrize("text", SEEN)
def test_what_shows_something_is_left_as_it_is(text: str) -> None:
    assert escape_controls(text) == text


def test_of_several_selectors_only_the_first_can_choose_a_form() -> None:
    assert escape_controls("❤\ufe0f\ufe0f\U000e0100") == "❤\ufe0f\\ufe0f\\U000e0100"


def test_a_name_that_is_written_with_joiners_shows_them() -> None:
    assert escape_controls("نیم\u200cفاصله 👨\u200d👩") == "نیم\\u200cفاصله 👨\\u200d👩"


def test_line_breaks_and_tabs_are_spelled_as_everybody_writes_them() -> None:
    assert escape_controls("a\nb\tc\rd") == "a\\nb\\tc\\rd"


@given(st.text())
def test_spelling_out_is_done_once_and_leaves_the_rest(text: str) -> None:
    out = escape_controls(text)
    assert escape_controls(out) == out
    assert all(char in out for char in text if " " <= char <= "~")


DATA = [*HOSTILE, *UNSEEN.values(), "##[error]x", "a##vso[b"]


@pytest.mark.parametrize("text", DATA, ids=ids(DATA))
@pytest.mark.parametrize("indent", [None, 1])
def test_json_says_the_same_with_escapes(text: str, indent: int | None) -> None:
    document = json.dumps({"a": text, text: 1}, ensure_ascii=False, indent=indent)
    out = escape_in_json(document)
    assert json.loads(out) == json.loads(document)
    assert escape_controls(out.replace("\n", "")) == out.replace("\n", "")
    assert "##[" not in out
    assert "##vso[" not in out


@pytest.mark.parametrize("text", ["::error::x", "a ##[error]b", "fe80::1", "##vso[x]"])
def test_markup_says_the_same_with_references(text: str) -> None:
    out = runner_safe_markup(text)
    assert "::" not in out
    assert "##[" not in out
    assert out.replace("&#58;", ":").replace("&#91;", "[") == text
