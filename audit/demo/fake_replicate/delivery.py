"""How an answer gets onto the wire: as it should, or cut off, dripping, endless.

Answers are written byte by byte as we want them, without aiohttp's response classes: those would repair what is
meant to be broken, and a prepared answer costs one write.
"""

import asyncio
import functools
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from audit.demo.fake_replicate.bodies import Body
from audit.demo.fake_replicate.faults import Bomb, Drip, Fault, Hang, Huge, Reset, Truncated

Sleep = Callable[[float], Awaitable[None]]
_PAGE_HEAD = b'{"previous":null,"next":null,"results":['
_PAGE_END = b"]}"
_CHUNK = 1 << 20


class Answer(NamedTuple):
    """A whole answer. `headers` are further header lines, each with its line end."""

    status: int
    body: Body
    content_type: str | None = "application/json"
    headers: str = ""
    encoding: str | None = None
    """Claimed for a body that is sent as it is; None lets the client choose between gzip and none."""


class Sent(web.StreamResponse):
    """Tells aiohttp that the answer is out already, and whether the connection can be used again."""

    def __init__(self, *, reusable: bool) -> None:
        super().__init__()
        self._reusable = reusable

    @property
    def keep_alive(self) -> bool:
        """Asked by aiohttp after each answer."""
        return self._reusable

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Does nothing: the head is out."""
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Does nothing: the body is out."""


SENT = Sent(reusable=True)
SENT_LAST = Sent(reusable=False)


class Line:
    """One request's way back to the client."""

    def __init__(self, request: web.BaseRequest, common: str, sleep: Sleep) -> None:
        self._request = request
        self._common = common
        self._sleep = sleep
        self._gzip = "gzip" in request.headers.get("Accept-Encoding", "")

    async def send(self, answer: Answer, fault: Fault | None = None) -> Sent:
        """Sends the answer in the way of the fault; returns what the handler has to return."""
        match fault:
            case Hang():
                await asyncio.Event().wait()  # until the client goes, or the server: both cancel
            case Reset():
                return await self._reset(answer, midway=fault.midway)
            case Truncated():
                head, body = self._bytes(answer)
                await self._write(head + body[: len(body) // 2])
                return SENT_LAST
            case Drip():
                return await self._drip(answer, fault.pause)
            case Huge():
                return await self._huge(fault)
            case Bomb():
                return await self._bomb(fault)
            case _:
                head, body = self._bytes(answer)
                await self._write(head if self._request.method == "HEAD" else head + body)
        return SENT if self._request.keep_alive else SENT_LAST

    def _bytes(self, answer: Answer) -> tuple[bytes, bytes]:
        encoding = answer.encoding
        if encoding is None and self._gzip:
            encoding, body = "gzip", answer.body.gzipped()
        else:
            body = answer.body.plain
        return self._head(answer, f"Content-Length: {len(body)}\r\n", encoding), body

    def _head(self, answer: Answer, length: str, encoding: str | None) -> bytes:
        kind = f"Content-Type: {answer.content_type}\r\n" if answer.content_type else ""
        packed = f"Content-Encoding: {encoding}\r\n" if encoding else ""
        close = "" if self._request.keep_alive else "Connection: close\r\n"
        status = HTTPStatus(answer.status)
        lines = f"{kind}{length}{packed}{self._common}{answer.headers}{close}"
        return f"HTTP/1.1 {answer.status} {status.phrase}\r\n{lines}\r\n".encode()

    async def _write(self, data: bytes) -> None:
        await self._request.writer.write(data)

    async def _reset(self, answer: Answer, *, midway: bool) -> Sent:
        if midway:
            head, body = self._bytes(answer)
            await self._write(head + body[: len(body) // 2])
        transport = self._request.transport
        if transport is not None:
            # Linger 0 makes closing send RST, which is what a client sees of a proxy that dies.
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        return SENT_LAST

    async def _drip(self, answer: Answer, pause: float) -> Sent:
        head, body = self._bytes(answer)
        await self._write(head)
        for at in range(len(body)):
            await self._write(body[at : at + 1])
            await self._sleep(pause)
        return SENT

    async def _huge(self, fault: Huge) -> Sent:
        answer = Answer(200, Body(()))
        length = f"Content-Length: {fault.size}\r\n" if fault.declared else "Connection: close\r\n"
        await self._write(self._head(answer, length, None) + _PAGE_HEAD)
        left = fault.size - len(_PAGE_HEAD) - len(_PAGE_END)
        blanks = b" " * _CHUNK
        while left > 0:
            await self._write(blanks[:left])
            left -= _CHUNK
        await self._write(_PAGE_END)
        return SENT_LAST

    async def _bomb(self, fault: Bomb) -> Sent:
        packed = await asyncio.to_thread(bomb, fault.size)  # a third of a second for 300 MB
        await self._write(self._head(Answer(200, Body(())), f"Content-Length: {len(packed)}\r\n", "gzip"))
        await self._write(packed)
        return SENT_LAST


@functools.lru_cache(maxsize=4)
def bomb(size: int) -> bytes:
    """A gzip member of a valid, empty page with blanks in it: `size` bytes or up to 1 MB more when decoded."""
    blanks = b" " * _CHUNK
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    # Compressing the same megabyte again and again is slow, copying what came of it is not; the checksum needs no copy.
    parts = [packer.compress(_PAGE_HEAD), packer.flush(zlib.Z_FULL_FLUSH)]
    block_packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = block_packer.compress(blanks) + block_packer.flush(zlib.Z_FULL_FLUSH)
    count = -(-size // _CHUNK)
    checksum = zlib.crc32(_PAGE_HEAD)
    for _ in range(count):
        checksum = zlib.crc32(blanks, checksum)
    end_packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    end = end_packer.compress(_PAGE_END) + end_packer.flush()
    checksum = zlib.crc32(_PAGE_END, checksum)
    length = len(_PAGE_HEAD) + count * _CHUNK + len(_PAGE_END)
    return b"".join([*parts, block * count, end, struct.pack("<II", checksum, length & 0xFFFFFFFF)])
