"""What an earlier run knew of each user, kept in the run file, so that reports of it need no other file."""

import sqlite3

from audit.findings.comparison import UserSnapshot, UserState, baseline_state, user_state
from audit.model.codes import Status
from audit.model.findings import BaselineState, Finding
from audit.model.users import ModelRecord

# In no schema of the run file: it is there where there was a baseline, and every version can read a file with it.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS baseline (
    user_id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID
"""


def create(connection: sqlite3.Connection) -> None:
    """A place for the earlier run."""
    connection.execute(_SCHEMA)


def add(connection: sqlite3.Connection, user: UserSnapshot) -> bool:
    """Append a user of the earlier run; false where the `user_id` is there already."""
    insert = "INSERT OR IGNORE INTO baseline VALUES (?, ?, ?)"
    return connection.execute(insert, (user.user_id, user.status.value, user.reason)).rowcount > 0


def mark(
    connection: sqlite3.Connection, record: ModelRecord, finding: Finding, *, complete: bool
) -> BaselineState | None:
    """How a user compares with the earlier run; `complete` is false for a run that did not come to its end."""
    query = "SELECT status, reason FROM baseline WHERE user_id = ?"
    row = connection.execute(query, (record.user_id,)).fetchone()
    before = user_state(Status(row[0]), row[1]) if row else UserState.ABSENT
    return baseline_state(before, user_state(finding.status, finding.reason.value), complete=complete)


def copied(damaged: sqlite3.Connection, copy: sqlite3.Connection) -> bool:
    """Take the earlier run over into `copy`; false where not all of it can be read, or there is none."""
    try:
        rows = damaged.execute("SELECT user_id, status, reason FROM baseline").fetchall()
        create(copy)
        copy.executemany("INSERT INTO baseline VALUES (?, ?, ?)", rows)
    except sqlite3.DatabaseError:
        return False
    return True
