"""A clock that only sleeping moves, so that no test waits."""

import asyncio
from datetime import UTC, datetime, timedelta

from audit.replicate import Timing

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class MadeUpTime:
    """Time stands still but for `sleep`, which moves it on and is written down."""

    def __init__(self, jitter: float = 0.5) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._jitter = jitter

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)

    @property
    def timing(self) -> Timing:
        return Timing(
            monotonic=lambda: self.now,
            now=lambda: START + timedelta(seconds=self.now),
            sleep=self.sleep,
            jitter=lambda: self._jitter,
        )
