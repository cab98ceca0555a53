"""The rate limit that all workers share: when the next request may be sent. Given the time; never waits itself.

What is still to be asked goes at once where it fits into what the account has left of this minute, with what its
product needs until the next one kept for it (`Allowance`). Else turns are evenly spaced at the rate that was chosen, or
at what the server leaves of it. In no minute are there more turns than that rate.

Written here because none of the well-kept limiters does what a guest on somebody's rate limit needs: aiolimiter is
a leaky bucket that starts full and so begins with a burst of a whole minute's requests, and neither it nor its kin
knows a pause that all workers share or a rate that follows the server's `ratelimit-remaining`.

Nothing that a server says makes anybody wait for more than `LONGEST_WAIT` at a time.
"""

import math
from collections import deque
from typing import NamedTuple

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
MINUTE = 60.0
LIMIT = 3000
"""Requests a minute that an account has, as https://replicate.com/docs/topics/predictions/rate-limits says."""
PRODUCT = 0.2
"""Share of the limit that is left to the account's product, which polls its predictions on the same limit."""
LONGEST_RESET, LARGEST_REMAINING = 3600.0, 1_000_000
"""Seconds and requests. Headers that say more are not about this limit, and are as good as none."""
BELIEVED = 3.0
"""Seconds of watching the others after which what is seen counts as much as what was expected of them."""
CAUTION = 1.05
"""Times what the others are reckoned to take."""
SHORT = 5.0
"""Seconds. Windows that are over sooner are buckets that are full again by then."""
MOST_IN_VAIN = 2
"""Waits for a window's end after which headers that go on to contradict themselves are as good as none."""
SLOWEST_OF_SOME = 1.0
"""Seconds between two turns, where the others seem to need all that is left: whether they do only answers can tell."""


class Sent(NamedTuple):
    """A request that was sent: its number, from 1, and when."""

    number: int
    at: float


class RateLimit:
    """Turns at `per_minute`, all at once where they fit into the account's allowance; slower after a 429.

    All times are seconds of one monotonic clock.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self._interval = MINUTE / per_minute
        self._next = now
        self._paused_until = now
        self._factor = 1.0
        self._refused = False
        self._good_answers = 0
        self._minute = _LastMinute(max(1, math.floor(per_minute)))
        self._allowance = Allowance(per_minute)
        self.sent = 0
        """Requests so far."""

    def reserve(self, now: float, left: int | None = None) -> float:
        """Take the next turn; returns the seconds until it, 0 or less where it is already due.

        Who takes one `send`s in it before anybody takes the next one: what is heard meanwhile counts for that.
        `left` is how many questions there will be after this one, where that is known.
        """
        self._allowance.roll(now, self.sent)
        earliest = max(self._paused_until, self._allowance.used_up_until, self._minute.free_at(now))
        if self._at_once(now, left):
            turn = max(now, earliest)
            self._next = turn + self._interval
        else:
            turn = max(self._next, now - CATCH_UP, earliest)
            self._next = self._following(turn, now)
        return turn - now

    def send(self, now: float) -> Sent:
        """The request of the turn that was taken is sent."""
        self.sent += 1
        self._minute.add(now)
        return Sent(self.sent, now)

    def waiting(self, now: float) -> float:
        """Seconds for which the server wants no request: because of a 429, or because it leaves none for us.

        A worker whose turn came while it slept must look here, and take a new one where it is more than 0.
        """
        return max(0.0, self._paused_until - now, self._allowance.used_up_until - now)

    def last_minute(self, now: float) -> int:
        """Requests within the last minute; never more than there may be. Another thread may ask."""
        return self._minute.count(now)

    def throttled(self, now: float, wait: float) -> None:
        """Record a 429: nobody sends for `wait` seconds. What the headers promise counts for nothing any more."""
        if now >= self._paused_until:  # the others of the same moment say nothing new
            self._factor = min(SLOWEST, self._factor * SLOWDOWN)
        self._refused = True
        self._good_answers = 0
        self._paused_until = max(self._paused_until, now + min(max(wait, SHORTEST_PAUSE), LONGEST_WAIT))

    def answered(self, now: float, remaining: int | None, reset: float | None, request: Sent | None = None) -> None:
        """An answer other than 429 came, with `ratelimit-remaining` and `ratelimit-reset` (seconds) if it had them.

        `request` is what it answers; None is the last one, sent just now.
        """
        self._good_answers += 1
        if self._good_answers >= ANSWERS_PER_STEP:
            self._good_answers = 0
            self._factor = max(1.0, self._factor * RECOVERY)
        if remaining is None or reset is None or reset > LONGEST_RESET or remaining > LARGEST_REMAINING:
            return
        request = request or Sent(self.sent, now)
        self._allowance.heard(now, remaining, reset, request, self.sent)

    def _at_once(self, now: float, left: int | None) -> bool:
        if left is None or self._refused:
            return False
        return left < self._minute.left(now) and left < self._allowance.for_a_burst(now, self.sent)

    def _following(self, turn: float, now: float) -> float:
        """The turn after `turn`: at the usual distance, or further away where the allowance wants it."""
        usual = turn + max(self._interval, min(self._interval * self._factor, LONGEST_WAIT))
        return max(usual, self._allowance.following(turn, now, self.sent + 1))


class Allowance:
    """What an account has left, as the headers of answers tell, and how much of that is not ours.

    Replicate counts by fixed windows of a minute: `remaining` falls with each request of anybody, and is back at the
    limit when `reset` seconds are over. What is gone of it although we did not take it the others of the account took,
    and they are reckoned to go on as they did; what they need until the reset is theirs, and at least their share.
    Where `remaining` is too small to be that limit's, the limit is another one, and nothing is known of others.

    What fills up again all the time, as a bucket does, has no end that could be waited for: what is left of it is
    spread over the time until the reset once it is little.
    """

    def __init__(self, per_minute: float) -> None:
        self._per_minute = per_minute
        self.used_up_until = -math.inf
        """When there will be something for us again."""
        self._limit = 0
        self._is_known = False
        """The limit is Replicate's usual one, or a larger one."""
        self._longest = 0.0
        """Seconds that were left of a window, at most."""
        self._goes_back = False
        """`reset` has grown in the middle of a window, which therefore is none."""
        self._distrusted = False
        """Nothing that the headers say counts any more."""
        self._waits_in_vain = 0
        self._remaining = 0
        self._heard = 0
        """The number of the request whose answer said so."""
        self._before = 0
        """The number of the last request that was sent before this window."""
        self._ends = -math.inf
        """When the window is over at the latest."""
        self._others = _Others()

    def heard(self, now: float, remaining: int, reset: float, request: Sent, sent: int) -> None:
        """The answer to `request`, since which `sent` in all were sent, told so much."""
        self.roll(now, sent)
        if self._distrusted or request.number < self._before:
            return
        if self._in_vain(now, remaining, request):
            # This is another limit than was thought, or none at all.
            self._is_known, self._limit = False, 0
            self._waits_in_vain += 1
            if remaining == 0 or self._waits_in_vain >= MOST_IN_VAIN:
                self._distrusted, self.used_up_until, self._ends = True, -math.inf, -math.inf
                return
        seconds = min(reset, MINUTE)
        if request.at + seconds - 1 > self._ends:  # `reset` is rounded up
            self._goes_back = self._goes_back or now < self._ends - SHORT
            self._begin(self._heard)
            self._ends = now + seconds
        self._ends = min(self._ends, now + seconds)
        self._is_known = reset <= MINUTE and (self._is_known or remaining > LIMIT * PRODUCT)
        self._limit = max(self._limit, remaining + 1, LIMIT if self._is_known else 0)
        self._longest = max(self._longest, seconds)
        if not self._goes_back:
            second = max(0.0, MINUTE - (self._ends - (request.at + now) / 2))
            limit = max(self._limit, LIMIT)
            self._others.saw(second, limit - remaining, sent, limit)
        if request.number < self._heard:
            return  # this answer was overtaken by one that knows better what is left
        self._remaining, self._heard = remaining, request.number
        self.used_up_until = self._ends if remaining <= self._reserve else -math.inf

    def _in_vain(self, now: float, remaining: int, request: Sent) -> bool:
        """Whether nothing came of a wait, or an answer tells in the middle of one that much is left."""
        if self.used_up_until <= request.at:
            return self.used_up_until > -math.inf and remaining <= max(self._reserve, 1)
        # Requests overtake each other, so a little more proves nothing.
        return now < self.used_up_until - SHORT and remaining > self._remaining + LIMIT * PRODUCT

    def roll(self, now: float, sent: int) -> None:
        """Begin the next window where this one is over by now: of one that was known nobody needs to be told."""
        if now < self._ends:
            return
        if self._is_known and not self._goes_back and now < self._ends + MINUTE:
            self._begin(sent)
            self._remaining, self._heard = self._limit, sent
            self._ends += MINUTE
        else:
            self._ends = -math.inf

    def for_a_burst(self, now: float, sent: int) -> float:
        """Requests that may be made at once, and leave everybody else what they need; 0 where that is not known."""
        if not self._is_known or now >= self._ends:
            return 0
        return self._spare(now, sent, self._limit * PRODUCT)

    def following(self, turn: float, now: float, sent: int) -> float:
        """The earliest time of the turn that comes after `turn`."""
        seconds = self._ends - turn
        if self._fills_up:
            little = seconds > 0 and self._remaining < self._limit * PRODUCT
            return turn + seconds / max(self._remaining - (sent - 1 - self._heard), 1) if little else turn
        if seconds > 0:
            return min(turn + _apart(seconds, self._spare(now, sent, self._reserve)), self._ends)
        if not self._is_known or self._ends == -math.inf:
            return turn
        return turn + _apart(MINUTE, self._limit - max(self._others_a_second * MINUTE, self._reserve))

    @property
    def _fills_up(self) -> bool:
        return self._goes_back or (not self._is_known and self._longest < SHORT)

    @property
    def _reserve(self) -> float:
        """What an even pace leaves of the limit: who wants a rate beyond the limit less this share has said so."""
        if self._fills_up:
            return 0.0
        return min(self._limit * PRODUCT, max(0.0, max(self._limit, LIMIT) - self._per_minute))

    def _spare(self, now: float, sent: int, share: float) -> float:
        return self._remaining - (sent - self._heard) - max(self._others_a_second * (self._ends - now), share)

    @property
    def _others_a_second(self) -> float:
        return self._others.a_second * CAUTION if self._is_known else 0.0

    def _begin(self, before: int) -> None:
        self._before = before
        self._others.begin(before)


class _Others:
    """How many requests a second the others of the account make, by what is gone of its windows.

    Before anything was seen of a window they are reckoned to do as they did in the one before, or, in the first one, as
    they must have done until then. What is seen counts more with every second.
    """

    def __init__(self) -> None:
        self._usual: float | None = None
        """A second."""
        self._weight = 0.0
        """Seconds of watching after which what is seen counts as much."""
        self._before = 0
        self._marks = deque[_Mark]()
        self._begin()

    def begin(self, before: int) -> None:
        """Another window begins; `before`, we had sent so many requests."""
        if self._now.second > 1:
            self._usual, self._weight = self._now.taken / self._now.second, BELIEVED
        self._before = before
        self._begin()

    def _begin(self) -> None:
        self._first = self._now = _Mark(0.0, 0.0)
        self._marks = deque([self._now], maxlen=8)

    def saw(self, second: float, gone: int, sent: int, limit: int) -> None:
        """So much of a window was `gone`, which has room for `limit` requests, when we had sent `sent` in all.

        What is more than that is theirs for certain. Some more may be: what of ours is on its way is counted as ours,
        as some servers reckon when a request comes, and some when they answer.
        """
        self._now = _Mark(second, max(self._now.taken, float(gone - (sent - self._before))))
        if self._usual is None:
            self._usual = min(self._now.taken / max(second, 1.0), limit / MINUTE)
            self._weight = min(second, BELIEVED)
            self._first = self._now
            self._marks = deque([self._now], maxlen=8)
        elif second - self._marks[-1].second >= 1:
            self._marks.append(self._now)

    @property
    def a_second(self) -> float:
        """In this window as a whole, or of late: whichever is more."""
        steady, late = self._now.since(self._first), self._now.since(self._marks[0])
        expected = (self._usual or 0.0) * self._weight
        of_late = late.taken / late.second if late.second > BELIEVED else 0.0
        return max((expected + steady.taken) / max(self._weight + steady.second, 1.0), of_late)


class _Mark(NamedTuple):
    """So many seconds into a window the others had taken so much of it."""

    second: float
    taken: float

    def since(self, earlier: "_Mark") -> "_Mark":
        return _Mark(self.second - earlier.second, self.taken - earlier.taken)


def _apart(seconds: float, requests: float) -> float:
    """Seconds between two of so many requests in so much time; some are made in any case, to hear what is left."""
    return min(seconds / requests, SLOWEST_OF_SOME) if requests > 0 else SLOWEST_OF_SOME


class _LastMinute:
    """The requests of the last minute, by tenths of a second; a tenth counts until a minute after its end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._tenths = deque[list[int]]()
        """Each with its requests; in order."""

    def add(self, now: float) -> None:
        """A request is sent."""
        tenth = math.floor(now * 10)
        if not self._tenths or self._tenths[-1][0] < tenth:
            self._tenths.append([tenth, 0])
        self._tenths[-1][1] += 1
        self._count += 1

    def left(self, now: float) -> int:
        """How many more there may be."""
        while self._tenths and _over(self._tenths[0][0]) <= now:
            self._count -= self._tenths.popleft()[1]
        return self._most - self._count

    def count(self, now: float) -> int:
        """How many there are. Changes nothing, and looks at a copy, as another thread may ask."""
        return sum(requests for tenth, requests in tuple(self._tenths) if _over(tenth) > now)

    def free_at(self, now: float) -> float:
        """When there may be one more."""
        return -math.inf if self.left(now) > 0 else _over(self._tenths[0][0])


def _over(tenth: int) -> float:
    return (tenth + 1) / 10 + MINUTE
