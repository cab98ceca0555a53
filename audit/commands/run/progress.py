"""The progress of a run, on stderr: a live line on a terminal, else a line now and then."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from audit.cli.terminal import can_animate, screen
from audit.commands.replicate import ProgressListener, Session
from audit.model.codes import Status
from audit.model.findings import Finding
from audit.model.times import duration
from audit.report.words import counted

BARS = (("━", "─"), ("#", "."))
"""Characters of the bar, done and to do; the second pair for encodings that lack the first."""
SHORTEST_BAR, LONGEST_BAR = 8, 30
Pieces = Sequence[tuple[str, str]]
"""Texts and their styles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far a run is. Times are seconds."""

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
        """The pieces of the line, from the longest layout to the shortest."""
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
            yield done, rate, *short
            yield (rate,)
            yield ((f"waiting {self.waiting:.0f} s", "magenta"),)
        yield done, *short, left
        yield done, *short
        yield (done,)


def progress_line(what: RunProgress | str, width: int, *, encoding: str) -> Text:
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


def listener(*, wanted: bool, worded: Callable[[str], str] = str) -> ProgressListener:
    """What fits the place that stderr leads to; `worded` makes a log line of words."""
    if not wanted:
        return ProgressListener()
    console = screen(stderr=True)
    return LiveProgress(console) if can_animate(console) else LoggedProgress(worded)


def _beside(answered: int) -> str:
    return f", {counted(answered, 'model')} answered meanwhile" if answered else ""


class ProgressCounter:
    """Counts what a listener is told; rates are those of the last `RECENT` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.models = self.answered = self._needs_sync = self._errors = 0
        self._session: Session | None = None
        self._samples: deque[tuple[float, int, int]] = deque()

    def start(self, models: int, session: Session) -> None:
        """So many models are about to be asked for."""
        self.models, self._session = models, session
        self._sample()

    def add(self, findings: Sequence[Finding]) -> None:
        """One model more has been answered."""
        self.answered += 1
        for finding in findings:
            self._needs_sync += finding.status is Status.NEEDS_SYNC
            self._errors += finding.status is Status.ERROR
        if self._clock() - self._samples[-1][0] >= 0.25:
            self._sample()

    def _sample(self) -> None:
        now = self._clock()
        self._samples.append((now, self._sent, self.answered))
        while now - self._samples[0][0] > RECENT and len(self._samples) > 2:
            self._samples.popleft()

    @property
    def _sent(self) -> int:
        return self._session.requests.sent if self._session else 0

    def progress(self) -> RunProgress:
        """As it is now."""
        began, sent, answered = self._samples[0]
        seconds = self._clock() - began
        per_second = (self.answered - answered) / seconds if seconds > 1 else 0
        return RunProgress(
            done=self.answered,
            total=self.models,
            per_minute=round((self._sent - sent) / seconds * 60) if seconds > 1 else None,
            allowed=self._session.per_minute if self._session else 0,
            needs_sync=self._needs_sync,
            errors=self._errors,
            left=(self.models - self.answered) / per_second if per_second else None,
            waiting=self._session.waiting() if self._session else 0,
        )


class LoggedProgress(ProgressListener):
    """For CI logs: a line every ten seconds or five percent, whichever comes later."""

    def __init__(self, worded: Callable[[str], str] = str, clock: Callable[[], float] = time.monotonic) -> None:
        self._worded = worded
        self._clock = clock
        self._counter = ProgressCounter(clock)
        self._logged_at = clock()
        self._logged_count = 0

    def trainings_read(self, count: int, answered: int = 0) -> None:
        """Log the count at the beginning, and every ten seconds."""
        if not count or self._clock() - self._logged_at >= EVERY_SECONDS:
            self._logged_at = self._clock()
            so_far = f": {count:,} so far{_beside(answered)}" if count else ""
            self._log(f"reading the list of trainings{so_far}")

    def weights_asked(self, done: int, total: int) -> None:
        """Log the count at the beginning, and every ten seconds."""
        if not done or self._clock() - self._logged_at >= EVERY_SECONDS:
            self._logged_at = self._clock()
            self._log(f"asking for weights: {done:,} of {total:,}")

    def asking(self, models: int, session: Session) -> None:
        """Log how many there are."""
        self._counter.start(models, session)
        self._logged_at = self._clock()
        self._log(f"asking Replicate for {models:,} models")

    def answered(self, findings: Sequence[Finding]) -> None:
        """Count, and log the counts now and then."""
        self._counter.add(findings)
        now, counter = self._clock(), self._counter
        enough = counter.answered - self._logged_count >= counter.models * EVERY_SHARE
        if enough and now - self._logged_at >= EVERY_SECONDS:
            self._logged_at, self._logged_count = now, counter.answered
            self._log(counter.progress().sentence())

    def stopping(self) -> None:
        """Log it, because it may take some seconds."""
        self._log("stopping: waiting for the answers in flight")

    def _log(self, words: str) -> None:
        self.line(self._worded(words))


class LiveProgress(ProgressListener):
    """For people: one line that stays in place, fits the terminal as it is, and is gone at the end."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._counter = ProgressCounter(clock)
        self._words = ""
        self._over = False
        # stdout carries reports, so it must stay what it is; log lines come through `line`.
        self._live = Live(
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
        what = self._words or self._counter.progress()
        yield progress_line(what, options.max_width - 1, encoding=console.encoding)

    def users_read(self, count: int) -> None:
        """Show the count."""
        self._show(f"reading the database: {count:,} users" if count else "reading the database")

    def trainings_read(self, count: int, answered: int = 0) -> None:
        """Show the count."""
        self._show(f"reading the list of trainings{f': {count:,}' if count else ''}{_beside(answered)}")

    def weights_asked(self, done: int, total: int) -> None:
        """Show the count."""
        self._show(f"asking for weights: {done:,} of {total:,}")

    def asking(self, models: int, session: Session) -> None:
        """Show a bar of all models."""
        self._counter.start(models, session)
        self._words = ""
        self._live.start()

    def answered(self, findings: Sequence[Finding]) -> None:
        """One step on."""
        self._counter.add(findings)

    def stopping(self) -> None:
        """Show that in place of the bar."""
        self._show("stopping: waiting for the answers in flight")

    def done(self) -> None:
        """Take the line away, for good."""
        self._over = True
        self._live.stop()

    def line(self, text: str) -> None:
        """Write a whole line above the live one."""
        self._console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def _show(self, words: str) -> None:
        self._words = words
        if not self._over:
            self._live.start()
