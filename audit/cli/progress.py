"""How a run is getting on, on stderr: a live line on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from audit.models import Finding, Status

EVERY_SECONDS = 10.0
EVERY_SHARE = 0.05


class Shown(Protocol):
    """`app.Watcher`, and how to write a log line without tearing what is shown."""

    def reading(self, records: int) -> None: ...  # noqa: D102 - see app.Watcher
    def asking(self, models: int, waiting: Callable[[], float]) -> None: ...  # noqa: D102 - see app.Watcher
    def settled(self, findings: Sequence[Finding]) -> None: ...  # noqa: D102 - see app.Watcher
    def done(self) -> None: ...  # noqa: D102 - see app.Watcher
    def line(self, text: str) -> None:
        """Write a whole line to stderr."""


def progress(*, wanted: bool) -> Shown:
    """What fits the place that stderr leads to."""
    if not wanted:
        return Silent()
    console = Console(stderr=True)
    return Live(console) if console.is_terminal and not console.is_dumb_terminal else Lines()


class Silent:
    """Shows nothing."""

    def reading(self, records: int) -> None:
        """Nothing to see."""

    def asking(self, models: int, waiting: Callable[[], float]) -> None:
        """Nothing to see."""

    def settled(self, findings: Sequence[Finding]) -> None:
        """Nothing to see."""

    def done(self) -> None:
        """Nothing to see."""

    def line(self, text: str) -> None:
        """Write a whole line to stderr."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the place that prints


class _Counts:
    def __init__(self) -> None:
        self.models = self.answered = self.needs_sync = self.errors = 0

    def add(self, findings: Sequence[Finding]) -> None:
        self.answered += 1
        for finding in findings:
            self.needs_sync += finding.status is Status.NEEDS_SYNC
            self.errors += finding.status is Status.ERROR

    def __str__(self) -> str:
        return f"{self.needs_sync:,} need a sync, {self.errors:,} errors"


class Lines(Silent):
    """For CI logs: a line every ten seconds or five percent, whichever comes later."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts = _Counts()
        self._said_at = clock()
        self._said_count = 0

    def asking(self, models: int, waiting: Callable[[], float]) -> None:  # noqa: ARG002 - a log has no live wait
        """Say how many there are."""
        self._counts.models = models
        self.line(f"asking Replicate for {models:,} models")

    def settled(self, findings: Sequence[Finding]) -> None:
        """Count, and say so now and then."""
        self._counts.add(findings)
        now, counts = self._clock(), self._counts
        enough = counts.answered - self._said_count >= counts.models * EVERY_SHARE
        if enough and now - self._said_at >= EVERY_SECONDS:
            self._said_at, self._said_count = now, counts.answered
            self.line(f"{counts.answered:,} of {counts.models:,} models asked; {counts}")


class Live(Silent):
    """For people: one line that stays in place and is gone at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._counts = _Counts()
        self._waiting: Callable[[], float] = lambda: 0.0
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[found]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            refresh_per_second=5,
        )
        self._task: TaskID | None = None

    def reading(self, records: int) -> None:
        """Show the number."""
        self._show(f"reading the database: {records:,} users")

    def asking(self, models: int, waiting: Callable[[], float]) -> None:
        """Show a bar of all models."""
        self._counts.models, self._waiting = models, waiting
        self._show("asking Replicate")
        if self._task is not None:
            self._progress.update(self._task, total=models)

    def settled(self, findings: Sequence[Finding]) -> None:
        """One step on."""
        self._counts.add(findings)
        if self._task is not None:
            wait = self._waiting()
            what = f"waiting {wait:.0f} s: rate limit" if wait >= 1 else "asking Replicate"
            found = str(self._counts)
            self._progress.update(self._task, completed=self._counts.answered, description=what, found=found)

    def done(self) -> None:
        """Take the line away."""
        self._progress.stop()

    def line(self, text: str) -> None:
        """Write a whole line above the live one."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, what: str) -> None:
        if self._task is None:
            self._task = self._progress.add_task(what, total=None, found="")
            self._progress.start()
        self._progress.update(self._task, description=what)
