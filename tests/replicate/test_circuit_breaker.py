"""When it no longer makes sense to ask."""

import pytest

from audit.model.codes import FailureReason, Reason
from audit.model.replies import Failed, Missing, NoVersions, Reply
from audit.replicate.retry import OPEN_AFTER, REFUSED_AFTER, BreakerState, CircuitBreaker
from tests.support.samples import NEW, found

GOOD: Reply = found(NEW)


def failed(reason: FailureReason) -> Reply:
    return Failed(reason, "")


def states(breaker: CircuitBreaker, *replies: Reply) -> list[BreakerState]:
    return [breaker.record(reply) for reply in replies]


def test_a_token_that_is_refused_first_of_all_is_refused() -> None:
    assert CircuitBreaker(token_works=False).record(failed(Reason.UNAUTHORIZED)) == "refused"


@pytest.mark.parametrize("before", [GOOD, Missing(), NoVersions(), failed(Reason.FORBIDDEN)], ids=repr)
def test_a_single_401_after_any_other_answer_is_one_models(before: Reply) -> None:
    assert states(CircuitBreaker(token_works=False), before, failed(Reason.UNAUTHORIZED)) == ["closed", "closed"]


def test_a_failure_of_the_service_says_nothing_about_the_token() -> None:
    breaker = CircuitBreaker(token_works=False)
    assert states(breaker, failed(Reason.TIMEOUT), failed(Reason.UNAUTHORIZED)) == ["closed", "refused"]


def test_a_token_that_worked_before_the_service_failed_has_worked_all_the_same() -> None:
    breaker = CircuitBreaker(token_works=True)
    assert states(breaker, failed(Reason.TIMEOUT), failed(Reason.UNAUTHORIZED)) == ["closed", "closed"]


def test_so_many_are_the_answers_that_decide() -> None:
    assert (OPEN_AFTER, REFUSED_AFTER) == (50, 3)


def test_a_token_that_worked_is_revoked_after_three_401_in_a_row() -> None:
    breaker = CircuitBreaker(token_works=True)
    refusals = [failed(Reason.UNAUTHORIZED)] * REFUSED_AFTER
    assert states(breaker, *refusals) == ["closed", "closed", "refused"]


def test_another_answer_in_between_begins_the_count_of_401_anew() -> None:
    breaker = CircuitBreaker(token_works=True)
    refusal = failed(Reason.UNAUTHORIZED)
    assert set(states(breaker, refusal, refusal, GOOD, refusal, refusal)) == {"closed"}


@pytest.mark.parametrize(
    "reason",
    [Reason.TIMEOUT, Reason.NETWORK_ERROR, Reason.SERVER_ERROR, Reason.RATE_LIMITED, Reason.BAD_RESPONSE],
)
def test_fifty_failures_in_a_row_mean_the_service_is_down(reason: FailureReason) -> None:
    breaker = CircuitBreaker(token_works=True)
    assert set(states(breaker, *[failed(reason)] * (OPEN_AFTER - 1))) == {"closed"}
    assert breaker.record(failed(reason)) == "open"


@pytest.mark.parametrize("reply", [GOOD, Missing(), failed(Reason.FORBIDDEN), failed(Reason.REJECTED)], ids=repr)
def test_any_answer_about_a_model_begins_the_count_anew(reply: Reply) -> None:
    breaker = CircuitBreaker(token_works=True)
    failures = [failed(Reason.SERVER_ERROR)] * (OPEN_AFTER - 1)
    assert set(states(breaker, *failures, reply, *failures)) == {"closed"}


def test_after_a_recovery_the_count_begins_anew() -> None:
    breaker = CircuitBreaker(token_works=True)
    failures = [failed(Reason.SERVER_ERROR)] * (OPEN_AFTER - 1)
    states(breaker, *failures)
    breaker.close()
    assert set(states(breaker, *failures)) == {"closed"}
