r"""Texts as Markdown that says what they say and does nothing else.

Data stands in code spans alone: there GitHub and GitLab look for no links, mentions (@name), references (#12, commit
hashes) or HTML, also where they look for them after Markdown has been read, when escapes are gone.
"""

import re

from audit.model.text import escape_controls, shortened

NOTHING = "–"
"""What stands where there is no value; an empty code span is none."""
SHOWN = 100
"""Characters of a text from data."""
_PATTERN_OF_ADDRESS = re.compile(r"https?://\S*<\S*>")
_LONGEST_FENCE = 4
"""Backticks. Implementations stop looking for a closing fence at some length; nobody means that many."""
_PIPE = re.compile(r"(\\?)\|")
_ACTS = re.compile(r"[\\*<\[\]|&~]|(?<!\w)_|_(?!\w)")


def code(text: str | None, limit: int = SHOWN) -> str:
    """`text` from data as `code_in_text` has it, for a table: there a pipe has to be escaped, in code too.

    After a backslash it is spelled out: which of the two the escape is for, implementations do not agree.
    """
    return _PIPE.sub(lambda match: "\\\\x7c" if match[1] else "\\|", code_in_text(text, limit))


def code_in_text(text: str | None, limit: int = SHOWN) -> str:
    """`text` as a code span of one line, at most `limit` characters of it; blanks at its ends are dropped."""
    shown = shortened(escape_controls(text or ""), limit).strip()
    if not shown:
        return NOTHING
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    if len(fence) > _LONGEST_FENCE:
        shown, fence = shown.replace("`", "\\x60"), "`"
    gap = " " if "`" in (shown[0], shown[-1]) else ""
    return f"{fence}{gap}{shown}{gap}{fence}"


def prose(text: str) -> str:
    """`text` of this program's own, never from data; what stands between backticks stays code.

    So does an address with a placeholder in it: it must not become a link, and an escape would become a part of one.
    """
    pieces = _PATTERN_OF_ADDRESS.sub(r"`\g<0>`", text).split("`")
    return "`".join(_ACTS.sub(r"\\\g<0>", piece) if number % 2 == 0 else piece for number, piece in enumerate(pieces))
