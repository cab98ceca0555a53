"""A command on a terminal of its own: a pseudo-terminal, and pyte to see what a person would see."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pyte

from tests.support.audits import Shell


class Terminal:
    """Standard input and error of a process are this terminal, standard output is a pipe."""

    def __init__(self, master: int, process: subprocess.Popen[bytes], columns: int) -> None:
        self._master = master
        self.process = process
        self._screen = pyte.Screen(columns, 50)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, without blanks at the ends and empty lines."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def cursor_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    def until(self, shown: Callable[[list[str]], object], seconds: float = 30) -> list[str]:
        """Read until `shown` is true of the screen's lines; the test fails where the process ends before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self._read():
                break
            if shown(self.lines):
                return self.lines
        raise AssertionError("not shown:\n" + "\n".join(self.lines))

    def to_the_end(self, seconds: float = 30) -> int:
        """Read all that comes; the exit code."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._read():
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def interrupt(self) -> int:
        """Ctrl-C until the process ends; the exit code.

        Python overlooks one that comes in the instant in which it begins to read: about 5 % of those that are as quick
        as a test is, whereas a person is a thousand times slower.
        """
        for _ in range(30):
            self.type(b"\x03")
            with suppress(subprocess.TimeoutExpired):
                return self.to_the_end(1)
        raise AssertionError("not ended:\n" + "\n".join(self.lines))

    def resize(self, columns: int) -> None:
        """As somebody who drags the window's edge."""
        _set_size(self._master, columns)
        self._screen.resize(columns=columns)

    def type(self, keys: bytes) -> None:
        """The terminal makes signals of some keys."""
        os.write(self._master, keys)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux's way to say that nobody has the other end any more
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


@contextmanager
def terminal(shell: Shell, *arguments: str, columns: int = 80, **environ: str) -> Iterator[Terminal]:
    """The command, begun; it is killed at the end should it still be there."""
    master, slave = pty.openpty()
    _set_size(master, columns)
    variables = {"TERM": "xterm-256color"} | shell.all_environ(environ)
    del variables["COLUMNS"]  # it would outweigh the terminal's own size
    process = subprocess.Popen(
        shell.command(*arguments),
        cwd=shell.folder,
        env=variables,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        start_new_session=True,
        preexec_fn=make_controlling,  # noqa: PLW1509 - two system calls; Ctrl-C is a signal for those whose terminal it is
    )
    os.close(slave)
    with process:
        try:
            yield Terminal(master, process, columns)
        finally:
            process.kill()
            os.close(master)


def make_controlling() -> None:
    """For a process that leads a session: make its standard input the terminal whose signals it gets."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored in what a shell runs in the background, such as a CI job
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _set_size(descriptor: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
