"""Headers by which a server can make a client wait, against a client that counts how long it does."""

import logging

import pytest

from audit.replicate import connect
from audit.replicate.retry import LONGEST_WAIT
from tests.replicate.test_session import FOUND, PAGE, target
from tests.support.clock import ManualClock
from tests.support.raw_http import http_answer, raw_server

NEARLY_TRUE = ["61.5", "3600"]
VALUES = [*NEARLY_TRUE, "999999999", "60000", "86400000", "1772366400", "1772366400000", "1e9", "9" * 400]
NO_VALUES = ["-1", "-999999999", "", "soon", "nan", "inf", "Fri, 31 Dec 9999 23:59:59 GMT", "0x10"]


@pytest.mark.parametrize("value", VALUES)
async def test_a_used_up_limit_holds_up_a_run_for_a_minute_at_most_and_that_is_said(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(nth: int, head: bytes) -> bytes:
        if b"first" in head:
            return http_answer(PAGE, b"ratelimit-remaining: 0", b"ratelimit-reset: " + value.encode())
        return http_answer(PAGE)

    caplog.set_level(logging.INFO, "audit")
    clock = ManualClock()
    async with raw_server(answer) as server, connect(target(server.base_url), clock.timing) as replicate:
        assert await replicate.ask("acme/first") == FOUND
        held, began = replicate.waiting(), clock.seconds
        assert await replicate.ask("acme/second") == FOUND
        assert clock.seconds >= began + held  # nobody, and so not the very next one either
        for each in range(9):
            assert await replicate.ask(f"acme/m{each}") == FOUND
    assert clock.seconds <= LONGEST_WAIT + 1
    assert held == (LONGEST_WAIT if value in NEARLY_TRUE else 0)
    assert ("rate limit: nobody asks for 60 s" in caplog.messages) == bool(held)


@pytest.mark.parametrize("value", NO_VALUES)
@pytest.mark.parametrize("name", [b"ratelimit-reset", b"ratelimit-remaining"])
async def test_a_limit_that_cannot_be_read_holds_up_nobody(name: bytes, value: str) -> None:
    other = b"ratelimit-remaining: 0" if name == b"ratelimit-reset" else b"ratelimit-reset: 50"
    answer = http_answer(PAGE, other, name + b": " + value.encode())
    clock = ManualClock()
    async with raw_server(lambda *_: answer) as server, connect(target(server.base_url), clock.timing) as replicate:
        for each in range(5):
            assert await replicate.ask(f"acme/m{each}") == FOUND
    assert clock.seconds < 1


@pytest.mark.parametrize("status", [b"429 Too Many", b"500 Oh", b"503 Busy"])
@pytest.mark.parametrize("value", [*VALUES, *NO_VALUES])
async def test_a_retry_after_holds_up_each_attempt_for_a_minute_at_most(status: bytes, value: str) -> None:
    answer = http_answer(
        b'{"detail": "wait", "retry_after": 999999999}', b"Retry-After: " + value.encode(), status=status
    )
    clock = ManualClock()
    async with (
        raw_server(lambda *_: answer) as server,
        connect(target(server.base_url, retries=2), clock.timing) as replicate,
        replicate.delivery_hosts() as hosts,
    ):
        await replicate.ask("acme/m")
        assert max(clock.slept, default=0) <= LONGEST_WAIT
        await hosts.ask(f"http://127.0.0.1:{server.port}/w.tar")
    assert max(clock.slept) <= LONGEST_WAIT
    assert clock.seconds <= 5 * LONGEST_WAIT


@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found"])
async def test_a_retry_after_of_an_answer_is_nothing_to_wait_for(status: bytes) -> None:
    body = PAGE if status.startswith(b"200") else b'{"detail": "gone"}'
    answer = http_answer(body, b"Retry-After: 50", status=status)
    clock = ManualClock()
    async with raw_server(lambda *_: answer) as server, connect(target(server.base_url), clock.timing) as replicate:
        await replicate.ask("acme/m")
    assert clock.seconds < 1


@pytest.mark.parametrize(
    "date",
    ["Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", "Thu, 01 Jan 1970 00:00:00 GMT", "99"],
)
async def test_a_clock_that_is_far_off_is_told_and_changes_nothing(date: str) -> None:
    answer = http_answer(PAGE, b"Date: " + date.encode())
    clock = ManualClock()
    async with raw_server(lambda *_: answer) as server, connect(target(server.base_url), clock.timing) as replicate:
        assert await replicate.ask("acme/m") == FOUND
        assert replicate.last_response
        assert replicate.last_response.clock_ahead is None or abs(replicate.last_response.clock_ahead) > 1e6
    assert clock.seconds < 1
