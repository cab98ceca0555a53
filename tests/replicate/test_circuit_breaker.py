"""When it no longer makes sense to ask."""

import pytest

from audit.model.codes import FailureReason, Reason
from audit.model.replies import Failed, Missing, NoVersions, Reply
from audit.replicate.retry import DOWN_AFTER, REFUSED_AFTER, CircuitBreaker, Judgement
from tests.support.samples import NEW, found

GOOD: Reply = found(NEW)


def failed(reason: FailureReason) -> Reply:
    return Failed(reason, "")


def judgements(health: CircuitBreaker, *replies: Reply) -> list[Judgement]:
    return [health.judge(reply) for reply in replies]


def test_a_token_that_is_refused_first_of_all_is_refused() -> None:
    assert CircuitBreaker(token_works=False).judge(failed(Reason.UNAUTHORIZED)) == "refused"


@pytest.mark.parametrize("before", [GOOD, Missing(), NoVersions(), failed(Reason.FORBIDDEN)], ids=repr)
def test_a_single_401_after_any_other_answer_is_one_models(before: Reply) -> None:
    assert judgements(CircuitBreaker(token_works=False), before, failed(Reason.UNAUTHORIZED)) == ["fine", "fine"]


def test_a_failure_of_the_service_says_nothing_about_the_token() -> None:
    health = CircuitBreaker(token_works=False)
    assert judgements(health, failed(Reason.TIMEOUT), failed(Reason.UNAUTHORIZED)) == ["fine", "refused"]


def test_a_token_that_worked_before_the_service_failed_has_worked_all_the_same() -> None:
    health = CircuitBreaker(token_works=True)
    assert judgements(health, failed(Reason.TIMEOUT), failed(Reason.UNAUTHORIZED)) == ["fine", "fine"]


def test_so_many_are_the_answers_that_decide() -> None:
    assert (DOWN_AFTER, REFUSED_AFTER) == (50, 3)


def test_a_token_that_worked_is_revoked_after_three_401_in_a_row() -> None:
    health = CircuitBreaker(token_works=True)
    refusals = [failed(Reason.UNAUTHORIZED)] * REFUSED_AFTER
    assert judgements(health, *refusals) == ["fine", "fine", "refused"]


def test_another_answer_in_between_begins_the_count_of_401_anew() -> None:
    health = CircuitBreaker(token_works=True)
    refusal = failed(Reason.UNAUTHORIZED)
    assert set(judgements(health, refusal, refusal, GOOD, refusal, refusal)) == {"fine"}


@pytest.mark.parametrize(
    "reason",
    [Reason.TIMEOUT, Reason.NETWORK_ERROR, Reason.SERVER_ERROR, Reason.RATE_LIMITED, Reason.BAD_RESPONSE],
)
def test_fifty_failures_in_a_row_mean_the_service_is_down(reason: FailureReason) -> None:
    health = CircuitBreaker(token_works=True)
    assert set(judgements(health, *[failed(reason)] * (DOWN_AFTER - 1))) == {"fine"}
    assert health.judge(failed(reason)) == "down"


@pytest.mark.parametrize("reply", [GOOD, Missing(), failed(Reason.FORBIDDEN), failed(Reason.REJECTED)], ids=repr)
def test_any_answer_about_a_model_begins_the_count_anew(reply: Reply) -> None:
    health = CircuitBreaker(token_works=True)
    failures = [failed(Reason.SERVER_ERROR)] * (DOWN_AFTER - 1)
    assert set(judgements(health, *failures, reply, *failures)) == {"fine"}


def test_after_a_recovery_the_count_begins_anew() -> None:
    health = CircuitBreaker(token_works=True)
    failures = [failed(Reason.SERVER_ERROR)] * (DOWN_AFTER - 1)
    judgements(health, *failures)
    health.recovered()
    assert set(judgements(health, *failures)) == {"fine"}
