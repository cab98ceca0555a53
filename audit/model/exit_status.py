"""Exit statuses: what each command may end in, and what that means."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a command ended. As text it is the last line on stderr."""

    code: int
    """Of the process."""
    meaning: str

    @property
    def sentence(self) -> str:
        """The meaning, with a capital and a full stop."""
        return f"{self.meaning[0].upper()}{self.meaning[1:]}."

    def __str__(self) -> str:
        return f"exit {self.code}: {self.meaning}"


Table = Mapping[int, ExitStatus]
OK, BUG, USAGE, NEEDS_SYNC, INCOMPLETE, COULD_NOT_RUN = range(6)
HUNG_UP, INTERRUPTED, TERMINATED = 129, 130, 143
"""The codes, named by what they mean for a run; 0, 3, 4 and 5 mean alike things for the other commands."""


def _table(meanings: Mapping[int, str]) -> Table:
    return MappingProxyType({code: ExitStatus(code, meaning) for code, meaning in meanings.items()})


RUN = _table(
    {
        OK: "every user was checked, nobody needs a sync",
        BUG: "a bug in this program (traceback)",
        USAGE: "usage: an option or setting is wrong or missing",
        NEEDS_SYNC: "every user was checked, at least one needs a sync",
        INCOMPLETE: "incomplete: at least one user is `error` or `not_checked`; wins over 3",
        COULD_NOT_RUN: "could not start or write: database, token, output path",
        HUNG_UP: "stopped by SIGHUP; the reports are written and say so",
        INTERRUPTED: "stopped by SIGINT; the reports are written and say so",
        TERMINATED: "stopped by SIGTERM; the reports are written and say so",
    }
)
"""Every command that fails ends in the 1, 2 and 5 of this table."""
FAIL_ON = _table(
    {
        OK: "some users need attention, but none who counts by --fail-on",
        NEEDS_SYNC: "at least one user needs a sync who did not in the baseline",
        INCOMPLETE: "incomplete: at least one user could not be checked, or has a new error",
    }
)
ACCEPTED = _table(
    {
        OK: "some users need attention, and all of them are accepted",
        NEEDS_SYNC: "at least one user needs a sync, and is not accepted",
    }
)
PART = _table(
    {
        OK: "only a part of the users was checked: nobody of them needs a sync",
        NEEDS_SYNC: "only a part of the users was checked: at least one of them needs a sync",
        INCOMPLETE: "incomplete: only a part of the users was checked, and at least one is `error` or `not_checked`",
    }
)
NOBODY = _table(
    {
        OK: "nobody was audited, and that is no failure: --allow-empty says so, or the shard is empty",
        INCOMPLETE: "nobody was audited: no user has a row that counts, and the report says which rows there are",
    }
)
EXIT_ZERO = _table({OK: "at least one user needs a sync, and --exit-zero makes that no failure"})
DOCTOR = _table(
    {
        0: "all checks are ok",
        3: "an audit can run; at least one check is a warning",
        5: "at least one check failed",
    }
)
INIT = _table(
    {
        OK: "an audit would work with that file",
        NEEDS_SYNC: "something is left to decide, or there is nobody to audit",
    }
)
USER = _table(
    {
        OK: "this user is up to date",
        NEEDS_SYNC: "this user needs a sync",
        INCOMPLETE: "this user could not be checked, or has no training that counts",
    }
)
DIFF = _table(
    {
        0: "nothing got worse",
        3: "at least one user needs attention who did not before",
        4: "cannot tell: NEW did not find out about users who may have got worse",
    }
)
PLAN = _table(
    {
        OK: "there is nothing to change",
        NEEDS_SYNC: "planned, and nothing changed yet: at least one row is to be changed",
    }
)
REPAIR = _table(
    {
        OK: "all that was to be changed is changed, and every user audited again is up to date",
        INCOMPLETE: "incomplete: at least one row was skipped, failed or not come to, is not known, or its user is not "
        "up to date",
        HUNG_UP: "stopped by SIGHUP; what was done is known",
        INTERRUPTED: "stopped by SIGINT; what was done is known",
        TERMINATED: "stopped by SIGTERM; what was done is known",
    }
)
TABLES: Mapping[str, Table] = {
    "run, demo, render and merge": RUN,
    "run with --fail-on": FAIL_ON,
    "run with accepted findings": ACCEPTED,
    "run with --limit, --user or --shard": PART,
    "run without a user": NOBODY,
    "run with --exit-zero": EXIT_ZERO,
    "init": INIT,
    "doctor": DOCTOR,
    "user": USER,
    "diff": DIFF,
    "sync": PLAN,
    "sync with --apply or --undo": REPAIR,
}
"""By what ends in them, in the order of docs/reference/exit-codes.md, which is made from this."""
