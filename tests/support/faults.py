"""Faults that the demo has no use for, chaos, and what a client must make of each fault."""

import asyncio
import functools
import random
import struct
import zlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from audit.demo.fake_replicate.delivery import SENT, SENT_LAST, Answer, Body, ResponseWriter, Sent
from audit.demo.fake_replicate.faults import (
    Fault,
    ForeignNext,
    Hang,
    Odd,
    Refused,
    Reset,
    ResponseVariant,
    Throttled,
    VersionFields,
    error,
)
from audit.model.codes import FailureReason, Reason
from audit.model.times import Clock

_PAGE_HEAD = b'{"previous":null,"next":null,"results":['
_PAGE_END = b"]}"
_CHUNK = 1 << 20


class TimedWriter(ResponseWriter):
    """Whose clock and sleep are the test's."""

    now: Clock
    sleep: Callable[[float], Awaitable[None]]


class ThrottledIn(Throttled, frozen=True, kw_only=True):
    """429, with the wait in another of the places where Replicate and its edge have put it, or in none."""

    form: Literal["seconds", "date", "body", "text", "old_text", "bare"]

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:
        return await super().send(writer, self._answer(writer))

    def _answer(self, writer: ResponseWriter) -> Answer:
        wait, throttled = self.wait, "Request was throttled."
        match self.form:
            case "seconds":
                return error(429, throttled, f"Retry-After: {wait}\r\n")
            case "date":
                assert isinstance(writer, TimedWriter)
                until = format_datetime(writer.now() + timedelta(seconds=wait), usegmt=True)
                return error(429, throttled, f"Retry-After: {until}\r\n")
            case "body":
                return self.answer()
            case "text":
                return error(429, f"{throttled} Your rate limit resets in ~{wait}s.")
            case "old_text":
                detail = f"{throttled} Expected available in {wait} {'second' if wait == 1 else 'seconds'}."
                return Answer(429, Body(msgspec.json.encode({"detail": detail})))
            case "bare":
                return Answer(429, Body(), None)


class ResetMidway(Reset, frozen=True, kw_only=True):
    """The connection is reset in the middle of the body."""

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:
        await _send_half(writer, answer)
        return await super().send(writer, answer)


class Truncated(Fault, frozen=True, kw_only=True):
    """Content-Length promises the whole body, half of it comes, then the connection is closed."""

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:
        await _send_half(writer, answer)
        return SENT_LAST


async def _send_half(writer: ResponseWriter, answer: Answer) -> None:
    head, body = writer.encode(answer)
    await writer.write(head + body[: len(body) // 2])


class Drip(Fault, frozen=True, kw_only=True):
    """The right answer, one byte every `pause` seconds: no single read is ever late."""

    pause: float = 1.0

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:
        assert isinstance(writer, TimedWriter)
        head, body = writer.encode(answer)
        await writer.write(head)
        for at in range(len(body)):
            await writer.write(body[at : at + 1])
            await writer.sleep(self.pause)
        return SENT


class Huge(Fault, frozen=True, kw_only=True):
    """A valid answer of this many bytes, made while it is sent. `declared` says so in Content-Length beforehand."""

    size: int = 600_000_000
    declared: bool = False

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:
        length = f"Content-Length: {self.size}\r\n" if self.declared else "Connection: close\r\n"
        await writer.write(writer.head(Answer(200, Body()), length, None) + _PAGE_HEAD)
        left = self.size - len(_PAGE_HEAD) - len(_PAGE_END)
        blanks = b" " * _CHUNK
        while left > 0:
            await writer.write(blanks[:left])
            left -= _CHUNK
        await writer.write(_PAGE_END)
        return SENT_LAST


class Bomb(Fault, frozen=True, kw_only=True):
    """A valid gzip body that is a thousand times larger when decoded (`size` bytes)."""

    size: int = 300_000_000

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:
        packed = await asyncio.to_thread(bomb, self.size)  # a third of a second for 300 MB
        await writer.write(writer.head(Answer(200, Body()), f"Content-Length: {len(packed)}\r\n", "gzip"))
        await writer.write(packed)
        return SENT_LAST


@functools.lru_cache(maxsize=4)
def bomb(size: int) -> bytes:
    """A gzip member of a valid, empty page with blanks in it: `size` bytes or up to 1 MB more when decoded."""
    blanks = b" " * _CHUNK
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    # Compressing the same megabyte again and again is slow, copying what came of it is not; the checksum needs no copy.
    parts = [packer.compress(_PAGE_HEAD), packer.flush(zlib.Z_FULL_FLUSH)]
    block_packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = block_packer.compress(blanks) + block_packer.flush(zlib.Z_FULL_FLUSH)
    count = -(-size // _CHUNK)
    checksum = zlib.crc32(_PAGE_HEAD)
    for _ in range(count):
        checksum = zlib.crc32(blanks, checksum)
    end_packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    end = end_packer.compress(_PAGE_END) + end_packer.flush()
    checksum = zlib.crc32(_PAGE_END, checksum)
    length = len(_PAGE_HEAD) + count * _CHUNK + len(_PAGE_END)
    return b"".join([*parts, block * count, end, struct.pack("<II", checksum, length & 0xFFFFFFFF)])


class Redirected(Fault, frozen=True, kw_only=True):
    """Sends the client away: to `to`, or, where that is "", to the very same URL."""

    status: Literal[301, 302, 303, 307, 308] = 302
    to: str = "https://replicate.example/v1/stolen"

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:
        location = self.to or writer.request.path
        return await writer.send(Answer(self.status, Body(), "text/html", f"Location: {location}\r\n"))


class OddBody(Odd, frozen=True, kw_only=True):
    """As `Odd`, with a Content-Encoding that is claimed, whatever the content is, or nothing to complain of."""

    encoding: str | None = None
    harmless: bool = False
    """True for what a good client must read all the same."""

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:
        if self.encoding is None:
            return await writer.send(answer)
        length = f"Content-Length: {len(self.content)}\r\n"
        await writer.write(writer.head(answer, length, self.encoding) + self.content)
        return SENT if writer.request.keep_alive else SENT_LAST


class Slow(Fault, frozen=True, kw_only=True):
    """The right answer after `low` to `high` seconds, or after `low`. Others may strike the same request."""

    low: float
    high: float | None = None

    def delay(self, path: str, nth: int) -> float:
        """Seconds for the nth request for this path; always the same."""
        return self.low if self.high is None else random.Random(f"{nth} {path}").uniform(self.low, self.high)


class Paging(ForeignNext, frozen=True, kw_only=True):
    """A `next` that must not be followed, on an otherwise right page.

    `port` and `scheme` lead away from this server, `loop` to the page itself, `loop2` to and fro between two, `endless`
    always to one more page; `to` is an origin of one's own to lead to, such as a second server's.
    """

    form: Literal["port", "scheme", "loop", "loop2", "endless"] = "endless"
    to: str | None = None

    def next_url(self, this: str, following: str) -> str:
        url = urlsplit(following)
        match self.form:
            case _ if self.to is not None:
                return self.to + url._replace(scheme="", netloc="").geturl()
            case "port":
                return url._replace(netloc=f"{url.hostname}:{(url.port or 80) - 1}").geturl()
            case "scheme":
                return url._replace(scheme="https").geturl()
            case "loop":
                return this
            case "loop2":
                first, _, cursor = this.partition("?")
                return first if cursor else following
            case _:
                return following


class Dates(ResponseVariant, frozen=True, kw_only=True):
    """`created_at` null, absent, no date at all, or the same everywhere; of the first `only` versions, or of all."""

    form: Literal["null", "missing", "malformed", "equal"] = "null"
    only: int | None = None

    def listed(self, versions: list[VersionFields]) -> list[VersionFields]:
        count = len(versions) if self.only is None else self.only
        dates = {"null": None, "malformed": "last tuesday", "equal": versions[0]["created_at"]}
        changed = [
            {"id": version["id"]} if self.form == "missing" else version | {"created_at": dates[self.form]}
            for version in versions[:count]
        ]
        return changed + versions[count:]


class Repeated(ResponseVariant, frozen=True, kw_only=True):
    """Every version is listed twice, the second time one place later, as when a list moves while it is read."""

    def listed(self, versions: list[VersionFields]) -> list[VersionFields]:
        late = (versions[0], *versions[:-1])
        return [version for pair in zip(versions, late, strict=True) for version in pair] + versions[-1:]


class Chaos(msgspec.Struct, frozen=True, kw_only=True):
    """Spoils a share of all requests, each with one of `faults` (no response variants).

    The faults keep to their `on`, and their `times` means nothing here. Which requests are struck follows from the
    seed, the path and how many times it was asked for before; so it is the same in every order of requests.
    """

    share: float
    faults: tuple[Fault, ...]
    seed: int = 1

    def strikes(self, path: str, nth: int) -> Fault | None:
        """The fault that meets the nth request for this path, or None."""
        dice = random.Random(f"{self.seed} {nth} {path}")
        return dice.choice(self.faults) if dice.random() < self.share else None


_REASONS: dict[int, FailureReason] = {401: Reason.UNAUTHORIZED, 403: Reason.FORBIDDEN, 408: Reason.TIMEOUT}


def reason_of(fault: Fault) -> FailureReason | None:
    """What a client that never gets past this fault has to report; None where a good client gets its answer."""
    match fault:
        case Throttled():
            return Reason.RATE_LIMITED
        case Refused(status=403 | 404, body="html" | "empty"):
            return Reason.BAD_RESPONSE
        case Refused(status=status):
            return Reason.SERVER_ERROR if status >= 500 else _REASONS.get(status, Reason.REJECTED)
        case Reset() | Truncated():
            return Reason.NETWORK_ERROR
        case Drip() | Hang():
            return Reason.TIMEOUT
        case OddBody(harmless=True):
            return None
        case Huge() | Bomb() | Redirected() | Odd() | ForeignNext():
            return Reason.BAD_RESPONSE
        case _:
            return None


def label_of(fault: Fault) -> str:
    """Names the fault in counts."""
    return str(fault.status) if isinstance(fault, Refused) else type(fault).__name__.lower()
