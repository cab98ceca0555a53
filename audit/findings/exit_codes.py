"""The exit code that a run's findings lead to."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from audit.findings.acceptance import Accepted
from audit.findings.comparison import UserState, user_state
from audit.model.codes import FailOn, Status
from audit.model.exit_status import (
    ACCEPTED,
    EXIT_ZERO,
    FAIL_ON,
    INCOMPLETE,
    NEEDS_SYNC,
    NOBODY,
    OK,
    PART,
    RUN,
    ExitStatus,
)
from audit.model.findings import AuditedUser, BaselineState, Summary


def exit_code(summary: Summary, *, complete: bool) -> int:
    """The code of findings that all count; `complete` is false where the run ended early."""
    if not complete or summary.statuses[Status.ERROR] or summary.statuses[Status.NOT_CHECKED]:
        return INCOMPLETE
    return NEEDS_SYNC if summary.statuses[Status.NEEDS_SYNC] else OK


class SinceBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's findings are, compared with the baseline."""

    states: Mapping[BaselineState, int]
    """Every baseline state has a key."""
    needs_sync: int
    """New ones; in this and the next two, those that are accepted are left out."""
    errors: int
    """New ones that are certain."""
    unknown: int
    """Users of whom nothing is known, new or not: no answer, or not their turn."""


def since_baseline(users: Iterable[AuditedUser]) -> SinceBaseline:
    """The counts over all `users` of a run with a baseline."""
    states: dict[BaselineState, int] = {"new": 0, "known": 0, "resolved": 0}
    fresh: Counter[UserState] = Counter()
    unknown = 0
    for user in users:
        now, counts = user_state(user.finding.status, user.finding.reason.value), user.accepted is None
        unknown += counts and now in {UserState.UNCERTAIN_ERROR, UserState.NOT_CHECKED}
        if user.baseline:
            states[user.baseline] += 1
            fresh[now] += counts and user.baseline == "new"
    return SinceBaseline(
        states=states, needs_sync=fresh[UserState.NEEDS_SYNC], errors=fresh[UserState.CERTAIN_ERROR], unknown=unknown
    )


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has found, as far as the exit code follows from it."""

    summary: Summary
    complete: bool
    """False where the run ended early, which no option and no acceptance makes good."""
    accepted: Accepted = Accepted()
    since_baseline: SinceBaseline | None = None
    """There with a baseline."""
    part: bool = False
    """The run was narrowed: nobody has looked at the other users."""
    empty_shard: bool = False
    """Nobody is in it because all are in other shards, which is no failure: the merged run decides."""


def run_exit_status(
    result: RunResult, fail_on: FailOn, *, exit_zero: bool = False, allow_empty: bool = False
) -> ExitStatus:
    """How a run ends, signals apart. That nobody was audited no option makes good but `allow_empty`."""
    if result.complete and not result.summary.total:
        return NOBODY[OK if allow_empty or result.empty_shard else INCOMPLETE]
    status = _counted(result, fail_on)
    if exit_zero and status.code == NEEDS_SYNC:
        status = EXIT_ZERO[OK]
    return _of_part(status) if result.part else status


def _of_part(status: ExitStatus) -> ExitStatus:
    if status == RUN[status.code]:
        return PART[status.code]
    return ExitStatus(status.code, f"only a part of the users was checked: {status.meaning}")


def _counted(result: RunResult, fail_on: FailOn) -> ExitStatus:
    accepted, since = result.accepted, result.since_baseline
    counts = {status: count - accepted.statuses.get(status, 0) for status, count in result.summary.statuses.items()}
    code = exit_code(Summary(counts, {}, {}), complete=result.complete)
    if fail_on == "never" and code == NEEDS_SYNC:
        return FAIL_ON[OK]
    if fail_on == "new" and since and code in {NEEDS_SYNC, INCOMPLETE}:
        if not result.complete or since.unknown or since.errors:
            return FAIL_ON[INCOMPLETE]
        return FAIL_ON[NEEDS_SYNC if since.needs_sync else OK]
    return (ACCEPTED if accepted.total and code in ACCEPTED else RUN)[code]
