"""What was changed in the product's database, in a run file: written down before each change and after it."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from audit.model.repair import ChangeOutcome, ChangeState, RowChange
from audit.runfile import sqlite as storage

_PAGE = 500
_CHANGE = msgspec.json.Decoder(RowChange)
_OUTCOME = msgspec.json.Decoder(ChangeOutcome)
_ENCODER = msgspec.json.Encoder()


class JournalEntry(NamedTuple):
    """One change, and how far it has come."""

    change: RowChange
    state: ChangeState
    outcome: ChangeOutcome


class Journal:
    """Part of an open run file. Every method raises `RunFileError` where SQLite or the disk fails."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._db = connection

    @property
    def exists(self) -> bool:
        """False in a file of schema 1, until it is held."""
        with storage.read(self._path):
            return bool(self._db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'repair'").fetchone())

    def write(self, entries: Iterable[JournalEntry]) -> None:
        """Put down what is known of these rows now, whole or not at all; on disk when this returns, if power fails too.

        The file has to be held.
        """
        rows = [
            (each.change.model_row_id, each.state.value, _text(each.change), _text(each.outcome)) for each in entries
        ]
        with storage.translated(self._path):
            self._db.execute("PRAGMA synchronous = FULL")
            with storage.transaction(self._db):
                self._db.executemany("INSERT OR REPLACE INTO repair VALUES (?, ?, ?, ?)", rows)

    def entries(self, state: ChangeState | None = None) -> Iterator[JournalEntry]:
        """All changes, or those of one state, in the order of their ids as texts; safe to write meanwhile."""
        after = ""
        where = "AND state = ?" if state else ""
        query = f"SELECT * FROM repair WHERE model_row_id > ? {where} ORDER BY model_row_id LIMIT {_PAGE}"  # noqa: S608 - as above
        while True:
            with storage.read(self._path):
                rows = self._db.execute(query, (after, state.value) if state else (after,)).fetchall()
                entries = [_entry(row) for row in rows]
            if not entries:
                return
            yield from entries
            after = entries[-1].change.model_row_id

    def entry(self, model_row_id: str) -> JournalEntry | None:
        """Of one row; None where nobody has tried to change it."""
        with storage.read(self._path):
            row = self._db.execute("SELECT * FROM repair WHERE model_row_id = ?", (model_row_id,)).fetchone()
            return _entry(row) if row else None

    def counts(self) -> dict[ChangeState, int]:
        """How many there are of each state; every state has a key."""
        with storage.read(self._path):
            found = dict(self._db.execute("SELECT state, count(*) FROM repair GROUP BY state").fetchall())
            return {state: int(found.get(state.value, 0)) for state in ChangeState}


def _entry(row: tuple[str, str, str, str | None]) -> JournalEntry:
    _, state, change, outcome = row
    return JournalEntry(
        _CHANGE.decode(change), ChangeState(state), _OUTCOME.decode(outcome) if outcome else ChangeOutcome()
    )


def _text(noun: RowChange | ChangeOutcome) -> str:
    return _ENCODER.encode(noun).decode()
