"""How a run is getting on, on stderr: a live line on a terminal, else a line now and then. Never on stdout."""

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live as RichLive

from audit.asking import Asking
from audit.cli.progress_line import State, text
from audit.cli.screen import can_animate, screen
from audit.models import Finding, Status

EVERY_SECONDS = 10.0
EVERY_SHARE = 0.05
REFRESHED = 4
"""Times a second; a waiting line counts down without any event."""
RECENT = 15.0
"""Seconds over which rate and time left are reckoned."""


class Shown(Protocol):
    """`asking.Watcher`, and how to write a log line without tearing what is shown."""

    def reading(self, records: int) -> None: ...  # noqa: D102 - see asking.Watcher
    def listing(self, trainings: int) -> None: ...  # noqa: D102 - see asking.Watcher
    def asking(self, models: int, asking: Asking) -> None: ...  # noqa: D102 - see asking.Watcher
    def settled(self, findings: Sequence[Finding]) -> None: ...  # noqa: D102 - see asking.Watcher
    def done(self) -> None: ...  # noqa: D102 - see asking.Watcher
    def stopping(self) -> None:
        """The run was asked to end, and waits for the answers in flight."""

    def line(self, text: str) -> None:
        """Write a whole line to stderr."""


def progress(*, wanted: bool, worded: Callable[[str], str] = str) -> Shown:
    """What fits the place that stderr leads to; `worded` makes a log line of what is said in words."""
    if not wanted:
        return Silent()
    console = screen(stderr=True)
    return Live(console) if can_animate(console) else Lines(worded)


class Silent:
    """Shows nothing."""

    def reading(self, records: int) -> None:
        """Nothing to see."""

    def listing(self, trainings: int) -> None:
        """Nothing to see."""

    def asking(self, models: int, asking: Asking) -> None:
        """Nothing to see."""

    def settled(self, findings: Sequence[Finding]) -> None:
        """Nothing to see."""

    def done(self) -> None:
        """Nothing to see."""

    def stopping(self) -> None:
        """Nothing to see."""

    def line(self, text: str) -> None:
        """Write a whole line to stderr."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the place that prints


class Counts:
    """What is known of the run so far; rates are those of the last `RECENT` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._models = self._answered = self._needs_sync = self._errors = 0
        self._asking: Asking | None = None
        self._samples: deque[tuple[float, int, int]] = deque()

    def asking(self, models: int, asking: Asking) -> None:
        """It begins."""
        self._models, self._asking = models, asking
        self._sample()

    def add(self, findings: Sequence[Finding]) -> None:
        """One model more has been answered."""
        self._answered += 1
        for finding in findings:
            self._needs_sync += finding.status is Status.NEEDS_SYNC
            self._errors += finding.status is Status.ERROR
        if self._clock() - self._samples[-1][0] >= 0.25:
            self._sample()

    def _sample(self) -> None:
        now = self._clock()
        self._samples.append((now, self._sent, self._answered))
        while now - self._samples[0][0] > RECENT and len(self._samples) > 2:
            self._samples.popleft()

    @property
    def _sent(self) -> int:
        return self._asking.requests.sent if self._asking else 0

    @property
    def answered(self) -> int:
        """Models that have been."""
        return self._answered

    @property
    def models(self) -> int:
        """All that are to be asked for."""
        return self._models

    def state(self) -> State:
        """As it is now."""
        began, sent, answered = self._samples[0]
        seconds = self._clock() - began
        per_second = (self._answered - answered) / seconds if seconds > 1 else 0
        return State(
            done=self._answered,
            total=self._models,
            per_minute=round((self._sent - sent) / seconds * 60) if seconds > 1 else None,
            allowed=self._asking.per_minute if self._asking else 0,
            needs_sync=self._needs_sync,
            errors=self._errors,
            left=(self._models - self._answered) / per_second if per_second else None,
            waiting=self._asking.waiting() if self._asking else 0,
        )


class Lines(Silent):
    """For CI logs: a line every ten seconds or five percent, whichever comes later."""

    def __init__(self, worded: Callable[[str], str] = str, clock: Callable[[], float] = time.monotonic) -> None:
        self._worded = worded
        self._clock = clock
        self._counts = Counts(clock)
        self._said_at = clock()
        self._said_count = 0

    def listing(self, trainings: int) -> None:
        """Say the number at the beginning, and every ten seconds."""
        if not trainings or self._clock() - self._said_at >= EVERY_SECONDS:
            self._said_at = self._clock()
            read = f": {trainings:,} so far" if trainings else ""
            self.line(self._worded(f"reading the list of trainings{read}"))

    def asking(self, models: int, asking: Asking) -> None:
        """Say how many there are."""
        self._counts.asking(models, asking)
        self._said_at = self._clock()
        self.line(self._worded(f"asking Replicate for {models:,} models"))

    def settled(self, findings: Sequence[Finding]) -> None:
        """Count, and say so now and then."""
        self._counts.add(findings)
        now, counts = self._clock(), self._counts
        enough = counts.answered - self._said_count >= counts.models * EVERY_SHARE
        if enough and now - self._said_at >= EVERY_SECONDS:
            self._said_at, self._said_count = now, counts.answered
            self.line(self._worded(counts.state().sentence()))

    def stopping(self) -> None:
        """Say so, because it may take some seconds."""
        self.line(self._worded("stopping: waiting for the answers in flight"))


class Live(Silent):
    """For people: one line that stays in place, fits the terminal as it is, and is gone at the end."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._counts = Counts(clock)
        self._words = ""
        self._over = False
        # stdout carries reports, so it must stay what it is; log lines come through `line`.
        self._live = RichLive(
            get_renderable=lambda: self,
            console=console,
            transient=True,
            refresh_per_second=REFRESHED,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The line, for the width that the terminal has at this moment."""
        # In the last column terminals differ: some wrap at once.
        yield text(self._words or self._counts.state(), options.max_width - 1, encoding=console.encoding)

    def reading(self, records: int) -> None:
        """Show the number."""
        self._say(f"reading the database: {records:,} users" if records else "reading the database")

    def listing(self, trainings: int) -> None:
        """Show the number."""
        self._say(f"reading the list of trainings: {trainings:,}" if trainings else "reading the list of trainings")

    def asking(self, models: int, asking: Asking) -> None:
        """Show a bar of all models."""
        self._counts.asking(models, asking)
        self._words = ""
        self._live.start()

    def settled(self, findings: Sequence[Finding]) -> None:
        """One step on."""
        self._counts.add(findings)

    def stopping(self) -> None:
        """Say so in place of the bar."""
        self._say("stopping: waiting for the answers in flight")

    def done(self) -> None:
        """Take the line away, for good."""
        self._over = True
        self._live.stop()

    def line(self, text: str) -> None:
        """Write a whole line above the live one."""
        self._console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def _say(self, words: str) -> None:
        self._words = words
        if not self._over:
            self._live.start()
