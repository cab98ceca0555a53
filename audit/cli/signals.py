"""SIGINT, SIGTERM and SIGHUP: the first one asks the run to end in order, the second one ends it at once.

One that was ignored when the program began stays so: nohup means SIGHUP, a shell that has put a command into the
background means Ctrl-C.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal, NoReturn

from audit.model.exit_status import HUNG_UP, INTERRUPTED, TERMINATED


class Stop:
    """A request to end the run early, from a signal or from the run itself; the first one counts."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.state: Literal["interrupted", "stopped"] | None = None
        self.reason: str | None = None

    def request(self, state: Literal["interrupted", "stopped"], reason: str) -> None:
        """Ask the run to end: nothing new is begun. Call it in the thread of the event loop."""
        if self.state is None:
            self.state, self.reason = state, reason
            self._event.set()

    @property
    def requested(self) -> bool:
        """Whether the run is to end."""
        return self.state is not None

    async def wait(self) -> None:
        """Return once the run is to end."""
        await self._event.wait()


CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
if hasattr(signal, "SIGHUP"):  # Windows has none
    CODES[signal.SIGHUP] = HUNG_UP
_ONE_HANG_UP = 0.2
"""Seconds. Who closes a terminal sends SIGHUP more than once: the kernel does, and the shell."""


class Signals:
    """Remembers the first signal and passes it on to a run, once there is one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.first: signal.Signals | None = None
        self._clock = clock
        self._came_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Stop | None = None

    def stops(self, stop: Stop) -> None:
        """From now on the first signal stops the run behind `stop`. Call it inside the run's event loop."""
        self._loop, self._stop = asyncio.get_running_loop(), stop
        if self.first is not None:
            self._pass_on()

    @property
    def code(self) -> int | None:
        """The exit code where a signal came."""
        return CODES[self.first] if self.first else None

    def caught(self, number: int, _: FrameType | None) -> None:
        """The handler. The second signal leaves through SystemExit, so that half-written files are removed."""
        now = self._clock()
        if self.first is not None:
            if CODES[self.first] == CODES[signal.Signals(number)] == HUNG_UP and now - self._came_at < _ONE_HANG_UP:
                return
            leave(number)
        self.first, self._came_at = signal.Signals(number), now
        if self._stop is not None:
            self._pass_on()

    def _pass_on(self) -> None:
        assert self._loop is not None  # noqa: S101 - set together with _stop
        assert self._stop is not None  # noqa: S101 - the caller looked
        assert self.first is not None  # noqa: S101 - the caller set it
        if self._loop.is_closed():
            return  # the run is over: the reports are being written, and are not worth less than a second
        # A handler runs between two byte codes of the loop itself, which this call also wakes up.
        self._loop.call_soon_threadsafe(self._stop.request, "interrupted", f"stopped by {self.first.name}")


def leave(number: int, _: FrameType | None = None) -> NoReturn:
    """End this process through SystemExit; what cleans up on the way is not disturbed by further signals."""
    for each in CODES:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


@contextmanager
def leaving() -> Iterator[None]:
    """While the context lasts the first signal ends the process, and half-written files are removed."""
    with _handled_by(leave):
        yield


@contextmanager
def signals() -> Iterator[Signals]:
    """Catch all of them while the context lasts."""
    caught = Signals()
    with _handled_by(caught.caught):
        yield caught


@contextmanager
def first_signal() -> Iterator[Callable[[], object]]:
    """What is yielded returns at the first signal since the context began."""
    came = threading.Event()
    with _handled_by(lambda *_: came.set()):
        yield came.wait


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    heeded = [number for number in CODES if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
