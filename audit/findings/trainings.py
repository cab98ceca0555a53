"""The verdict on one record from everything that is known: the model's versions, and trainings where they were read."""

import zlib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Protocol

import msgspec

from audit.findings.classify import RunContext, classify, owner_differs, resolved
from audit.findings.unfinished import judge, unfinished_row
from audit.findings.weights import with_weights
from audit.model.codes import NoLine, Note, Reason
from audit.model.findings import Finding
from audit.model.ids import askable_model, askable_training, model_key, recorded_hash
from audit.model.replies import Heard, Lineage, NotAsked, Reply, Training, TrainingsRead
from audit.model.times import epoch_seconds, parse_utc
from audit.model.users import TRIMMED, ModelRecord

SETTLING = timedelta(minutes=15)
"""A version is on Replicate some time before its training says that it succeeded, and clocks differ."""
LONGEST_TRAINING = timedelta(days=1)
"""From the beginning of a training to its version; the slowest trainers take hours."""
DOUBTFUL = frozenset(
    {
        Note.SHARED_MODEL,
        Note.RETRAINING_IN_PROGRESS,
        Note.LATER_TRAINING_FAILED,
        Note.RECORDED_MODEL_DIFFERS,
        Note.UNDATED_ROW,
        Note.OWNER_DIFFERS_FROM_ACCOUNT,
    }
)
"""Notes with which a training alone does not settle what the latest version is."""


class OddTrainings(msgspec.Struct, frozen=True):
    """Trainings that succeeded and whose output does not say which version they put into which model.

    Each may have made the newest version of a model. Times are when they ended, in seconds since 1970.
    """

    anywhere: float | None = None
    """The last one of which nobody knows whose it is; null where there is none."""
    by_model: Mapping[str, float] = {}
    """The last one that a row of the database, or its own output, ascribes to a model, by the model's key."""

    def may_concern(self, model: str, since: Training | None = None) -> bool:
        """Whether one may have put a version into `model`, and not before `since` ended."""
        ended = max(filter(None, (self.anywhere, self.by_model.get(model_key(model)))), default=None)
        return ended is not None and (since is None or ended >= ended_at(since))


def ended_at(training: Training) -> float:
    """When it ended in seconds since 1970, or was created where its end is not known."""
    return epoch_seconds(training.completed_at or training.created_at)


def with_lineage(  # noqa: PLR0913, PLR0917 - what is known, and how well
    record: ModelRecord,
    finding: Finding,
    about: Iterable[Training],
    read: TrainingsRead,
    context: RunContext,
    odd: OddTrainings = OddTrainings(),  # noqa: B008 - frozen
) -> Finding:
    """`finding` with the trainings behind it. `about` holds those that may say something about `record`."""
    trainings = tuple(about)
    if finding.reason is Reason.TRAINER_RECORDED:
        return _with_own_training(record, finding, trainings)
    made = {training.version: training for training in trainings if training.succeeded}
    recorded, latest = recorded_hash(record.replicate_version_id), finding.latest_version
    current = made.get(recorded) if recorded else None
    newest = made.get(latest) if latest else None
    later = next((each for each in trainings if each.id == askable_training(record.later_training_id)), None)
    unrecorded = (
        latest != recorded and newest and not _older(newest, current) and Note.SHARED_MODEL not in finding.notes
    )
    absent = context.missing_columns
    applies = (
        (Note.UNRECORDED_TRAINING, unrecorded),
        (Note.WEIGHTS_URL_OF_ANOTHER_VERSION, recorded and _foreign_weights(record, recorded, trainings)),
        (Note.TRIGGER_WORD_DIFFERS, "trigger_word" not in absent and _other_trigger(record, current)),
        (Note.VERSION_MADE_BY_HAND, latest and not newest and _all_known(record, finding, read, context, odd)),
    )
    finding = msgspec.structs.replace(
        finding,
        notes=(*finding.notes, *(note for note, holds in applies if holds)),
        lineage=Lineage(current=None if recorded == latest else current, latest=newest, later=later),
    )
    if finding.reason is Reason.LATEST_VERSION:
        return with_weights(record, finding, newest, trainings, context)
    return finding


def _with_own_training(record: ModelRecord, finding: Finding, trainings: tuple[Training, ...]) -> Finding:
    """Where a trainer is recorded as the model: what the training that the row names has made."""
    own = next((each for each in trainings if each.id == askable_training(record.training_id)), None)
    if own is None or not own.succeeded:
        return finding
    return msgspec.structs.replace(
        finding, latest_version=own.version, affected_since=own.completed_at, lineage=Lineage(latest=own)
    )


def settled(
    record: ModelRecord,
    newest: Training | None,
    read: TrainingsRead,
    context: RunContext,
    odd: OddTrainings = OddTrainings(),  # noqa: B008 - frozen
) -> Finding | None:
    """The finding where `newest`, the last training that put a version into the model, made the recorded one.

    None where that is not so, or where anything is odd: the model's versions then have to be asked for. Versions that
    were pushed or deleted by hand cannot be seen here.
    """
    recorded = recorded_hash(record.replicate_version_id)
    model = askable_model(record.replicate_model_id)
    unfinished = record.unfinished or record.newer is not None
    if newest is None or recorded is None or model is None or newest.version != recorded or unfinished:
        return None
    if record.unreadable:
        return None
    if newest.model is None or model_key(newest.model) != model_key(model) or not _inside(newest, read):
        return None
    if odd.may_concern(model, newest) or context.is_trainer(model):
        return None
    notes = classify(record, NotAsked(), context).notes
    if context.account is None or read.unreadable or DOUBTFUL & set(notes):
        return None
    return Finding(
        reason=Reason.LATEST_VERSION, latest_version=recorded, versions_behind=0, notes=notes, evidence="training"
    )


def disagreeing(finding: Finding, by_training: Finding) -> Finding:
    """What is found of a user whom trainings settled and whose versions, asked for as a sample, said `finding`."""
    if finding.evidence != "versions" or finding.reason is Reason.LATEST_VERSION:
        return finding
    said = finding.reason.value if finding.latest_version is None else f"{finding.latest_version[:12]} is"
    detail = f"by its trainings {(by_training.latest_version or '')[:12]} is the latest version; by its versions {said}"
    return msgspec.structs.replace(finding, reason=Reason.EVIDENCE_DISAGREES, detail=detail)


def in_sample(run_id: str, model: str, percent: float) -> bool:
    """Whether `model` is among those that are asked for as a check; in one run always the same, in another others."""
    return zlib.crc32(f"{run_id} {model}".encode()) % 1_000_000 < percent * 10_000


def _older(training: Training, than: Training | None) -> bool:
    mine, other = parse_utc(training.completed_at), parse_utc(than.completed_at if than else None)
    return mine is not None and other is not None and mine < other


def _inside(training: Training, read: TrainingsRead) -> bool:
    """Whether the training began within the part of the list that was wanted."""
    began, since = parse_utc(training.created_at), parse_utc(read.since)
    return began is not None and (since is None or began >= since)


def _foreign_weights(record: ModelRecord, recorded: str, trainings: tuple[Training, ...]) -> bool:
    url = (record.lora_weights_url or "").strip(TRIMMED)
    owners = {training.version for training in trainings if url and training.weights == url}
    return bool(owners) and recorded not in owners


def _other_trigger(record: ModelRecord, current: Training | None) -> bool:
    ours = (record.trigger_word or "").strip(TRIMMED)
    used = ((current and current.trigger_word) or "").strip(TRIMMED)
    return bool(ours and used) and ours != used


def _all_known(
    record: ModelRecord, finding: Finding, read: TrainingsRead, context: RunContext, odd: OddTrainings
) -> bool:
    """Whether the training that made the latest version would have to be known, had there been one."""
    model, account = askable_model(record.replicate_model_id), context.account
    if model and odd.may_concern(model):
        return False
    if not account or not model or owner_differs(record, context):
        return False  # the list is that of the token's account
    made, began = parse_utc(finding.latest_version_created_at), parse_utc(read.began_at)
    if made is None or began is None or read.unreadable or made > began - SETTLING:
        return False
    if read.complete and read.since is None:
        return True
    oldest = parse_utc(read.since if read.complete else read.back_to)
    return oldest is not None and made - LONGEST_TRAINING >= oldest


class KnownTrainings(Protocol):
    """The trainings that were read: the run file has them."""

    def about(self, record: ModelRecord, latest_version: str | None) -> tuple[Training, ...]:
        """All that may say something about `record`."""

    def newest(self, model: str) -> Training | None:
        """The last one that put a version into `model`."""


class Classifier:
    """What is the same for all records of a run."""

    def __init__(
        self,
        context: RunContext,
        read: TrainingsRead | None = None,
        trainings: KnownTrainings | None = None,
        odd: OddTrainings = OddTrainings(),  # noqa: B008 - frozen
    ) -> None:
        self.context = context
        self._odd = odd
        self._read = read
        self._trainings = trainings

    def finding(self, record: ModelRecord, reply: Reply) -> Finding:
        """The verdict, given what Replicate said about the model."""
        finding = classify(record, reply, self.context)
        record = resolved(record, reply)
        if self._read is None or self._trainings is None:
            return finding
        if self._read.mode == "trainings" and (by_training := self._settled(record)):
            finding = disagreeing(finding, by_training)
        return self._with_lineage(record, finding)

    def judged(self, record: ModelRecord, base: Finding | None, heard: Heard | None) -> Finding | NoLine:
        """The verdict on a user with an unfinished row, as `judge` has it, with the training that made its version."""
        verdict = judge(record, base, heard, self.context)
        row = unfinished_row(record)
        if not isinstance(verdict, Finding) or not verdict.unfinished or self._trainings is None or row is None:
            return verdict
        lineage, latest = verdict.lineage or Lineage(), verdict.latest_version
        if lineage.latest or latest is None:
            return verdict
        made = next(
            (each for each in self._trainings.about(row, latest) if each.succeeded and each.version == latest), None
        )
        return (
            msgspec.structs.replace(verdict, lineage=msgspec.structs.replace(lineage, latest=made)) if made else verdict
        )

    def settled(self, record: ModelRecord) -> Finding | None:
        """The verdict where trainings are enough for one, else None."""
        by_training = self._settled(record)
        return by_training and self._with_lineage(record, by_training)

    def _settled(self, record: ModelRecord) -> Finding | None:
        model = askable_model(record.replicate_model_id)
        if self._read is None or self._trainings is None or model is None:
            return None
        return settled(record, self._trainings.newest(model), self._read, self.context, self._odd)

    def _with_lineage(self, record: ModelRecord, finding: Finding) -> Finding:
        if self._read is None or self._trainings is None:
            return finding
        about = self._trainings.about(record, finding.latest_version)
        return with_lineage(record, finding, about, self._read, self.context, self._odd)
