"""Whether weights are still where a database says: a request for their first byte.

Only Replicate's delivery hosts are asked, and, where the base URL is on this machine, its origin, so that a stand-in
can be asked. They are no part of the API: the token never goes there, nor do these requests count for the API's rate.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from yarl import URL

from audit.model.codes import FailureReason
from audit.model.replies import WeightsAnswer
from audit.model.users import TRIMMED
from audit.model.weights import is_delivery_host
from audit.replicate import responses, session
from audit.replicate.retry import RetryPolicy
from audit.replicate.session import ClosedBeforeError, Session
from audit.replicate.transport import TRANSLATED, Target, Timing, translated
from audit.replicate.under_way import Asked, UnderWay
from audit.replicate.url import is_loopback

log = logging.getLogger(__name__)
AT_ONCE = 8
"""Requests in flight, and so sockets."""
_LONGEST_URL = 2000
_FEW = 16
"""Bytes that are read: one is asked for, and a server may ignore that."""
_THERE, _GONE = {200, 206}, {404, 410}


def askable_weights(recorded: str | None, base_url: str) -> str | None:
    """The URL to ask for what is recorded; None where that lies elsewhere, or is no URL."""
    text = (recorded or "").strip(TRIMMED)
    if not text.isprintable() or " " in text or len(text) > _LONGEST_URL:
        return None
    try:
        url = URL(text)
        origin, host = url.origin(), url.host or ""
    except ValueError:
        return None
    if url.user is not None or url.password is not None:
        return None
    delivered = url.scheme == "https" and url.port == 443 and is_delivery_host(host)
    base = URL(base_url)
    here = is_loopback(base.host or "") and origin == base.origin()
    return str(url.with_fragment(None)) if delivered or here else None


@asynccontextmanager
async def connect(target: Target, timing: Timing, under_way: UnderWay) -> AsyncIterator["DeliveryHosts"]:
    """A session without the token, which adds its questions to `under_way`; the sockets are closed at the end."""
    async with session.connect(
        sockets=AT_ONCE,
        seconds=target.timeout,
        proxy=target.proxy,
        headers={"User-Agent": target.user_agent, "Range": "bytes=0-0", "Accept-Encoding": "identity"},
        read_bufsize=1024,  # of a file that comes whole
    ) as connections:
        yield DeliveryHosts(connections, target, timing, under_way)


class DeliveryHosts:
    """Where weights lie."""

    def __init__(self, connections: Session, target: Target, timing: Timing, under_way: UnderWay) -> None:
        self._session = connections
        self._target = target
        self._secrecy = target.secrecy()
        self._timing = timing
        self._under_way = under_way
        self._policy = RetryPolicy(target.retries)

    async def ask(self, url: str) -> WeightsAnswer:
        """Whether there is a file at `url`, after as many attempts as the policy allows where none told anything."""
        place = self._place(url)
        question = self._under_way.begin(Asked("weights", place.host or ""), self._policy.retries + 1)
        try:
            while True:
                try:
                    answer, reason, asked = await self._attempt(place)
                except ClosedBeforeError:  # no attempt, as nobody heard of it
                    answer, reason, asked = await self._attempt(place, fresh=True)
                attempt = question.attempt
                log.debug("GET %s: %s, attempt %d", responses.safe(url, self._secrecy), answer.detail, attempt)
                wait = self._policy.wait(attempt, reason, asked, self._timing.jitter()) if reason else None
                if wait is None:
                    return answer
                question.attempt += 1
                await self._timing.sleep(wait)
        finally:
            self._under_way.end(question)

    def _place(self, url: str) -> URL:
        stand_in = self._target.delivery_stand_in
        place = URL(url, encoded=True)
        return URL(f"{stand_in}/weights{place.raw_path}", encoded=True) if stand_in else place

    async def _attempt(
        self, url: URL, *, fresh: bool = False
    ) -> tuple[WeightsAnswer, FailureReason | None, float | None]:
        """What one request told, the reason where it told nothing, and for how many seconds the server wants peace."""
        try:
            async with await self._session.get(url, fresh=fresh) as response:
                status, headers = response.status, response.headers
                if status == 206 and (response.content_length or _LONGEST_URL) <= _FEW:
                    await response.content.read(_FEW)  # then the connection serves the next request
                else:
                    response.close()
        except TRANSLATED as error:
            failed = translated(error, self._target)
            return WeightsAnswer("nothing", failed.detail), failed.reason, None
        if status in _THERE:
            return WeightsAnswer("there", f"HTTP {status}"), None, None
        if status in _GONE:
            return WeightsAnswer("gone", f"HTTP {status} for its first byte"), None, None
        failed = responses.failure(status, headers, b"", self._secrecy)
        wait = responses.retry_after(status, headers, b"", self._timing.now())
        return WeightsAnswer("nothing", failed.detail), failed.reason, wait
