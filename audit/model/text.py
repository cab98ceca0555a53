"""Text from a database or a server, made safe to look at: what would act on a reader is spelled out instead."""

import re
import string
from collections.abc import Iterable

# C0 and C1 controls and DEL move cursors and start escape sequences; bidirectional controls (U+202A..E, U+2066..9,
# U+200E/F, U+061C) reorder what stands around them (CVE-2021-42574); U+2028/9 end lines in some readers;
# lone surrogates cannot be encoded.
_ACTS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
BYTES = "(no text) "
"""What stands before bytes that are no text, which are spelled as PostgreSQL spells them: `(no text) Ren\\351`."""
_BYTES = re.compile(re.escape(BYTES) + r".*\\[23][0-7]{2}", re.DOTALL)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def escape_controls(text: str) -> str:
    r"""`text` with control, bidirectional and line-separating characters spelled out: "\n", "\x1b", "\u202e"."""
    return text if text.isprintable() else _ACTS.sub(_spell, text)  # most texts are, and the check is ten times faster


def are_bytes(text: str | None) -> bool:
    """Whether the database has bytes that are no text in the place of `text`, which spells them out."""
    return text is not None and _BYTES.match(text) is not None


def lower_ascii(text: str) -> str:
    """`text` with A to Z in lower case and all else as it is: what PostgreSQL makes of it by the collation "C"."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def shortened(text: str, limit: int) -> str:
    """`text` with at most `limit` characters, and where it was cut a mark that says how much is missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def backticked(words: Iterable[str]) -> str:
    """Alternatives for a person, made safe: "`completed`", "`succeeded` or `ready`"."""
    return " or ".join(f"`{escape_controls(word)}`" for word in words)


def os_cause(error: OSError | UnicodeError) -> str:
    """Why a file cannot be read or written, in a few words: "No space left on device"; safe to show."""
    if isinstance(error, UnicodeError):
        return "it is not text"
    return escape_controls(error.strerror or str(error))


def _spell(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    return _SHORT.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def toml_text(text: str) -> str:
    """`text` as a string of TOML, on one line."""
    spelled = (f"\\U{ord(c):08x}" if not c.isprintable() else f"\\{c}" if c in '"\\' else c for c in text)
    return f'"{"".join(spelled)}"'
