"""Numbers, times and hashes as the HTML report prints them; every time is UTC and says so in its column or text."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from markupsafe import Markup

from audit.hints import HINTS, Hint
from audit.models import Mark, Note, Reason, Status
from audit.verdict import recorded_hash

STATUS_TITLES = {
    Status.NEEDS_SYNC: "Needs a sync",
    Status.ERROR: "Could not be checked",
    Status.NOT_CHECKED: "Not reached",
    Status.UP_TO_DATE: "Up to date",
}

MARK_TITLES: Mapping[Mark, str] = {"new": "New", "known": "Known", "resolved": "Resolved"}
"""How a user compares with the baseline."""

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


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 user`, `2,310 users`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def instant(iso: str | None) -> str:
    """`2026-03-01 12:00:05 UTC`; a text that is no ISO time is shown as it is."""
    if not iso:
        return ""
    if len(iso) >= 19 and iso[10] == "T":
        return f"{iso[:10]} {iso[11:19]} UTC"
    return iso


def time_element(iso: str | None) -> str:
    """`instant` as an element from which the script tells the reader's own time."""
    shown = instant(iso)
    if not iso or not _ISO.fullmatch(iso):
        return shown
    return Markup('<time datetime="{}Z">{}</time>').format(iso[:19], shown)


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `4 min 12 s`, `1 h 3 min`."""
    if seconds is None:
        return "not known"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def days(count: float) -> str:
    """`less than a day`, `1 day`, `212 days`."""
    return "less than a day" if count < 1 else counted(math.floor(count), "day")


def short_hash(text: str) -> str:
    """Long texts without their middle; hashes differ at both ends."""
    return text if len(text) <= 20 else f"{text[:8]}…{text[-8:]}"


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
