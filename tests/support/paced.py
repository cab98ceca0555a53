"""Workers who ask by a rate limit, a server that enforces one, and a product beside them, in virtual time."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from audit.replicate.rate_limit import RateLimit, Sent
from tests.support.instrumented_replicate import Bucket, FixedWindow, Rate, Window

Headers = Callable[[tuple[int, int]], tuple[int | None, float | None]]


@dataclass
class Asked:
    """What came of it. Times are seconds since the first request."""

    sent: list[float] = field(default_factory=list)
    refused: int = 0
    neighbour_refused: int = 0
    least_left: int = 1_000_000
    """Of what the server had left when it had let one of our requests pass."""
    left: list[tuple[float, int]] = field(default_factory=list)
    """What the server had left at each of our requests."""

    @property
    def seconds(self) -> float:
        return self.sent[-1]

    def most_in(self, seconds: float) -> int:
        """The most requests in any span of so many seconds."""
        most = first = 0
        for last, at in enumerate(self.sent):
            while at - self.sent[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    def longest_gap(self, left_over: float) -> float:
        """The longest time between two requests at a server that had more left than `left_over` all the while."""
        pairs = zip(self.left, self.left[1:], strict=False)
        return max((b - a for (a, left), (b, after) in pairs if min(left, after) > left_over), default=0.0)


class World:
    """Who asks, who answers, and who lives beside them. `questions` come after one that tells what is left."""

    def __init__(
        self,
        questions: int,
        enforced: Rate | Window,
        *,
        per_minute: int = 2400,
        workers: int = 64,
        latency: tuple[float, float] = (0.1, 0.5),
        neighbour: float = 0.0,
        headers: Headers = lambda told: told,
        late: bool = False,
        seed: int = 0,
    ) -> None:
        """`neighbour` requests a second come from somebody else; `headers` makes of what is left what is told.

        `late`: the server looks at what is left when it answers, and not when a request comes.
        """
        self.now = 0.0
        self.asked = Asked()
        self._dice, self._order = random.Random(seed), count()
        self._limit = RateLimit(per_minute, self.now)
        server = FixedWindow if isinstance(enforced, Window) else Bucket
        self._server = server(enforced, lambda: self.now)  # type: ignore[arg-type]
        self._left, self._workers = questions, workers
        self._open = self._waiting = 0
        if isinstance(enforced, Window):
            self._server.spend(int(neighbour * enforced.gone))
        self._latency, self._neighbour, self._headers, self._late = latency, neighbour, headers, late
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def run(self) -> Asked:
        self._begin()
        if self._neighbour:
            self._later(self._dice.uniform(0, 1 / self._neighbour), self._live)
        while self._open:
            self.now, _, what = heapq.heappop(self._events)
            what()
        return self.asked

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), what))

    def _begin(self) -> None:
        self._open += 1
        self._wait()

    def _wait(self) -> None:
        self._waiting += 1
        if self._waiting == 1:
            self._take_turn()

    def _take_turn(self) -> None:
        wait = self._limit.reserve(self.now, self._left + self._waiting - 1)
        self._later(max(0.0, wait), lambda: self._send(waited=wait > 0))

    def _send(self, *, waited: bool) -> None:
        if waited and self._limit.waiting(self.now) > 0:
            self._take_turn()
            return
        request, way = self._limit.send(self.now), self._dice.uniform(*self._latency)
        self.asked.sent.append(self.now)
        self._later(
            0.02 if self._late else way / 2, lambda: self._serve(request, way - 0.02 if self._late else way / 2)
        )
        self._waiting -= 1
        if self._waiting:
            self._take_turn()

    def _serve(self, request: Sent, back: float) -> None:
        wait = self._server.take()
        told = self._server.remaining()
        self.asked.left.append((self.now, told[0]))
        if wait:
            self.asked.refused += 1
        else:
            self.asked.least_left = min(self.asked.least_left, told[0])
        self._later(back, lambda: self._hear(request, wait, self._server.remaining() if self._late else told))

    def _hear(self, request: Sent, wait: int, told: tuple[int, int]) -> None:
        if wait:
            self._limit.throttled(self.now, wait)
            self._wait()
            return
        self._limit.answered(self.now, *self._headers(told), request)
        self._open -= 1
        for _ in range(min(self._workers if len(self.asked.sent) == 1 else 1, self._left)):
            self._left -= 1
            self._begin()

    def _live(self) -> None:
        self.asked.neighbour_refused += self._server.take() > 0
        self._later(1 / self._neighbour, self._live)
