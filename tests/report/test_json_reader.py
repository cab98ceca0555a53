"""Reading JSON reports again: ours, other tools' and damaged ones."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import ReportError
from audit.findings.comparison import ComparedRun, UserSnapshot, snapshot_of
from audit.model.run import Filters
from audit.report.json_reader import LARGEST, read
from audit.report.json_report import render
from audit.report.view import RunView
from tests.support.report_samples import SampleRun, everything, narrowed

RUN = SampleRun(everything(), narrowed(state="complete"))


def report(run: SampleRun = RUN) -> bytes:
    out = io.BytesIO()
    render(RunView(run), out)
    return out.getvalue()


REPORT = report()
DOCUMENT: dict[str, Any] = json.loads(REPORT)


def users_of(raw: bytes) -> tuple[ComparedRun, list[UserSnapshot]]:
    users: list[UserSnapshot] = []

    def keep(user: UserSnapshot) -> bool:
        fresh = all(user.user_id != other.user_id for other in users)
        users.append(user)
        return fresh

    return read(io.BytesIO(raw), "a.json", keep), users


def test_our_own_report_comes_back_as_it_was_written() -> None:
    run, users = users_of(REPORT)
    assert sorted(users, key=lambda user: user.user_id) == sorted(
        map(snapshot_of, everything()), key=lambda user: user.user_id
    )
    assert (run.users, run.state, run.id) == (len(everything()), "complete", DOCUMENT["run"]["id"])


LAYOUTS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "pretty": lambda document: json.dumps(document, indent=2).encode(),
    "one line": lambda document: json.dumps(document, separators=(",", ":")).encode(),
    "sorted backwards": lambda document: json.dumps(dict(sorted(document.items(), reverse=True))).encode(),
    "not escaped": lambda document: json.dumps(document, ensure_ascii=False, indent="\t").encode(),
    "Windows": lambda document: b"\xef\xbb\xbf" + json.dumps(document, indent=1).replace("\n", "\r\n").encode(),
    "more fields": lambda document: json.dumps({"a": [1e5, {"b": None}], **document, "z": -1}).encode(),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_other_tools_may_lay_it_out_as_they_like(layout: Callable[[dict[str, Any]], bytes]) -> None:
    assert users_of(layout(DOCUMENT)) == users_of(REPORT)


@given(st.lists(st.text(max_size=40), unique=True, max_size=8), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_wherever_the_pieces_of_the_file_end(names: list[str], filler: int) -> None:
    users = [{"user_id": name, "status": "error", "reason": "timeout", "detail": name * filler} for name in names]
    _, found = users_of(json.dumps({**DOCUMENT, "summary": {}, "users": users, "tail": 12}).encode())
    assert [(user.user_id, user.detail) for user in found] == [(user["user_id"], user["detail"]) for user in users]


def test_a_report_larger_than_any_piece_is_read_to_its_end() -> None:
    users = [{"user_id": str(n), "status": "error", "reason": "timeout", "detail": "x" * 300_000} for n in range(3)]
    raw = json.dumps({**DOCUMENT, "summary": {}, "users": users}).encode()
    assert [len(user.detail or "") for user in users_of(raw)[1]] == [300_000] * 3


def test_a_field_that_an_older_version_did_not_write_is_not_needed() -> None:
    later = {"stop_reason", "account", "filters", "redacted"}
    block = {name: value for name, value in DOCUMENT["run"].items() if name not in later}
    bare = {"schema_version": 1, "run": block, "users": []}
    assert users_of(json.dumps(bare).encode())[0].filters == Filters()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in DOCUMENT.items() if key != name}).encode()


def having(**changes: object) -> bytes:
    return json.dumps(DOCUMENT | changes).encode()


ONE: dict[str, Any] = DOCUMENT["users"][0]
DAMAGED = {
    "cut off in a text": (REPORT[:5000], "ends in the middle"),
    "cut off at the end": (REPORT.rstrip()[:-1], "ends in the middle"),
    "cut off between two users": (REPORT[: REPORT.rindex(b",\n    {")], "ends in the middle"),
    "no comma": (REPORT.replace(b'"schema_version": 1,', b'"schema_version": 1', 1), r"no JSON at character \d"),
    "a stray character": (REPORT.replace(b'"users": [', b'"users": [?', 1), r"no JSON at character [\d,]+ \(Expecting"),
    "blanks": (b"{" + b" " * (LARGEST + (1 << 17)), r"no JSON at character [\d,]+ \(blanks without an end"),
    "half a character in the run": (
        having(run=DOCUMENT["run"] | {"database": "\ud800"}),
        "a text in its 'run' makes no",
    ),
    "half a character in a key": (having(summary={"\udfff": 1}), "a text in its 'summary' makes no"),
    "a block twice": (b'{"run": {}, ' + having()[1:], "damaged: it has 'run' twice"),
    "users twice": (b'{"users": [], ' + having()[1:], "damaged: it has 'users' twice"),
    "something behind": (REPORT + b"{}", "something follows"),
    "NaN": (having(summary={"total": float("nan")}), "NaN"),
    "deep": (b'{"schema_version": 1, "run": ' + b"[" * 100_000, "no JSON"),
    "UTF-16": (REPORT.decode().encode("utf-16-le"), "no JSON"),
    "Latin-1": (having().replace(b'"users"', b'"\xe9": 1, "users"', 1), "not UTF-8"),
    "newer": (having(schema_version=2), r"written by a newer sync-audit \(schema 2, not 1\)"),
    "no version": (without("schema_version"), "has no 'schema_version'"),
    "a version that is none": (having(schema_version="1"), "schema_version is no version"),
    "no run": (without("run"), "no JSON report of sync-audit: it has no 'run'"),
    "no users": (without("users"), "has no 'users', so there is nobody to compare"),
    "users that are no list": (having(users={}), r"there is no \["),
    "a run of another shape": (having(run={"id": 5}), "its run or summary makes no sense"),
    "never read": (having(population=None, users=[]), "before the database had been read"),
    "fewer users than it says": (having(users=DOCUMENT["users"][1:]), "not whole: it says that it has"),
    "a user twice": (having(users=[ONE, ONE]), f"user id '{ONE['user_id']}' twice"),
    "a user without a status": (having(users=[ONE, {"user_id": "a"}]), "user 2 of it makes no sense .*status"),
    "an unknown status": (having(users=[ONE | {"status": "fine"}]), "user 1 of it makes no sense"),
    "a user that is a text": (having(users=["anna"]), "user 1 of it makes no sense"),
    "half a character": (having(users=[ONE | {"email": "\ud800"}]), "user 1 of it makes no sense"),
}


@pytest.mark.parametrize(("raw", "words"), DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_or_foreign_is_said_and_the_file_named(raw: bytes, words: str) -> None:
    users: set[str] = set()

    def keep(user: UserSnapshot) -> bool:
        (user.email or "").encode()
        fresh = user.user_id not in users
        users.add(user.user_id)
        return fresh

    with pytest.raises(ReportError, match=words) as caught:
        read(io.BytesIO(raw), "a.json", keep)
    assert "a.json" in str(caught.value)
    assert caught.value.next_step
