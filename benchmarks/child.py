"""One contender in one fresh process, and what the kernel says that it used."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_HERE = Path(__file__).resolve().parent
_MEASURE = (sys.executable, "-S", str(_HERE / "measure.py"))
_DONE = frozenset({0, 3, 4})
"""Exit codes of an audit that came to its end."""
_KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Used:
    """Of a process from its start to its end, interpreter and imports included."""

    cpu: float
    """Seconds, user and system."""
    wall: float
    """Seconds."""
    peak: float
    """Megabytes (10**6 bytes) resident at most."""


class Child:
    """A running contender; `wait` for it."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
        self._output = folder / "output"
        self._process = subprocess.Popen(
            [*_MEASURE, str(self._output), *arguments],
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self._pid = int(self._process.stdout.readline())
        self._killed = False

    @classmethod
    def python(cls, arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> Self:
        """Begin `python ARGUMENTS` with the very Python and packages that run here."""
        return cls([sys.executable, *arguments], {**environ, "PYTHONPATH": str(_HERE.parent)}, folder)

    def wait(self) -> Used:
        """Raises RuntimeError, with all that the child printed, where it did not do its work."""
        counted, _ = self._process.communicate()
        code, cpu, wall, peak = map(float, counted.split())
        if code not in ({_KILLED} if self._killed else _DONE):
            raise RuntimeError(f"exit {code:.0f}: {self._output.read_text(errors='replace')}")
        return Used(cpu, wall, megabytes(peak))

    def kill(self) -> None:
        """Let it die as by `kill -9`; `wait` then says what it had used."""
        self._killed = True
        os.kill(self._pid, signal.SIGKILL)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None


def megabytes(peak: float) -> float:
    """Of what the kernel calls `ru_maxrss`."""
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
