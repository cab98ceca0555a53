"""A repair as SQL that psql runs as it is, and the one reader of what it has written. Pure.

One statement is one line, whatever the values hold; see `literal`.
"""

import shlex
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from audit.errors import SettingsError
from audit.model.repair import RowUpdate
from audit.model.text import escape_controls, shortened
from audit.postgres.update import Names, parse_update_line, update_line

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


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What the first lines of a file say of it."""

    purpose: Purpose
    run_id: str
    started_at: str
    database: str
    planned_at: str
    file_name: str
    rows: int


def script(header: Header, edits: Iterable[RowUpdate], names: Names) -> Iterator[str]:
    """The lines of a whole file, each with its end."""
    for line in (*_comments(header, names), *_BEGIN):
        yield f"{line}\n"
    for edit in edits:
        yield f"{update_line(edit, names)}\n"
    yield f"{_END}\n"


def read(lines: Iterable[str], file_name: str, purpose: Purpose, names: Names) -> Iterator[RowUpdate]:
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
        edit = None if ended or text in _BEGIN else parse_update_line(text, names)
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
