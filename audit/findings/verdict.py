"""Whether a release may go, in one word that all formats share."""

from typing import Literal

from audit.findings.exit_codes import RunResult, run_exit_status
from audit.model.codes import FailOn, Status
from audit.model.exit_status import INCOMPLETE

Verdict = Literal["hold", "unknown", "trial", "release_ok"]
VERDICT_TITLES: dict[Verdict, str] = {
    "hold": "Hold",
    "unknown": "Unknown",
    "trial": "Trial run",
    "release_ok": "Release OK",
}
"""What people read."""
VERDICT_RULES: dict[Verdict, str] = {
    "hold": "do not release: at least one user needs a sync, is not accepted, and counts by --fail-on",
    "unknown": "not safe to say: nobody who counts needs a sync, but some were not checked, or nobody was audited",
    "trial": "not about everybody: only some of the users were checked, and they are all right",
    "release_ok": "safe to release: every user was checked, and the exit code without --exit-zero is 0",
}
"""When it is said, as the end of a sentence."""


def verdict(result: RunResult, fail_on: FailOn, *, allow_empty: bool = False) -> Verdict:
    """The verdict on a run. `--exit-zero`, which is for jobs, does not change what people are told."""
    if _needs_sync(result, fail_on):
        return "hold"
    if run_exit_status(result, fail_on, allow_empty=allow_empty).code == INCOMPLETE:
        return "unknown"
    return "trial" if result.part else "release_ok"


def _needs_sync(result: RunResult, fail_on: FailOn) -> int:
    """Lines that need a sync and count."""
    if fail_on == "never":
        return 0
    if fail_on == "new" and result.since_baseline:
        return result.since_baseline.needs_sync
    return result.summary.statuses[Status.NEEDS_SYNC] - result.accepted.statuses.get(Status.NEEDS_SYNC, 0)
