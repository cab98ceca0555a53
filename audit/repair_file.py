"""The SQL files of a repair, read from disk, row by row."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from audit.errors import SettingsError
from audit.repair import Edit
from audit.repair_sql import Names, read

_RUN = re.compile("-- Run ([0-9a-f]{32}) of ")
_AT_ONCE = 20_000
"""So many rows of an older file are held in memory."""


def undo_edits(path: Path, names: Names) -> Iterator[Edit]:
    """What an undo file does. Raises SettingsError where it cannot be read, or is not what was written."""
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            yield from read(lines, str(path), "undo", names)
    except (OSError, UnicodeError) as error:
        cause = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(
            f"{path} cannot be read: {cause.lower()}", "Name the ...-undo.sql that sync-audit has written."
        ) from error


def run_of(path: Path) -> str | None:
    """The id of the run that the file at `path` says it is of; None where it says nothing. Raises OSError."""
    with suppress(FileNotFoundError, UnicodeError), path.open(encoding="utf-8") as lines:
        written = next(filter(None, map(_RUN.match, islice(lines, 10))), None)
        return written[1] if written else None
    return None


def set_aside(path: Path, run_id: str) -> None:
    """Give an undo file of another run than `run_id` a name of its own, `...-undo-RUN.sql`. Raises OSError."""
    written = run_of(path)
    if written and written != run_id:
        path.replace(path.with_name(f"{path.stem}-{written[:8]}{path.suffix}"))


def with_earlier(path: Path, names: Names, edits: Callable[[], Iterable[Edit]]) -> Iterator[Edit]:
    """`edits`, and what the undo file at `path`, where there is one, does to other rows than they.

    Nobody but psql knows whether an earlier plan was carried out: what takes it back is never lost to a later one.
    """
    yield from edits()
    earlier = undo_edits(path, names) if path.is_file() else iter(())
    while rows := {edit.model_row_id: edit for edit in islice(earlier, _AT_ONCE)}:
        for edit in edits():
            rows.pop(edit.model_row_id, None)
        yield from rows.values()
