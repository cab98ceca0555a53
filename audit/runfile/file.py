"""The run file: every record of a run and the finding on it.

Each record comes with a first finding, the one for a question that was never asked, so a run file says the truth at
any moment, whatever ends the run. Up to 32 answers of the same tenth of a second are one transaction: a process that is
killed loses them at most, and what was in flight. While a run is live its process holds the file's lock, which ends
with the process, so there are no stale ones.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Literal, Self, TypeVar

import msgspec

from audit.errors import RunFileError
from audit.findings.acceptance import AcceptanceMatcher, day_of
from audit.findings.comparison import UserSnapshot
from audit.model.codes import Note, Reason, Status
from audit.model.findings import Acceptances, AuditedUser, Finding, Summary
from audit.model.run import Choices, RunInfo
from audit.model.users import ModelRecord, Population
from audit.runfile import baseline as marks
from audit.runfile import sqlite as storage
from audit.runfile.repairs import Journal
from audit.runfile.rows import Copies
from audit.runfile.trainings import Trainings

_Code = TypeVar("_Code", Reason, Note)
_Made = TypeVar("_Made")
_ANSWERED = "answered"
_BY_TRAINING = "training"
_RANK = {status: rank for rank, status in enumerate(Status)}
_PAGE = 500
_ROOM = 900
"""Characters of a finding that waits for its answer, blanks behind the JSON included: the answer then fits into the
same place. A row that grows splits its page, and settling takes three times as long."""
_TOGETHER = 32
_KEPT_EVERY = 0.1
"""Answers, and seconds, after which they are on disk. A transaction for each would double what settling costs."""
_RECORD = msgspec.json.Decoder(ModelRecord)
_FINDING = msgspec.json.Decoder(Finding)
_ENCODER = msgspec.json.Encoder()
_PENDING = (
    "model IS NOT NULL AND outcome IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM audited AS b WHERE b.model = a.model AND b.id < a.id)"
)
"""Of the records `a` that wait for one answer, the first."""
_SETTLE = "UPDATE audited SET outcome = ?, rank = ?, reason = ?, notes = ?, finding = ?, checked_at = ? WHERE id = ?"


class RunFile:
    """One open run file. Create it with `create` or `open`; close it, or use it as a context manager.

    Every method raises `RunFileError`, which names the file, where SQLite or the disk fails.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self.journal = Journal(path, connection)
        self._ahead: dict[str, tuple[int, str]] = {}
        """The one record of a model that `pending` has named, kept from there, as nobody shares it."""
        self._keep_at = 0.0
        self._unkept = 0
        self._anew: Acceptances | None = None
        self._judged_anew = False

    @classmethod
    def create(cls, path: Path, info: RunInfo) -> Self:
        """A new run file, mode 0600, held by this process until it is closed. The path must be free."""
        run_file = cls(path, storage.create(path))
        try:
            run_file.save_info(info)
        except RunFileError as error:
            run_file.discard()
            error.next_step = storage.ELSEWHERE
            raise
        return run_file

    @classmethod
    def open(cls, path: Path, mode: Literal["rw", "ro"] = "rw") -> Self:
        """An existing run file, for reading, also one whose run was killed; "ro" leaves even that one as it is."""
        if not path.is_file():
            raise RunFileError(f"there is no run file {path}", "Name the .sqlite file that a run has written.")
        run_file = cls(path, storage.connect(path, mode))
        try:
            storage.check(run_file._db, path)
        except BaseException:
            run_file.close()
            raise
        return run_file

    @classmethod
    def resume(cls, path: Path) -> Self:
        """An existing run file, whole, held by this process as a new one would be."""
        run_file = cls.open(path)
        try:
            run_file.lock()
        except BaseException:
            run_file.close()
            raise
        return run_file

    def lock(self) -> None:
        """Keep all other processes out until the file is closed, and see that it is whole."""
        with self._translated():
            storage.lock(self._db)
            storage.check_whole(self._db, self.path)
            storage.hold(self._db)
            storage.upgrade(self._db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file, which is then a single one wherever the disk allows it; may be called twice."""
        with suppress(sqlite3.Error):  # it is as good with its log beside it, and what has failed before is known
            if self._db.execute("PRAGMA locking_mode").fetchone() == ("exclusive",):
                with suppress(sqlite3.Error):
                    self._keep()
                self._db.rollback()
                storage.release(self._db)
        self._db.close()

    def discard(self) -> None:
        """Close the file and remove it."""
        self.close()
        storage.remove(self.path)

    @property
    def info(self) -> RunInfo:
        """The run itself."""
        with self._read():
            info = msgspec.json.decode(self._value("info") or "", type=RunInfo)
        return msgspec.structs.replace(info, acceptances=self._anew) if self._judged_anew else info

    def use_acceptances(self, acceptances: Acceptances | None) -> None:
        """From now on read the run as if it had been made with these acceptances; the file stays as it is."""
        self._anew, self._judged_anew = acceptances, True

    def save_info(self, info: RunInfo) -> None:
        """Replace what is written about the run itself."""
        self._save("info", _ENCODER.encode(info))

    @property
    def choices(self) -> Choices | None:
        """How the run was to be made; None in a file that was never told."""
        with self._read():
            value = self._value("choices")
            return None if value is None else msgspec.json.decode(value, type=Choices)

    def save_choices(self, choices: Choices) -> None:
        """For whoever finishes the run, should it be stopped."""
        self._save("choices", _ENCODER.encode(choices))

    @property
    def population(self) -> Population | None:
        """Who is in the database; None where the run ended before all of it was read."""
        with self._read():
            value = self._value("population")
            return None if value is None else msgspec.json.decode(value, type=Population)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """One transaction around all `add`: the records are there whole or not at all."""
        with self._translated(), storage.filling(self._db):
            yield
            self._db.execute("CREATE INDEX by_model ON audited (model) WHERE model IS NOT NULL")

    @contextmanager
    def loading_baseline(self) -> Iterator[Callable[[UserSnapshot], bool]]:
        """One transaction; what it yields appends a user of an earlier run, false where the id is there already."""
        with self.transaction():
            marks.create(self._db)
            yield partial(marks.add, self._db)

    def add(self, record: ModelRecord, model: str | None, first: Finding) -> None:
        """Append a record in the source's order, with what is asked about it and the finding until it is."""
        text = _ENCODER.encode(first).decode()
        self._db.execute(
            "INSERT INTO audited (model, rank, reason, notes, record, finding) VALUES (?, ?, ?, ?, ?, ?)",
            (model, *columns(first), _ENCODER.encode(record).decode(), text.ljust(_ROOM) if model else text),
        )

    def save_population(self, population: Population) -> None:
        """Written inside `loading`, so that it is there exactly when the records are."""
        self._save("population", _ENCODER.encode(population))

    @property
    def copies(self) -> Copies:
        """Its rows as they stand there, for another run file; and those of others, taken over."""
        return Copies(self.path, self._db)

    @property
    def trainings(self) -> Trainings:
        """The account's trainings, as far as they were read."""
        return Trainings(self.path, self._db)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done within is kept, or nothing of it."""
        with self._translated():
            self._keep()
            with storage.transaction(self._db):
                yield

    def oldest_completed(self) -> str | None:
        """The earliest `completed_at` of all records; None where none has one."""
        with self._read():
            row = self._db.execute("SELECT min(json_extract(record, '$.completed_at')) FROM audited").fetchone()
            return str(row[0]) if row[0] else None

    def count_pending(self) -> int:
        """Models that have yet to be asked for, each once."""
        with self._translated():
            # In the order of the file: through the index of models it would jump about in it, a page for each user.
            query = f"SELECT count(*) FROM audited AS a NOT INDEXED WHERE {_PENDING}"  # noqa: S608 - a constant
            return int(self._db.execute(query).fetchone()[0])

    def count_answered(self) -> int:
        """Users for whom Replicate, asked for the model's versions, has said something certain."""
        return self._count(_ANSWERED)

    def count_by_training(self) -> int:
        """Users who were settled by their trainings alone."""
        return self._count(_BY_TRAINING)

    def _count(self, outcome: str) -> int:
        with self._translated():
            query = "SELECT count(*) FROM audited WHERE outcome = ?"
            return int(self._db.execute(query, (outcome,)).fetchone()[0])

    def make_pending(self, failures: Iterable[Reason]) -> None:
        """Make models pending again whose question ended in one of `failures`; their findings stay until answered."""
        with self._translated():
            query = "UPDATE audited SET outcome = NULL WHERE outcome IN (SELECT value FROM json_each(?))"
            self._db.execute(query, (_ENCODER.encode(list(failures)).decode(),))

    def pending(self) -> Iterator[str]:
        """Models that have yet to be asked for, each once, in the source's order; safe to settle meanwhile."""
        what = "id, model, record, EXISTS (SELECT 1 FROM audited AS c WHERE c.model = a.model AND c.id > a.id)"
        query = f"SELECT {what} FROM audited AS a WHERE id > ? AND {_PENDING} ORDER BY id LIMIT ?"  # noqa: S608 - constants
        for row_id, model, record, shared in self._paged(query, (), lambda *row: row):
            if not shared:
                self._ahead[model] = (row_id, record)
            yield model

    def pending_unshared(self) -> Iterator[tuple[int, str, ModelRecord]]:
        """Row id, model and record of all who wait for an answer and share their model with nobody."""
        query = (
            "SELECT id, model, record FROM audited AS a WHERE id > ? AND model IS NOT NULL AND outcome IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM audited AS b WHERE b.model = a.model AND b.id <> a.id) ORDER BY id LIMIT ?"
        )
        return self._paged(query, (), lambda row_id, model, record: (row_id, model, _RECORD.decode(record)))

    def record_findings_by_training(self, findings: Iterable[tuple[int, Finding]], at: int) -> None:
        """Record findings for which no versions have to be asked, in one transaction."""
        with self.transaction():
            self._db.executemany(_SETTLE, [_settled(_BY_TRAINING, row_id, finding, at) for row_id, finding in findings])

    def records_sharing(self, model: str) -> list[tuple[int, ModelRecord]]:
        """The records whose finding depends on the answer about `model`, with the ids that `settle` wants."""
        with self._read():
            ahead = self._ahead.pop(model, None)
            query = "SELECT id, record FROM audited WHERE model = ?"
            rows = [ahead] if ahead else self._db.execute(query, (model,)).fetchall()
            return [(row_id, _RECORD.decode(record)) for row_id, record in rows]

    def record_findings(self, findings: Iterable[tuple[int, Finding]], failure: Reason | None, at: int) -> None:
        """Record what one answer means for each record that waited for it; `at` is when it came, seconds since 1970.

        On disk with the first answer that comes a tenth of a second after those that are there, with every 32nd in any
        case, and when the run ends.
        """
        outcome = failure.value if failure else _ANSWERED
        with self._translated():
            if not self._db.in_transaction:
                self._db.execute("BEGIN")
            for row_id, finding in findings:
                self._db.execute(_SETTLE, _settled(outcome, row_id, finding, at))
            self._unkept += 1
            if self._unkept >= _TOGETHER or time.monotonic() >= self._keep_at:
                self._keep()

    def _keep(self) -> None:
        if self._db.in_transaction:
            self._db.execute("COMMIT")
            self._unkept = 0
            self._keep_at = time.monotonic() + _KEPT_EVERY

    def finish(self, info: RunInfo) -> None:
        """The last word of a run; what was a file and its log becomes a single file again."""
        with self._translated():
            self._keep()
            # Reports read status by status, and count; without an index each of their questions goes through all of it.
            self._db.execute("CREATE INDEX IF NOT EXISTS by_rank ON audited (rank)")
            self._db.execute("CREATE INDEX IF NOT EXISTS by_reason ON audited (reason, notes, outcome)")
            storage.release(self._db)
        self.save_info(info)

    def summary(self) -> Summary:
        """Counts over all findings."""
        statuses = dict.fromkeys(Status, 0)
        reasons: dict[Reason, int] = {}
        notes: dict[Note, int] = {}
        with self._read():
            counted = self._db.execute("SELECT reason, notes, count(*) FROM audited GROUP BY reason, notes")
            for text, codes, count in counted:
                reason = Reason(text)
                reasons[reason] = reasons.get(reason, 0) + count
                statuses[reason.status] += count
                for code in filter(None, str(codes).split(";")):
                    notes[Note(code)] = notes.get(Note(code), 0) + count
        return Summary(statuses, _largest_first(reasons), _largest_first(notes))

    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        """The users in report order: status, then e-mail with null last, then user id.

        Each is marked by the baseline, and by what accepts the finding.
        """
        info = self.info
        accepted = AcceptanceMatcher(info.acceptances, day_of(info)).holding if info.acceptances else None
        mark = partial(marks.mark, self._db, complete=info.state == "complete") if info.baseline else None
        for each in (status,) if status else Status:
            where, values = "rank = ?", [str(_RANK[each])]
            if reason:
                where, values = where + " AND reason = ?", [*values, reason.value]
            # Without user input: `where` is one of the two texts above.
            query = f"SELECT record, finding FROM audited WHERE {where} ORDER BY id"  # noqa: S608
            with self._read():
                for row in self._db.execute(query, values):
                    record, finding = _RECORD.decode(row[0]), _FINDING.decode(row[1])
                    yield AuditedUser(
                        record,
                        finding,
                        mark(record, finding) if mark else None,
                        accepted(record, finding) if accepted else None,
                    )

    def checked_users(self, status: Status) -> Iterator[tuple[AuditedUser, int | None]]:
        """The users of `status`, as `users` orders them, each with when the answer came, in seconds since 1970.

        None where that was not written down, as in files of schema 1. Safe to write meanwhile.
        """
        with self._read():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
        when = "checked_at" if version > 1 else "NULL"
        query = f"SELECT id, record, finding, {when} FROM audited WHERE rank = ? AND id > ? ORDER BY id LIMIT ?"  # noqa: S608 - two words
        return self._paged(
            query, (_RANK[status],), lambda _, r, f, at: (AuditedUser(_RECORD.decode(r), _FINDING.decode(f)), at)
        )

    def _paged(self, query: str, values: tuple[object, ...], make: Callable[..., _Made]) -> Iterator[_Made]:
        """What `make` makes of each row, whose first column is its id; a page at a time, so that writing is safe.

        `query` takes `values`, the id behind which a page begins, and its size.
        """
        after = 0
        while True:
            with self._read():
                rows = self._db.execute(query, (*values, after, _PAGE)).fetchall()
                page = [make(*row) for row in rows]
            if not rows:
                return
            yield from page
            after = rows[-1][0]

    def _value(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM run WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _save(self, name: str, value: bytes) -> None:
        with self._translated():
            self._db.execute("INSERT OR REPLACE INTO run VALUES (?, ?)", (name, value.decode()))

    def _read(self) -> AbstractContextManager[None]:
        return storage.read(self.path)

    def _translated(self) -> AbstractContextManager[None]:
        return storage.translated(self.path)


def columns(finding: Finding) -> tuple[int, str, str]:
    """What of a finding is counted and sorted by: rank, reason, notes."""
    return _RANK[finding.status], finding.reason.value, ";".join(finding.notes)


def _settled(outcome: str, row_id: int, finding: Finding, at: int) -> tuple[object, ...]:
    return outcome, *columns(finding), _ENCODER.encode(finding).decode(), at, row_id


def _largest_first(counts: dict[_Code, int]) -> dict[_Code, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
