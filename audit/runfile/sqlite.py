"""The SQLite file under a run file: its schema, its lock, its transactions, and what its errors mean to a person."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Literal, Self, TypeVar

import msgspec

from audit.errors import RunFileError
from audit.files import open_foreign
from audit.model.text import escape_controls, os_cause
from audit.runfile import checksums

_T = TypeVar("_T")
WAIT = 0.5
"""Seconds that a file may be in use by another process."""
_PAGE = 500
"""Rows that `Storage.paged` reads at once."""
SCHEMA_VERSION = 4
APPLICATION_ID = 0x53594E41
"""Tells a run file from any other SQLite file ("SYNA" in ASCII)."""
SCHEMA = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE audited (
    id INTEGER PRIMARY KEY,  -- order of the database: e-mail with null last, then user id
    model TEXT,              -- key of what Replicate is asked; null where nothing can be
    outcome TEXT,            -- null until asked; then 'answered', 'training', or the reason of the failure
    rank INTEGER NOT NULL,   -- of the status, in report order
    reason TEXT NOT NULL,
    notes TEXT NOT NULL,     -- codes joined by ;
    record TEXT NOT NULL,    -- JSON of ModelRecord
    finding TEXT NOT NULL    -- JSON of Finding
);
COMMIT;
"""
_SCHEMA_2 = """
ALTER TABLE audited ADD COLUMN checked_at INTEGER;  -- when the answer came, in seconds since 1970
CREATE TABLE training (       -- the account's list of trainings, as far as it was read
    id TEXT PRIMARY KEY,
    model TEXT,               -- key of the destination; null where it put out no version
    version TEXT,
    weights TEXT,
    ended REAL,               -- seconds since 1970; when it was created where its end is not known
    training TEXT NOT NULL    -- JSON of Training
) WITHOUT ROWID;
CREATE INDEX training_by_model ON training (model, ended) WHERE model IS NOT NULL;
CREATE INDEX training_by_version ON training (version) WHERE version IS NOT NULL;
CREATE INDEX training_by_weights ON training (weights) WHERE weights IS NOT NULL;
CREATE TABLE repair (         -- the journal of what was changed in the product's database
    model_row_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,      -- of ChangeState
    change TEXT NOT NULL,     -- JSON of RowChange
    outcome TEXT              -- JSON of ChangeOutcome; null while it is not known
) WITHOUT ROWID;
"""
"""What schema 2 has beyond schema 1."""
_SCHEMA_3 = """
CREATE TABLE unfinished (     -- users whose newest row, which is not completed, has a question of its own
    id INTEGER PRIMARY KEY,   -- of audited
    outcome TEXT,             -- as there
    heard TEXT,               -- JSON of Heard; null until there is an answer
    base TEXT                 -- JSON of Finding: on the completed row; null where there is none
);
"""
"""What schema 3 has beyond schema 2. In `audited` a rank behind those of statuses means: in no line of a report."""
_SUMMED = 4
"""The first schema whose rows have checksums."""
_UPGRADES = {2: _SCHEMA_2, 3: _SCHEMA_3, 4: checksums.SCHEMA}
"""By the version that each leads to."""
NOTHING_KEPT = (
    "Nothing is kept, as no record had been read yet. Name another place with --run-file, or make room in this one."
)
"""The next step where a run file could not even be begun."""

SENSELESS = (ValueError, TypeError, OverflowError, RecursionError)
"""What decoding raises: a damaged page gives values of any type."""
_OF_SQLITE = (sqlite3.Error, msgspec.MsgspecError, UnicodeDecodeError)
"""What SQLite and msgspec raise; the last in SQLite's own message."""


class DamagedError(RunFileError):
    """The file is a run file, but parts of it cannot be read."""


class TakenError(RunFileError):
    """There is a file already where a new run file was to be."""


class InUseError(RunFileError):
    """Another process has the file locked: a run, or a repair, is going on."""


class DiskFullError(RunFileError):
    """The disk takes nothing more of the file, which may still be read: it is full, or a limit is reached."""


_ERRORS = (
    ("locked", "is in use by a running audit", "Wait for that run to end, or stop it."),
    ("disk is full", "cannot grow: the disk is full", "Make room, then go on with: sync-audit run --resume RUN"),
    (
        "readonly_rollback",
        "was left in the middle of a change: its process was killed",
        "Open it once; that undoes the change: sync-audit render RUN",
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


class Storage:
    """An open SQLite file with the schema of a run file.

    Whatever uses `connection` does so within `translate_errors` or `reading`; the methods here do it themselves, where
    they do not say otherwise.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection
        self._translating = _Translation(self._translated, *_OF_SQLITE)
        self._reading = _Translation(self._translated, *_OF_SQLITE, *SENSELESS)

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new file, mode 0600, locked for this process until it is closed. The path must be free."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            raise _taken(path) from None
        except OSError as error:
            raise RunFileError(
                f"the run file {path} cannot be created: {os_cause(error).lower()}",
                "Name a place that can be written with --run-file.",
            ) from error
        storage = None
        try:
            storage = cls.connect(path)
            storage.make_schema()
        except RunFileError as error:
            if storage:
                storage.connection.close()
            remove(path)
            error.next_step = NOTHING_KEPT
            raise
        return storage

    @classmethod
    def connect(cls, path: Path, mode: Literal["rw", "ro"] = "rw", wait: float = WAIT) -> Self:
        """An existing file, of which "ro" changes nothing; waits so many seconds where another process reads it."""
        try:
            uri = f"{path.absolute().as_uri()}?mode={mode}"
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=wait)
        except (sqlite3.Error, OSError) as error:  # of a path that is too long for SQLite, or below no directory
            raise RunFileError(
                f"the run file {path} cannot be opened", "Name it by a shorter path, in a directory that is there."
            ) from error
        checksums.prepare(connection)
        return cls(path, connection)

    def make_schema(self) -> None:
        """Lock an empty file, and give it the newest schema."""
        with self.translate_errors():
            self._lock_for_writing()
            self.connection.executescript(SCHEMA)
            self._upgrade()
            checksums.keep(self.connection)

    @property
    def _salvage(self) -> str:
        """The next step where the file is damaged."""
        return f"See what can still be read: sync-audit render {self.path}; then start a new run."

    def check(self) -> None:
        """Raises `RunFileError` unless this is a run file that this version understands."""
        with self.translate_errors():
            (application,) = self.connection.execute("PRAGMA application_id").fetchone()
            (version,) = self.connection.execute("PRAGMA user_version").fetchone()
            (tables,) = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not application and not tables:
            raise RunFileError(
                f"{self.path} is empty, as a run leaves its file that is killed when it has hardly begun",
                "Remove it. Start a new run.",
            )
        if application != APPLICATION_ID:
            raise RunFileError(
                f"{self.path} is not a run file of sync-audit", "Name the .sqlite file that a run has written."
            )
        if version < 1:
            raise DamagedError(f"the run file {self.path} is damaged (its version makes no sense)", self._salvage)
        if version > SCHEMA_VERSION:
            raise RunFileError(
                f"the run file {self.path} was written by a newer sync-audit (schema {version}, not {SCHEMA_VERSION})",
                "Update sync-audit: pip install --upgrade replicate-sync-audit",
            )

    def check_integrity(self) -> None:
        """Read the whole file, indexes and checksums too. Raises `DamagedError` where something is broken."""
        with self.reading():
            (result,) = self.connection.execute("PRAGMA integrity_check(1)").fetchone()
            if result != "ok":
                raise sqlite3.DatabaseError("malformed")
            (version,) = self.connection.execute("PRAGMA user_version").fetchone()
            if version >= _SUMMED:
                checksums.check(self.connection)

    def lock(self) -> None:
        """Keep all other processes out until this one ends, check the integrity, and bring an older schema up to date.

        Nothing is changed in a file that is damaged.
        """
        with self.translate_errors():
            self._lock()
            self.check_integrity()
            self._lock_for_writing()
            self._upgrade()
            checksums.keep(self.connection)

    def _lock(self) -> None:
        self.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.connection.execute("BEGIN EXCLUSIVE")
        self.connection.execute("COMMIT")  # in this mode the lock stays

    def _lock_for_writing(self) -> None:
        """Lock, and make transactions cheap.

        With a write-ahead log nothing is lost when the process dies, and the file stays consistent when power fails.
        """
        self._lock()
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")

    def _upgrade(self) -> None:
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        steps = [step for leads_to, step in _UPGRADES.items() if leads_to > version]
        if steps:
            self.connection.executescript(f"BEGIN;{''.join(steps)}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")

    @property
    def locked(self) -> bool:
        """Whether this process has locked the file. SQLite's errors are not translated."""
        return bool(self.connection.execute("PRAGMA locking_mode").fetchone() == ("exclusive",))

    def unlock(self) -> None:
        """Make one file of file and write-ahead log, and let other processes in. SQLite's errors are not translated."""
        self.connection.execute("PRAGMA journal_mode = DELETE")
        self.connection.execute("PRAGMA locking_mode = NORMAL")  # the next write removes what the switch has left

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is done within. SQLite's errors are not translated."""
        self.connection.execute("BEGIN")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:  # where the disk is full SQLite may have taken it back itself
                self.connection.execute("ROLLBACK")
            raise

    @contextmanager
    def bulk_transaction(self) -> Iterator[None]:
        """As `transaction`, without the write-ahead log, which would hold all of a large load a second time."""
        self.connection.execute("PRAGMA journal_mode = DELETE")
        with self.transaction():
            yield
        self._lock_for_writing()

    def paged(self, query: str, values: tuple[object, ...], make: Callable[..., _T], after: object = 0) -> Iterator[_T]:
        """What `make` makes of the columns of each row; a page at a time, so that writing meanwhile is safe.

        `query` takes `values`, the key behind which a page begins, and its size; the first column is that key.
        """
        while True:
            with self.reading():
                rows = self.connection.execute(query, (*values, after, _PAGE)).fetchall()
                page = [make(*row) for row in rows]
            if not rows:
                return
            yield from page
            after = rows[-1][0]

    def reading(self) -> AbstractContextManager[None]:
        """`translate_errors` around decoding of what the file holds."""
        return self._reading

    def translate_errors(self) -> AbstractContextManager[None]:
        """Raises `RunFileError`, which names the file, for every error of SQLite and msgspec within."""
        return self._translating

    def _translated(self, error: Exception) -> RunFileError:
        path = self.path
        if not path.exists():
            return RunFileError(
                f"the run file {path} is gone: it, or its directory, was removed while it was in use",
                "Start a new run, in a place that stays.",
            )
        text = f"{error} {getattr(error, 'sqlite_errorname', '')}".lower()
        for sign, words, step in _ERRORS:
            if sign in text and isinstance(error, sqlite3.Error):
                kind = InUseError if sign == "locked" else RunFileError
                kind = DiskFullError if sign in {"disk is full", "disk i/o"} else kind
                return kind(f"the run file {path} {words}", step.replace("RUN", str(path)))
        why = "a value in it makes no sense" if isinstance(error, SENSELESS) else escape_controls(str(error))
        return DamagedError(f"the run file {path} is damaged ({why})", self._salvage)


class _Translation(AbstractContextManager[None]):
    """Of errors of these kinds. Made once: an answer passes through several, and generators take five times as long."""

    def __init__(self, translated: Callable[[Exception], RunFileError], *kinds: type[Exception]) -> None:
        self._translated = translated
        self._kinds = kinds

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, self._kinds):
            raise self._translated(error) from error


def is_run_file(path: Path) -> bool:
    """Whether `path` begins as a run file does, by the header that SQLite documents; False where it cannot be read."""
    try:
        with open_foreign(path) as file:
            header = file.read(72)
    except OSError:
        return False
    return header.startswith(b"SQLite format 3\0") and header[68:72] == APPLICATION_ID.to_bytes(4, "big")


def check_free(path: Path) -> None:
    """Raises `TakenError` where `Storage.create` would find a file."""
    if os.path.lexists(path):
        raise _taken(path)


def _taken(path: Path) -> TakenError:
    return TakenError(f"the run file {path} exists already", "Name another one with --run-file, or remove this one.")


def remove(path: Path) -> None:
    """Delete the file, and what SQLite may have left beside it."""
    for each in (path, *beside(path)):
        with suppress(OSError):
            each.unlink()


def beside(path: Path) -> tuple[Path, ...]:
    """What SQLite may leave beside the file where a process is killed."""
    return tuple(path.with_name(path.name + end) for end in ("-wal", "-journal", "-shm"))
