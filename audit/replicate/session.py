"""Sessions of aiohttp as this program wants them: no redirects, no cookies, nothing repeated that nobody counts.

A kept connection may be closed by the other side at any moment, also while a request is on its way. Such a request was
never answered, which says nothing about the service: `get` raises `ClosedBeforeError`, and whoever asks again says
`fresh`, which no kept connection is used for.
"""

import gc
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar

import aiohttp
from yarl import URL

from audit.replicate.certificates import verifying
from audit.replicate.url import proxy_url

LONGEST_HEADER = 64 * 1024
"""Bytes of a header of an answer, and of its first line."""
MOST_HEADERS = 256
OBJECTS = 700
"""After so many new ones garbage is looked for while servers are asked; Python's own number for many years."""
_NO_ANSWER = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError)


class ClosedBeforeError(Exception):
    """A kept connection was closed before a single byte of an answer came."""


_OPENED: ContextVar[list[aiohttp.AddrInfoType]] = ContextVar("_OPENED")
"""Where the request of this task has opened sockets to; nowhere if it went by a connection that was kept."""


@asynccontextmanager
async def connect(
    *, sockets: int, seconds: float, headers: Mapping[str, str], proxy: str | None, read_bufsize: int = 2**16
) -> AsyncIterator["Session"]:
    """A session with at most `sockets` of them, closed at the end. A request has `seconds`, whole."""
    # The start of a command looks for none; but an error that breaks off a body stands in a circle with all of it.
    gc.set_threshold(OBJECTS)

    def session(*, kept: bool) -> aiohttp.ClientSession:
        made = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=sockets, force_close=not kept, socket_factory=_open),
            headers=headers,
            auto_decompress=False,  # decompressed where the size of the result is bounded
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=seconds),  # from the wait for a socket to the end of the body
            trust_env=False,  # a .netrc or a proxy for http must not see the token; `proxy` is explicit
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
            max_headers=MOST_HEADERS,
            read_bufsize=read_bufsize,
        )
        # aiohttp silently repeats a GET whose connection breaks: a request that no rate and no count would know of.
        made._retry_connection = False  # noqa: SLF001 - there is no public way; a test notices when this one closes
        return made

    async with session(kept=True) as pool, session(kept=False) as fresh:
        yield Session(pool, fresh, proxy)


class Session:
    """Asks by kept connections, or by fresh ones. Each that is fresh takes the place of one that was closed."""

    def __init__(self, pool: aiohttp.ClientSession, fresh: aiohttp.ClientSession, proxy: str | None) -> None:
        self._pool = pool
        self._fresh = fresh
        self._proxy = proxy_url(proxy) if proxy else None

    async def get(self, url: URL, *, fresh: bool = False) -> aiohttp.ClientResponse:
        """The answer, to be closed, of which nothing but the head is read. Raises as aiohttp, or ClosedBeforeError."""
        opened: list[aiohttp.AddrInfoType] = []
        _OPENED.set(opened)
        session = self._fresh if fresh else self._pool
        context = verifying() if self._proxy or url.scheme == "https" else True
        try:
            return await session.get(url, allow_redirects=False, proxy=self._proxy, ssl=context)
        except aiohttp.ClientConnectorError:
            raise  # there was no connection yet
        except _NO_ANSWER as error:
            begun = not isinstance(getattr(error, "message", ""), str)  # then it is what came of an answer
            if not (opened or begun):
                raise ClosedBeforeError from error
            raise


def _open(address: aiohttp.AddrInfoType) -> socket.socket:
    """As aiohttp would. It tells by tracing as well who has a new connection, which costs a tenth of a request."""
    _OPENED.get().append(address)
    return socket.socket(*address[:3])
