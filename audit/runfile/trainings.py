"""The account's trainings in a run file: put in page by page, looked up for one record at a time."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from audit.model.ids import recorded_hash
from audit.model.replies import Training
from audit.model.times import parse_utc
from audit.model.users import ModelRecord
from audit.runfile import sqlite as storage

_TRAINING = msgspec.json.Decoder(Training)
_ENCODER = msgspec.json.Encoder()


class Trainings:
    """Part of an open run file. Every method raises `RunFileError` where SQLite or the disk fails."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._db = connection

    def add(self, page: Iterable[Training]) -> int:
        """Keep the trainings of a page; one that is there already is replaced. Returns how many were new.

        To be called within a transaction.
        """
        rows = {training.id: _row(training) for training in page}
        with storage.translated(self._path):
            query = "SELECT count(*) FROM training WHERE id IN (SELECT value FROM json_each(?))"
            (known,) = self._db.execute(query, (_ENCODER.encode(list(rows)).decode(),)).fetchone()
            self._db.executemany("INSERT OR REPLACE INTO training VALUES (?, ?, ?, ?, ?, ?)", rows.values())
            return len(rows) - int(known)

    def about(self, record: ModelRecord, latest_version: str | None) -> tuple[Training, ...]:
        """All that made the recorded or the latest version, put out the recorded weights URL, or are named in a row.

        A handful, in the order of their ids: a version is made once.
        """
        values = (
            recorded_hash(record.replicate_version_id),
            latest_version,
            record.lora_weights_url,
            record.training_id,
            record.later_training_id,
        )
        query = "SELECT training FROM training WHERE version IN (?, ?) OR weights = ? OR id IN (?, ?) ORDER BY id"
        with storage.read(self._path):
            return tuple(_TRAINING.decode(text) for (text,) in self._db.execute(query, values))

    def newest(self, model: str) -> Training | None:
        """The last one that put a version into `model`, whatever its case; where two ended together, the greater id."""
        query = "SELECT training FROM training WHERE model = ? ORDER BY ended DESC, id DESC LIMIT 1"
        with storage.read(self._path):
            row = self._db.execute(query, (model.casefold(),)).fetchone()
            return _TRAINING.decode(row[0]) if row else None


def _row(training: Training) -> tuple[object, ...]:
    model = training.model.casefold() if training.model and training.succeeded else None
    ended = parse_utc(training.completed_at) or parse_utc(training.created_at)
    text = _ENCODER.encode(training).decode()
    return training.id, model, training.version, training.weights, ended.timestamp() if ended else None, text
