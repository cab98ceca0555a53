"""How a run is getting on, on stderr: a live line on a terminal, else a line now and then. Never on stdout."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live as RichLive
from rich.text import Text

from audit.cli.terminal import can_animate, screen
from audit.commands.replicate import Session
from audit.model.codes import Status
from audit.model.findings import Finding
from audit.model.times import duration

BARS = (("━", "─"), ("#", "."))
"""Done and not done; the second pair for encodings that lack the first."""
SHORTEST_BAR, LONGEST_BAR = 8, 30
Pieces = Sequence[tuple[str, str]]
"""Texts and their styles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a run is. Times are seconds."""

    done: int
    total: int
    per_minute: int | None
    """Requests, as of late; None at the very beginning."""
    allowed: int
    """Requests a minute that the run may make."""
    needs_sync: int
    errors: int
    left: float | None
    waiting: float
    """Until anybody may ask again, because of a 429."""

    def sentence(self) -> str:
        """All of it, for a log."""
        pieces = [f"{self.done:,} of {self.total:,} models asked", self._waits]
        if self.per_minute is not None and not self._waits:
            pieces.append(f"{self.per_minute:,} of {self.allowed:,} requests a minute")
        pieces += [f"{self.needs_sync:,} need a sync", f"{self.errors:,} errors"]
        if self.left is not None:
            pieces.append(f"{duration(self.left)} left")
        return ", ".join(filter(None, pieces))

    @property
    def _waits(self) -> str:
        return f"waiting {self.waiting:.0f} s: rate limit" if self.waiting >= 0.5 else ""

    def layouts(self) -> Iterator[Pieces]:
        """The pieces of the line, from the most talkative to the shortest."""
        done = (f"{self.done:,}/{self.total:,}", "")
        left = (f"{duration(self.left)} left" if self.left is not None else "", "cyan")
        sync = "yellow" if self.needs_sync else "dim"
        wrong = "red" if self.errors else "dim"
        long_sync = (f"{self.needs_sync:,} need a sync", sync)
        errors = (f"{self.errors:,} errors", wrong)
        long_rate, rate = ("", "dim"), ("", "dim")
        if self._waits:
            long_rate = rate = (self._waits, "magenta")
        elif self.per_minute is not None:
            long_rate = (f"{self.per_minute:,} of {self.allowed:,}/min", "dim")
            rate = (f"{self.per_minute:,}/min", "dim")
        yield done, long_rate, long_sync, errors, left
        yield done, rate, long_sync, errors, left
        short = (f"{self.needs_sync:,} sync", sync), (f"{self.errors:,} err", wrong)
        if self._waits:
            yield done, (f"waiting {self.waiting:.0f} s: rate limit", "magenta"), *short
            yield ((f"waiting {self.waiting:.0f} s: rate limit", "magenta"),)
            yield ((f"waiting {self.waiting:.0f} s", "magenta"),)
        yield done, *short, left
        yield done, *short
        yield (done,)


def text(what: State | str, width: int, *, encoding: str) -> Text:
    """The line for `width` columns; a `str` is shown as it is."""
    if isinstance(what, str):
        return _line([(what, "")], width)
    shown: Pieces = ()
    for pieces in what.layouts():
        shown = [piece for piece in pieces if piece[0]]
        if _width(shown) <= width:
            break
    room = width - _width(shown) - 2
    if what.total and room >= SHORTEST_BAR:
        size = min(room, LONGEST_BAR)
        full, empty = next(pair for pair in BARS if _encodable(pair, encoding))
        filled = size * what.done // what.total
        bar = (full * filled, "green"), (empty * (size - filled), "dim")
        return Text.assemble(*bar, "  ").append_text(_line(shown, width - size - 2))
    return _line(shown, width)


def _width(pieces: Pieces) -> int:
    return sum(len(words) for words, _ in pieces) + 2 * (len(pieces) - 1)


def _line(pieces: Pieces, width: int) -> Text:
    line = Text("  ").join([Text(*piece) for piece in pieces])
    line.truncate(max(width, 1))
    line.no_wrap = True
    return line


def _encodable(pair: tuple[str, str], encoding: str) -> bool:
    try:
        "".join(pair).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return pair == BARS[-1]
    return True


EVERY_SECONDS = 10.0
EVERY_SHARE = 0.05
REFRESHED = 4
"""Times a second; a waiting line counts down without any event."""
RECENT = 15.0
"""Seconds over which rate and time left are reckoned."""


class Shown(Protocol):
    """`ProgressListener`, and how to write a log line without tearing what is shown."""

    def reading(self, records: int) -> None: ...  # noqa: D102 - see ProgressListener
    def listing(self, trainings: int) -> None: ...  # noqa: D102 - see ProgressListener
    def asking(self, models: int, asking: Session) -> None: ...  # noqa: D102 - see ProgressListener
    def settled(self, findings: Sequence[Finding]) -> None: ...  # noqa: D102 - see ProgressListener
    def done(self) -> None: ...  # noqa: D102 - see ProgressListener
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

    def asking(self, models: int, asking: Session) -> None:
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
        self._asking: Session | None = None
        self._samples: deque[tuple[float, int, int]] = deque()

    def asking(self, models: int, asking: Session) -> None:
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

    def asking(self, models: int, asking: Session) -> None:
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

    def asking(self, models: int, asking: Session) -> None:
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
