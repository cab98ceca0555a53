"""Which findings count for the exit code of a run: `--fail-on`.

| --fail-on | 4                                                              | 3                                |
|-----------|----------------------------------------------------------------|----------------------------------|
| any       | somebody could not be checked, or the run is incomplete        | somebody needs a sync            |
| new       | as any, but for errors that are certain and in the baseline    | somebody needs one who did not   |
| never     | as any                                                         | never: it becomes 0              |

An error is certain where it says something about the user, such as a model that does not exist. That Replicate gave no
answer is never known from before: what is behind it may have changed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import IntEnum

import msgspec

from audit.comparison import Standing, standing
from audit.models import AuditedUser, ExitCode, FailOn, Mark


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


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's findings are, compared with the baseline."""

    marks: Mapping[Mark, int]
    """Every mark has a key."""
    needs_sync: int
    """New ones."""
    errors: int
    """New ones that are certain."""
    unknown: int
    """Users of whom nothing is known, new or not: no answer, or not their turn."""


def news(users: Iterable[AuditedUser]) -> News:
    """The counts over all `users` of a run with a baseline."""
    marks: dict[Mark, int] = {"new": 0, "known": 0, "resolved": 0}
    fresh: Counter[Standing] = Counter()
    unknown = 0
    for user in users:
        now = standing(user.finding.status, user.finding.reason.value)
        unknown += now in {Standing.UNANSWERED, Standing.UNREACHED}
        if user.baseline:
            marks[user.baseline] += 1
            fresh[now] += user.baseline == "new"
    return News(marks=marks, needs_sync=fresh[Standing.DUE], errors=fresh[Standing.FAULTY], unknown=unknown)


def ended(code: ExitCode, fail_on: FailOn, since: News | None, *, complete: bool) -> ExitCode | FailOnCode:
    """The exit code of a run whose findings alone would make it `code`; `since` is there with a baseline."""
    if fail_on == "never" and code is ExitCode.NEEDS_SYNC:
        return FailOnCode.NOBODY_COUNTS
    if fail_on != "new" or since is None or code not in {ExitCode.NEEDS_SYNC, ExitCode.INCOMPLETE}:
        return code
    if not complete or since.unknown or since.errors:
        return FailOnCode.INCOMPLETE
    return FailOnCode.NEW if since.needs_sync else FailOnCode.NOBODY_COUNTS
