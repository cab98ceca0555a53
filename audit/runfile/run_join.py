"""The lines of two runs side by side, in a private file on disk that SQLite removes itself."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from audit.errors import RunFileError
from audit.findings.comparison import Change, ComparedUser, UserSnapshot
from audit.model.codes import Status
from audit.model.lines import Line

# `seen` has row ids, so that texts are written one behind the other: ids come in no order, and each would otherwise
# have its place among texts that are far too many to be held.
_SCHEMA = """
CREATE TABLE seen (
    side INTEGER NOT NULL,   -- 0: the earlier run, 1: the later one
    user_id TEXT NOT NULL,
    part TEXT NOT NULL,      -- what tells lines of one user apart
    body TEXT NOT NULL,      -- JSON of comparison.UserSnapshot
    PRIMARY KEY (side, user_id, part)
);
CREATE TABLE compared (
    user_id TEXT NOT NULL,
    part TEXT NOT NULL,
    change TEXT NOT NULL,
    rank INTEGER NOT NULL,   -- of the last known status, in report order
    email TEXT,
    differs TEXT NOT NULL    -- names of fields, joined by ;
);
BEGIN;
"""
_BOTH = """
SELECT o.user_id, o.part, o.body, n.body FROM seen AS o LEFT JOIN seen AS n
    ON n.side = 1 AND n.user_id = o.user_id AND n.part = o.part WHERE o.side = 0
UNION ALL
SELECT n.user_id, n.part, NULL, n.body FROM seen AS n WHERE n.side = 1
    AND NOT EXISTS (SELECT 1 FROM seen AS o WHERE o.side = 0 AND o.user_id = n.user_id AND o.part = n.part)
"""
_CHANGED = """
SELECT o.body, n.body, c.differs FROM compared AS c
LEFT JOIN seen AS o ON o.side = 0 AND o.user_id = c.user_id AND o.part = c.part
LEFT JOIN seen AS n ON n.side = 1 AND n.user_id = c.user_id AND n.part = c.part
WHERE c.change = ? ORDER BY c.rank, c.email IS NULL, c.email, c.user_id, c.part
"""
_RANK = {status: rank for rank, status in enumerate(Status)}
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(UserSnapshot)


class Transition(NamedTuple):
    """How many lines went from one status to another; null is "not in that run"."""

    change: Change
    old: Status | None
    new: Status | None


class RunJoin:
    """Two runs joined by line: `add` both, then iterate and record each change.

    Memory does not grow with the number of users. Every method raises RunFileError where the disk fails.
    """

    def __init__(self) -> None:
        with _translated():
            self._db = sqlite3.connect("", isolation_level=None)
            self._db.executescript(_SCHEMA)
        self.transitions: Counter[Transition] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.close()

    def add(self, side: int, user: UserSnapshot) -> bool:
        """Append a line of the earlier (0) or the later run (1); false where that run has it already.

        Raises UnicodeEncodeError where a text cannot be written.
        """
        body = _ENCODER.encode(user).decode()
        with _translated():
            done = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", (side, *user.line, body))
            return done.rowcount > 0

    def users(self) -> Iterator[tuple[Line, UserSnapshot | None, UserSnapshot | None]]:
        """Every line that is in either run, and both sides; in no order that means anything."""
        with _translated():
            for user_id, part, old, new in self._db.execute(_BOTH):
                yield Line(user_id, part), _decoded(old), _decoded(new)

    def record(self, line: Line, compared: ComparedUser) -> None:
        """Count what became of a line, and remember it unless nothing did; safe while going through `users`.

        `line` is that of `users`; in `compared` it may be masked.
        """
        old, new, last = compared.old, compared.new, compared.last
        self.transitions[Transition(compared.change, old.status if old else None, new.status if new else None)] += 1
        if compared.change is Change.UNCHANGED:
            return
        row = (*line, compared.change.value, _RANK[last.status], last.email, ";".join(compared.differs))
        with _translated():
            self._db.execute("INSERT INTO compared VALUES (?, ?, ?, ?, ?, ?)", row)

    def changes(self, change: Change) -> Iterator[ComparedUser]:
        """The lines of one change in report order: last known status, e-mail with null last, user id, part."""
        with _translated():
            for old, new, differs in self._db.execute(_CHANGED, (change.value,)):
                yield ComparedUser(_decoded(old), _decoded(new), change, tuple(filter(None, differs.split(";"))))


def _decoded(body: str | None) -> UserSnapshot | None:
    return None if body is None else _DECODER.decode(body)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise RunFileError(
            f"the two runs cannot be put side by side in a temporary file: {error}",
            "Make room, or name a directory with room in SQLITE_TMPDIR, and try again.",
        ) from error
