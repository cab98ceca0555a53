r"""Texts as Markdown that says what they say and does nothing else.

Data stands in code spans alone: there GitHub and GitLab look for no links, mentions (@name), references (#12, commit
hashes) or HTML, also where they look for them after Markdown has been read, when escapes are gone. Inside a code span
nothing can be escaped, so the two characters that would end it or its table cell are spelled out: "\x60", "\x7c".
"""

import re

from audit.visible import shortened, visible

NOTHING = "–"
"""What stands where there is no value; an empty code span is none."""

SHOWN = 100
"""Characters of a text from data."""

_PATTERN_OF_ADDRESS = re.compile(r"https?://\S*<\S*>")
_ENDS = str.maketrans({"`": "\\x60", "|": "\\x7c"})
_ACTS = re.compile(r"[\\*<\[\]|&~]|(?<!\w)_|_(?!\w)")


def code(text: str | None, limit: int = SHOWN) -> str:
    """`text` from data as a code span of one line, at most `limit` characters of it; blanks at its ends are dropped."""
    shown = shortened(visible(text or ""), limit).translate(_ENDS).strip()
    return f"`{shown}`" if shown else NOTHING


def prose(text: str) -> str:
    """`text` of this program's own, never from data; what stands between backticks stays code.

    So does an address with a placeholder in it: it must not become a link, and an escape would become a part of one.
    """
    pieces = _PATTERN_OF_ADDRESS.sub(r"`\g<0>`", text).split("`")
    return "`".join(_ACTS.sub(r"\\\g<0>", piece) if number % 2 == 0 else piece for number, piece in enumerate(pieces))
