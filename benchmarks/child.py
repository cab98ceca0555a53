"""One contender in one fresh process, and what the kernel says that it used."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_DONE = frozenset({0, 3, 4})
"""Exit codes of an audit that came to its end."""


@dataclass(frozen=True)
class Used:
    """Of a process from its start to its end, interpreter and imports included."""

    cpu: float
    """Seconds, user and system."""
    wall: float
    """Seconds."""
    peak: float
    """Megabytes (10**6 bytes) resident at most. Never less than what this process had when it began the child."""


class Child:
    """A running contender; `wait` for it."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `wait`
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            arguments, env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said
        )

    @classmethod
    def python(cls, arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> Self:
        """Begin `python ARGUMENTS` with the very Python and packages that run here."""
        found = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
        return cls([sys.executable, *arguments], {**environ, **found}, folder)

    def wait(self) -> Used:
        """Raises RuntimeError, with all that the child said, where it did not do its work."""
        _, status, usage = os.wait4(self._process.pid, 0)
        wall = time.monotonic() - self._began
        self._process.returncode = os.waitstatus_to_exitcode(status)
        with self._said as said:
            if self._process.returncode not in _DONE:
                said.seek(0)
                raise RuntimeError(f"exit {self._process.returncode}: {said.read().decode(errors='replace')}")
        unit = 1 if sys.platform == "darwin" else 1024
        return Used(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * unit / 1e6)

    @property
    def running(self) -> bool:
        """Whether it has not ended; asks without reaping."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
