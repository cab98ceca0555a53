"""The exit code that a run's findings lead to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import IntEnum

import msgspec

from audit.findings.acceptance import Accepted
from audit.findings.comparison import UserState, standing
from audit.model.codes import ExitCode, FailOn, Status
from audit.model.findings import AuditedUser, BaselineState, Summary


def exit_code(summary: Summary, *, complete: bool) -> ExitCode:
    """What the findings of a run say to a pipeline; `complete` is false where the run ended early."""
    if not complete or summary.statuses[Status.ERROR] or summary.statuses[Status.NOT_CHECKED]:
        return ExitCode.INCOMPLETE
    return ExitCode.NEEDS_SYNC if summary.statuses[Status.NEEDS_SYNC] else ExitCode.OK


class FailOnCode(IntEnum):
    """How a run ended whose findings do not all count. `meaning` is what the last line on stderr says."""

    NOBODY_COUNTS = 0
    NEW = 3
    INCOMPLETE = 4

    @property
    def meaning(self) -> str:
        """In words."""
        return {
            FailOnCode.NOBODY_COUNTS: "some users need attention, but none who counts by --fail-on",
            FailOnCode.NEW: "at least one user needs a sync who did not in the baseline",
            FailOnCode.INCOMPLETE: "incomplete: at least one user could not be checked, or has a new error",
        }[self]


class AcceptedCode(IntEnum):
    """How a run ended with accepted findings, where the words of `ExitCode` would not be true."""

    ALL = 0
    NOT_ALL = 3

    @property
    def meaning(self) -> str:
        """In words."""
        return {
            AcceptedCode.ALL: "some users need attention, and all of them are accepted",
            AcceptedCode.NOT_ALL: "at least one user needs a sync, and is not accepted",
        }[self]


RunCode = ExitCode | FailOnCode | AcceptedCode


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's findings are, compared with the baseline."""

    marks: Mapping[BaselineState, int]
    """Every mark has a key."""
    needs_sync: int
    """New ones; in this and the next two, those that are accepted are left out."""
    errors: int
    """New ones that are certain."""
    unknown: int
    """Users of whom nothing is known, new or not: no answer, or not their turn."""


def news(users: Iterable[AuditedUser]) -> News:
    """The counts over all `users` of a run with a baseline."""
    marks: dict[BaselineState, int] = {"new": 0, "known": 0, "resolved": 0}
    fresh: Counter[UserState] = Counter()
    unknown = 0
    for user in users:
        now, counts = standing(user.finding.status, user.finding.reason.value), user.accepted is None
        unknown += counts and now in {UserState.UNANSWERED, UserState.UNREACHED}
        if user.baseline:
            marks[user.baseline] += 1
            fresh[now] += counts and user.baseline == "new"
    return News(marks=marks, needs_sync=fresh[UserState.DUE], errors=fresh[UserState.FAULTY], unknown=unknown)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has found, as far as the exit code follows from it."""

    summary: Summary
    complete: bool
    """False where the run ended early, which no option and no acceptance makes good."""
    accepted: Accepted = Accepted()
    since: News | None = None
    """There with a baseline."""


def ended(result: Result, fail_on: FailOn, *, exit_zero: bool = False) -> RunCode:
    """The exit code of a run, signals apart."""
    code = _counted(result, fail_on)
    return ExitCode.OK if exit_zero and code == ExitCode.NEEDS_SYNC else code


def _counted(result: Result, fail_on: FailOn) -> RunCode:
    accepted, since = result.accepted, result.since
    counts = {status: count - accepted.statuses.get(status, 0) for status, count in result.summary.statuses.items()}
    code = exit_code(Summary(counts, {}, {}), complete=result.complete)
    if fail_on == "never" and code is ExitCode.NEEDS_SYNC:
        return FailOnCode.NOBODY_COUNTS
    if fail_on == "new" and since and code in {ExitCode.NEEDS_SYNC, ExitCode.INCOMPLETE}:
        if not result.complete or since.unknown or since.errors:
            return FailOnCode.INCOMPLETE
        return FailOnCode.NEW if since.needs_sync else FailOnCode.NOBODY_COUNTS
    if accepted.total and code is ExitCode.NEEDS_SYNC:
        return AcceptedCode.NOT_ALL
    return AcceptedCode.ALL if accepted.total and code is ExitCode.OK else code
