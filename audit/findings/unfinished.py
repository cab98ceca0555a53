"""What became of a row that is not completed: the verdict on a user's newest one, from what Replicate says. Pure.

A training may succeed and nobody writes it down; it may fail and the row says for ever that it goes on; a retraining
may wipe the row and then fail. The row alone cannot tell. Two questions can: what became of the training that it names,
and, where it names none that Replicate knows, which versions its model has. Of a model that several users share, or
that is a trainer, versions prove nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

import msgspec

from audit.findings.classify import RunContext, classify, owner_differs, unreadable
from audit.model.codes import FailureReason, NoLine, Note, Reason, Status
from audit.model.findings import VERSIONS_SHOWN, Finding
from audit.model.ids import askable_model, askable_training, model_key, question_of, recorded_hash, training_named
from audit.model.replies import (
    FAILED,
    IN_PROGRESS,
    Failed,
    Found,
    Heard,
    Lineage,
    Missing,
    NotAsked,
    NoVersions,
    Reply,
    Through,
    Training,
    Version,
    newest_first,
)
from audit.model.tables import Column, TrainingState
from audit.model.text import escape_controls, shortened
from audit.model.times import parse_utc, to_minute
from audit.model.users import ModelRecord

_WENT = {"failed": "failed", "canceled": "was canceled", "aborted": "was aborted"}


@dataclass(frozen=True, slots=True)
class RowQuestion:
    """What may have to be asked of one unfinished row, in this order."""

    training: str | None
    """The id that it records, where that can be sent."""
    model: str | None
    """Whose versions can tell something: `owner/name` as recorded. None where they prove nothing."""


def unfinished_row(record: ModelRecord) -> ModelRecord | None:
    """The unfinished row of the user whose record this is."""
    return record if record.unfinished else record.newer


def row_question(row: ModelRecord, context: RunContext) -> RowQuestion:
    """What may be asked of the unfinished `row`."""
    model = askable_model(row.replicate_model_id)
    if row.shared_with_count or context.is_trainer(row.replicate_model_id):
        model = None
    return RowQuestion(training_named(row.training_id, row.replicate_model_id), model)


def open_question(record: ModelRecord, context: RunContext) -> RowQuestion | None:
    """What has to be asked of the record's unfinished row, beside the versions of `asked_model`, which are for all."""
    row = unfinished_row(record)
    if row is None:
        return None
    question = row_question(row, context)
    if question.training:
        return question
    if question.model and model_key(question.model) != model_key(asked_model(record, context)):
        return question
    return None


def asked_model(record: ModelRecord, context: RunContext) -> str | None:
    """The model whose versions are the question in any case: that of the completed row, else that of the only one.

    None where there is none to ask for; of an only row that names a training, that is asked about first. A trainer in
    the model's place is a question as well, which nobody needs to send: by then its trainings may be known.
    """
    if not record.unfinished:
        return question_of(record.replicate_model_id)
    question = row_question(record, context)
    return None if question.training else question.model


def needs_versions(heard: Heard, *, counting: bool) -> bool:
    """Whether the model's versions have to be known besides; `counting` is whether the user has a completed row."""
    if heard.training:
        return heard.training.status in FAILED and not counting
    return heard.failed is None


def reply_of(base: Finding | None) -> Reply | None:
    """What Replicate had said of the model that `base` is about, as far as unfinished rows are concerned."""
    if base is None or base.reason is Reason.STOPPED:
        return None
    if base.versions:
        return Found(base.versions)
    if base.reason is Reason.NO_VERSIONS:
        return NoVersions()
    if base.reason is Reason.MODEL_NOT_FOUND:
        return Missing()
    if base.reason.is_failure:
        return Failed(cast(FailureReason, base.reason), base.detail or "")
    return None


def heard_of(reply: Reply, before: Heard | None = None) -> Heard | None:
    """`before` with what was said of the model's versions; None where nobody was asked."""
    before = before or Heard()
    match reply:
        case Found():
            return msgspec.structs.replace(before, versions=newest_first(reply.versions)[:VERSIONS_SHOWN])
        case Failed():
            return Heard.nothing(reply, before)
        case NotAsked():
            return None
        case Through():
            return before if reply.reply is None else heard_of(reply.reply, before)
        case _:
            return msgspec.structs.replace(before, versions=())


def judge(record: ModelRecord, base: Finding | None, heard: Heard | None, context: RunContext) -> Finding | NoLine:
    """The verdict on a user with an unfinished row.

    `base` is that on the completed row, None where there is none; `heard` what Replicate said of the unfinished one,
    None where it has yet to be asked and something can be asked.
    """
    row = unfinished_row(record)
    assert row is not None  # noqa: S101 - else nobody asks
    it = _Row(row, None if record.unfinished else record, base, context)
    verdict = unreadable(row, context) if row.unreadable else it.verdict(heard)
    if isinstance(verdict, Finding):
        also = base if base and base.status is not Status.UP_TO_DATE and base.reason is not Reason.STOPPED else None
        return msgspec.structs.replace(verdict, unfinished=True, also=also)
    if base is None:
        return verdict
    if verdict is NoLine.STILL_RUNNING and Note.RETRAINING_IN_PROGRESS not in base.notes:
        notes = {*base.notes, Note.RETRAINING_IN_PROGRESS}
        return msgspec.structs.replace(base, notes=tuple(note for note in Note if note in notes))
    if verdict is not NoLine.STILL_RUNNING and heard is not None and heard.training:
        # What the row says of a training that is over is no retraining in progress, whatever the row says.
        left = tuple(note for note in base.notes if note is not Note.RETRAINING_IN_PROGRESS)
        return msgspec.structs.replace(base, notes=left)
    return base


def unasked(record: ModelRecord, context: RunContext) -> tuple[Finding | None, Finding | NoLine]:
    """What is true as long as nobody was asked: of the completed row, None where there is none, and of the user."""
    base = None if record.unfinished else classify(record, NotAsked(), context)
    if base and record.newer is None:
        return base, base
    waits = asked_model(record, context) or open_question(record, context)
    return base, judge(record, base, None if waits else Heard(), context)


@dataclass(frozen=True, slots=True)
class _Row:
    """An unfinished row, and what is known beside it."""

    row: ModelRecord
    counting: ModelRecord | None
    base: Finding | None
    context: RunContext

    def verdict(self, heard: Heard | None) -> Finding | NoLine:
        """What it has come to; a NoLine where there is nothing to find fault with."""
        heard = heard and self._with_versions(heard)
        if heard is None:
            return Finding(reason=Reason.STOPPED, notes=self._notes)
        if heard.failed and heard.training is None:
            return Finding(reason=heard.failed.reason, detail=heard.failed.detail, notes=self._notes)
        training = heard.training
        if training and training.status in IN_PROGRESS:
            return NoLine.STILL_RUNNING
        if self.context.is_trainer(self.row.replicate_model_id):
            return self._trainer(training)
        if training is None:
            return self._by_versions(heard) or self._nothing(heard)
        if training.status == "succeeded":
            return NoLine.NOTHING_KNOWN if self._is_recorded(training) else self._succeeded(training)
        if training.status in FAILED:
            return self._failed(training, heard)
        said = shortened(escape_controls(training.status), 40)
        detail = f"training {self._id(training)} is in a state that is not known: {said or '(blank)'}"
        return Finding(reason=Reason.BAD_RESPONSE, detail=detail, notes=self._notes)

    def _with_versions(self, heard: Heard) -> Heard | None:
        """`heard` with the model's versions, where they are needed and can be; None where they have yet to be asked."""
        if heard.failed or not needs_versions(heard, counting=self.counting is not None):
            return heard
        if heard.versions is not None or row_question(self.row, self.context).model is None:
            return heard
        reply = reply_of(self.base) if self._same_model else None
        return heard_of(reply, heard) if reply else None

    @property
    def _notes(self) -> tuple[Note, ...]:
        shared = (Note.SHARED_MODEL,) if self.row.shared_with_count else ()
        if self.context.is_trainer(self.row.replicate_model_id):
            return ()
        other = (Note.OWNER_DIFFERS_FROM_ACCOUNT,) if owner_differs(self.row, self.context) else ()
        return shared + other

    @property
    def _says(self) -> str:
        """What the row says of itself, as a clause."""
        since = f" since {to_minute(self.row.began_at)}" if self.row.began_at else ""
        if not self.context.tables.user_models.has(Column.TRAINING_STATUS):
            return f"the row has no version{since}"
        status = shortened(escape_controls(self.row.training_status or "(null)"), 60)
        return f"the row says {status}{since}"

    def _trainer(self, training: Training | None) -> Finding:
        made = training if training and training.succeeded else None
        detail = "the recorded model is a trainer" + (f", used by training {self._id(training)}" if training else "")
        return self._finding(Reason.TRAINER_RECORDED, detail, training=made, since=made.completed_at if made else None)

    def _succeeded(self, training: Training) -> Finding:
        ended = f" {to_minute(training.completed_at)}" if training.completed_at else ""
        detail = f"training {self._id(training)} succeeded{ended}; {self._says}"
        return self._finding(
            Reason.TRAINING_NOT_RECORDED, detail, training=training, since=training.completed_at or training.created_at
        )

    def _is_recorded(self, training: Training) -> bool:
        """Whether the completed row has what the training put out, or is of a training that began after it."""
        if self.counting is None:
            return False
        recorded = recorded_hash(self.counting.replicate_version_id)
        if training.version is not None and training.version == recorded:
            return True
        if askable_training(self.counting.training_id) == training.id:
            return training.version is None
        mine, its = _started(self.row), _started(self.counting)
        began = parse_utc(training.created_at)
        if mine is not None and its is not None and began is not None and mine < its and began < its:
            return True  # the row is newer by its last date alone, which anything may have set
        return self._made_since(training) if training.version is None else self._made_after(training)

    def _made_after(self, training: Training) -> bool:
        """Whether the completed row records a version that went into the same model after the training had ended."""
        if self.base is None or self.counting is None:
            return False
        made, ended = parse_utc(self.base.current_version_created_at), parse_utc(training.completed_at)
        same = training.model and model_key(training.model) == model_key(self.counting.replicate_model_id)
        return bool(same and made and ended and made > ended)

    def _made_since(self, training: Training) -> bool:
        """Whether the completed row records a version of the same model that was made since the training began."""
        if self.base is None or self.base.versions_behind != 0 or not self._same_model:
            return False
        made, began = parse_utc(self.base.latest_version_created_at), parse_utc(training.created_at)
        return made is not None and began is not None and made >= began

    @property
    def _same_model(self) -> bool:
        key = model_key(self.row.replicate_model_id)
        return bool(self.counting and key and key == model_key(self.counting.replicate_model_id))

    def _failed(self, training: Training, heard: Heard) -> Finding | NoLine:
        if self.counting is None:
            if heard.failed:
                return Finding(reason=heard.failed.reason, detail=heard.failed.detail, notes=self._notes)
            if found := self._by_versions(heard):
                went = f"training {self._id(training)} {_WENT[training.status]}; {found.detail}"
                lineage = Lineage(later=training)
                since = found.affected_since or training.completed_at
                return msgspec.structs.replace(found, detail=went, lineage=lineage, affected_since=since)
        if self.context.tables.state(self.row.training_status) is not TrainingState.IN_PROGRESS:
            return NoLine.REALLY_FAILED
        error = f": {shortened(escape_controls(training.error), 200)}" if training.error else ""
        ended = f" {to_minute(training.completed_at)}" if training.completed_at else ""
        detail = f"training {self._id(training)} {_WENT[training.status]}{ended}{error}; {self._says}"
        finding = self._finding(Reason.FAILURE_NOT_RECORDED, detail, since=training.completed_at)
        return msgspec.structs.replace(finding, lineage=Lineage(later=training))

    def _by_versions(self, heard: Heard) -> Finding | None:
        """What the model's versions say; None where they say nothing."""
        if not heard.versions or row_question(self.row, self.context).model is None:
            return None
        versions = heard.versions
        newest, began = versions[0], parse_utc(self.row.began_at)
        recorded = recorded_hash(self.counting.replicate_version_id) if self.counting else None
        made = parse_utc(newest.created_at)
        if made is not None and began is not None and made > began:
            if newest.id == recorded:
                return None
            detail = f"version {newest.id[:12]} was made {to_minute(newest.created_at)}, and {self._says}"
            first = _first_since(began, versions, recorded)
            return self._finding(Reason.TRAINING_NOT_RECORDED, detail, versions=versions, since=first)
        if self.counting is None:
            when = f", last {to_minute(newest.created_at)}" if newest.created_at else ""
            detail = f"the model has versions{when}; no row is completed, and {self._says}"
            return self._finding(Reason.VERSION_LOST, detail, versions=versions)
        return None

    def _nothing(self, heard: Heard) -> Finding | NoLine:
        if heard.unknown:
            detail = f"404 for training {shortened(escape_controls(self.row.training_id or ''), 60)}; {self._says}"
            return Finding(reason=Reason.TRAINING_NOT_FOUND, detail=detail, notes=self._notes)
        failed = self.context.tables.state(self.row.training_status) is TrainingState.FAILED
        return NoLine.REALLY_FAILED if failed else NoLine.NOTHING_KNOWN

    def _finding(
        self,
        reason: Reason,
        detail: str,
        *,
        training: Training | None = None,
        versions: tuple[Version, ...] = (),
        since: str | None = None,
    ) -> Finding:
        if training:
            known = self.base.versions if self.base and self._same_model else ()
            dated = next((each for each in known if each.id == training.version), None)
            latest = Version(training.version, dated.created_at if dated else None) if training.version else None
        else:
            latest = versions[0] if versions else None
        return Finding(
            reason=reason,
            detail=detail,
            latest_version=latest.id if latest else None,
            latest_version_created_at=latest.created_at if latest else None,
            versions=versions,
            notes=self._notes,
            evidence="versions" if versions else "training" if training else None,
            lineage=Lineage(latest=training) if training else None,
            affected_since=since,
        )

    @staticmethod
    def _id(training: Training) -> str:
        return shortened(escape_controls(training.id), 60)


def _started(record: ModelRecord) -> datetime | None:
    return parse_utc(record.started_at or record.created_at or record.completed_at or record.updated_at)


def _first_since(began: datetime, versions: tuple[Version, ...], recorded: str | None) -> str | None:
    """When the first of `versions`, newest first, was made that is newer than the row and than what is recorded."""
    first = None
    for version in versions:
        made = parse_utc(version.created_at)
        if version.id == recorded or (made is not None and made <= began):
            break
        first = version.created_at or first
    return first
