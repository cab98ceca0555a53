"""`--fail-on`: the rule, case by case."""

import pytest

from audit.findings.acceptance import Accepted
from audit.findings.exit_codes import News, Result, news, run_exit_status
from audit.model.codes import FailOn, Reason, Status
from audit.model.exit_status import ACCEPTED, FAIL_ON, INCOMPLETE, NEEDS_SYNC, OK, RUN, ExitStatus
from audit.model.findings import Acceptance, AuditedUser, BaselineState, Summary
from tests.support.samples import finding, record

MARKS: dict[BaselineState, int] = {"new": 0, "known": 0, "resolved": 0}


def since(needs_sync: int = 0, errors: int = 0, unknown: int = 0) -> News:
    return News(marks=MARKS, needs_sync=needs_sync, errors=errors, unknown=unknown)


def result(
    code: int = 0, baseline: News | None = None, *, complete: bool = True, accepted: dict[Status, int] | None = None
) -> Result:
    """A run that would end in `code` with every finding counted, the accepted ones apart."""
    statuses = dict.fromkeys(Status, 0) | {Status.UP_TO_DATE: 5, Status.NEEDS_SYNC: int(code > 0)}
    statuses[Status.ERROR] = int(code == 4)
    for status, count in (accepted or {}).items():
        statuses[status] += count
    summary = Summary(statuses, {}, {})
    return Result(summary=summary, complete=complete, accepted=Accepted(statuses=accepted or {}), since=baseline)


OLD_NEWS, NEW_DUE, NEW_ERROR, UNKNOWN = since(), since(needs_sync=1), since(needs_sync=1, errors=1), since(unknown=1)


@pytest.mark.parametrize(
    ("found", "fail_on", "baseline", "status"),
    [
        (0, "any", None, RUN[OK]),
        (3, "any", None, RUN[NEEDS_SYNC]),
        (4, "any", None, RUN[INCOMPLETE]),
        (3, "any", OLD_NEWS, RUN[NEEDS_SYNC]),
        (4, "any", OLD_NEWS, RUN[INCOMPLETE]),
        (0, "never", None, RUN[OK]),
        (3, "never", None, FAIL_ON[OK]),
        (3, "never", NEW_DUE, FAIL_ON[OK]),
        (4, "never", OLD_NEWS, RUN[INCOMPLETE]),
        (0, "new", OLD_NEWS, RUN[OK]),
        (3, "new", OLD_NEWS, FAIL_ON[OK]),
        (3, "new", NEW_DUE, FAIL_ON[NEEDS_SYNC]),
        (4, "new", OLD_NEWS, FAIL_ON[OK]),
        (4, "new", NEW_DUE, FAIL_ON[NEEDS_SYNC]),
        (4, "new", NEW_ERROR, FAIL_ON[INCOMPLETE]),
        (4, "new", UNKNOWN, FAIL_ON[INCOMPLETE]),
    ],
)
def test_a_complete_run_ends_as_the_rule_says(
    found: int, fail_on: FailOn, baseline: News | None, status: ExitStatus
) -> None:
    assert run_exit_status(result(found, baseline), fail_on) == status


BOTH = {Status.NEEDS_SYNC: 2, Status.ERROR: 1}


@pytest.mark.parametrize(
    ("found", "fail_on", "baseline", "status"),
    [
        (0, "any", None, ACCEPTED[OK]),
        (3, "any", None, ACCEPTED[NEEDS_SYNC]),
        (4, "any", None, RUN[INCOMPLETE]),
        (0, "never", None, ACCEPTED[OK]),
        (3, "never", None, FAIL_ON[OK]),
        (0, "new", OLD_NEWS, ACCEPTED[OK]),
        (3, "new", NEW_DUE, FAIL_ON[NEEDS_SYNC]),
        (3, "new", OLD_NEWS, FAIL_ON[OK]),
        (4, "new", OLD_NEWS, FAIL_ON[OK]),
        (4, "new", NEW_ERROR, FAIL_ON[INCOMPLETE]),
    ],
)
def test_what_is_accepted_counts_as_if_it_were_not_there(
    found: int, fail_on: FailOn, baseline: News | None, status: ExitStatus
) -> None:
    assert run_exit_status(result(found, baseline, accepted=BOTH), fail_on) == status


@pytest.mark.parametrize("accepted", [None, BOTH], ids=["nothing accepted", "some accepted"])
@pytest.mark.parametrize(("found", "code"), [(0, 0), (3, 0), (4, 4)])
def test_exit_zero_makes_three_zero_and_nothing_else(found: int, code: int, accepted: dict[Status, int] | None) -> None:
    assert run_exit_status(result(found, accepted=accepted), "any", exit_zero=True).code == code


def test_exit_zero_goes_for_new_ones_too() -> None:
    assert run_exit_status(result(3, NEW_DUE), "new", exit_zero=True) == RUN[OK]


@pytest.mark.parametrize("fail_on", ["any", "new", "never"])
def test_an_incomplete_run_is_never_anything_else(fail_on: FailOn) -> None:
    for found in (0, 3, 4):
        assert (
            run_exit_status(result(found, OLD_NEWS, complete=False, accepted=BOTH), fail_on, exit_zero=True).code == 4
        )


def marked(reason: Reason, mark: BaselineState | None, *, accepted: bool = False) -> AuditedUser:
    entry = Acceptance(user="anna", reason=reason, because="leaves", until="2026-12-31") if accepted else None
    return AuditedUser(record(), finding(reason), mark, entry)


def test_news_counts_what_is_new_and_what_nobody_knows() -> None:
    found = news(
        [
            marked(Reason.OUTDATED_VERSION, "new"),
            marked(Reason.OUTDATED_VERSION, "known"),
            marked(Reason.MODEL_NOT_FOUND, "new"),
            marked(Reason.NO_VERSIONS, "known"),
            marked(Reason.TIMEOUT, "known"),
            marked(Reason.SERVER_ERROR, "new"),
            marked(Reason.STOPPED, None),
            marked(Reason.LATEST_VERSION, "resolved"),
            marked(Reason.LATEST_VERSION, None),
        ]
    )
    assert found == News(marks={"new": 3, "known": 3, "resolved": 1}, needs_sync=1, errors=1, unknown=3)


def test_news_counts_the_marks_of_what_is_accepted_and_nothing_else_of_it() -> None:
    reasons = (Reason.OUTDATED_VERSION, Reason.MODEL_NOT_FOUND, Reason.TIMEOUT)
    found = news([marked(reason, "new", accepted=True) for reason in reasons])
    assert found == News(marks={"new": 3, "known": 0, "resolved": 0}, needs_sync=0, errors=0, unknown=0)
