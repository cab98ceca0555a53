"""The account's limit: so many requests a minute, in a bucket that fills evenly, and the headers that tell of it."""

from collections.abc import Callable

import msgspec

_MINUTE = 60_000_000_000
"""In nanoseconds; also what one request costs, so that all reckoning is exact in integers."""


class Rate(msgspec.Struct, frozen=True):
    """`per_minute` requests, evenly spread, and `burst` at once after a rest."""

    per_minute: int
    burst: int


class Bucket:
    """Enforces a rate exactly: over any span of t seconds it lets at most burst + t * per_minute / 60 requests pass.

    `clock` gives seconds that never run backwards.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._filled_at = self._window_from = self._now()
        self._level = rate.burst * _MINUTE
        self._used = 0

    def take(self) -> int:
        """0 where the request may pass, else the whole seconds, rounded up, until the next one may."""
        self._refill()
        if self._level < _MINUTE:
            lacking = _MINUTE - self._level
            return max(1, -(-lacking // (self._rate.per_minute * 1_000_000_000)))
        self._level -= _MINUTE
        self._used += 1
        return 0

    def spend(self, requests: int) -> None:
        """Somebody else of the same account sends this many: the product that lives on the same limit."""
        self._refill()
        self._level = max(0, self._level - requests * _MINUTE)
        self._used += requests

    def remaining(self) -> tuple[int, int]:
        """What is left of this minute's requests, and the seconds until the next minute: `ratelimit-*`."""
        self._refill()
        left = max(0, self._rate.per_minute - self._used)
        return left, -(-(self._window_from + _MINUTE - self._filled_at) // 1_000_000_000)

    def _refill(self) -> None:
        now = self._now()
        self._level = min(self._rate.burst * _MINUTE, self._level + (now - self._filled_at) * self._rate.per_minute)
        self._filled_at = now
        minutes = (now - self._window_from) // _MINUTE
        if minutes:
            self._window_from += minutes * _MINUTE
            self._used = 0

    def _now(self) -> int:
        return round(self._clock() * 1e9)
