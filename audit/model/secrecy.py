"""Cuts secrets out of texts that somebody else has a say in: log lines, tracebacks, answers of a server."""

import base64
import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from audit.model.text import lower_ascii

CUT = "(secret)"
CUT_TOKEN = "(token)"  # noqa: S105 - what stands in its place
SHORTEST_PIECE = 8
"""Characters of a token in a row that are cut out; fewer tell next to nothing, and are found in harmless words."""
_SHORTEST_BASE64 = 12
"""Characters of a token's base64 in a row that are cut out: nine of the token."""
_SHORT = 6
"""Characters. A secret shorter than that is a part of many harmless words, and is cut out as a whole word only."""
# What gives itself away, also before any setting has been read.
_BY_FORM = (
    (re.compile(r"\br8_[A-Za-z0-9]{8,}"), CUT),
    (re.compile(r"(?i)\b(bearer|basic) +[\w.~+/=-]{8,}"), rf"\1 {CUT}"),
    (re.compile(r"(://[^\s:/@]*):\S{1,999}@"), rf"\1:{CUT}@"),
)
_PUBLIC = "https://api.replicate.com/v1 https://replicate.delivery"
"""What stands in everything that is shown: a token of somebody's own making may have a word of it."""
# A token that is cut out in pieces: of what all tokens are made of.
_PIECES = re.compile(rf"[\w.~+/=-]{{{SHORTEST_PIECE},}}", re.ASCII)
_DIGITS = re.compile("[0-9a-f]+")
# A character as URLs write it, also encoded twice, or as JSON, Python and HTML do, also in a text within a text.
_ESCAPED = re.compile(
    r"%(?:25){0,8}(?P<percent>[0-9a-f]{2})|\\{1,8}(?:u00|x)(?P<code>[0-9a-f]{2})"
    r"|&(?:amp;){0,8}(?P<html>#0{0,99}[0-9]{1,7};?|#x0{0,99}[0-9a-f]{1,6};?|[a-z]{2,31};)",
    re.IGNORECASE | re.ASCII,
)


class Secrecy:
    """Knows some secrets: whole ones, and tokens, of which every piece of at least `SHORTEST_PIECE` characters is one.

    A text without any is told by a few searches for short needles, so that every text of a million answers can be
    cleaned.
    """

    def __init__(self, secrets: Iterable[str] = (), tokens: Iterable[str] = ()) -> None:
        several = {token for token in tokens if token}
        long = {token for token in several if _PIECES.fullmatch(token)}
        # The longest first: one may be a part of another.
        self._known = sorted({secret for secret in secrets if secret} | (several - long), key=len, reverse=True)
        self._tokens = [_Token(token, SHORTEST_PIECE) for token in sorted(long, key=len, reverse=True)]
        encoded = {each for token in several if len(token) >= SHORTEST_PIECE for each in _base64(token)}
        self._tokens += [_Token(each, _SHORTEST_BASE64) for each in sorted(encoded)]
        self._in_digits = [needle for token in self._tokens for needle in token.needles if _DIGITS.fullmatch(needle)]

    def cut(self, text: str) -> str:
        """`text` without those that are known, however they are written: as they are, percent-encoded, or escaped.

        Tokens also in base64, whatever stands there before and after them.
        """
        if not self._known and _DIGITS.fullmatch(text) and not any(map(text.__contains__, self._in_digits)):
            return text  # the hash of a version, as most texts are
        for token in self._tokens:
            text = token.cut(text)
        return self._pattern.sub(CUT, text) if self._known else text

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Made when there is a text: compiling it takes 20 ms."""
        return re.compile("|".join(map(_pattern, self._known)))

    def clean(self, text: str) -> str:
        """`cut`, and without what has the form of a secret."""
        text = self.cut(text)
        for pattern, replacement in _BY_FORM:
            text = pattern.sub(replacement, text)
        return text


class _Token:
    """One token, found in any piece of it, in upper and lower case: host names come back in lower case."""

    def __init__(self, token: str, shortest: int) -> None:
        self._token = lower_ascii(token)
        self._shortest = min(shortest, len(token))
        half = self._shortest // 2
        places = range(0, len(self._token) - half + 1, half)
        self._anchors = [(self._token[at : at + half], at) for at in places]  # every piece holds one of them whole
        self.needles = [anchor for anchor, _ in self._anchors]
        """One of them at least is in every text, in lower case and unescaped, that holds a piece."""

    def cut(self, text: str) -> str:
        """`text` without its pieces."""
        if "%" in text or "\\" in text or "&" in text:  # first: what is plain may be the rest of what is escaped
            text = self._cut(text, *_unescaped(text))
        lower = lower_ascii(text)
        for anchor in self.needles:  # a plain loop: this is all that happens to nearly every text
            if anchor in lower:
                return self._cut(text, lower, int)
        return text

    def _cut(self, text: str, plain: str, place: Callable[[int], int]) -> str:
        """`text` without what is a piece in `plain`; `place` is where a character of that stands in `text`."""
        parts, end = [], 0
        for first, last in self._pieces(plain):
            parts += [text[end : place(first)], CUT_TOKEN]
            end = place(last)
        return "".join([*parts, text[end:]]) if parts else text

    def _pieces(self, plain: str) -> Iterator[tuple[int, int]]:
        """Where pieces begin and end, from left to right."""
        end = 0
        for hit, at in sorted((hit, at) for anchor, at in self._anchors for hit in _finds(anchor, plain)):
            if hit < end:
                continue
            before = _common(plain[max(end, hit - at) : hit][::-1], self._token[:at][::-1])
            first = hit - before
            length = before + _common(plain[hit : hit + len(self._token)], self._token[at:])
            piece = plain[first : first + length]
            # One character again and again, such as the zeros of a number, tells nothing of a token.
            if length >= self._shortest and len(set(piece)) > 1 and piece not in _PUBLIC:
                end = first + length
                yield first, end


def _finds(needle: str, text: str) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + 1)


def _common(one: str, other: str) -> int:
    """Characters with which both begin."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _base64(token: str) -> Iterator[str]:
    """What base64 makes of `token` behind 0, 1 and 2 bytes of others, without what others have a part in."""
    data = token.encode()
    for before in range(3):
        bits = 8 * (before + len(data))
        certain = slice(-(-8 * before // 6), bits // 6)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + data).decode()[certain]


def _unescaped(text: str) -> tuple[str, Callable[[int], int]]:
    """`text` in lower case with its escaped characters as they are, and where each place of that is in `text`."""
    plain, starts, places = [""], [0], [0]
    length = end = 0
    for match in _ESCAPED.finditer(text):
        char = html.unescape(f"&{match['html']}") if match["html"] else chr(int(match["percent"] or match["code"], 16))
        if len(char) != 1:
            continue
        plain += [text[end : match.start()], char]
        length += match.start() - end + 1
        end = match.end()
        starts.append(length)
        places.append(end)
    plain.append(text[end:])

    def place(at: int) -> int:
        part = bisect_right(starts, at) - 1
        return places[part] + at - starts[part]

    return lower_ascii("".join(plain)), place


def _pattern(secret: str) -> str:
    pattern = "".join(map(_spellings, secret))
    return rf"(?<![^\W_]){pattern}(?![^\W_])" if len(secret) < _SHORT else pattern


def _spellings(char: str) -> str:
    """All ways in which URLs, JSON and Python write one character; any mixture of them is found."""
    percent = "".join(f"%(?:25){{0,8}}{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
    code = ord(char)
    entity = rf"(?i:&(?:amp;){{0,8}}#(?:0{{0,9}}{code}|x0{{0,9}}{code:x})(?![0-9a-f]);?)"
    ways = [re.escape(char), f"(?i:{percent})", rf"(?i:\\{{1,8}}u{code:04x})", entity]
    if code < 0x100:
        ways.append(rf"(?i:\\{{1,8}}x{code:02x})")
    if char == " ":
        ways.append(r"\+")
    if char in "\\'\"/":
        ways.insert(0, r"\\{1,8}" + re.escape(char))  # escaped once or, in a text within a text, more often
    return f"(?:{'|'.join(ways)})"
