"""Whether whole runs take as many requests and as long as `audit.forecast` says before."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from audit.demo.crowd import Crowd
from audit.demo.faults import Chaos, Refused, Slow
from audit.demo.standin import Rules
from audit.forecast import Assumed, forecast
from audit.ledger import Ledger
from audit.models import Reason
from benchmarks.contenders import audit, met
from benchmarks.results import Figure
from benchmarks.stage import Stage

OFF = 10.0
"""Per cent."""

USERS = 600
"""At least ten seconds at the limit of an account; all where there are fewer."""

LISTING = 15.0
"""Seconds that the pages of the list of trainings take, all together."""

_PART = "forecast"
_FILE = "other.sqlite"
"""Where `contenders` let an audit with options write its run file."""
_UNASKABLE = frozenset({Reason.MISSING_MODEL_ID, Reason.INVALID_MODEL_ID})


@dataclass(frozen=True)
class Case:
    """A run, as it is told to be made and as it is foreseen."""

    words: str
    assumed: Assumed
    options: tuple[str, ...] = ()


def measure(stage: Stage) -> Iterator[Figure]:
    """Answers are late on purpose, by half of the mean to one and a half of it; whoever is early counts as who is late.

    How long a run took is what its run file says: without the interpreter's start and the reports.
    """
    most = 0.0
    for case in _cases(stage.crowd):
        told = forecast(case.assumed)
        requests, seconds = _made(stage, case)
        most = max(most, _off(requests, told.requests))
        yield Figure(_PART, f"{case.words}: off its {told.seconds:.0f} s", _off(seconds, told.seconds), "%", OFF)
    yield Figure(_PART, "requests of any of these runs, off at most", most, "%", OFF)


def _cases(crowd: Crowd) -> Iterator[Case]:
    first = sorted(range(crowd.n), key=lambda i: f"user{i}@example.com")[:USERS]  # whom `--limit` takes
    reasons = Counter(map(crowd.reason, first))
    models = sum(count for reason, count in reasons.items() if reason not in _UNASKABLE)
    some = Assumed(
        models=models,
        per_minute=3000,
        concurrency=32,
        latency=0.3,
        missing=reasons[Reason.MODEL_NOT_FOUND] / models,
    )
    yield Case("at the rate", some)
    yield Case("8 at once", replace(some, concurrency=8))
    yield Case("one in ten fails", replace(some, failing=0.1))
    yield Case("one in ten fails, 16 at once, slow", replace(some, failing=0.1, concurrency=16, latency=0.6))
    # Every user's last training is listed, and the one before of every fifth; with a sample of 0, trainings settle
    # all that is right.
    listed = replace(
        some,
        trainings=len(crowd.trainings),
        page_latency=LISTING * 100 / len(crowd.trainings),
        settled=reasons[Reason.LATEST_VERSION] / models,
    )
    yield Case(
        "by trainings", listed, ("--mode", "trainings", "--verify-sample", "0", "--trainings-since", "2020-01-01")
    )


def _made(stage: Stage, case: Case) -> tuple[int, float]:
    """Requests, and seconds."""
    assumed = case.assumed
    answers = Slow(low=assumed.latency / 2, high=assumed.latency * 1.5, on=("account", "versions", "model"))
    pages = Slow(low=assumed.page_latency or assumed.latency, on=("trainings",))
    failures = Chaos(share=assumed.failing, faults=(Refused(status=503, on=("versions", "model")),))
    options = ["--limit", str(USERS), *case.options]
    options += ["--rate", f"{assumed.per_minute:.0f}", "--concurrency", str(assumed.concurrency)]
    come = met(stage, lambda standin: audit(stage, standin, options), Rules(faults=(answers, pages), chaos=failures))
    with Ledger.open(stage.folder / _FILE) as ledger:
        began, ended = (datetime.fromisoformat(at or "") for at in (ledger.info.started_at, ledger.info.finished_at))
    return come.seen.requests, (ended - began).total_seconds()


def _off(came: float, told: float) -> float:
    """Per cent."""
    return abs(came / told - 1) * 100
