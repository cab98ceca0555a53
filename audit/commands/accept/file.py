"""The file of acceptances: found, read, and edited without touching the rest of it."""

from collections.abc import Mapping, MutableMapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli import options
from audit.cli.config_file import Kind, above, check_owner, content, is_there, nearest, parsed_text, working_directory
from audit.cli.edited_file import edit
from audit.cli.settings import is_given, is_typed
from audit.errors import AuditError, SettingsError
from audit.findings.acceptance import ACCEPTABLE, folded
from audit.model.codes import Reason
from audit.model.findings import Acceptance, Acceptances
from audit.model.ids import model_key
from audit.model.text import escape_controls, os_cause, shortened

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

NAME = "sync-audit-accept.toml"
KIND = Kind("file of acceptances", "--accept", "--no-accept")
TABLE = "accept"
KEYS = ("user", "model", "reason", "version", "training", "because", "until", "author")
"""Of an entry, in the order in which they are written."""
HEAD = """\
# Findings of sync-audit that need not be acted on until a day. Reports show them in a section of their own, and they
# do not count for the exit code. After the day they count again. To add one: sync-audit accept USER --help
"""
"""Of a new file."""


def acceptances_for(ctx: click.Context) -> Acceptances | None:
    """What holds for a command with `--accept` and `--no-accept`: the file that is named, or the one that is found.

    None without a file. Raises SettingsError for a file that is wrong.
    """
    if ctx.params["no_accept"]:
        if is_typed(ctx, "accept"):
            raise SettingsError("--accept and --no-accept can't be used together")
        return None
    if is_given(ctx, "accept"):
        try:
            return read(Path(ctx.params["accept"]))
        except SettingsError as error:
            raise options.accept.wrong(ctx, str(error), error.next_step) from error
    here = working_directory()
    found = here and find(here)
    return read(found) if found else None


def replaces_acceptances(ctx: click.Context) -> bool:
    """Whether an option or the config file says what is accepted, so that what a run file has counts no more."""
    return is_given(ctx, "accept") or bool(ctx.params["no_accept"])


def find(start: Path) -> Path | None:
    """`NAME` in the directory `start` or the nearest one above it, as it is called from `start`. Raises SettingsError.

    A directory with `.git` is the last one that is looked at.
    """
    for folder, called in above(start):
        path = folder / NAME
        if is_there(path):
            check_owner(path, KIND)  # it could hide anything
            return called / NAME
    return None


def read(path: Path) -> Acceptances:
    """What the file accepts. Raises SettingsError, which names the file, and the entry and key or the line."""
    return Acceptances(file=escape_controls(str(path)), entries=_parsed(content(path, KIND), path))


def _parsed(text: str, path: Path) -> tuple[Acceptance, ...]:
    document = parsed_text(text, path, KIND)
    try:
        return entries(document)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}", error.next_step or KIND.step) from error


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


_REQUIRED: Mapping[str, str] = {
    "reason": 'Name the finding that is accepted: reason = "outdated_version"; all reasons: sync-audit explain',
    "because": 'Say why, for later readers: because = "leaves in May"',
    "until": "Nothing is accepted forever, so that somebody checks it again: until = 2026-12-31",
}
"""Keys that every entry has, with the next step where one is missing."""
_REFUSED: Mapping[str, str] = {
    Reason.LATEST_VERSION: "the user is up to date",
    Reason.STOPPED: "the run did not reach the user, so there is nothing to accept",
}


def _checked(table: Mapping[str, object]) -> Acceptance:
    for key in table:
        if key not in KEYS:
            raise SettingsError(f"unknown key {key}", nearest(key, KEYS))
    if not {"user", "model"} & table.keys():
        raise SettingsError(
            "it has neither user nor model",
            "An entry is about a user (id or e-mail), a model (its id), or a user's model: then name both.",
        )
    for key, step in _REQUIRED.items():
        if key not in table:
            raise SettingsError(f"{key} is missing", step)
    texts = {key: _text(key, table[key]) for key in KEYS if key in table and key not in {"reason", "until"}}
    first, also = _reasons(table["reason"])
    return Acceptance(
        user=texts.get("user"),
        model=texts.get("model"),
        reason=first,
        version=texts.get("version"),
        because=texts["because"],
        until=_day(table["until"]),
        author=texts.get("author"),
        also=also,
        training=texts.get("training"),
    )


def _reasons(value: object) -> tuple[Reason, Reason | None]:
    """The reason, and that of the completed row where two are named."""
    if not isinstance(value, list):
        return reason(_text("reason", value)), None
    found = reasons([_text("reason", each) for each in value])
    return found[0], found[1] if len(found) > 1 else None


def reasons(codes: Sequence[str]) -> tuple[Reason, ...]:
    """One or two reasons. Raises SettingsError as `reason` does, and where they are not one or two different ones."""
    found = tuple(reason(code.strip()) for code in codes)
    if not 1 <= len(set(found)) == len(found) <= 2:
        raise SettingsError(
            "reason must be one code, or two different ones",
            'Two where a newer training and the completed one need attention: reason = ["training_not_recorded", '
            '"outdated_version"]',
        )
    return found


def reason(code: str) -> Reason:
    """The reason of this code. Raises SettingsError where there is no such one, or where it cannot be accepted."""
    if code in ACCEPTABLE:
        return Reason(code)
    refused = _REFUSED.get(code)
    if refused:
        raise SettingsError(f"reason {code} cannot be accepted: {refused}")
    raise SettingsError(f"unknown reason {code!r}", nearest(code, ACCEPTABLE))


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


def write(path: Path, entry: Acceptance, names: frozenset[str]) -> Acceptance | None:
    """Put `entry` into the file, in the place of one for the same model and reasons and one of `names`: returns that.

    The rest of the file stays as it is, comments and order too. Raises SettingsError, with the file as it was, where
    it cannot be read as `read` does, and AuditError where it cannot be written.
    """
    replaced = None

    def change(before: str | None) -> str:
        nonlocal replaced
        listed = _parsed(before, path) if before is not None else ()
        after, wanted, replaced = edited(before, listed, entry, names)
        if _parsed(after, path) != wanted:
            raise SettingsError(
                f"{path} is written in a way that this command cannot edit", f"Add by hand:\n{block(entry)}"
            )
        return after

    try:
        edit(path, lambda target: content(target, KIND) if target.exists() else None, change)
    except SettingsError as error:
        if error.next_step == KIND.step:
            error.next_step = "Correct it, or name another one with --file."
        raise
    except OSError as error:
        raise AuditError(
            f"{path} cannot be written: {os_cause(error).lower()}", "Name another file with --file."
        ) from error
    return replaced


def edited(
    text: str | None, listed: tuple[Acceptance, ...], entry: Acceptance, names: frozenset[str]
) -> tuple[str, tuple[Acceptance, ...], Acceptance | None]:
    """The text with `entry` in it, the entries that it then has, and the one whose place `entry` has taken.

    `text` is None for a new file, `listed` are its entries so far; `names` are all by which the user may be meant.
    """
    import tomlkit

    document = tomlkit.parse(HEAD if text is None else text)
    for place, old in enumerate(listed):
        same = model_key(old.model) == model_key(entry.model) and set(old.reasons) == set(entry.reasons)
        if old.user is not None and folded(old.user) in names and same:
            _overwrite(document[TABLE][place], entry)
            return tomlkit.dumps(document), (*listed[:place], entry, *listed[place + 1 :]), old
    return _appended(document, entry), (*listed, entry), None


def block(entry: Acceptance) -> str:
    """The entry as it stands in a file."""
    import tomlkit

    return _appended(tomlkit.document(), entry).strip()


def _appended(document: "TOMLDocument", entry: Acceptance) -> str:
    import tomlkit
    from tomlkit.items import AoT

    listed = document.get(TABLE)
    if listed is not None and not isinstance(listed, AoT):  # a list in brackets: accept = [{...}]
        inline = tomlkit.inline_table()
        inline.update(_values(entry))
        listed.append(inline)
        return tomlkit.dumps(document)
    # As text: an entry at the end needs nothing of what is before it.
    before = tomlkit.dumps(document)
    table = tomlkit.table()
    table.update(_values(entry))
    between = "" if not before else "\n" if before.endswith("\n") else "\n\n"
    newline = "\r\n" if "\r\n" in before else "\n"
    return before + f"{between}[[{TABLE}]]\n{table.as_string()}".replace("\n", newline)


def _overwrite(table: MutableMapping[str, object], entry: Acceptance) -> None:
    """Change what differs, so that comments beside the rest stay."""
    values = _values(entry)
    for key in [key for key in table if key not in values]:
        del table[key]
    for key, value in values.items():
        if key not in table or table[key] != value:
            table[key] = value


def _values(entry: Acceptance) -> dict[str, object]:
    """By key, as TOML has them; what is not there is left out."""
    given = {key: getattr(entry, key) for key in KEYS}
    codes = [each.value for each in entry.reasons]
    given |= {"reason": codes if len(codes) > 1 else codes[0], "until": date.fromisoformat(entry.until)}
    return {key: value for key, value in given.items() if value is not None}
