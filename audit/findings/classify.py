"""One record and one reply make one finding: the rule table of the contract, pure and total."""

import math
from typing import assert_never

import msgspec

from audit.model.codes import Note, Reason
from audit.model.findings import VERSIONS_SHOWN, Finding, Summary
from audit.model.ids import _HASH, _blank, _unqualified, askable_model, model_key, training_as_model
from audit.model.replies import (
    Account,
    Failed,
    Found,
    Missing,
    NotAsked,
    NoVersions,
    Reply,
    Through,
    Training,
    newest_first,
)
from audit.model.run import RunInfo
from audit.model.tables import PLAIN, Column, Tables
from audit.model.text import escape_controls, shortened
from audit.model.trainers import PUBLISHED
from audit.model.users import ModelRecord, Population
from audit.model.weights import is_made_up

USUAL_LORA_SCALE = (0.5, 1.5)
"""Around 1, which is what trainers are tuned for; far below the face fades, far above the picture breaks."""


class RunContext(msgspec.Struct, frozen=True):
    """What is the same for all users of a run and is needed to judge each."""

    account: Account | None = None
    missing_columns: frozenset[Column] = frozenset()
    qualified_is_usual: bool = False
    """Most recorded versions have their model in front: that one has is nothing to remark then."""
    weights_are_usual: bool = False
    """Most completed rows of the database have something in `lora_weights_url`."""
    trainers: frozenset[str] = frozenset()
    """Keys of the models that the account's trainings name as their trainers."""
    tables: Tables = PLAIN

    def is_trainer(self, model_id: str | None) -> bool:
        """Whether `model_id`, as recorded, is that of a model which trains others."""
        return (key := model_key(model_id)) in self.trainers or key in PUBLISHED


def context_of(info: RunInfo, population: Population | None, trainers: frozenset[str] = frozenset()) -> RunContext:
    """What the run knows once the database was read."""
    qualified = population and population.completed_qualified * 2 > population.completed_with_version
    return RunContext(
        account=info.account,
        missing_columns=frozenset(info.missing_columns),
        qualified_is_usual=bool(qualified),
        weights_are_usual=bool(population and population.weights_are_usual),
        trainers=trainers,
        tables=info.tables,
    )


def classify(record: ModelRecord, reply: Reply, context: RunContext) -> Finding:  # noqa: C901, PLR0911 - one for each kind of reply
    """The verdict on `record`, given what Replicate said about its model.

    Where several reasons apply the first of these wins: bytes that are no text, a trainer in the model's place, an id
    that cannot be asked, what Replicate said for certain, nothing recorded, the failure, the comparison.
    """
    model = askable_model(record.replicate_model_id)
    prefix, bare = _unqualified(record.replicate_version_id)
    notes = _notes(record, context, model, prefix)
    if record.unreadable:
        return unreadable(record, context)
    if context.is_trainer(record.replicate_model_id):
        left = tuple(note for note in notes if note not in NOTES_OF_THE_MODEL)
        return Finding(reason=Reason.TRAINER_RECORDED, detail="the recorded model is a trainer", notes=left)
    if model is None and (training_as_model(record.replicate_model_id) is None or isinstance(reply, Missing)):
        return _unaskable(record.replicate_model_id, notes)
    match reply:
        case Missing():
            detail = "404 for the versions and for the model"
            return Finding(reason=Reason.MODEL_NOT_FOUND, detail=detail, notes=notes, evidence="versions")
        case NoVersions():
            detail = "the model exists on Replicate and has no version"
            return Finding(reason=Reason.NO_VERSIONS, detail=detail, total_versions=0, notes=notes, evidence="versions")
        case Found():
            return _compared(record, reply, bare, notes)
        case Failed():
            if _blank(record.replicate_version_id):
                detail = f"and Replicate could not be asked: {reply.detail}"
                return Finding(reason=Reason.NO_VERSION_RECORDED, detail=detail, notes=notes)
            return Finding(reason=reply.reason, detail=reply.detail, notes=notes)
        case Through():
            return _through(record, reply, context)
        case NotAsked():
            blank = _blank(record.replicate_version_id)
            return Finding(reason=Reason.NO_VERSION_RECORDED if blank else Reason.STOPPED, notes=notes)
        case _:
            assert_never(reply)


def unreadable(record: ModelRecord, context: RunContext) -> Finding:
    """The verdict on a row that holds bytes that are no text, or whose user does."""
    of_user, of_row = context.tables.users, context.tables.user_models
    named = (
        of_user.called(Column.ID)
        if name == "user_id"
        else (of_user if name in {Column.EMAIL, Column.DISPLAY_NAME} else of_row).called(_COLUMNS.get(name, name))
        for name in record.unreadable
    )
    columns = ", ".join(named)
    row = shortened(escape_controls(record.model_row_id), 60)
    return Finding(reason=Reason.UNREADABLE_ROW, detail=f"row {row}: no text in the database's encoding: {columns}")


_COLUMNS = {"model_row_id": Column.ID, "row_user_id": Column.USER_ID}


def _through(record: ModelRecord, through: Through, context: RunContext) -> Finding:
    """The verdict where a training stands in the model's place: that on the model that it names."""
    training = through.training
    if isinstance(training, Missing):
        reason, went = Reason.TRAINING_NOT_FOUND, f"404 for training {record.replicate_model_id}"
    else:
        reason, went = (
            Reason.INVALID_MODEL_ID,
            f"training {training.id} ({shortened(escape_controls(training.status), 40)})",
        )
    if isinstance(training, Missing) or through.reply is None:
        notes = classify(record, NotAsked(), context).notes
        named = "" if isinstance(training, Missing) else " and names no model"
        return Finding(reason=reason, detail=f"{went}, which is recorded as the model{named}", notes=notes)
    finding = classify(resolved(record, through), through.reply, context)
    return msgspec.structs.replace(finding, model=training.model)


def resolved(record: ModelRecord, reply: Reply) -> ModelRecord:
    """`record` with the model that the training in its place names, where `reply` tells one."""
    if isinstance(reply, Through) and isinstance(reply.training, Training) and reply.training.model:
        return msgspec.structs.replace(record, replicate_model_id=reply.training.model)
    return record


NOTES_OF_THE_MODEL = frozenset({Note.SHARED_MODEL, Note.OWNER_DIFFERS_FROM_ACCOUNT, Note.RECORDED_MODEL_DIFFERS})
"""Notes that say something of the user only where the recorded model is the user's."""


def owner_differs(record: ModelRecord, context: RunContext) -> bool:
    """Whether the model is another account's than the token."""
    account, model = context.account, askable_model(record.replicate_model_id)
    return bool(account and model and model.partition("/")[0].casefold() != account.username.casefold())


def wrong_account(account: Account | None, summary: Summary) -> bool:
    """Whether the token probably belongs to another account than the models.

    To strangers Replicate says 404 for a private model. So: not one model was found, and every one that was not is
    another account's.
    """
    not_found = summary.reasons.get(Reason.MODEL_NOT_FOUND, 0)
    found = any(summary.reasons.get(reason) for reason in ON_REPLICATE)
    return bool(account and not_found and not found) and (
        summary.notes.get(Note.OWNER_DIFFERS_FROM_ACCOUNT, 0) >= not_found
    )


def wrong_base_url(account: Account | None, summary: Summary) -> bool:
    """Whether not one answer was Replicate's own: the base URL leads elsewhere, or something in between answers."""
    return account is None and Reason.BAD_RESPONSE in summary.reasons and summary.reasons.keys() <= _WITHOUT_REPLICATE


ON_REPLICATE = (
    Reason.LATEST_VERSION,
    Reason.OUTDATED_VERSION,
    Reason.UNKNOWN_VERSION,
    Reason.MALFORMED_VERSION,
    Reason.NO_VERSIONS,
    Reason.WRONG_WEIGHTS,
    Reason.WEIGHTS_GONE,
    Reason.TRAINING_NOT_RECORDED,
    Reason.FAILURE_NOT_RECORDED,
    Reason.VERSION_LOST,
)
"""Reasons that Replicate's answer about an existing model, or about a training of the account, has given."""
_WITHOUT_REPLICATE = frozenset(
    {
        Reason.BAD_RESPONSE,
        Reason.TIMEOUT,
        Reason.NETWORK_ERROR,
        Reason.STOPPED,
        Reason.NO_VERSION_RECORDED,
        Reason.TRAINER_RECORDED,
        Reason.MISSING_MODEL_ID,
        Reason.INVALID_MODEL_ID,
        Reason.UNREADABLE_ROW,
    }
)
"""Reasons that need no answer of Replicate."""


def _unaskable(model_id: str | None, notes: tuple[Note, ...]) -> Finding:
    if _blank(model_id):
        detail = "replicate_model_id is " + ("null" if model_id is None else "blank")
        return Finding(reason=Reason.MISSING_MODEL_ID, detail=detail, notes=notes)
    detail = f"not owner/name: {shortened(escape_controls(model_id or ''), 120)}"
    return Finding(reason=Reason.INVALID_MODEL_ID, detail=detail, notes=notes)


def _compared(record: ModelRecord, found: Found, bare: str, notes: tuple[Note, ...]) -> Finding:
    versions = newest_first(found.versions)
    behind = next((i for i, version in enumerate(versions) if version.id == bare), None)
    if _blank(record.replicate_version_id):
        judged: tuple[Reason, str | None] = (Reason.NO_VERSION_RECORDED, None)
    else:
        judged = _comparison(bare, behind, found)
    return Finding(
        reason=judged[0],
        detail=judged[1],
        current_version_created_at=None if behind is None else versions[behind].created_at,
        affected_since=versions[behind - 1].created_at if behind else None,
        latest_version=versions[0].id,
        latest_version_created_at=versions[0].created_at,
        versions_behind=behind,
        total_versions=None if found.only_latest else len(versions),
        versions=versions[:VERSIONS_SHOWN],
        notes=notes,
        evidence="versions",
    )


def _comparison(bare: str, behind: int | None, found: Found) -> tuple[Reason, str | None]:
    if behind == 0:
        return Reason.LATEST_VERSION, None
    if behind is not None:
        return Reason.OUTDATED_VERSION, f"{behind} newer version{'s' * (behind > 1)} on Replicate"
    if not _HASH.fullmatch(bare):
        return Reason.MALFORMED_VERSION, f"no 64-digit version hash: {shortened(escape_controls(bare), 120)}"
    if found.only_latest:
        return Reason.UNKNOWN_VERSION, "not the latest version; an official model's older versions are not listed"
    count = len(found.versions)
    return Reason.UNKNOWN_VERSION, f"not among the model's {count:,} version{'s' * (count > 1)}"


def _notes(record: ModelRecord, context: RunContext, model: str | None, prefix: str | None) -> tuple[Note, ...]:
    """Every note that applies, in the order of `Note`; `prefix` is the model named inside the recorded version."""
    absent = context.missing_columns
    url = record.lora_weights_url
    no_url = "lora_weights_url" not in absent and _blank(url)
    applies = (
        (Note.SHARED_MODEL, record.shared_with_count),
        (Note.RETRAINING_IN_PROGRESS, record.retraining_in_progress),
        (Note.LATER_TRAINING_FAILED, record.later_training_failed),
        (Note.OLDER_MODELS_HIDDEN, record.older_completed),
        (Note.QUALIFIED_VERSION, prefix and not context.qualified_is_usual),
        (Note.RECORDED_MODEL_DIFFERS, prefix and model and model_key(prefix) != model_key(model)),
        (Note.MISSING_TRIGGER_WORD, "trigger_word" not in absent and _blank(record.trigger_word)),
        (Note.UNUSUAL_LORA_SCALE, _unusual(record.lora_scale)),
        (Note.MISSING_WEIGHTS_URL, no_url),
        (Note.GUESSED_WEIGHTS_URL, is_made_up(url)),
        (Note.UNDATED_ROW, record.undated_rows),
        (Note.OWNER_DIFFERS_FROM_ACCOUNT, owner_differs(record, context)),
    )
    return tuple(note for note, holds in applies if holds)


def _unusual(scale: str | None) -> bool:
    if _blank(scale):
        return False  # the product's own default then applies
    try:
        value = float(scale or "")
    except ValueError:
        return True
    return not (math.isfinite(value) and USUAL_LORA_SCALE[0] <= value <= USUAL_LORA_SCALE[1])
