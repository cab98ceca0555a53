"""A repair as SQL that psql runs as it is, and the one reader of what it has written. Pure.

One statement is one line, whatever the values hold; see `literal`.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal, Self

import msgspec

from audit.errors import SettingsError
from audit.model.repair import RowUpdate
from audit.model.sql import LITERAL, literal, literal_value
from audit.model.tables import PLAIN, Tables
from audit.model.text import escape_controls, shortened

Purpose = Literal["apply", "undo"]
LOCK_TIMEOUT = "5s"
"""A row that somebody else holds for longer ends the whole transaction, rather than keeping all rows locked."""
_BEGIN = (
    "\\set ON_ERROR_STOP on",
    "SET client_encoding = 'UTF8';",
    "BEGIN;",
    "SET LOCAL standard_conforming_strings = on;",
    f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';",
)
_END = "COMMIT;"


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What table and columns are called, as SQL writes them: quoted already where that is needed."""

    table: str
    row_id: str
    version: str
    weights: str | None
    """None where the table has no such column."""
    updated_at: str
    completed: str
    """What is true of a row whose training has completed."""

    @classmethod
    def of(cls, tables: Tables, *, weights: bool = True) -> Self:
        """As `tables` has them; without `weights` there is no column for their URL."""
        table = tables.user_models
        return cls(
            table=table.sql,
            row_id=table.column("id"),
            version=table.column("replicate_version_id"),
            weights=table.column("lora_weights_url") if weights else None,
            updated_at=table.column("updated_at"),
            completed=tables.is_completed(table.column("training_status")),
        )


NAMES = Names.of(PLAIN)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What the first lines of a file say of it."""

    purpose: Purpose
    run_id: str
    started_at: str
    database: str
    planned_at: str
    file_name: str
    rows: int


def script(header: Header, edits: Iterable[RowUpdate], names: Names = NAMES) -> Iterator[str]:
    """The lines of a whole file, each with its end."""
    for line in (*_comments(header, names), *_BEGIN):
        yield f"{line}\n"
    for edit in edits:
        yield f"{statement(edit, names)}\n"
    yield f"{_END}\n"


def statement(edit: RowUpdate, names: Names = NAMES) -> str:
    """One line of SQL."""
    sets = [(names.version, edit.new_version)]
    guards = [(names.version, edit.old_version)]
    if names.weights is not None:
        sets += [(names.weights, edit.new_weights)] * edit.sets_weights
        guards += [(names.weights, edit.old_weights)]
    sets += [(names.updated_at, edit.new_updated_at)] * edit.sets_updated_at
    guards += [(names.updated_at, edit.old_updated_at)] * edit.guards_updated_at
    changes = ", ".join(f"{name} = {literal(value)}" for name, value in sets)
    unchanged = " AND ".join(f"{name} IS NOT DISTINCT FROM {literal(value)}" for name, value in guards)
    row = f"{names.row_id} = {literal(edit.model_row_id)}"
    # Every value is a literal; the names are ours.
    return f"UPDATE {names.table} SET {changes} WHERE {row} AND {unchanged} AND {names.completed};"  # noqa: S608


def read(lines: Iterable[str], file_name: str, purpose: Purpose, names: Names = NAMES) -> Iterator[RowUpdate]:
    """The edits of a file that `script` has written, some of which may have been deleted since.

    Raises SettingsError, which names the line, for whatever else has been done to it: at the first line that differs,
    or at the end where that is missing. So read it once before anything is done about it.
    """
    ended = False
    number = 0
    for number, line in enumerate(lines, 1):
        text = line.removesuffix("\n")
        if number == 1 and text != _mark(purpose):
            raise SettingsError(
                f"{file_name} is no {purpose} file of sync-audit: its first line is "
                f"{shortened(escape_controls(text), 60)!r}",
                f"Name the ...-{purpose}.sql that sync-audit has written.",
            )
        if text.startswith("--"):
            continue
        edit = None if ended or text in _BEGIN else _parsed(text, names)
        if edit is not None:
            yield edit
        elif ended or text not in (*_BEGIN, _END):
            raise SettingsError(
                f"{file_name}, line {number}: not what sync-audit has written: {shortened(escape_controls(text), 60)}",
                "Lines may be deleted, but not changed or added. To have it written anew, move it away and plan again.",
            )
        ended = text == _END
    if not ended:
        raise SettingsError(
            f"{file_name} ends after line {number}, without its last line, {_END}",
            "Write it again: sync-audit sync RUN",
        )


def _mark(purpose: Purpose) -> str:
    return f"-- sync-audit {purpose}, form 1"


def _comments(header: Header, names: Names) -> Iterator[str]:
    does = "Records the latest versions in" if header.purpose == "apply" else "Puts back what was recorded before in"
    rows = f"{header.rows:,} row{'s' * (header.rows != 1)}"
    command = f'psql "$DATABASE_URL" -X -f {shlex.quote(escape_controls(header.file_name))}'
    yield _mark(header.purpose)
    yield f"-- {does} {rows} of {names.table}, all in one transaction."
    yield f"-- Run {header.run_id} of {escape_controls(header.database)}, begun {header.started_at};"
    yield f"-- planned {header.planned_at}"
    yield f"-- To run it: {command}"
    yield "-- UPDATE 1: done. UPDATE 0: the row is not what it was, and is left as it is. To run it and count both:"
    yield f"--   {command} | sort | uniq -c"
    yield "-- It may be attached to a ticket: values of the columns named below, and no e-mail or name of a user."
    yield "-- Lines may be deleted, but not changed."


def _parsed(line: str, names: Names) -> RowUpdate | None:
    """The edit that is written as exactly this line."""
    found = _pattern(names).fullmatch(line)
    match = found.groupdict() if found else {}
    if not found or (row_id := _value(match["id"])) is None:
        return None
    sets_weights, old_weights = bool(match["new_weights"]), _value(match["old_weights"])
    edit = RowUpdate(
        model_row_id=row_id,
        old_version=_value(match["old_version"]),
        new_version=_value(match["new_version"]),
        old_weights=old_weights,
        new_weights=_value(match["new_weights"]) if sets_weights else old_weights,
        sets_weights=sets_weights,
        old_updated_at=_value(match["old_updated_at"]),
        guards_updated_at=bool(match["old_updated_at"]),
        new_updated_at=_value(match["new_updated_at"]),
        sets_updated_at=bool(match["new_updated_at"]),
    )
    written_with = names if match["old_weights"] else msgspec.structs.replace(names, weights=None)
    return edit if statement(edit, written_with) == line else None


@cache
def _pattern(names: Names) -> re.Pattern[str]:
    """Statements as they may look, with and without what is not in all of them."""
    columns = {"version": names.version, "weights": names.weights, "updated_at": names.updated_at}
    escaped = {column: re.escape(name) for column, name in columns.items() if name is not None}

    def optional(when: str, before: str, between: str) -> str:
        pieces = {c: f"{before}{name}{between}(?P<{when}_{c}>{LITERAL})" for c, name in escaped.items()}
        version = pieces.pop("version").removeprefix(", ")
        return version + "".join(f"(?:{piece})?" for piece in pieces.values())

    sets, guards = optional("new", ", ", " = "), optional("old", " AND ", " IS NOT DISTINCT FROM ")
    table, row_id, completed = map(re.escape, (names.table, names.row_id, names.completed))
    where = f"{row_id} = (?P<id>{LITERAL}){guards} AND {completed}"
    return re.compile(f"UPDATE {table} SET {sets} WHERE {where};")  # noqa: S608 - a pattern


def _value(written: str | None) -> str | None:
    return literal_value(written) if written else None
