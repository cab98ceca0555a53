"""How soon a command answers that has nothing to do."""

from collections.abc import Iterator

from benchmarks.contenders import command, plain_python
from benchmarks.results import Figure
from benchmarks.workload import Workload

HELP = 150.0
"""Milliseconds."""


def measure(workload: Workload, rounds: int) -> Iterator[Figure]:
    """The fastest of several: whoever else uses the machine can only make it slower."""
    command(workload, "--help")
    helps, nothings = [], []
    for _ in range(4 * rounds):
        helps.append(command(workload, "--help").wall * 1000)
        nothings.append(plain_python(workload).wall * 1000)
    yield Figure("start", "`sync-audit --help`", min(helps), "ms", HELP)
    yield Figure("start", "of that, the interpreter", min(nothings), "ms")
    shown = min(command(workload, "run", "--help").wall * 1000 for _ in range(2 * rounds))
    yield Figure("start", "`sync-audit run --help`", shown, "ms")
