"""Exit statuses: what each command may end in, and what that means."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a command ended. As text it is the last line on stderr: the cause, then the code."""

    code: int
    """Of the process."""
    meaning: str
    """In general, or the cause in this very run; "" where nothing is to be printed."""

    @property
    def sentence(self) -> str:
        """The meaning, with a capital and a full stop."""
        return f"{self.meaning[0].upper()}{self.meaning[1:]}."

    def __str__(self) -> str:
        return f"{self.meaning} (exit {self.code})"


Table = Mapping[int, ExitStatus]
OK, BUG, USAGE, NEEDS_SYNC, INCOMPLETE, COULD_NOT_RUN = range(6)
HUNG_UP, INTERRUPTED, TERMINATED = 129, 130, 143
"""The codes, named by what they mean for a run; 0, 3, 4 and 5 mean alike things for the other commands."""


def _table(meanings: Mapping[int, str]) -> Table:
    return MappingProxyType({code: ExitStatus(code, meaning) for code, meaning in meanings.items()})


RUN = _table(
    {
        OK: "every user was checked, nobody needs a sync",
        BUG: "a bug in this program: the traceback is above",
        USAGE: "an option or setting is wrong or missing",
        NEEDS_SYNC: "every user was checked, at least one needs a sync",
        INCOMPLETE: "at least one user could not be checked (`error` or `not_checked`); others may need a sync",
        COULD_NOT_RUN: "the run could not start, or a file could not be written: database, token, output path",
        HUNG_UP: "stopped by SIGHUP; the reports are written",
        INTERRUPTED: "stopped by SIGINT; the reports are written",
        TERMINATED: "stopped by SIGTERM; the reports are written",
    }
)
"""Every command that fails ends in the 1, 2 and 5 of this table."""
FAIL_ON = _table(
    {
        OK: "some users need attention, but none who counts by --fail-on",
        NEEDS_SYNC: "at least one user needs a sync who did not in the baseline",
        INCOMPLETE: "at least one user could not be checked, or has a new error",
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
        INCOMPLETE: "only a part of the users was checked: at least one of them could not be",
    }
)
NOBODY = _table(
    {
        OK: "nobody was audited, which --allow-empty or an empty shard allows",
        INCOMPLETE: "nobody was audited: no user has a row that counts",
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
        INCOMPLETE: "at least one row was skipped, failed or not reached, its state is not known, or its user is not "
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
