"""A fake of Replicate's HTTP API: a real server on a loopback port that answers from a `World`.

It answers as Replicate does (`answers.py`, `refusals.py`), errs as Replicate, its edge and the network in between do
(`faults.py`), and counts what it is asked (`seen.py`). It can be read, not changed: anything but GET gets 405. It logs
nothing.
"""

import asyncio
import hmac
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from types import TracebackType
from typing import Literal, NamedTuple, Self

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from audit.demo.fake_replicate.answers import Answers, PageSizes, Question, question
from audit.demo.fake_replicate.delivery import Answer, Line, Sent, Sleep
from audit.demo.fake_replicate.faults import Chaos, Disguise, Fault, Paging, Slow, label_of, reason_of
from audit.demo.fake_replicate.rate import Bucket, Rate
from audit.demo.fake_replicate.refusals import not_allowed, replacement, throttled, unauthenticated
from audit.demo.fake_replicate.world import Model, World, visible_model
from audit.model.codes import FailureReason, Reason

TokenKind = Literal["valid", "wrong", "missing"]


@dataclass
class Seen:
    """Counts since the start. Plain data: it can be pickled, and read from another thread."""

    paths: Counter[str] = field(default_factory=Counter)
    """Requests per path, query left out."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Answers per status; requests that got none (reset, hanging) are in `paths` only."""
    tokens: Counter[TokenKind] = field(default_factory=Counter)
    refused: int = 0
    """429 from the enforced rate; those from faults are in `faults`."""
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

    def disconnected(self) -> None:
        """A socket was closed."""
        self.open_sockets -= 1

    def asked(self, path: str) -> None:
        """A request is in."""
        self.paths[path] += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def done(self) -> None:
        """Its answer is out, or was given up."""
        self.in_flight -= 1


class Trouble:
    """Chaos first, then the server's faults, then the model's own; the first that applies spoils alone."""

    def __init__(self, everywhere: tuple[Fault, ...], chaos: Chaos | None) -> None:
        self._everywhere = everywhere
        self._chaos = chaos
        self._struck: Counter[tuple[str, int]] = Counter()

    def with_request(self, asked: Question, nth: int, model: Model | None) -> tuple[float, Fault | None]:
        """The seconds to wait before this answer, and the fault that spoils it. `nth` request for its path, from 1."""
        delay = 0.0
        spoiling: Fault | None = None
        for key, fault in self._candidates(asked, nth, model):
            if isinstance(fault, Slow):
                delay += _delay(fault, asked.path, nth)
            elif spoiling is None:
                spoiling = fault
            else:
                continue
            self._struck[key] += 1
        return delay, spoiling

    def _candidates(self, asked: Question, nth: int, model: Model | None) -> Iterator[tuple[tuple[str, int], Fault]]:
        struck = self._chaos.strikes(asked.path, nth) if self._chaos else None
        if struck and struck.meets(asked.endpoint):
            yield ("chaos", 0), struck
        for whose, faults in (("", self._everywhere), (asked.model_id, model.faults if model else ())):
            for place, fault in enumerate(faults):
                spent = fault.times is not None and self._struck[whose, place] >= fault.times
                if not spent and not isinstance(fault, Disguise) and fault.meets(asked.endpoint):
                    yield (whose, place), fault


def _delay(fault: Slow, path: str, nth: int) -> float:
    if fault.high is None:
        return fault.low
    return random.Random(f"{nth} {path}").uniform(fault.low, fault.high)  # noqa: S311 (repeatable on purpose)


TOKEN = "r8_" + "FakeReplicate".ljust(37, "0")
_UNLIMITED = (2999, 60)
"""What recordings of `ratelimit-remaining` and `ratelimit-reset` say; constant where no rate is enforced."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How the whole fake Replicate behaves; what a single model does wrong stands in its data."""

    sizes: PageSizes = PageSizes()
    rate: Rate | None = None
    faults: tuple[Fault, ...] = ()
    """Meet every model alike, and come before the model's own; their `times` counts over all requests together."""
    chaos: Chaos | None = None
    revoked_after: int | None = None
    """The token works for this many requests and is refused from then on."""


class Times(NamedTuple):
    """The three things that time does here, for tests to take over."""

    clock: Callable[[], float] = time.monotonic
    """Seconds; what the rate is reckoned by."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The date of answers and of `Retry-After`."""
    sleep: Sleep = asyncio.sleep


class FakeReplicate:
    """`async with FakeReplicate(world) as fake:` serves at `fake.base_url` until the block ends.

    Open requests are cut off when the block ends. It belongs to the event loop that entered it; `hosting.py` gives it
    a thread or a process of its own.
    """

    def __init__(
        self, world: World, rules: Rules | None = None, *, token: str = TOKEN, port: int = 0, times: Times | None = None
    ) -> None:
        self.world = world
        self.rules = rules or Rules()
        self.seen = Seen()
        self.port = port
        self._times = times or Times()
        self._expected = f"Bearer {token}".encode()
        self._bucket = Bucket(self.rules.rate, self._times.clock) if self.rules.rate else None
        self._trouble = Trouble(self.rules.faults, self.rules.chaos)
        self._accepted = 0
        self._second = -1
        self._fixed = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port: the base URL in the form that older official clients want."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """With `/v1`."""
        return f"{self.origin}/v1"

    async def __aenter__(self) -> Self:
        self._server = _CountingServer(self._handle, self.seen)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, "127.0.0.1", self.port, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]
        self._answers = Answers(self.world, self.origin, self.rules.sizes)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._server.pre_shutdown()
        await self._server.shutdown(0.01)
        await self._listener.wait_closed()

    def spend(self, requests: int) -> None:
        """Somebody else of the same account sends this many requests: the product that shares the limit."""
        if self._bucket:
            self._bucket.spend(requests)

    async def _handle(self, request: web.BaseRequest) -> Sent:
        asked = question(request.raw_path)
        self.seen.asked(asked.path)
        try:
            refusal = self._refusal(request, asked)
            fault = None if refusal else await self._fault(asked)
            paging = fault if isinstance(fault, Paging) else None
            answer = refusal or replacement(fault, asked.path, self._times.now()) or self._answers.answer(asked, paging)
            sent = await Line(request, self._common_headers(), self._times.sleep).send(answer, fault)
            self.seen.statuses[answer.status] += 1
            return sent
        finally:
            self.seen.done()

    def _refusal(self, request: web.BaseRequest, asked: Question) -> Answer | None:
        kind = self._token_kind(request)
        self.seen.tokens[kind] += 1
        revoked_after = self.rules.revoked_after
        if kind != "valid" or (revoked_after is not None and self._accepted >= revoked_after):
            self._blame(asked, Reason.UNAUTHORIZED)
            return unauthenticated()
        self._accepted += 1
        if self._bucket and (wait := self._bucket.take()):
            self.seen.refused += 1
            self._blame(asked, Reason.RATE_LIMITED)
            return throttled(wait)
        if request.method != "GET":
            return not_allowed(request.method)
        return None

    def _token_kind(self, request: web.BaseRequest) -> TokenKind:
        given = request.headers.get("Authorization")
        if given is None:
            return "missing"
        return "valid" if hmac.compare_digest(given.encode(errors="replace"), self._expected) else "wrong"

    async def _fault(self, asked: Question) -> Fault | None:
        """Waits as long as the faults say, and returns the one that spoils the answer."""
        model = visible_model(self.world, asked.model_id) if asked.model_id else None
        delay, fault = self._trouble.with_request(asked, self.seen.paths[asked.path], model)
        if fault:
            self.seen.faults[asked.path][label_of(fault)] += 1
            if reason := reason_of(fault):
                self._blame(asked, reason)
        if delay:
            await self._times.sleep(delay)
        return fault

    def _blame(self, asked: Question, reason: FailureReason) -> None:
        if asked.model_id:
            self.seen.causes[asked.model_id].add(reason)

    def _common_headers(self) -> str:
        remaining, reset = self._bucket.remaining() if self._bucket else _UNLIMITED
        return f"{self._dated()}ratelimit-remaining: {remaining}\r\nratelimit-reset: {reset}\r\n"

    def _dated(self) -> str:
        now = self._times.now()
        if int(now.timestamp()) != self._second:
            self._second = int(now.timestamp())
            self._fixed = (
                f"Date: {format_datetime(now, usegmt=True)}\r\nServer: cloudflare\r\nVary: Accept-Encoding\r\n"
            )
        return self._fixed


class _CountingServer(web.Server):
    """aiohttp's low-level server, which also tells how many sockets are open."""

    def __init__(self, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], seen: Seen) -> None:
        # Without cancellation a hanging answer would outlive its client; no access log, so no token can get into one.
        super().__init__(handle, handler_cancellation=True, access_log=None, keepalive_timeout=75.0)
        self._seen = seen

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        self._seen.connected()
        super().connection_made(handler, transport)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        self._seen.disconnected()
        super().connection_lost(handler, exc)
