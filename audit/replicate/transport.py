"""GET requests within limits: their rate, their attempts, the time of an attempt, the size of a body.

The one place where the errors of aiohttp are translated; beside it only `weights` says aiohttp.
"""

import asyncio
import logging
import math
import os
import random
import re
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
from yarl import URL

from audit.model.codes import FailureReason, Reason
from audit.model.replies import Failed, Requests
from audit.model.secrecy import Secrecy
from audit.replicate import responses, session
from audit.replicate.body import read_body
from audit.replicate.rate_limit import RateLimit, Sent
from audit.replicate.retry import LONGEST_WAIT, RetryPolicy
from audit.replicate.session import MOST_HEADERS, ClosedBeforeError, Session
from audit.replicate.under_way import Asked, UnderWay
from audit.replicate.url import credentials

log = logging.getLogger(__name__)
LARGEST_BODY = 16 * 1024 * 1024
"""Bytes after decompression. 1,000 versions with their schemas are about 10 MB; a page has far fewer."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to ask, as whom, and how hard."""

    base_url: str
    """With `/v1`, without a slash at the end; https, or http to a loopback address: the caller has checked."""
    token: str
    user_agent: str
    concurrency: int
    """Requests in flight, and so sockets."""
    per_minute: int
    timeout: float
    """Seconds for one attempt, whole."""
    retries: int
    proxy: str | None = None
    delivery_stand_in: str | None = None
    """An origin that is asked, below `/weights/`, in the place of Replicate's delivery hosts; the demo has one."""

    def __repr__(self) -> str:
        return f"Target({self.base_url!r})"

    def secrecy(self) -> Secrecy:
        """What must not be in anything that comes back: the token, and the proxy's password."""
        return Secrecy(credentials(self.proxy), [self.token])


class ResponseMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What Replicate's last response said beside its body. Times are seconds."""

    latency: float
    status: int
    clock_ahead: float | None
    """By how much its clock is ahead of ours, to a second or so; null where the answer has no date."""
    remaining: int | None
    """`ratelimit-remaining`."""
    reset: int | None
    """`ratelimit-reset`."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Clocks, sleep and chance, which tests replace."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response whose body came whole, or an error whose body was cut short."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@asynccontextmanager
async def connect(target: Target, timing: Timing) -> AsyncIterator["Transport"]:
    """A session on `target` with at most `target.concurrency` sockets, closed at the end."""
    async with session.connect(
        sockets=target.concurrency,
        seconds=target.timeout,
        proxy=target.proxy,
        headers={
            "Authorization": f"Bearer {target.token}",
            "User-Agent": target.user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        },
    ) as connections:
        yield Transport(connections, target, timing)


class Transport:
    """One session, one token and one rate limit for all requests."""

    def __init__(self, connections: Session, target: Target, timing: Timing) -> None:
        self._session = connections
        self._target = target
        self.secrecy = target.secrecy()
        """For whatever comes back."""
        self._timing = timing
        self._rate_limit = RateLimit(target.per_minute, timing.monotonic())
        self._policy = RetryPolicy(target.retries)
        self._turns = asyncio.Lock()
        """One waits for its turn; the others, in order, until they may take the next."""
        self._waiting = 0
        self._left: int | None = None
        self._retried = self._throttled = 0
        self.under_way = UnderWay(timing.monotonic, self.secrecy)
        """The questions without an answer."""
        self._last: tuple[int, Mapping[str, str], datetime, float] | None = None  # no body, which may be large

    @property
    def target(self) -> Target:
        """Where it asks, and how."""
        return self._target

    @property
    def timing(self) -> Timing:
        """Its clocks."""
        return self._timing

    @property
    def per_minute(self) -> int:
        """Requests a minute that may be made."""
        return self._target.per_minute

    @property
    def last_response(self) -> ResponseMetadata | None:
        """What the last response said beside its body; None before any."""
        if self._last is None:
            return None
        status, headers, began, took = self._last
        remaining, reset = _allowance(headers)
        date = responses.http_date(headers.get("Date", ""))
        # The header has no fractions: on average half a second has gone since. We know as little when it was written.
        ours = began + timedelta(seconds=took / 2)
        return ResponseMetadata(
            latency=took,
            status=status,
            clock_ahead=(date - ours).total_seconds() + 0.5 if date else None,
            remaining=remaining,
            reset=reset,
        )

    @property
    def requests(self) -> Requests:
        """Counts so far."""
        return Requests(self._rate_limit.sent, self._retried, self._throttled)

    def waiting(self) -> float:
        """Seconds for which the server wants no request; 0 where it has said no such thing."""
        return self._rate_limit.waiting(self._timing.monotonic())

    def last_minute(self) -> int:
        """Requests within the last 60 s, never more than `per_minute`. Another thread may ask."""
        return self._rate_limit.last_minute(self._timing.monotonic())

    def expect(self, questions: int) -> None:
        """So many are still to be asked: few enough go at once. Until this is said turns are evenly spaced."""
        self._left = questions

    def begun(self) -> None:
        """One of those that were expected is being asked."""
        if self._left:
            self._left -= 1

    async def get(
        self, url: URL, asked: Asked, *, once: bool = False, largest: int = LARGEST_BODY
    ) -> Response | Failed:
        """A 200 or Replicate's own 404, or why there is none, after as many attempts as allowed, or after one.

        A body of more than `largest` bytes is not read to its end.
        """
        sent = await self._turn()
        question = self.under_way.begin(asked, 1 if once else self._policy.retries + 1)
        try:
            while True:
                answer = await self._measured(sent, url, question.attempt, largest)
                foreign = isinstance(answer, Response) and responses.is_foreign(answer.status, answer.body)
                if isinstance(answer, Response) and answer.status in {200, 404} and not foreign:
                    return answer
                failed = answer if isinstance(answer, Failed) else self.failure(answer)
                # A gateway's page passes as a 502 does, whatever its status.
                reason = Reason.SERVER_ERROR if foreign else failed.reason
                wait = self._wait_before_retry(question.attempt, reason, answer)
                if wait is None or once:
                    return _after(failed, question.attempt)
                question.attempt += 1
                self._retried += 1
                await self._timing.sleep(wait)
                sent = await self._turn()
        finally:
            self.under_way.end(question)

    def _wait_before_retry(self, attempt: int, reason: FailureReason, answer: Response | Failed) -> float | None:
        server_wait = None
        if isinstance(answer, Response):
            server_wait = responses.retry_after(answer.status, answer.headers, answer.body, self._timing.now())
        wait = self._policy.wait(attempt, reason, server_wait, self._timing.jitter())
        if reason is Reason.RATE_LIMITED:
            # All workers live on one limit, so all of them pause, also where this one gives up.
            pause = wait if wait is not None else min(server_wait or 0.0, LONGEST_WAIT)
            now = self._timing.monotonic()
            before = self._rate_limit.waiting(now)
            self._rate_limit.throttled(now, pause)
            self._say_pause(before, now)
        return wait

    def _say_pause(self, before: float, now: float) -> None:
        """Log a pause that has just begun; `before`, there were so many seconds of one left."""
        if before <= 0 < (pause := self._rate_limit.waiting(now)):
            log.info("rate limit: nobody asks for %.0f s", pause)

    async def _turn(self) -> Sent:
        """Wait for a turn, and count the request that it is for."""
        self._waiting += 1
        try:
            async with self._turns:
                while (wait := self._rate_limit.reserve(self._timing.monotonic(), self._unsent)) > 0:
                    await self._timing.sleep(wait)
                    if self._rate_limit.waiting(self._timing.monotonic()) <= 0:
                        break  # else the server has said meanwhile that it wants none
                return self._rate_limit.send(self._timing.monotonic())
        finally:
            self._waiting -= 1

    @property
    def _unsent(self) -> int | None:
        """Requests that will follow the one whose turn it is."""
        return None if self._left is None else self._left + self._waiting - 1

    async def _measured(self, sent: Sent, url: URL, attempt: int, largest: int) -> Response | Failed:
        """One attempt, in its turn, with what is learned from it: counts, rate limit, metadata, log."""
        began = self._timing.now()
        answer: Response | Failed
        try:
            answer = await self._attempt(url, largest)
        except ClosedBeforeError:
            # No attempt, as nobody heard of it; but a request, with a turn of its own.
            log.debug("a kept connection was closed before it answered: retrying with a new one")
            sent = await self._turn()
            self._retried += 1
            began = self._timing.now()
            answer = await self._attempt(url, largest, fresh=True)
        ended = self._timing.monotonic()
        if isinstance(answer, Response):
            self._last = (answer.status, answer.headers, began, ended - sent.at)
            if answer.status == 429:
                self._throttled += 1
            else:
                before = self._rate_limit.waiting(ended)
                self._rate_limit.answered(ended, *_allowance(answer.headers), sent)
                self._say_pause(before, ended)
        if log.isEnabledFor(logging.DEBUG):
            took = round((ended - sent.at) * 1000)
            status = answer.status if isinstance(answer, Response) else answer.reason.value
            path = responses.safe(url.raw_path_qs, self.secrecy)
            details = {"path": path, "status": status, "attempt": attempt, "duration_ms": took}
            log.debug("GET %s: %s in %d ms, attempt %d", path, status, took, attempt, extra=details)
        return answer

    async def _attempt(self, url: URL, largest: int, *, fresh: bool = False) -> Response | Failed:
        try:
            async with await self._session.get(url, fresh=fresh) as response:
                body = await read_body(response, largest)
                if isinstance(body, Failed):
                    response.close()  # the rest is not wanted, so the connection is of no use any more
                    return body
                return Response(response.status, response.headers, body)
        except TRANSLATED as error:
            return translated(error, self._target)

    def failure(self, answer: Response) -> Failed:
        """What an answer that is no 200 means."""
        return responses.failure(answer.status, answer.headers, answer.body, self.secrecy)


TRANSLATED = (TimeoutError, aiohttp.ClientError, OSError, ValueError, zlib.error)
"""What an attempt may raise."""


def translated(error: Exception, target: Target) -> Failed:
    """`error`, raised by an attempt to ask `target`, by the first line of `_ERRORS` that fits."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Failed(Reason.NETWORK_ERROR, _proxy_words(error.status, given="@" in (target.proxy or "")))
    if isinstance(error, aiohttp.ClientResponseError):  # aiohttp has no types for these two
        if most := re.match(r"Got more than (\d+) bytes", error.message):
            return Failed(Reason.BAD_RESPONSE, f"a header of the answer has more than {int(most[1]):,} bytes")
        if error.message.startswith("Too many headers"):
            return Failed(Reason.BAD_RESPONSE, f"the answer has more than {MOST_HEADERS} headers")
    if isinstance(error, aiohttp.ClientConnectorDNSError) and target.proxy:  # which looks up the host itself
        return Failed(Reason.NETWORK_ERROR, "the proxy's host name cannot be resolved")
    for kind, reason, words in _ERRORS:
        if isinstance(error, kind):
            return Failed(reason, words.format(seconds=f"{target.timeout:g}", os=_os_words(error)))
    return Failed(Reason.NETWORK_ERROR, f"{type(error).__name__} while asking")


_PROXY_VARIABLE = "HTTPS_PROXY or https_proxy"


def _proxy_words(status: int, *, given: bool) -> str:
    """What it means that a proxy did not open a way to the host."""
    match status:
        case 407 if given:
            return (
                "the proxy refused the connection: "
                f"it wants another user name and password (407) than {_PROXY_VARIABLE} has"
            )
        case 407:
            return f"the proxy wants a user name and password (407): put them into {_PROXY_VARIABLE}"
        case 403:
            return "the proxy refused the connection (403): it lets nobody there, or not this user"
        case 502 | 503 | 504:
            return f"the proxy refused the connection ({status}): it cannot reach the host itself"
    return f"the proxy refused the connection ({status})"


_ERRORS: tuple[tuple[type[Exception], FailureReason, str], ...] = (
    (TimeoutError, Reason.TIMEOUT, "no whole answer within {seconds} s"),
    (aiohttp.ClientConnectorCertificateError, Reason.NETWORK_ERROR, "the server's TLS certificate is not trusted"),
    (ssl.SSLCertVerificationError, Reason.NETWORK_ERROR, "the server's TLS certificate is not trusted"),
    (aiohttp.ClientSSLError, Reason.NETWORK_ERROR, "no TLS connection could be agreed on"),
    (aiohttp.ClientProxyConnectionError, Reason.NETWORK_ERROR, "the proxy cannot be reached: {os}"),
    (aiohttp.ClientConnectorDNSError, Reason.NETWORK_ERROR, "the host name cannot be resolved"),
    (aiohttp.ClientConnectorError, Reason.NETWORK_ERROR, "no connection: {os}"),
    (aiohttp.ServerDisconnectedError, Reason.NETWORK_ERROR, "the connection was closed before an answer came"),
    (aiohttp.ClientPayloadError, Reason.NETWORK_ERROR, "the connection broke in the middle of the answer"),
    (aiohttp.ClientOSError, Reason.NETWORK_ERROR, "the connection broke: {os}"),
    (aiohttp.ClientResponseError, Reason.BAD_RESPONSE, "the answer is not valid HTTP"),
    (aiohttp.InvalidURL, Reason.BAD_RESPONSE, "the URL cannot be asked for"),
    (aiohttp.ClientError, Reason.NETWORK_ERROR, "the connection failed"),
    (zlib.error, Reason.BAD_RESPONSE, "the answer says gzip and is not"),
    (OSError, Reason.NETWORK_ERROR, "the connection broke: {os}"),
    (ValueError, Reason.BAD_RESPONSE, "the answer is not valid HTTP"),
)


def _after(failed: Failed, attempts: int) -> Failed:
    return failed if attempts == 1 else Failed(failed.reason, f"{failed.detail} (after {attempts} attempts)")


def _allowance(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """`ratelimit-remaining` and `ratelimit-reset`."""
    return _count(headers.get("ratelimit-remaining")), _count(headers.get("ratelimit-reset"))


def _count(text: str | None) -> int | None:
    number = responses.seconds(text)
    return None if number is None else math.ceil(min(number, 1e9))


def _os_words(error: Exception) -> str:
    """The system's words without the address, which is the base URL's and said elsewhere."""
    inner = getattr(error, "os_error", error)
    # Not `strerror`, in which asyncio puts a text of its own with the address.
    number = getattr(inner, "errno", None)
    return os.strerror(number).lower() if isinstance(number, int) and number > 0 else "it failed"
