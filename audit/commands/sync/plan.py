"""The plan of a repair, worked out from a run file: who is changed, who is not, how many. Asks and writes nothing."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import TypeVar, get_args

from audit.commands.sync.plan_json import PlanSummary
from audit.commands.sync.rules import Terms, planned
from audit.errors import SettingsError
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.repair import ChangeState, LeftOut, RowChange, RowUpdate, Weights, WhyLeftOut, undo_for
from audit.model.run import Filters
from audit.model.times import parse_utc
from audit.model.who import names_user
from audit.report.redaction import redacted_change, redacted_left_out
from audit.runfile import JournalEntry, RunFile

_T = TypeVar("_T")
SAMPLE = 10
"""So many of each kind are kept to be shown."""


MAX_AGE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Settings of a plan."""

    include: frozenset[Reason] = frozenset()
    """Reasons that are left out unless they are named: whoever wrote these values may have meant something by them."""
    max_age: timedelta = MAX_AGE
    """Older findings are left out."""
    filters: Filters = Filters()  # noqa: RUF009 - frozen
    """Whom the plan is about, and how many rows it changes at most."""
    redact: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """What to write behind the command to mean the same users, as one argument each."""
        named = [("--include", reason.value) for reason in Reason if reason in self.include]
        named += [("--user", who) for who in self.filters.users]
        if self.max_age != MAX_AGE:
            named.append(("--max-age", str(int(self.max_age.total_seconds()))))
        if self.filters.limit:
            named.append(("--limit", str(self.filters.limit)))
        return tuple(chain.from_iterable(named))


class Rest(StrEnum):
    """Who needs a sync, or did when the run was made, and is in no plan."""

    DONE_ALREADY = "done_already"
    BEYOND_LIMIT = "beyond_limit"


class Plan:
    """What is to be changed, worked out anew from the run file at each call, and the same until something is done."""

    def __init__(self, run_file: RunFile, settings: PlanSettings, now: datetime) -> None:
        """Raises SettingsError where a `--user` means nobody of the run."""
        self.info = run_file.info
        self.now = now
        self.redacted = self.info.redacted or settings.redact
        self.settings = settings
        self._ledger = run_file
        self._filters = settings.filters
        self._journal = run_file.journal if run_file.journal.exists else None
        self._terms = Terms(
            now=now,
            max_age=settings.max_age,
            include=settings.include,
            missing_columns=frozenset(self.info.missing_columns),
        )
        self._check_users()

    def outcomes(self) -> Iterator[tuple[AuditedUser, RowChange | LeftOut | Rest]]:
        """Everybody whom the plan is about and who needs a sync, in report order."""
        began = parse_utc(self.info.started_at) or datetime.min.replace(tzinfo=UTC)
        limit, changes = self._filters.limit, 0
        for user, checked_at in self._ledger.checked_users(Status.NEEDS_SYNC):
            if not self._is_meant(user):
                continue
            when = began if checked_at is None else datetime.fromtimestamp(checked_at, UTC)
            outcome: RowChange | LeftOut | Rest | None = planned(user, when, self._terms)
            if self._is_done(user):
                outcome = Rest.DONE_ALREADY
            elif isinstance(outcome, RowChange):
                outcome = Rest.BEYOND_LIMIT if changes == limit else outcome
                changes += isinstance(outcome, RowChange)
            if outcome is not None:
                yield user, outcome

    def changes(self) -> Iterator[RowChange]:
        """Those to be made."""
        return (outcome for _, outcome in self.outcomes() if isinstance(outcome, RowChange))

    def shown(self) -> Iterator[RowChange | LeftOut | Rest]:
        """As `outcomes`, masked where that is wanted."""
        for user, outcome in self.outcomes():
            if self.redacted and isinstance(outcome, RowChange):
                yield redacted_change(outcome, user)
            elif self.redacted and isinstance(outcome, LeftOut):
                yield redacted_left_out(outcome, user)
            else:
                yield outcome

    def undo(self) -> Iterator[RowUpdate]:
        """What takes back all that has been done, may have been done, and would be done."""
        begun = set[str]()
        for entry in self._entries(ChangeState.DONE, ChangeState.BEGUN):
            if entry.state is ChangeState.BEGUN:  # few: those of a batch
                begun.add(entry.change.model_row_id)
            yield undo_for(entry.change, entry.outcome if entry.state is ChangeState.DONE else None)
        for change in self.changes():
            if change.model_row_id not in begun:
                yield undo_for(change, None)

    def _entries(self, *states: ChangeState) -> Iterable[JournalEntry]:
        return chain.from_iterable(self._journal.entries(state) for state in states) if self._journal else ()

    def _is_done(self, user: AuditedUser) -> bool:
        entry = self._journal.entry(user.record.model_row_id) if self._journal else None
        return entry is not None and entry.state is ChangeState.DONE

    def _is_meant(self, user: AuditedUser) -> bool:
        return not self._filters.users or any(names_user(who, user.record) for who in self._filters.users)

    def _check_users(self) -> None:
        missing = list(self._filters.users)
        for user in self._ledger.users() if missing else ():
            missing = [who for who in missing if not names_user(who, user.record)]
        if missing:
            raise SettingsError(
                f"--user {missing[0]!r} matches no user of this run",
                "It takes an e-mail address, a user id, or a part of the model id.",
            )


@dataclass(slots=True)
class Tally:
    """A plan, counted."""

    rest: Counter[Rest] = field(default_factory=Counter)
    weights: Counter[Weights] = field(default_factory=Counter)
    why: Counter[WhyLeftOut] = field(default_factory=Counter)
    notes: Counter[Note] = field(default_factory=Counter)
    """Of those changes that leave the weights URL alone."""
    changes: dict[Weights, list[RowChange]] = field(default_factory=dict)
    """The first `SAMPLE` of each kind."""
    left_out: dict[WhyLeftOut, list[LeftOut]] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> "Tally":
        """Count all of `plan`."""
        tally = cls()
        for outcome in plan.shown():
            if isinstance(outcome, RowChange):
                tally.weights[outcome.weights] += 1
                tally.notes.update(outcome.notes if outcome.weights == "left_alone" else ())
                _keep(tally.changes.setdefault(outcome.weights, []), outcome)
            elif isinstance(outcome, LeftOut):
                tally.why[outcome.why] += 1
                _keep(tally.left_out.setdefault(outcome.why, []), outcome)
            else:
                tally.rest[outcome] += 1
        return tally

    @property
    def summary(self) -> PlanSummary:
        """All counts."""
        changes, left_out = self.weights.total(), self.why.total()
        return PlanSummary(
            needs_sync=changes + left_out + self.rest.total(),
            changes=changes,
            left_out=left_out,
            done_already=self.rest[Rest.DONE_ALREADY],
            beyond_limit=self.rest[Rest.BEYOND_LIMIT],
            weights={kind: self.weights[kind] for kind in get_args(Weights) if self.weights[kind]},
            why_left_out={each.value: self.why[each] for each in WhyLeftOut if self.why[each]},
        )


def _keep(sample: list[_T], each: _T) -> None:
    if len(sample) < SAMPLE:
        sample.append(each)
