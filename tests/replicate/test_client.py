"""The client against a real HTTP server that errs in every way."""

import asyncio
import gc
import inspect
import resource
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Literal

import aiohttp
import pytest
from aioresponses import aioresponses

from audit.demo.fake_replicate.answers import PageSizes
from audit.demo.fake_replicate.faults import (
    Endpoint,
    Fault,
    ForeignNext,
    Hang,
    Odd,
    Refused,
    Reset,
    Shuffled,
    Throttled,
    UpperCase,
)
from audit.demo.fake_replicate.server import TOKEN
from audit.demo.fake_replicate.world import Model, SmallWorld
from audit.model.codes import Reason
from audit.model.replies import Account, Failed, Found, Missing, NoVersions, Reply, Training, Version
from audit.replicate import Replicate, Target, connect
from audit.replicate.transport import _ERRORS, LARGEST_BODY
from tests.support.clock import ManualClock
from tests.support.faults import (
    Bomb,
    Dates,
    Drip,
    Huge,
    OddBody,
    Paging,
    Redirected,
    Repeated,
    ResetMidway,
    ThrottledIn,
    Truncated,
)
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.odd_bodies import ODD_BODIES, ODD_VERSION
from tests.support.raw_http import http_answer, raw_server
from tests.support.samples import digest
from tests.support.synthetic_users import SyntheticUsers
from tests.support.truth import truth


class Response(aiohttp.ClientResponse):
    """What aioresponses 0.7 has to be given with aiohttp 3.14, which wants an argument more than it passes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        asked = inspect.signature(aiohttp.ClientResponse.__init__).parameters  # older versions do not ask for one
        writer = {"stream_writer": SimpleNamespace(output_size=0)} if "stream_writer" in asked else {}
        super().__init__(*args, **writer | kwargs)


ACME = Account("organization", "acme")
VERSIONS = tuple(Version(digest(f"v{i}"), f"2026-02-{28 - i:02d}T10:00:00.500000Z") for i in range(5))


def model(name: str, *faults: Fault, **more: Any) -> Model:
    return Model(**({"owner": "acme", "name": name, "versions": VERSIONS, "faults": faults} | more))


def target(base_url: str, **changes: Any) -> Target:
    plain: dict[str, Any] = {
        "base_url": base_url,
        "token": TOKEN,
        "user_agent": "test",
        "concurrency": 4,
        "per_minute": 1_000_000,
        "timeout": 5.0,
        "retries": 2,
    }
    return Target(**(plain | changes))


@asynccontextmanager
async def asking(
    *models: Model, behaviour: Behaviour | None = None, clock: ManualClock | None = None, **changes: Any
) -> AsyncIterator[tuple[Replicate, InstrumentedReplicate]]:
    async with (
        InstrumentedReplicate(SmallWorld(ACME, models), behaviour) as fake,
        connect(target(fake.base_url, **changes), (clock or ManualClock()).timing) as replicate,
    ):
        yield replicate, fake


async def answer(*faults: Fault, behaviour: Behaviour | None = None, **changes: Any) -> Reply:
    async with asking(model("m", *faults), behaviour=behaviour, **changes) as (replicate, _):
        return await replicate.ask("acme/m")


async def failure(*faults: Fault, **changes: Any) -> Failed:
    reply = await answer(*faults, **changes)
    assert isinstance(reply, Failed)
    return reply


async def test_all_versions_of_a_model_come_in_the_apis_order() -> None:
    assert await answer() == Found(VERSIONS)


async def test_pages_are_followed_to_the_last_one() -> None:
    async with asking(model("m"), behaviour=Behaviour(sizes=PageSizes(versions=2))) as (replicate, fake):
        assert await replicate.ask("acme/m") == Found(VERSIONS)
        assert fake.request_log.requests == 3


async def test_the_account_is_whose_token_it_is() -> None:
    async with asking() as (replicate, fake):
        assert await replicate.account() == ACME
        assert fake.request_log.tokens == {"valid": 1}


async def test_a_wrong_token_is_unauthorized_and_asked_once() -> None:
    async with asking(model("m"), token="r8_wrong") as (replicate, fake):
        reply = await replicate.account()
        assert isinstance(reply, Failed)
        assert reply.reason is Reason.UNAUTHORIZED
        assert fake.request_log.requests == 1


async def test_a_model_that_is_gone_is_missing_after_two_questions() -> None:
    async with asking() as (replicate, fake):
        assert await replicate.ask("acme/gone") == Missing()
        assert list(fake.request_log.paths) == ["/v1/models/acme/gone/versions", "/v1/models/acme/gone"]


async def test_another_accounts_private_model_is_missing() -> None:
    async with asking(model("m", owner="stranger")) as (replicate, _):
        assert await replicate.ask("stranger/m") == Missing()


async def test_an_official_models_latest_version_is_taken_from_the_model() -> None:
    async with asking(model("m", lists_versions=False)) as (replicate, _):
        assert await replicate.ask("acme/m") == Found(VERSIONS[:1], only_latest=True)


@pytest.mark.parametrize("lists", [True, False])
async def test_a_model_without_versions_has_none(lists: bool) -> None:  # noqa: FBT001 - a table of two
    async with asking(model("m", versions=(), lists_versions=lists)) as (replicate, _):
        assert await replicate.ask("acme/m") == NoVersions()


@pytest.mark.parametrize(
    "variant",
    [Shuffled(), Dates(form="null"), Dates(form="missing"), Dates(form="malformed"), UpperCase(), Repeated()],
    ids=lambda fault: f"{type(fault).__name__} {getattr(fault, 'form', '')}",
)
async def test_versions_listed_in_a_misleading_way_are_understood(variant: Fault) -> None:
    async with asking(model("m", variant), behaviour=Behaviour(sizes=PageSizes(versions=2))) as (replicate, fake):
        assert await replicate.ask("acme/m") == truth(fake.world, "acme/m")


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        (ThrottledIn(form="bare"), Reason.RATE_LIMITED, "HTTP 429"),
        (Refused(status=500), Reason.SERVER_ERROR, "HTTP 500"),
        (Refused(status=502, body="html"), Reason.SERVER_ERROR, "HTTP 502"),
        (Refused(status=503, body="empty"), Reason.SERVER_ERROR, "HTTP 503"),
        (Refused(status=408), Reason.TIMEOUT, "HTTP 408"),
        (Reset(), Reason.NETWORK_ERROR, "connection"),
        (ResetMidway(), Reason.NETWORK_ERROR, "connection"),
        (Truncated(), Reason.NETWORK_ERROR, "in the middle of the answer"),
        (Refused(status=404, body="html"), Reason.BAD_RESPONSE, "HTTP 404, which is not Replicate's own: api.rep"),
        (Refused(status=404, body="empty"), Reason.BAD_RESPONSE, "HTTP 404, which is not Replicate's own"),
        (Refused(status=403, body="html"), Reason.BAD_RESPONSE, "HTTP 403, which is not Replicate's own"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_may_pass_is_asked_again_and_then_said(fault: Fault, reason: Reason, words: str) -> None:
    async with asking(model("m", fault)) as (replicate, fake):
        reply = await replicate.ask("acme/m")
        assert isinstance(reply, Failed)
        assert reply.reason is reason
        assert words in reply.detail
        assert reply.detail.endswith("(after 3 attempts)")
        assert fake.request_log.requests == replicate.requests.sent == 3
        assert replicate.requests.retried == 2


@pytest.mark.parametrize("fault", [Hang(), Drip(pause=0.02)], ids=["hang", "drip"])
async def test_an_attempt_ends_in_time_whatever_drips(fault: Fault) -> None:
    reply = await failure(fault, timeout=0.15, retries=1)
    assert reply == Failed(Reason.TIMEOUT, "no whole answer within 0.15 s (after 2 attempts)")


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        (Refused(status=401), Reason.UNAUTHORIZED, "HTTP 401"),
        (Refused(status=403), Reason.FORBIDDEN, "HTTP 403"),
        (Refused(status=418), Reason.REJECTED, "HTTP 418"),
        (Redirected(), Reason.BAD_RESPONSE, "a redirect to https://replicate.example/v1/stolen"),
        (Redirected(status=307, to=""), Reason.BAD_RESPONSE, "a redirect to"),
        (Huge(size=50_000_000), Reason.BAD_RESPONSE, "larger than 16 MB"),
        (Huge(size=50_000_000, declared=True), Reason.BAD_RESPONSE, "larger than 16 MB"),
        (Bomb(size=50_000_000), Reason.BAD_RESPONSE, "larger than 16 MB"),
        (OddBody(content=b"plain", encoding="gzip"), Reason.BAD_RESPONSE, "says gzip and is not"),
        (OddBody(content=b"plain", encoding="br"), Reason.BAD_RESPONSE, "compressed in a way that was not asked for"),
        (ForeignNext(), Reason.BAD_RESPONSE, "leads to another place"),
        (Paging(form="port"), Reason.BAD_RESPONSE, "leads to another place"),
        (Paging(form="scheme"), Reason.BAD_RESPONSE, "leads to another place"),
        (Paging(form="loop"), Reason.BAD_RESPONSE, "loops"),
        (Paging(form="loop2"), Reason.BAD_RESPONSE, "loops"),
        (Paging(form="endless"), Reason.BAD_RESPONSE, "more than 200 pages"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_will_not_pass_is_asked_once_and_said_precisely(fault: Fault, reason: Reason, words: str) -> None:
    reply = await failure(fault)
    assert reply.reason is reason
    assert words in reply.detail
    assert "attempts" not in reply.detail


@pytest.mark.parametrize("name", ODD_BODIES)
async def test_a_body_of_the_wrong_kind_is_read_only_where_that_is_harmless(name: str) -> None:
    async with asking(model("m", ODD_BODIES[name])) as (replicate, fake):
        reply, expected = await replicate.ask("acme/m"), truth(fake.world, "acme/m")
        if isinstance(expected, Failed):
            assert isinstance(reply, Failed)
            assert reply.reason is expected.reason
        else:
            assert reply == Found((Version(ODD_VERSION, "2026-01-01T00:00:00Z"),))


async def test_a_failure_that_passes_is_nowhere_to_be_seen() -> None:
    faults = (Refused(status=502, body="html", times=1), Reset(times=1))
    assert await answer(*faults) == Found(VERSIONS)


GATEWAY = (Refused(status=404, body="html", times=1, on=()), Refused(status=403, body="html", times=1, on=()))


async def test_a_gateways_page_that_passes_is_nowhere_to_be_seen() -> None:
    assert await answer(*GATEWAY) == Found(VERSIONS)


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("body", ["html", "empty"])
@pytest.mark.parametrize(
    ("endpoint", "ask"),
    [
        ("account", lambda replicate: replicate.account()),
        ("versions", lambda replicate: replicate.ask("acme/m")),
        ("model", lambda replicate: replicate.ask("acme/official")),
        ("trainings", lambda replicate: replicate.trainings()),
        ("training", lambda replicate: replicate.training("abc")),
    ],
)
async def test_a_gateways_page_is_no_answer_of_replicate_whatever_was_asked(
    endpoint: Endpoint, ask: Callable[[Replicate], Awaitable[object]], body: Literal["html", "empty"], status: int
) -> None:
    page = Refused(status=status, body=body, on=(endpoint,))
    official = model("official", lists_versions=False)
    async with asking(model("m"), official, behaviour=Behaviour(faults=(page,))) as (replicate, fake):
        reply = await ask(replicate)
        assert isinstance(reply, Failed)
        assert reply.reason is Reason.BAD_RESPONSE
        assert "(after 3 attempts)" in reply.detail
        assert fake.request_log.statuses[status] == 3 + (status == 404 and endpoint == "model")


async def test_a_training_that_was_not_asked_for_is_no_answer() -> None:
    other = Odd(content=b'{"id": "other", "status": "succeeded"}', on=("training",))
    async with asking(model("m"), behaviour=Behaviour(faults=(other,))) as (replicate, _):
        reply = await replicate.training("abc")
    assert reply == Failed(Reason.BAD_RESPONSE, "the answer is about another training than the one asked for")


async def test_the_question_for_the_model_fails_like_any_other() -> None:
    reply = await failure(Refused(status=500, on=("model",)), Refused(status=404))
    assert reply.reason is Reason.SERVER_ERROR


async def test_a_page_that_is_gone_is_no_verdict_on_the_model() -> None:
    url = "http://127.0.0.1:1/v1/models/acme/m/versions"
    first = {"results": [{"id": VERSIONS[0].id}], "next": f"{url}?cursor=x"}
    with aioresponses() as replies:
        replies.get(url, payload=first, response_class=Response)
        gone = {"detail": "Invalid cursor"}
        replies.get(f"{url}?cursor=x", status=404, payload=gone, response_class=Response)
        async with connect(target("http://127.0.0.1:1/v1"), ManualClock().timing) as replicate:
            reply = await replicate.ask("acme/m")
    assert reply == Failed(Reason.BAD_RESPONSE, "page 2 of the versions answered 404")


async def test_trainings_come_page_by_page_newest_first() -> None:
    synthetic_users = SyntheticUsers(250)
    async with (
        InstrumentedReplicate(synthetic_users) as fake,
        connect(target(fake.base_url), ManualClock().timing) as replicate,
    ):
        read: list[Training] = []
        following, pages = None, 0
        while pages == 0 or following:
            page = await replicate.trainings(following)
            assert not isinstance(page, Failed)
            read += page.trainings
            following, pages = page.next, pages + 1
    assert pages == 3
    assert [each.id for each in read] == [each.id for each in synthetic_users.trainings]
    assert read[0].weights == synthetic_users.trainings[0].weights


async def test_a_page_of_trainings_on_another_host_is_not_asked_for() -> None:
    async with asking() as (replicate, fake):
        page = await replicate.trainings("https://elsewhere.example/v1/trainings?cursor=x")
        assert isinstance(page, Failed)
        assert "leads to another place, https://elsewhere.example" in page.detail
        assert fake.request_log.requests == 0


async def test_versions_without_end_are_not_read_to_it() -> None:
    def answer(nth: int, head: bytes) -> bytes:
        ids = ",".join(f'{{"id": "{digest(f"{nth} {each}")}"}}' for each in range(30_000))
        return http_answer(f'{{"results": [{ids}], "next": "http://127.0.0.1:{served.port}/v1/{nth}"}}'.encode())

    async with raw_server(answer) as served, connect(target(served.base_url), ManualClock().timing) as replicate:
        assert await replicate.ask("acme/m") == Failed(Reason.BAD_RESPONSE, "more than 100,000 versions")
        assert len(served.heads) == 4


async def test_a_success_that_is_not_200_is_a_bad_response() -> None:
    with aioresponses() as replies:
        replies.get("http://127.0.0.1:1/v1/models/acme/m/versions", status=206, response_class=Response)
        async with connect(target("http://127.0.0.1:1/v1"), ManualClock().timing) as replicate:
            assert await replicate.ask("acme/m") == Failed(Reason.BAD_RESPONSE, "HTTP 206")


async def test_nothing_ever_goes_to_another_host() -> None:
    async with InstrumentedReplicate(SmallWorld(ACME, [model("m")])) as other:
        faults = [Redirected(to=f"{other.base_url}/models/acme/m/versions"), Paging(to=other.origin)]
        for fault in faults:
            assert (await failure(fault)).reason is Reason.BAD_RESPONSE
        assert other.request_log.requests == other.request_log.sockets == 0


@pytest.mark.parametrize(
    ("form", "least"), [("seconds", 7.0), ("date", 6.0), ("body", 7.0), ("text", 7.0), ("old_text", 1.0)]
)
async def test_a_429_is_followed_by_the_silence_it_asks_for(form: Any, least: float) -> None:
    clock = ManualClock(jitter=0.0)
    async with asking(model("m", ThrottledIn(form=form, wait=7, times=1)), clock=clock) as (replicate, _):
        assert await replicate.ask("acme/m") == Found(VERSIONS)
        assert replicate.requests.throttled == 1
    assert max(clock.slept) >= least


async def test_a_429_holds_up_all_other_questions_too() -> None:
    clock = ManualClock(jitter=0.0)
    async with asking(model("m", Throttled(wait=30)), model("other"), clock=clock, retries=0) as (replicate, _):
        await replicate.ask("acme/m")
        assert replicate.waiting() == 30.0
        await replicate.ask("acme/other")
        assert clock.seconds >= 30.0


async def test_questions_are_paced_from_the_first_one_on() -> None:
    clock = ManualClock()
    async with asking(model("m"), clock=clock, per_minute=60) as (replicate, _):
        for _ in range(4):
            await replicate.ask("acme/m")
    assert clock.seconds == pytest.approx(3.0)


async def test_no_more_sockets_are_opened_than_allowed() -> None:
    models = [model(f"m{i}") for i in range(40)]
    async with asking(*models, concurrency=3) as (replicate, fake):
        await asyncio.gather(*(replicate.ask(each.id) for each in models))
        assert fake.request_log.peak_sockets <= 3


async def test_a_server_that_is_not_there_is_a_network_error_that_says_so() -> None:
    async with connect(target("http://127.0.0.1:9/v1", retries=0), ManualClock().timing) as replicate:
        reply = await replicate.ask("acme/m")
    assert isinstance(reply, Failed)
    assert reply.reason is Reason.NETWORK_ERROR
    assert reply.detail.startswith("no connection: ")


async def test_a_host_that_does_not_exist_is_a_network_error_that_says_so() -> None:
    async with connect(target("https://nowhere.invalid/v1", retries=0), ManualClock().timing) as replicate:
        reply = await replicate.ask("acme/m")
    assert reply == Failed(Reason.NETWORK_ERROR, "the host name cannot be resolved")


async def test_the_token_is_cut_out_of_what_a_server_says() -> None:
    body = f'{{"detail": "bad token {TOKEN}"}}'
    with aioresponses() as replies:
        replies.get("http://127.0.0.1:1/v1/account", status=401, body=body, response_class=Response)
        async with connect(target("http://127.0.0.1:1/v1"), ManualClock().timing) as replicate:
            reply = await replicate.account()
    assert reply == Failed(Reason.UNAUTHORIZED, "HTTP 401: bad token (token)")


def test_a_target_shows_no_token() -> None:
    assert TOKEN not in repr(target("http://127.0.0.1:1/v1"))


def test_no_line_of_the_table_of_errors_is_hidden_by_an_earlier_one() -> None:
    kinds = [kind for kind, _, _ in _ERRORS]
    for place, kind in enumerate(kinds):
        assert not [earlier for earlier in kinds[:place] if issubclass(kind, earlier)]


def errors_of_aiohttp() -> list[type[Exception]]:
    known = vars(aiohttp).values()
    return [each for each in known if isinstance(each, type) and issubclass(each, aiohttp.ClientError)]


@pytest.mark.parametrize(
    "kind", [*errors_of_aiohttp(), TimeoutError, OSError, ValueError], ids=lambda kind: kind.__name__
)
def test_every_error_of_aiohttp_and_below_falls_to_a_line_of_the_table(kind: type[Exception]) -> None:
    assert any(issubclass(kind, line) for line, _, _ in _ERRORS)


@pytest.mark.parametrize("fault", [Huge(), Bomb()], ids=["600 MB", "gzip bomb of 300 MB"])
async def test_a_body_without_end_costs_little_memory(fault: Fault) -> None:
    async with asking(model("m", fault)) as (replicate, _):
        gc.collect()
        tracemalloc.start()
        try:
            reply = await replicate.ask("acme/m")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert isinstance(reply, Failed)
    assert peak < 40_000_000
    assert peak > LARGEST_BODY / 2  # else this measures nothing
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
