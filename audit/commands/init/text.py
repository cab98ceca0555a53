"""The config file that `init` writes, as text. Pure."""

from collections.abc import Sequence

import tomlkit
from tomlkit.exceptions import ParseError

from audit.commands.init.draft import Entry

_ORDER = (
    "database",
    "database.tables",
    "database.columns",
    "database.columns.user_models",
    "database.columns.users",
    "database.queries",
    "database.repair",
    "database.repair.columns",
)
_HEAD = (
    "# Where this product keeps its fine-tunes, as `sync-audit init` has found it. What is not said is as by default."
)
_WIDEST = 120


def config_text(entries: Sequence[Entry], before: str = "") -> str:
    """The file. Of `before`, a file that it replaces, everything stays but what is said of the database."""
    kept = without_database(before)
    parts = [kept.strip() + "\n"] if kept.strip() else []
    parts.append(f"{_HEAD}\n")
    said = False
    for name in _ORDER:
        listed = [entry for entry in entries if entry.table == name]
        if not listed:
            continue
        said = said or any(not entry.left_open for entry in listed)
        parts.append(f"\n[{name}]\n" + "".join(map(_line, listed)))
    if not any(entry.table == "database" for entry in entries) and not said:
        parts.append("\n[database]\n# Everything is called as the audit calls it.\n")
    return "".join(parts)


def without_database(text: str) -> str:
    """The same file without `[database]`; "" where it is no TOML."""
    try:
        document = tomlkit.parse(text)
    except ParseError:
        return ""
    document.pop("database", None)
    return tomlkit.dumps(document)


def _line(entry: Entry) -> str:
    line = f"{'# ' if entry.left_open else ''}{entry.key} = {entry.value}"
    why = f"  # {entry.why}" if entry.why else ""
    if "\n" in line or len(line + why) > _WIDEST:
        return (f"# {entry.why}\n" if entry.why else "") + f"{line}\n"
    return f"{line}{why}\n"
