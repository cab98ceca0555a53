"""The rules of a repair: who is changed and how, who is left out and why. Pure and total; asks and writes nothing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

import msgspec

from audit.findings.classify import NOTES_OF_THE_MODEL
from audit.model.codes import Note, OrderBy, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.ids import askable_model, model_key, recorded_hash, training_as_model
from audit.model.references import Reference, is_url
from audit.model.repair import LeftOut, RowChange, Weights, WhyLeftOut
from audit.model.replies import Lineage, Training
from audit.model.run import Filters
from audit.model.tables import Column, VersionForm
from audit.model.times import parse_utc, utc_text
from audit.model.users import TRIMMED, ModelRecord
from audit.model.weights import is_delivery_url

MAX_AGE = timedelta(hours=1)
_CLOCKS = timedelta(minutes=1)
"""Clocks of two machines that differ by less are right."""
WHY_LEFT_OUT: Mapping[WhyLeftOut, str] = {
    WhyLeftOut.SHARED_MODEL: "other users have the same model, and its latest version may show one of them",
    WhyLeftOut.RETRAINING_IN_PROGRESS: "a newer training is running; run the audit again when it has ended",
    WhyLeftOut.OWNER_DIFFERS_FROM_ACCOUNT: "the model belongs to another account than the token",
    WhyLeftOut.RECORDED_MODEL_DIFFERS: "the stored version names another model than the row",
    WhyLeftOut.UNKNOWN_VERSION: "the model has no such version; add them with --include unknown_version",
    WhyLeftOut.MALFORMED_VERSION: "what is stored is not a version; add them with --include malformed_version",
    WhyLeftOut.TRAINING_NOT_RECORDED: ("the row would become completed; add them with --include training_not_recorded"),
    WhyLeftOut.VERSION_LOST: "the row would become completed; add them with --include version_lost",
    WhyLeftOut.TRAINER_RECORDED: "the row would get another model; add them with --include trainer_recorded",
    WhyLeftOut.FAILURE_NOT_RECORDED: (
        "the training is over and has made nothing: set the row to failed, as the product would, and start it again"
    ),
    WhyLeftOut.LATEST_NOT_KNOWN: "Replicate has not said which version is the latest",
    WhyLeftOut.TRAINING_NOT_KNOWN: (
        "which model is theirs is not known: their training is not, or names none; an audit with --trainings may tell"
    ),
    WhyLeftOut.TOO_OLD: "checked too long ago; run the audit again, or allow more with --max-age",
    WhyLeftOut.CHECKED_IN_FUTURE: "checked at a time in the future: set the clocks, then run the audit again",
    WhyLeftOut.WEIGHTS_ELSEWHERE: (
        "their weights lie in a place of the product's own, and what is there is never overwritten: put those of the "
        "version there; --version-only sets the version alone"
    ),
    WhyLeftOut.WEIGHTS_NOT_KNOWN: (
        "no training tells where the weights of the version lie; --version-only sets the version alone"
    ),
    WhyLeftOut.OWNER_NOT_RECORDED: (
        "the table has names of models without their owner, and theirs belongs to another one than the config file's"
    ),
    WhyLeftOut.WEIGHTS_GONE: "the URL from their training's output is the one that is gone: train again",
}
INCLUDABLE: Mapping[Reason, WhyLeftOut] = {
    Reason.UNKNOWN_VERSION: WhyLeftOut.UNKNOWN_VERSION,
    Reason.MALFORMED_VERSION: WhyLeftOut.MALFORMED_VERSION,
    Reason.TRAINING_NOT_RECORDED: WhyLeftOut.TRAINING_NOT_RECORDED,
    Reason.VERSION_LOST: WhyLeftOut.VERSION_LOST,
    Reason.TRAINER_RECORDED: WhyLeftOut.TRAINER_RECORDED,
}
"""Reasons that are left out unless they are included by name."""
_OF_WEIGHTS = frozenset({Reason.WRONG_WEIGHTS, Reason.WEIGHTS_GONE})
"""Reasons with which the version is right, and stays as it is."""
_BY_NOTE: Mapping[Note, WhyLeftOut] = {
    Note.SHARED_MODEL: WhyLeftOut.SHARED_MODEL,
    Note.RETRAINING_IN_PROGRESS: WhyLeftOut.RETRAINING_IN_PROGRESS,
    Note.OWNER_DIFFERS_FROM_ACCOUNT: WhyLeftOut.OWNER_DIFFERS_FROM_ACCOUNT,
    Note.RECORDED_MODEL_DIFFERS: WhyLeftOut.RECORDED_MODEL_DIFFERS,
}
"""In order of precedence."""
_NOTES_OF_CHANGES = frozenset(
    {
        Note.MISSING_WEIGHTS_URL,
        Note.GUESSED_WEIGHTS_URL,
        Note.WEIGHTS_URL_OF_ANOTHER_VERSION,
        Note.VERSION_MADE_BY_HAND,
    }
)


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What the options say of a plan."""

    include: frozenset[Reason] = frozenset()
    """Reasons that are left out unless they are named: whoever wrote these values may have meant something by them, or
    more of the row is changed than version and weights."""
    version_only: bool = False
    """Change the version also where its weights are not known, or the row's are kept elsewhere."""
    max_age: timedelta = MAX_AGE
    """Users who were checked longer ago are left out."""
    filters: Filters = Filters()  # noqa: RUF009 - frozen
    """Whom the plan is about, and how many rows it changes at most."""
    redact: bool = False
    moved_from: str | None = None
    """Where the database has been at the time of the run, HOST:PORT/DATABASE; null where it has not moved."""

    @property
    def options(self) -> tuple[str, ...]:
        """The options that mean the same plan, each word an argument."""
        named: list[tuple[str, ...]] = [("--include", reason.value) for reason in Reason if reason in self.include]
        if self.version_only:
            named.append(("--version-only",))
        named += [("--user", who) for who in self.filters.users]
        if self.max_age != MAX_AGE:
            named.append(("--max-age", str(int(self.max_age.total_seconds()))))
        if self.filters.limit:
            named.append(("--limit", str(self.filters.limit)))
        if self.moved_from:
            named.append(("--moved-from", self.moved_from))
        return tuple(chain.from_iterable(named))


class PlanRules(msgspec.Struct, frozen=True, kw_only=True):
    """What decides about every user of a plan alike."""

    settings: PlanSettings
    now: datetime
    missing_columns: frozenset[Column] = frozenset()
    version_form: VersionForm = "hash"
    """How versions are written, but for rows that have another form already."""
    weights_in_use: bool = False
    """Most completed rows have something in that column, so that a row without would be an exception."""
    completed_word: str = "completed"
    """What `training_status` says of a training that has completed."""
    order_by: OrderBy = "updated_at"
    """The date that makes a completed row the one that counts."""
    not_set: frozenset[Column] = frozenset()
    """What there is no column of its own for, so that nothing is set, or another one would be changed with it."""
    one_column: bool = False
    """Model and version stand in one column, as `owner/name:hash`."""
    only_owner: str | None = None
    """Whose models alone can be recorded, as the rows have names without owners; null where they have both."""


class _Target(NamedTuple):
    """The version that a row is to have."""

    model: str
    version: str
    training: Training | None
    """What made it, where that is known."""
    created_at: str | None


def plan_user(user: AuditedUser, checked_at: datetime, rules: PlanRules) -> RowChange | LeftOut | None:
    """What to do about the row of `user`, whose model was asked for at `checked_at`; None where no sync is needed."""
    record, finding = user.record, user.finding
    if finding.status is not Status.NEEDS_SYNC:
        return None
    target = _target(user)
    decision: RowChange | WhyLeftOut | None = _why_left_out(user, target, checked_at, rules)
    if decision is None:
        assert target is not None  # noqa: S101 - else the user is left out
        decision = _change(user, target, rules)
    if isinstance(decision, RowChange):
        return decision
    return LeftOut(
        user_id=record.user_id,
        email=record.email,
        model_row_id=record.model_row_id,
        reason=finding.reason,
        why=decision,
    )


def with_training(user: AuditedUser, training: Training) -> AuditedUser:
    """`user`, now that it is known which training has made the version that is to be recorded."""
    lineage = msgspec.structs.replace(user.finding.lineage or Lineage(), latest=training)
    finding = msgspec.structs.replace(user.finding, latest_version=training.version, lineage=lineage)
    return msgspec.structs.replace(user, finding=finding)


def _target(user: AuditedUser) -> _Target | None:
    """None where it is not known. Of a trainer in the model's place only the training knows the model."""
    finding = user.finding
    latest = finding.latest_version
    if latest is None:
        return None
    training = finding.lineage.latest if finding.lineage else None
    if training is not None and training.version != latest:
        training = None
    model = askable_model(training.model if training else None)
    if finding.reason is not Reason.TRAINER_RECORDED and not (finding.unfinished and model):
        model = askable_model(user.model_id)
    return _Target(model, latest, training, finding.latest_version_created_at) if model else None


def _why_left_out(
    user: AuditedUser, target: _Target | None, checked_at: datetime, rules: PlanRules
) -> WhyLeftOut | None:
    finding = user.finding
    own = target is None or model_key(target.model) == model_key(user.model_id)
    notes = (
        finding.notes
        if own and finding.reason is not Reason.TRAINER_RECORDED
        else set(finding.notes) - NOTES_OF_THE_MODEL
    )
    for note, why in _BY_NOTE.items():
        if note in notes:
            return why
    if finding.reason in INCLUDABLE and finding.reason not in rules.settings.include:
        return INCLUDABLE[finding.reason]
    if finding.reason is Reason.FAILURE_NOT_RECORDED:
        return WhyLeftOut.FAILURE_NOT_RECORDED
    if target is None:
        is_known = finding.latest_version is not None or finding.reason is Reason.TRAINER_RECORDED
        return WhyLeftOut.TRAINING_NOT_KNOWN if is_known else WhyLeftOut.LATEST_NOT_KNOWN
    age = rules.now - checked_at
    if age < -max(rules.settings.max_age, _CLOCKS):
        return WhyLeftOut.CHECKED_IN_FUTURE
    return WhyLeftOut.TOO_OLD if age > rules.settings.max_age else None


def _change(user: AuditedUser, target: _Target, rules: PlanRules) -> RowChange | WhyLeftOut:
    record, finding = user.record, user.finding
    weights = _weights(user, target, rules)
    if isinstance(weights, WhyLeftOut):
        return weights
    others = _others(user, target, rules)
    model = others.get(Column.MODEL_ID, (None, None))[1]
    if model is not None and rules.only_owner is not None and model.partition("/")[0] != rules.only_owner:
        return WhyLeftOut.OWNER_NOT_RECORDED
    keeps_version = finding.reason in _OF_WEIGHTS and record.replicate_version_id is not None
    return RowChange(
        user_id=record.user_id,
        email=record.email,
        model_row_id=record.model_row_id,
        replicate_model_id=target.model,
        reason=finding.reason,
        old_version=record.replicate_version_id,
        new_version=record.replicate_version_id or "" if keeps_version else _as_recorded(record, target, rules),
        latest_version=target.version,
        old_weights=record.lora_weights_url,
        new_weights=weights[1],
        weights=weights[0],
        old_updated_at=record.updated_at,
        notes=tuple(note for note in finding.notes if note in _NOTES_OF_CHANGES),
        old_others={column: old for column, (old, _) in others.items()},
        new_others={column: new for column, (_, new) in others.items()},
    )


def _others(user: AuditedUser, target: _Target, rules: PlanRules) -> dict[Column, tuple[str | None, str | None]]:
    """What else is set, by column: what it is, and what it is to be."""
    record, found = user.record, dict[Column, tuple[str | None, str | None]]()
    same = model_key(user.model_id) == model_key(target.model)
    if not (same or rules.one_column or training_as_model(record.replicate_model_id)):  # which is the row's own
        found[Column.MODEL_ID] = record.replicate_model_id, _as_owned(target.model, rules)
    if not record.unfinished:
        return found
    if Column.TRAINING_STATUS not in rules.not_set:
        found[Column.TRAINING_STATUS] = record.training_status, rules.completed_word
    completed_at = (target.training and target.training.completed_at) or target.created_at
    if completed_at is not None and Column.COMPLETED_AT not in rules.not_set:
        found[Column.COMPLETED_AT] = record.completed_at, completed_at
    updated_at = _date_to_count(user, completed_at, rules)
    if updated_at is not None and Column.UPDATED_AT not in rules.not_set:
        found[Column.UPDATED_AT] = record.updated_at, updated_at
    return found


def _as_owned(model: str, rules: PlanRules) -> str:
    """`model` as the audit will read it where the row has its name alone: the owner is the config file's."""
    owner, _, name = model.partition("/")
    return f"{rules.only_owner}/{name}" if model_key(owner) == model_key(rules.only_owner) else model


def _date_to_count(user: AuditedUser, completed_at: str | None, rules: PlanRules) -> str | None:
    """The `updated_at` without which the older row would still be the one that counts; None where none is needed.

    Products that write down that a training has ended date the row by that.
    """
    if user.counting is None or rules.order_by != "updated_at":
        return None
    first, last = parse_utc(user.counting.updated_at), parse_utc(user.record.updated_at)
    if first is None or (last is not None and last > first):
        return None
    ended = parse_utc(completed_at)
    return completed_at if ended is not None and ended > first else utc_text(rules.now)


def guards_of(record: ModelRecord, missing: Collection[Column]) -> dict[Column, str | None]:
    """What has to be in the row still for a decision on `record` to hold. Files of older versions do not say it all."""
    values: dict[Column, str | None] = {
        Column.USER_ID: record.row_user_id or record.user_id,
        Column.MODEL_ID: record.replicate_model_id,
        Column.VERSION_ID: record.replicate_version_id,
        Column.LORA_WEIGHTS_URL: record.lora_weights_url,
        Column.TRAINING_ID: record.training_id,
        Column.UPDATED_AT: record.updated_at,
        Column.COMPLETED_AT: record.completed_at,
        Column.CREATED_AT: record.created_at,
    }
    if record.unfinished:
        values[Column.STARTED_AT] = record.started_at
    if record.training_status is not None or record.unfinished:
        values[Column.TRAINING_STATUS] = record.training_status
    if record.is_test is not None:
        values[Column.IS_TEST] = "true" if record.is_test else "false"
    return {column: value for column, value in values.items() if column not in missing}


def _as_recorded(record: ModelRecord, target: _Target, rules: PlanRules) -> str:
    """The version in the form of the column: a product that runs what stands there runs it in that form.

    A row that has the model in front keeps it there, byte for byte, unless it gets another model.
    """
    recorded = record.replicate_version_id
    model, colon, _ = (recorded or "").strip(TRIMMED).rpartition(":")
    if recorded_hash(recorded) is None or not colon:
        colon = ":" if rules.version_form == "qualified" else ""
        model = target.model if colon else ""
    elif model_key(model) != model_key(target.model):
        model = target.model
    return f"{model}{colon}{target.version}"


def _weights(user: AuditedUser, target: _Target, rules: PlanRules) -> tuple[Weights, str | None] | WhyLeftOut:
    """What happens to the weights URL, and the URL after that. Never those of another version than the row gets."""
    recorded, version_only = user.record.lora_weights_url, rules.settings.version_only
    if Column.LORA_WEIGHTS_URL in rules.missing_columns:
        return "no_column", recorded
    weights_alone = user.finding.reason in _OF_WEIGHTS
    alone: tuple[Weights, str | None] | None = ("left_alone", recorded) if version_only and not weights_alone else None
    is_blank = not (recorded or "").strip(TRIMMED)
    reference = Reference.of(recorded)
    # Without a hash it may be a name on Hugging Face as well.
    if reference and (reference.version or reference.names(user.record.replicate_model_id)):
        model = reference.model if reference.names(target.model) else target.model
        return _set_to(reference.to(model, target.version), recorded, weights_alone=weights_alone)
    if not is_blank and not is_delivery_url(recorded):
        return alone or WhyLeftOut.WEIGHTS_ELSEWHERE
    training = target.training
    if training and is_url(training.weights):
        return _set_to(training.weights, recorded, weights_alone=weights_alone)
    if is_blank and not rules.weights_in_use:
        return "left_alone", recorded
    if training or Note.VERSION_MADE_BY_HAND in user.finding.notes:  # there is nobody else to ask
        return alone or WhyLeftOut.WEIGHTS_NOT_KNOWN
    return "to_be_looked_up", recorded


def _set_to(url: str | None, recorded: str | None, *, weights_alone: bool) -> tuple[Weights, str | None] | WhyLeftOut:
    if url != recorded:
        return "replaced", url
    return WhyLeftOut.WEIGHTS_GONE if weights_alone else ("same", recorded)


def looked_up(
    user: AuditedUser, change: RowChange, training: Training | None, rules: PlanRules
) -> RowChange | WhyLeftOut:
    """`change` of `user`, whose weights were to be looked up, once that is done: null where no training is found."""
    if training is not None:
        known = with_training(user, training)
        target = _target(known)
        return WhyLeftOut.WEIGHTS_NOT_KNOWN if target is None else _change(known, target, rules)
    if change.reason in _OF_WEIGHTS or not rules.settings.version_only:
        return WhyLeftOut.WEIGHTS_NOT_KNOWN
    return msgspec.structs.replace(change, weights="left_alone")
