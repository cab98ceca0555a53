"""What goes wrong: each fault answers in its own way, or sends the right answer in a wrong one.

A fault is part of the data of a model. `tests/support/faults.py` has more of them.
"""

import asyncio
import random
import socket
import struct
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from audit.demo.fake_replicate.delivery import SENT_LAST, Answer, Body, ResponseWriter, Sent

Endpoint = Literal["account", "models", "model", "versions", "version", "trainings", "training", "weights", "nothing"]
"""`weights` are files, as on Replicate's delivery hosts; `nothing` is every path that there is not."""
VersionFields: TypeAlias = dict[str, Any]
"""`id` and `created_at` of a version in a page, as they go over the wire."""
_EDGE_PAGE = b"""<!DOCTYPE html>
<html lang="en-US"><head><title>api.replicate.com | %(status)d: Error</title></head>
<body><h1>Error %(status)d</h1><p>The web server reported an error.</p>
<p>Cloudflare Ray ID: <strong>8f1c0a2b3d4e5f60</strong></p>
</body></html>
"""
_DETAILS = {
    403: "You do not have permission to perform this action.",
    408: "Request timeout.",
    418: "I'm a teapot.",
    422: "The request could not be processed.",
}


def error(status: int, detail: str, headers: str = "", **more: object) -> Answer:
    """An error in the API's words; most of its errors have `detail` and `status`."""
    body = msgspec.json.encode({"detail": detail, "status": status, **more})
    return Answer(status, Body(body), headers=headers)


def unauthenticated() -> Answer:
    """401, in the API's words."""
    detail = "You did not pass a valid authentication token"
    body = msgspec.json.encode({"title": "Unauthenticated", "detail": detail, "status": 401})
    return Answer(401, Body(body), "application/problem+json")


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that goes wrong with requests to the endpoints `on` (empty for all), the first `times` of them or all.

    This one leaves the answer alone.
    """

    times: int | None = None
    on: tuple[Endpoint, ...] = ("versions",)

    def affects(self, endpoint: Endpoint) -> bool:
        """Whether requests of this kind meet the fault."""
        return not self.on or endpoint in self.on

    def answer(self) -> Answer | None:
        """The answer in the place of the right one; None leaves that alone."""
        return None

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:
        """Send the answer in the fault's way."""
        return await writer.send(answer)


class Throttled(Fault, frozen=True, kw_only=True):
    """429, with the seconds to wait in the body."""

    wait: int = 30

    def answer(self) -> Answer:
        """See `Fault`."""
        return error(429, "Request was throttled.", retry_after=self.wait)


class Refused(Fault, frozen=True, kw_only=True):
    """Any other status, with the body that such an error has in practice."""

    status: int
    body: Literal["json", "html", "empty"] = "json"

    def answer(self) -> Answer:
        """See `Fault`."""
        if self.body == "html":
            return Answer(self.status, Body(_EDGE_PAGE % {b"status": self.status}), "text/html; charset=UTF-8")
        if self.body == "empty":
            return Answer(self.status, Body(), None)
        if self.status == 401:
            return unauthenticated()
        return error(
            self.status, _DETAILS.get(self.status, "Internal server error." if self.status >= 500 else "Refused.")
        )


class Reset(Fault, frozen=True, kw_only=True):
    """The connection is reset before the first byte."""

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:  # noqa: ARG002 - nothing is sent
        """See `Fault`."""
        transport = writer.request.transport
        if transport is not None:
            # Linger 0 makes closing send RST, which is what a client sees of a proxy that dies.
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        return SENT_LAST


class Hang(Fault, frozen=True, kw_only=True):
    """Takes the request and never answers."""

    async def send(self, writer: ResponseWriter, answer: Answer) -> Sent:  # noqa: ARG002 - nothing is sent
        """See `Fault`."""
        await asyncio.Event().wait()  # until the client goes, or the server: both cancel
        raise AssertionError


class Odd(Fault, frozen=True, kw_only=True):
    """200 with a body of one's own."""

    content: bytes
    content_type: str | None = "application/json"

    def answer(self) -> Answer:
        """See `Fault`."""
        return Answer(200, Body(self.content), self.content_type)


class ForeignNext(Fault, frozen=True, kw_only=True):
    """A page whose `next` leads to another host."""

    def next_url(self, this: str, following: str) -> str:  # noqa: ARG002 - subclasses lead back to it
        """`next` of the page at the URL `this`, which `following` comes after."""
        return urlsplit(following)._replace(netloc="replicate.example").geturl()


class ResponseVariant(Fault, frozen=True, kw_only=True):
    """The right versions, listed in a way that misleads. Applies to every answer, whatever `times` says."""

    def listed(self, versions: list[VersionFields]) -> list[VersionFields]:
        """The list that is sent in the place of `versions`, of which there are some."""
        raise NotImplementedError


class Shuffled(ResponseVariant, frozen=True, kw_only=True):
    """Not most recent first, as is documented, but in an order that follows from the seed."""

    seed: int = 1

    def listed(self, versions: list[VersionFields]) -> list[VersionFields]:
        """See `ResponseVariant`."""
        random.Random(self.seed).shuffle(versions)  # noqa: S311 - an order, not a secret
        return versions


class Undated(ResponseVariant, frozen=True, kw_only=True):
    """Every `created_at` is null."""

    def listed(self, versions: list[VersionFields]) -> list[VersionFields]:
        """See `ResponseVariant`."""
        return [version | {"created_at": None} for version in versions]


class UpperCase(ResponseVariant, frozen=True, kw_only=True):
    """Version ids in upper case."""

    def listed(self, versions: list[VersionFields]) -> list[VersionFields]:
        """See `ResponseVariant`."""
        return [version | {"id": version["id"].upper()} for version in versions]
