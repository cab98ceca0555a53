"""Rows as they stand in run files: given out by those of shards, taken over by the one that is merged from them."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from audit.model.users import ModelRecord
from audit.runfile import baseline as marks
from audit.runfile import sqlite as storage

_RECORD = msgspec.json.Decoder(ModelRecord)
_COLUMNS = "model, outcome, rank, reason, notes, record, finding, checked_at"
_TWICE = """
SELECT 1 FROM audited GROUP BY json_extract(record, '$.user_id') HAVING count(*) > 1 LIMIT 1
"""
# Whoever is in two shards is kept as the one knows him that was begun last.
_REMOVE_OLDER = """
DELETE FROM audited WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY json_extract(record, '$.user_id') ORDER BY newness(record) DESC)
            AS place FROM audited
    ) WHERE place > 1
)
"""


class Row(NamedTuple):
    """A user as the file has it."""

    record: ModelRecord
    columns: tuple[object, ...]


class Copies:
    """Part of an open run file. Every method raises `RunFileError` where SQLite or the disk fails.

    What takes over is to be called within a transaction; nothing here holds more than a row.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._db = connection

    def check_whole(self) -> None:
        """Look through the whole file. Raises `DamagedError` where something is broken."""
        storage.check_whole(self._db, self._path)

    def users(self) -> Iterator[Row]:
        """All of them, in the source's order."""
        with storage.read(self._path):
            for row in self._db.execute(f"SELECT {_COLUMNS} FROM audited ORDER BY id"):  # noqa: S608 - a constant
                yield Row(_RECORD.decode(row[5]), row)

    def trainings(self) -> Iterator[tuple[object, ...]]:
        """The account's list, as far as it was read."""
        with storage.read(self._path):
            yield from self._db.execute("SELECT id, model, version, weights, ended, training FROM training")

    def baseline(self) -> Iterator[tuple[object, ...]]:
        """What the earlier run knew; only where there is one."""
        with storage.read(self._path):
            yield from self._db.execute("SELECT user_id, status, reason FROM baseline")

    def take_users(self, rows: Iterable[Row]) -> None:
        """Append `rows`, which are in the source's order."""
        insert = f"INSERT INTO audited ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant
        with storage.translated(self._path):
            self._db.executemany(insert, (row.columns for row in rows))

    def take_trainings(self, rows: Iterable[tuple[object, ...]]) -> None:
        """Add those of a list; whatever is there already is replaced."""
        with storage.translated(self._path):
            self._db.executemany("INSERT OR REPLACE INTO training VALUES (?, ?, ?, ?, ?, ?)", rows)

    def take_baseline(self, rows: Iterable[tuple[object, ...]]) -> None:
        """Take over the whole of it."""
        with storage.translated(self._path):
            marks.create(self._db)
            self._db.executemany("INSERT INTO baseline VALUES (?, ?, ?)", rows)

    def count_trainings(self) -> int:
        """Different ones."""
        with storage.translated(self._path):
            return int(self._db.execute("SELECT count(*) FROM training").fetchone()[0])

    def remove_doubled(self, newness: Callable[[ModelRecord], float]) -> int:
        """Keep of each user the row that is the newest, and return how many went."""
        with storage.translated(self._path):
            if not self._db.execute(_TWICE).fetchone():
                return 0
            self._db.create_function("newness", 1, lambda record: newness(_RECORD.decode(record)), deterministic=True)
            return self._db.execute(_REMOVE_OLDER).rowcount
