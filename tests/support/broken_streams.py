"""Commands whose standard streams are not what a command hopes for."""

import os
import pty
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Literal

from tests.support.audits import Ended, Shell

Stream = Literal["full", "closed", "gone", "leaving", "hung up", "not blocking"]
LOSING: tuple[Stream, ...] = ("full", "closed")
"""What is written to these is lost."""
LEAVING: tuple[Stream, ...] = ("gone", "leaving", "hung up")
"""To these nobody listens, or no more after the first byte."""
NAMES = {"stdout": 1, "stderr": 2}
_CLOSED = 'exec "$@" '


@dataclass(frozen=True)
class Broken:
    """Which streams are broken, and how; the others are pipes that somebody reads."""

    stdout: Stream | None = None
    stderr: Stream | None = None
    stdin_closed: bool = False

    def __str__(self) -> str:
        said = (("stdout", self.stdout), ("stderr", self.stderr), ("stdin", "closed" if self.stdin_closed else None))
        return ", ".join(f"{name} {how}" for name, how in said if how)

    @property
    def loses(self) -> tuple[bool, bool]:
        """Whether what is written to stdout, and to stderr, is lost."""
        return self.stdout in LOSING, self.stderr in LOSING


def run(shell: Shell, broken: Broken, *arguments: str, **environ: str) -> Ended:
    """The command with these streams, in a Python of its own; what of its output could be read."""
    closed = "".join(f"{fd}>&- " for fd, how in ((1, broken.stdout), (2, broken.stderr)) if how == "closed")
    closed += "<&-" if broken.stdin_closed else ""
    command = shell.command(*arguments)
    with ExitStack() as stack:
        out, read_out = _opened(broken.stdout, stack)
        err, read_err = _opened(broken.stderr, stack)
        process = subprocess.Popen(
            ["sh", "-c", _CLOSED + closed, "sh", *command] if closed else command,
            cwd=shell.folder,
            env=shell.all_environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        stack.enter_context(process)
        stack.callback(process.kill)
        for each in {out, err}:
            os.close(each)
        reading = [_begun(read_out), _begun(read_err)]
        code = process.wait(60)
        return Ended(code, *(done() for done in reading))


def _opened(how: Stream | None, stack: ExitStack) -> tuple[int, Callable[[], bytes]]:
    """What to write to, and what reads it."""
    if how in {"full", "closed"}:
        return os.open("/dev/full" if how == "full" else os.devnull, os.O_WRONLY), lambda: b""
    if how == "hung up":
        master, slave = pty.openpty()
        os.close(master)
        return slave, lambda: b""
    reading, writing = os.pipe()
    if how == "gone":
        os.close(reading)
        return writing, lambda: b""
    if how == "not blocking":
        os.set_blocking(writing, False)
    reader = stack.enter_context(os.fdopen(reading, "rb", buffering=0))
    if how == "leaving":

        def one() -> bytes:
            first = reader.read(1)
            reader.close()
            return first

        return writing, one
    return writing, lambda: b"".join(iter(lambda: reader.read(1 << 16), b""))


def _begun(read: Callable[[], bytes]) -> Callable[[], str]:
    """`read`, begun in a thread; what is returned waits for it."""
    found: list[bytes] = []

    def reading() -> None:
        with suppress(OSError):
            found.append(read())

    thread = threading.Thread(target=reading)
    thread.start()

    def done() -> str:
        thread.join(60)
        return b"".join(found).decode(errors="replace")

    return done


def ways(streams: Sequence[Stream]) -> list[Broken]:
    """Stdout like this, and stderr."""
    return [*(Broken(stdout=each) for each in streams), *(Broken(stderr=each) for each in streams)]


def noise(text: str) -> str:
    """What no command ever says, as far as it is in `text`."""
    words = ("Traceback", "Exception ignored", "never retrieved", "never awaited", "Event loop is closed", "a bug in")
    return "".join(line for line in text.splitlines() if any(word in line for word in words))
