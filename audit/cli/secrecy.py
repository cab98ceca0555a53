"""Cuts secrets out of text that somebody else has written: messages of libraries, exceptions, tracebacks."""

import re
from collections.abc import Iterable

CUT = "(secret)"
_SHORT = 6
"""Characters. A secret shorter than that is a part of many harmless words, and is cut out as a whole word only."""

# What gives itself away, also before any setting has been read.
_BY_FORM = (
    (re.compile(r"\br8_[A-Za-z0-9]{8,}"), CUT),
    (re.compile(r"(?i)\b(bearer|basic) +[\w.~+/=-]{8,}"), rf"\1 {CUT}"),
    (re.compile(r"(://[^\s:/@]*):\S+@"), rf"\1:{CUT}@"),
)


class Secrecy:
    """Knows some secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: one may be a part of another.
        known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._known = re.compile("|".join(map(_pattern, known))) if known else None

    def clean(self, text: str) -> str:
        """`text` without them, however they are written: as they are, percent-encoded, or escaped as in a repr."""
        if self._known:
            text = self._known.sub(CUT, text)
        for pattern, replacement in _BY_FORM:
            text = pattern.sub(replacement, text)
        return text


def _pattern(secret: str) -> str:
    pattern = "".join(map(_spellings, secret))
    return rf"(?<![^\W_]){pattern}(?![^\W_])" if len(secret) < _SHORT else pattern


def _spellings(char: str) -> str:
    """All ways in which URLs, JSON and Python write one character; any mixture of them is found."""
    percent = "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
    code = ord(char)
    ways = [re.escape(char), f"(?i:{percent})", rf"(?i:\\+u{code:04x})"]
    if code < 0x100:
        ways.append(rf"(?i:\\+x{code:02x})")
    if char == " ":
        ways.append(r"\+")
    if char in "\\'\"/":
        ways.insert(0, r"\\+" + re.escape(char))  # escaped once or, in a text within a text, more often
    return f"(?:{'|'.join(ways)})"
