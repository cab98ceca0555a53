"""The SQLite file itself: its schema, how it is opened, what its errors mean to a person."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from audit.errors import RunFileError
from audit.model.text import escape_controls, os_cause

SCHEMA_VERSION = 2
APPLICATION_ID = 0x53594E41
"""Tells a run file from any other SQLite file ("SYNA" in ASCII)."""
SCHEMA = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE audited (
    id INTEGER PRIMARY KEY,  -- order of the source: e-mail with null last, then user id
    model TEXT,              -- what Replicate is asked; null where nothing can be
    outcome TEXT,            -- null until asked; then 'answered', 'training', or the reason of the failure
    rank INTEGER NOT NULL,   -- of the status, in report order
    reason TEXT NOT NULL,
    notes TEXT NOT NULL,     -- codes joined by ;
    record TEXT NOT NULL,    -- JSON of models.ModelRecord
    finding TEXT NOT NULL    -- JSON of models.Finding
);
COMMIT;
"""
_ADDED = """
ALTER TABLE audited ADD COLUMN checked_at INTEGER;  -- when the answer came, in seconds since 1970
CREATE TABLE training (       -- the account's list of trainings, as far as it was read
    id TEXT PRIMARY KEY,
    model TEXT,               -- the destination in lower case; null where it put out no version
    version TEXT,
    weights TEXT,
    ended REAL,               -- seconds since 1970; when it was created where its end is not known
    training TEXT NOT NULL    -- JSON of training.Training
) WITHOUT ROWID;
CREATE INDEX training_by_model ON training (model, ended) WHERE model IS NOT NULL;
CREATE INDEX training_by_version ON training (version) WHERE version IS NOT NULL;
CREATE INDEX training_by_weights ON training (weights) WHERE weights IS NOT NULL;
CREATE TABLE repair (         -- the journal of what was changed in the product's database
    model_row_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,      -- of repair.State
    change TEXT NOT NULL,     -- JSON of repair.Change
    outcome TEXT              -- JSON of repair.Outcome; null while it is not known
) WITHOUT ROWID;
"""
"""What version 2 has beyond version 1."""
ELSEWHERE = (
    "Nothing is kept, as no record had been read yet. Name another place with --run-file, or make room in this one."
)
"""What to do where a run file could not even be begun."""


class DamagedError(RunFileError):
    """The file is a run file, but parts of it cannot be read."""


_WORDS = (
    ("locked", "is in use by a run that is still going on", "Wait for that run to end, or stop it."),
    ("disk is full", "cannot grow: the disk is full", "Make room, then go on with: sync-audit run --resume RUN"),
    (
        "readonly_rollback",
        "was left in the middle of a change, as its process was killed",
        "Open it once, which takes that back: sync-audit render RUN",
    ),
    ("readonly", "cannot be written: it, or its directory, is read-only", "Copy it to a place that can be written."),
    ("read-only", "cannot be written: it, or its directory, is read-only", "Copy it to a place that can be written."),
    ("not a database", "is not a run file of sync-audit", "Name the .sqlite file that a run has written."),
    (
        "disk i/o",
        "cannot be read or written: the disk reports an error",
        "Check the disk, then: sync-audit run --resume RUN",
    ),
    ("unable to open", "cannot be opened", "Check that its directory exists and may be written."),
)


def create(path: Path) -> sqlite3.Connection:
    """A new run file, mode 0600, locked for this process until it is closed. The path must be free."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise RunFileError(
            f"the run file {path} cannot be created: {os_cause(error).lower()}",
            "Name a place that can be written with --run-file.",
        ) from error
    connection = connect(path)
    try:
        with translated(path):
            hold(connection)
            connection.executescript(SCHEMA)
            upgrade(connection)
    except RunFileError as error:
        connection.close()
        remove(path)
        error.next_step = ELSEWHERE
        raise
    return connection


def check_free(path: Path) -> None:
    """Find out before anything else whether `create` would find a file there. Raises `RunFileError`."""
    if path.exists():
        raise _taken(path)


def _taken(path: Path) -> RunFileError:
    return RunFileError(f"the run file {path} exists already", "Name another one with --run-file, or remove this one.")


def remove(path: Path) -> None:
    """Delete the file, and what SQLite may have left beside it."""
    for beside in ("", "-wal", "-journal"):
        with suppress(OSError):
            path.with_name(path.name + beside).unlink()


def connect(path: Path, mode: Literal["rw", "ro"] = "rw") -> sqlite3.Connection:
    """An existing file, of which "ro" changes nothing; half a second of patience where another process reads it."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=0.5)


def lock(connection: sqlite3.Connection) -> None:
    """Keep all other processes out for as long as this one lives; changes nothing in the file."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")  # in this mode the lock stays


def hold(connection: sqlite3.Connection) -> None:
    """Lock the file, and make transactions cheap.

    With a write-ahead log nothing is lost when the process dies, and the file stays consistent when power fails.
    """
    lock(connection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring a file that is held up to `SCHEMA_VERSION`, whole or not at all."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version < SCHEMA_VERSION:
        connection.executescript(f"BEGIN;{_ADDED}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is done within is kept, or nothing of it. To be used within `translated`."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # where the disk is full SQLite may have taken it back itself
            connection.execute("ROLLBACK")
        raise


@contextmanager
def filling(connection: sqlite3.Connection) -> Iterator[None]:
    """As `transaction`, for the mass of a file that is held: a log would hold all of it a second time."""
    connection.execute("PRAGMA journal_mode = DELETE")
    with transaction(connection):
        yield
    hold(connection)


def release(connection: sqlite3.Connection) -> None:
    """Undo `hold`; the log becomes part of the file, and the next write removes what the switch has left."""
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA locking_mode = NORMAL")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """See that it is a run file which this version understands. Raises `RunFileError`."""
    with translated(path):
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not application and not tables:
        raise RunFileError(
            f"{path} is empty, as a run leaves its file that is killed when it has hardly begun",
            "Remove it. Start a new run.",
        )
    if application != APPLICATION_ID:
        raise RunFileError(f"{path} is not a run file of sync-audit", "Name the .sqlite file that a run has written.")
    if version > SCHEMA_VERSION:
        raise RunFileError(
            f"the run file {path} was written by a newer sync-audit (schema {version}, not {SCHEMA_VERSION})",
            "Update sync-audit: pip install --upgrade replicate-sync-audit",
        )


def check_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Look through the whole file. Raises `DamagedError` where something is broken."""
    with translated(path):
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError("malformed")


@contextmanager
def read(path: Path) -> Iterator[None]:
    """As `translated`, around making sense of what the file holds: a damaged page gives values of any type."""
    with translated(path):
        try:
            yield
        except (ValueError, TypeError) as error:
            raise sqlite3.DatabaseError("a value in it makes no sense") from error


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """The one border at which SQLite's errors become `RunFileError`."""
    try:
        yield
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        if not path.exists():
            raise RunFileError(
                f"the run file {path} is gone: it, or its directory, was removed while it was in use",
                "Start a new run, in a place that stays.",
            ) from error
        text = f"{error} {getattr(error, 'sqlite_errorname', '')}".lower()
        for sign, words, step in _WORDS:
            if sign in text:
                raise RunFileError(f"the run file {path} {words}", step.replace("RUN", str(path))) from error
        raise DamagedError(
            f"the run file {path} is damaged ({escape_controls(str(error))})",
            f"See what can still be read: sync-audit render {path}; then start a new run.",
        ) from error
