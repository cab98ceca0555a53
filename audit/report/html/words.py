"""What the HTML report says in its own way: times as elements, how versions differ, hints for many users."""

import re
from typing import NamedTuple

from markupsafe import Markup

from audit.hints.filled import HINTS, Hint
from audit.model.codes import Note, Reason
from audit.model.ids import recorded_hash
from audit.report.words import counted, instant

_PLACEHOLDERS = {
    "who": "‹user›",
    "model": "‹model id›",
    "recorded": "‹recorded version›",
    "latest": "‹latest version›",
    "behind": "‹number of versions›",
    "page": "‹the model's page›",
    "sql": "‹the query in the user's row›",
    "detail": "‹see the user's row›",
    "trigger": "‹trigger word›",
    "scale": "‹LoRA scale›",
    "weights": "‹weights URL›",
    "others": "‹see the user's row›",
    "failure": "‹see the user's row›",
    "made_latest": "‹see the user's row›",
    "real_weights": "‹see the user's row›",
    "current_weights": "‹see the user's row›",
    "trained_trigger": "‹see the user's row›",
}
"""The names that the steps of the hint table use, for a reader who looks at many users at once."""
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
_NOTABLE = 4
"""Equal digits at the start from which on two hashes look alike; chance gives one or two."""
_HEAD_CELL = 120
"""Characters of a user's e-mail, name or model id in a table's main columns; the details have more."""


def time_element(iso: str | None) -> str:
    """`instant` as an element from which the script tells the reader's own time."""
    shown = instant(iso)
    if not iso or not _ISO.fullmatch(iso):
        return shown
    return Markup('<time datetime="{}Z">{}</time>').format(iso[:19], shown)


def head(text: str) -> str:
    """`text` short enough for a main column."""
    return text if len(text) <= _HEAD_CELL else text[:_HEAD_CELL] + "…"


def anchor(place: int) -> str:
    """The id of the row of the user at `place`, counted from 1 in the report's order; the script knows it too."""
    return f"u-{place}"


def generic(code: Reason | Note) -> Hint:
    """The hint of `code` with a word in the place of each value."""
    hint = HINTS[code]
    return Hint(hint.title, hint.meaning, tuple(step.format_map(_PLACEHOLDERS) for step in hint.steps))


class Comparison(NamedTuple):
    """Recorded and latest version, cut where they begin to differ."""

    prefix: str
    """What stands before the hash in the record: blanks, `owner/name:`."""
    common_recorded: str
    rest_recorded: str
    common_latest: str
    rest_latest: str
    sentence: str


def comparison(recorded: str | None, latest: str | None) -> Comparison | None:
    """How the two differ, case aside; None where one of them is not there."""
    if not recorded or not recorded.strip() or not latest:
        return None
    bare = recorded.rstrip()
    start = max(bare.rfind(":") + 1, len(bare) - len(bare.lstrip()))
    hash_text = recorded[start:]
    length = _common(hash_text.lower(), latest.lower())
    if length == len(hash_text.strip()) == len(latest):
        sentence = "They are equal."
    elif length and length == len(hash_text.strip()):
        sentence = f"What is recorded is only the first {counted(length, 'digit')} of the latest."
    elif recorded_hash(recorded) is None:
        sentence = "What is recorded is no version hash."
    elif length < _NOTABLE:
        sentence = "Two different versions."
    else:
        sentence = f"They differ from digit {length + 1} on."
    return Comparison(
        recorded[:start], hash_text[:length], hash_text[length:], latest[:length], latest[length:], sentence
    )


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
