"""The run file: every record of a run and the finding on it.

Each record comes with a first finding, the one for a model that was never asked for, so the file is true at any moment,
whatever ends the run. Up to 32 answers of the same tenth of a second are one transaction: a process that is killed
loses them at most, and what was in flight. While a run is live its process holds the file's lock, which ends with the
process, so there are no stale ones.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, Self, TypeVar

import msgspec

from audit.errors import RunFileError
from audit.files import open_foreign
from audit.findings.acceptance import AcceptanceMatcher, day_of
from audit.findings.comparison import UserSnapshot
from audit.model.codes import NoLine, Note, Reason, Status
from audit.model.findings import Acceptances, AuditedUser, Finding, Summary
from audit.model.ids import model_key
from audit.model.replies import Heard, WeightsAsked
from audit.model.run import Choices, RunInfo, Seen
from audit.model.text import os_cause
from audit.model.trend import PastCounts
from audit.model.users import TRIMMED, ModelRecord, Population
from audit.runfile import checksums
from audit.runfile.baseline import BaselineTable
from audit.runfile.journal import Journal
from audit.runfile.sqlite import NOTHING_KEPT, WAIT, Storage, remove
from audit.runfile.trainings import TrainingTable
from audit.runfile.weights import WeightsTable

_Code = TypeVar("_Code", Reason, Note)
_Noun = TypeVar("_Noun", Choices, Population, tuple[PastCounts, ...])
_NAME_ONE = "Name the .sqlite file that a run has written."
_ANSWERED = "answered"
_BY_TRAINING = "training"
_RANK = {status: rank for rank, status in enumerate(Status)}
_NO_LINE = len(_RANK)
"""The rank of users who are in no line of a report; their reason is a `NoLine`."""
_ROOM = 900
"""Characters of a finding that waits for its answer, blanks behind the JSON included: the answer then fits into the
same place. A row that grows splits its page, and recording takes three times as long."""
_COMMIT_ANSWERS = 32
_COMMIT_SECONDS = 0.1
"""Commit after this many answers or seconds, whichever comes first. A transaction for each would double the cost."""
BATCH = 500
"""Records of one model that are in memory at once."""
_RECORD = msgspec.json.Decoder(ModelRecord)
_FINDING = msgspec.json.Decoder(Finding)
_HEARD = msgspec.json.Decoder(Heard)
_ENCODER = msgspec.json.Encoder()
_PENDING = (
    "model IS NOT NULL AND outcome IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM audited AS b WHERE b.model = a.model AND b.id < a.id)"
)
"""Of the records `a` that wait for one answer, the first."""
_ALSO = (
    "SELECT json_extract(finding, '$.also.reason'), count(*) FROM audited"
    """ WHERE reason <> 'latest_version' AND instr(finding, '"also":{') > 0 GROUP BY 1"""
)
"""Only findings on newer rows have one; no text in the JSON can hold those quotes."""
_USERS = "SELECT count(DISTINCT json_extract(record, '$.user_id')) FROM audited WHERE rank < ?"
_UPDATE = "UPDATE audited SET outcome = ?, rank = ?, reason = ?, notes = ?, finding = ?, checked_at = ? WHERE id = ?"


Verdict = Finding | NoLine
"""What is found of a user: a line of the reports, or why there is none."""


def _sharing(row_id: int, record: str) -> tuple[int, ModelRecord]:
    return row_id, _RECORD.decode(record)


class Unfinished(NamedTuple):
    """A user whose newest row, which is not completed, has a question of its own."""

    row_id: int
    record: ModelRecord
    base: Finding | None
    """The finding on the completed row, where there is one."""


class RunFile:
    """An open run file. Make one with `create`, `open` or `resume`; close it, or use it as a context manager.

    Every method raises `RunFileError`, which names the file, where SQLite or the disk fails.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        """For the other modules of this package."""
        self.path = storage.path
        self.journal = Journal(storage)
        self.trainings = TrainingTable(storage)
        """The account's trainings, as far as they were read."""
        self.baseline = BaselineTable(storage)
        self.weights = WeightsTable(storage)
        """What recorded weights URLs were answered with, where they were asked for."""
        self._db = storage.connection
        self._prefetched: dict[str, tuple[int, str]] = {}
        """Id and JSON of the only record of each model that `pending` has yielded and nobody shares."""
        self._uncommitted = 0
        self._commit_at = 0.0
        self._acceptances: tuple[Acceptances | None] | None = None
        """What `use_acceptances` was given, in place of those of the run."""

    @classmethod
    def create(cls, path: Path, info: RunInfo) -> Self:
        """A new run file, mode 0600, locked by this process until it is closed. The path must be free."""
        run_file = cls(Storage.create(path))
        try:
            run_file.save_info(info)
        except RunFileError as error:
            run_file.discard()
            error.next_step = NOTHING_KEPT
            raise
        return run_file

    @classmethod
    def open(cls, path: Path, mode: Literal["rw", "ro"] = "rw", wait: float = WAIT) -> Self:
        """An existing run file, for reading, even if its run was killed; "ro" leaves even that one as it is.

        Waits so many seconds where another process has it locked.
        """
        try:
            open_foreign(path).close()  # before SQLite has it open: whoever closes a file loses all locks on it
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise RunFileError(f"there is no run file {path}", _NAME_ONE) from error
        except OSError as error:
            raise RunFileError(f"the run file {path} cannot be read: {os_cause(error).lower()}", _NAME_ONE) from error
        run_file = cls(Storage.connect(path, mode, wait))
        try:
            run_file.storage.check()
        except BaseException:
            run_file.close()
            raise
        return run_file

    def check_integrity(self) -> None:
        """Read all of it. Raises `DamagedError` where something is not what was written.

        For whoever reads more than a few rows: what is wrong in an index would leave users out without a word.
        """
        self.storage.check_integrity()

    def check_info(self) -> None:
        """Raises `DamagedError` where what is said of the run itself is not what was written."""
        with self.storage.reading():
            checksums.check(self._db, ["run"])

    def hold(self) -> None:
        """Keep other processes from changing it until it is closed, and see that run and journal are sound."""
        with self.storage.reading():
            self._db.execute("BEGIN")  # what is read next takes the lock
            checksums.check(self._db, ["run", "repair"])
            self._db.execute("SELECT count(*) FROM run").fetchone()

    @classmethod
    def resume(cls, path: Path) -> Self:
        """An existing run file, undamaged, locked by this process as a new one would be."""
        run_file = cls.open(path)
        try:
            run_file.storage.lock()
        except BaseException:
            run_file.close()
            raise
        return run_file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unlock the file, which is then a single one wherever the disk allows it; may be called twice."""
        with suppress(sqlite3.Error):  # it is as good with its log beside it, and what has failed before is known
            if self.storage.locked:
                with suppress(sqlite3.Error):
                    self._commit()
                self._db.rollback()
                self.storage.unlock()
        self._db.close()

    def discard(self) -> None:
        """Close the file and remove it."""
        self.close()
        remove(self.path)

    @property
    def info(self) -> RunInfo:
        """The run itself."""
        with self.storage.reading():
            info = msgspec.json.decode(self._text("info") or "", type=RunInfo)
        return info if self._acceptances is None else msgspec.structs.replace(info, acceptances=self._acceptances[0])

    def use_acceptances(self, acceptances: Acceptances | None) -> None:
        """From now on read the run as if it had been made with these acceptances; the file stays as it is."""
        self._acceptances = (acceptances,)

    def save_info(self, info: RunInfo) -> None:
        """Replace what is recorded of the run itself."""
        self._save("info", info)

    @property
    def choices(self) -> Choices | None:
        """How the run was to be made; None where that was never saved."""
        return self._value("choices", Choices)

    def save_choices(self, choices: Choices) -> None:
        """For whoever finishes the run, should it be stopped."""
        self._save("choices", choices)

    @property
    def population(self) -> Population | None:
        """Who is in the database; None where the run ended before all of it was read."""
        return self._value("population", Population)

    def save_population(self, population: Population) -> None:
        """Called within `loading`, so that it is there exactly when the records are."""
        self._save("population", population)

    @property
    def trend(self) -> tuple[PastCounts, ...]:
        """What earlier runs beside it had counted when it ended, oldest first; () in files of older versions."""
        return self._value("trend", tuple[PastCounts, ...]) or ()

    def save_trend(self, trend: tuple[PastCounts, ...]) -> None:
        """Replace it."""
        self._save("trend", trend)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """One transaction around all `add`: the records are there whole or not at all."""
        with self.storage.translate_errors(), self.storage.bulk_transaction():
            yield
            self._db.execute("CREATE INDEX by_model ON audited (model) WHERE model IS NOT NULL")

    @contextmanager
    def loading_baseline(self) -> Iterator[Callable[[UserSnapshot], bool]]:
        """One transaction; yields what appends a line of an earlier run, which returns False for one twice."""
        with self.transaction():
            self.baseline.create()
            yield self.baseline.add

    def add(
        self,
        record: ModelRecord,
        model: str | None,
        first: Verdict,
        *,
        question: bool = False,
        base: Finding | None = None,
    ) -> None:
        """Append a record, in the order of the database: the model to ask for, and the verdict until that is done.

        Who waits for the same answer follows from the model's key; asked for is what the first of them records. With
        `question` the unfinished row has one of its own; `base` is then the finding on the completed row.
        """
        text = _encoded(first)
        added = self._db.execute(
            "INSERT INTO audited (model, rank, reason, notes, record, finding) VALUES (?, ?, ?, ?, ?, ?)",
            (
                model and model_key(model),
                *columns(first),
                _ENCODER.encode(record).decode(),
                text.ljust(_ROOM) if model else text,
            ),
        )
        if question:
            values = (added.lastrowid, _ENCODER.encode(base).decode() if base else None)
            self._db.execute("INSERT INTO unfinished (id, base) VALUES (?, ?)", values)

    def records(self) -> Iterator[tuple[int, ModelRecord]]:
        """All records, by their ids, in the order in which they were added; safe to write meanwhile."""
        query = "SELECT id, record FROM audited WHERE id > ? ORDER BY id LIMIT ?"
        return self.storage.paged(query, (), _sharing)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is done within."""
        with self.storage.translate_errors():
            self._commit()
            with self.storage.transaction():
                yield

    def oldest_completed(self) -> str | None:
        """The earliest `completed_at` of all records; None where none has one."""
        with self.storage.reading():
            row = self._db.execute("SELECT min(json_extract(record, '$.completed_at')) FROM audited").fetchone()
            return str(row[0]) if row[0] else None

    def count_pending(self) -> int:
        """Questions that have yet to be asked: models, each once, and unfinished rows."""
        rows = self._count("SELECT count(*) FROM unfinished WHERE outcome IS NULL") if self.asks_about_rows else 0
        # In the order of the file: through the index of models it would jump about in it, a page for each user.
        return rows + self._count(f"SELECT count(*) FROM audited AS a NOT INDEXED WHERE {_PENDING}")  # noqa: S608 - a constant

    @cached_property
    def asks_about_rows(self) -> bool:
        """Files of older versions have no questions about unfinished rows."""
        return bool(self._count("SELECT count(*) FROM sqlite_master WHERE name = 'unfinished'"))

    def seen(self) -> Seen:
        """Everybody who was looked at, in a line or not."""
        completed = "NOT coalesce(json_extract(record, '$.unfinished'), 0)"
        with self.storage.reading():
            query = f"SELECT count(*), count(*) FILTER (WHERE {completed}) FROM audited"  # noqa: S608 - a constant
            return Seen(*self._db.execute(query).fetchone())

    def without_line(self) -> Mapping[NoLine, int]:
        """Users whose newest row was looked at and who are in no line, by why; only what occurs."""
        with self.storage.reading():
            query = "SELECT reason, count(*) FROM audited WHERE rank = ? GROUP BY reason"
            counts = dict(self._db.execute(query, (_NO_LINE,)).fetchall())
            return {why: counts[why.value] for why in NoLine if why.value in counts}

    def count_answered(self) -> int:
        """Users for whom Replicate, asked for the model's versions, has said something certain."""
        return self._count("SELECT count(*) FROM audited WHERE outcome = ?", _ANSWERED)

    @property
    def has_answers(self) -> bool:
        """Whether Replicate has said something certain of anybody, asked for versions or about an unfinished row."""
        if self.count_answered():
            return True
        query = "SELECT count(*) FROM unfinished WHERE outcome = ?"
        return self.asks_about_rows and self._count(query, _ANSWERED) > 0

    def count_by_training(self) -> int:
        """Users whose finding rests on their trainings alone."""
        return self._count("SELECT count(*) FROM audited WHERE outcome = ?", _BY_TRAINING)

    def count_noted(self) -> int:
        """Users with at least one note."""
        return self._count("SELECT count(*) FROM audited WHERE notes <> ''")  # who is in no line has none

    def _count(self, query: str, *values: str | int) -> int:
        with self.storage.translate_errors():
            return int(self._db.execute(query, values).fetchone()[0])

    def make_pending(self, failures: Iterable[Reason], reasons: Iterable[Reason] = ()) -> None:
        """Make questions pending again that ended in one of `failures`, or whose user has one of `reasons`.

        Their findings stay until answered. Who has nothing that can be asked for keeps the finding for good.
        """
        failures, reasons = tuple(failures), tuple(reasons)
        with self.transaction():
            query = "UPDATE audited SET outcome = NULL WHERE outcome IN (SELECT value FROM json_each(?))"
            self._db.execute(query, (_ENCODER.encode(list(failures)).decode(),))
            wanted = "(SELECT value FROM json_each(?1))"
            found = (
                f"SELECT model FROM audited WHERE reason IN {wanted}"  # noqa: S608 - a constant
                f" OR json_extract(finding, '$.also.reason') IN {wanted}"
            )
            query = f"UPDATE audited SET outcome = NULL WHERE model IN ({found})"  # noqa: S608 - a constant
            if reasons:
                self._db.execute(query, (_ENCODER.encode(list(reasons)).decode(),))
            query = (
                "UPDATE unfinished SET outcome = NULL, heard = NULL WHERE outcome IN (SELECT value FROM json_each(?))"
                " OR id IN (SELECT id FROM audited WHERE reason IN (SELECT value FROM json_each(?)))"
            )
            lists = (_ENCODER.encode(list(each)).decode() for each in (failures, reasons))
            self._db.execute(query, tuple(lists))

    def put_back(self, row_id: int, base: Finding | None, first: Verdict) -> None:
        """Make a record what `add` made it: nobody was asked. To be called within `transaction`."""
        with self.storage.translate_errors():
            query = (
                "UPDATE audited SET outcome = NULL, checked_at = NULL, rank = ?, reason = ?, notes = ?,"
                " finding = iif(model IS NULL, ?, ?) WHERE id = ?"
            )
            text = _encoded(first)
            self._db.execute(query, (*columns(first), text, text.ljust(_ROOM), row_id))
            if self.asks_about_rows:
                query = "UPDATE unfinished SET outcome = NULL, heard = NULL, base = ? WHERE id = ?"
                self._db.execute(query, (_ENCODER.encode(base).decode() if base else None, row_id))

    def pending(self) -> Iterator[str]:
        """Models that have yet to be asked for, each once, in the order of the file; safe to record meanwhile.

        Each as the first record with it has it, trimmed.
        """
        what = (
            "id, json_extract(record, '$.replicate_model_id'), record,"
            " EXISTS (SELECT 1 FROM audited AS c WHERE c.model = a.model AND c.id > a.id)"
        )
        query = f"SELECT {what} FROM audited AS a WHERE id > ? AND {_PENDING} ORDER BY id LIMIT ?"  # noqa: S608 - constants
        for row_id, recorded, record, shared in self.storage.paged(query, (), lambda *row: row):
            model = recorded.strip(TRIMMED)
            if not shared:
                self._prefetched[model] = (row_id, record)
            yield model

    def pending_among(self, keys: Iterable[str]) -> Iterator[tuple[str, ModelRecord, bool]]:
        """Of the models with these keys, those that `pending` yields, each with its first record and if it has more."""
        query = (  # `min` picks the row that the other columns are of
            "SELECT record, count(*) > 1, min(id) FROM audited WHERE model IN (SELECT value FROM json_each(?))"
            " GROUP BY model HAVING outcome IS NULL ORDER BY min(id)"
        )
        with self.storage.reading():
            found = self._db.execute(query, (_ENCODER.encode(list(keys)).decode(),)).fetchall()
            records = [(_RECORD.decode(text), bool(shared)) for text, shared, _ in found]
        return ((str(each.replicate_model_id).strip(TRIMMED), each, shared) for each, shared in records)

    def pending_unshared(self) -> Iterator[tuple[int, str, ModelRecord]]:
        """Row id, key of the model and record of all who were never asked for and share their model with nobody."""
        query = (
            "SELECT id, model, record FROM audited AS a"
            " WHERE reason = ? AND id > ? AND model IS NOT NULL AND outcome IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM audited AS b WHERE b.model = a.model AND b.id <> a.id) ORDER BY id LIMIT ?"
        )
        never = (Reason.STOPPED.value,)
        return self.storage.paged(query, never, lambda row_id, model, record: (row_id, model, _RECORD.decode(record)))

    def records_sharing(self, model: str) -> Iterator[Sequence[tuple[int, ModelRecord]]]:
        """The records whose finding depends on the answer about `model`, with the ids that `record_findings` wants.

        In batches, as a million may share a model; safe to record meanwhile. The first record comes last: as long as it
        waits the model is pending, so whatever ends a run between two batches has all of them asked about again.
        """
        prefetched = self._prefetched.pop(model, None)
        if prefetched:
            with self.storage.reading():
                yield [_sharing(*prefetched)]
            return
        query = "SELECT id, record FROM audited WHERE model = ? AND id > ? ORDER BY id LIMIT ?"
        for key in dict.fromkeys((model_key(model), model)):  # older files have ids in place of keys
            records = self.storage.paged(query, (key,), _sharing)
            first = list(islice(records, 1))
            while len(batch := list(islice(records, BATCH))) == BATCH:
                yield batch
            if first:
                yield batch + first

    def pending_unfinished(self) -> Iterator[Unfinished]:
        """Users whose unfinished row has yet to be asked about, in the order of the file; safe to record meanwhile."""
        query = (
            "SELECT u.id, a.record, u.base FROM unfinished AS u JOIN audited AS a ON a.id = u.id"
            " WHERE u.id > ? AND u.outcome IS NULL ORDER BY u.id LIMIT ?"
        )
        return self.storage.paged(
            query,
            (),
            lambda row_id, record, base: Unfinished(row_id, _RECORD.decode(record), base and _FINDING.decode(base)),
        )

    def heard(self, row_id: int) -> Heard | None:
        """What was said of the unfinished row of a user who has a question of their own; None where nothing was."""
        with self.storage.reading():
            row = self._db.execute("SELECT heard FROM unfinished WHERE id = ?", (row_id,)).fetchone()
            return _HEARD.decode(row[0]) if row and row[0] else None

    def record_heard(self, row_id: int, heard: Heard, verdict: Verdict, at: int) -> None:
        """Record what was said of an unfinished row, and what it means for the user; on disk as `record_findings`."""
        outcome = heard.failed.reason.value if heard.failed else _ANSWERED
        with self.storage.translate_errors():
            self._begin()
            query = "UPDATE unfinished SET outcome = ?, heard = ? WHERE id = ?"
            self._db.execute(query, (outcome, _ENCODER.encode(heard).decode(), row_id))
            query = "UPDATE audited SET rank = ?, reason = ?, notes = ?, finding = ?, checked_at = ? WHERE id = ?"
            self._db.execute(query, (*columns(verdict), _encoded(verdict), at, row_id))
            self._recorded()

    def record_base(self, row_id: int, base: Finding) -> None:
        """Keep the finding on the completed row of a user who has a question of their own; within the next record."""
        with self.storage.translate_errors():
            self._begin()
            query = "UPDATE unfinished SET base = ? WHERE id = ?"
            self._db.execute(query, (_ENCODER.encode(base).decode(), row_id))

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN")

    def _recorded(self) -> None:
        """Commit, if it is time."""
        self._uncommitted += 1
        if self._uncommitted >= _COMMIT_ANSWERS or time.monotonic() >= self._commit_at:
            self._commit()

    def record_findings(self, findings: Iterable[tuple[int, Verdict]], failure: Reason | None, at: int) -> None:
        """Record what one answer means for each record that waited for it; `at` is when it came, seconds since 1970.

        On disk with the first answer that comes a tenth of a second after those that are there, with every 32nd in any
        case, and when the run ends.
        """
        outcome = failure.value if failure else _ANSWERED
        with self.storage.translate_errors():
            self._begin()
            for row_id, finding in findings:
                self._db.execute(_UPDATE, _update(outcome, row_id, finding, at))
            self._recorded()

    def record_findings_by_training(self, findings: Iterable[tuple[int, Finding]], at: int) -> None:
        """Record findings for which no versions have to be asked, in one transaction."""
        with self.transaction():
            self._db.executemany(_UPDATE, [_update(_BY_TRAINING, row_id, finding, at) for row_id, finding in findings])

    def with_latest_version(self) -> Iterator[tuple[int, ModelRecord, Finding]]:
        """Row id, record and finding of everybody whose version is the latest; safe to write meanwhile."""
        query = "SELECT id, record, finding FROM audited WHERE reason = ? AND id > ? ORDER BY id LIMIT ?"
        return self.storage.paged(
            query, (Reason.LATEST_VERSION.value,), lambda row_id, r, f: (row_id, _RECORD.decode(r), _FINDING.decode(f))
        )

    def replace_findings(self, findings: Iterable[tuple[int, Finding]]) -> None:
        """Record findings of which more is known than what the versions have said, in one transaction."""
        query = "UPDATE audited SET rank = ?, reason = ?, notes = ?, finding = ? WHERE id = ?"
        with self.transaction():
            for row_id, finding in findings:
                self._db.execute(query, (*columns(finding), _ENCODER.encode(finding).decode(), row_id))

    def count_weights(self) -> WeightsAsked | None:
        """Weights URLs that were asked for; None where they were not."""
        return self.weights.counts()

    def _commit(self) -> None:
        if self._db.in_transaction:
            self._db.execute("COMMIT")
            self._uncommitted = 0
            self._commit_at = time.monotonic() + _COMMIT_SECONDS

    def finish(self, info: RunInfo) -> None:
        """Record how the run ended; file and log become a single file again."""
        with self.storage.translate_errors():
            self._commit()
            # Reports read status by status, and count; without an index each of their questions goes through all of it.
            self._db.execute("CREATE INDEX IF NOT EXISTS by_rank ON audited (rank)")
            self._db.execute("CREATE INDEX IF NOT EXISTS by_reason ON audited (reason, notes, outcome)")
            self.storage.unlock()
        self.save_info(info)

    def summary(self) -> Summary:
        """Counts over all findings."""
        statuses = dict.fromkeys(Status, 0)
        reasons: dict[Reason, int] = {}
        notes: dict[Note, int] = {}
        with self.storage.reading():
            query = "SELECT reason, notes, count(*) FROM audited WHERE rank < ? GROUP BY reason, notes"
            counted = self._db.execute(query, (_NO_LINE,))
            for text, codes, count in counted:
                reason = Reason(text)
                reasons[reason] = reasons.get(reason, 0) + count
                statuses[reason.status] += count
                for code in filter(None, str(codes).split(";")):
                    notes[Note(code)] = notes.get(Note(code), 0) + count
            beside = self._db.execute(_ALSO).fetchall()
            also = {Reason(reason): int(count) for reason, count in beside}
        several = self._count(_USERS, _NO_LINE) if self.info.latest_per != "user" else None
        return Summary(statuses, _largest_first(reasons), _largest_first(notes), _largest_first(also), several)

    def count_statuses(self) -> dict[Status, int]:
        """Lines by status, from an index where the run has come to its end; every status has a key."""
        with self.storage.reading():
            query = "SELECT rank, count(*) FROM audited WHERE rank < ? GROUP BY rank"
            counts = dict(self._db.execute(query, (_NO_LINE,)).fetchall())
            return {status: int(counts.get(rank, 0)) for status, rank in _RANK.items()}

    def count_versions(self) -> tuple[int, int]:
        """How many users who are up to date have recorded a version, and how many of these the model in front of it."""
        query = (
            "SELECT count(*), count(*) FILTER (WHERE instr(version, ':')) FROM"
            " (SELECT json_extract(record, '$.replicate_version_id') AS version FROM audited WHERE reason = ?)"
            " WHERE version IS NOT NULL"
        )
        with self.storage.reading():
            recorded, qualified = self._db.execute(query, (Reason.LATEST_VERSION.value,)).fetchone()
            return int(recorded), int(qualified)

    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        """The users in report order: status, then e-mail with null last, then user id.

        Each has its baseline state, and what accepts the finding.
        """
        info = self.info
        accepting = AcceptanceMatcher(info.acceptances, day_of(info)).holding if info.acceptances else None
        state = partial(self.baseline.state, run=info) if info.baseline else None
        for each in (status,) if status else Status:
            where, values = "rank = ?", [str(_RANK[each])]
            if reason:
                where, values = where + " AND reason = ?", [*values, reason.value]
            # Without user input: `where` is one of the two texts above.
            query = f"SELECT record, finding FROM audited WHERE {where} ORDER BY id"  # noqa: S608
            with self.storage.reading():
                for row in self._db.execute(query, values):
                    record, finding = _RECORD.decode(row[0]), _FINDING.decode(row[1])
                    user = AuditedUser.of(record, finding, state(record, finding) if state else None)
                    accepted = accepting(user) if accepting else None
                    yield msgspec.structs.replace(user, accepted=accepted) if accepted else user

    def checked_users(self, status: Status) -> Iterator[tuple[AuditedUser, int | None]]:
        """The users of `status`, as `users` orders them, each with when the answer came, in seconds since 1970.

        None where that was not recorded, as in files of schema 1. Safe to write meanwhile.
        """
        with self.storage.reading():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
        when = "checked_at" if version > 1 else "NULL"
        query = f"SELECT id, record, finding, {when} FROM audited WHERE rank = ? AND id > ? ORDER BY id LIMIT ?"  # noqa: S608 - two words
        return self.storage.paged(
            query, (_RANK[status],), lambda _, r, f, at: (AuditedUser.of(_RECORD.decode(r), _FINDING.decode(f)), at)
        )

    def _text(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM run WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _value(self, name: str, noun: type[_Noun]) -> _Noun | None:
        with self.storage.reading():
            text = self._text(name)
            return None if text is None else msgspec.json.decode(text, type=noun)

    def _save(self, name: str, noun: RunInfo | Choices | Population | tuple[PastCounts, ...]) -> None:
        with self.storage.translate_errors():
            self._db.execute(
                "INSERT OR REPLACE INTO run (name, value) VALUES (?, ?)", (name, _ENCODER.encode(noun).decode())
            )


def columns(finding: Verdict) -> tuple[int, str, str]:
    """What of a verdict is counted and sorted by: rank, reason, notes."""
    if isinstance(finding, NoLine):
        return _NO_LINE, finding.value, ""
    return _RANK[finding.status], finding.reason.value, ";".join(finding.notes)


def _update(outcome: str, row_id: int, finding: Verdict, at: int) -> tuple[object, ...]:
    return outcome, *columns(finding), _encoded(finding), at, row_id


def _encoded(verdict: Verdict) -> str:
    """As JSON; a user who is in no line has a finding that nobody reads."""
    finding = Finding(reason=Reason.STOPPED) if isinstance(verdict, NoLine) else verdict
    return _ENCODER.encode(finding).decode()


def _largest_first(counts: dict[_Code, int]) -> dict[_Code, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
