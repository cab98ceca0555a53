"""`python -m benchmarks`: measures everything, prints a table, and ends in 1 where a limit is missed."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from audit.demo.crowd import Crowd
from audit.demo.crowd_trained import OddlyTrained
from benchmarks import bodies, cost, formats, rate, start, trainings
from benchmarks.contenders import CONCURRENCY
from benchmarks.results import Figure, Results, conditions, save, table
from benchmarks.stage import stage


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--users", type=int, default=2000, help="users in the database, at least 50 (default: 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns that each contender gets (default: 3)")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write benchmarks.json and benchmarks.md there")
    chosen = parser.parse_args()
    if chosen.users < 50 or chosen.rounds < 1:
        parser.error("--users must be at least 50, --rounds at least 1")
    where = conditions(chosen.users, chosen.rounds, CONCURRENCY)
    with tempfile.TemporaryDirectory() as folder:
        figures = tuple(_measured(chosen.users, chosen.rounds, Path(folder)))
    results = Results(where, figures)
    print(table(results))
    if chosen.save:
        save(results, chosen.save)
    return 1 if results.broken else 0


def _measured(users: int, rounds: int, folder: Path) -> Iterator[Figure]:
    with stage(Crowd(users), folder) as place:
        for figures in (
            cost.measure(place, rounds),
            formats.measure(place, rounds),
            start.measure(place, rounds),
            rate.measure(place),
            bodies.measure(place),
        ):
            for figure in figures:
                print(f"{figure.part}: {figure.what}: {figure.value:,.4g} {figure.unit}", file=sys.stderr, flush=True)
                yield figure
    with stage(OddlyTrained(users), folder) as place:
        for figure in trainings.measure(place):
            print(f"{figure.part}: {figure.what}: {figure.value:,.4g} {figure.unit}", file=sys.stderr, flush=True)
            yield figure


if __name__ == "__main__":
    sys.exit(main())
