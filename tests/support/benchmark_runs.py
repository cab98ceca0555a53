"""A benchmark as somebody starts it: a process of its own, in which a warning is an error."""

import os
import subprocess
import sys

from tests import ROOT


def benchmark(module: str, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """`python -m module`, come to its end: 1 says that a figure misses its limit, as one may on a busy machine."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done
