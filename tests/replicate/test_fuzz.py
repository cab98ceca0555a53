"""Nothing from the wire raises: every parser of foreign text, with made-up text that is nearly right."""

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from audit.model.codes import Reason
from audit.model.replies import Account, Failed, Found, NoVersions, Training
from audit.model.secrecy import Secrecy
from audit.replicate import Replicate, connect, responses
from audit.replicate.transport import _allowance
from audit.replicate.weights import askable_weights
from tests.replicate.test_session import PAGE, target
from tests.replicate.test_waits import NO_VALUES, VALUES
from tests.support.clock import START, ManualClock
from tests.support.raw_http import http_answer, raw_server
from tests.support.samples import NEW

BASE = "https://api.replicate.com/v1"
TOKEN = "r8_Q7hZk2WmPx9LbT4vNc6RyJ1dGs8FaUe3oKi5"
SECRECY = Secrecy(["s3cret"], [TOKEN])
EXAMPLES = settings(max_examples=300, deadline=None)
URL_PIECES = [
    *(
        "http://",
        "https://",
        "HTTPS://",
        "ftp://",
        "//",
        ":",
        "/",
        "?",
        "#",
        "@",
        "[",
        "]",
        "[::1]",
        "[fe80::1%25x]",
        "\\",
        "%",
        "%zz",
    ),
    *(
        "api.replicate.com",
        "127.0.0.1",
        "replicate.delivery",
        "x",
        "xn--",
        "xn--a",
        "a" * 70,
        "..",
        "٣",
        "℀",
        "ß",
        "\u200d",
        "\u202e",
    ),
    *(
        ":443",
        ":0",
        ":99999",
        ":-1",
        ":y",
        ":" + "9" * 30,
        "/v1/trainings",
        "cursor=",
        " ",
        "\t",
        "\r\n",
        "\0",
        "\ud800",
        TOKEN,
        "s3cret",
    ),
]
links = st.lists(st.sampled_from(URL_PIECES) | st.text(max_size=3), max_size=8).map("".join) | st.text(max_size=40)
rooted = st.builds(
    lambda head, tail: head + tail, st.sampled_from([BASE, BASE[:25], "https://replicate.delivery"]), links
)
LINKS = [
    *(
        "http://127.0.0.1:99999/",
        "http://x:y/z",
        "http://[::1",
        "http://[zz]/",
        "http://]/",
        "http://\0/",
        "http://\ud800/",
    ),
    *(
        "http://a..b/",
        "http://xn--a/",
        "http://" + "a" * 300,
        "x" * 1_000_000,
        f"{BASE}/{'x' * 5000}",
        f"{BASE}/\r\nX: y",
        f"{BASE}/é",
    ),
    *(
        "http://℀/",
        "http://[fe80::1%25eth0]/",
        "//x",
        "http:",
        "",
        " ",
        "http://u:p@api.replicate.com/",
        f"{BASE}/{TOKEN}",
    ),
]


def client() -> Any:
    return Replicate(SimpleNamespace(secrecy=SECRECY), BASE)  # type: ignore[arg-type]  # all that this needs of it


@EXAMPLES
@given(links | rooted)
def test_a_next_is_followed_on_the_same_origin_or_called_a_bad_response(link: str) -> None:
    check_next(link)


@pytest.mark.parametrize("link", LINKS, ids=lambda link: ascii(link)[:30])
def test_an_odd_next_is_a_bad_response(link: str) -> None:
    assert isinstance(check_next(link), Failed)


def check_next(link: str) -> URL | Failed:
    url: URL | Failed = client()._on_origin(SECRECY.cut(link))
    if isinstance(url, Failed):
        assert url.reason is Reason.BAD_RESPONSE
        assert url.detail.isprintable()
        assert len(url.detail) < 400
        url.detail.encode()
    else:
        assert url.origin() == URL(BASE).origin()
        assert url.raw_path_qs.isascii()
        assert url.raw_path_qs.isprintable()
    return url


@EXAMPLES
@given(links | rooted)
def test_recorded_weights_are_a_url_that_can_be_asked_for_or_none(text: str) -> None:
    url = askable_weights(text, BASE)
    if url is not None:
        place = URL(url, encoded=True)
        assert place.host
        assert place.host.endswith("replicate.delivery")
        assert place.raw_path_qs


names = st.sampled_from(
    [
        *("results", "next", "latest_version", "username", "type", "detail", "title", "retry_after"),
        *("id", "status", "model", "input", "output", "error", "version", "weights", "trigger_word", "created_at"),
    ]
)
values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | links | st.just(NEW),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=12,
)
bodies = st.binary(max_size=200) | st.dictionaries(names, values).map(lambda value: json.dumps(value).encode())


@EXAMPLES
@given(bodies, st.integers(100, 999), links)
def test_whatever_a_body_is_there_is_an_answer_that_can_be_kept(body: bytes, status: int, header: str) -> None:
    parsed = [
        responses.parse_versions(body, SECRECY),
        responses.parse_model(body, SECRECY),
        responses.parse_account(body, SECRECY),
        responses.parse_training(body, SECRECY),
        responses.parse_trainings(body, SECRECY),
        responses.failure(status, {"Location": header}, body, SECRECY),
    ]
    kinds = (responses.VersionsPage, responses.TrainingsPage, Found, NoVersions, Account, Training, Failed)
    for each in parsed:
        assert isinstance(each, kinds)
        assert TOKEN.encode() not in msgspec.json.encode(each)  # which a run file does, and it must not raise
    responses.is_foreign(status, body)


odd_headers = st.sampled_from([*VALUES, *NO_VALUES]) | links | st.text(max_size=12) | st.integers().map(str)


@EXAMPLES
@given(odd_headers, odd_headers, bodies)
def test_whatever_a_header_is_it_names_a_number_or_nothing(one: str, other: str, body: bytes) -> None:
    remaining, reset = _allowance({"ratelimit-remaining": one, "ratelimit-reset": other})
    for each in (remaining, reset, responses.retry_after(429, {"Retry-After": one}, body, START)):
        assert each is None or 0 <= each < float("inf")
    date = responses.http_date(other)
    assert date is None or abs((date - START).total_seconds()) < 1e12


HEADERS = [
    "Content-Length",
    "Content-Encoding",
    "Transfer-Encoding",
    "Date",
    "Retry-After",
    "ratelimit-reset",
    "Location",
]


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"503 Busy"])
async def test_whatever_the_headers_are_there_is_a_reply(name: str, status: bytes) -> None:
    answers = [
        b"HTTP/1.1 " + status + f"\r\n{name}: {value}\r\nConnection: close\r\n\r\n".encode() + PAGE
        for value in (*VALUES, *NO_VALUES, "gzip, gzip", "br", "chunked", "\x01", "é", "0", "5, 5", "5;x=y")
    ]
    async with (
        raw_server(lambda _, head: answers[int(head.split()[1].split(b"/")[4][1:])]) as server,
        connect(target(server.base_url), ManualClock().timing) as replicate,
        replicate.delivery_hosts() as hosts,
    ):
        for number in range(len(answers)):
            assert isinstance(await replicate.ask(f"acme/m{number}"), Found | Failed)
            await hosts.ask(f"http://127.0.0.1:{server.port}/a/b/c/m{number}")


@pytest.mark.parametrize("link", LINKS, ids=lambda link: ascii(link)[:30])
async def test_such_a_next_spoils_one_reply(link: str) -> None:
    page = json.dumps({"results": [{"id": NEW}], "next": link}).encode()
    async with (
        raw_server(lambda *_: http_answer(page)) as server,
        connect(target(server.base_url), ManualClock().timing) as replicate,
    ):
        reply = await replicate.ask("acme/m")
        assert isinstance(reply, Failed if link else Found)
        trainings = await replicate.trainings()
        assert isinstance(trainings, responses.TrainingsPage | Failed)
        if isinstance(trainings, responses.TrainingsPage) and trainings.next:
            assert isinstance(await replicate.trainings(trainings.next), Failed)
