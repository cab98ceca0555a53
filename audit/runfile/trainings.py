"""The account's trainings in a run file: put in page by page, looked up for one record at a time."""

import math
from collections.abc import Iterable, Iterator

import msgspec

from audit.findings.trainings import OddTrainings, ended_at
from audit.model.ids import model_key, recorded_hash
from audit.model.replies import FAILED, IN_PROGRESS, Training
from audit.model.times import parse_utc
from audit.model.users import TRIMMED, ModelRecord
from audit.runfile.sqlite import Storage

_TRAINING = msgspec.json.Decoder(Training)
_ENCODER = msgspec.json.Encoder()
_COLUMNS = "id, model, version, weights, ended, training"
_INSERT = f"INSERT OR REPLACE INTO training ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant


class TrainingTable:
    """The trainings that were read. Every method raises `RunFileError` where SQLite or the disk fails.

    What writes is to be called within a transaction of the run file. Whatever has the same id is replaced.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._db = storage.connection

    def add(self, page: Iterable[Training]) -> int:
        """Insert the trainings of a page, and return how many of them were new."""
        rows = {training.id: _row(training) for training in page}
        with self._storage.translate_errors():
            query = "SELECT count(*) FROM training WHERE id IN (SELECT value FROM json_each(?))"
            (known,) = self._db.execute(query, (_ENCODER.encode(list(rows)).decode(),)).fetchone()
            self._db.executemany(_INSERT, rows.values())
            return len(rows) - int(known)

    def clear(self) -> None:
        """Forget all of them: they are another account's."""
        with self._storage.translate_errors():
            self._db.execute("DELETE FROM training")

    def about(self, record: ModelRecord, latest_version: str | None) -> tuple[Training, ...]:
        """All that made the recorded or the latest version, put out the recorded weights URL, or are named in a row.

        A handful, in the order of their ids: a version is made once.
        """
        values = (
            recorded_hash(record.replicate_version_id),
            latest_version,
            *(
                (text or "").strip(TRIMMED) or None
                for text in (record.lora_weights_url, record.training_id, record.later_training_id)
            ),
        )
        query = "SELECT training FROM training WHERE version IN (?, ?) OR weights = ? OR id IN (?, ?) ORDER BY id"
        with self._storage.reading():
            return tuple(_TRAINING.decode(text) for (text,) in self._db.execute(query, values))

    def made(self, version: str) -> Training | None:
        """The one that put out `version`."""
        query = "SELECT training FROM training WHERE version = ? ORDER BY id LIMIT 1"
        with self._storage.reading():
            row = self._db.execute(query, (version,)).fetchone()
            return _TRAINING.decode(row[0]) if row else None

    def newest(self, model: str) -> Training | None:
        """The last one that put a version into `model`, whatever its case; where two ended together, the greater id."""
        query = "SELECT training FROM training WHERE model = ? ORDER BY ended DESC, id DESC LIMIT 1"
        with self._storage.reading():
            row = self._db.execute(query, (model_key(model),)).fetchone()
            return _TRAINING.decode(row[0]) if row else None

    def by_id(self, training_id: str) -> Training | None:
        """The one of this id."""
        with self._storage.reading():
            row = self._db.execute("SELECT training FROM training WHERE id = ?", (training_id,)).fetchone()
            return _TRAINING.decode(row[0]) if row else None

    def trainers(self) -> frozenset[str]:
        """Keys of models that trained others and were not trained themselves: a fine-tune may be trained further."""
        with self._storage.reading():
            found = self._db.execute("SELECT DISTINCT json_extract(training, '$.trainer') FROM training")
            trainers = {model_key(trainer) for (trainer,) in found if trainer}
            trained = self._db.execute(
                "SELECT DISTINCT model FROM training WHERE model IN (SELECT value FROM json_each(?))",
                (_ENCODER.encode(sorted(trainers)).decode(),),
            )
            return frozenset(trainers.difference(model for (model,) in trained))

    def odd(self) -> OddTrainings:
        """Those whose output does not say where their version went, by whose they are as far as rows or outputs say."""
        with self._storage.reading():
            query = (
                "SELECT training FROM training WHERE model IS NULL"
                " AND json_extract(training, '$.status') NOT IN (SELECT value FROM json_each(?))"
            )
            rows = self._db.execute(query, (_ENCODER.encode(sorted(IN_PROGRESS | FAILED)).decode(),))
            odd = [training for (text,) in rows if (training := _TRAINING.decode(text)).is_odd]
            named = self._models_naming([training.id for training in odd]) if odd else {}
        anywhere: float | None = None
        by_model: dict[str, float] = {}
        for training in odd:
            ended = ended_at(training) or math.inf  # nobody knows what it came after
            models = named.get(training.id, set()) | ({model_key(training.model)} if training.model else set())
            for model in models:
                by_model[model] = max(ended, by_model.get(model, ended))
            if not models:
                anywhere = max(ended, anywhere or ended)
        return OddTrainings(anywhere, by_model)

    def _models_naming(self, ids: list[str]) -> dict[str, set[str]]:
        """By training id, the keys of the models of the rows that name it."""
        found: dict[str, set[str]] = {}
        for path in ("$", "$.newer"):
            named = f"trim(json_extract(record, '{path}.training_id'))"
            query = (
                f"SELECT {named}, json_extract(record, '{path}.replicate_model_id') FROM audited"  # noqa: S608 - constants
                f" WHERE {named} IN (SELECT value FROM json_each(?))"
            )
            for training_id, model in self._db.execute(query, (_ENCODER.encode(ids).decode(),)):
                if key := model_key(model):
                    found.setdefault(training_id, set()).add(key)
        return found

    def count(self) -> int:
        """How many different ones there are."""
        with self._storage.translate_errors():
            return int(self._db.execute("SELECT count(*) FROM training").fetchone()[0])

    def rows(self) -> Iterator[tuple[object, ...]]:
        """All of them, for `copy` of another file."""
        with self._storage.reading():
            yield from self._db.execute(f"SELECT {_COLUMNS} FROM training")  # noqa: S608 - a constant

    def copy(self, rows: Iterable[tuple[object, ...]]) -> None:
        """Insert the rows of another file."""
        with self._storage.translate_errors():
            self._db.executemany(_INSERT, rows)


def _row(training: Training) -> tuple[object, ...]:
    model = model_key(training.model) if training.model and training.succeeded else None
    ended = parse_utc(training.completed_at) or parse_utc(training.created_at)
    text = _ENCODER.encode(training).decode()
    return training.id, model, training.version, training.weights, ended.timestamp() if ended else None, text
