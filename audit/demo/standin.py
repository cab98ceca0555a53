"""A stand-in for Replicate's HTTP API: a real server on a loopback port that answers from a `World`.

It answers as Replicate does (`answers.py`, `refusals.py`), errs as Replicate, its edge and the network in between do
(`faults.py`), and counts what it is asked (`seen.py`). It can be read, not changed: anything but GET gets 405. It logs
nothing.
"""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from audit.demo.answers import Answers, PageSizes, Question, question
from audit.demo.delivery import Answer, Line, Sent, Sleep
from audit.demo.faults import Chaos, Fault, Paging, label_of, reason_of
from audit.demo.rate import Bucket, Rate
from audit.demo.refusals import not_allowed, replacement, throttled, unauthenticated
from audit.demo.seen import Seen, TokenKind
from audit.demo.trouble import Trouble
from audit.demo.world import World, visible_model
from audit.models import FailureReason, Reason

TOKEN = "r8_" + "StandIn".ljust(37, "0")
_UNLIMITED = (2999, 60)
"""What recordings of `ratelimit-remaining` and `ratelimit-reset` say; constant where no rate is enforced."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How the whole stand-in behaves; what a single model does wrong stands in its data."""

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


class StandIn:
    """`async with StandIn(world) as standin:` serves at `standin.base_url` until the block ends.

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
