"""Bodies of answers, decompressed, and never more of them than fits."""

import zlib

import aiohttp

from audit.model.codes import Reason
from audit.model.replies import Failed

LARGEST_ERROR_BODY = 64 * 1024
"""Bytes of an error's body that are read; the rest is left."""
MOST_MEMBERS = 10_000
"""Of a gzip file; each costs time also where there is nothing in it."""


async def read_body(response: aiohttp.ClientResponse, largest: int) -> bytes | Failed:
    """The decoded body, at most `largest` bytes.

    An error's body is read as far as it goes and makes sense: its status alone says what is the matter.
    """
    if response.status == 200:
        return await _whole(response, largest)
    try:
        body = await _whole(response, LARGEST_ERROR_BODY, cut=True)
    except (zlib.error, aiohttp.ClientPayloadError):
        return b""
    return b"" if isinstance(body, Failed) else body


async def _whole(response: aiohttp.ClientResponse, largest: int, *, cut: bool = False) -> bytes | Failed:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        return Failed(Reason.BAD_RESPONSE, "the answer is compressed in a way that was not asked for")
    gunzip = _Gunzip() if "gzip" in encoding else None
    parts: list[bytes] = []
    size = came = 0
    while chunk := await response.content.readany():
        came += len(chunk)
        data = gunzip.feed(chunk, largest + 1 - size) if gunzip else chunk
        parts.append(data)
        size += len(data)
        if max(size, came) > largest:
            if not cut:
                return Failed(Reason.BAD_RESPONSE, f"the answer is larger than {largest // 2**20} MB")
            break
        if gunzip and gunzip.members > MOST_MEMBERS and not cut:
            return Failed(Reason.BAD_RESPONSE, f"the answer is compressed in more than {MOST_MEMBERS:,} parts")
        if gunzip and gunzip.done:
            break
    if not response.content.at_eof():
        response.close()  # the rest is not wanted, so the connection is of no use any more
    if gunzip and came and not gunzip.complete and not cut:
        return Failed(Reason.BAD_RESPONSE, "the compressed answer ends too early")
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Gunzip:
    """Decompresses gzip, also of several members. What follows them and is none is left, as gzip itself does."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self.members = 1
        self.done = False
        """Nothing more is read."""

    @property
    def complete(self) -> bool:
        """Whether the last member came to its end."""
        return self._member.eof

    def feed(self, data: bytes, most: int) -> bytes:
        """What `data` decompresses to, cut after `most` bytes. Raises zlib.error."""
        parts: list[bytes] = []
        while data and most > 0:
            if self._member.eof:
                self.members += data[0] == 0x1F
                if data[0] != 0x1F or self.members > MOST_MEMBERS:
                    self.done = True
                    break
                self._member = zlib.decompressobj(wbits=31)
            parts.append(self._member.decompress(data, most))
            most -= len(parts[-1])
            data = self._member.unused_data
        return b"".join(parts)
