"""A server that answers with bytes: what no well-behaved one would send, or when it would not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Answer = Callable[[int, bytes], bytes | None]
"""The answer to the nth request (from 1) of a connection, whose head it is given.

None closes the connection, and so does an answer that says so.
"""


@dataclass
class RawServer:
    """What it was asked."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


def http_answer(body: bytes = b"{}", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer that keeps the connection."""
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"HTTP/1.1 " + status, length, *headers, b"", body])


@asynccontextmanager
async def raw_server(answer: Answer) -> AsyncIterator[RawServer]:
    """Serves on loopback until the block ends."""
    served = RawServer()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        writers.add(writer)
        nth = 0
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                served.heads.append(head)
                nth += 1
                said = answer(nth, head)
                if said is None:
                    break
                writer.write(said)
                await writer.drain()
                if b"\r\nConnection: close\r\n" in said:
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)
