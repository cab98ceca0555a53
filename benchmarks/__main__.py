"""`python -m benchmarks`: measures everything, prints a table, and ends in 1 where a limit is missed."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol

from benchmarks import bodies, cost, forecast, formats, rate, scale, start, trainings, wait
from benchmarks.contenders import CONCURRENCY
from benchmarks.results import Figure, Results, conditions, save, table
from benchmarks.workload import Workload, prepare
from tests.support.synthetic_users import OddlyTrainedUsers, SyntheticUsers


class _Measure(Protocol):
    def __call__(self, workload: Workload, rounds: int, /) -> Iterator[Figure]: ...


PARTS: Mapping[str, tuple[type[SyntheticUsers], _Measure]] = {
    "cost": (
        SyntheticUsers,
        lambda workload, rounds: chain(cost.measure(workload, rounds), formats.measure(workload, rounds)),
    ),
    "start": (SyntheticUsers, start.measure),
    "wait": (SyntheticUsers, wait.measure),
    "rate": (SyntheticUsers, lambda workload, _: rate.measure(workload)),
    "memory": (SyntheticUsers, lambda workload, _: bodies.measure(workload)),
    "forecast": (SyntheticUsers, lambda workload, _: forecast.measure(workload)),
    "trainings": (OddlyTrainedUsers, lambda workload, _: trainings.measure(workload)),
}
"""What is measured of which kind of users."""


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--users", type=int, default=2000, help="users in the database, at least 50 (default: 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns that each contender gets (default: 3)")
    parser.add_argument("--part", choices=PARTS, action="append", help="measure no other part; repeatable")
    parser.add_argument(
        "--largest",
        type=int,
        default=0,
        metavar="USERS",
        help="measure one run each of 1000, 10000, 100000, 1000000 users, but of no more than this (default: none)",
    )
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write benchmarks.json and benchmarks.md there")
    chosen = parser.parse_args()
    if chosen.users < 50 or chosen.rounds < 1:
        parser.error("--users must be at least 50, --rounds at least 1")
    command = f"python -m benchmarks --users {chosen.users} --rounds {chosen.rounds}"
    command += "".join(f" --part {part}" for part in chosen.part or ())
    command += f" --largest {chosen.largest}" if chosen.largest else ""
    where = conditions(chosen.users, chosen.rounds, CONCURRENCY, command)
    figures: list[Figure] = []
    try:
        for figure in _measured(chosen.users, chosen.rounds, chosen.part or list(PARTS), chosen.largest):
            _tell(f"{figure.part}: {figure.words}: {figure.value:,.4g} {figure.unit}")
            figures.append(figure)
    finally:  # where something fails after an hour, the hour is not lost
        results = Results(where, tuple(figures))
        print(table(results))
    if chosen.save:
        save(results, chosen.save)
    return 1 if results.broken else 0


def _measured(users: int, rounds: int, parts: Sequence[str], largest: int) -> Iterator[Figure]:
    for kind in (SyntheticUsers, OddlyTrainedUsers):
        measures = [measure for name, (of, measure) in PARTS.items() if of is kind and name in parts]
        if measures:
            with tempfile.TemporaryDirectory() as folder, prepare(kind(users), Path(folder)) as workload:
                for measure in measures:
                    yield from measure(workload, rounds)
    if sizes := scale.up_to(largest):
        yield from scale.measure(sizes, None, _tell)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
