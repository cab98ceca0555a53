"""GET requests within limits: their rate, their attempts, the time of an attempt, the size of a body.

The one place where the errors of aiohttp are translated; beside it only `weights` says aiohttp.
"""

import asyncio
import logging
import os
import random
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
from audit.replicate import responses
from audit.replicate.rate_limit import RateLimit
from audit.replicate.retry import LONGEST_WAIT, RetryPolicy

log = logging.getLogger(__name__)
LARGEST_BODY = 16 * 1024 * 1024
"""Bytes after decompression. 1,000 versions with their schemas are about 10 MB; a page has far fewer."""
LARGEST_ERROR_BODY = 64 * 1024
"""Bytes of an error's body that are read; the rest is left."""


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
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=target.concurrency),
        headers={
            "Authorization": f"Bearer {target.token}",
            "User-Agent": target.user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        },
        auto_decompress=False,  # decompressed here, where the size of the result is bounded
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=target.timeout),  # from the wait for a socket to the end of the body
        trust_env=False,  # a .netrc or a proxy for http must not see the token; `target.proxy` is explicit
    )
    # aiohttp silently repeats a GET whose connection breaks: a request that no rate and no count would know of.
    session._retry_connection = False  # noqa: SLF001 - there is no public way; a test notices when this one closes
    async with session:
        yield Transport(session, target, timing)


class Transport:
    """One session, one token and one rate limit for all requests."""

    def __init__(self, session: aiohttp.ClientSession, target: Target, timing: Timing) -> None:
        self._session = session
        self._target = target
        self._timing = timing
        self._rate_limit = RateLimit(target.per_minute, timing.monotonic())
        self._policy = RetryPolicy(target.retries)
        self._sent = self._retried = self._throttled = 0
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
        return Requests(self._sent, self._retried, self._throttled)

    def waiting(self) -> float:
        """Seconds for which no request may be made because of a 429; 0 where there is no such pause."""
        return self._rate_limit.paused(self._timing.monotonic())

    async def get(self, url: URL, *, once: bool = False, largest: int = LARGEST_BODY) -> Response | Failed:
        """A 200 or Replicate's own 404, or why there is none, after as many attempts as allowed, or after one.

        A body of more than `largest` bytes is not read to its end.
        """
        attempt = 1
        while True:
            await self._turn()
            answer = await self._measured(url, attempt, largest)
            foreign = isinstance(answer, Response) and responses.is_foreign(answer.status, answer.body)
            if isinstance(answer, Response) and answer.status in {200, 404} and not foreign:
                return answer
            failed = answer if isinstance(answer, Failed) else self.failure(answer)
            # A gateway's page passes as a 502 does, whatever its status.
            wait = self._wait_before_retry(attempt, Reason.SERVER_ERROR if foreign else failed.reason, answer)
            if wait is None or once:
                return _after(failed, attempt)
            attempt += 1
            self._retried += 1
            await self._timing.sleep(wait)

    def _wait_before_retry(self, attempt: int, reason: FailureReason, answer: Response | Failed) -> float | None:
        server_wait = None
        if isinstance(answer, Response):
            server_wait = responses.retry_after(answer.status, answer.headers, answer.body, self._timing.now())
        wait = self._policy.wait(attempt, reason, server_wait, self._timing.jitter())
        if reason is Reason.RATE_LIMITED:
            # All workers live on one limit, so all of them pause, also where this one gives up.
            pause = wait if wait is not None else min(server_wait or 0.0, LONGEST_WAIT)
            now = self._timing.monotonic()
            before = self._rate_limit.paused(now)
            self._rate_limit.throttled(now, pause)
            if not before:
                log.info("rate limit: nobody asks for %.0f s", self._rate_limit.paused(now))
        return wait

    async def _turn(self) -> None:
        while True:
            wait = self._rate_limit.reserve(self._timing.monotonic())
            if wait > 0:
                await self._timing.sleep(wait)
                if self._rate_limit.paused(self._timing.monotonic()) > 0:
                    continue  # a 429 came meanwhile: this turn is void
            return

    async def _measured(self, url: URL, attempt: int, largest: int) -> Response | Failed:
        """One attempt, with what is learned from it: counts, rate limit, metadata, log."""
        self._sent += 1
        began, started = self._timing.now(), self._timing.monotonic()
        answer = await self._attempt(url, largest)
        ended = self._timing.monotonic()
        if isinstance(answer, Response):
            self._last = (answer.status, answer.headers, began, ended - started)
            if answer.status == 429:
                self._throttled += 1
            else:
                self._rate_limit.answered(ended, *_allowance(answer.headers))
        if log.isEnabledFor(logging.DEBUG):
            took = round((ended - started) * 1000)
            status = answer.status if isinstance(answer, Response) else answer.reason.value
            details = {"path": url.raw_path_qs, "status": status, "attempt": attempt, "duration_ms": took}
            log.debug("GET %s: %s in %d ms, attempt %d", url.raw_path_qs, status, took, attempt, extra=details)
        return answer

    async def _attempt(self, url: URL, largest: int) -> Response | Failed:
        try:
            async with self._session.get(url, allow_redirects=False, proxy=self._target.proxy) as response:
                body = await _read(response, largest)
                if isinstance(body, Failed):
                    response.close()  # the rest is not wanted, so the connection is of no use any more
                    return body
                return Response(response.status, response.headers, body)
        except TRANSLATED as error:
            return translated(error, self._target.timeout)

    def failure(self, answer: Response) -> Failed:
        """What an answer that is no 200 means; the token is cut out, should the server quote it."""
        failed = responses.failure(answer.status, answer.headers, answer.body)
        return Failed(failed.reason, failed.detail.replace(self._target.token, "(token)"))


TRANSLATED = (TimeoutError, aiohttp.ClientError, OSError, ValueError, zlib.error)
"""What an attempt may raise."""


def translated(error: Exception, timeout: float) -> Failed:
    """`error`, raised by an attempt that had `timeout` seconds, by the first line of `_ERRORS` that fits."""
    for kind, reason, words in _ERRORS:
        if isinstance(error, kind):
            return Failed(reason, words.format(seconds=f"{timeout:g}", os=_os_words(error)))
    return Failed(Reason.NETWORK_ERROR, f"{type(error).__name__} while asking")


_ERRORS: tuple[tuple[type[Exception], FailureReason, str], ...] = (
    (TimeoutError, Reason.TIMEOUT, "no whole answer within {seconds} s"),
    (aiohttp.ClientConnectorCertificateError, Reason.NETWORK_ERROR, "the server's TLS certificate is not trusted"),
    (ssl.SSLCertVerificationError, Reason.NETWORK_ERROR, "the server's TLS certificate is not trusted"),
    (aiohttp.ClientSSLError, Reason.NETWORK_ERROR, "no TLS connection could be agreed on"),
    (aiohttp.ClientProxyConnectionError, Reason.NETWORK_ERROR, "the proxy cannot be reached: {os}"),
    (aiohttp.ClientHttpProxyError, Reason.NETWORK_ERROR, "the proxy refused the connection"),
    (aiohttp.ClientConnectorDNSError, Reason.NETWORK_ERROR, "the host name cannot be resolved"),
    (aiohttp.ClientConnectorError, Reason.NETWORK_ERROR, "no connection: {os}"),
    (aiohttp.ServerDisconnectedError, Reason.NETWORK_ERROR, "the connection was closed before an answer came"),
    (aiohttp.ClientPayloadError, Reason.NETWORK_ERROR, "the connection broke in the middle of the answer"),
    (aiohttp.ClientOSError, Reason.NETWORK_ERROR, "the connection broke: {os}"),
    (aiohttp.ClientResponseError, Reason.BAD_RESPONSE, "the answer is not valid HTTP"),
    (aiohttp.InvalidURL, Reason.BAD_RESPONSE, "`next` is no URL that can be asked for"),
    (aiohttp.ClientError, Reason.NETWORK_ERROR, "the connection failed"),
    (zlib.error, Reason.BAD_RESPONSE, "the answer says gzip and is not"),
    (OSError, Reason.NETWORK_ERROR, "the connection broke: {os}"),
    (ValueError, Reason.BAD_RESPONSE, "the answer is not valid HTTP"),
)


async def _read(response: aiohttp.ClientResponse, largest: int) -> bytes | Failed:
    """The decoded body, at most `largest` bytes; an error's body is cut short instead."""
    limit = largest if response.status == 200 else LARGEST_ERROR_BODY
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in {"identity", "gzip", "x-gzip", ""}:
        return Failed(Reason.BAD_RESPONSE, "the answer is compressed in a way that was not asked for")
    inflate = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
    parts: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        data = inflate.decompress(chunk, limit + 1 - size) if inflate else chunk
        parts.append(data)
        size += len(data)
        if size > limit:
            if response.status == 200:
                return Failed(Reason.BAD_RESPONSE, f"the answer is larger than {largest // 2**20} MB")
            response.close()
            break
    if inflate and size and size <= limit and not inflate.eof:
        return Failed(Reason.BAD_RESPONSE, "the compressed answer ends too early")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _after(failed: Failed, attempts: int) -> Failed:
    return failed if attempts == 1 else Failed(failed.reason, f"{failed.detail} (after {attempts} attempts)")


def _allowance(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """`ratelimit-remaining` and `ratelimit-reset`."""
    return _count(headers.get("ratelimit-remaining")), _count(headers.get("ratelimit-reset"))


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None


def _os_words(error: Exception) -> str:
    """The system's words without the address, which is the base URL's and said elsewhere."""
    inner = getattr(error, "os_error", error)
    # Not `strerror`, in which asyncio puts a text of its own with the address.
    number = getattr(inner, "errno", None)
    return os.strerror(number).lower() if isinstance(number, int) and number > 0 else "it failed"
