"""The one frozen view of a run that every format renders, and what a run file must offer to make one."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from audit.findings.acceptance import AcceptanceMatcher, Accepted, day_of
from audit.findings.affected import Affected, affected
from audit.findings.exit_codes import RunResult, since_baseline
from audit.findings.redaction import redacted_accepted, redacted_run, redacted_user
from audit.findings.verdict import Verdict, verdict
from audit.model.codes import RETRYABLE, FailOn, LatestPer, NoLine, Reason, Status
from audit.model.coverage import coverage
from audit.model.findings import AuditedUser, Summary
from audit.model.repair import RowChange
from audit.model.replies import WeightsAsked
from audit.model.run import Choices, RunInfo, is_narrowed
from audit.model.times import parse_utc
from audit.model.trend import PastCounts
from audit.repair.plan import PLANNED, NotPlanned, Plan, PlanSource
from audit.repair.rules import PlanSettings

ATTENTION = (Status.NEEDS_SYNC, Status.ERROR, Status.NOT_CHECKED)
"""Statuses of users who are not up to date."""


Placed = tuple[int, AuditedUser]
"""A user with the place in the report's order, counted from 1."""
NAMED_BY_HAND = 5


class Repairs(NamedTuple):
    """What `sync` would do about a run, had it been called at its end, and what it would leave to people."""

    changes: int
    """Rows that it would change; of some it looks the weights up first."""
    by_hand: int
    """Lines that are not accepted, and that neither `sync` nor another try settles."""
    first_by_hand: tuple[Placed, ...]
    """The first of these."""


class RunReader(PlanSource, Protocol):
    """What reports need of a run file."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def choices(self) -> Choices | None:
        """What the run was told; None where nobody wrote it down."""

    @property
    def trend(self) -> tuple[PastCounts, ...]:
        """What earlier runs of the same place had counted when it ended, oldest first."""

    def summary(self) -> Summary:
        """Counts over all findings."""

    def count_by_training(self) -> int:
        """Users who were settled by their trainings alone."""

    def count_noted(self) -> int:
        """Users with at least one note."""

    def without_line(self) -> Mapping[NoLine, int]:
        """Users whose newest row was looked at, and who are in no line, by why: only reasons that occur."""

    def count_answered(self) -> int:
        """Users for whom Replicate, asked for the model's versions, has said something certain."""

    def count_weights(self) -> WeightsAsked | None:
        """Weights URLs that were asked for; None where they were not."""

    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        """The users in report order: `Status`, then e-mail with null last, then user id. May be called often."""


class RunView:
    """Everything a format may show, masked already where it has to be.

    `users()` reads the run file anew at each call; nothing else touches it.
    """

    __slots__ = (
        *(
            "_affected",
            "_reader",
            "_repairs",
            "accepted",
            "answered",
            "by_training",
            "coverage",
            "noted",
            "population",
            "run",
        ),
        *("since_baseline", "csv_for_excel", "summary", "without_line", "weights"),
    )

    def __init__(self, reader: RunReader, *, redact: bool = False, csv_for_excel: bool = False) -> None:
        info = reader.info
        self._reader = reader
        choices = reader.choices
        self.csv_for_excel = csv_for_excel or bool(choices and choices.csv_for_excel)
        self._affected: Affected | None = None
        self._repairs: Repairs | None = None
        self.population = reader.population
        self.summary = reader.summary()
        self.noted = reader.count_noted()
        self.without_line = reader.without_line()
        counted = self.population
        self.coverage = coverage(counted, self.without_line, self.summary) if counted else None
        self.since_baseline = since_baseline(reader.users()) if info.baseline else None
        self.accepted = _accepted(reader, info)
        self.by_training = reader.count_by_training() if info.trainings else 0
        self.answered = reader.count_answered() if info.trainings else 0
        self.weights = reader.count_weights() if info.check_weights else None
        self.run = replace(info, state=info.ended_as)
        if redact or info.redacted:
            self.accepted = redacted_accepted(self.accepted)
            self.run = redacted_run(self.run, reader.users)

    @property
    def duration_seconds(self) -> float | None:
        """How long the run took, rounded to milliseconds; None where it did not come to write down its end.

        A clock that was set back gives 0, not a negative duration.
        """
        first, last = parse_utc(self.run.started_at), parse_utc(self.run.finished_at)
        if first is None or last is None:
            return None
        return max(0.0, round((last - first) / timedelta(seconds=1), 3))

    @property
    def file_name(self) -> str:
        """Of the run file, without its folder: a report must not tell where it was made."""
        return self._reader.path.name

    @property
    def trend(self) -> tuple[PastCounts, ...]:
        """The last whole runs of the same place and choices before this one, oldest first; at most ten."""
        return self._reader.trend

    @property
    def latest_per(self) -> LatestPer:
        """What has a line, and is counted."""
        return self.run.latest_per

    @property
    def part(self) -> bool:
        """Whether the run was narrowed, so that nobody has looked at the other users."""
        return is_narrowed(self.run.filters, self.run.shard)

    @property
    def others(self) -> int:
        """Lines of a report of everybody that are not in this narrowed run."""
        return self.coverage.eligible - self.summary.total if self.part and self.coverage else 0

    @property
    def whole(self) -> bool:
        """Whether it is about everybody, and came to its end."""
        return self.run.state == "complete" and not self.part

    @property
    def result(self) -> RunResult:
        """What the exit code and the verdict follow from."""
        return RunResult(
            summary=self.summary,
            complete=self.run.state == "complete",
            accepted=self.accepted,
            since_baseline=self.since_baseline,
            part=self.part,
            empty_shard=self.empty_shard,
        )

    @property
    def verdict(self) -> Verdict:
        """Whether a release may go, by what the run was told counts."""
        return verdict(self.result, self.fail_on, allow_empty=self.allow_empty)

    @property
    def allow_empty(self) -> bool:
        """Whether the run was told that to audit nobody is no failure."""
        choices = self._reader.choices
        return bool(choices and choices.allow_empty)

    @property
    def fail_on(self) -> FailOn:
        """What the run was told counts; everything where nobody wrote it down."""
        choices = self._reader.choices
        return choices.fail_on if choices else "any"

    @property
    def empty_shard(self) -> bool:
        """Whether nobody is in it because all are in other shards."""
        return bool(self.run.shard and not self.summary.total and self.coverage and self.coverage.eligible)

    @property
    def open(self) -> Mapping[Status, int]:
        """Lines by status, without those whose finding is accepted. Every status has a key."""
        return {status: n - self.accepted.statuses.get(status, 0) for status, n in self.summary.statuses.items()}

    @property
    def open_reasons(self) -> Mapping[Reason, int]:
        """The same by reason: only those that occur, largest first, then by name."""
        counts = self.accepted.reasons
        left = {reason: n - counts.get(reason, 0) for reason, n in self.summary.reasons.items()}
        return {reason: n for reason, n in sorted(left.items(), key=lambda item: (-item[1], item[0])) if n}

    @property
    def retryable(self) -> int:
        """Lines that another try may settle: the failure may have been temporary."""
        return sum(self.summary.reasons.get(reason, 0) for reason in RETRYABLE)

    @property
    def affected(self) -> Affected:
        """Since when those who need a sync are affected, without the accepted; read once."""
        if self._affected is None:
            needing = self._reader.users(Status.NEEDS_SYNC) if self.open[Status.NEEDS_SYNC] else ()
            self._affected = affected(needing)
        return self._affected

    @property
    def repairs(self) -> Repairs:
        """What `sync` would do; read once."""
        if self._repairs is None:
            self._repairs = self._planned()
        return self._repairs

    def plan(self) -> Plan:
        """What `sync` would have planned at the run's end. It is about people as the run file has them, unmasked."""
        ended = parse_utc(self.run.finished_at) or parse_utc(self.run.started_at) or datetime.min.replace(tzinfo=UTC)
        return Plan(self._reader, PlanSettings(redact=self.run.redacted), ended)

    def checked_users(self, status: Status) -> Iterator[tuple[AuditedUser, int | None]]:
        """The users of `status` for that plan, in the order of `users`; nobody is masked, so none of it is shown."""
        return self._reader.checked_users(status)

    def _planned(self) -> Repairs:
        changes = by_hand = place = 0
        first: list[Placed] = []
        plan = self.plan()
        for status in PLANNED:
            for user, checked_at in self.checked_users(status) if self.summary.statuses[status] else ():
                place += 1
                outcomes = [planned.outcome for planned in plan.outcomes_of(user, checked_at)]
                changed = sum(isinstance(outcome, RowChange) for outcome in outcomes)
                changes += changed
                finding = user.finding
                settled = changed or any(isinstance(outcome, NotPlanned) for outcome in outcomes)
                if settled or user.accepted or finding.reason in RETRYABLE or status is Status.NOT_CHECKED:
                    continue
                by_hand += 1
                if len(first) < NAMED_BY_HAND:
                    first.append((place, redacted_user(user) if self.run.redacted else user))
        return Repairs(changes, by_hand, tuple(first))

    def placed(self, status: Status) -> Iterator[Placed]:
        """The users of `status` with their places."""
        counts = [self.summary.statuses[other] for other in Status]
        return enumerate(self.users(status=status), sum(counts[: list(Status).index(status)]) + 1)

    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        """The users in report order, streamed."""
        users = self._reader.users(status, reason)
        return map(redacted_user, users) if self.run.redacted else users


def _accepted(reader: RunReader, info: RunInfo) -> Accepted:
    if not info.acceptances:
        return Accepted()
    whole = info.state == "complete" and not is_narrowed(info.filters, info.shard)
    users = chain.from_iterable(map(reader.users, ATTENTION))
    return AcceptanceMatcher(info.acceptances, day_of(info)).tally(users, whole=whole)
