"""The plan of a repair: what `rules` make of the users of a run file. Asks and writes nothing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import Literal, NamedTuple, Protocol, TypeVar, get_args

import msgspec

from audit.errors import SettingsError
from audit.findings.redaction import redacted_change, redacted_left_out
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.ids import askable_training
from audit.model.repair import ChangeState, LeftOut, RowChange, RowUpdate, Weights, WhyLeftOut, in_order, update_for
from audit.model.replies import Training
from audit.model.run import RunInfo
from audit.model.tables import COLUMNS, Column, VersionForm
from audit.model.times import at_epoch, parse_utc
from audit.model.users import ModelRecord, Population
from audit.model.who import names_exactly, names_user
from audit.postgres.columns import kept_columns
from audit.postgres.writing import names_alone, one_column_for_both, writing_of
from audit.repair.rules import PlanRules, PlanSettings, guards_of, looked_up, plan_user, with_training
from audit.runfile.journal import JournalEntry

_T = TypeVar("_T")
SAMPLE = 10
"""How many of each kind are kept to be shown."""
_OTHER_DATES = {
    Column.COMPLETED_AT: (Column.CREATED_AT,),
    Column.UPDATED_AT: (Column.CREATED_AT, Column.COMPLETED_AT),
}
"""Dates that a repair may set, and those that it must not change by that."""
PLANNED = (Status.NEEDS_SYNC, Status.ERROR, Status.NOT_CHECKED)
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


class JournalReader(Protocol):
    """What a plan needs of the journal of earlier repairs."""

    @property
    def exists(self) -> bool:
        """False in a file of the first schema, until it is locked."""

    def entry(self, model_row_id: str) -> JournalEntry | None:
        """The change of that row; None where there is none."""

    def entries(self, state: ChangeState | None = None) -> Iterator[JournalEntry]:
        """All changes that have come so far, or all."""


class TrainingsReader(Protocol):
    """What a plan needs of the trainings that were read or looked up."""

    def count(self) -> int:
        """How many there are."""

    def made(self, version: str) -> Training | None:
        """The one that put out `version`."""

    def by_id(self, training_id: str) -> Training | None:
        """The one of that id."""


class PlanSource(Protocol):
    """What a plan needs of a run file."""

    @property
    def info(self) -> RunInfo:
        """The run itself."""

    @property
    def population(self) -> Population | None:
        """Who is in the database; None where the run ended before it was counted."""

    @property
    def journal(self) -> JournalReader:
        """What earlier repairs did."""

    @property
    def trainings(self) -> TrainingsReader:
        """Trainings that are known."""

    def count_versions(self) -> tuple[int, int]:
        """Of the users who are up to date, how many have a version, and how many of these with its model in front."""

    def checked_users(self, status: Status) -> Iterator[tuple[AuditedUser, int | None]]:
        """The users of `status` in report order, and when each was checked, in seconds since 1970 if that is known."""

    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        """The users in report order: `Status`, then e-mail with null last, then user id. May be called often."""


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

    def __init__(self, run_file: PlanSource, settings: PlanSettings, now: datetime) -> None:
        """Raises SettingsError where a `--user` means nobody of the run."""
        self.info = run_file.info
        self.now = now
        self.redacted = self.info.redacted or settings.redact
        self.settings = settings
        self._run_file = run_file
        self._filters = settings.filters
        self.journal = run_file.journal if run_file.journal.exists else None
        """Null in a file of the first schema, until it is locked."""
        self._began = parse_utc(self.info.started_at) or datetime.min.replace(tzinfo=UTC)
        self._exact = set[str]()
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

    @cached_property
    def _knows_trainings(self) -> bool:
        return bool(self.journal and self._run_file.trainings.count())

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
        changes = 0
        for user, checked_at in chain.from_iterable(map(self._run_file.checked_users, PLANNED)):
            if not self._is_wanted(user):
                continue
            for planned in self.outcomes_of(user, checked_at):
                limited = planned
                if isinstance(planned.outcome, RowChange):
                    if changes == self._filters.limit:
                        limited = planned._replace(outcome=NotPlanned.BEYOND_LIMIT)
                    changes += limited is planned
                yield limited

    def outcomes_of(self, user: AuditedUser, checked_at: int | None) -> Iterator[Planned]:
        """What comes of one user, who was checked at `checked_at`, whatever `--user` and `--limit` say."""
        when = self._began if checked_at is None else at_epoch(checked_at) or self._began
        yield from self._outcomes(user, when)

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
        return not self._filters.users or any(
            names_exactly(who, user.record) if who in self._exact else names_user(who, user.record)
            for who in self._filters.users
        )

    def _check_users(self) -> None:
        """Learn which of them are somebody's id or e-mail: those name nobody else, whose model may have a 7 in it."""
        missing = list(self._filters.users)
        for user in self._run_file.users() if missing else ():
            missing = [who for who in missing if not names_user(who, user.record)]
            self._exact |= {who for who in self._filters.users if names_exactly(who, user.record)}
        if missing:
            raise SettingsError(
                f"--user {missing[0]!r} matches no user of this run",
                "It takes an e-mail address, a user id, or a part of the model id.",
            )


def _usual_form(run_file: PlanSource, population: Population | None) -> VersionForm:
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
