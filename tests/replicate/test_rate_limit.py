"""The rate limit that all workers share, in made-up time."""

import random

import pytest

from audit.replicate.rate_limit import CATCH_UP, RateLimit
from audit.replicate.retry import LONGEST_WAIT
from tests.support.instrumented_replicate import Bucket, Rate


def turns(rate_limit: RateLimit, now: float, count: int) -> list[float]:
    return [now + rate_limit.reserve(now) for _ in range(count)]


def test_turns_are_evenly_spaced_from_the_first_on() -> None:
    assert turns(RateLimit(3000, 100.0), 100.0, 4) == pytest.approx([100.0, 100.02, 100.04, 100.06])


def test_idle_time_is_not_saved_up_for_a_burst() -> None:
    rate_limit = RateLimit(600, 0.0)
    due = [turn for turn in turns(rate_limit, 60.0, 50) if turn <= 60.0]
    assert len(due) == 1 + CATCH_UP / 0.1


def test_a_worker_that_woke_late_does_not_lower_the_rate() -> None:
    rate_limit = RateLimit(6000, 0.0)
    now, sent = 0.0, 0
    while now < 10.0:
        now += max(0.0, rate_limit.reserve(now)) + 0.004  # each timer 4 ms late, with one worker
        sent += 1
    assert sent >= 0.97 * 1000


def test_a_429_holds_up_everybody_for_as_long_as_it_says() -> None:
    rate_limit = RateLimit(60_000, 0.0)
    rate_limit.throttled(0.0, 5.0)
    assert rate_limit.waiting(1.0) == 4.0
    assert min(turns(rate_limit, 1.0, 3)) == 5.0
    assert rate_limit.waiting(5.0) == 0.0


def test_a_pause_lasts_a_second_at_least() -> None:
    rate_limit = RateLimit(60, 0.0)
    rate_limit.throttled(0.0, 0.0)
    assert rate_limit.waiting(0.0) == 1.0


def test_429s_of_one_moment_slow_down_once_and_later_ones_again() -> None:
    rate_limit = RateLimit(60, 0.0)
    for _ in range(10):
        rate_limit.throttled(0.0, 1.0)
    first, second = turns(rate_limit, 1.0, 2)
    assert second - first == 2.0
    rate_limit.throttled(10.0, 1.0)
    first, second = turns(rate_limit, 11.0, 2)
    assert second - first == 4.0


def test_after_a_429_the_pace_recovers_step_by_step() -> None:
    rate_limit = RateLimit(60, 0.0)
    rate_limit.throttled(0.0, 1.0)
    spacings = []
    for step in range(8):
        now = 1000.0 * (step + 1)
        first, second = turns(rate_limit, now, 2)
        spacings.append(round(second - first, 3))
        for _ in range(20):
            rate_limit.answered(now, None, None)
    assert spacings[0] == 2.0
    assert spacings == sorted(spacings, reverse=True)
    assert spacings[1] == 1.8
    assert spacings[-1] == 1.0


def spacing_after(rate_limit: RateLimit, answers: int) -> float:
    for _ in range(answers):
        rate_limit.answered(500.0, None, None)
    first, second = turns(rate_limit, 500.0, 2)
    return second - first


@pytest.mark.parametrize(("answers", "spacing"), [(19, 2.0), (20, 1.8), (39, 1.8), (40, 1.62)])
def test_each_step_takes_twenty_good_answers_in_a_row(answers: int, spacing: float) -> None:
    rate_limit = RateLimit(60, 0.0)
    rate_limit.throttled(0.0, 1.0)
    assert spacing_after(rate_limit, answers) == pytest.approx(spacing)


def test_good_answers_before_a_429_count_for_nothing_after_it() -> None:
    rate_limit = RateLimit(60, 0.0)
    assert spacing_after(rate_limit, 19) == 1.0
    rate_limit.throttled(600.0, 1.0)
    rate_limit.answered(700.0, None, None)
    first, second = turns(rate_limit, 700.0, 2)
    assert second - first == 2.0


UNREADABLE = [(None, 12.0), (5, None), (None, None), (10**9, 12.0), (5, 1e18), (0, 86_400.0), (0, 1e300)]


@pytest.mark.parametrize(("remaining", "reset"), UNREADABLE)
@pytest.mark.parametrize("left", [0, 5, None])
def test_half_a_statement_about_the_limit_and_one_that_cannot_be_true_say_nothing(
    remaining: int | None, reset: float | None, left: int | None
) -> None:
    rate_limit = RateLimit(3000, 0.0)
    for _ in range(30):
        rate_limit.answered(0.0, remaining, reset)
    assert [rate_limit.reserve(0.0, left) for _ in range(3)] == pytest.approx([0.0, 0.02, 0.04])
    assert rate_limit.waiting(0.0) == 0


def test_at_the_very_moment_of_the_reset_the_pace_is_the_usual_one() -> None:
    rate_limit = RateLimit(3000, 0.0)
    rate_limit.answered(0.0, 100, 60.0)
    rate_limit.answered(0.0, 10, 12.0)
    first, second = turns(rate_limit, 12.0, 2)
    assert second - first == pytest.approx(0.02)


def test_the_pace_never_slows_down_without_end() -> None:
    rate_limit = RateLimit(60, 0.0)
    for hour in range(100):
        rate_limit.throttled(3600.0 * hour, 1.0)
    first, second = turns(rate_limit, 1e6, 2)
    assert second - first == 32.0


def test_what_is_left_of_a_small_limit_is_spread_over_the_time_until_it_is_reset_but_for_a_fifth() -> None:
    rate_limit = RateLimit(2400, 0.0)
    rate_limit.answered(0.0, 499, 60.0)
    first, second = turns(rate_limit, 0.0, 2)
    assert second - first == pytest.approx(60 / 399, rel=0.01)


def test_a_limit_that_is_used_up_is_waited_for() -> None:
    rate_limit = RateLimit(3000, 0.0)
    rate_limit.answered(0.0, 100, 60.0)
    rate_limit.answered(0.0, 0, 12.0)
    assert turns(rate_limit, 0.0, 2) == pytest.approx([12.0, 12.02])


def test_once_the_limit_is_reset_the_pace_is_the_usual_one() -> None:
    rate_limit = RateLimit(3000, 0.0)
    rate_limit.answered(0.0, 100, 60.0)
    rate_limit.answered(0.0, 10, 12.0)
    first, second = turns(rate_limit, 13.0, 2)
    assert second - first == pytest.approx(0.02)
    rate_limit.answered(13.0, 10, 12.0)
    rate_limit.answered(13.1, 100, 60.0)
    first, second = turns(rate_limit, 14.0, 2)
    assert second - first == pytest.approx(0.02)


def test_a_bucket_with_plenty_left_changes_nothing() -> None:
    rate_limit = RateLimit(3000, 0.0)
    rate_limit.answered(0.0, 100, 2.0)
    rate_limit.answered(0.0, 21, 2.0)
    first, second = turns(rate_limit, 0.0, 2)
    assert second - first == pytest.approx(0.02)


LONG = [61, 600, 3600]
LONG_WAITS = [*LONG, 60_000, 86_400_000, 999_999_999, 1_772_366_400, 1_772_366_400_000, 1e300]


@pytest.mark.parametrize("remaining", [0, 1, 5, 19])
@pytest.mark.parametrize("reset", LONG)
def test_nobody_waits_longer_than_a_minute_for_a_limit_to_be_reset(reset: float, remaining: int) -> None:
    rate_limit = RateLimit(6000, 0.0)
    rate_limit.answered(0.0, 100, 60.0)
    rate_limit.answered(0.0, remaining, reset)
    assert max(turns(rate_limit, 0.0, 30)) <= LONGEST_WAIT + 1
    assert rate_limit.waiting(0.0) == (0 if remaining else LONGEST_WAIT)
    first, second = turns(rate_limit, 70.0, 2)
    assert second - first == pytest.approx(0.01)


def test_a_limit_that_is_used_up_before_anything_else_was_said_is_waited_for_too() -> None:
    rate_limit = RateLimit(6000, 0.0)
    rate_limit.answered(0.0, 0, 30.0)
    assert rate_limit.waiting(10.0) == 20.0
    assert turns(rate_limit, 0.0, 3) == pytest.approx([30.0, 30.01, 30.02])


def test_a_turn_that_was_free_when_the_limit_was_used_up_is_waited_for_too() -> None:
    rate_limit = RateLimit(6000, 0.0)
    taken = turns(rate_limit, 0.0, 3)
    rate_limit.answered(0.02, 0, 1e3)
    assert turns(rate_limit, 0.02, 2) == pytest.approx([LONGEST_WAIT + 0.02, LONGEST_WAIT + 0.03])
    assert max(taken) == 0.02


def test_an_answer_with_something_left_ends_the_wait() -> None:
    rate_limit = RateLimit(6000, 0.0)
    rate_limit.answered(0.0, 0, 30.0)
    rate_limit.answered(1.0, 100, 60.0)
    assert rate_limit.waiting(1.0) <= 0


@pytest.mark.parametrize("wait", LONG_WAITS)
def test_a_429_holds_up_nobody_for_longer_than_a_minute(wait: float) -> None:
    rate_limit = RateLimit(6000, 0.0)
    rate_limit.throttled(0.0, wait)
    assert rate_limit.waiting(0.0) == LONGEST_WAIT


def test_slow_turns_are_no_further_apart_than_a_minute_or_as_far_as_was_asked_for() -> None:
    for per_minute, apart in ((10, 60.0), (1, 60.0), (0.5, 120.0)):
        rate_limit = RateLimit(per_minute, 0.0)
        for hour in range(10):
            rate_limit.throttled(3600.0 * hour, 1.0)
        first, second = turns(rate_limit, 1e6, 2)
        assert second - first == apart


def simulated(per_minute: int, enforced: Rate, seconds: float, late: float) -> tuple[int, int]:
    """Requests passed and refused when turns are taken one after another, timers late by up to `late` seconds."""
    now = 0.0
    rate_limit, dice = RateLimit(per_minute, now), random.Random(7)
    bucket = Bucket(enforced, lambda: now)
    passed = refused = 0
    while now < seconds:
        now += max(0.0, rate_limit.reserve(now)) + dice.uniform(0, late)
        if bucket.take() == 0:
            passed += 1
        else:
            refused += 1
    return passed, refused


@pytest.mark.parametrize("late", [0.0, 0.001, 0.015])
def test_a_server_that_enforces_the_very_same_rate_never_says_429_and_is_used_to_97_percent(late: float) -> None:
    passed, refused = simulated(3000, Rate(3000, 60), 300.0, late)
    assert refused == 0
    assert passed >= 0.97 * 300 * 50


def test_a_pause_of_the_machine_makes_no_burst() -> None:
    passed, refused = simulated(3000, Rate(3000, 8), 60.0, 0.1)
    assert refused == 0
    assert passed > 500
