"""The fake Replicate with a request log, fault injection, an enforced rate limit and a clock of the test's."""

import asyncio
import math
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from types import TracebackType
from typing import Literal, NamedTuple, Self

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from audit.demo.fake_replicate.answers import PageSizes, Question
from audit.demo.fake_replicate.delivery import Answer, Sent
from audit.demo.fake_replicate.faults import Fault, error, unauthenticated
from audit.demo.fake_replicate.server import TOKEN, FakeReplicate, FaultKey
from audit.demo.fake_replicate.world import World
from audit.model.codes import FailureReason, Reason
from audit.model.times import Clock
from tests.support.faults import Chaos, Slow, TimedWriter, label_of, reason_of

TokenKind = Literal["valid", "wrong", "missing"]
_MINUTE = 60_000_000_000
"""In nanoseconds; also what one request costs, so that all reckoning is exact in integers."""


@dataclass
class RequestLog:
    """Counts since the start. Plain data: it can be pickled, and read from another thread."""

    paths: Counter[str] = field(default_factory=Counter)
    """Requests per path, query left out."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Answers per status; requests that got none (reset, hanging) are in `paths` only."""
    tokens: Counter[TokenKind] = field(default_factory=Counter)
    leaked: int = 0
    """Requests for weights that bore a token or a cookie."""
    refused: int = 0
    """429 from the enforced rate; those from faults are in `faults`."""
    neighbour_refused: int = 0
    """429 that the account's product got."""
    least_left: int | None = None
    """The least `ratelimit-remaining` that an answer bore."""
    faults: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Per path, how often each fault struck."""
    causes: dict[str, set[FailureReason]] = field(default_factory=lambda: defaultdict(set))
    """Per model id, the reasons that a client may truthfully give for an error."""
    sockets: int = 0
    open_sockets: int = 0
    peak_sockets: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0

    @property
    def requests(self) -> int:
        """All requests."""
        return self.paths.total()

    @property
    def throttled(self) -> int:
        """All 429, whether from the rate or from faults."""
        return self.statuses[429]

    @property
    def models(self) -> Counter[str]:
        """Requests per model id: for its versions, one version or itself."""
        counts: Counter[str] = Counter()
        for path, count in self.paths.items():
            parts = path.split("/")
            if len(parts) >= 5 and parts[2] == "models":
                counts[f"{parts[3]}/{parts[4]}"] += count
        return counts

    def connected(self) -> None:
        """A socket was opened."""
        self.sockets += 1
        self.open_sockets += 1
        self.peak_sockets = max(self.peak_sockets, self.open_sockets)

    def asked(self, path: str) -> None:
        """A request is in."""
        self.paths[path] += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)


class Rate(msgspec.Struct, frozen=True):
    """`per_minute` requests, evenly spread, and `burst` at once after a rest."""

    per_minute: int
    burst: int


class Window(msgspec.Struct, frozen=True):
    """`per_minute` requests in each minute, at any moment of it; `gone` seconds of the first one are over."""

    per_minute: int
    gone: float = 0.0


class Bucket:
    """Enforces a rate exactly: over any span of t seconds it lets at most burst + t * per_minute / 60 requests pass.

    `clock` gives seconds that never run backwards.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._filled_at = self._now()
        self._level = rate.burst * _MINUTE

    def take(self) -> int:
        """0 where the request may pass, else the whole seconds, rounded up, until the next one may."""
        self._refill()
        if self._level < _MINUTE:
            lacking = _MINUTE - self._level
            return max(1, -(-lacking // (self._rate.per_minute * 1_000_000_000)))
        self._level -= _MINUTE
        return 0

    def spend(self, requests: int) -> None:
        """Somebody else of the same account sends this many: the product that lives on the same limit."""
        self._refill()
        self._level = max(0, self._level - requests * _MINUTE)

    def remaining(self) -> tuple[int, int]:
        """What may pass at once, and the seconds until that is the whole burst again: `ratelimit-*`."""
        self._refill()
        lacking = self._rate.burst * _MINUTE - self._level
        return self._level // _MINUTE, -(-lacking // (self._rate.per_minute * 1_000_000_000))

    def _refill(self) -> None:
        now = self._now()
        self._level = min(self._rate.burst * _MINUTE, self._level + (now - self._filled_at) * self._rate.per_minute)
        self._filled_at = now

    def _now(self) -> int:
        return round(self._clock() * 1e9)


class FixedWindow:
    """Lets so many requests of each minute pass, as early in it as they come; the way that Replicate counts."""

    def __init__(self, window: Window, clock: Callable[[], float]) -> None:
        self._window = window
        self._clock = clock
        self._from = clock() - window.gone
        self._used = 0

    def take(self) -> int:
        """0 where the request may pass, else the whole seconds, rounded up, until the next window."""
        left, reset = self.remaining()
        self._used += left > 0
        return 0 if left else reset

    def spend(self, requests: int) -> None:
        """Somebody else of the same account sends this many."""
        left, _ = self.remaining()
        self._used += min(requests, left)

    def remaining(self) -> tuple[int, int]:
        """What is left of this window, and the seconds until the next one: `ratelimit-*`."""
        since = self._clock() - self._from
        if since >= 60:
            self._from += since // 60 * 60
            since %= 60
            self._used = 0
        return self._window.per_minute - self._used, math.ceil(60 - since)


def _limiter(rate: Rate | Window | None, clock: Callable[[], float]) -> Bucket | FixedWindow | None:
    if isinstance(rate, Window):
        return FixedWindow(rate, clock)
    return Bucket(rate, clock) if rate else None


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """How the server behaves to everybody; what a single model does wrong stands in its data."""

    sizes: PageSizes = PageSizes()
    rate: Rate | Window | None = None
    neighbour: int = 0
    """Requests a minute that the account's product sends, evenly, against the same limit."""
    faults: tuple[Fault, ...] = ()
    """Meet every model alike, and come before the model's own; their `times` counts over all requests together."""
    chaos: Chaos | None = None
    revoked_after: int | None = None
    """The token works for this many requests and is refused from then on."""


class ServerTime(NamedTuple):
    """The three things that time does here, for tests to take over."""

    clock: Callable[[], float] = time.monotonic
    """Seconds; what the rate is reckoned by."""
    now: Clock = lambda: datetime.now(UTC)
    """The date of answers and of `Retry-After`."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class InstrumentedReplicate(FakeReplicate):
    """Chaos comes first, then the faults of `behaviour`, then the model's own; the first that applies spoils alone.

    `request_log` may be read from any thread.
    """

    def __init__(
        self,
        world: World,
        behaviour: Behaviour | None = None,
        *,
        token: str = TOKEN,
        port: int = 0,
        time: ServerTime | None = None,
    ) -> None:
        self.time = time or ServerTime()
        super().__init__(world, token=token, now=self.time.now)
        self.port = port
        self.behaviour = behaviour or Behaviour()
        self.page_sizes = self.behaviour.sizes
        self.request_log = RequestLog()
        self._bucket = _limiter(self.behaviour.rate, self.time.clock)
        if isinstance(self.behaviour.rate, Window):  # the neighbour was there before us
            self.spend(int(self.behaviour.rate.gone * self.behaviour.neighbour / 60))
        self._neighbour: asyncio.Task[None] | None = None
        self._server_faults = self.behaviour.faults
        self._accepted = 0

    def inject(self, *faults: Fault) -> None:
        """From now on these meet every model, in the place of those of `behaviour`; every count of `times` restarts."""
        self._struck.clear()
        self._server_faults = faults

    def spend(self, requests: int) -> None:
        """Somebody else of the same account sends this many requests: the product that shares the limit."""
        if self._bucket:
            self._bucket.spend(requests)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self.behaviour.neighbour:
            self._neighbour = asyncio.create_task(self._live_beside(self.behaviour.neighbour / 60))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._neighbour:
            self._neighbour.cancel()
        await super().__aexit__(kind, error, trace)
        assert not self.request_log.leaked, "the token went to where the weights lie"

    async def _live_beside(self, per_second: float) -> None:
        assert self._bucket
        began, sent = self.time.clock(), 0
        while True:
            for _ in range(sent, int((self.time.clock() - began) * per_second)):
                sent += 1
                self.request_log.neighbour_refused += self._bucket.take() > 0
            await self.time.sleep(1 / per_second)

    def _make_server(self) -> web.Server:
        return _CountingServer(self._handle, self.request_log)

    def _writer(self, request: web.BaseRequest) -> TimedWriter:
        writer = _LoggingWriter(request, self._common_headers())
        writer.now, writer.sleep, writer.log = self.time.now, self.time.sleep, self.request_log
        return writer

    async def _handle(self, request: web.BaseRequest) -> Sent:
        self.request_log.asked(request.raw_path.partition("?")[0])
        try:
            return await super()._handle(request)
        finally:
            self.request_log.in_flight -= 1

    def _refusal(self, request: web.BaseRequest, asked: Question) -> Answer | None:
        refusal = super()._refusal(request, asked)
        if asked.endpoint == "weights":
            self.request_log.leaked += "Authorization" in request.headers or "Cookie" in request.headers
            return refusal
        kind: TokenKind = "missing" if "Authorization" not in request.headers else "valid"
        if refusal and refusal.status == 401 and kind == "valid":
            kind = "wrong"
        self.request_log.tokens[kind] += 1
        revoked_after = self.behaviour.revoked_after
        if revoked_after is not None and self._accepted >= revoked_after:
            refusal = unauthenticated()
        if refusal and refusal.status == 401:
            self._blame(asked, Reason.UNAUTHORIZED)
            return refusal
        self._accepted += 1
        if self._bucket and (wait := self._bucket.take()):
            self.request_log.refused += 1
            self._blame(asked, Reason.RATE_LIMITED)
            detail = f"Request was throttled. Your rate limit resets in ~{wait}s."
            return error(429, detail, f"Retry-After: {wait}\r\n", retry_after=wait)
        return refusal

    async def _fault(self, asked: Question) -> Fault | None:
        """Wait as long as the faults say; returns the one that spoils the answer."""
        delay = 0.0
        spoiling: Fault | None = None
        nth = self.request_log.paths[asked.path]
        for key, fault in self._faults(asked):
            if isinstance(fault, Slow):
                delay += fault.delay(asked.path, nth)
            elif spoiling is None:
                spoiling = fault
            else:
                continue
            self._struck[key] += 1
        if spoiling:
            self.request_log.faults[asked.path][label_of(spoiling)] += 1
            if reason := reason_of(spoiling):
                self._blame(asked, reason)
        if delay:
            await self.time.sleep(delay)
        return spoiling

    def _faults(self, asked: Question) -> Iterator[tuple[FaultKey, Fault]]:
        chaos = self.behaviour.chaos
        struck = chaos.strikes(asked.path, self.request_log.paths[asked.path]) if chaos else None
        first = [(FaultKey("chaos", 0), struck)] if struck and struck.affects(asked.endpoint) else []
        return chain(first, self._unspent("", self._server_faults, asked.endpoint), super()._faults(asked))

    def _blame(self, asked: Question, reason: FailureReason) -> None:
        if asked.model_id:
            self.request_log.causes[asked.model_id].add(reason)

    def _common_headers(self) -> str:
        if self._bucket:
            self.rate_limit = self._bucket.remaining()
            least = self.request_log.least_left
            self.request_log.least_left = min(self.rate_limit[0], self.rate_limit[0] if least is None else least)
        return super()._common_headers()


class _LoggingWriter(TimedWriter):
    log: RequestLog

    def head(self, answer: Answer, length: str, encoding: str | None) -> bytes:
        self.log.statuses[answer.status] += 1
        return super().head(answer, length, encoding)


class _CountingServer(web.Server):
    """Also tells how many sockets are open."""

    def __init__(self, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], log: RequestLog) -> None:
        super().__init__(handle, handler_cancellation=True, access_log=None, keepalive_timeout=75.0)
        self._log = log

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        self._log.connected()
        super().connection_made(handler, transport)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        self._log.open_sockets -= 1
        super().connection_lost(handler, exc)
