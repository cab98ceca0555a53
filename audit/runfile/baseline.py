"""The earlier run that users are compared with, in the run file, so that reports need no other file."""

from collections.abc import Iterable, Iterator
from functools import cached_property

from audit.findings.comparison import Looked, Sighted, UserSnapshot, baseline_state
from audit.model.codes import Status
from audit.model.findings import BaselineState, Finding
from audit.model.lines import line_of
from audit.model.run import RunInfo
from audit.model.users import ModelRecord
from audit.runfile import checksums
from audit.runfile.sqlite import Storage

# In no schema of the run file: it is there where there was a baseline, and every version can read a file with it.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS baseline (
    user_id TEXT NOT NULL,
    part TEXT NOT NULL,    -- what tells lines of one user apart; older files lack it
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    also TEXT,             -- of the completed row, where the reason is about a newer one; older files lack the column
    sum INTEGER,           -- checksum; older files lack it
    -- Columns of the key stand first: else SQLite 3.40 finds fault with every row when it is asked for a check.
    PRIMARY KEY (user_id, part)
) WITHOUT ROWID
"""

_COLUMNS = "user_id, part, status, reason, also"


class BaselineTable:
    """Status and reasons of every line of the earlier run.

    What writes is to be called within a transaction of the run file, which translates SQLite's errors.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._db = storage.connection

    def create(self) -> None:
        """Make the table, unless it is there."""
        self._db.execute(_SCHEMA)
        checksums.keep(self._db)

    def add(self, user: UserSnapshot) -> bool:
        """Append a line; False where it is there already."""
        insert = f"INSERT OR IGNORE INTO baseline ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608 - a constant
        values = (*user.line, user.status.value, user.reason, user.also)
        return self._db.execute(insert, values).rowcount > 0

    def state(self, record: ModelRecord, finding: Finding, *, run: RunInfo) -> BaselineState | None:
        """How a line of `run`, which has a baseline, compares with the earlier run."""
        with self._storage.reading():
            query = f"SELECT status, reason, {self._also} FROM baseline WHERE user_id = ? AND {self._part} = ?"  # noqa: S608 - words of ours
            row = self._db.execute(query, line_of(record, run.latest_per)).fetchone()
            before = Sighted(Status(row[0]), row[1], row[2]) if row else None
        now = Sighted(finding.status, finding.reason, finding.also.reason if finding.also else None)
        looked = Looked(before=run.baseline.looked_for if run.baseline else (), now=run.looked_for)
        return baseline_state(before, now, complete=run.state == "complete", looked=looked)

    @cached_property
    def _columns(self) -> frozenset[str]:
        return frozenset(row[1] for row in self._db.execute("PRAGMA table_info(baseline)"))

    @property
    def _also(self) -> str:
        return "also" if "also" in self._columns else "NULL"

    @property
    def _part(self) -> str:
        return "part" if "part" in self._columns else "''"

    def rows(self) -> Iterator[tuple[object, ...]]:
        """All users, for `copy` of another file. Raises RunFileError where there is no earlier run."""
        with self._storage.reading():
            yield from self._db.execute(f"SELECT user_id, {self._part}, status, reason, {self._also} FROM baseline")  # noqa: S608 - the same

    def copy(self, rows: Iterable[tuple[object, ...]]) -> None:
        """Make the table and fill it with the rows of another file."""
        self.create()
        self._db.executemany(f"INSERT INTO baseline ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", rows)  # noqa: S608 - a constant
