"""Weights against a real HTTP server: what is asked, with what, and what each answer tells."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from audit.demo.fake_replicate.faults import Fault, Hang, Odd, Refused, Reset
from audit.demo.fake_replicate.server import TOKEN
from audit.demo.fake_replicate.world import SmallWorld
from audit.model.replies import Account, WeightsAnswer
from audit.replicate import Target, connect
from audit.replicate.weights import AT_ONCE, DeliveryHosts, askable_weights
from tests.support.clock import ManualClock
from tests.support.faults import Huge, Redirected, ThrottledIn
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate

API = "https://api.replicate.com/v1"
HERE = "http://127.0.0.1:8080/v1"
FILE = "xezq/AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCd/flux-lora.tar"


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        (f"https://replicate.delivery/{FILE}", f"https://replicate.delivery/{FILE}"),
        (f" https://Replicate.Delivery:443/{FILE}\n", f"https://replicate.delivery/{FILE}"),
        ("https://pbxt.replicate.delivery/a/b.tar?x=1#top", "https://pbxt.replicate.delivery/a/b.tar?x=1"),
        ("https://a.b.replicate.delivery/c", "https://a.b.replicate.delivery/c"),
        (f"http://replicate.delivery/{FILE}", None),
        (f"https://replicate.delivery:8443/{FILE}", None),
        (f"https://me:pass@replicate.delivery/{FILE}", None),
        ("https://replicate.delivery.evil.example/a.tar", None),
        ("https://notreplicate.delivery/a.tar", None),
        ("https://evil.example/https://replicate.delivery/a.tar", None),
        ("https://evil.example\\@replicate.delivery/a.tar", None),
        ("https://replicate.delivery./a.tar", None),
        ("https://huggingface.co/acme/ann/lora.safetensors", None),
        ("https://replicate.com/acme/ann", None),
        ("https://api.replicate.com/v1/models", None),
        ("http://127.0.0.1:8080/weights/a.tar", None),
        ("acme/ann", None),
        ("https://replicate.delivery/a b.tar", None),
        ("https://replicate.delivery/a\x1b.tar", None),
        ("https://replicate.delivery/" + "a" * 2000, None),
        ("https://[::1/a.tar", None),
        ("https:///a.tar", None),
        ("", None),
        (" ", None),
        (None, None),
    ],
)
def test_only_files_on_replicates_delivery_hosts_are_asked_for(recorded: str | None, asked: str | None) -> None:
    assert askable_weights(recorded, API) == asked


@pytest.mark.parametrize(
    ("recorded", "base_url", "asked"),
    [
        ("http://127.0.0.1:8080/weights/a.tar", HERE, True),
        ("http://localhost:8080/weights/a.tar", "http://localhost:8080/v1", True),
        ("http://127.0.0.1:8081/weights/a.tar", HERE, False),
        ("https://127.0.0.1:8080/weights/a.tar", HERE, False),
        ("https://gateway.example/weights/a.tar", "https://gateway.example/v1", False),
        (f"https://replicate.delivery/{FILE}", HERE, True),
    ],
)
def test_a_stand_in_on_this_machine_is_asked_for_its_own_files(recorded: str, base_url: str, *, asked: bool) -> None:
    assert askable_weights(recorded, base_url) == (recorded if asked else None)


@asynccontextmanager
async def asking(
    *faults: Fault, weights: Mapping[str, int] | None = None, clock: ManualClock | None = None, **changes: Any
) -> AsyncIterator[tuple[DeliveryHosts, InstrumentedReplicate]]:
    world = SmallWorld(Account("organization", "acme"), (), weights=weights or {"a.tar": 206})
    async with InstrumentedReplicate(world, Behaviour(faults=faults)) as fake:
        plain: dict[str, Any] = {
            "base_url": fake.base_url,
            "token": TOKEN,
            "user_agent": "test",
            "concurrency": 4,
            "per_minute": 1,
            "timeout": 5.0,
            "retries": 2,
        }
        async with (
            connect(Target(**(plain | changes)), (clock or ManualClock()).timing) as replicate,
            replicate.delivery_hosts() as hosts,
        ):
            yield hosts, fake


async def answer(*faults: Fault, **changes: Any) -> WeightsAnswer:
    async with asking(*faults, **changes) as (hosts, fake):
        return await hosts.ask(f"{fake.origin}/weights/a.tar")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (206, WeightsAnswer("there", "HTTP 206")),
        (404, WeightsAnswer("gone", "HTTP 404 for its first byte")),
        (410, WeightsAnswer("gone", "HTTP 410 for its first byte")),
    ],
)
async def test_a_file_is_there_or_gone(status: int, told: WeightsAnswer) -> None:
    assert await answer(weights={"a.tar": status}) == told


async def test_the_token_is_never_sent_and_one_socket_serves_many_files() -> None:
    async with asking(weights={f"{n}.tar": 206 for n in range(9)}) as (hosts, fake):
        for n in range(9):
            assert (await hosts.ask(f"{fake.origin}/weights/{n}.tar")).told == "there"
        assert fake.request_log.leaked == 0
        assert not fake.request_log.tokens
        assert fake.request_log.sockets == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Refused(status=403, body="html", on=()), "HTTP 403"),
        (Refused(status=401, on=()), "HTTP 401"),
        (Refused(status=418, on=()), "HTTP 418"),
        (Redirected(to="https://elsewhere.example/", on=()), "a redirect to https://elsewhere.example/"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_tells_nothing_is_asked_once(fault: Fault, words: str) -> None:
    async with asking(fault) as (hosts, fake):
        told = await hosts.ask(f"{fake.origin}/weights/a.tar")
        assert told.told == "nothing"
        assert words in told.detail
        assert fake.request_log.requests == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Refused(status=500, on=()), "HTTP 500"),
        (Refused(status=503, body="html", on=()), "HTTP 503"),
        (ThrottledIn(form="bare", on=()), "HTTP 429"),
        (Reset(on=()), "connection"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_may_pass_is_asked_again(fault: Fault, words: str) -> None:
    async with asking(fault) as (hosts, fake):
        told = await hosts.ask(f"{fake.origin}/weights/a.tar")
        assert told.told == "nothing"
        assert words in told.detail
        assert fake.request_log.requests == 3


async def test_what_has_passed_is_nowhere_to_be_seen() -> None:
    assert await answer(Refused(status=502, times=2, on=())) == WeightsAnswer("there", "HTTP 206")


async def test_a_server_that_never_answers_is_not_waited_for() -> None:
    told = await answer(Hang(on=()), timeout=0.1, retries=0)
    assert told == WeightsAnswer("nothing", "no whole answer within 0.1 s")


@pytest.mark.parametrize("body", [Huge(size=50_000_000, on=()), Odd(content=b"", on=())], ids=["huge", "empty"])
async def test_a_file_that_comes_whole_is_there_and_not_read(body: Fault) -> None:
    assert await answer(body, timeout=2.0) == WeightsAnswer("there", "HTTP 200")


async def test_a_stand_in_is_asked_in_the_place_of_the_delivery_hosts() -> None:
    async with asking(weights={FILE: 206}) as (_, fake):
        target = Target(fake.base_url, TOKEN, "test", 1, 1, 5.0, 0, delivery_stand_in=fake.origin)
        async with connect(target) as replicate, replicate.delivery_hosts() as hosts:
            assert (await hosts.ask(f"https://replicate.delivery/{FILE}")).told == "there"
            assert (await hosts.ask("https://replicate.delivery/other.tar?x=1")).told == "gone"
        assert fake.request_log.paths == {f"/weights/{FILE}": 1, "/weights/other.tar": 1}


async def test_delivery_hosts_are_asked_through_the_proxy_which_sees_no_token() -> None:
    seen: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        target = Target(API, TOKEN, "test", 1, 1, 5.0, 1, proxy=f"http://127.0.0.1:{port}")
        async with connect(target, ManualClock().timing) as replicate, replicate.delivery_hosts() as hosts:
            told = await hosts.ask(f"https://replicate.delivery/{FILE}")
    assert told == WeightsAnswer("nothing", "the proxy refused the connection (502): it cannot reach the host itself")
    assert [each.partition(b"\r\n")[0] for each in seen] == [b"CONNECT replicate.delivery:443 HTTP/1.1"] * 2
    assert not any(TOKEN.encode() in each for each in seen)


def test_at_most_eight_are_asked_for_at_once() -> None:
    assert AT_ONCE == 8
