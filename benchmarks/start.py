"""How soon a command answers that has nothing to do."""

from collections.abc import Iterator

from benchmarks.contenders import command, plain_python
from benchmarks.results import Figure
from benchmarks.stage import Stage

HELP = 150.0
"""Milliseconds."""


def measure(stage: Stage, rounds: int) -> Iterator[Figure]:
    """The fastest of several: whoever else uses the machine can only make it slower."""
    command(stage, "--help")
    helps, nothings = [], []
    for _ in range(4 * rounds):
        helps.append(command(stage, "--help").wall * 1000)
        nothings.append(plain_python(stage).wall * 1000)
    yield Figure("start", "`sync-audit --help`", min(helps), "ms", HELP)
    yield Figure("start", "of that, the interpreter", min(nothings), "ms")
    shown = min(command(stage, "run", "--help").wall * 1000 for _ in range(2 * rounds))
    yield Figure("start", "`sync-audit run --help`", shown, "ms")
