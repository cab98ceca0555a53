"""The fake Replicate, asked over real sockets."""

import asyncio
import base64
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import aiohttp
import httpx
import pytest
from replicate.client import Client
from replicate.exceptions import ReplicateError
from replicate.pagination import paginate

from audit.demo.fake_replicate.answers import PageSizes
from audit.demo.fake_replicate.faults import (
    Fault,
    ForeignNext,
    Hang,
    Refused,
    Reset,
    ResponseVariant,
    Shuffled,
    Throttled,
    UpperCase,
)
from audit.demo.fake_replicate.server import TOKEN, in_thread
from audit.demo.fake_replicate.world import FakeTraining, Model, SmallWorld, version_hash
from audit.model.codes import Reason
from audit.model.replies import Failed, Found, Missing, NoVersions, Version
from tests import ROOT
from tests.support import fake_replicate_fixtures
from tests.support.clock import START, ManualClock
from tests.support.fake_replicate_fixtures import ACCOUNT, OWNER, Serve, model, small_world, versions
from tests.support.faults import (
    Bomb,
    Chaos,
    Dates,
    Drip,
    Huge,
    Paging,
    Redirected,
    Repeated,
    ResetMidway,
    Slow,
    ThrottledIn,
    Truncated,
    bomb,
    reason_of,
)
from tests.support.instrumented_replicate import Behaviour, Bucket, FixedWindow, InstrumentedReplicate, Rate, Window
from tests.support.odd_bodies import ODD_BODIES
from tests.support.process import in_process
from tests.support.synthetic_users import SyntheticUsers
from tests.support.truth import truth

clock, serve, session = (
    fake_replicate_fixtures.clock,
    fake_replicate_fixtures.serve,
    fake_replicate_fixtures.session,
)
Session = aiohttp.ClientSession
FACE = f"models/{OWNER}/face"
LISTED = f"{FACE}/versions"


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def get(session: Session, fake: InstrumentedReplicate, path: str, **options: Any) -> Got:
    url = path if path.startswith("http") else f"{fake.base_url}/{path}"
    async with session.get(url, allow_redirects=False, **options) as answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Got(answer.status, headers, await answer.read())


async def raw_get(fake: InstrumentedReplicate, path: str = LISTED, headers: str = "Connection: close\r\n") -> bytes:
    """Everything that the server sends, byte by byte, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    writer.write(f"GET /v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{headers}\r\n".encode())
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


async def until(holds: Callable[[], bool]) -> None:
    """The server learns a moment later that a client has gone."""
    for _ in range(200):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("did not come true within 2 s")


# What it answers
async def test_the_account_is_the_worlds(serve: Serve, session: Session) -> None:
    got = await get(session, await serve(), "account")
    assert got.json == {
        "type": "organization",
        "username": OWNER,
        "name": "Acme Photos",
        "github_url": None,
        "avatar_url": None,
    }


async def test_a_version_has_the_documented_fields_and_a_schema_of_9_to_12_kb(serve: Serve, session: Session) -> None:
    got = await get(session, await serve(model()), LISTED)
    assert got.status == 200
    assert list(got.json) == ["previous", "next", "results"]
    first = got.json["results"][0]
    assert list(first) == ["id", "created_at", "cog_version", "openapi_schema"]
    assert (first["id"], first["created_at"]) == (versions(1)[0].id, versions(1)[0].created_at)
    assert 9_000 <= len(json.dumps(first["openapi_schema"])) <= 12_000


async def test_every_answer_bears_date_and_rate_headers(serve: Serve, session: Session, clock: ManualClock) -> None:
    fake = await serve(model(), time=clock.server_time)
    for path in ("account", LISTED, "nowhere"):
        headers = (await get(session, fake, path)).headers
        assert (headers["ratelimit-remaining"], headers["ratelimit-reset"]) == ("2999", "60")
        assert parsedate_to_datetime(headers["date"]) == START


async def test_versions_come_in_pages_that_lead_back_and_forth(serve: Serve, session: Session) -> None:
    fake = await serve(model(count=7), behaviour=Behaviour(sizes=PageSizes(versions=3)))
    pages = []
    url: str | None = LISTED
    while url:
        pages.append((await get(session, fake, url)).json)
        url = pages[-1]["next"]
    assert [[v["id"] for v in page["results"]] for page in pages] == [
        [v.id for v in versions(7)[start : start + 3]] for start in (0, 3, 6)
    ]
    assert pages[0]["previous"] is None
    assert (await get(session, fake, pages[2]["previous"])).json == pages[1]
    cursor = parse_qs(urlsplit(pages[0]["next"]).query)["cursor"][0]
    assert base64.urlsafe_b64decode(cursor)
    assert pages[0]["next"].startswith(fake.base_url)


async def test_a_cursor_of_somebody_else_is_not_found(serve: Serve, session: Session) -> None:
    fake = await serve(model())
    for cursor in ("!", "b3RoZXI=", "bz0tMQ=="):
        assert (await get(session, fake, f"{LISTED}?cursor={cursor}")).status == 404


@pytest.mark.parametrize("accept", ["Accept-Encoding: gzip, deflate\r\n", ""], ids=["gzip", "plain"])
@pytest.mark.parametrize("path", ["account", LISTED, "nowhere"])
async def test_bodies_are_gzip_encoded_where_the_client_accepts_it(serve: Serve, path: str, accept: str) -> None:
    fake = await serve(model())
    head, _, body = (await raw_get(fake, path, f"{accept}Connection: close\r\n")).partition(b"\r\n\r\n")
    assert (b"Content-Encoding: gzip" in head) is bool(accept)
    assert f"Content-Length: {len(body)}".encode() in head
    json.loads(gzip.decompress(body) if accept else body)  # checks length and checksum too


async def test_what_is_not_there_is_404_in_the_apis_words(serve: Serve, session: Session) -> None:
    fake = await serve(
        model(),
        Model(owner="stranger", name="private", versions=versions(1)),
        model("official", lists_versions=False),
    )
    for path in (
        "nowhere",
        "models/acme-photos/other",
        "models/acme-photos/other/versions",
        "models/stranger/private",
        "models/stranger/private/versions",
        "models/acme-photos/official/versions",
        f"{LISTED}/{version_hash('deleted')}",
        "trainings/none",
        "models/acme-photos/face/",
        f"{fake.origin}/models/acme-photos/face",
    ):
        got = await get(session, fake, path)
        assert (got.status, got.json) == (
            404,
            {"detail": "The requested resource could not be found.", "status": 404},
        ), path


async def test_a_model_tells_its_latest_version_or_null(serve: Serve, session: Session) -> None:
    fake = await serve(model(), model("empty", 0), model("official", lists_versions=False, public=True, owner="x"))
    assert (await get(session, fake, FACE)).json["latest_version"]["id"] == versions(1)[0].id
    assert (await get(session, fake, "models/acme-photos/empty")).json["latest_version"] is None
    assert (await get(session, fake, "models/acme-photos/empty/versions")).json["results"] == []
    assert (await get(session, fake, "models/x/official")).json["latest_version"]["id"] == versions(1, "official")[0].id


async def test_trainings_come_a_hundred_a_page_most_recent_first(serve: Serve, session: Session) -> None:
    made = [
        FakeTraining(
            id=f"t{age:03d}",
            destination=f"{OWNER}/face",
            status="succeeded",
            created_at=(START - timedelta(hours=age)).isoformat(),
            completed_at=START.isoformat(),
            output_version=version_hash(str(age)),
        )
        for age in range(130)
    ]
    fake = await serve(small_world(trainings=tuple(reversed(made))))
    first = (await get(session, fake, "trainings")).json
    second = (await get(session, fake, first["next"])).json
    assert [t["id"] for t in first["results"] + second["results"]] == [t.id for t in made]
    assert len(first["results"]) == 100
    assert first["results"][0]["output"]["version"] == f"{OWNER}/face:{version_hash('0')}"
    assert first["results"][0]["output"]["weights"] == made[0].weights
    assert (await get(session, fake, "trainings/t007")).json == first["results"][7]


async def test_a_training_has_any_status_trainer_and_output(serve: Serve, session: Session) -> None:
    odd: list[tuple[str, Any]] = [
        ("aborted", None),
        ("mystery", {"version": None}),
        ("succeeded", version_hash("face")),
        ("succeeded", [{"version": "a/b"}]),
        ("succeeded", {"lora": "https://x/a.tar"}),
    ]
    trainings = tuple(
        FakeTraining(
            id=f"t{number}",
            destination=f"{OWNER}/face",
            status=status,
            created_at=f"2026-02-01T00:00:0{number}Z",
            output_version=version_hash("face"),
            output=output,
            trainer="replicate/fast-flux-trainer",
        )
        for number, (status, output) in enumerate(odd)
    )
    fake = await serve(small_world(trainings=trainings))
    for number, (status, output) in enumerate(odd):
        body = (await get(session, fake, f"trainings/t{number}")).json
        assert (body["status"], body["output"]) == (status, output)
        assert (body["model"], body["version"]) == (
            "replicate/fast-flux-trainer",
            version_hash("replicate/fast-flux-trainer"),
        )


async def test_weights_are_there_or_gone_for_whoever_asks(serve: Serve) -> None:
    fake = await serve(SmallWorld(ACCOUNT, (), weights={"a/b.tar": 206, "old.tar": 410}))
    async with aiohttp.ClientSession(headers={"Range": "bytes=0-0"}) as anybody:
        for path, status, size in (("a/b.tar", 206, 1), ("old.tar", 410, None), ("none.tar", 404, None)):
            async with anybody.get(f"{fake.origin}/weights/{path}") as answer:
                assert answer.status == status
                assert size is None or await answer.read() == bytes(size)
    assert not fake.request_log.tokens


async def test_a_token_that_goes_to_where_weights_lie_is_noticed(session: Session) -> None:
    with pytest.raises(AssertionError, match="the token went"):
        async with InstrumentedReplicate(small_world()) as fake, session.get(f"{fake.origin}/weights/a.tar"):
            pass


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("path", ["account", FACE, LISTED, "trainings", "trainings/t0"])
async def test_a_gateway_answers_in_the_place_of_any_endpoint(
    serve: Serve, session: Session, path: str, status: int
) -> None:
    fake = await serve(model(), behaviour=Behaviour(faults=(Refused(status=status, body="html", on=()),)))
    async with session.get(f"{fake.base_url}/{path}") as answer:
        assert answer.status == status
        assert (await answer.text()).startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_nothing_but_get_is_allowed(serve: Serve, session: Session, method: str) -> None:
    fake = await serve(model())
    async with session.request(method, f"{fake.base_url}/{FACE}") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("header", [None, "Bearer r8_wrong", TOKEN, f"Token {TOKEN}", "Bearer ü"])
async def test_a_wrong_token_is_401_as_a_problem_document(serve: Serve, header: str | None) -> None:
    fake = await serve(model())
    async with aiohttp.ClientSession(headers={"Authorization": header} if header else {}) as stranger:
        got = await get(stranger, fake, LISTED)
    assert (got.status, got.headers["content-type"]) == (401, "application/problem+json")
    assert got.json == {
        "title": "Unauthenticated",
        "detail": "You did not pass a valid authentication token",
        "status": 401,
    }
    assert fake.request_log.tokens == {"wrong" if header else "missing": 1}


async def test_a_revoked_token_works_until_then_and_never_again(serve: Serve, session: Session) -> None:
    fake = await serve(model(), behaviour=Behaviour(revoked_after=3))
    assert [(await get(session, fake, LISTED)).status for _ in range(5)] == [200, 200, 200, 401, 401]


# What it counts
async def test_requests_are_counted_per_path_and_per_model(serve: Serve, session: Session) -> None:
    fake = await serve(model(), model("other"))
    for path in (LISTED, LISTED, FACE, "models/acme-photos/other/versions", "account"):
        await get(session, fake, path)
    log = fake.request_log
    assert log.requests == 5
    assert log.paths[f"/v1/{LISTED}"] == 2
    assert log.models == {f"{OWNER}/face": 3, f"{OWNER}/other": 1}
    assert log.statuses == {200: 5}
    assert log.tokens == {"valid": 5}


async def test_open_sockets_and_requests_in_flight_are_counted_at_their_peak(serve: Serve) -> None:
    fake = await serve(model(), behaviour=Behaviour(faults=(Slow(low=0.05),)))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=4)) as session:
        await asyncio.gather(*(get(session, fake, LISTED) for _ in range(9)))
    assert (fake.request_log.peak_sockets, fake.request_log.peak_in_flight) == (4, 4)
    assert fake.request_log.in_flight == 0
    await until(lambda: fake.request_log.open_sockets == 0)


# The rate
def test_the_enforced_rate_is_exact() -> None:
    at = 0.0
    bucket = Bucket(Rate(per_minute=3000, burst=60), lambda: at)
    passed = []
    for number in range(120_001):  # one every half millisecond, from 0 s to 60 s
        at = number / 2000
        if bucket.take() == 0:
            passed.append(at)
    assert len(passed) == 60 + 3000
    assert {round(later - earlier, 6) for earlier, later in pairwise(passed[61:])} == {0.02}


def test_who_keeps_to_the_rate_is_never_refused() -> None:
    clock = ManualClock()
    bucket = Bucket(Rate(per_minute=3000, burst=1), lambda: clock.seconds)
    waits = []
    for _ in range(10_000):
        waits.append(bucket.take())
        clock.advance(0.02)
    assert not any(waits)


def test_the_burst_is_back_after_a_rest_and_no_more_than_that() -> None:
    clock = ManualClock()
    bucket = Bucket(Rate(per_minute=60, burst=5), lambda: clock.seconds)
    assert [bucket.take() for _ in range(7)] == [0, 0, 0, 0, 0, 1, 1]
    clock.advance(3600)
    assert [bucket.take() for _ in range(7)] == [0, 0, 0, 0, 0, 1, 1]


def test_the_wait_is_what_it_takes() -> None:
    clock = ManualClock()
    bucket = Bucket(Rate(per_minute=2, burst=1), lambda: clock.seconds)
    assert [bucket.take(), bucket.take()] == [0, 30]
    clock.advance(29.5)
    assert bucket.take() == 1
    clock.advance(0.5)
    assert bucket.take() == 0


def test_the_headers_tell_what_is_left_of_a_bucket_and_when_it_is_full_whoever_took_it() -> None:
    clock = ManualClock()
    bucket = Bucket(Rate(per_minute=600, burst=50), lambda: clock.seconds)
    bucket.take()
    bucket.spend(20)
    assert bucket.remaining() == (29, 3)
    bucket.spend(100)
    assert bucket.remaining() == (0, 5)
    assert bucket.take() > 0
    clock.advance(51)
    assert bucket.remaining() == (50, 0)


def test_a_window_lets_all_pass_at_once_then_none_until_it_ends_and_tells_so() -> None:
    clock = ManualClock()
    window = FixedWindow(Window(per_minute=50, gone=20.0), lambda: clock.seconds)
    window.spend(10)
    assert window.remaining() == (40, 40)
    assert [window.take() for _ in range(42)] == [0] * 40 + [40, 40]
    clock.advance(39.5)
    assert (window.take(), window.remaining()) == (1, (0, 1))
    clock.advance(0.5)
    assert (window.take(), window.remaining()) == (0, (49, 60))
    clock.advance(150)
    assert window.remaining() == (50, 30)


async def test_a_neighbour_takes_from_the_same_limit_and_its_429_are_counted_apart(
    serve: Serve, session: Session
) -> None:
    fake = await serve(model(), behaviour=Behaviour(rate=Window(per_minute=5), neighbour=6000))
    await until(lambda: fake.request_log.neighbour_refused > 3)
    got = await get(session, fake, LISTED)
    assert (got.status, fake.request_log.refused, fake.request_log.requests) == (429, 1, 1)


async def test_past_the_rate_the_answer_is_429_and_says_how_long(
    serve: Serve, session: Session, clock: ManualClock
) -> None:
    fake = await serve(model(), behaviour=Behaviour(rate=Rate(per_minute=2, burst=1)), time=clock.server_time)
    assert (await get(session, fake, LISTED)).headers["ratelimit-remaining"] == "0"
    got = await get(session, fake, LISTED)
    assert (got.status, got.headers["retry-after"]) == (429, "30")
    assert got.json == {
        "detail": "Request was throttled. Your rate limit resets in ~30s.",
        "status": 429,
        "retry_after": 30,
    }
    assert (fake.request_log.refused, fake.request_log.throttled) == (1, 1)
    assert fake.request_log.causes == {f"{OWNER}/face": {Reason.RATE_LIMITED}}


# Faults
@pytest.mark.parametrize(
    ("form", "header", "fields"),
    [
        ("seconds", "7", {"detail": "Request was throttled.", "status": 429}),
        ("date", "Sun, 01 Mar 2026 12:00:07 GMT", {"detail": "Request was throttled.", "status": 429}),
        ("body", None, {"detail": "Request was throttled.", "status": 429, "retry_after": 7}),
        ("text", None, {"detail": "Request was throttled. Your rate limit resets in ~7s.", "status": 429}),
        ("old_text", None, {"detail": "Request was throttled. Expected available in 7 seconds."}),
        ("bare", None, None),
    ],
)
async def test_429_comes_in_every_form(
    serve: Serve, session: Session, form: Any, header: str | None, fields: object
) -> None:
    fake = await serve(model(faults=(ThrottledIn(form=form, wait=7),)), time=ManualClock().server_time)
    got = await get(session, fake, LISTED)
    assert (got.status, got.headers.get("retry-after")) == (429, header)
    assert (got.json if got.body else None) == fields


@pytest.mark.parametrize("status", [401, 403, 408, 418, 422, 500, 502, 503, 504])
@pytest.mark.parametrize("body", ["json", "html", "empty"])
async def test_any_status_comes_with_any_kind_of_body(serve: Serve, session: Session, status: int, body: Any) -> None:
    fake = await serve(model(faults=(Refused(status=status, body=body),)))
    got = await get(session, fake, LISTED)
    assert got.status == status
    match body:
        case "json":
            assert got.json["status"] == status
        case "html":
            assert got.headers["content-type"].startswith("text/html")
            assert str(status).encode() in got.body
        case _:
            assert got.body == b""


async def test_a_fault_goes_away_after_so_many_times_and_the_next_one_follows(serve: Serve, session: Session) -> None:
    faults = (Refused(status=502, times=2), Throttled(times=1))
    fake = await serve(model(faults=faults), model("fine"))
    assert [(await get(session, fake, LISTED)).status for _ in range(5)] == [502, 502, 429, 200, 200]
    assert (await get(session, fake, "models/acme-photos/fine/versions")).status == 200
    assert fake.request_log.faults == {f"/v1/{LISTED}": {"502": 2, "throttled": 1}}
    assert fake.request_log.causes == {f"{OWNER}/face": {Reason.SERVER_ERROR, Reason.RATE_LIMITED}}


async def test_a_fault_keeps_to_its_endpoints(serve: Serve, session: Session) -> None:
    fake = await serve(
        model(faults=(Refused(status=500, on=("model",)),)),
        behaviour=Behaviour(faults=(Refused(status=403, on=("account",)),)),
    )
    statuses = [(await get(session, fake, path)).status for path in (LISTED, FACE, "account", "trainings")]
    assert statuses == [200, 500, 403, 200]


async def test_a_fault_everywhere_counts_all_requests_together(serve: Serve, session: Session) -> None:
    fake = await serve(model(), model("b"), behaviour=Behaviour(faults=(Refused(status=503, times=3, on=()),)))
    paths = ("account", LISTED, "models/acme-photos/b/versions", LISTED)
    assert [(await get(session, fake, path)).status for path in paths] == [503, 503, 503, 200]


async def test_latency_is_waited_through_the_injected_sleep(serve: Serve, session: Session, clock: ManualClock) -> None:
    faults = (Slow(low=3), Slow(low=10, high=20, times=1))
    fake = await serve(model(faults=faults), time=clock.server_time)
    assert [(await get(session, fake, LISTED)).status for _ in range(2)] == [200, 200]
    assert 13 <= clock.slept[0] <= 23
    assert clock.slept[1:] == [3]


async def test_a_reset_is_a_reset_and_not_an_end(serve: Serve) -> None:
    fake = await serve(model(faults=(Reset(),)), model("midway", faults=(ResetMidway(),)))
    for path in (LISTED, "models/acme-photos/midway/versions"):
        with pytest.raises(ConnectionResetError):
            await raw_get(fake, path)


async def test_a_truncated_body_is_shorter_than_it_promises(serve: Serve) -> None:
    fake = await serve(model(faults=(Truncated(),)))
    head, _, body = (await raw_get(fake)).partition(b"\r\n\r\n")
    promised = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    assert 0 < len(body) == promised // 2


async def test_a_drip_sends_the_right_body_byte_by_byte(serve: Serve, session: Session, clock: ManualClock) -> None:
    fake = await serve(model(count=0, faults=(Drip(pause=2),)), time=clock.server_time)
    got = await get(session, fake, LISTED)
    assert got.json["results"] == []
    assert clock.slept == [2] * int(got.headers["content-length"])


async def test_a_hanging_request_ends_with_its_client(serve: Serve, session: Session) -> None:
    fake = await serve(model(faults=(Hang(),)))
    with pytest.raises(TimeoutError):
        await get(session, fake, LISTED, timeout=aiohttp.ClientTimeout(total=0.05))
    await until(lambda: fake.request_log.in_flight == 0)


async def test_a_fake_replicate_ends_at_once_whatever_hangs_or_drips() -> None:
    faults = (model(faults=(Hang(),)), model("drip", faults=(Drip(),)), model("slow", faults=(Slow(low=60),)))
    begun = time.monotonic()
    async with InstrumentedReplicate(small_world(*faults)) as fake:
        names = ("face", "drip", "slow")
        asking = [asyncio.create_task(raw_get(fake, f"models/acme-photos/{name}/versions")) for name in names]
        await until(lambda: fake.request_log.in_flight == 3)
    await asyncio.gather(*asking, return_exceptions=True)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("fault", [Huge(size=3_000_000, declared=True), Huge(size=3_000_000)], ids=["declared", "not"])
async def test_a_huge_body_is_valid_and_as_large_as_it_says(serve: Serve, session: Session, fault: Huge) -> None:
    fake = await serve(model(faults=(fault,)))
    got = await get(session, fake, LISTED)
    assert (got.json["results"], len(got.body)) == ([], 3_000_000)
    assert ("content-length" in got.headers) is fault.declared


async def test_a_huge_body_is_not_made_beyond_what_the_client_reads(serve: Serve, session: Session) -> None:
    fake = await serve(model(faults=(Huge(size=10**15),)))
    async with session.get(f"{fake.base_url}/{LISTED}") as answer:
        assert await answer.content.readexactly(100_000)
    await until(lambda: fake.request_log.in_flight == 0)


async def test_a_bomb_is_small_on_the_wire_and_valid(serve: Serve, session: Session) -> None:
    fake = await serve(model(faults=(Bomb(size=20_000_000),)))
    got = await get(session, fake, LISTED)
    assert int(got.headers["content-length"]) < 30_000
    assert got.json["results"] == []
    assert len(got.body) > 20_000_000


def test_the_bomb_of_300_mb_is_under_400_kb() -> None:
    assert len(bomb(300_000_000)) < 400_000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["https://elsewhere.example/x", ""], ids=["elsewhere", "itself"])
async def test_a_redirect_leads_elsewhere_or_to_itself(serve: Serve, session: Session, status: Any, to: str) -> None:
    fake = await serve(model(faults=(Redirected(status=status, to=to),)))
    got = await get(session, fake, LISTED)
    assert (got.status, got.headers["location"]) == (status, to or f"/v1/{LISTED}")


@pytest.mark.parametrize("name", ODD_BODIES)
async def test_an_odd_body_comes_exactly_as_it_is(serve: Serve, name: str) -> None:
    odd = ODD_BODIES[name]
    fake = await serve(model(faults=(odd,)))
    head, _, body = (await raw_get(fake)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == odd.content
    assert (f"Content-Type: {odd.content_type}".encode() in head) is bool(odd.content_type)
    assert (b"Content-Encoding: gzip" in head) is (odd.encoding == "gzip")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (ForeignNext(), "http://replicate.example"),
        (Paging(form="port"), "http://127.0.0.1:{other_port}"),
        (Paging(form="scheme"), "https://127.0.0.1:{port}"),
    ],
)
async def test_a_foreign_next_leads_away(serve: Serve, session: Session, fault: Fault, expected: str) -> None:
    fake = await serve(model(faults=(fault,)))
    following = (await get(session, fake, LISTED)).json["next"]
    assert following.startswith(expected.format(port=fake.port, other_port=fake.port - 1) + f"/v1/{LISTED}?cursor=")


async def test_a_foreign_next_can_lead_to_a_second_fake_replicate(serve: Serve, session: Session) -> None:
    other = await serve(model())
    fake = await serve(model(faults=(Paging(to=other.origin),)))
    following = (await get(session, fake, LISTED)).json["next"]
    assert (await get(session, fake, following)).status == 200
    assert other.request_log.requests == 1


@pytest.mark.parametrize(
    ("form", "distinct"), [("loop", 1), ("loop2", 2), ("endless", 11)], ids=["to itself", "to and fro", "endless"]
)
async def test_next_loops_or_never_ends(serve: Serve, session: Session, form: Any, distinct: int) -> None:
    fake = await serve(model(count=5, faults=(Paging(form=form),)), behaviour=Behaviour(sizes=PageSizes(versions=2)))
    urls = [f"{fake.base_url}/{LISTED}"]
    for _ in range(10):
        page = (await get(session, fake, urls[-1])).json
        assert page["results"]
        urls.append(page["next"])
    assert len(set(urls)) == distinct


VARIANTS: dict[str, ResponseVariant] = {
    "shuffled": Shuffled(),
    "dates null": Dates(),
    "dates missing": Dates(form="missing"),
    "dates malformed": Dates(form="malformed"),
    "dates equal": Dates(form="equal"),
    "some undated": Dates(only=2),
    "upper case": UpperCase(),
    "repeated": Repeated(),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
async def test_a_response_variant_changes_the_list_and_the_truth_says_how_to_read_it(
    serve: Serve, session: Session, variant: ResponseVariant
) -> None:
    face = model(count=5, faults=(variant,))
    fake = await serve(face, behaviour=Behaviour(sizes=PageSizes(versions=2)))
    listed: list[dict[str, Any]] = []
    url: str | None = LISTED
    while url:
        page = (await get(session, fake, url)).json
        listed, url = listed + page["results"], page["next"]
    assert [(v["id"], v.get("created_at", "-")) for v in listed] != [(v.id, v.created_at) for v in versions(5)]
    read: dict[str, str | None] = {}
    for version in listed:
        date = version.get("created_at")
        read.setdefault(version["id"].lower(), date if date and date.startswith("2026") else None)
    assert truth(fake.world, face.id) == Found(tuple(Version(*item) for item in read.items()))


async def test_chaos_strikes_a_share_and_the_same_requests_each_time(serve: Serve, session: Session) -> None:
    chaos = Chaos(share=0.2, faults=(Refused(status=500), Throttled()), seed=7)
    runs = []
    for _ in range(2):
        fake = await serve(*(model(f"m{i}", 1) for i in range(200)), behaviour=Behaviour(chaos=chaos))
        paths = [f"models/{OWNER}/m{i}/versions" for i in range(200)]
        runs.append([(await get(session, fake, path)).status for path in paths])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 429, 500}
    assert 20 <= sum(status != 200 for status in runs[0]) <= 60


async def test_chaos_can_make_answers_late(serve: Serve, session: Session, clock: ManualClock) -> None:
    behaviour = Behaviour(chaos=Chaos(share=1.0, faults=(Slow(low=9),)))
    fake = await serve(model(faults=(Refused(status=500, times=1),)), behaviour=behaviour, time=clock.server_time)
    assert [(await get(session, fake, path)).status for path in (LISTED, LISTED, FACE)] == [500, 200, 200]
    assert clock.slept == [9, 9]


# What the data says
FAILING: dict[str, tuple[Fault, Reason]] = {
    "429": (Throttled(), Reason.RATE_LIMITED),
    "401": (Refused(status=401), Reason.UNAUTHORIZED),
    "403": (Refused(status=403), Reason.FORBIDDEN),
    "408": (Refused(status=408), Reason.TIMEOUT),
    "418": (Refused(status=418), Reason.REJECTED),
    "500": (Refused(status=500), Reason.SERVER_ERROR),
    "reset": (Reset(), Reason.NETWORK_ERROR),
    "truncated": (Truncated(), Reason.NETWORK_ERROR),
    "drip": (Drip(), Reason.TIMEOUT),
    "hang": (Hang(), Reason.TIMEOUT),
    "huge": (Huge(), Reason.BAD_RESPONSE),
    "bomb": (Bomb(), Reason.BAD_RESPONSE),
    "redirect": (Redirected(), Reason.BAD_RESPONSE),
    "next": (Paging(), Reason.BAD_RESPONSE),
    "odd": (ODD_BODIES["list"], Reason.BAD_RESPONSE),
}


@pytest.mark.parametrize(("fault", "reason"), FAILING.values(), ids=FAILING)
def test_a_lasting_fault_is_the_truth_about_a_model(fault: Fault, reason: Reason) -> None:
    reply = truth(small_world(model(faults=(Slow(low=1), fault))), f"{OWNER}/face")
    assert isinstance(reply, Failed)
    assert (reply.reason, reason_of(fault)) == (reason, reason)


def test_truth_without_lasting_faults_is_what_replicate_has() -> None:
    world = small_world(
        model(faults=(Refused(status=500, times=2), Slow(low=1))),
        model("empty", 0),
        model("official", lists_versions=False),
        Model(owner="stranger", name="private", versions=versions(1)),
    )
    assert truth(world, f"{OWNER}/face") == Found(versions(3))
    assert truth(world, f"{OWNER}/empty") == NoVersions()
    assert truth(world, f"{OWNER}/official") == Found(versions(1, "official"), only_latest=True)
    assert truth(world, "stranger/private") == truth(world, f"{OWNER}/none") == Missing()


# Hosting
@contextmanager
def official_client(origin: str, token: str = TOKEN) -> Iterator[Client]:
    with httpx.HTTPTransport() as transport:  # the client has no way to be closed
        yield Client(api_token=token, base_url=origin, transport=transport)


def ask_plainly(origin: str) -> int:
    with official_client(origin) as client:
        return len(client.models.get(f"{OWNER}/face").versions.list().results)


def test_a_thread_serves_a_caller_that_has_no_event_loop() -> None:
    with in_thread(InstrumentedReplicate(small_world(model()))) as fake:
        assert ask_plainly(fake.origin) == 3
        assert fake.request_log.requests == 2


def test_a_thread_that_cannot_serve_says_why() -> None:
    with (
        in_thread(InstrumentedReplicate(small_world())) as first,
        pytest.raises(OSError, match="address already in use"),
        in_thread(InstrumentedReplicate(small_world(), port=first.port)),
    ):
        pass


def make_fake() -> InstrumentedReplicate:
    return InstrumentedReplicate(small_world(model()))


def test_a_process_serves_and_tells_what_it_saw_and_used() -> None:
    with in_process(make_fake) as remote:
        assert ask_plainly(remote.origin) == 3
        usage = remote.usage()
        answered = remote.answered()
    assert usage.request_log.requests == answered == 2
    assert 0 <= usage.cpu_seconds < 5
    assert usage.peak > 0


ORPHAN = """
import os, signal
from tests.support.process import in_process
from tests.demo.test_fake_replicate import make_fake

if __name__ == "__main__":
    with in_process(make_fake) as remote:
        print(remote.origin, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_ends_with_its_parent_however_that_dies(tmp_path: Path) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    root = ROOT
    done = subprocess.run(
        [sys.executable, script],
        check=False,  # it kills itself
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    port = int(done.stdout.rpartition(":")[2])
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.02)
    pytest.fail("the fake Replicate outlived its parent by 2 s")


# The official client
def test_the_official_client_reads_account_models_versions_and_trainings() -> None:
    made = tuple(
        FakeTraining(
            id=f"t{age:03d}",
            destination=f"{OWNER}/face",
            status="succeeded",
            created_at=(START - timedelta(hours=age)).isoformat(),
            output_version=version_hash("x"),
        )
        for age in range(120)
    )
    world = small_world(model(count=60), model("shown", public=True), trainings=made)
    with in_thread(InstrumentedReplicate(world)) as fake, official_client(fake.origin) as client:
        assert client.accounts.current().username == ACCOUNT.username
        assert [listed.id for listed in client.models.list().results] == [f"{OWNER}/shown"]
        face = client.models.get(f"{OWNER}/face")
        assert face.latest_version is not None
        assert face.latest_version.id == versions(1)[0].id
        assert [v.id for v in face.versions.list().results] == [v.id for v in versions(25)]
        assert face.versions.get(versions(9)[8].id).cog_version == "0.14.1"
        listed = [training for page in paginate(client.trainings.list) for training in page.results]
        assert [training.id for training in listed] == [training.id for training in made]
        assert client.trainings.get("t005").output == {
            "version": f"{OWNER}/face:{version_hash('x')}",
            "weights": made[5].weights,
        }


@pytest.mark.parametrize(("token", "status"), [("r8_wrong", 401), (TOKEN, 404)], ids=["wrong token", "no such model"])
def test_the_official_client_gets_proper_errors(token: str, status: int) -> None:
    with (
        in_thread(InstrumentedReplicate(small_world())) as fake,
        official_client(fake.origin, token) as client,
        pytest.raises(ReplicateError) as raised,
    ):
        client.models.get(f"{OWNER}/face")
    assert raised.value.status == status
    assert raised.value.detail


# Synthetic users
async def test_synthetic_users_are_served_without_being_stored(serve: Serve, session: Session) -> None:
    synthetic_users = SyntheticUsers(1_000_000, oddities=0.0)
    fake = await serve(synthetic_users)
    got = await get(session, fake, f"models/synthetic-photos/{synthetic_users.model_name(987_654)}/versions")
    assert [v["id"] for v in got.json["results"]] == [v.id for v in synthetic_users.versions(987_654)]
    page = (await get(session, fake, "trainings")).json
    again = (await get(session, fake, f"trainings/{page['results'][42]['id']}")).json
    assert again == page["results"][42]
