"""How long people wait for an audit that fits into what the account has left, and whether that costs anybody a 429.

The fake Replicate answers everything 0.3 s late. Where it enforces a limit, it does so exactly.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from audit.cli import options
from benchmarks.contenders import Met, audit, client, met
from benchmarks.results import Figure
from benchmarks.workload import Workload, prepare
from tests.support.faults import Slow
from tests.support.instrumented_replicate import Behaviour, Rate, Window
from tests.support.synthetic_users import SyntheticUsers

LATENCY = 0.3
LIMIT = 3000
LOOP = {800: 0.35, 60: 0.7}
"""Of so many users, the time of the whole run as a ratio to the loop's, at most."""
TRAININGS = 0.2
"""The same of `--mode trainings`, of the most of these users."""
MANY = 2000
"""More than a window has left beside a neighbour who uses half of it."""
_PART = "wait"
_USUAL = ("--rate", str(options.rate.default), "--concurrency", str(options.concurrency.default))
_SLOW = (Slow(low=LATENCY, on=()),)
WINDOW = Behaviour(rate=Window(LIMIT), faults=_SLOW)


def measure(workload: Workload, rounds: int) -> Iterator[Figure]:
    """In turns; the shortest of each counts, as whoever else uses the machine can only make it longer."""
    sizes: dict[int, float | None] = {users: limit for users, limit in LOOP.items() if users <= workload.users}
    sizes = sizes or {workload.users: None}
    most = max(sizes)
    with tempfile.TemporaryDirectory() as folder, prepare(SyntheticUsers(most), Path(folder)) as few:
        for users, limit in sizes.items():
            turns = [_turn(few, users) for _ in range(rounds)]
            mine, loop = min(mine.used.wall for mine, _ in turns), min(loop.used.wall for _, loop in turns)
            yield Figure(_PART, f"{users} users: whole run / loop of the official client", mine / loop, "x", limit)
            yield Figure(_PART, f"{users} users: whole run", mine, "s")
            yield Figure(_PART, f"{users} users: loop of the official client, 32 at once", loop, "s")
            yield Figure(
                _PART, f"{users} users: answers 429", max(each.request_log.refused for each, _ in turns), "", 0
            )
            if users == most:
                yield from _by_trainings(few, rounds, loop)
    yield from _others(workload)


def _turn(workload: Workload, users: int) -> tuple[Met, Met]:
    mine = _run(workload, WINDOW, "--limit", str(users))
    # No limit is enforced against the loop, which knows of none.
    loop = met(workload, partial(client, "loop", workload, limit=users), Behaviour(faults=_SLOW))
    return mine, loop


def _run(workload: Workload, behaviour: Behaviour, *options: str) -> Met:
    return met(workload, lambda fake: audit(workload, fake, (*_USUAL, *options)), behaviour)


def _by_trainings(workload: Workload, rounds: int, loop: float) -> Iterator[Figure]:
    """The list is read page by page, each of which takes as long as any answer."""
    fastest = min(_run(workload, WINDOW, "--mode", "trainings").used.wall for _ in range(rounds))
    words = f"{workload.users} users: --mode trainings / loop of the official client"
    yield Figure(_PART, words, fastest / loop, "x", TRAININGS if workload.users in LOOP else None)


def _others(workload: Workload) -> Iterator[Figure]:
    """Limits of other kinds, and a product that uses half of the window; all 429 must be 0."""
    limits = {
        "an even bucket of 60": Behaviour(rate=Rate(LIMIT, burst=60), faults=_SLOW),
        "a neighbour who uses half of the window": Behaviour(rate=Window(LIMIT, 20), neighbour=1500, faults=_SLOW),
        "such a neighbour, and a window that ends meanwhile": Behaviour(
            rate=Window(LIMIT, 50), neighbour=1500, faults=_SLOW
        ),
    }
    for words, behaviour in limits.items():
        come = _run(workload, behaviour, "--limit", str(MANY))
        log = come.request_log
        yield Figure(_PART, f"{words}: answers 429", log.refused, "", 0)
        yield Figure(_PART, f"{words}: answers 429 of the neighbour", log.neighbour_refused, "", 0)
        yield Figure(_PART, f"{words}: requests a minute", log.requests / come.used.wall * 60, "")
