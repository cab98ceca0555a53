"""What a whole audit costs beside a bare loop over the same answers, and what the official client costs."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import median

from benchmarks.child import Used
from benchmarks.contenders import CONCURRENCY, ONE_USER, Met, audit, client, met
from benchmarks.results import Figure
from benchmarks.workload import Workload
from tests.support.process import RemoteFakeReplicate

WHOLE = 1.8
"""Times the bare loop's CPU: reading PostgreSQL, asking, classifying, recording, three formats."""
FETCH = 1.3
"""Times the bare loop's CPU: the client alone, with rate limit, retries and limits."""
START = 0.45
"""Seconds of CPU."""
PEAK = 150.0
"""Megabytes."""

CLIENTS = ("bare", "fetch", "classify")
"""Contenders that are parts of an audit, or what every audit needs."""

OFFICIAL_MODELS = 300


def measure(workload: Workload, rounds: int) -> Iterator[Figure]:
    """Start-up is what the same command uses for a single user; it is taken off before anything is compared."""
    with workload.replicate() as fake:
        started = {name: _start(partial(client, name, workload, fake, 1), rounds) for name in CLIENTS}
        started["audit"] = _start(partial(audit, workload, fake, ONE_USER), rounds)
        official = _official(workload, fake, rounds)
    turns: dict[str, list[Met]] = {name: [] for name in started}
    for _ in range(rounds):
        turns["audit"].append(met(workload, partial(audit, workload)))
        for name in CLIENTS:
            turns[name].append(met(workload, partial(client, name, workload)))
    costs = {
        name: [(each.used.cpu - started[name]) / (workload.users - 1) * 1e6 for each in taken]
        for name, taken in turns.items()
    }
    mine, bare = costs["audit"], costs["bare"]
    yield Figure("cost", "CPU of the whole run, three formats / bare loop", _ratio(mine, bare), "x", WHOLE)
    yield Figure("cost", "CPU of fetching alone / bare loop", _ratio(costs["fetch"], bare), "x", FETCH)
    yield Figure("cost", "CPU of fetching and classifying / bare loop", _ratio(costs["classify"], bare), "x")
    yield Figure("cost", "the whole run, of each contender's best round", min(mine) / min(bare), "x")
    yield Figure("cost", "fetching alone, of each contender's best round", min(costs["fetch"]) / min(bare), "x")
    yield Figure("cost", "CPU of the official client, versions alone / bare loop", official / median(bare), "x")
    yield Figure("cost", "CPU of the official client, versions alone / whole run", official / median(mine), "x")
    yield Figure("cost", "CPU of the whole run", median(mine), "µs per user")
    yield Figure("cost", "CPU of fetching and classifying", median(costs["classify"]), "µs per user")
    yield Figure("cost", "CPU of fetching alone", median(costs["fetch"]), "µs per user")
    yield Figure("cost", "CPU of the bare loop, same requests", median(bare), "µs per user")
    yield Figure("cost", "CPU of the official client, versions alone", official, "µs per model")
    yield Figure("cost", "CPU of the audit before the second user", started["audit"], "s", START)
    yield Figure("cost", "CPU of the bare loop before the second model", started["bare"], "s")
    yield Figure("cost", "time of the whole run", median(each.used.wall for each in turns["audit"]), "s")
    yield Figure("cost", "peak memory of the audit", max(each.used.peak for each in turns["audit"]), "MB", PEAK)
    yield Figure("cost", "peak memory of the bare loop", max(each.used.peak for each in turns["bare"]), "MB")
    yield from _asked(turns)


def _start(contend: Callable[[], Used], rounds: int) -> float:
    """CPU seconds; the first time, which may compile modules, does not count."""
    return median([contend().cpu for _ in range(rounds + 1)][1:])


def _ratio(mine: list[float], bare: list[float]) -> float:
    """The median of the rounds: what shares the machine with a round slows both contenders."""
    return median(a / b for a, b in zip(mine, bare, strict=True))


def _asked(turns: Mapping[str, list[Met]]) -> Iterator[Figure]:
    sockets = max(each.request_log.peak_sockets for each in turns["audit"])
    yield Figure("cost", "sockets of the audit at once", sockets, "", CONCURRENCY)
    # A 404 for the versions is followed by one question about the model itself, so paths are counted, not models.
    most = max(count for each in turns["audit"] for count in each.request_log.paths.values())
    yield Figure("cost", "requests for one and the same thing, at most", most, "", 1)
    bare = [each.request_log.requests for each in turns["bare"]]
    beside = {"audit": 1, "classify": 1, "fetch": 0}
    more = max(
        abs(each.request_log.requests - beside[name] - there)
        for name in beside
        for each, there in zip(turns[name], bare, strict=True)
    )
    yield Figure("cost", "requests more or fewer than the bare loop's, /account aside", more, "", 0)


def _official(workload: Workload, fake: RemoteFakeReplicate, rounds: int) -> float:
    """Microseconds per model beyond the first."""
    models = min(OFFICIAL_MODELS, len(workload.models().read_text().split()))
    start = _start(partial(client, "official", workload, fake, 1), rounds)
    whole = median(client("official", workload, fake, models).cpu for _ in range(rounds))
    return (whole - start) / (models - 1) * 1e6
