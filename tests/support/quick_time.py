"""An event loop whose time is not spent but passed over: what takes hours by its clock is over in seconds.

While a socket has something to read the clock stands still; once there is nothing to do before the next timer it is
moved on to that. So between a client and a server in one loop only what sleeps takes time, and always the same.
"""

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
_PATIENCE = 0.005
"""Share of the time passed over, in which a busy machine may still deliver what is on its way from socket to socket."""
_LONGEST = 0.1
"""Seconds."""


class _Selector(selectors.SelectSelector):
    """Reads as every other one does; does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        wait = _LONGEST if timeout is None else min(timeout * _PATIENCE, _LONGEST)
        ready = super().select(wait)
        if not ready and timeout is not None:
            self.now += timeout
        return ready

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return super().get_map() or {}


class QuickLoop(asyncio.SelectorEventLoop):
    """Seconds since it was made, of its own."""

    def __init__(self) -> None:
        self._passing = _Selector()
        super().__init__(self._passing)

    def time(self) -> float:
        return self._passing.now


def run(work: Coroutine[None, None, T]) -> T:
    """As `asyncio.run`, in quick time."""
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        return runner.run(work)
