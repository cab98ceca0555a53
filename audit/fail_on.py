"""Which findings count for the exit code of a run: `--fail-on`.

| --fail-on | 4                                                              | 3                                |
|-----------|----------------------------------------------------------------|----------------------------------|
| any       | somebody could not be checked, or the run is incomplete        | somebody needs a sync            |
| new       | as any, but for errors that are certain and in the baseline    | somebody needs one who did not   |
| never     | as any                                                         | never: it becomes 0              |

An error is certain where it says something about the user, such as a model that does not exist. That Replicate gave no
answer is never known from before: what is behind it may have changed.
"""

from enum import IntEnum

import msgspec

from audit.models import ExitCode, FailOn


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
    """What of a run's findings is new since the baseline."""

    needs_sync: int
    errors: int
    """Those that are certain."""
    unknown: int
    """Users of whom nothing is known, new or not: no answer, or not their turn."""


def ended(code: ExitCode, fail_on: FailOn, news: News | None, *, complete: bool) -> ExitCode | FailOnCode:
    """The exit code of a run whose findings alone would make it `code`; `news` is there with a baseline."""
    if fail_on == "never" and code is ExitCode.NEEDS_SYNC:
        return FailOnCode.NOBODY_COUNTS
    if fail_on != "new" or news is None or code not in {ExitCode.NEEDS_SYNC, ExitCode.INCOMPLETE}:
        return code
    if not complete or news.unknown or news.errors:
        return FailOnCode.INCOMPLETE
    return FailOnCode.NEW if news.needs_sync else FailOnCode.NOBODY_COUNTS
