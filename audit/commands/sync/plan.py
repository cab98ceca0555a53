"""The plan of a repair: who is changed and how, who is left out and why. Asks and writes nothing.

`plan_user` is the rule for one user, pure and total; `Plan` is what it makes of a run file.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import TypeVar, get_args

import msgspec

from audit.errors import SettingsError
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.ids import recorded_hash
from audit.model.repair import ChangeState, LeftOut, RowChange, RowUpdate, Weights, WhyLeftOut, columns_set, update_for
from audit.model.run import Filters
from audit.model.tables import Column
from audit.model.times import parse_utc
from audit.model.users import TRIMMED, ModelRecord
from audit.model.who import names_user
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
    WhyLeftOut.LATEST_NOT_KNOWN: "Replicate has not said which version is the latest",
    WhyLeftOut.TOO_OLD: "checked too long ago; audit again, or allow more with --max-age",
    WhyLeftOut.CHECKED_IN_FUTURE: "checked at a time that is yet to come: set the clocks, then audit again",
}
_UNLESS_INCLUDED: Mapping[Reason, WhyLeftOut] = {
    Reason.UNKNOWN_VERSION: WhyLeftOut.UNKNOWN_VERSION,
    Reason.MALFORMED_VERSION: WhyLeftOut.MALFORMED_VERSION,
}
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
_URL = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What the options say of a plan."""

    include: frozenset[Reason] = frozenset()
    """Reasons that are left out unless they are named: whoever wrote these values may have meant something by them."""
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
        named = [("--include", reason.value) for reason in Reason if reason in self.include]
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


def plan_user(user: AuditedUser, checked_at: datetime, rules: PlanRules) -> RowChange | LeftOut | None:
    """What to do about `user`, whose model was asked for at `checked_at`; None where no sync is needed."""
    record, finding = user.record, user.finding
    if finding.status is not Status.NEEDS_SYNC:
        return None
    why = _why_left_out(user, checked_at, rules)
    if why is not None:
        return LeftOut(
            user_id=record.user_id,
            email=record.email,
            model_row_id=record.model_row_id,
            reason=finding.reason,
            why=why,
        )
    latest = finding.latest_version
    assert latest is not None  # noqa: S101 - else the user is left out
    weights, url = _weights(user, rules)
    return RowChange(
        user_id=record.user_id,
        email=record.email,
        model_row_id=record.model_row_id,
        replicate_model_id=record.replicate_model_id or "",
        reason=finding.reason,
        old_version=record.replicate_version_id,
        new_version=_as_recorded(record.replicate_version_id, latest),
        latest_version=latest,
        old_weights=record.lora_weights_url,
        new_weights=url,
        weights=weights,
        old_updated_at=record.updated_at,
        notes=tuple(note for note in finding.notes if note in _NOTES_OF_CHANGES),
    )


def _why_left_out(user: AuditedUser, checked_at: datetime, rules: PlanRules) -> WhyLeftOut | None:
    finding = user.finding
    for note, why in _BY_NOTE.items():
        if note in finding.notes:
            return why
    if finding.reason in _UNLESS_INCLUDED and finding.reason not in rules.settings.include:
        return _UNLESS_INCLUDED[finding.reason]
    if finding.latest_version is None:
        return WhyLeftOut.LATEST_NOT_KNOWN
    age = rules.now - checked_at
    if age < -max(rules.settings.max_age, _CLOCKS):
        return WhyLeftOut.CHECKED_IN_FUTURE
    return WhyLeftOut.TOO_OLD if age > rules.settings.max_age else None


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
    if record.training_status is not None:
        values[Column.TRAINING_STATUS] = record.training_status
    if record.is_test is not None:
        values[Column.IS_TEST] = "true" if record.is_test else "false"
    return {column: value for column, value in values.items() if column not in missing}


def _as_recorded(recorded: str | None, latest: str) -> str:
    """`latest`, with the model in front where the recorded version has it: such products run it in that form."""
    if recorded_hash(recorded) is None:
        return latest
    model, colon, _ = (recorded or "").strip(TRIMMED).rpartition(":")
    return f"{model}{colon}{latest}"


def _weights(user: AuditedUser, rules: PlanRules) -> tuple[Weights, str | None]:
    """What happens to the weights URL, and the URL after that. What is no URL is never written into a row."""
    recorded = user.record.lora_weights_url
    if Column.LORA_WEIGHTS_URL in rules.missing_columns:
        return "no_column", recorded
    latest = user.finding.lineage.latest if user.finding.lineage else None
    url = latest.weights if latest else None
    if url is None or not url.isprintable() or not _URL.fullmatch(url):
        return "left_alone", recorded
    return ("same" if url == recorded else "replaced"), url


class NotPlanned(StrEnum):
    """Why a user who needs a sync, or did when the run was made, is neither changed nor left out."""

    DONE_ALREADY = "done_already"
    BEGUN = "begun"
    """By an earlier `--apply`, which did not learn whether it was done; the next one looks."""
    BEYOND_LIMIT = "beyond_limit"


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
        self._rules = PlanRules(settings=settings, now=now, missing_columns=frozenset(self.info.missing_columns))
        self._check_users()

    def outcomes(self) -> Iterator[tuple[AuditedUser, RowChange | LeftOut | NotPlanned]]:
        """Everybody whom the plan is about and who needs a sync, in report order."""
        began = parse_utc(self.info.started_at) or datetime.min.replace(tzinfo=UTC)
        limit, changes = self._filters.limit, 0
        for user, checked_at in self._run_file.checked_users(Status.NEEDS_SYNC):
            if not self._is_wanted(user):
                continue
            when = began if checked_at is None else datetime.fromtimestamp(checked_at, UTC)
            outcome: RowChange | LeftOut | NotPlanned | None = plan_user(user, when, self._rules)
            state = self._state(user)
            if state is ChangeState.DONE:
                outcome = NotPlanned.DONE_ALREADY
            elif state is ChangeState.BEGUN:
                outcome = NotPlanned.BEGUN
            elif isinstance(outcome, RowChange):
                outcome = NotPlanned.BEYOND_LIMIT if changes == limit else outcome
                changes += isinstance(outcome, RowChange)
            if outcome is not None:
                yield user, outcome

    def changes(self) -> Iterator[RowChange]:
        """The changes to be made, in report order."""
        return (outcome for _, outcome in self.outcomes() if isinstance(outcome, RowChange))

    def shown(self) -> Iterator[RowChange | LeftOut | NotPlanned]:
        """As `outcomes`, masked if the run is redacted or `--redact` was given."""
        for user, outcome in self.outcomes():
            if self.redacted and isinstance(outcome, RowChange):
                yield redacted_change(outcome, user)
            elif self.redacted and isinstance(outcome, LeftOut):
                yield redacted_left_out(outcome, user)
            else:
                yield outcome

    def updates(self, touch: str | None = None) -> Iterator[tuple[RowChange, RowUpdate]]:
        """The changes to be made, in report order, and the UPDATE that makes each; see `update_for`."""
        missing = frozenset(self.info.missing_columns)
        for user, outcome in self.outcomes():
            if isinstance(outcome, RowChange):
                yield outcome, update_for(outcome, guards_of(user.record, missing), touch)

    def _state(self, user: AuditedUser) -> ChangeState | None:
        entry = self.journal.entry(user.record.model_row_id) if self.journal else None
        return entry.state if entry else None

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
    notes: Counter[Note] = field(default_factory=Counter)
    """Of those changes that leave the weights URL alone."""
    changes: dict[Weights, list[RowChange]] = field(default_factory=dict)
    """The first `SAMPLE` of each kind."""
    left_out: dict[WhyLeftOut, list[LeftOut]] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> "PlanCounts":
        """Those of `plan`, masked where it is."""
        counts = cls()
        for outcome in plan.shown():
            if isinstance(outcome, RowChange):
                counts.weights[outcome.weights] += 1
                counts.notes.update(outcome.notes if outcome.weights == "left_alone" else ())
                _add_to_sample(counts.changes.setdefault(outcome.weights, []), outcome)
            elif isinstance(outcome, LeftOut):
                counts.why[outcome.why] += 1
                _add_to_sample(counts.left_out.setdefault(outcome.why, []), outcome)
            else:
                counts.not_planned[outcome] += 1
        return counts

    @property
    def kinds(self) -> set[tuple[Column, ...]]:
        """The columns that its changes set."""
        return {columns_set(weights) for weights in self.weights}

    @property
    def columns(self) -> tuple[Column, ...]:
        """All of these."""
        return max(self.kinds, key=len, default=())

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
