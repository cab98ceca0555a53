"""Decoding what Replicate sends, and what only looks like it."""

import json
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.model.codes import Reason
from audit.model.replies import Account, Failed, Found, NoVersions, Training, Version
from audit.model.secrecy import Secrecy
from audit.replicate import responses
from tests.support.samples import NEW, OLD

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def page(*results: Any, **more: Any) -> bytes:
    return json.dumps({"previous": None, "next": None, "results": list(results), **more}).encode()


def test_a_page_of_versions_is_decoded_past_what_is_not_needed() -> None:
    body = page(
        {"id": NEW, "created_at": "2023-11-06T23:13:07.906314Z", "cog_version": "0.14.1", "openapi_schema": {"x": [1]}},
        {"id": OLD, "created_at": "2023-11-05T01:00:00+01:00"},
        next="https://api.replicate.com/v1/next",
    )
    assert responses.parse_versions(body) == responses.VersionsPage(
        (Version(NEW, "2023-11-06T23:13:07.906314Z"), Version(OLD, "2023-11-05T00:00:00Z")),
        "https://api.replicate.com/v1/next",
    )


def test_version_ids_in_upper_case_are_the_same_ids() -> None:
    decoded = responses.parse_versions(page({"id": NEW.upper()}))
    assert decoded == responses.VersionsPage((Version(NEW, None),), None)


@pytest.mark.parametrize("date", [None, "", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_date_that_cannot_be_read_is_no_date(date: str | None) -> None:
    assert responses.parse_versions(page({"id": NEW, "created_at": date})) == responses.VersionsPage(
        (Version(NEW, None),), None
    )


@pytest.mark.parametrize(
    ("date", "utc"),
    [
        pytest.param("2026-01-01T00:00:00", "2026-01-01T00:00:00Z", id="without an offset it is UTC"),
        pytest.param(" 2026-01-01T09:00:00+09:00\n", "2026-01-01T00:00:00Z", id="blanks around"),
        pytest.param("2026-01-01", "2026-01-01T00:00:00Z", id="a day alone"),
    ],
)
def test_a_date_is_told_in_utc_wherever_this_runs(date: str, utc: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert responses.parse_versions(page({"id": NEW, "created_at": date})) == responses.VersionsPage(
            (Version(NEW, utc),), None
        )
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_empty_next_is_no_next() -> None:
    assert responses.parse_versions(page(next="")) == responses.VersionsPage((), None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b" \n", "empty", id="blank"),
        pytest.param(b"<html><title>Welcome &amp; hi</title>", "not JSON, it begins with: Welcome", id="HTML"),
        pytest.param(b"\xff\xfe\x00", "not JSON", id="bytes"),
        pytest.param(b"[]", "unexpected shape", id="a list"),
        pytest.param(b'"text"', "unexpected shape", id="a text"),
        pytest.param(b"{}", "results", id="no results"),
        pytest.param(b'{"results": {}}', "unexpected shape", id="results no list"),
        pytest.param(b'{"results": null}', "unexpected shape", id="results null"),
        pytest.param(b'{"results": ["x"]}', "unexpected shape", id="a version that is a text"),
        pytest.param(page({"created_at": None}), "`id`", id="a version without id"),
        pytest.param(page({"id": 7}), "unexpected shape", id="an id that is a number"),
        pytest.param(page({"id": "abc"}), "no 64-digit hash: abc", id="an id that is no hash"),
        pytest.param(page({"id": NEW, "created_at": 7}), "unexpected shape", id="a date that is a number"),
        pytest.param(page(next=7), "unexpected shape", id="a next that is a number"),
        pytest.param(b'{"results": [], "x": ' + b"[" * 100_000, "nested too deeply", id="nested deeply"),
        pytest.param(b'{"results": [], "next": "\\ud800"}', "not JSON", id="half a surrogate pair"),
        pytest.param(b'{"results": [NaN]}', "not JSON", id="NaN"),
        pytest.param(page() + b"x", "not JSON", id="something after the end"),
    ],
)
def test_anything_else_is_a_bad_response_with_its_cause(body: bytes, words: str) -> None:
    decoded = responses.parse_versions(body)
    assert isinstance(decoded, Failed)
    assert decoded.reason is Reason.BAD_RESPONSE
    assert words in decoded.detail


def test_an_id_that_is_no_hash_is_a_bad_response_there_too() -> None:
    failed = responses.parse_model(b'{"latest_version": {"id": "abc"}}')
    assert failed == Failed(Reason.BAD_RESPONSE, "a version id is no 64-digit hash: abc")


def test_blanks_around_a_version_id_are_not_part_of_it() -> None:
    assert responses.parse_versions(page({"id": f" {NEW}\n"})) == responses.VersionsPage((Version(NEW, None),), None)


def test_a_models_latest_version_stands_for_all_that_is_known_of_an_official_one() -> None:
    body = json.dumps({"owner": "x", "latest_version": {"id": NEW, "created_at": "2026-01-01T00:00:00Z"}}).encode()
    assert responses.parse_model(body) == Found((Version(NEW, "2026-01-01T00:00:00Z"),), only_latest=True)


@pytest.mark.parametrize("body", [b'{"latest_version": null}', b"{}"])
def test_a_model_without_a_latest_version_has_none(body: bytes) -> None:
    assert responses.parse_model(body) == NoVersions()


def test_the_account_is_a_type_and_a_name() -> None:
    assert responses.parse_account(b'{"type": "organization", "username": "acme", "name": null}') == Account(
        "organization", "acme"
    )
    assert isinstance(responses.parse_account(b'{"type": "user"}'), Failed)


@pytest.mark.parametrize(
    ("status", "body", "reason", "detail"),
    [
        (
            401,
            b'{"title": "Unauthenticated", "detail": "No valid token"}',
            Reason.UNAUTHORIZED,
            "HTTP 401: No valid token",
        ),
        (403, b'{"title": "Forbidden", "detail": "No access"}', Reason.FORBIDDEN, "HTTP 403: No access"),
        (404, b'{"detail": "Not here.", "status": 404}', Reason.REJECTED, "HTTP 404: Not here."),
        (403, b'{"title": "Forbidden"}', Reason.BAD_RESPONSE, "HTTP 403, which is not Replicate's own: Forbidden"),
        (404, b'{"detail": null}', Reason.BAD_RESPONSE, 'HTTP 404, which is not Replicate\'s own: {"detail": null}'),
        (404, b'{"detail": " "}', Reason.BAD_RESPONSE, 'HTTP 404, which is not Replicate\'s own: {"detail": " "}'),
        (404, b'["detail"]', Reason.BAD_RESPONSE, 'HTTP 404, which is not Replicate\'s own: ["detail"]'),
        (404, b'{"detail": "cut', Reason.BAD_RESPONSE, 'HTTP 404, which is not Replicate\'s own: {"detail": "cut'),
        (404, b"<title>Not found</title>", Reason.BAD_RESPONSE, "HTTP 404, which is not Replicate's own: Not found"),
        (404, b"", Reason.BAD_RESPONSE, "HTTP 404, which is not Replicate's own"),
        (
            403,
            b"[" * 100_000,
            Reason.BAD_RESPONSE,
            f"HTTP 403, which is not Replicate's own: {'[' * 200}… (3,800 more characters)",
        ),
        (402, b"", Reason.REJECTED, "HTTP 402"),
        (422, b'{"detail": ["x"]}', Reason.REJECTED, 'HTTP 422: {"detail": ["x"]}'),
        (408, b"", Reason.TIMEOUT, "HTTP 408"),
        (429, b'{"detail": "Request was throttled."}', Reason.RATE_LIMITED, "HTTP 429: Request was throttled."),
        (500, b"\xff", Reason.SERVER_ERROR, "HTTP 500: \ufffd"),
        (502, b"<html><head><title>502 Bad\n Gateway</title>", Reason.SERVER_ERROR, "HTTP 502: 502 Bad Gateway"),
        (599, b"<b>x</b> y", Reason.SERVER_ERROR, "HTTP 599: x y"),
        (502, b"<TITLE lang=en>Bad\nGateway</TITLE><p>x", Reason.SERVER_ERROR, "HTTP 502: Bad Gateway"),
        (400, b'{"detail": " ", "title": "Bad"}', Reason.REJECTED, "HTTP 400: Bad"),
        (499, b"", Reason.REJECTED, "HTTP 499"),
        (299, b"", Reason.BAD_RESPONSE, "HTTP 299"),
        (300, b"", Reason.BAD_RESPONSE, "HTTP 300: a redirect to nowhere, which is not followed"),
        (399, b"", Reason.BAD_RESPONSE, "HTTP 399: a redirect to nowhere, which is not followed"),
        (204, b"", Reason.BAD_RESPONSE, "HTTP 204"),
        (600, b"", Reason.BAD_RESPONSE, "HTTP 600"),
    ],
)
def test_a_status_means_a_reason_and_the_servers_words_are_kept(
    status: int, body: bytes, reason: Reason, detail: str
) -> None:
    assert responses.failure(status, {}, body) == Failed(reason, detail)  # type: ignore[arg-type]  # a reason of failure


def test_a_redirect_is_named_and_not_followed() -> None:
    failed = responses.failure(302, {"Location": "https://evil.example/\x1b"}, b"")
    assert failed.reason is Reason.BAD_RESPONSE
    assert "https://evil.example/\\x1b, which is not followed" in failed.detail


def test_a_long_error_body_is_cut_with_a_mark() -> None:
    assert responses.failure(500, {}, b"x" * 5000).detail == f"HTTP 500: {'x' * 200}… (3,800 more characters)"


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        pytest.param(429, {"Retry-After": "5"}, b"", 5, id="header in seconds"),
        pytest.param(503, {"Retry-After": "7"}, b"", 7, id="header with another status"),
        pytest.param(429, {"Retry-After": "Sun, 01 Mar 2026 12:00:09 GMT"}, b"", 9, id="header as a date"),
        pytest.param(429, {"Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}, b"", 0, id="a date in the past"),
        pytest.param(429, {"Retry-After": "Sun, 01 Mar 2026 12:00:09 -0000"}, b"", 9, id="a date without a zone"),
        pytest.param(429, {"Retry-After": "Sun, 01 Mar 2026 21:00:09 +0900"}, b"", 9, id="a date in another zone"),
        pytest.param(429, {"Retry-After": "0"}, b"", 0, id="at once"),
        pytest.param(429, {"Retry-After": " 5 "}, b"", 5, id="blanks around"),
        pytest.param(429, {"Retry-After": " "}, b"", None, id="a blank header"),
        pytest.param(429, {"Retry-After": "soon"}, b"", None, id="header that says nothing"),
        pytest.param(429, {"Retry-After": "-1"}, b"", None, id="a negative number"),
        pytest.param(429, {"Retry-After": "inf"}, b"", None, id="for ever"),
        pytest.param(429, {}, b'{"retry_after": 5}', 5, id="field of the body"),
        pytest.param(429, {}, b'{"retry_after": "5.5"}', 5.5, id="field that is a text"),
        pytest.param(429, {}, b'{"retry_after": true}', None, id="field that is no number"),
        pytest.param(429, {}, b'{"detail": "Your rate limit resets in ~30s."}', 30, id="text of the body"),
        pytest.param(429, {}, b'{"detail": "Expected available in 1 second."}', 1, id="text of older bodies"),
        pytest.param(429, {"Retry-After": "2"}, b'{"retry_after": 5, "detail": "in ~3s"}', 5, id="the longest counts"),
        pytest.param(500, {}, b'{"retry_after": 5}', None, id="a field of another error"),
        pytest.param(429, {}, b"<html>", None, id="no word of it"),
        pytest.param(429, {}, b'["retry_after"]', None, id="JSON of another shape"),
    ],
)
def test_the_wait_that_a_server_asks_for_is_found_wherever_it_says_so(
    status: int, headers: dict[str, str], body: bytes, seconds: float | None
) -> None:
    assert responses.retry_after(status, headers, body, NOW) == seconds


@pytest.mark.parametrize(
    "end", [pytest.param(b"", id="cut off"), pytest.param(b"]}", id="without results"), pytest.param(b"}", id="wrong")]
)
def test_a_large_body_that_is_skipped_or_wrong_costs_next_to_no_memory(end: bytes) -> None:
    body = b'{"x": [' + b"[]," * 300_000 + b"[]" + end
    tracemalloc.start()
    try:
        assert isinstance(responses.parse_versions(body), Failed)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | st.just(NEW),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "created_at", "x"]), inner),
    max_leaves=8,
)
nearly_right = st.dictionaries(
    st.sampled_from(["results", "next", "latest_version", "username", "type", "detail", "title", "retry_after"]),
    json_values | st.lists(st.fixed_dictionaries({"id": st.just(NEW)}, optional={"created_at": json_values})),
).map(msgspec.json.encode)
pieces = st.sampled_from(
    [
        "Sun, ",
        "01",
        " ",
        "Mar",
        "2026",
        "9999",
        "0001",
        "12:00:09",
        "25:61:61",
        "GMT",
        "+9999",
        "-2400",
        "-",
        ":",
        "T",
        "W",
        "Z",
        ".",
        "999999999",
        "(c)",
        "\t",
        "\x00",
        "é",
    ]
)
nearly_dates = st.lists(pieces, max_size=9).map("".join)


@given(nearly_dates)
def test_whatever_looks_like_a_date_is_one_or_none(text: str) -> None:
    wait = responses.retry_after(429, {"Retry-After": text}, b"", NOW)
    assert wait is None or 0 <= wait < float("inf")
    decoded = responses.parse_versions(page({"id": NEW, "created_at": text}))
    assert isinstance(decoded, responses.VersionsPage)
    date = decoded.versions[0].created_at
    assert date is None or datetime.fromisoformat(date).tzinfo is not None


@given(st.binary(max_size=200) | nearly_right, st.integers(100, 999), st.text(max_size=30))
def test_whatever_the_bytes_are_there_is_an_answer(body: bytes, status: int, header: str) -> None:
    assert isinstance(responses.parse_versions(body), responses.VersionsPage | Failed)
    assert isinstance(responses.parse_model(body), Found | NoVersions | Failed)
    assert isinstance(responses.parse_account(body), Account | Failed)
    assert isinstance(responses.failure(status, {"Location": header}, body), Failed)
    wait = responses.retry_after(status, {"Retry-After": header}, body, NOW)
    assert wait is None or 0 <= wait < float("inf")


VERSION = "ab" * 32


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            f'{{"id": "t1", "status": "succeeded", "model": "ostris/flux-dev-lora-trainer",'
            f' "input": {{"trigger_word": "TOK"}}, "error": null,'
            f' "output": {{"version": "acme/ann:{VERSION.upper()}", "weights": "https://x/a.tar"}},'
            f' "created_at": "2026-01-01T01:00:00+01:00", "completed_at": "soon"}}',
            Training(
                id="t1",
                status="succeeded",
                model="acme/ann",
                version=VERSION,
                weights="https://x/a.tar",
                trigger_word="TOK",
                created_at="2026-01-01T00:00:00Z",
                trainer="ostris/flux-dev-lora-trainer",
            ),
            id="whole",
        ),
        pytest.param('{"id": "t1"}', Training(id="t1", status=""), id="nothing but its id"),
        pytest.param(
            '{"id": "t1", "status": "failed", "error": "no face", "input": "x", "output": ["https://x"]}',
            Training(id="t1", status="failed", error="no face"),
            id="input and output of another shape",
        ),
        pytest.param(
            '{"id": "t1", "output": {"version": "acme/ann:1234", "weights": 5}, "error": {"a": 1}}',
            Training(id="t1", status="", model="acme/ann"),
            id="no hash, and no texts",
        ),
    ],
)
def test_a_training_is_read_as_far_as_it_fits(body: str, expected: Training) -> None:
    assert responses.parse_training(body.encode()) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(None, {}, id="none, or data removed"),
        pytest.param({}, {}, id="empty"),
        pytest.param({"version": None}, {}, id="version null"),
        pytest.param(
            {"version": None, "weights": "https://x/a.tar"}, {"weights": "https://x/a.tar"}, id="weights alone"
        ),
        pytest.param({"version": VERSION}, {"version": VERSION}, id="a bare hash names no model"),
        pytest.param({"version": f" {VERSION.upper()} "}, {"version": VERSION}, id="a bare hash in upper case"),
        pytest.param({"version": f":{VERSION}"}, {"version": VERSION}, id="a hash behind nothing"),
        pytest.param({"version": f" acme/ann:{VERSION}\n"}, {"model": "acme/ann", "version": VERSION}, id="blanks"),
        pytest.param({"version": f"ann:{VERSION}"}, {"version": VERSION}, id="a model without owner"),
        pytest.param({"version": f"https://replicate.com/acme/ann:{VERSION}"}, {"version": VERSION}, id="a page"),
        pytest.param({"version": "acme/ann"}, {}, id="no version"),
        pytest.param({"version": "acme/ann:"}, {"model": "acme/ann"}, id="an empty version"),
        pytest.param({"version": f"acme/ann:{VERSION}0"}, {"model": "acme/ann"}, id="too long for a hash"),
        pytest.param({"version": [f"acme/ann:{VERSION}"]}, {}, id="a list of versions"),
        pytest.param({"version": {"id": VERSION}}, {}, id="a version that is an object"),
        pytest.param({"version": 7}, {}, id="a version that is a number"),
        pytest.param({"weights": ["https://x/a.tar"]}, {}, id="a list of weights"),
        pytest.param({"lora": "https://x/a.tar"}, {}, id="other keys"),
        pytest.param([{"version": f"acme/ann:{VERSION}"}], {}, id="a list"),
        pytest.param(f"acme/ann:{VERSION}", {}, id="a text"),
        pytest.param(VERSION, {}, id="a hash"),
        pytest.param(True, {}, id="a truth"),
    ],
)
def test_an_odd_output_is_read_as_far_as_it_fits(output: object, expected: dict[str, str]) -> None:
    body = json.dumps({"id": "t1", "status": "succeeded", "output": output}).encode()
    training = responses.parse_training(body)
    assert training == Training(id="t1", status="succeeded", **expected)
    assert training.is_odd is not ({"model", "version"} <= expected.keys())


@pytest.mark.parametrize(
    ("model", "trainer"),
    [
        ("replicate/fast-flux-trainer", "replicate/fast-flux-trainer"),
        (" ostris/flux-dev-lora-trainer ", "ostris/flux-dev-lora-trainer"),
        (f"ostris/flux-dev-lora-trainer:{VERSION}", None),
        ("flux-dev-lora-trainer", None),
        ("", None),
        (None, None),
        (5, None),
        (["ostris/flux-dev-lora-trainer"], None),
    ],
)
def test_the_trainer_is_known_where_it_is_owner_and_name(model: object, trainer: str | None) -> None:
    body = json.dumps({"id": "t1", "status": "processing", "model": model}).encode()
    assert responses.parse_training(body) == Training(id="t1", status="processing", trainer=trainer)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"id": 5}', b"<html>", b"\xff", b'{"id":"a","output":' * 9])
def test_what_is_no_training_is_a_bad_response(body: bytes) -> None:
    training = responses.parse_training(body)
    assert isinstance(training, Failed)
    assert training.reason is Reason.BAD_RESPONSE


def test_an_entry_that_is_no_training_is_counted_and_spoils_no_other() -> None:
    body = b'{"results": [{"id": "t1"}, {"id": 5}, null, {"id": "t2", "logs": "x"}], "next": "https://x/?cursor=a"}'
    page = responses.parse_trainings(body)
    trainings = (Training(id="t1", status=""), Training(id="t2", status=""))
    assert page == responses.TrainingsPage(trainings, unreadable=2, next="https://x/?cursor=a")


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"results": {}}', b"<html>", b'{"results": [{"id": "t1"}'])
def test_what_is_no_page_of_trainings_is_a_bad_response(body: bytes) -> None:
    page = responses.parse_trainings(body)
    assert isinstance(page, Failed)
    assert page.reason is Reason.BAD_RESPONSE


@pytest.mark.parametrize("within", [1, 5, 12])
@pytest.mark.parametrize(("most", "field"), [(responses.LONGEST_URL + 1, "next"), (100_000, "id")])
def test_a_secret_where_a_text_is_cut_off_is_cut_out_first(most: int, field: str, within: int) -> None:
    secret = "p4ssw0rd/wort"
    before = "x" * (most - within)
    said = {field: f"{before}{secret}yyy"}
    found = responses.parse_trainings(page({"id": "", **said}, **said), Secrecy([secret]))
    assert isinstance(found, responses.TrainingsPage)
    kept = found.next if field == "next" else found.trainings[0].id
    assert kept == f"{before}(secret)yyy"[:most]
