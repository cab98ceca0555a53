"""Lines on stderr, for a log in which nothing moves: what is being waited for, said by a timer."""

import sys
import threading
import time
from collections.abc import Callable

from audit.cli.streams import takes_more

PERIOD = 25.0
"""Seconds. A busy machine adds some, and a log is never to be silent for more than 30."""
_SOON = 1.0
"""Seconds until the next attempt to write a line for which there was no room."""


def to_stderr(text: str) -> None:
    """Write a whole line to stderr, in one piece."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Heartbeat:
    """Writes what `words` say, from a thread of its own, whenever so many seconds have gone without a line of progress.

    A thread, so that it beats also while the command reckons, or a database or a file keeps it waiting. It never waits
    itself: not for a reader of stderr who does not read, which would keep signals from being heeded at the next line.
    """

    def __init__(
        self,
        words: Callable[[], str],
        write: Callable[[str], None] = to_stderr,
        *,
        period: float = PERIOD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._words = words
        self._write = write
        self._period = period
        self._clock = clock
        self._last = clock()
        self._lock = threading.RLock()  # a warning may come while a line is being written
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def line(self, text: str) -> None:
        """Write a line that is no progress."""
        with self._lock:
            self._write(text)

    def progress(self, text: str) -> None:
        """Write a line of progress; the timer begins anew."""
        self._last = self._clock()
        self.line(text)

    @property
    def silent_for(self) -> float:
        """Seconds since the last line of progress."""
        return self._clock() - self._last

    def start(self) -> None:
        """Beat from now on, until `stop`; does nothing where it beats already."""
        if self._thread is None:
            self._ended = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._ended,), name="heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Beat no more: when this returns, nothing more is written by the timer."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ended.set()
            thread.join()

    def beat(self) -> float:
        """Write a line if one is due. Returns the seconds until it has to be called again."""
        left = self._period - self.silent_for
        if left > 0:
            return left
        if not self._lock.acquire(blocking=False):
            return _SOON  # somebody is writing a line
        try:
            if not takes_more(sys.stderr):
                return _SOON
            self.progress(self._words())
        finally:
            self._lock.release()
        return self._period

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(self.beat()):
            pass
