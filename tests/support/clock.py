"""A clock that only tests and sleeping move, so that no test waits."""

import asyncio
from datetime import UTC, datetime, timedelta

from audit.replicate import Timing
from tests.support.instrumented_replicate import ServerTime

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class ManualClock:
    """Seconds since `START` that pass by `sleep` and `advance` alone; `slept` are the waits, in order."""

    def __init__(self, jitter: float = 0.5) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        self._jitter = jitter

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    async def sleep(self, seconds: float) -> None:
        """Sleeps that overlap end as they would: at the latest of their ends."""
        self.slept.append(round(seconds, 3))
        until = self.seconds + seconds
        await asyncio.sleep(0)
        self.seconds = max(self.seconds, until)

    @property
    def timing(self) -> Timing:
        """For a client."""
        return Timing(monotonic=lambda: self.seconds, now=self.now, sleep=self.sleep, jitter=lambda: self._jitter)

    @property
    def server_time(self) -> ServerTime:
        """For a fake Replicate."""
        return ServerTime(clock=lambda: self.seconds, now=self.now, sleep=self.sleep)
