"""Text from a database or a server, made safe to look at: what would act on a reader is spelled out instead."""

import re
import string
import unicodedata
from collections.abc import Callable, Iterable

_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
# What shows nothing, and yet is printable to Python: Unicode's Default_Ignorable_Code_Point without category C.
_IGNORABLE = f"\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\uffa0{_SELECTORS}"
_UNSEEN = re.compile(f"[{_IGNORABLE}]")
# The form of an emoji or of a Chinese character is chosen by one selector behind it, that of a keycap within it.
_SUSPECT = re.compile(f"(?<=[^\x00-\x7f{_IGNORABLE}])[{_SELECTORS}]|(?<=[0-9#*])\ufe0f(?=\u20e3)|([^ -~])")
BYTES = "(no text) "
"""What stands before bytes that are no text, which are spelled as PostgreSQL spells them: `(no text) Ren\\351`."""
_BYTES = re.compile(re.escape(BYTES) + r".*\\[23][0-7]{2}", re.DOTALL)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
RUNNER_COMMAND = "##[A-Za-z]*\\["
"""A pattern: what some runner of CI jobs obeys anywhere in a line (GitHub's old syntax, Azure, TeamCity)."""


def escape_controls(text: str) -> str:
    r"""`text` with all that acts on a reader, or cannot be seen, spelled out: "\n", "\x1b", "\u202e", "\u200b".

    Controls move cursors and start escape sequences, bidirectional ones reorder what stands around them
    (CVE-2021-42574), some separators end lines, lone surrogates cannot be encoded. What is invisible, private or
    unassigned makes two names look alike. That is why zero-width joiners are among it, also those in an emoji or in a
    Persian name. Blanks of any width are not, nor is the one selector that chooses the form of the character before it.
    """
    return _substituted(text, spelled)


def escape_in_json(document: str) -> str:
    r"""The same JSON, with what `escape_controls` spells out, but for line breaks, as \uXXXX.

    So is what a runner of CI jobs would obey, wherever in a line it stands.
    """
    lines = [_substituted(line, _json_escape) for line in document.split("\n")]
    return re.sub(RUNNER_COMMAND, lambda match: f"{match[0][:-1]}\\u005b", "\n".join(lines))


def runner_safe_markup(escaped: str) -> str:
    """`escaped` HTML or XML, with character references in what a runner of CI jobs would obey."""
    return re.sub(RUNNER_COMMAND, lambda match: f"{match[0][:-1]}&#91;", escaped).replace("::", ":&#58;")


def spelled(char: str) -> str:
    """One character, as Python would write it."""
    code = ord(char)
    return _SHORT.get(char) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )


def _substituted(text: str, substitute: Callable[[str], str]) -> str:
    if text.isprintable() and (text.isascii() or not _UNSEEN.search(text)):
        return text  # most texts are, and the check is ten times faster

    def replaced(match: re.Match[str]) -> str:
        char = match[1]
        return match[0] if char is None or _seen(char) else substitute(char)

    return _SUSPECT.sub(replaced, text)


def _seen(char: str) -> bool:
    """Whether it shows something, be it a blank."""
    return (char.isprintable() and not _UNSEEN.match(char)) or unicodedata.category(char) == "Zs"


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


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


def is_text(text: str) -> bool:
    """Whether it can be written in UTF-8: arguments and names of files need not be, and then hold half characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def os_cause(error: OSError | UnicodeError) -> str:
    """Why a file cannot be read or written, in a few words: "No space left on device"; safe to show."""
    if isinstance(error, UnicodeError):
        return "it is not text"
    return escape_controls(error.strerror or str(error))


def toml_text(text: str) -> str:
    """`text` as a string of TOML, on one line."""
    spelled = (f"\\U{ord(c):08x}" if not c.isprintable() else f"\\{c}" if c in '"\\' else c for c in text)
    return f'"{"".join(spelled)}"'
