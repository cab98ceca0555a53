"""What may stand in a file of acceptances. Pure: `accept_file` finds and reads the file."""

from collections.abc import Mapping
from datetime import date, datetime
from difflib import get_close_matches

from audit.acceptance import ACCEPTABLE
from audit.errors import SettingsError
from audit.models import Acceptance, Reason
from audit.visible import shortened

TABLE = "accept"
KEYS = ("user", "model", "reason", "version", "because", "until", "author")
"""Of an entry, in the order in which they are written."""

_REQUIRED: Mapping[str, str] = {
    "reason": 'Name the finding that is accepted: reason = "outdated_version"; all reasons: sync-audit explain',
    "because": 'Say for those who read it in a year: because = "leaves in May"',
    "until": "Nothing is accepted for ever, so that somebody looks again: until = 2026-12-31",
}


def entries(document: Mapping[str, object]) -> tuple[Acceptance, ...]:
    """Every entry of the parsed file. Raises SettingsError, which names the entry and the key."""
    for key in document:
        if key != TABLE:
            raise SettingsError(f"unknown key {key}", f"Entries begin with [[{TABLE}]].")
    listed = document.get(TABLE, [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise SettingsError(f"{TABLE} must be a list of tables", f"Begin each entry with [[{TABLE}]].")
    return tuple(_entry(each, number) for number, each in enumerate(listed, 1))


def _entry(table: Mapping[str, object], number: int) -> Acceptance:
    who = table.get("user", table.get("model"))
    entry = f"entry {number}" + (f" ({shortened(who, 80)})" if isinstance(who, str) else "")
    try:
        return _checked(table)
    except SettingsError as error:
        raise SettingsError(f"{entry}: {error}", error.next_step) from error


def _checked(table: Mapping[str, object]) -> Acceptance:
    for key in table:
        if key not in KEYS:
            near = get_close_matches(key.casefold(), KEYS, 1)
            raise SettingsError(
                f"unknown key {key}", f"Did you mean {near[0]}?" if near else f"There are {', '.join(KEYS)}."
            )
    if ("user" in table) == ("model" in table):
        both = "both user and model" if "user" in table else "neither user nor model"
        raise SettingsError(f"there is {both}", "An entry is about one of them: a user's id or e-mail, or a model id.")
    for key, step in _REQUIRED.items():
        if key not in table:
            raise SettingsError(f"{key} is missing", step)
    texts = {key: _text(key, table[key]) for key in KEYS if key in table and key not in {"reason", "until"}}
    return Acceptance(**texts, reason=reason(_text("reason", table["reason"])), until=_day(table["until"]))


def reason(code: str) -> Reason:
    """The reason of this code. Raises SettingsError where there is no such one, or where it cannot be accepted."""
    if code in ACCEPTABLE:
        return Reason(code)
    refused = _REFUSED.get(code)
    if refused:
        raise SettingsError(f"reason {code} cannot be accepted: {refused}")
    near = get_close_matches(code.casefold(), ACCEPTABLE, 1)
    step = f"Did you mean {near[0]}?" if near else f"There are {', '.join(ACCEPTABLE)}."
    raise SettingsError(f"unknown reason {code!r}", step)


_REFUSED: Mapping[str, str] = {
    Reason.LATEST_VERSION: "the user is up to date",
    Reason.STOPPED: "the run ended before the user's turn, so nobody knows what there is to accept",
}


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{key} must be a text in quotes")
    if not value.strip():
        raise SettingsError(f"{key} is empty")
    return value


def _day(value: object) -> str:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise SettingsError("until must be a date without quotes and without a time", "Write it so: until = 2026-12-31")
    return value.isoformat()
