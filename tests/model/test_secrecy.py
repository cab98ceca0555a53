"""Pieces of tokens in foreign texts; whole secrets are in `tests/cli/test_logs.py`."""

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.model.secrecy import SHORTEST_PIECE, Secrecy

TOKEN = "r8_Q7hZk2WmPx9LbT4vNc6RyJ1dGs8FaUe3oKi5"
SECRECY = Secrecy(tokens=[TOKEN])


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in text)


def percent(text: str) -> str:
    return "".join(f"%{ord(char):02X}" for char in text)


WAYS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": percent,
    "percent, lower case": lambda text: percent(text).lower(),
    "percent twice": lambda text: quote(percent(text)),
    "every other character": lambda text: "".join(percent(c) if i % 2 else c for i, c in enumerate(text)),
    "as in JSON": escaped,
    "as in JSON in JSON": lambda text: json.dumps(escaped(text))[1:-1],
    "hexadecimal": lambda text: "".join(f"\\x{ord(char):02x}" for char in text),
    "HTML": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(char):04X};" for char in text),
    "HTML, by name": lambda text: "".join({"_": "&lowbar;"}.get(char, char) for char in text),
    "HTML, by another name": lambda text: "".join({"_": "&UnderBar;"}.get(char, f"&#{ord(char)};") for char in text),
    "HTML in HTML": lambda text: "".join(f"&amp;#{ord(char)};" for char in text),
    "as a host": str.lower,
    "upper case": str.upper,
}


@pytest.mark.parametrize("length", [8, 9, 13, len(TOKEN)])
@pytest.mark.parametrize("way", WAYS)
def test_every_piece_of_eight_characters_and_more_is_cut_out_however_it_is_written(way: str, length: int) -> None:
    for begin in range(len(TOKEN) - length + 1):
        piece = WAYS[way](TOKEN[begin : begin + length])
        assert SECRECY.cut(f"<{piece}> 100%\\x, é {piece}") == "<(token)> 100%\\x, é (token)"


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "standard": base64.b64encode,
    "URL-safe": base64.urlsafe_b64encode,
    "within a URL": lambda data: quote(base64.b64encode(data), safe="").encode(),
}
TOKENS = [TOKEN, "r8_~~~o?>abK~~~xyzQ>>>?wEr~T9", "abcdefgh"]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("before", ["", "Bearer ", "me", "x:"])
@pytest.mark.parametrize("after", ["", "\n", ":x", " and more"])
def test_a_token_in_base64_is_cut_out_whatever_stands_around_it(
    token: str, encoder: str, before: str, after: str
) -> None:
    said = ENCODERS[encoder](f"{before}{token}{after}".encode()).decode()
    left = Secrecy(tokens=[token]).cut(f"invalid: {said}!")
    assert "(token)" in left
    rests = re.sub(r"^invalid: |!$", "", unquote(left)).split("(token)")
    assert all(len(rest) <= len(said) - len(token) for rest in rests)
    assert not any(token[at : at + 3] in decoded(rest) for rest in rests for at in range(len(token) - 2))


def decoded(rest: str) -> str:
    """What of the token may be in `rest`, which begins or ends anywhere."""
    found = []
    for skipped in range(4):
        text = rest[skipped:].rstrip("=").replace("-", "+").replace("_", "/")
        found.append(base64.b64decode(text[: len(text) // 4 * 4]).decode("latin-1"))
    return "\n".join(found)


def test_twelve_characters_of_base64_are_cut_out_and_eleven_are_left() -> None:
    said = base64.b64encode(TOKEN.encode()).decode().rstrip("=")
    for begin in range(len(said) - 13):
        assert SECRECY.cut(f"<{said[begin : begin + 12]}>") == "<(token)>"
        assert SECRECY.cut(f"<{said[begin : begin + 11]}>") == f"<{said[begin : begin + 11]}>"


@pytest.mark.parametrize("secret", ["s3cret/w\u00f6rd", "a&b<c>d"])
def test_a_password_in_html_is_cut_out(secret: str) -> None:
    said = "".join(f"&#{ord(char)};" for char in secret)
    assert Secrecy([secret]).cut(f"no: {said}.") == "no: (secret)."


def test_fewer_characters_are_left() -> None:
    pieces = [TOKEN[begin : begin + SHORTEST_PIECE - 1] for begin in range(len(TOKEN))]
    assert all(SECRECY.cut(f"<{piece}>") == f"<{piece}>" for piece in pieces)


@given(st.lists(st.integers(0, len(TOKEN)) | st.sampled_from(["%", "\\u00", "x", "0", "%25", " "]), max_size=12))
def test_whatever_is_left_of_a_text_holds_no_piece(parts: list[int | str]) -> None:
    text = "".join(part if isinstance(part, str) else TOKEN[part : part + 11] for part in parts)
    assert not pieces_in(SECRECY.cut(text))


def pieces_in(text: str) -> list[str]:
    """Pieces of the token, also such as are written in another way."""
    plain = re.sub(r"\\u00([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)
    shown = "\n".join([text, unquote(text), plain, unquote(plain)]).lower()
    windows = [TOKEN[begin : begin + SHORTEST_PIECE].lower() for begin in range(len(TOKEN) - SHORTEST_PIECE + 1)]
    return [window for window in windows if window in shown]


@given(st.text())
def test_a_text_without_the_token_is_left_as_it_is(text: str) -> None:
    assert SECRECY.cut(text) == text


def test_zeros_tell_nothing_of_a_token_that_ends_in_them() -> None:
    secrecy = Secrecy(tokens=["r8_abc" + "0" * 34])
    assert secrecy.cut("0" * 64) == "0" * 64
    assert secrecy.cut("8_abc000 c" + "0" * 20) == "(token) (token)"


def test_a_token_with_a_public_word_in_it_does_not_tear_every_url_apart() -> None:
    secrecy = Secrecy(tokens=["my-replicate-token"])
    assert secrecy.cut("https://replicate.delivery/a.tar") == "https://replicate.delivery/a.tar"
    assert secrecy.cut("it is my-replicate-to...") == "it is (token)..."


@pytest.mark.parametrize("token", ["x", "short", "tökén-tökén", "abc%41defgh%zzijkl"])
def test_a_token_of_another_kind_is_cut_out_whole(token: str) -> None:
    assert Secrecy(tokens=[token]).cut(f"my {token} is") == "my (secret) is"


REPEATED = ["&" * 200_000, "&amp;" * 50_000, "&#0" * 70_000, "&#" + "0" * 200_000, "&lowbar" * 30_000, "Q7hZ " * 40_000]


@pytest.mark.parametrize("text", ["\\" * 200_000, "%25" * 100_000, "://a:" * 50_000, "\\u00" * 50_000, *REPEATED])
def test_a_hostile_text_takes_no_time(text: str) -> None:
    assert Secrecy(["s3cret/wörd"], [TOKEN]).cut(text) == text


HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "secrecy",
    [
        Secrecy(tokens=["r8_zzzzzzzz56789abc"]),
        Secrecy(tokens=["56789ABC"]),
        Secrecy(tokens=["qqqqqqqqqqqq", "wwww56789abcwwww"]),
        Secrecy(["56789abc"]),
    ],
)
def test_what_stands_in_a_hash_is_cut_out_of_it_as_of_any_text(secrecy: Secrecy) -> None:
    for text in (HASH, f"id {HASH}"):
        assert "56789abc" not in secrecy.cut(text)


def test_a_hash_without_anything_is_left_as_it_is() -> None:
    assert SECRECY.cut(HASH) == HASH
    assert Secrecy(["another"], [TOKEN]).cut(HASH) == HASH
