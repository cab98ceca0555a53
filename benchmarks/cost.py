"""What a whole audit costs beside a bare loop over the same answers, and what the official client costs."""

from collections.abc import Iterator
from statistics import median

from benchmarks.contenders import CONCURRENCY, ONE_USER, Met, audit, client
from benchmarks.results import Figure
from benchmarks.stage import Stage

RATIO = 2.0
PEAK = 150.0
"""Megabytes."""

OFFICIAL_MODELS = 300


def measure(stage: Stage, rounds: int) -> Iterator[Figure]:
    """Start-up is what the same command uses for a single user; it is taken off before anything is compared."""
    users = stage.users
    start_audit = median(audit(stage, ONE_USER).used.cpu for _ in range(rounds))
    start_bare = median(client("bare", stage, 1).used.cpu for _ in range(rounds))
    audits: list[Met] = []
    bares: list[Met] = []
    for _ in range(rounds):
        audits.append(audit(stage))
        bares.append(client("bare", stage))
    mine = [(met.used.cpu - start_audit) / (users - 1) * 1e6 for met in audits]
    bare = [(met.used.cpu - start_bare) / (users - 1) * 1e6 for met in bares]
    ratios = [a / b for a, b in zip(mine, bare, strict=True)]
    yield Figure("cost", "CPU of the audit / bare loop", median(ratios), "x", RATIO)
    yield Figure("cost", "CPU of the audit, whole run, three formats", median(mine), "µs per user")
    yield Figure("cost", "CPU of the bare loop, same requests", median(bare), "µs per user")
    yield Figure("cost", "CPU of the audit before the second user", start_audit, "s")
    yield Figure("cost", "CPU of the bare loop before the second model", start_bare, "s")
    yield Figure("cost", "time of the whole run", median(met.used.wall for met in audits), "s")
    yield Figure("cost", "peak memory of the audit", max(met.used.peak for met in audits), "MB", PEAK)
    yield Figure("cost", "peak memory of the bare loop", max(met.used.peak for met in bares), "MB")
    yield from _asked(audits, bares)
    yield from _official(stage, rounds, median(bare))


def _asked(audits: list[Met], bares: list[Met]) -> Iterator[Figure]:
    sockets = max(met.seen.peak_sockets for met in audits)
    yield Figure("cost", "sockets of the audit at once", sockets, "", CONCURRENCY)
    # A 404 for the versions is followed by one question about the model itself, so paths are counted, not models.
    most = max(count for met in audits for count in met.seen.paths.values())
    yield Figure("cost", "requests for one and the same thing, at most", most, "", 1)
    more = max(a.seen.requests - 1 - b.seen.requests for a, b in zip(audits, bares, strict=True))
    yield Figure("cost", "requests of the audit beyond the bare loop's and /account", more, "", 0)


def _official(stage: Stage, rounds: int, bare: float) -> Iterator[Figure]:
    models = min(OFFICIAL_MODELS, len(stage.models().read_text().split()))
    start = median(client("official", stage, 1).used.cpu for _ in range(rounds))
    whole = median(client("official", stage, models).used.cpu for _ in range(rounds))
    each = (whole - start) / (models - 1) * 1e6
    yield Figure("cost", "CPU of the official client, versions alone", each, "µs per model")
    yield Figure("cost", "CPU of the official client / bare loop", each / bare, "x")
