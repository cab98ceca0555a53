"""A fake Replicate away from the caller's event loop: in a thread (the demo) or in a process (benchmarks)."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from audit.demo.fake_replicate.server import FakeReplicate

_START_SECONDS = 30.0


@contextmanager
def in_thread(fake: FakeReplicate) -> Iterator[FakeReplicate]:
    """Serves from a thread with an event loop of its own. What fails at the start is raised here.

    `fake.seen` may be read meanwhile; everything else belongs to that thread.
    """
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    started = threading.Event()
    failure: list[BaseException] = []

    async def serve() -> None:
        async with fake:
            started.set()
            await ended.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            failure.append(error)
        finally:
            loop.close()
            started.set()

    thread = threading.Thread(target=run, name="fake Replicate", daemon=True)
    thread.start()
    started.wait(_START_SECONDS)
    if failure:
        raise failure[0]
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
    if failure:
        raise failure[0]
