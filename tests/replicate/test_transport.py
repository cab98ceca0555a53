"""The way to the API through TLS and proxies, with real certificates and real sockets."""

import asyncio
import base64
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import pytest
import trustme

from audit.demo.fake_replicate.server import TOKEN
from audit.model import exit_status
from audit.model.codes import Reason
from audit.model.replies import Failed, WeightsAnswer
from audit.replicate import connect
from tests.replicate.test_session import target
from tests.support.audits import Servers, Shell
from tests.support.clock import ManualClock

T = TypeVar("T")
HOST = "api.replicate.test"
"""Known to nobody: who gets there has asked the proxy."""
PASSWORD = "pr0xy-s3cret"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@contextlib.contextmanager
def in_thread(server: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """What `server` yields, while it serves from an event loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@asynccontextmanager
async def listening(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server on loopback."""
    tasks: set[asyncio.Task[None]] = set()

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handle(reader, writer)
        tasks.discard(task)
        writer.close()

    server = await asyncio.start_server(handled, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.sleep(0.01)


async def piped(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    other: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    passing: Callable[[bytes], None] = lambda _: None,
) -> None:
    """Bytes both ways until one side ends; `passing` sees them all."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                passing(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    await asyncio.gather(pipe(one[0], other[1]), pipe(other[0], one[1]))


@dataclass
class Proxy:
    """An HTTP proxy that only knows CONNECT, and the targets it was asked for."""

    forward: dict[str, int]
    """Port on loopback behind each `host:port` that it may connect to."""
    credentials: str = ""
    asked: list[str] = field(default_factory=list)
    """Request lines."""
    heads: list[str] = field(default_factory=list)
    passed: bytearray = field(default_factory=bytearray)
    """Every byte, both ways."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.passed += head.encode()
        self.heads.append(head)
        line = head.splitlines()[0]
        self.asked.append(line)
        method, target, _ = line.split()
        wanted = base64.b64encode(self.credentials.encode()).decode()
        if self.credentials and f"Proxy-Authorization: Basic {wanted}" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        elif method != "CONNECT" or target not in self.forward:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            beyond = await asyncio.open_connection("127.0.0.1", self.forward[target])
            await piped((reader, writer), beyond, self.passed.extend)
        await writer.drain()


@dataclass(frozen=True)
class Front:
    """TLS in front of the fake Replicate, with a certificate for `localhost` and HOST."""

    port: int
    ca: Path
    other_ca: Path
    """Of an authority that has signed nothing here."""


@pytest.fixture(scope="module")
def front(synthetic_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("certificates")
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", HOST).configure_cert(context)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await piped((reader, writer), await asyncio.open_connection("127.0.0.1", synthetic_servers.fake.port))

    with in_thread(listening(handle, context)) as port:
        yield Front(port, folder / "ca.pem", folder / "other.pem")


@contextlib.contextmanager
def serving(proxy: Proxy) -> Iterator[int]:
    with in_thread(listening(proxy.handle)) as port:
        yield port


@pytest.fixture
def run(shell: Shell, synthetic_servers: Servers, front: Front) -> Shell:
    """A shell in which five synthetic users are audited over TLS."""
    shell.environ = synthetic_servers.environ | {
        "REPLICATE_BASE_URL": f"https://localhost:{front.port}",
        "SSL_CERT_FILE": str(front.ca),
        "SYNC_AUDIT_TIMEOUT": "5",
        "SYNC_AUDIT_RETRIES": "0",
    }
    return shell


RUN = ("run", "--limit", "5", "--run-file", "run.sqlite", "-oreport.json", "-vv")


def everything(shell: Shell, err: str) -> bytes:
    """All that a run has printed and written."""
    return err.encode() + b"".join(path.read_bytes() for path in shell.folder.iterdir())


def test_a_certificate_of_the_authority_in_ssl_cert_file_is_trusted(run: Shell) -> None:
    done = run(*RUN)
    assert done.code in {exit_status.OK, exit_status.NEEDS_SYNC, exit_status.INCOMPLETE}, done.err
    assert "up to date" in done.err
    assert "network_error" not in (run.folder / "report.json").read_text()
    assert TOKEN.encode() not in everything(run, done.err)


@pytest.mark.parametrize("trusted", ["other_ca", None], ids=["another authority", "the system's"])
def test_a_certificate_of_an_unknown_authority_is_an_error_that_says_so_and_no_token_goes_out(
    run: Shell, front: Front, synthetic_servers: Servers, trusted: str | None
) -> None:
    run.environ["SSL_CERT_FILE"] = str(getattr(front, trusted)) if trusted else ""
    before = synthetic_servers.fake.request_log.requests
    done = run(*RUN)
    assert done.code == exit_status.INCOMPLETE
    assert "the server's TLS certificate is not trusted" in done.err
    assert "the server's TLS certificate is not trusted" in (run.folder / "report.json").read_text()
    assert synthetic_servers.fake.request_log.requests == before


def test_a_certificate_for_another_name_is_not_trusted(run: Shell, front: Front, synthetic_servers: Servers) -> None:
    before = synthetic_servers.fake.request_log.requests
    done = run(*RUN, REPLICATE_BASE_URL=f"https://127.0.0.1:{front.port}")
    assert done.code == exit_status.INCOMPLETE
    assert "the server's TLS certificate is not trusted" in done.err
    assert synthetic_servers.fake.request_log.requests == before


def test_a_server_without_tls_is_an_error_that_says_so(run: Shell, synthetic_servers: Servers) -> None:
    done = run(*RUN, REPLICATE_BASE_URL=f"https://localhost:{synthetic_servers.fake.port}")
    assert done.code == exit_status.INCOMPLETE
    assert "no TLS connection could be agreed on" in done.err


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_all_goes_through_the_proxy_which_sees_neither_token_nor_question(
    run: Shell, front: Front, synthetic_servers: Servers, name: str
) -> None:
    proxy = Proxy({f"{HOST}:{front.port}": front.port}, f"ci:{PASSWORD}")
    before = synthetic_servers.fake.request_log.requests
    with serving(proxy) as port:
        where = {name: f"http://ci:{PASSWORD}@127.0.0.1:{port}", "REPLICATE_BASE_URL": f"https://{HOST}:{front.port}"}
        done = run(*RUN, **where)
    assert "up to date" in done.err
    assert "network_error" not in (run.folder / "report.json").read_text()
    assert synthetic_servers.fake.request_log.requests - before >= 5
    assert set(proxy.asked) == {f"CONNECT {HOST}:{front.port} HTTP/1.1"}
    for secret in (TOKEN.encode(), b"/v1/models", b"Bearer"):
        assert secret not in proxy.passed
    assert len(proxy.passed) > 5000
    output = everything(run, done.err)
    assert PASSWORD.encode() not in output
    assert TOKEN.encode() not in output


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        pytest.param("ci:another", "the proxy refused the connection", id="wrong password"),
        pytest.param(None, "the proxy cannot be reached", id="proxy down"),
    ],
)
def test_a_proxy_that_fails_is_said_to_fail_without_its_password(
    run: Shell, front: Front, credentials: str | None, words: str
) -> None:
    proxy = Proxy({f"{HOST}:{front.port}": front.port}, credentials or "")
    with serving(proxy) as port:
        where = f"http://ci:{PASSWORD}@127.0.0.1:{port if credentials else 9}"
        done = run(*RUN, HTTPS_PROXY=where, REPLICATE_BASE_URL=f"https://{HOST}:{front.port}")
    assert done.code == exit_status.INCOMPLETE
    assert words in done.err
    assert words in (run.folder / "report.json").read_text()
    output = everything(run, done.err)
    assert PASSWORD.encode() not in output
    assert base64.b64encode(f"ci:{PASSWORD}".encode()) not in output


REFUSALS = {
    407: "the proxy wants a user name and password (407): put them into HTTPS_PROXY or https_proxy",
    403: "the proxy refused the connection (403): it lets nobody there, or not this user",
    502: "the proxy refused the connection (502): it cannot reach the host itself",
    503: "the proxy refused the connection (503): it cannot reach the host itself",
    504: "the proxy refused the connection (504): it cannot reach the host itself",
    302: "the proxy refused the connection (302)",
    429: "the proxy refused the connection (429)",
}


@pytest.mark.parametrize("code", REFUSALS)
async def test_what_a_proxy_says_is_told_with_its_code_and_what_it_means(code: int) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d Of its own\r\nContent-Length: 6\r\n\r\n%s" % (code, TOKEN[:6].encode()))
        await writer.drain()

    async with listening(refuse) as port:
        for user, words in (("", REFUSALS[code]), ("me:hunter2@", _with_password(REFUSALS[code]))):
            away = target(f"https://{HOST}/v1", proxy=f"http://{user}127.0.0.1:{port}")
            async with connect(away, ManualClock().timing) as replicate, replicate.delivery_hosts() as hosts:
                assert await replicate.ask("acme/m") == Failed(Reason.NETWORK_ERROR, words)
                weights = await hosts.ask("https://replicate.delivery/w.tar")
                assert weights == WeightsAnswer("nothing", words)


def _with_password(words: str) -> str:
    if "407" in words:
        return (
            "the proxy refused the connection: "
            "it wants another user name and password (407) than HTTPS_PROXY or https_proxy has"
        )
    return words


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://proxy.invalid:3128", "the proxy's host name cannot be resolved"),
        (None, "the host name cannot be resolved"),
    ],
    ids=["of the proxy", "of the server"],
)
async def test_a_host_name_that_cannot_be_resolved_is_said_to_be_whose_it_is(proxy: str | None, words: str) -> None:
    away = target("https://replicate.invalid/v1", proxy=proxy)
    async with connect(away, ManualClock().timing) as replicate:
        assert await replicate.ask("acme/m") == Failed(Reason.NETWORK_ERROR, words)


@pytest.mark.parametrize("password", ["geheim%2Fwort", "%E2%82%AC", "50%25", "ä"])
async def test_a_proxy_is_told_the_password_byte_by_byte(password: str) -> None:
    heads: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")

    async with listening(refuse) as port:
        away = target(f"https://{HOST}/v1", proxy=f"http://me:{password}@127.0.0.1:{port}")
        async with connect(away, ManualClock().timing) as replicate:
            await replicate.ask("acme/m")
    assert base64.b64encode(b"me:" + unquote_to_bytes(password)) in heads[0]
    assert b"r8_" not in heads[0]


@pytest.mark.parametrize("no_proxy", [HOST, ".replicate.test", "*"])
def test_a_host_in_no_proxy_is_asked_directly(run: Shell, front: Front, no_proxy: str) -> None:
    proxy = Proxy({f"{HOST}:{front.port}": front.port})
    with serving(proxy) as port:
        where = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": no_proxy}
        done = run(*RUN, REPLICATE_BASE_URL=f"https://{HOST}:{front.port}", **where)
    assert proxy.asked == []
    assert "the host name cannot be resolved" in done.err


def test_this_machine_is_never_asked_through_a_proxy(run: Shell, front: Front, synthetic_servers: Servers) -> None:
    proxy = Proxy({})
    with serving(proxy) as port:
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
        where = dict.fromkeys(names, f"http://127.0.0.1:{port}")
        for url in (synthetic_servers.fake.base_url, f"https://localhost:{front.port}"):
            done = run(*RUN, REPLICATE_BASE_URL=url, **where)
            assert "up to date" in done.err, done.err
            (run.folder / "run.sqlite").unlink()
    assert proxy.asked == []


def test_a_netrc_does_not_take_the_tokens_place(run: Shell, synthetic_servers: Servers, front: Front) -> None:
    (run.folder / ".netrc").write_text(
        f"machine localhost login me password {PASSWORD}\nmachine 127.0.0.1 login me password {PASSWORD}\n"
    )
    (run.folder / ".netrc").chmod(0o600)
    before = synthetic_servers.fake.request_log.tokens.copy()
    for url in (synthetic_servers.fake.base_url, f"https://localhost:{front.port}"):
        where = {"HOME": str(run.folder), "NETRC": str(run.folder / ".netrc"), "REPLICATE_BASE_URL": url}
        assert "up to date" in run(*RUN, **where).err
        (run.folder / "run.sqlite").unlink()
    assert (synthetic_servers.fake.request_log.tokens - before).keys() == {"valid"}
