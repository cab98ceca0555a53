"""A socket in front of PostgreSQL's that can be cut at a known moment of a repair, and kill whoever sits at it.

Programs connect to it as to the server itself: same port, another directory.
"""

import asyncio
import os
import re
import signal
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_HEAD = struct.Struct("!ci")
_LENGTH = struct.Struct("!i")
_UPDATE = re.compile(rb"UPDATE \S+ AS m SET ")
_PORT = 5432


class Moment(StrEnum):
    """Of the transaction that changes rows: right before a statement of it, or after the last."""

    LOCK = "lock"
    JUDGE = "judge"
    UPDATE = "update"
    COMMIT = "commit"
    COMMITTED = "committed"
    """It is, and nobody has been told."""


class Fall(StrEnum):
    """What happens at a moment."""

    WRITE = "write"
    """Somebody else does something; then it goes on."""
    CUT = "cut"
    """The connection is lost, on both sides."""
    KILL = "kill"
    """The program is killed, and with it its connection is lost."""
    CUT_LATE = "cut late"
    """The program has lost the connection; the server has not, and what was sent is still on its way."""
    KILL_LATE = "kill late"


@dataclass
class Trap:
    """What is to happen, once."""

    moment: Moment
    fall: Fall
    write: Callable[[], Awaitable[None]]
    sprung: bool = False


@dataclass
class Late:
    """A connection of which only the server's side is left."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    on_its_way: bytes

    async def end(self, *, arrives: bool) -> None:
        """Have what was sent arrive, or not; return when the server has done with it."""
        if arrives:
            self.writer.write(self.on_its_way)
            await self.reader.read(1)
        _say_no_more(self.writer)
        while await self.reader.read(1 << 16):
            pass
        self.writer.close()


class Wire:
    """Serves in the loop in which it was started, until it is closed."""

    def __init__(self, server: Path, folder: Path, judging: Callable[[], Awaitable[None]]) -> None:
        """`judging` is called whenever a transaction is about to look at the rows that it wants to change."""
        self.folder = folder
        self.trap: Trap | None = None
        self.late: list[Late] = []
        self._server = server / f".s.PGSQL.{_PORT}"
        self._judging = judging

    async def start(self) -> None:
        """Listen."""
        path = self.folder / f".s.PGSQL.{_PORT}"
        self._listener = await asyncio.start_unix_server(self._connected, path, limit=1 << 20)

    async def close(self) -> None:
        """Listen no more."""
        self._listener.close()
        await self._listener.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        server_reader, server_writer = await asyncio.open_unix_connection(self._server, limit=1 << 20)
        connection = _Connection(self, reader, writer, server_reader, server_writer, struct.unpack("3i", peer)[0])
        answers = asyncio.create_task(connection.answer())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await connection.ask()
        if connection.is_late:
            answers.cancel()
        else:
            _say_no_more(server_writer)
            await answers
            server_writer.close()
        writer.transport.abort()

    async def judging(self) -> None:
        """Tell whoever wants to know."""
        await self._judging()


class _Connection:
    def __init__(  # noqa: PLR0917 - two ends with two directions each
        self,
        wire: Wire,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
        pid: int,
    ) -> None:
        self._wire = wire
        self._reader, self._writer = reader, writer
        self._server_reader, self._server_writer = server_reader, server_writer
        self._pid = pid
        self._judged = self._updated = self._silent = False
        self._answered, self._ended, self._kept = asyncio.Event(), asyncio.Event(), b""
        self.is_late = False

    async def ask(self) -> None:
        """Pass on what the program says, until it ends or falls into a trap."""
        length = await self._reader.readexactly(_LENGTH.size)
        self._server_writer.write(length + await self._reader.readexactly(_LENGTH.unpack(length)[0] - 4))
        while True:
            head = await self._reader.readexactly(_HEAD.size)
            kind, size = _HEAD.unpack(head)
            body = await self._reader.readexactly(size - 4)
            committing = False
            if kind in (b"Q", b"P"):
                moments = self._moments(body)
                committing = Moment.COMMITTED in moments
                for moment in moments:
                    if moment is not Moment.COMMITTED:
                        await self._fall(moment, head + body)
                if Moment.JUDGE in moments:
                    await self._wire.judging()
            trap = self._wire.trap
            self._silent = bool(committing and trap and trap.moment is Moment.COMMITTED)
            self._server_writer.write(head + body)
            if self._silent:
                await self._answered.wait()
                await self._fall(Moment.COMMITTED, b"")
                self._silent = False
                self._writer.write(self._kept)

    def _moments(self, body: bytes) -> list[Moment]:
        if b"FOR NO KEY UPDATE" in body and b"xmin" not in body:
            self._judged = self._updated = False
            return [Moment.LOCK]
        if b"judged AS" in body:
            judging = [] if self._judged else [Moment.JUDGE]
            self._judged = True
            if not _UPDATE.search(body):
                return judging
            self._updated = True
            return [*judging, Moment.UPDATE]
        if self._updated and b"COMMIT" in body[:8]:
            self._updated = False
            return [Moment.COMMIT, Moment.COMMITTED]
        return []

    async def _fall(self, moment: Moment, message: bytes) -> None:
        trap = self._wire.trap
        if trap is None or trap.moment is not moment:
            return
        self._wire.trap = None
        trap.sprung = True
        if trap.fall is Fall.WRITE:
            await trap.write()
            return
        if trap.fall in (Fall.KILL, Fall.KILL_LATE):
            os.kill(self._pid, signal.SIGKILL)
        if trap.fall in (Fall.CUT_LATE, Fall.KILL_LATE):
            self.is_late = True
            self._wire.late.append(Late(self._server_reader, self._server_writer, message))
        else:
            _say_no_more(self._server_writer)
            await self._ended.wait()
        self._writer.transport.abort()
        raise ConnectionError

    async def answer(self) -> None:
        """Pass on what the server says, until it ends."""
        with suppress(ConnectionError):
            while data := await self._server_reader.read(1 << 16):
                if self._silent:
                    self._kept += data
                    self._answered.set()
                else:
                    self._writer.write(data)
        self._answered.set()
        self._ended.set()
        self._writer.transport.abort()


def _say_no_more(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, RuntimeError):
        writer.write_eof()
