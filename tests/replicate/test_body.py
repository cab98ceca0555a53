"""Compressed bodies, as they come and as they should not."""

import gzip
import zlib

import pytest

from audit.model.codes import Reason
from audit.model.replies import Failed, Found, Reply, Version
from audit.replicate import connect
from audit.replicate.transport import LARGEST_BODY
from tests.replicate.test_session import target
from tests.support.clock import ManualClock
from tests.support.raw_http import http_answer, raw_server
from tests.support.samples import NEW

PAGE = b'{"results": [{"id": "%s"}], "next": null}' % NEW.encode()
FOUND = Found((Version(NEW, None),))
HALF = len(PAGE) // 2
GZIP = b"Content-Encoding: gzip"


async def reply_to(answer: bytes) -> Reply:
    async with (
        raw_server(lambda *_: answer) as server,
        connect(target(server.base_url), ManualClock().timing) as replicate,
    ):
        first = await replicate.ask("acme/m")
        assert await replicate.ask("acme/m") == first, "the connection is left in order, or closed"
        return first


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(gzip.compress(PAGE), id="one member"),
        pytest.param(gzip.compress(PAGE[:HALF]) + gzip.compress(PAGE[HALF:]), id="two members"),
        pytest.param(b"".join(gzip.compress(bytes([byte])) for byte in PAGE), id="a member for each byte"),
        pytest.param(gzip.compress(b"") + gzip.compress(PAGE) + gzip.compress(b""), id="empty members"),
        pytest.param(gzip.compress(PAGE) + b"\0" * 20, id="padded with zeros"),
        pytest.param(gzip.compress(PAGE) + b"rubbish", id="rubbish behind it"),
    ],
)
@pytest.mark.parametrize("name", [b"gzip", b"x-gzip", b" GZIP "])
async def test_gzip_is_read_to_its_end_however_many_members_it_has(packed: bytes, name: bytes) -> None:
    assert await reply_to(http_answer(packed, b"Content-Encoding:" + name)) == FOUND


@pytest.mark.parametrize("size", [1, 9, 10, 20, -9, -1])
@pytest.mark.parametrize("before", [b"", gzip.compress(PAGE[:HALF])], ids=["one member", "the second of two"])
async def test_gzip_that_ends_too_early_is_said_to(size: int, before: bytes) -> None:
    reply = await reply_to(http_answer(before + gzip.compress(PAGE)[:size], GZIP))
    assert reply == Failed(Reason.BAD_RESPONSE, "the compressed answer ends too early")


@pytest.mark.parametrize("count", [1, 20])
async def test_gzip_stays_bounded_also_over_several_members(count: int) -> None:
    packed = gzip.compress(b" " * (LARGEST_BODY // count + 1000)) * count
    reply = await reply_to(http_answer(packed, GZIP))
    assert reply == Failed(Reason.BAD_RESPONSE, "the answer is larger than 16 MB")


async def test_members_without_a_byte_in_them_are_bounded_too() -> None:
    reply = await reply_to(http_answer(gzip.compress(b"") * 100_000, GZIP))
    assert reply == Failed(Reason.BAD_RESPONSE, "the answer is compressed in more than 10,000 parts")


@pytest.mark.parametrize(
    ("packed", "name", "words"),
    [
        (zlib.compress(PAGE), b"deflate", "compressed in a way that was not asked for"),
        (PAGE, b"gzip", "says gzip and is not"),
        (gzip.compress(PAGE[:HALF]) + b"\x1frubbish", b"gzip", "says gzip and is not"),
        (gzip.compress(PAGE)[:-8] + b"\0" * 8, b"gzip", "says gzip and is not"),
    ],
    ids=["deflate", "not compressed", "a second member that is none", "a wrong checksum"],
)
async def test_what_cannot_be_decompressed_is_called_what_it_is(packed: bytes, name: bytes, words: str) -> None:
    reply = await reply_to(http_answer(packed, b"Content-Encoding: " + name))
    assert isinstance(reply, Failed)
    assert reply.reason is Reason.BAD_RESPONSE
    assert words in reply.detail


@pytest.mark.parametrize(
    ("body", "name"),
    [(b"plain", b"gzip"), (gzip.compress(b"x" * 99)[:20], b"gzip"), (b"plain", b"br")],
    ids=["no gzip", "half of it", "another compression"],
)
async def test_an_error_is_known_by_its_status_whatever_its_body_is(body: bytes, name: bytes) -> None:
    reply = await reply_to(http_answer(body, b"Content-Encoding: " + name, status=b"502 Bad Gateway"))
    assert isinstance(reply, Failed)
    assert reply.reason is Reason.SERVER_ERROR
    assert reply.detail.startswith("HTTP 502")
