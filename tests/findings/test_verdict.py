"""The verdict on a run, case by case, and beside the exit code."""

from itertools import product

import pytest
from msgspec.structs import replace

from audit.findings.acceptance import Accepted
from audit.findings.exit_codes import RunResult, SinceBaseline, run_exit_status
from audit.findings.verdict import VERDICT_RULES, VERDICT_TITLES, Verdict, verdict
from audit.model.codes import FailOn, Status
from audit.model.exit_status import INCOMPLETE, NEEDS_SYNC, OK
from audit.model.findings import BaselineState, Summary

STATES: dict[BaselineState, int] = {"new": 0, "known": 0, "resolved": 0}
NEW = SinceBaseline(states=STATES, needs_sync=1, errors=0, unknown=0)
KNOWN = SinceBaseline(states=STATES, needs_sync=0, errors=0, unknown=0)


def result(need: int = 0, failed: int = 0, missed: int = 0, *, fine: int = 5, accepted: int = 0) -> RunResult:
    statuses = {
        Status.UP_TO_DATE: fine,
        Status.NEEDS_SYNC: need,
        Status.ERROR: failed,
        Status.NOT_CHECKED: missed,
    }
    return RunResult(
        summary=Summary(statuses, {}, {}),
        complete=not missed,
        accepted=Accepted(statuses={Status.NEEDS_SYNC: accepted} if accepted else {}),
    )


@pytest.mark.parametrize(
    ("found", "fail_on", "expected"),
    [
        pytest.param(result(), "any", "release_ok", id="all up to date"),
        pytest.param(result(need=1), "any", "hold", id="one needs a sync"),
        pytest.param(result(need=1, failed=2), "any", "hold", id="one needs a sync, others failed"),
        pytest.param(result(need=1, missed=2), "any", "hold", id="one needs a sync, and it was stopped"),
        pytest.param(result(failed=1), "any", "unknown", id="one failed"),
        pytest.param(result(missed=1), "any", "unknown", id="one was not reached"),
        pytest.param(result(fine=0), "any", "unknown", id="nobody"),
        pytest.param(result(need=2, accepted=2), "any", "release_ok", id="all who need one are accepted"),
        pytest.param(result(need=2, accepted=1), "any", "hold", id="one of two is accepted"),
        pytest.param(result(need=2, accepted=2, failed=1), "any", "unknown", id="all are accepted, one failed"),
        pytest.param(result(need=1), "never", "release_ok", id="nobody counts"),
        pytest.param(result(need=1, failed=1), "never", "unknown", id="nobody counts, one failed"),
        pytest.param(replace(result(need=3), since_baseline=NEW), "new", "hold", id="a new one"),
        pytest.param(replace(result(need=3), since_baseline=KNOWN), "new", "release_ok", id="all were known"),
        pytest.param(result(need=3), "new", "hold", id="without a baseline all are new"),
        pytest.param(replace(result(), part=True), "any", "trial", id="some, all up to date"),
        pytest.param(replace(result(need=1), part=True), "any", "hold", id="some, one needs a sync"),
        pytest.param(replace(result(failed=1), part=True), "any", "unknown", id="some, one failed"),
    ],
)
def test_each_case_has_its_word(found: RunResult, fail_on: FailOn, expected: Verdict) -> None:
    assert verdict(found, fail_on) == expected


def test_nobody_is_no_failure_where_that_is_allowed() -> None:
    assert verdict(result(fine=0), "any", allow_empty=True) == "release_ok"


EVERYTHING = [
    replace(result(need, failed, missed, fine=fine, accepted=min(accepted, need)), since_baseline=since, part=part)
    for need, failed, missed, fine, accepted, since, part in product(
        (0, 2), (0, 1), (0, 1), (0, 5), (0, 1, 2), (None, NEW, KNOWN), (False, True)
    )
    if since is not NEW or need > accepted  # who is accepted is not new
]


@pytest.mark.parametrize("allow_empty", [False, True])
@pytest.mark.parametrize("fail_on", ["any", "new", "never"])
def test_a_release_is_ok_for_exactly_the_whole_runs_that_end_in_0(fail_on: FailOn, *, allow_empty: bool) -> None:
    for found in EVERYTHING:
        code = run_exit_status(found, fail_on, allow_empty=allow_empty).code
        word = verdict(found, fail_on, allow_empty=allow_empty)
        assert (word == "release_ok") == (code == OK and not found.part)
        assert word == "hold" or code != NEEDS_SYNC
        assert word in {"hold", "unknown"} or code != INCOMPLETE


def test_each_verdict_has_a_title_and_a_rule() -> None:
    assert VERDICT_TITLES.keys() == VERDICT_RULES.keys()
