"""The rate limit that all workers share: when the next request may be sent. Given the time; never waits itself.

Written here because none of the well-kept limiters does what a guest on somebody's rate limit needs: aiolimiter is
a leaky bucket that starts full and so begins with a burst of a whole minute's requests, and neither it nor its kin
knows a pause that all workers share or a rate that follows the server's `ratelimit-remaining`.

Nothing that a server says makes anybody wait for more than `LONGEST_WAIT` at a time.
"""

from audit.replicate.retry import LONGEST_WAIT

CATCH_UP = 0.1
"""Seconds of lost time that may be made up for at once. Timers wake late by a millisecond or so each time; without
this the rate used would be some percent below the rate allowed, with more of it there would be bursts."""
SHORTEST_PAUSE = 1.0
"""Seconds. What was in flight when the first 429 came will be refused too, and tells nothing new."""
SLOWDOWN = 2.0
SLOWEST = 32.0
RECOVERY = 0.9
ANSWERS_PER_STEP = 20
"""Each 429 outside a pause doubles the spacing, up to 32 times; every 20 good answers take a tenth off again."""


class RateLimit:
    """Evenly spaced turns at `per_minute`, slower while the server is short of allowance or says 429.

    All times are seconds of one monotonic clock.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self._interval = 60.0 / per_minute
        self._next = now
        self._paused_until = now
        self._factor = 1.0
        self._good_answers = 0
        self._largest_remaining = 0
        self._used_up_until = now
        self._spread = 0.0
        self._spread_until = now

    def reserve(self, now: float) -> float:
        """Take the next turn; returns the seconds until it, 0 or less where it is already due."""
        turn = max(self._next, now - CATCH_UP, self._paused_until, self._used_up_until)
        self._next = self._following(turn, now)
        return turn - now

    def waiting(self, now: float) -> float:
        """Seconds for which the server wants no request: because of a 429, or because it has said that none is left.

        A worker whose turn came while it slept must look here, and take a new turn if it is more than 0.
        """
        return max(0.0, self._paused_until - now, self._used_up_until - now)

    def throttled(self, now: float, wait: float) -> None:
        """Record a 429: nobody sends for `wait` seconds."""
        if now >= self._paused_until:  # the others of the same moment say nothing new
            self._factor = min(SLOWEST, self._factor * SLOWDOWN)
        self._good_answers = 0
        self._paused_until = max(self._paused_until, now + min(max(wait, SHORTEST_PAUSE), LONGEST_WAIT))

    def answered(self, now: float, remaining: int | None, reset: float | None) -> None:
        """An answer other than 429 came, with `ratelimit-remaining` and `ratelimit-reset` (seconds) if it had them."""
        self._good_answers += 1
        if self._good_answers >= ANSWERS_PER_STEP:
            self._good_answers = 0
            self._factor = max(1.0, self._factor * RECOVERY)
        if remaining is None or reset is None:
            return
        self._largest_remaining = max(self._largest_remaining, remaining)
        reset = min(reset, LONGEST_WAIT)
        if remaining < self._largest_remaining / 5 or remaining == 0:
            self._spread = reset / max(remaining, 1)
            self._spread_until = now + reset
        else:
            self._spread = 0.0
        self._used_up_until = min(self._used_up_until, now) if remaining else now + reset

    def _following(self, turn: float, now: float) -> float:
        """The turn after `turn`: at the usual distance, or, until the limit is reset, at that of what is left of it."""
        usual = turn + max(self._interval, min(self._interval * self._factor, LONGEST_WAIT))
        if max(turn, now) >= self._spread_until:
            return usual
        return max(usual, min(turn + self._spread, self._spread_until))
