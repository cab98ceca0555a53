"""Answers as bytes, and how they get to the client.

They are written byte by byte as we want them, without aiohttp's response classes: those would repair what is meant to
be broken, and a prepared answer costs one write.

A version carries 9 KB of schema that is the same for all. It is compressed once, ended with a full flush, which makes
it a whole number of bytes that may stand anywhere in a deflate stream (RFC 1951, zlib's Z_FULL_FLUSH); what differs
stands between as stored blocks. So a gzip body costs one checksum instead of one compression.
"""

import struct
import zlib
from functools import cached_property
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x01\x00\x00\xff\xff"
_STORED_LIMIT = 0xFFFF


class Piece:
    """A prepared piece of a body, plain and deflated."""

    __slots__ = ("deflated", "plain")

    def __init__(self, plain: bytes) -> None:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.plain = plain
        self.deflated = packer.compress(plain) + packer.flush(zlib.Z_FULL_FLUSH)


class Body:
    """A body of prepared pieces and loose bytes, to be sent plain or as gzip."""

    def __init__(self, *parts: bytes | Piece) -> None:
        self._parts = parts

    @cached_property
    def plain(self) -> bytes:
        """The body as it is."""
        return b"".join([part if isinstance(part, bytes) else part.plain for part in self._parts])

    def gzipped(self) -> bytes:
        """The body as one gzip member, valid to the last checksum."""
        out = [_GZIP_HEAD]
        checksum = size = 0
        for part in self._parts:
            if isinstance(part, bytes):
                out.append(_stored(part))
                plain = part
            else:
                out.append(part.deflated)
                plain = part.plain
            checksum = zlib.crc32(plain, checksum)
            size += len(plain)
        out.append(_LAST_BLOCK)
        out.append(struct.pack("<II", checksum, size & 0xFFFFFFFF))
        return b"".join(out)


def _stored(plain: bytes) -> bytes:
    if len(plain) > _STORED_LIMIT:
        return Piece(plain).deflated
    return struct.pack("<BHH", 0, len(plain), len(plain) ^ 0xFFFF) + plain


class Answer(NamedTuple):
    """A whole answer. `headers` are further header lines, each with its line end."""

    status: int
    body: Body
    content_type: str | None = "application/json"
    headers: str = ""


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
        """Do nothing: the head is out."""
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: the body is out."""


SENT = Sent(reusable=True)
SENT_LAST = Sent(reusable=False)


class ResponseWriter:
    """The way back to the client of one request. `common` are the header lines of every answer."""

    def __init__(self, request: web.BaseRequest, common: str) -> None:
        self.request = request
        self._common = common

    async def send(self, answer: Answer) -> Sent:
        """Send the whole answer; returns what aiohttp's handler has to return."""
        head, body = self.encode(answer)
        await self.write(head if self.request.method == "HEAD" else head + body)
        return SENT if self.request.keep_alive else SENT_LAST

    def encode(self, answer: Answer) -> tuple[bytes, bytes]:
        """Head and body, as gzip where the client accepts it."""
        packed = "gzip" in self.request.headers.get("Accept-Encoding", "")
        body = answer.body.gzipped() if packed else answer.body.plain
        return self.head(answer, f"Content-Length: {len(body)}\r\n", "gzip" if packed else None), body

    def head(self, answer: Answer, length: str, encoding: str | None) -> bytes:
        """Status line and headers; `length` is the header line that says where the body ends."""
        kind = f"Content-Type: {answer.content_type}\r\n" if answer.content_type else ""
        packed = f"Content-Encoding: {encoding}\r\n" if encoding else ""
        close = "" if self.request.keep_alive else "Connection: close\r\n"
        lines = f"{kind}{length}{packed}{self._common}{answer.headers}{close}"
        return f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n{lines}\r\n".encode()

    async def write(self, data: bytes) -> None:
        """Send these bytes."""
        await self.request.writer.write(data)
