"""A file of acceptances with one more entry, or another one in its place; all else stays as somebody has written it.

Pure: text in, text out.
"""

from collections.abc import MutableMapping
from datetime import date

import tomlkit
from tomlkit.items import AoT

from audit.accept_entries import KEYS, TABLE
from audit.acceptance import folded
from audit.models import Acceptance

HEAD = """\
# Findings of sync-audit that need not be acted on until a day. Reports show them in a section of their own, and they
# do not count for the exit code. After the day they count again. To add one: sync-audit accept USER --help
"""


def edited(
    text: str | None, there: tuple[Acceptance, ...], entry: Acceptance, names: frozenset[str]
) -> tuple[str, tuple[Acceptance, ...], Acceptance | None]:
    """The file with `entry` in it, what it then says, and the entry whose place this one has taken.

    `text` is None where there is no file yet, `there` what it says; `names` are all by which the user may be meant.
    """
    document = tomlkit.parse(HEAD if text is None else text)
    place = next((i for i, each in enumerate(there) if _same(each, entry, names)), None)
    if place is not None:
        _overwrite(document[TABLE][place], entry)
        return tomlkit.dumps(document), (*there[:place], entry, *there[place + 1 :]), there[place]
    return _appended(document, entry), (*there, entry), None


def block(entry: Acceptance) -> str:
    """The entry as it stands in a file."""
    return _appended(tomlkit.document(), entry).strip()


def _appended(document: tomlkit.TOMLDocument, entry: Acceptance) -> str:
    """As text: an entry at the end of the file needs nothing of what is before it, but for a list in brackets."""
    listed = document.get(TABLE)
    if listed is not None and not isinstance(listed, AoT):
        inline = tomlkit.inline_table()
        inline.update(_values(entry))
        listed.append(inline)
        return tomlkit.dumps(document)
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
    given |= {"reason": entry.reason.value, "until": date.fromisoformat(entry.until)}
    return {key: value for key, value in given.items() if value is not None}


def _same(old: Acceptance, new: Acceptance, names: frozenset[str]) -> bool:
    """Whether `new` says something else about the same finding."""
    return old.user is not None and folded(old.user) in names and old.reason is new.reason
