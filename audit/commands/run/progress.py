"""The progress of a run, on stderr: a live line on a terminal, else a line now and then."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live

from audit.cli.heartbeat import PERIOD, Heartbeat
from audit.cli.terminal import can_animate, screen
from audit.commands.replicate import ProgressListener, Session
from audit.commands.run.progress_line import RunProgress, progress_line
from audit.commands.waiting import STILL, Doing, HeldUp, held_up
from audit.model.codes import Status
from audit.model.findings import Finding
from audit.report.words import counted

EVERY_SECONDS = 10.0
EVERY_SHARE = 0.05
REFRESHED = 4
"""Times a second; a waiting line counts down without any event."""
RECENT = 15.0
"""Seconds over which the time left is reckoned."""


def listener(*, wanted: bool, worded: Callable[[str], str] = str, redacted: bool = False) -> ProgressListener:
    """What fits the place that stderr leads to; `worded` makes a log line of words. `redacted`: it names no model."""
    if not wanted:
        return ProgressListener()
    console = screen(stderr=True)
    if can_animate(console):
        return LiveProgress(console, redacted=redacted)
    return LoggedProgress(worded, redacted=redacted)


class ProgressCounter:
    """Counts what a listener is told; the time left follows from the last `RECENT` seconds.

    Events come from one thread, and `progress` may be asked for by another one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, redacted: bool = False) -> None:
        self._clock = clock
        self._redacted = redacted
        self.models = self.answered = self._needs_sync = self._errors = 0
        self._session: Session | None = None
        self._samples: deque[tuple[float, int]] = deque()
        self._next_try_at = self._answered_at = self._step_at = clock()
        self._step = Doing("starting")
        self._in_step = True
        self.stopping = False
        """Nothing new is begun, and nothing else is to be said."""

    def connected(self, session: Session) -> None:
        """What is asked is asked by this one."""
        self._session = session

    def begin(self, step: Doing) -> None:
        """A step is being done, or has come further. While models are asked for their counts are shown instead."""
        if not self.stopping:
            self._step, self._step_at = step, self._clock()
            self._in_step = self.answered >= self.models

    def start(self, models: int, session: Session) -> None:
        """So many models are about to be asked for."""
        self.models, self._session, self._answered_at = models, session, self._clock()
        self._samples.append((self._answered_at, self.answered))
        self._in_step = self.stopping

    def add(self, findings: Sequence[Finding]) -> None:
        """One model more has been answered."""
        now = self._answered_at = self._clock()
        self.answered += 1
        for finding in findings:
            self._needs_sync += finding.status is Status.NEEDS_SYNC
            self._errors += finding.status is Status.ERROR
        if now - self._samples[-1][0] >= 0.25:
            self._samples.append((now, self.answered))
            while now - self._samples[0][0] > RECENT and len(self._samples) > 2:
                self._samples.popleft()

    def pause(self, seconds: float) -> None:
        """The service seems to be down, and is tried again in so many seconds."""
        self._next_try_at = self._clock() + seconds

    def stop(self, reason: str = "") -> Doing:
        """Nothing new is begun; what is shown from now on."""
        awaited = self._session.longest_wait() if self._session else None
        ending = stopping(reason, awaited.in_flight if awaited else 0)
        self.end(ending)
        self.stopping = True
        return ending

    def end(self, following: Doing) -> None:
        """No more models are asked for, whether or not all are answered."""
        self.models, self.stopping = self.answered, False
        self.begin(following)

    def progress(self) -> RunProgress | Doing:
        """As it is now."""
        if not self._in_step:
            return self._run_progress()
        quiet = self._clock() - self._step_at
        held = held_up(self._session, redacted=self._redacted) if quiet >= STILL else None
        return replace(self._step, seconds=quiet, held=held)

    def _run_progress(self) -> RunProgress:
        assert self._session  # noqa: S101 - models are asked by it
        return RunProgress(
            done=self.answered,
            total=self.models,
            sent=self._session.last_minute(),
            allowed=self._session.per_minute,
            needs_sync=self._needs_sync,
            errors=self._errors,
            left=self._left(),
            held=self._held(self._session),
        )

    def _left(self) -> float | None:
        """Seconds; None where nobody would believe it: what is slower than reckoned has no end that anybody knows."""
        now = self._clock()
        (began, answered), left = self._samples[0], self.models - self.answered
        if now - began <= 1 or self.answered == answered:
            return None
        seconds = left * (now - began) / (self.answered - answered)
        return seconds if now - self._answered_at <= max(seconds, 1.0) else None

    def _held(self, session: Session) -> HeldUp | None:
        now = self._clock()
        if self._next_try_at - now >= 0.5:
            return HeldUp(self._next_try_at - now, why="Replicate is not answering")
        awaited = session.longest_wait()
        only_these = awaited is not None and self.models - self.answered <= awaited.in_flight
        if only_these or session.waiting() >= 0.5 or now - self._answered_at >= STILL:
            return held_up(session, redacted=self._redacted)
        return None


def stopping(reason: str = "", in_flight: int = 0) -> Doing:
    """The end of a run that ends early; short, as it has to fit the narrowest terminal where a signal is the reason."""
    signal = reason.removeprefix("stopped by ")
    words = "stopping" if signal == reason else f"stopping ({signal})"
    left = f"{counted(in_flight, 'answer')} left" if in_flight else ""
    return Doing(": ".join(filter(None, (words, "; ".join(filter(None, (left, reason if signal == reason else "")))))))


def reading_users(count: int) -> Doing:
    """The database."""
    words = f"reading the database: {counted(count, 'user')}" if count else "reading the database"
    return Doing(words, without="waiting {} for more" if count else "waiting {} for the first user")


def reading_trainings(count: int, answered: int = 0) -> Doing:
    """Replicate's list, while models are asked for that will be asked for in any case."""
    words = "reading the list of trainings" + (f": {count:,} so far" if count else "")
    beside = f", {counted(answered, 'model')} answered meanwhile" if answered else ""
    return Doing(words + beside, without="nothing new for {}")


def asking_for_weights(done: int, total: int) -> Doing:
    """The delivery hosts."""
    return Doing(f"asking for weights: {done:,} of {total:,}", without="nothing new for {}")


class LoggedProgress(ProgressListener):
    """For CI logs: a line every ten seconds or five percent, whichever comes later, and one whenever it was silent."""

    def __init__(
        self,
        worded: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
        *,
        period: float = PERIOD,
        redacted: bool = False,
    ) -> None:
        """`period`: seconds of silence after which there is a line whatever happens."""
        self._worded = worded
        self._counter = ProgressCounter(clock, redacted=redacted)
        self._logged_count = 0
        self.heart = Heartbeat(self._words, period=period, clock=clock)
        """Beats from the first event on until `done`."""

    def _words(self) -> str:
        self._logged_count = self._counter.answered
        return self._worded(self._counter.progress().sentence())

    def _log(self, words: str) -> None:
        self.heart.progress(self._worded(words))

    def _step(self, step: Doing, *, first: bool = False) -> None:
        self._counter.begin(step)
        self.heart.start()
        if first or self.heart.silent_for >= EVERY_SECONDS:
            self._log(step.sentence())

    def connected(self, session: Session) -> None:
        """Nothing to log yet."""
        self._counter.connected(session)
        self.heart.start()

    def users_read(self, count: int) -> None:
        """Log the count every ten seconds."""
        self._step(reading_users(count))

    def trainings_read(self, count: int, answered: int = 0) -> None:
        """Log the counts at the beginning, and every ten seconds."""
        self._step(reading_trainings(count, answered), first=not count)

    def weights_asked(self, done: int, total: int) -> None:
        """Log the count at the beginning, and every ten seconds."""
        self._step(asking_for_weights(done, total), first=not done)

    def doing(self, what: str) -> None:
        """Nothing to log, unless it takes long."""
        self._counter.end(Doing(what))
        self.heart.start()

    def asking(self, models: int, session: Session) -> None:
        """Log how many there are, unless the run was asked to stop before."""
        self._counter.start(models, session)
        self.heart.start()
        if not self._counter.stopping:
            self._log(f"asking Replicate for {counted(models, 'model')}")

    def answered(self, findings: Sequence[Finding]) -> None:
        """Count, and log the counts now and then."""
        counter = self._counter
        counter.add(findings)
        enough = counter.answered - self._logged_count >= counter.models * EVERY_SHARE
        if enough and self.heart.silent_for >= EVERY_SECONDS:
            self.heart.progress(self._words())

    def pausing(self, seconds: float) -> None:
        """A warning says it as well; how long it still takes says the timer."""
        self._counter.pause(seconds)

    def stopping(self, reason: str = "") -> None:
        """Log it, because it may take some seconds."""
        self._log(self._counter.stop(reason).words)

    def done(self) -> None:
        """End the timer."""
        self.heart.stop()

    def line(self, text: str) -> None:
        """Write a whole line that is no progress."""
        self.heart.line(text)


class LiveProgress(ProgressListener):
    """For people: one line that stays in place, fits the terminal as it is, and is gone at the end."""

    def __init__(
        self, console: Console, clock: Callable[[], float] = time.monotonic, *, redacted: bool = False
    ) -> None:
        self._console = console
        self._counter = ProgressCounter(clock, redacted=redacted)
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
        # In the last column terminals differ: some wrap at once. And of Ctrl-C they write ^C behind the line.
        yield progress_line(self._counter.progress(), options.max_width - 3, encoding=console.encoding)

    def connected(self, session: Session) -> None:
        """Show that it begins."""
        self._counter.connected(session)
        self._show()

    def users_read(self, count: int) -> None:
        """Show the count."""
        self._step(reading_users(count))

    def trainings_read(self, count: int, answered: int = 0) -> None:
        """Show the counts."""
        self._step(reading_trainings(count, answered))

    def weights_asked(self, done: int, total: int) -> None:
        """Show the count."""
        self._step(asking_for_weights(done, total))

    def doing(self, what: str) -> None:
        """Show that, also where there was to be no more progress."""
        self._over = False
        self._counter.end(Doing(what))
        self._show()

    def asking(self, models: int, session: Session) -> None:
        """Show a bar of all models."""
        self._counter.start(models, session)
        self._show()

    def answered(self, findings: Sequence[Finding]) -> None:
        """One step on."""
        self._counter.add(findings)

    def pausing(self, seconds: float) -> None:
        """Count down."""
        self._counter.pause(seconds)

    def stopping(self, reason: str = "") -> None:
        """Show that in place of the bar."""
        self._counter.stop(reason)
        self._show()

    def done(self) -> None:
        """Take the line away, for good."""
        self._over = True
        self._live.stop()

    def line(self, text: str) -> None:
        """Write a whole line above the live one."""
        self._console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def _step(self, step: Doing) -> None:
        self._counter.begin(step)
        self._show()

    def _show(self) -> None:
        if not self._over:
            self._live.start()
