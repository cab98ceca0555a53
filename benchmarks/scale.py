"""Whether memory grows with the users: `python -m benchmarks.scale --users 10000 1000000`.

One run of each size is led through its life (`life`). Data for a million users takes up to 15 GB in FOLDER, and 2 GB in
the temporary directory, where PostgreSQL is; nothing of it is left.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import life
from benchmarks.contenders import CONCURRENCY
from benchmarks.results import Figure, Results, conditions, table

SIZES = (1_000, 10_000, 100_000, 1_000_000)
BASE = 10_000
"""Users with which larger sizes are compared: with fewer, not everything that is bounded is full."""
GROWTH = 1.2
LEAST = 100
"""Users of whom one is sure to be in the middle of the run when it is killed."""


def measure(sizes: Sequence[int], folder: Path | None, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Smallest first; the growth at the end, where there are `BASE` users and more."""
    lives: dict[int, life.Life] = {}
    for users in sorted(sizes):
        with tempfile.TemporaryDirectory(dir=folder) as folder_of_run:
            lives[users] = life.live(users, Path(folder_of_run), tell)
        yield from life.figures(lives[users])
    largest = max(sizes)
    if BASE in lives and largest > BASE:
        for name, used in lives[largest].steps.items():
            ratio = used.peak / lives[BASE].steps[name].peak
            yield Figure("growth", f"{name}: peak memory / that of {BASE:,}", ratio, "x", GROWTH, users=largest)


def up_to(largest: int) -> list[int]:
    """The usual sizes that are not larger."""
    return [size for size in SIZES if size <= largest]


def main() -> int:
    """Exit code: 1 where a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[10_000], help="one size or several (default: 10000)")
    parser.add_argument("--folder", type=Path, help="where there is room (default: the temporary directory)")
    chosen = parser.parse_args()
    if min(chosen.users) < LEAST:
        parser.error(f"--users must be at least {LEAST}")
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:8,.1f} s  {line}", file=sys.stderr, flush=True)

    figures: list[Figure] = []
    try:
        figures.extend(measure(chosen.users, chosen.folder, tell))
    finally:  # what there is of smaller sizes, should a large one fail
        results = Results(conditions(max(chosen.users), 1, CONCURRENCY), tuple(figures))
        print(table(results))
    return 1 if results.broken else 0


if __name__ == "__main__":
    sys.exit(main())
