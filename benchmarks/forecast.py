"""Whether whole runs take as many requests and as long as `audit.commands.doctor.forecast` says before."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from audit.commands.doctor.forecast import TRAININGS_PER_PAGE, Assumed, forecast
from audit.demo.fake_replicate.faults import Refused
from audit.model.codes import Reason
from audit.replicate.rate_limit import LIMIT, PRODUCT
from benchmarks.child import Child
from benchmarks.results import Figure
from benchmarks.workload import Workload
from tests.support.faults import Chaos, Slow
from tests.support.instrumented_replicate import Behaviour, Rate, Window
from tests.support.process import RemoteFakeReplicate
from tests.support.synthetic_users import SyntheticUsers

OFF = 10.0
"""Per cent; of fewer users than `USERS` nothing is demanded, as their runs end before chance evens out."""

USERS = 1000
"""20 seconds at the limit of an account; all where there are fewer."""
LISTING, LONGEST_PAGE = 25.0, 2.0
"""Seconds that the pages of the list of trainings take, all together, and one of them at most."""

_PART = "forecast"
_LOGGED = ("-vv", "--log-format", "json")
_UNASKABLE = frozenset({Reason.MISSING_MODEL_ID, Reason.INVALID_MODEL_ID})


@dataclass(frozen=True)
class Case:
    """A run, or shards of one at the same time, as foreseen; `options` are those that `assumed` does not imply."""

    words: str
    assumed: Assumed
    options: tuple[str, ...]


class Came(NamedTuple):
    """What it came to. Latencies are those that were met: this machine has other things to do than to answer."""

    requests: int
    seconds: float
    """For the account, and from the next request to the last answer: the database is read between."""
    latency: float
    page_latency: float | None


class Met(NamedTuple):
    """One request, as the log tells of it."""

    path: str
    ended: datetime
    took: float


def measure(workload: Workload) -> Iterator[Figure]:
    """All at the same time, as they do little but wait. Early counts as late does."""
    cases = list(_cases(workload.synthetic_users))
    limit = OFF if workload.users >= USERS else None
    with ThreadPoolExecutor(len(cases)) as threads:
        came = list(threads.map(partial(_made, workload), cases))
    for case, run in zip(cases, came, strict=True):
        forecast_now = forecast(replace(case.assumed, latency=run.latency, page_latency=run.page_latency))
        yield Figure(
            _PART, f"{case.words}: requests, off the forecast", _off(run.requests, forecast_now.requests), "%", limit
        )
        yield Figure(
            _PART, f"{case.words}: time, off the forecast", _off(run.seconds, forecast_now.seconds), "%", limit
        )


def _cases(synthetic_users: SyntheticUsers) -> Iterator[Case]:
    first = sorted(range(synthetic_users.n), key=lambda i: f"user{i}@example.com")[:USERS]  # whom `--limit` takes
    reasons, everybody = Counter(map(synthetic_users.reason, first)), Counter(synthetic_users.reasons)
    some, few = _asked_for(reasons), ("--limit", str(USERS))
    yield Case("at the rate", some, few)
    yield Case("all at once", replace(some, per_minute=2400, at_once=LIMIT * (1 - PRODUCT)), few)
    yield Case("8 at once", replace(some, concurrency=8), few)
    yield Case("one in ten fails", replace(some, failing=0.1), few)
    per_minute = min(12_000, max(3000, 3 * synthetic_users.n))  # 20 seconds for up to 4000
    yield Case("two shards", replace(_asked_for(everybody), per_minute=per_minute, shards=2), ())
    pages = math.ceil(len(synthetic_users.trainings) / TRAININGS_PER_PAGE)
    # Every user's last training is listed, so all who are up to date are settled.
    listed = replace(
        some,
        trainings=len(synthetic_users.trainings),
        page_latency=min(LONGEST_PAGE, LISTING / pages),
        settled=reasons[Reason.LATEST_VERSION] / some.models,
    )
    fast = ("--mode", "trainings", "--verify-sample", "0", "--trainings-since", "2020-01-01")
    yield Case("by trainings", listed, (*few, *fast))


def _asked_for(reasons: Counter[Reason]) -> Assumed:
    models = sum(count for reason, count in reasons.items() if reason not in _UNASKABLE)
    missing = reasons[Reason.MODEL_NOT_FOUND] / models
    return Assumed(models=models, per_minute=3000, concurrency=32, latency=0.2, missing=missing)


def _made(workload: Workload, case: Case) -> Came:
    assumed = case.assumed
    answers = Slow(low=assumed.latency / 2, high=assumed.latency * 1.5, on=("account", "versions", "model"))
    pages = Slow(low=assumed.page_latency or assumed.latency, on=("trainings",))
    failures = Chaos(share=assumed.failing, faults=(Refused(status=503, on=("versions", "model")),))
    folders = [workload.folder / f"{case.words} {number}" for number in range(1, assumed.shards + 1)]
    with workload.replicate(Behaviour(rate=_limit(assumed), faults=(answers, pages), chaos=failures)) as fake:
        runs = [_begun(workload, fake, case, folder) for folder in folders]
        for run in runs:
            run.wait()
        requests = fake.usage().request_log.requests
    met = [each for folder in folders for each in _met(folder / "output")]
    account, listing, asking = (
        [each for each in met if each.path.startswith(f"/v1/{start}")] for start in ("account", "trainings", "models")
    )
    began = min(each.ended - timedelta(seconds=each.took) for each in listing + asking)
    return Came(
        requests,
        account[0].took + (max(each.ended for each in asking) - began).total_seconds(),
        mean(each.took for each in asking),
        mean(each.took for each in listing) if listing else None,
    )


def _limit(assumed: Assumed) -> Rate | Window:
    """A window where there is something that may be made at once, else a bucket, at which the pace is even."""
    return Window(LIMIT) if assumed.at_once else Rate(round(max(LIMIT, 1.25 * assumed.per_minute)), burst=200)


def _begun(workload: Workload, fake: RemoteFakeReplicate, case: Case, folder: Path) -> Child:
    """A run in `folder`, whose name ends in the number of its shard."""
    assumed = case.assumed
    folder.mkdir()
    arguments = ["-m", "audit", "run", *case.options, "-o", "csv=report.csv", *_LOGGED]
    arguments += ["--rate", f"{assumed.per_minute / assumed.shards:.0f}", "--concurrency", str(assumed.concurrency)]
    if assumed.shards > 1:
        arguments += ["--shard", f"{folder.name.split()[-1]}/{assumed.shards}"]
    return Child.python(arguments, workload.environ(fake), folder)


def _met(log: Path) -> Iterator[Met]:
    for line in log.read_text().splitlines():
        if line.startswith("{") and "duration_ms" in (entry := json.loads(line)):
            yield Met(entry["path"], datetime.fromisoformat(entry["time"]), entry["duration_ms"] / 1000)


def _off(measured: float, forecast: float) -> float:
    """Per cent."""
    return abs(measured / forecast - 1) * 100
