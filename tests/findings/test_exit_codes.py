"""`--fail-on`: the rule, case by case."""

import pytest
from msgspec.structs import replace

from audit.findings.acceptance import Accepted
from audit.findings.exit_codes import RunResult, SinceBaseline, run_exit_status, since_baseline
from audit.model.codes import FailOn, Reason, Status
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
from audit.model.findings import Acceptance, AuditedUser, BaselineState, Summary
from tests.support.samples import finding, record

STATES: dict[BaselineState, int] = {"new": 0, "known": 0, "resolved": 0}


def since(needs_sync: int = 0, errors: int = 0, unknown: int = 0) -> SinceBaseline:
    return SinceBaseline(states=STATES, needs_sync=needs_sync, errors=errors, unknown=unknown)


def result(
    code: int = 0,
    baseline: SinceBaseline | None = None,
    *,
    complete: bool = True,
    accepted: dict[Status, int] | None = None,
) -> RunResult:
    """A run that would end in `code` with every finding counted, the accepted ones apart."""
    statuses = dict.fromkeys(Status, 0) | {Status.UP_TO_DATE: 5, Status.NEEDS_SYNC: int(code > 0)}
    statuses[Status.ERROR] = int(code == 4)
    for status, count in (accepted or {}).items():
        statuses[status] += count
    summary = Summary(statuses, {}, {})
    return RunResult(
        summary=summary, complete=complete, accepted=Accepted(statuses=accepted or {}), since_baseline=baseline
    )


NOTHING_NEW, NEW_SYNC, NEW_ERROR, NEW_UNKNOWN = (
    since(),
    since(needs_sync=1),
    since(needs_sync=1, errors=1),
    since(unknown=1),
)


@pytest.mark.parametrize(
    ("found", "fail_on", "baseline", "status"),
    [
        (0, "any", None, RUN[OK]),
        (3, "any", None, RUN[NEEDS_SYNC]),
        (4, "any", None, RUN[INCOMPLETE]),
        (3, "any", NOTHING_NEW, RUN[NEEDS_SYNC]),
        (4, "any", NOTHING_NEW, RUN[INCOMPLETE]),
        (0, "never", None, RUN[OK]),
        (3, "never", None, FAIL_ON[OK]),
        (3, "never", NEW_SYNC, FAIL_ON[OK]),
        (4, "never", NOTHING_NEW, RUN[INCOMPLETE]),
        (0, "new", NOTHING_NEW, RUN[OK]),
        (3, "new", NOTHING_NEW, FAIL_ON[OK]),
        (3, "new", NEW_SYNC, FAIL_ON[NEEDS_SYNC]),
        (4, "new", NOTHING_NEW, FAIL_ON[OK]),
        (4, "new", NEW_SYNC, FAIL_ON[NEEDS_SYNC]),
        (4, "new", NEW_ERROR, FAIL_ON[INCOMPLETE]),
        (4, "new", NEW_UNKNOWN, FAIL_ON[INCOMPLETE]),
    ],
)
def test_a_complete_run_ends_as_the_rule_says(
    found: int, fail_on: FailOn, baseline: SinceBaseline | None, status: ExitStatus
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
        (0, "new", NOTHING_NEW, ACCEPTED[OK]),
        (3, "new", NEW_SYNC, FAIL_ON[NEEDS_SYNC]),
        (3, "new", NOTHING_NEW, FAIL_ON[OK]),
        (4, "new", NOTHING_NEW, FAIL_ON[OK]),
        (4, "new", NEW_ERROR, FAIL_ON[INCOMPLETE]),
    ],
)
def test_what_is_accepted_counts_as_if_it_were_not_there(
    found: int, fail_on: FailOn, baseline: SinceBaseline | None, status: ExitStatus
) -> None:
    assert run_exit_status(result(found, baseline, accepted=BOTH), fail_on) == status


@pytest.mark.parametrize("accepted", [None, BOTH], ids=["nothing accepted", "some accepted"])
@pytest.mark.parametrize(("found", "code"), [(0, 0), (3, 0), (4, 4)])
def test_exit_zero_makes_three_zero_and_nothing_else(found: int, code: int, accepted: dict[Status, int] | None) -> None:
    assert run_exit_status(result(found, accepted=accepted), "any", exit_zero=True).code == code


def test_exit_zero_goes_for_new_ones_too() -> None:
    assert run_exit_status(result(3, NEW_SYNC), "new", exit_zero=True) == EXIT_ZERO[OK]


@pytest.mark.parametrize("fail_on", ["any", "new", "never"])
def test_an_incomplete_run_is_never_anything_else(fail_on: FailOn) -> None:
    for found in (0, 3, 4):
        assert (
            run_exit_status(result(found, NOTHING_NEW, complete=False, accepted=BOTH), fail_on, exit_zero=True).code
            == 4
        )


def in_state(reason: Reason, state: BaselineState | None, *, accepted: bool = False) -> AuditedUser:
    entry = Acceptance(user="anna", reason=reason, because="leaves", until="2026-12-31") if accepted else None
    return AuditedUser(record(), finding(reason), state, entry)


def test_the_counts_since_the_baseline_are_what_is_new_and_what_nobody_knows() -> None:
    found = since_baseline(
        [
            in_state(Reason.OUTDATED_VERSION, "new"),
            in_state(Reason.OUTDATED_VERSION, "known"),
            in_state(Reason.MODEL_NOT_FOUND, "new"),
            in_state(Reason.NO_VERSIONS, "known"),
            in_state(Reason.TIMEOUT, "known"),
            in_state(Reason.SERVER_ERROR, "new"),
            in_state(Reason.STOPPED, None),
            in_state(Reason.LATEST_VERSION, "resolved"),
            in_state(Reason.LATEST_VERSION, None),
        ]
    )
    assert found == SinceBaseline(states={"new": 3, "known": 3, "resolved": 1}, needs_sync=1, errors=1, unknown=3)


def test_the_counts_since_the_baseline_have_the_states_of_what_is_accepted_and_nothing_else_of_it() -> None:
    reasons = (Reason.OUTDATED_VERSION, Reason.MODEL_NOT_FOUND, Reason.TIMEOUT)
    found = since_baseline([in_state(reason, "new", accepted=True) for reason in reasons])
    assert found == SinceBaseline(states={"new": 3, "known": 0, "resolved": 0}, needs_sync=0, errors=0, unknown=0)


@pytest.mark.parametrize("fail_on", ["any", "new", "never"])
@pytest.mark.parametrize(
    ("changes", "allowed", "status"),
    [
        ({}, False, NOBODY[INCOMPLETE]),
        ({}, True, NOBODY[OK]),
        ({"part": True, "empty_shard": True}, False, NOBODY[OK]),
        ({"complete": False}, True, RUN[INCOMPLETE]),
        ({"complete": False, "empty_shard": True}, True, RUN[INCOMPLETE]),
    ],
    ids=["nobody", "allowed", "empty shard", "ended early", "shard that ended early"],
)
def test_nobody_is_not_everybody(
    changes: dict[str, bool], status: ExitStatus, fail_on: FailOn, *, allowed: bool
) -> None:
    nobody = RunResult(**({"summary": Summary(dict.fromkeys(Status, 0), {}, {}), "complete": True} | changes))  # type: ignore[arg-type]
    assert run_exit_status(nobody, fail_on, exit_zero=True, allow_empty=allowed) == status


@pytest.mark.parametrize(
    ("found", "fail_on", "meaning"),
    [
        (0, "any", PART[OK].meaning),
        (3, "any", PART[NEEDS_SYNC].meaning),
        (4, "any", PART[INCOMPLETE].meaning),
        (3, "never", f"only a part of the users was checked: {FAIL_ON[OK].meaning}"),
    ],
)
def test_a_narrowed_run_says_so_in_the_last_line(found: int, fail_on: FailOn, meaning: str) -> None:
    status = run_exit_status(replace(result(found), part=True), fail_on)
    assert (status.code, status.meaning) == (0 if fail_on == "never" else found, meaning)
