"""How much of an account's limit an audit can use without ever being refused."""

import time
from collections.abc import Iterator

from benchmarks.child import Child
from benchmarks.contenders import audit_arguments
from benchmarks.results import Figure
from benchmarks.workload import Workload
from tests.support.faults import Slow
from tests.support.instrumented_replicate import Behaviour, Rate
from tests.support.process import RemoteFakeReplicate

PER_MINUTE = 3000
LATENCY = 0.3
SHARE = 97.0
"""Per cent of the limit."""

MODELS = 1000
"""20 seconds at the limit; fewer where there are fewer users."""

_LOOK = 0.05
"""Seconds between two looks at the fake Replicate's count."""


def measure(workload: Workload) -> Iterator[Figure]:
    """The fake Replicate enforces the limit exactly and answers late; the audit is told to use all of it."""
    behaviour = Behaviour(rate=Rate(PER_MINUTE, burst=60), faults=(Slow(low=LATENCY, on=()),))
    with workload.replicate(behaviour) as fake:
        arguments = audit_arguments(workload, ["--rate", str(PER_MINUTE), "--limit", str(MODELS)])
        child = Child.python(arguments, workload.environ(fake), workload.folder)
        looks = list(_looks(fake, child))
        child.wait()
        refused = fake.usage().request_log.refused
    share = _used_share(looks)
    yield Figure("rate", f"of {PER_MINUTE:,} a minute, used", share, "%", SHARE, at_least=True)
    yield Figure("rate", "answers 429", refused, "", 0)


def _looks(fake: RemoteFakeReplicate, child: Child) -> Iterator[tuple[float, int]]:
    """Time and number of requests so far, while the audit runs."""
    while child.running:
        yield time.monotonic(), fake.usage().request_log.requests
        time.sleep(_LOOK)


def _used_share(looks: list[tuple[float, int]]) -> float:
    """Per cent of the limit between the first tenth of the requests, which are the start, and the last."""
    last = looks[-1][1]
    steady = [(moment, count) for moment, count in looks if last / 10 <= count < last]
    (began, before), (ended, after) = steady[0], steady[-1]
    return 100 * (after - before) / (ended - began) / (PER_MINUTE / 60)
