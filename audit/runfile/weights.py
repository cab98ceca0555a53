"""Weights URLs that were asked for, in the run file: each once, with what that told, so that nobody asks twice."""

from collections.abc import Iterable, Iterator

from audit.model.replies import WeightsAnswer, WeightsAsked
from audit.runfile import checksums
from audit.runfile.sqlite import Storage

# In no schema of the run file: it is there where weights were asked for, and every version can read a file with it.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS weights (
    url TEXT PRIMARY KEY,
    told TEXT,     -- null until asked; then 'there', 'gone' or 'nothing'
    detail TEXT,
    sum INTEGER    -- checksum; older files lack it
) WITHOUT ROWID
"""


class WeightsTable:
    """The URLs. Every method raises `RunFileError` where SQLite or the disk fails.

    What writes is to be called within a transaction of the run file.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._db = storage.connection

    @property
    def exists(self) -> bool:
        """Whether weights were asked for, or are about to be."""
        with self._storage.translate_errors():
            query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'weights'"
            return self._db.execute(query).fetchone() is not None

    def create(self) -> None:
        """Make the table, unless it is there."""
        with self._storage.translate_errors():
            self._db.execute(_SCHEMA)
            checksums.keep(self._db)

    def want(self, urls: Iterable[str]) -> None:
        """Have these asked for, unless they have been."""
        with self._storage.translate_errors():
            self._db.executemany("INSERT OR IGNORE INTO weights (url) VALUES (?)", [(url,) for url in urls])

    def forget(self, told: str) -> None:
        """Have those asked for again that told this."""
        if self.exists:
            with self._storage.translate_errors():
                self._db.execute("UPDATE weights SET told = NULL, detail = NULL WHERE told = ?", (told,))

    def count_pending(self) -> int:
        """How many have yet to be asked for."""
        with self._storage.translate_errors():
            return int(self._db.execute("SELECT count(*) FROM weights WHERE told IS NULL").fetchone()[0])

    def pending(self) -> Iterator[str]:
        """URLs that have yet to be asked for; safe to record meanwhile."""
        query = "SELECT url FROM weights WHERE told IS NULL AND url > ? ORDER BY url LIMIT ?"
        return self._storage.paged(query, (), lambda url: url, after="")

    def record(self, answers: Iterable[tuple[str, WeightsAnswer]]) -> None:
        """Keep what requests told."""
        with self._storage.translate_errors():
            rows = [(answer.told, answer.detail, url) for url, answer in answers]
            self._db.executemany("UPDATE weights SET told = ?, detail = ? WHERE url = ?", rows)

    def give_up(self, detail: str) -> None:
        """Keep that those which were not asked for told nothing."""
        with self._storage.translate_errors():
            self._db.execute("UPDATE weights SET told = 'nothing', detail = ? WHERE told IS NULL", (detail,))

    def answer(self, url: str) -> WeightsAnswer | None:
        """What asking for `url` told; None where it was not asked for."""
        with self._storage.reading():
            row = self._db.execute("SELECT told, detail FROM weights WHERE url = ?", (url,)).fetchone()
            return WeightsAnswer(row[0], row[1]) if row and row[0] else None

    def counts(self) -> WeightsAsked | None:
        """Of all URLs that have an answer; None where weights were not asked for."""
        if not self.exists:
            return None
        with self._storage.reading():
            query = "SELECT count(told), total(told = 'gone'), total(told = 'nothing') FROM weights"
            return WeightsAsked(*map(int, self._db.execute(query).fetchone()))

    def rows(self) -> Iterator[tuple[object, ...]]:
        """All of them, for `copy` of another file."""
        if self.exists:
            with self._storage.reading():
                yield from self._db.execute("SELECT url, told, detail FROM weights")

    def copy(self, rows: Iterable[tuple[object, ...]]) -> None:
        """Insert the rows of another file; what told something is not lost to what did not."""
        self.create()
        with self._storage.translate_errors():
            keep = "ON CONFLICT DO UPDATE SET told = excluded.told, detail = excluded.detail WHERE told IS NULL"
            self._db.executemany(f"INSERT INTO weights (url, told, detail) VALUES (?, ?, ?) {keep}", rows)  # noqa: S608 - a constant
