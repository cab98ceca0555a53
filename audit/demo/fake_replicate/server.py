"""A fake of Replicate's HTTP API: a real server on a loopback port that answers from a `World`.

It answers as Replicate does (`answers`) and errs as Replicate, its edge and the network in between do (`faults`). It
can be read, not changed: anything but GET gets 405. It logs nothing.
"""

import asyncio
import hmac
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from aiohttp import web

from audit.demo.fake_replicate.answers import Answers, PageSizes, Question, question
from audit.demo.fake_replicate.delivery import Answer, ResponseWriter, Sent
from audit.demo.fake_replicate.faults import Endpoint, Fault, ResponseVariant, error, unauthenticated
from audit.demo.fake_replicate.world import World, visible_model
from audit.model.times import Clock, utc_now

TOKEN = "r8_" + "OnlyInDemos".ljust(37, "x")
START_SECONDS = 30.0
"""How long a server may take to start in a thread or process of its own."""


class FaultKey(NamedTuple):
    """Which fault: the model that has it, or "", and its place there."""

    owner: str
    number: int


class FakeReplicate:
    """`async with FakeReplicate(world) as fake:` serves at `fake.base_url` until the block ends.

    Open requests are cut off when the block ends. It belongs to the event loop that entered it; `in_thread` gives it a
    thread of its own.
    """

    page_sizes = PageSizes()
    rate_limit = (2999, 60)
    """`ratelimit-remaining` and `ratelimit-reset`, as recorded; constant because no rate is enforced."""

    def __init__(self, world: World, *, token: str = TOKEN, now: Clock = utc_now) -> None:
        self.world = world
        self.port = 0
        self._expected = f"Bearer {token}".encode()
        self._now = now
        self._struck: Counter[FaultKey] = Counter()
        self._second = -1
        self._dated = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port: the base URL in the form that older official clients want."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """With `/v1`."""
        return f"{self.origin}/v1"

    async def __aenter__(self) -> Self:
        self._server = self._make_server()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, "127.0.0.1", self.port, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]
        self._answers = Answers(self.world, self.origin, self.page_sizes)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._server.pre_shutdown()
        await self._server.shutdown(0.01)
        await self._listener.wait_closed()

    def _make_server(self) -> web.Server:
        # Without cancellation a hanging answer would outlive its client; no access log, so no token can get into one.
        return web.Server(self._handle, handler_cancellation=True, access_log=None, keepalive_timeout=75.0)

    async def _handle(self, request: web.BaseRequest) -> Sent:
        asked = question(request.raw_path)
        if refusal := self._refusal(request, asked):
            return await self._writer(request).send(refusal)
        fault = await self._fault(asked) or Fault()
        return await fault.send(self._writer(request), fault.answer() or self._answers.answer(asked, fault))

    def _writer(self, request: web.BaseRequest) -> ResponseWriter:
        return ResponseWriter(request, self._common_headers())

    def _refusal(self, request: web.BaseRequest, asked: Question) -> Answer | None:
        """Why a request is not answered, whatever it is about. Files are for everybody."""
        given = request.headers.get("Authorization", "")
        if asked.endpoint != "weights" and not hmac.compare_digest(given.encode(errors="replace"), self._expected):
            return unauthenticated()
        if request.method != "GET":
            return error(405, f'Method "{request.method}" not allowed.', headers="Allow: GET\r\n")
        return None

    async def _fault(self, asked: Question) -> Fault | None:
        """The fault that this request meets."""
        for key, fault in self._faults(asked):
            self._struck[key] += 1
            return fault
        return None

    def _faults(self, asked: Question) -> Iterator[tuple[FaultKey, Fault]]:
        """Those that may strike now, the most important first."""
        model = visible_model(self.world, asked.model_id) if asked.model_id else None
        return self._unspent(asked.model_id, model.faults if model else (), asked.endpoint)

    def _unspent(self, owner: str, faults: Iterable[Fault], endpoint: Endpoint) -> Iterator[tuple[FaultKey, Fault]]:
        for number, fault in enumerate(faults):
            key = FaultKey(owner, number)
            spent = fault.times is not None and self._struck[key] >= fault.times
            if not spent and not isinstance(fault, ResponseVariant) and fault.affects(endpoint):
                yield key, fault

    def _common_headers(self) -> str:
        now = self._now()
        if int(now.timestamp()) != self._second:
            self._second = int(now.timestamp())
            self._dated = (
                f"Date: {format_datetime(now, usegmt=True)}\r\nServer: cloudflare\r\nVary: Accept-Encoding\r\n"
            )
        remaining, reset = self.rate_limit
        return f"{self._dated}ratelimit-remaining: {remaining}\r\nratelimit-reset: {reset}\r\n"


Served = TypeVar("Served", bound=FakeReplicate)


@contextmanager
def in_thread(fake: Served) -> Iterator[Served]:
    """Serve from a thread with an event loop of its own. What fails at the start is raised here.

    All but `world` and the URLs belongs to that thread.
    """
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    started = threading.Event()
    failure: list[BaseException] = []

    async def serve() -> None:
        async with fake:
            started.set()
            await ended.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            failure.append(error)
        finally:
            loop.close()
            started.set()

    thread = threading.Thread(target=run, name="fake Replicate", daemon=True)
    thread.start()
    started.wait(START_SECONDS)
    if failure:
        raise failure[0]
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
    if failure:
        raise failure[0]
