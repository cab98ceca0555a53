"""A server that quotes the token wherever it can, and what is left of that in everything a run leaves behind."""

import json
import logging
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec
import pytest

from audit.cli.logs import Formatter
from audit.model import exit_status
from audit.replicate import Replicate, connect, responses
from tests.replicate.test_session import target
from tests.replicate.test_transport import in_thread
from tests.support.audits import Servers, Shell
from tests.support.clock import ManualClock
from tests.support.raw_http import Answer, http_answer, raw_server

TOKEN = "r8_Q7hZk2WmPx9LbT4vNc6RyJ1dGs8FaUe3oKi5"
WAYS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent-encoded": lambda text: "".join(f"%{ord(char):02x}" for char in text),
    "escaped": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "the first eight": lambda text: text[:8],
    "in the middle": lambda text: text[11:31],
    "all but the last": lambda text: text[:-1],
    "behind much else": lambda text: "x" * 195 + text,
}


def pieces_in(text: str) -> set[str]:
    """Eight characters of the token in a row, in whatever way they are written."""
    plain = re.sub(r"\\+u00([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), unquote(unquote(text)))
    return {TOKEN[at : at + 8] for at in range(len(TOKEN) - 7) if TOKEN[at : at + 8].lower() in (text + plain).lower()}


def training(said: str, training_id: str) -> dict[str, object]:
    return {
        "id": training_id,
        "status": said,
        "model": f"acme/{said}",
        "input": {"trigger_word": said},
        "output": {"version": f"acme/{said}:{said}", "weights": f"https://replicate.delivery/{said}/w.tar"},
        "error": said,
        "created_at": said,
        "completed_at": said,
    }


def page(*results: object, following: object = None) -> bytes:
    return json.dumps({"results": results, "next": following}).encode()


def answers(said: str, path: str) -> Iterator[bytes]:
    """One of each kind, for any question."""
    here = "http://127.0.0.1"
    hash_like = (said.encode().hex() + "5" * 64)[:64]
    yield http_answer(page({"id": said}))
    yield http_answer(page({"id": hash_like, "created_at": said}))
    yield http_answer(page(following=f"https://{said}.example/v1"))
    yield http_answer(page(following=f"{here}:1/{said}"))
    yield http_answer(page(following=f"http://{said}@127.0.0.1/"))
    yield http_answer(page(following=said))
    yield http_answer(json.dumps({"results": [], said: [1]}).encode() + said.encode())
    yield http_answer(f"<title>Authorization: Bearer {said}</title>".encode())
    yield http_answer(f"Authorization: Bearer {said}".encode())
    yield http_answer(page(training(said, said), training(said, "abc"), {"id": 7, said: 1}))
    yield http_answer(json.dumps(training(said, path.rpartition("/")[2])).encode())
    yield http_answer(json.dumps(training(said, said)).encode())
    yield http_answer(json.dumps({"type": said, "username": said}).encode())
    yield http_answer(json.dumps({"latest_version": {"id": said}}).encode())
    for status in (b"302 Found", b"400 Bad", b"403 No", b"404 No", b"500 Oh", b"503 Busy", b"299 Odd"):
        for body in (json.dumps({"detail": said}), json.dumps({"title": said}), said, f"<p>{said}</p>"):
            yield http_answer(body.encode(), f"Location: https://{said}/".encode(), b"X: y", status=status)
    yield http_answer(said.encode(), b"Content-Encoding: " + said.encode(), b"Retry-After: " + said.encode())


QUESTIONS: dict[str, Callable[[Replicate], Awaitable[object]]] = {
    "account": lambda replicate: replicate.account(),
    "versions": lambda replicate: replicate.ask("acme/m"),
    "through a training": lambda replicate: replicate.ask("abc"),
    "training": lambda replicate: replicate.training("abc"),
    "trainings": lambda replicate: replicate.trainings(),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("way", WAYS)
async def test_no_reply_holds_a_piece_of_the_token_whatever_the_answer_is(question: str, way: str) -> None:
    said = WAYS[way](TOKEN)
    for number, _ in enumerate(answers(said, "")):

        def answer(nth: int, head: bytes, number: int = number) -> bytes:
            return list(answers(said, head.split()[1].decode()))[number]

        async with (
            raw_server(answer) as server,
            connect(target(server.base_url, token=TOKEN), ManualClock().timing) as replicate,
        ):
            reply = await QUESTIONS[question](replicate)
            assert not pieces_in(msgspec.json.encode(reply).decode()), reply


PASSWORD = "geheim/wört:7"


@pytest.mark.parametrize(
    "said", [PASSWORD, quote(PASSWORD, safe=""), f"ci:{PASSWORD}", b64encode(f"ci:{PASSWORD}".encode()).decode()]
)
async def test_the_proxys_password_is_cut_out_too(said: str) -> None:
    body = json.dumps({"detail": f"you said {said} to me"}).encode()
    proxy = f"http://ci:{quote(PASSWORD, safe='')}@127.0.0.1:1"
    secrecy = target("http://127.0.0.1:1/v1", proxy=proxy).secrecy()
    assert "you said (secret) to me" in responses.failure(500, {}, body, secrecy).detail.replace("ci:", "")


@pytest.mark.parametrize("as_json", [True, False])
async def test_a_path_in_a_log_is_cleaned_and_acts_on_no_terminal(
    as_json: bool,  # noqa: FBT001 - a table of two
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "audit")
    answer = http_answer(page())
    async with (
        raw_server(lambda *_: answer) as server,
        connect(target(server.base_url, token=TOKEN), ManualClock().timing) as replicate,
        replicate.delivery_hosts() as hosts,
    ):
        await replicate.training(f"{TOKEN}\x1b[31m\u202e")
        await hosts.ask(f"{server.base_url}/{TOKEN[:20]}\u202e")
    formatter = Formatter([], as_json=as_json)
    lines = [formatter.format(record) for record in caplog.records]
    assert len([line for line in lines if "GET" in line]) == 2
    assert all(line.isprintable() and not pieces_in(line) for line in lines)


def account(said: str) -> bytes:
    return http_answer(json.dumps({"type": said, "username": said}).encode())


def hostile(said: str) -> Answer:
    """Each path has one of the kinds of answers, and the account is who the token says."""
    asked: list[str] = []

    def answer(nth: int, head: bytes) -> bytes:
        path = head.split()[1].decode()
        if path == "/v1/account":
            return account(said)
        if path.startswith("/v1/trainings"):
            more = f"http://127.0.0.1/{said}" if len(path) % 2 else f"https://{said}.example/"
            return http_answer(page(training(said, said), training(said, "abc"), following=more))
        asked.append(path)
        kinds = list(answers(said, path))
        return kinds[len(asked) % len(kinds)]

    return answer


RUN = ("run", "--limit", "90", "--trainings", "-vv", "--rate", "100000", "--run-file", "run.sqlite")


@pytest.mark.parametrize("way", WAYS)
def test_nothing_that_a_run_leaves_behind_holds_a_piece_of_the_token(
    way: str, shell: Shell, synthetic_servers: Servers
) -> None:
    assert pieces_in(WAYS[way](TOKEN))
    with in_thread(raw_server(hostile(WAYS[way](TOKEN)))) as server:
        environ = {
            "REPLICATE_API_TOKEN": TOKEN,
            "REPLICATE_BASE_URL": server.base_url,
            "SYNC_AUDIT_RETRIES": "0",
            "SYNC_AUDIT_TIMEOUT": "30",
        }
        shell.environ = synthetic_servers.environ | environ
        outputs = [f"-o{kind}=report.{kind}" for kind in ("html", "csv", "json", "md", "junit")]
        done = shell(*RUN, *outputs)
        again = shell("run", "--resume", "run.sqlite", "-vv", "--log-format", "json")
    assert done.code == again.code == exit_status.INCOMPLETE, done.err
    assert len(server.heads) > 90
    assert {path.name for path in shell.folder.iterdir()} >= {"run.sqlite", "report.html", "report.junit"}
    for name, content in chain(
        (("out", done.out), ("err", done.err), ("log", again.err)),
        ((path.name, path.read_bytes().decode("utf-8", "replace")) for path in whole_files(shell.folder)),
    ):
        assert not pieces_in(content), name
    assert "(token)" in (shell.folder / "report.json").read_text()


def whole_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file())


@pytest.mark.parametrize(
    "link",
    ["http://127.0.0.1:99999/", "http://x:y/z", "http://[::1", "http://a\0b/\r\n", "http://ä\u202e/", "x" * 100_000],
    ids=lambda link: ascii(link)[:25],
)
def test_a_next_that_leads_nowhere_spoils_those_users_alone_and_the_run_can_be_resumed(
    link: str, shell: Shell, synthetic_servers: Servers
) -> None:
    answer = http_answer(page({"id": "5" * 64}, following=link))
    whose = account("acme")
    with in_thread(raw_server(lambda _, head: whose if b"/account" in head else answer)) as server:
        environ = {"REPLICATE_BASE_URL": server.base_url, "SYNC_AUDIT_RETRIES": "0", "SYNC_AUDIT_TIMEOUT": "30"}
        shell.environ = synthetic_servers.environ | environ
        first = shell("run", "--limit", "9", "--trainings", "--run-file", "run.sqlite", "-ojson=-")
        again = shell("run", "--resume", "run.sqlite", "-ojson=-")
    for done in (first, again):
        assert done.code == exit_status.INCOMPLETE, done.err
        assert "Traceback" not in done.err
        reasons = {user["reason"] for user in json.loads(done.out)["users"]}
        assert reasons <= {"bad_response", "invalid_model_id", "no_model_id"}, reasons
        assert "bad_response" in reasons
