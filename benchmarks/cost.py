"""What a whole audit costs beside a bare loop over the same answers, and what the official client costs."""

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

from audit.demo.hosting import RemoteStandIn
from benchmarks.child import Used
from benchmarks.contenders import CONCURRENCY, ONE_USER, Met, audit, client, met
from benchmarks.results import Figure
from benchmarks.stage import Stage

WHOLE = 1.5
"""Times the bare loop's CPU: reading PostgreSQL, asking, judging, recording, three formats."""
FETCH = 1.3
"""Times the bare loop's CPU: asking and judging alone."""
PEAK = 150.0
"""Megabytes."""

OFFICIAL_MODELS = 300


def measure(stage: Stage, rounds: int) -> Iterator[Figure]:
    """Start-up is what the same command uses for a single user; it is taken off before anything is compared."""
    with stage.replicate() as standin:
        start_audit = _start(partial(audit, stage, standin, ONE_USER), rounds)
        start_fetch = _start(partial(client, "fetch", stage, standin, 1), rounds)
        start_bare = _start(partial(client, "bare", stage, standin, 1), rounds)
        official = _official(stage, standin, rounds)
    audits: list[Met] = []
    fetches: list[Met] = []
    bares: list[Met] = []
    for _ in range(rounds):
        audits.append(met(stage, partial(audit, stage)))
        bares.append(met(stage, partial(client, "bare", stage)))
        fetches.append(met(stage, partial(client, "fetch", stage)))
    mine, fetch, bare = (
        [(each.used.cpu - start) / (stage.users - 1) * 1e6 for each in contender]
        for contender, start in ((audits, start_audit), (fetches, start_fetch), (bares, start_bare))
    )
    yield Figure("cost", "CPU of the whole run, three formats / bare loop", _ratio(mine, bare), "x", WHOLE)
    yield Figure("cost", "CPU of fetching and judging alone / bare loop", _ratio(fetch, bare), "x", FETCH)
    yield Figure("cost", "the whole run, of each contender's best round", min(mine) / min(bare), "x")
    yield Figure("cost", "fetching and judging, of each contender's best round", min(fetch) / min(bare), "x")
    yield Figure("cost", "CPU of the official client, versions alone / bare loop", official / median(bare), "x")
    yield Figure("cost", "CPU of the official client, versions alone / whole run", official / median(mine), "x")
    yield Figure("cost", "CPU of the whole run", median(mine), "µs per user")
    yield Figure("cost", "CPU of fetching and judging", median(fetch), "µs per user")
    yield Figure("cost", "CPU of the bare loop, same requests", median(bare), "µs per user")
    yield Figure("cost", "CPU of the official client, versions alone", official, "µs per model")
    yield Figure("cost", "CPU of the audit before the second user", start_audit, "s")
    yield Figure("cost", "CPU of the bare loop before the second model", start_bare, "s")
    yield Figure("cost", "time of the whole run", median(each.used.wall for each in audits), "s")
    yield Figure("cost", "peak memory of the audit", max(each.used.peak for each in audits), "MB", PEAK)
    yield Figure("cost", "peak memory of the bare loop", max(each.used.peak for each in bares), "MB")
    yield from _asked(audits, fetches, bares)


def _start(contend: Callable[[], Used], rounds: int) -> float:
    """CPU seconds; the first time, which may compile modules, does not count."""
    return median([contend().cpu for _ in range(rounds + 1)][1:])


def _ratio(mine: list[float], bare: list[float]) -> float:
    """The median of the rounds: what shares the machine with a round slows both contenders."""
    return median(a / b for a, b in zip(mine, bare, strict=True))


def _asked(audits: list[Met], fetches: list[Met], bares: list[Met]) -> Iterator[Figure]:
    sockets = max(each.seen.peak_sockets for each in audits)
    yield Figure("cost", "sockets of the audit at once", sockets, "", CONCURRENCY)
    # A 404 for the versions is followed by one question about the model itself, so paths are counted, not models.
    most = max(count for each in audits for count in each.seen.paths.values())
    yield Figure("cost", "requests for one and the same thing, at most", most, "", 1)
    rounds = zip(audits + fetches, bares + bares, strict=True)
    more = max(abs(a.seen.requests - 1 - b.seen.requests) for a, b in rounds)
    yield Figure("cost", "requests more or fewer than the bare loop's, /account aside", more, "", 0)


def _official(stage: Stage, standin: RemoteStandIn, rounds: int) -> float:
    """Microseconds per model beyond the first."""
    models = min(OFFICIAL_MODELS, len(stage.models().read_text().split()))
    start = _start(partial(client, "official", stage, standin, 1), rounds)
    whole = median(client("official", stage, standin, models).cpu for _ in range(rounds))
    return (whole - start) / (models - 1) * 1e6
