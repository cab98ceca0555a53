"""Kept connections that the other side closes, and heads that are larger than usual."""

import asyncio
import gc
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from audit.model.codes import Reason
from audit.model.replies import Failed, Found, Version, WeightsAnswer
from audit.replicate import Target, connect
from audit.replicate.session import LONGEST_HEADER, MOST_HEADERS, OBJECTS
from tests.support.clock import ManualClock
from tests.support.raw_http import http_answer, raw_server
from tests.support.samples import NEW

PAGE = b'{"results": [{"id": "%s"}], "next": null}' % NEW.encode()
FOUND = Found((Version(NEW, None),))


def target(base_url: str, **changes: Any) -> Target:
    plain: dict[str, Any] = {
        "base_url": base_url,
        "token": "r8_anything",
        "user_agent": "test",
        "concurrency": 4,
        "per_minute": 100_000,
        "timeout": 5.0,
        "retries": 0,
    }
    return Target(**(plain | changes))


def closes_after(served: int) -> Callable[[int, bytes], bytes | None]:
    """A server that lets each connection be used so often, says nothing of it, and then hangs up on whoever asks."""
    return lambda nth, _: http_answer(PAGE) if nth <= served else None


@pytest.mark.parametrize("served", [1, 2, 5])
async def test_a_request_by_a_connection_that_was_closed_is_sent_again_and_is_no_attempt(served: int) -> None:
    async with (
        raw_server(closes_after(served)) as server,
        connect(target(server.base_url), ManualClock().timing) as replicate,
    ):
        replies = [await replicate.ask(f"acme/m{i}") for i in range(12)]
        assert replies == [FOUND] * 12
        assert replicate.requests.sent == len(server.heads) > 12
        assert replicate.requests.retried == len(server.heads) - 12


async def test_many_at_once_are_all_answered_by_a_server_that_closes_what_it_kept() -> None:
    async with (
        raw_server(closes_after(1)) as server,
        connect(target(server.base_url), ManualClock().timing) as replicate,
    ):
        for _ in range(3):
            replies = await asyncio.gather(*(replicate.ask(f"acme/m{i}") for i in range(20)))
            assert set(replies) == {FOUND}
        assert replicate.requests.sent == len(server.heads)


async def test_each_request_of_such_a_repetition_has_its_turn() -> None:
    clock = ManualClock()
    async with (
        raw_server(closes_after(1)) as server,
        connect(target(server.base_url, per_minute=60), clock.timing) as replicate,
    ):
        for _ in range(4):
            await replicate.ask("acme/m")
        assert clock.seconds == pytest.approx(len(server.heads) - 1, abs=0.2)


@pytest.mark.parametrize("retries", [0, 2])
async def test_a_server_that_never_answers_is_a_failure_after_as_many_attempts_as_ever(retries: int) -> None:
    async with (
        raw_server(lambda nth, head: None) as server,
        connect(target(server.base_url, retries=retries), ManualClock().timing) as replicate,
    ):
        reply = await replicate.ask("acme/m")
        assert isinstance(reply, Failed)
        assert reply.reason is Reason.NETWORK_ERROR
        assert reply.detail.startswith("the connection was closed before an answer came")
        assert len(server.heads) == replicate.requests.sent == 1 + retries


async def test_a_server_that_stops_answering_is_asked_once_more_and_no_more() -> None:
    answered = 0

    def answer(nth: int, head: bytes) -> bytes | None:
        nonlocal answered
        answered += 1
        return http_answer(PAGE) if answered == 1 else None

    async with raw_server(answer) as server, connect(target(server.base_url), ManualClock().timing) as replicate:
        assert await replicate.ask("acme/m") == FOUND
        assert isinstance(await replicate.ask("acme/m"), Failed)
        assert len(server.heads) == replicate.requests.sent == 3


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nhalf"])
async def test_an_answer_that_had_begun_is_an_attempt(begun: bytes) -> None:
    """The second request of the connection gets the beginning of an answer, and then the connection ends."""
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http_answer(PAGE))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begun)
        await writer.drain()
        writer.close()
        served.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(target(f"http://127.0.0.1:{port}/v1"), ManualClock().timing) as replicate:
            assert await replicate.ask("acme/m") == FOUND
            assert isinstance(await replicate.ask("acme/m"), Failed)
            assert served.is_set()
            assert replicate.requests.sent == 2


async def test_a_kept_connection_that_is_reset_is_no_attempt_either() -> None:
    resets = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal resets
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http_answer(PAGE))
        await reader.readuntil(b"\r\n\r\n")
        resets += 1
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(target(f"http://127.0.0.1:{port}/v1"), ManualClock().timing) as replicate:
            for _ in range(2):
                assert await replicate.ask("acme/m") == FOUND
            assert resets == 1
            assert replicate.requests.sent == 3


async def test_weights_are_asked_for_in_the_same_way() -> None:
    there = http_answer(b"x", b"Content-Range: bytes 0-0/9", status=b"206 Partial Content")
    async with (
        raw_server(lambda nth, _: there if nth == 1 else None) as server,
        connect(target(server.base_url), ManualClock().timing) as replicate,
        replicate.delivery_hosts() as hosts,
    ):
        for _ in range(6):
            assert await hosts.ask(f"http://127.0.0.1:{server.port}/w.tar") == WeightsAnswer("there", "HTTP 206")


SIZES = [9_000, 20_000, LONGEST_HEADER - 100]


@pytest.mark.parametrize("size", SIZES)
async def test_a_header_of_many_kilobytes_is_read(size: int) -> None:
    answer = http_answer(PAGE, b"Content-Security-Policy: " + b"x" * size)
    async with (
        raw_server(lambda *_: answer) as server,
        connect(target(server.base_url), ManualClock().timing) as replicate,
        replicate.delivery_hosts() as hosts,
    ):
        assert await replicate.ask("acme/m") == FOUND
        assert await hosts.ask(f"http://127.0.0.1:{server.port}/w.tar") == WeightsAnswer("there", "HTTP 200")


async def test_two_hundred_headers_are_read() -> None:
    answer = http_answer(PAGE, *(b"X-%d: y" % i for i in range(200)))
    async with (
        raw_server(lambda *_: answer) as server,
        connect(target(server.base_url), ManualClock().timing) as replicate,
    ):
        assert await replicate.ask("acme/m") == FOUND


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([b"X: " + b"x" * 2 * LONGEST_HEADER], "a header of the answer has more than 65,536 bytes"),
        ([b"X-%d: y" % i for i in range(2 * MOST_HEADERS)], "the answer has more than 256 headers"),
    ],
    ids=["long", "many"],
)
async def test_a_head_beyond_that_is_called_what_it_is(headers: list[bytes], words: str) -> None:
    answer = http_answer(PAGE, *headers)
    async with (
        raw_server(lambda *_: answer) as server,
        connect(target(server.base_url), ManualClock().timing) as replicate,
        replicate.delivery_hosts() as hosts,
    ):
        assert await replicate.ask("acme/m") == Failed(Reason.BAD_RESPONSE, words)
        assert await hosts.ask(f"http://127.0.0.1:{server.port}/w.tar") == WeightsAnswer("nothing", words)


async def test_bodies_of_broken_answers_do_not_pile_up() -> None:
    """Each is held by the error that broke it off, in a circle, until garbage is looked for."""
    before = gc.get_threshold()
    gc.set_threshold(100_000)
    try:
        async with connect(target("http://127.0.0.1:1/v1"), ManualClock().timing):
            assert gc.get_threshold()[0] == OBJECTS
    finally:
        gc.set_threshold(*before)
