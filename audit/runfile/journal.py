"""The journal of a repair, in the run file: each change of the product's database, before it is made and after."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from audit.model.repair import ChangeOutcome, ChangeState, RowChange
from audit.runfile.sqlite import Storage

_CHANGE = msgspec.json.Decoder(RowChange)
_OUTCOME = msgspec.json.Decoder(ChangeOutcome)
_INSERT = "INSERT OR REPLACE INTO repair (model_row_id, state, change, outcome) VALUES (?, ?, ?, ?)"
_SELECT = "SELECT model_row_id, state, change, outcome FROM repair"
_ENCODER = msgspec.json.Encoder()


class JournalEntry(NamedTuple):
    """One change, and how far it has come."""

    change: RowChange
    state: ChangeState
    outcome: ChangeOutcome


class Journal:
    """At most one entry for each row of the product's table. Every method raises `RunFileError` where SQLite fails."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._db = storage.connection

    @property
    def exists(self) -> bool:
        """False in a file of schema 1, until it is locked."""
        with self._storage.reading():
            return bool(self._db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'repair'").fetchone())

    def write(self, entries: Iterable[JournalEntry]) -> None:
        """Replace the entries of these rows, all or none; on disk when this returns, even if power fails then.

        The file has to be locked.
        """
        rows = [
            (each.change.model_row_id, each.state.value, _text(each.change), _text(each.outcome)) for each in entries
        ]
        with self._storage.translate_errors():
            self._db.execute("PRAGMA synchronous = FULL")
            with self._storage.transaction():
                self._db.executemany(_INSERT, rows)

    def entries(self, state: ChangeState | None = None) -> Iterator[JournalEntry]:
        """All entries, or those of one state, in the order of row ids as texts; safe to write meanwhile."""
        where, values = ("state = ? AND", (state.value,)) if state else ("", ())
        query = f"{_SELECT} WHERE {where} model_row_id > ? ORDER BY model_row_id LIMIT ?"
        return self._storage.paged(query, values, _entry, after="")

    def entry(self, model_row_id: str) -> JournalEntry | None:
        """That of one row; None where nobody has tried to change it."""
        with self._storage.reading():
            row = self._db.execute(f"{_SELECT} WHERE model_row_id = ?", (model_row_id,)).fetchone()
            return _entry(*row) if row else None

    def counts(self) -> dict[ChangeState, int]:
        """How many entries there are of each state; every state has a key."""
        with self._storage.reading():
            found = dict(self._db.execute("SELECT state, count(*) FROM repair GROUP BY state").fetchall())
            return {state: int(found.get(state.value, 0)) for state in ChangeState}


def _entry(_: str, state: str, change: str, outcome: str | None) -> JournalEntry:
    result = _OUTCOME.decode(outcome) if outcome else ChangeOutcome()
    return JournalEntry(_CHANGE.decode(change), ChangeState(state), result)


def _text(noun: RowChange | ChangeOutcome) -> str:
    return _ENCODER.encode(noun).decode()
