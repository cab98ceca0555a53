"""The one frozen view of a run that every format renders, and what a run file must offer to make one."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import chain
from typing import Literal, Protocol

import msgspec

from audit.findings.acceptance import AcceptanceMatcher, Accepted, day_of
from audit.findings.exit_codes import since_baseline
from audit.model.codes import Mode, OrderBy, Reason, Status
from audit.model.findings import Acceptance, AuditedUser, Summary
from audit.model.replies import Account, Requests
from audit.model.run import Baseline, Filters, RunInfo, Shard, ShardRun
from audit.model.shard import is_part
from audit.model.tables import Column
from audit.model.times import parse_utc
from audit.model.users import Population
from audit.report.redaction import redacted_entry, redacted_filters, redacted_text, redacted_user


class RunReader(Protocol):
    """What reports need of a run file."""

    @property
    def info(self) -> RunInfo:
        """The run itself."""

    @property
    def population(self) -> Population | None:
        """Who is in the database; None where the run ended before it was counted."""

    def summary(self) -> Summary:
        """Counts over all findings."""

    def count_by_training(self) -> int:
        """Users who were settled by their trainings alone."""

    def count_answered(self) -> int:
        """Users for whom Replicate, asked for the model's versions, has said something certain."""

    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        """The users in report order: `Status`, then e-mail with null last, then user id. May be called often."""


class TrainingsBlock(msgspec.Struct, frozen=True, kw_only=True):
    """`run.trainings` of the JSON report: how far the account's list was read, and whom that settled."""

    mode: Mode
    since: str | None
    back_to: str | None
    began_at: str | None
    complete: bool
    problem: str | None
    pages: int
    read: int
    unreadable: int
    sample: float
    users_settled: int
    users_asked: int


class AcceptancesBlock(msgspec.Struct, frozen=True, kw_only=True):
    """`run.acceptances` of the JSON report."""

    file: str
    accepted: int
    expired: tuple[Acceptance, ...]
    unmatched: tuple[Acceptance, ...]


class RunBlock(msgspec.Struct, frozen=True, kw_only=True):
    """`run` of the JSON report: the fields and their order are the contract's."""

    id: str
    started_at: str
    finished_at: str | None
    duration_seconds: float | None
    """Null where the run did not come to write down its end."""
    state: Literal["complete", "interrupted", "stopped"]
    stop_reason: str | None
    database: str
    base_url: str
    account: Account | None
    order_by: OrderBy
    filters: Filters
    redacted: bool
    requests: Requests
    missing_columns: tuple[Column, ...]
    trainings: TrainingsBlock | None
    """Null where trainings were not read."""
    baseline: Baseline | None
    acceptances: AcceptancesBlock | None
    shard: Shard | None
    """Null where the run is about all models."""
    shards: tuple[ShardRun, ...]


class RunView:
    """Everything a format may show, masked already where it has to be.

    `users()` reads the run file anew at each call; nothing else touches it.
    """

    __slots__ = ("_reader", "accepted", "population", "run", "since_baseline", "summary", "tables", "tool_version")

    def __init__(self, reader: RunReader, *, redact: bool = False) -> None:
        info = reader.info
        self._reader = reader
        self.tool_version = info.tool_version
        self.tables = info.tables
        self.population = reader.population
        self.summary = reader.summary()
        self.since_baseline = since_baseline(reader.users()) if info.baseline else None
        self.accepted = _accepted(reader, info)
        self.run = _run_block(reader, self.accepted, redact=info.redacted or redact)

    @property
    def open(self) -> Mapping[Status, int]:
        """Users by status, without those whose finding is accepted. Every status has a key."""
        return {status: n - self.accepted.statuses.get(status, 0) for status, n in self.summary.statuses.items()}

    @property
    def open_reasons(self) -> Mapping[Reason, int]:
        """The same by reason: only those that occur, largest first, then by name."""
        counts = self.accepted.reasons
        left = {reason: n - counts.get(reason, 0) for reason, n in self.summary.reasons.items()}
        return {reason: n for reason, n in sorted(left.items(), key=lambda item: (-item[1], item[0])) if n}

    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        """The users in report order, streamed."""
        users = self._reader.users(status, reason)
        return map(redacted_user, users) if self.run.redacted else users


ATTENTION = (Status.NEEDS_SYNC, Status.ERROR, Status.NOT_CHECKED)
"""Statuses of users who are not up to date."""


def _accepted(reader: RunReader, info: RunInfo) -> Accepted:
    if not info.acceptances:
        return Accepted()
    whole = info.state == "complete" and not is_part(info.filters, info.shard)
    users = chain.from_iterable(map(reader.users, ATTENTION))
    return AcceptanceMatcher(info.acceptances, day_of(info)).tally(users, whole=whole)


def _acceptances(info: RunInfo, accepted: Accepted, *, redact: bool) -> AcceptancesBlock | None:
    if not info.acceptances:
        return None
    expired, unmatched = accepted.expired, accepted.unmatched
    if redact:
        expired, unmatched = (tuple(map(redacted_entry, entries)) for entries in (expired, unmatched))
    return AcceptancesBlock(file=info.acceptances.file, accepted=accepted.total, expired=expired, unmatched=unmatched)


def _run_block(reader: RunReader, accepted: Accepted, *, redact: bool) -> RunBlock:
    info = reader.info
    stop_reason, filters = info.stop_reason, info.filters
    if redact:
        stop_reason = stop_reason and redacted_text(stop_reason)
        filters = redacted_filters(filters, reader.users)
    return RunBlock(
        id=info.id,
        started_at=info.started_at,
        finished_at=info.finished_at,
        duration_seconds=_seconds_between(info.started_at, info.finished_at),
        state="interrupted" if info.state == "running" else info.state,
        stop_reason=stop_reason,
        database=info.database,
        base_url=info.base_url,
        account=info.account,
        order_by=info.order_by,
        filters=filters,
        redacted=redact,
        requests=info.requests,
        missing_columns=info.missing_columns,
        trainings=_trainings_block(reader, redact=redact),
        baseline=info.baseline,
        acceptances=_acceptances(info, accepted, redact=redact),
        shard=info.shard,
        shards=info.shards,
    )


def _trainings_block(reader: RunReader, *, redact: bool) -> TrainingsBlock | None:
    read = reader.info.trainings
    if read is None:
        return None
    return TrainingsBlock(
        mode=read.mode,
        since=read.since,
        back_to=read.back_to,
        began_at=read.began_at,
        complete=read.complete,
        problem=redacted_text(read.problem) if redact and read.problem else read.problem,
        pages=read.pages,
        read=read.read,
        unreadable=read.unreadable,
        sample=read.sample,
        users_settled=reader.count_by_training(),
        users_asked=reader.count_answered(),
    )


def _seconds_between(start: str, end: str | None) -> float | None:
    """Rounded to milliseconds; a clock that was set back gives 0, not a negative duration."""
    first, last = parse_utc(start), parse_utc(end)
    if first is None or last is None:
        return None
    return max(0.0, round((last - first) / timedelta(seconds=1), 3))
