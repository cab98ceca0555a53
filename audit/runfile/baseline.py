"""The earlier run that users are compared with, in the run file, so that reports need no other file."""

from collections.abc import Iterable, Iterator

from audit.findings.comparison import UserSnapshot, UserState, baseline_state, user_state
from audit.model.codes import Status
from audit.model.findings import BaselineState, Finding
from audit.model.users import ModelRecord
from audit.runfile.sqlite import Storage

# In no schema of the run file: it is there where there was a baseline, and every version can read a file with it.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS baseline (
    user_id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID
"""


class BaselineTable:
    """Status and reason of every user of the earlier run.

    What writes is to be called within a transaction of the run file, which translates SQLite's errors.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._db = storage.connection

    def create(self) -> None:
        """Make the table, unless it is there."""
        self._db.execute(_SCHEMA)

    def add(self, user: UserSnapshot) -> bool:
        """Append a user; False where the `user_id` is there already."""
        insert = "INSERT OR IGNORE INTO baseline VALUES (?, ?, ?)"
        return self._db.execute(insert, (user.user_id, user.status.value, user.reason)).rowcount > 0

    def state(self, record: ModelRecord, finding: Finding, *, complete: bool) -> BaselineState | None:
        """How a user compares with the earlier run; `complete` is False for a run that did not come to its end."""
        with self._storage.reading():
            query = "SELECT status, reason FROM baseline WHERE user_id = ?"
            row = self._db.execute(query, (record.user_id,)).fetchone()
            before = user_state(Status(row[0]), row[1]) if row else UserState.ABSENT
        return baseline_state(before, user_state(finding.status, finding.reason.value), complete=complete)

    def rows(self) -> Iterator[tuple[object, ...]]:
        """All users, for `copy` of another file. Raises RunFileError where there is no earlier run."""
        with self._storage.reading():
            yield from self._db.execute("SELECT user_id, status, reason FROM baseline")

    def copy(self, rows: Iterable[tuple[object, ...]]) -> None:
        """Make the table and fill it with the rows of another file."""
        self.create()
        self._db.executemany("INSERT INTO baseline VALUES (?, ?, ?)", rows)
