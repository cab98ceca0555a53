"""Whether and when to ask again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.model.codes import FailureReason, Reason
from audit.replicate.retry import LONGEST_WAIT, RetryPolicy

PASSING: list[FailureReason] = [Reason.RATE_LIMITED, Reason.SERVER_ERROR, Reason.TIMEOUT, Reason.NETWORK_ERROR]
LASTING: list[FailureReason] = [Reason.UNAUTHORIZED, Reason.FORBIDDEN, Reason.REJECTED, Reason.BAD_RESPONSE]
POLICY = RetryPolicy(retries=4, base=1.0)


@pytest.mark.parametrize("reason", PASSING)
def test_what_may_pass_is_tried_as_often_as_allowed(reason: FailureReason) -> None:
    waits = [POLICY.wait(attempt, reason, None, 0.5) for attempt in range(1, 6)]
    assert waits == [0.5, 1.0, 2.0, 4.0, None]


@pytest.mark.parametrize("reason", LASTING)
def test_what_will_not_pass_is_not_tried_again(reason: FailureReason) -> None:
    assert POLICY.wait(1, reason, 5.0, 0.5) is None


@pytest.mark.parametrize(
    ("attempt", "asked", "jitter", "wait"),
    [
        pytest.param(1, None, 0.0, 0.0, id="full jitter begins at nothing"),
        pytest.param(3, None, 0.99, 3.96, id="and goes up to the whole back-off"),
        pytest.param(1, 5.0, 0.5, 5.0, id="at least what the server asked"),
        pytest.param(4, 1.0, 0.5, 4.0, id="more where the back-off is more"),
        pytest.param(1, 600.0, 0.5, LONGEST_WAIT, id="never more than a minute"),
    ],
)
def test_the_wait_is_the_longer_of_back_off_and_what_was_asked(
    attempt: int, asked: float | None, jitter: float, wait: float
) -> None:
    assert POLICY.wait(attempt, Reason.SERVER_ERROR, asked, jitter) == pytest.approx(wait)


def test_unless_told_otherwise_there_are_four_retries_and_waits_from_one_second_to_a_minute() -> None:
    assert [RetryPolicy().wait(attempt, Reason.TIMEOUT, None, 1.0) for attempt in range(1, 6)] == [1, 2, 4, 8, None]
    assert RetryPolicy(retries=9).wait(8, Reason.TIMEOUT, None, 1.0) == LONGEST_WAIT == 60.0


def test_no_retries_means_one_attempt() -> None:
    assert RetryPolicy(retries=0).wait(1, Reason.TIMEOUT, None, 0.5) is None


@given(
    st.integers(1, 10_000),
    st.sampled_from(PASSING),
    st.none() | st.floats(0, 1e9),
    st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_never_negative_nor_longer_than_a_minute(
    attempt: int, reason: FailureReason, asked: float | None, jitter: float
) -> None:
    wait = RetryPolicy(retries=20_000).wait(attempt, reason, asked, jitter)
    assert wait is not None
    assert 0 <= wait <= LONGEST_WAIT
