"""What can still be read of a damaged run file, as a temporary run file."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from audit.errors import RunFileError
from audit.model.codes import NoLine
from audit.model.findings import Finding
from audit.model.run import RunInfo
from audit.model.users import ModelRecord
from audit.runfile import checksums
from audit.runfile.baseline import BaselineTable
from audit.runfile.file import RunFile, columns
from audit.runfile.sqlite import SCHEMA, SENSELESS, Storage

_COLUMNS = "id, model, outcome, rank, reason, notes, record, finding"
_GIVE_UP_AFTER = 100_000
"""Stop after this many missing ids in sequence, where the largest id cannot be read."""


def open_salvaged(path: Path) -> RunFile:
    """Every user of the run file at `path` that can be read, in a run file that is gone when it is closed.

    Its run is "stopped", with the damage as the reason. Raises RunFileError where not even the run itself can be read.
    """
    storage = Storage.connect(path)
    damaged = storage.connection
    # Nothing is written to it; but only so does SQLite read what there is of a file that has lost its end.
    damaged.execute("PRAGMA writable_schema = ON")
    # An empty name is a private file on disk that SQLite removes itself: a run may not fit into memory.
    copy = sqlite3.connect("", isolation_level=None)
    checksums.prepare(copy)
    copy.executescript(SCHEMA)
    try:
        runs = damaged.execute("SELECT name, value FROM run").fetchall()
        copy.executemany("INSERT INTO run (name, value) VALUES (?, ?)", runs)
        copy.execute("BEGIN")
        insert = f"INSERT INTO audited ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant
        copy.executemany(insert, _readable(damaged))
        run_file = RunFile(Storage(path, copy))
        with_baseline = _copy_baseline(storage, run_file)
        copy.execute("COMMIT")
        run_file.save_info(_salvaged_info(run_file, with_baseline=with_baseline))
    except (sqlite3.Error, RunFileError, *SENSELESS) as error:
        copy.close()
        if "full" in str(error):
            step = "Make room, or name a directory with room in SQLITE_TMPDIR, and try again."
            raise RunFileError(
                f"what can be read of the run file {path} needs more room than the disk has", step
            ) from error
        raise RunFileError(f"nothing can be read any more of the run file {path}", "Start a new run.") from error
    finally:
        damaged.close()
    return run_file


def _copy_baseline(damaged: Storage, run_file: RunFile) -> bool:
    """Whether all of the earlier run could be read; False where there is none."""
    try:
        checksums.check(damaged.connection, ["baseline"])
        run_file.baseline.copy(list(BaselineTable(damaged).rows()))
    except (sqlite3.DatabaseError, RunFileError, UnicodeDecodeError):
        return False
    return True


def _salvaged_info(run_file: RunFile, *, with_baseline: bool) -> RunInfo:
    info = run_file.info
    count = run_file.summary().total
    reason = f"the run file was damaged: {count:,} users could still be read"
    baseline = info.baseline if with_baseline else None
    return msgspec.structs.replace(info, state="stopped", stop_reason=reason, baseline=baseline)


def _readable(damaged: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    """Rows in order of their ids, one query each, so that one that cannot be read costs nothing but itself."""
    largest, whole = _largest_id(damaged), _whole(damaged)
    row_id = missing = 0
    while missing < _GIVE_UP_AFTER and (largest is None or row_id < largest):
        row_id += 1
        try:
            query = f"SELECT {_COLUMNS} FROM audited WHERE id = ? AND {whole}"  # noqa: S608 - a constant
            row = damaged.execute(query, (row_id,)).fetchone()
            readable = row is not None and _makes_sense(*row)
        except (sqlite3.Error, *SENSELESS):
            readable = False
        missing = 0 if readable else missing + 1
        if readable:
            yield row


def _makes_sense(row_id: int, model: object, outcome: object, *others: Any) -> bool:
    *counted, record, finding = others
    msgspec.json.decode(record, type=ModelRecord)
    verdict = msgspec.json.decode(finding, type=Finding)
    same = tuple(counted) in {columns(verdict), *map(columns, NoLine)}
    return same and row_id > 0 and isinstance(model, str | None) and isinstance(outcome, str | None)


def _whole(damaged: sqlite3.Connection) -> str:
    """The condition of a row that is as it was written, where the columns can still be told."""
    try:
        return checksums.whole(damaged, "audited")
    except (sqlite3.Error, UnicodeDecodeError):
        return "1"


def _largest_id(damaged: sqlite3.Connection) -> int | None:
    try:
        return int(damaged.execute("SELECT max(id) FROM audited").fetchone()[0] or 0)
    except (sqlite3.Error, *SENSELESS):
        return None
