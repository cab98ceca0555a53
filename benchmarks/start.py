"""How soon a command answers that has nothing to do."""

from collections.abc import Iterator
from statistics import median

from benchmarks.contenders import command, plain_python
from benchmarks.results import Figure
from benchmarks.stage import Stage

HELP = 150.0
"""Milliseconds."""


def measure(stage: Stage, rounds: int) -> Iterator[Figure]:
    """The first start, which may have to write byte code, does not count."""
    command(stage, "--help")
    helps, nothings = [], []
    for _ in range(2 * rounds):
        helps.append(command(stage, "--help").wall * 1000)
        nothings.append(plain_python(stage).wall * 1000)
    yield Figure("start", "`sync-audit --help`", median(helps), "ms", HELP)
    yield Figure("start", "of that, the interpreter", median(nothings), "ms")
    shown = median(command(stage, "run", "--help").wall * 1000 for _ in range(rounds))
    yield Figure("start", "`sync-audit run --help`", shown, "ms")
