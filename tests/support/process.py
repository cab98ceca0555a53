"""The fake Replicate in a process of its own."""

import asyncio
import multiprocessing
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Literal, NamedTuple

from audit.demo.fake_replicate.server import START_SECONDS
from tests.support.instrumented_replicate import InstrumentedReplicate, RequestLog


class Usage(NamedTuple):
    """What a fake Replicate in a process of its own has counted and used."""

    request_log: RequestLog
    cpu_seconds: float
    """Of the whole process, since it was ready."""
    peak: int
    """Memory resident at most, in the unit of the kernel's `ru_maxrss`."""


class RemoteFakeReplicate:
    """A fake Replicate in another process, as far as it can be reached from here."""

    def __init__(self, connection: Connection, origin: str) -> None:
        self._connection = connection
        self.origin = origin
        self.base_url = f"{origin}/v1"

    def usage(self) -> Usage:
        """Counts, CPU time and memory up to now; large where many paths were asked for."""
        self._connection.send("usage")
        usage: Usage = self._connection.recv()
        return usage

    def answered(self) -> int:
        """Answers up to now, at no cost that grows with them."""
        self._connection.send("answered")
        count: int = self._connection.recv()
        return count

    def spend(self, requests: int) -> None:
        """See `InstrumentedReplicate.spend`."""
        self._connection.send(requests)


@contextmanager
def in_process(make: Callable[[], InstrumentedReplicate]) -> Iterator[RemoteFakeReplicate]:
    """Serves from a process of its own, so that its CPU time and memory are not the caller's.

    `make` is called there and has to be picklable: a function of a module, or a `functools.partial` of one. The
    process ends with the block, and also when this process dies in any way.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(make, there), name="fake Replicate", daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(START_SECONDS):
            raise TimeoutError(f"The fake Replicate did not start within {START_SECONDS:.0f} s.")
        yield RemoteFakeReplicate(here, here.recv())
    finally:
        here.close()
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _serve(make: Callable[[], InstrumentedReplicate], connection: Connection) -> None:
    asyncio.run(_answer_parent(make(), connection))


async def _answer_parent(fake: InstrumentedReplicate, connection: Connection) -> None:
    parent_gone = asyncio.Event()

    def read() -> None:
        try:
            request: int | Literal["usage", "answered"] = connection.recv()
        except (EOFError, OSError):
            parent_gone.set()
            return
        if request == "usage":
            cpu, peak = _used()
            connection.send(Usage(fake.request_log, cpu - used_before, peak))
        elif request == "answered":
            connection.send(fake.request_log.statuses.total())
        else:
            fake.spend(request)

    async with fake:
        used_before, _ = _used()
        connection.send(fake.origin)
        loop = asyncio.get_running_loop()
        loop.add_reader(connection.fileno(), read)
        await parent_gone.wait()
        loop.remove_reader(connection.fileno())


def _used() -> tuple[float, int]:
    """CPU seconds and peak memory of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss
