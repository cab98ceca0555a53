"""The plan of a repair: who is changed and how, who is left out and why. Asks and writes nothing.

`plan_user` is the rule for one user, pure and total; `Plan` is what it makes of a run file.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import Literal, NamedTuple, TypeVar, get_args

import msgspec

from audit.errors import SettingsError
from audit.findings.classify import NOTES_OF_THE_MODEL
from audit.model.codes import Note, OrderBy, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.ids import askable_model, askable_training, model_key, recorded_hash, training_as_model
from audit.model.references import Reference, is_url
from audit.model.repair import ChangeState, LeftOut, RowChange, RowUpdate, Weights, WhyLeftOut, in_order, update_for
from audit.model.replies import Lineage, Training
from audit.model.run import Filters
from audit.model.tables import COLUMNS, Column, VersionForm
from audit.model.times import parse_utc, utc_text
from audit.model.users import TRIMMED, ModelRecord, Population
from audit.model.weights import is_delivery_url
from audit.model.who import names_user
from audit.postgres.columns import kept_columns
from audit.postgres.writing import names_alone, one_column_for_both, writing_of
from audit.report.redaction import redacted_change, redacted_left_out
from audit.runfile import RunFile

_T = TypeVar("_T")
SAMPLE = 10
"""How many of each kind are kept to be shown."""
MAX_AGE = timedelta(hours=1)
_CLOCKS = timedelta(minutes=1)
"""Clocks of two machines that differ by less are right."""
WHY_LEFT_OUT: Mapping[WhyLeftOut, str] = {
    WhyLeftOut.SHARED_MODEL: "other users have the same model, and its latest version may show one of them",
    WhyLeftOut.RETRAINING_IN_PROGRESS: "a newer training is on its way; audit again when it has ended",
    WhyLeftOut.OWNER_DIFFERS_FROM_ACCOUNT: "the model belongs to another account than the token",
    WhyLeftOut.RECORDED_MODEL_DIFFERS: "the recorded version names another model than the row",
    WhyLeftOut.UNKNOWN_VERSION: "the model has no such version; --include unknown_version takes them in",
    WhyLeftOut.MALFORMED_VERSION: "what is recorded is no version; --include malformed_version takes them in",
    WhyLeftOut.TRAINING_NOT_RECORDED: (
        "the row would become a completed one; --include training_not_recorded takes them in"
    ),
    WhyLeftOut.VERSION_LOST: "the row would become a completed one; --include version_lost takes them in",
    WhyLeftOut.TRAINER_RECORDED: "the row would get another model; --include trainer_recorded takes them in",
    WhyLeftOut.FAILURE_NOT_RECORDED: (
        "the training is over and has made nothing: set the row to failed, as the product would, and start it again"
    ),
    WhyLeftOut.LATEST_NOT_KNOWN: "Replicate has not said which version is the latest",
    WhyLeftOut.TRAINING_NOT_KNOWN: (
        "which model is theirs is not known: their training is not, or names none; an audit with --trainings may tell"
    ),
    WhyLeftOut.TOO_OLD: "checked too long ago; audit again, or allow more with --max-age",
    WhyLeftOut.CHECKED_IN_FUTURE: "checked at a time that is yet to come: set the clocks, then audit again",
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
    WhyLeftOut.WEIGHTS_GONE: "the URL that their training has put out is the one that is gone: train again",
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
_OTHER_DATES = {
    Column.COMPLETED_AT: (Column.CREATED_AT,),
    Column.UPDATED_AT: (Column.CREATED_AT, Column.COMPLETED_AT),
}
"""Dates that a repair may set, and those that it must not change by that."""
_PLANNED = (Status.NEEDS_SYNC, Status.ERROR, Status.NOT_CHECKED)
"""Whoever may need one: of a newer row that could not be judged, the completed one may be known to be wrong."""
_IS_OVER = frozenset({Reason.TRAINING_NOT_FOUND})
"""Errors with which a newer row's training is not in progress, as Replicate knows of none."""
_OVER = (
    "model_row_id",
    "training_status",
    "training_id",
    "replicate_model_id",
    "replicate_version_id",
    "created_at",
    "updated_at",
    "completed_at",
    "started_at",
)
"""What of a newer row has to stay as it is for its training to be over still."""


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


class NotPlanned(StrEnum):
    """Why a user who needs a sync, or did when the run was made, is neither changed nor left out."""

    DONE_ALREADY = "done_already"
    BEGUN = "begun"
    """By an earlier `--apply`, which did not learn whether it was done; the next one looks."""
    BEYOND_LIMIT = "beyond_limit"


class Planned(NamedTuple):
    """What comes of one row of a user."""

    user: AuditedUser
    """The row, and what was found of it."""
    outcome: RowChange | LeftOut | NotPlanned
    over: ModelRecord | None = None
    """The newer row whose training is over, where this is about the completed one and there is a newer one."""


class PlannedChange(NamedTuple):
    """A change to be made, and what it rests on."""

    change: RowChange
    user: AuditedUser
    guards: dict[Column, str | None]
    over: dict[str, str | None] | None

    def update(self, touch: str | None = None) -> RowUpdate:
        """The UPDATE that makes it; see `update_for`."""
        return update_for(self.change, self.guards, touch, self.over)


class Plan:
    """The plan for a run file. Every call works it out anew, and gives the same until the journal changes."""

    def __init__(self, run_file: RunFile, settings: PlanSettings, now: datetime) -> None:
        """Raises SettingsError where a `--user` means nobody of the run."""
        self.info = run_file.info
        self.now = now
        self.redacted = self.info.redacted or settings.redact
        self.settings = settings
        self._run_file = run_file
        self._filters = settings.filters
        self.journal = run_file.journal if run_file.journal.exists else None
        """Null in a file of the first schema, until it is locked."""
        self._knows_trainings = False
        self._check_users()

    @cached_property
    def rules(self) -> PlanRules:
        """What decides about everybody; the run says in which form and words its rows are."""
        tables, population = self.info.tables, self._run_file.population
        words = population.training_status if population else {}
        there = tables.user_models.there or COLUMNS["user_models"]
        one_column = one_column_for_both(there)
        return PlanRules(
            settings=self.settings,
            now=self.now,
            missing_columns=frozenset(self.info.missing_columns),
            version_form="qualified" if one_column else tables.version_form or _usual_form(self._run_file, population),
            weights_in_use=bool(population and population.weights_are_usual),
            completed_word=max(tables.completed, key=lambda word: words.get(word, 0)),  # the first one of equals
            order_by=self.info.order_by,
            not_set=self._not_set(),
            one_column=one_column,
            only_owner=tables.owner or "" if names_alone(tables, there) else None,
        )

    def _not_set(self) -> frozenset[Column]:
        """What there is no column of its own for."""
        info, models = self.info, self.info.tables.user_models
        shared = {
            column for column, others in _OTHER_DATES.items() if models.called(column) in map(models.called, others)
        }
        if info.columns is None:  # an older version has made the run
            return frozenset(shared)
        _, columns = kept_columns(info.tables, info.columns)
        writing = writing_of(columns, info.columns.written)
        lacking = {column for column in _OTHER_DATES if column not in writing.slots}
        return frozenset(shared | lacking | ({Column.TRAINING_STATUS} - columns.keys()))

    def outcomes(self) -> Iterator[Planned]:
        """Everybody whom the plan is about and who needs a sync, in report order.

        Of a user whose newer row is not repaired the completed row is planned as it would be alone.
        """
        began = parse_utc(self.info.started_at) or datetime.min.replace(tzinfo=UTC)
        changes = 0
        self._knows_trainings = bool(self.journal and self._run_file.trainings.count())
        for user, checked_at in chain.from_iterable(map(self._run_file.checked_users, _PLANNED)):
            if not self._is_wanted(user):
                continue
            when = began if checked_at is None else datetime.fromtimestamp(checked_at, UTC)
            for planned in self._outcomes(user, when):
                limited = planned
                if isinstance(planned.outcome, RowChange):
                    if changes == self._filters.limit:
                        limited = planned._replace(outcome=NotPlanned.BEYOND_LIMIT)
                    changes += limited is planned
                yield limited

    def _outcomes(self, user: AuditedUser, checked_at: datetime) -> Iterator[Planned]:
        """Of the row that the finding is about, and of the completed one where that one is left as it is."""
        finding, outcome = user.finding, None
        if finding.status is Status.NEEDS_SYNC:
            outcome = self._outcome(user, checked_at)
        if outcome is not None:
            is_over = Note.RETRAINING_IN_PROGRESS not in finding.notes  # whatever the newer row says
            yield Planned(user, outcome, user.record.newer if is_over else None)
        if finding.also is None or user.counting is None or not (outcome is None or isinstance(outcome, LeftOut)):
            return
        also, is_over = finding.also, finding.status is Status.NEEDS_SYNC or finding.reason in _IS_OVER
        if is_over:
            notes = tuple(note for note in also.notes if note is not Note.RETRAINING_IN_PROGRESS)
            also = msgspec.structs.replace(also, notes=notes)
        completed = AuditedUser(user.counting, also)
        outcome = self._outcome(completed, checked_at)
        if outcome is not None:
            yield Planned(completed, outcome, user.record if is_over else None)

    def _outcome(self, user: AuditedUser, checked_at: datetime) -> RowChange | LeftOut | NotPlanned | None:
        entry = self.journal.entry(user.record.model_row_id) if self.journal else None
        if entry and entry.state is ChangeState.DONE:
            return NotPlanned.DONE_ALREADY
        if entry and entry.state is ChangeState.BEGUN:
            return NotPlanned.BEGUN
        outcome = plan_user(user, checked_at, self.rules)
        training = self._known_training(user, outcome) if self._knows_trainings else None
        return outcome if training is None else plan_user(with_training(user, training), checked_at, self.rules)

    def _known_training(self, user: AuditedUser, outcome: RowChange | LeftOut | None) -> Training | None:
        """The training that `outcome` lacks, where the run file has it: an earlier `--apply` may have looked it up."""
        if isinstance(outcome, RowChange) and outcome.weights == "to_be_looked_up":
            return self._run_file.trainings.made(outcome.latest_version)
        named = askable_training(user.record.training_id)
        if isinstance(outcome, LeftOut) and outcome.why is WhyLeftOut.TRAINING_NOT_KNOWN and named:
            training = self._run_file.trainings.by_id(named)
            return training if training and training.succeeded else None
        return None

    def planned_changes(self) -> Iterator[PlannedChange]:
        """The changes to be made, in report order. Weights that are to be looked up are not known yet."""
        missing = frozenset(self.info.missing_columns)
        for user, outcome, over in self.outcomes():
            if isinstance(outcome, RowChange):
                still = None if over is None else {name: getattr(over, name) for name in _OVER}
                yield PlannedChange(outcome, user, guards_of(user.record, missing), still)

    def changes(self) -> Iterator[RowChange]:
        """The same without what they rest on."""
        return (planned.change for planned in self.planned_changes())

    def shown(self) -> Iterator[RowChange | LeftOut | NotPlanned]:
        """As `outcomes`, masked if the run is redacted or `--redact` was given."""
        return (outcome for _, outcome in self.shown_users())

    def shown_users(self) -> Iterator[tuple[AuditedUser, RowChange | LeftOut | NotPlanned]]:
        """The same with whose each is, who is not masked."""
        for user, outcome, _ in self.outcomes():
            if self.redacted and isinstance(outcome, RowChange):
                yield user, redacted_change(outcome, user)
            elif self.redacted and isinstance(outcome, LeftOut):
                yield user, redacted_left_out(outcome, user)
            else:
                yield user, outcome

    def updates(self) -> Iterator[tuple[AuditedUser, RowUpdate]]:
        """The UPDATEs that need nobody to be asked, in report order: those for psql."""
        for planned in self.planned_changes():
            change = self.unasked(planned.user, planned.change)
            if change is not None:
                yield planned.user, planned._replace(change=change).update()

    def unasked(self, user: AuditedUser, change: RowChange) -> RowChange | None:
        """What of `change` can be made without asking for the weights: none of it, unless the version alone will do."""
        if change.weights != "to_be_looked_up":
            return change
        alone = looked_up(user, change, None, self.rules)
        return alone if isinstance(alone, RowChange) else None

    def _is_wanted(self, user: AuditedUser) -> bool:
        return not self._filters.users or any(names_user(who, user.record) for who in self._filters.users)

    def _check_users(self) -> None:
        missing = list(self._filters.users)
        for user in self._run_file.users() if missing else ():
            missing = [who for who in missing if not names_user(who, user.record)]
        if missing:
            raise SettingsError(
                f"--user {missing[0]!r} matches no user of this run",
                "It takes an e-mail address, a user id, or a part of the model id.",
            )


def _usual_form(run_file: RunFile, population: Population | None) -> VersionForm:
    """That of most rows that are up to date; where none is, that of most completed ones."""
    recorded, qualified = run_file.count_versions()
    if not recorded and population:
        recorded, qualified = population.completed_with_version, population.completed_qualified
    return "qualified" if qualified * 2 > recorded else "hash"


Group = Weights | Literal["completed", "model", "weights"]
"""What a plan is shown by: what happens to the weights URL beside the version; or that the row becomes a completed one,
that it gets another model, that its weights URL alone is set."""


def group_of(change: RowChange) -> Group:
    """The group that `change` is shown in."""
    if change.completes:
        return "completed"
    if change.new_others or change.reason is Reason.TRAINER_RECORDED:
        return "model"
    return change.weights if change.new_version != change.old_version else "weights"


class PlanSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of a plan, for JSON."""

    needs_sync: int
    """The sum of the next five."""
    changes: int
    left_out: int
    done_already: int
    """Changed by an earlier `--apply`."""
    begun: int
    """By an earlier `--apply`, which did not learn whether they were changed."""
    beyond_limit: int
    weights: dict[str, int]
    """Of the changes, what happens to the weights URL."""
    why_left_out: dict[str, int]


@dataclass(slots=True)
class PlanCounts:
    """A plan, counted."""

    not_planned: Counter[NotPlanned] = field(default_factory=Counter)
    weights: Counter[Weights] = field(default_factory=Counter)
    why: Counter[WhyLeftOut] = field(default_factory=Counter)
    may_be_set: set[Column] = field(default_factory=set)
    """Columns that the changes set, or may come to set."""
    kinds: Counter[tuple[Column, ...]] = field(default_factory=Counter)
    """Of the changes that need nobody to be asked, by the columns that they set."""
    groups: Counter[Group] = field(default_factory=Counter)
    notes: Counter[Note] = field(default_factory=Counter)
    """Of those changes that leave the weights URL alone."""
    changes: dict[Group, list[RowChange]] = field(default_factory=dict)
    """The first `SAMPLE` of each kind."""
    left_out: dict[WhyLeftOut, list[LeftOut]] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> "PlanCounts":
        """Those of `plan`, masked where it is."""
        counts = cls()
        for user, outcome in plan.shown_users():
            if isinstance(outcome, RowChange):
                group, unasked = group_of(outcome), plan.unasked(user, outcome)
                counts.weights[outcome.weights] += 1
                counts.groups[group] += 1
                counts.may_be_set.update(outcome.old)
                counts.kinds.update([in_order(unasked.new)] if unasked else [])
                counts.notes.update(outcome.notes if outcome.weights == "left_alone" else ())
                _add_to_sample(counts.changes.setdefault(group, []), outcome)
            elif isinstance(outcome, LeftOut):
                counts.why[outcome.why] += 1
                _add_to_sample(counts.left_out.setdefault(outcome.why, []), outcome)
            else:
                counts.not_planned[outcome] += 1
        return counts

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns that the changes set, or may come to set, in the order of `SETTABLE`."""
        return in_order(self.may_be_set)

    @property
    def summary(self) -> PlanSummary:
        """The counts for JSON and for the first lines on the screen."""
        changes, left_out = self.weights.total(), self.why.total()
        return PlanSummary(
            needs_sync=changes + left_out + self.not_planned.total(),
            changes=changes,
            left_out=left_out,
            done_already=self.not_planned[NotPlanned.DONE_ALREADY],
            begun=self.not_planned[NotPlanned.BEGUN],
            beyond_limit=self.not_planned[NotPlanned.BEYOND_LIMIT],
            weights={kind: self.weights[kind] for kind in get_args(Weights) if self.weights[kind]},
            why_left_out={each.value: self.why[each] for each in WhyLeftOut if self.why[each]},
        )


def _add_to_sample(sample: list[_T], each: _T) -> None:
    if len(sample) < SAMPLE:
        sample.append(each)
