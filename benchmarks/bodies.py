"""What answers that are far too large cost in memory."""

from collections.abc import Iterator
from functools import partial

from audit.demo.fake_replicate.faults import Fault
from benchmarks.contenders import audit, met
from benchmarks.results import Figure
from benchmarks.workload import Workload
from tests.support.faults import Bomb, Huge
from tests.support.instrumented_replicate import Behaviour

MORE = 40.0
"""Megabytes."""

_USERS = ("--limit", "50")


def measure(workload: Workload) -> Iterator[Figure]:
    """One of 50 models answers too much; peaks beside those of a run in which none does."""
    some = partial(audit, workload, options=_USERS)
    usual = met(workload, some).used.peak
    cases: tuple[tuple[str, Fault], ...] = (
        ("a body of 600 MB", Huge(times=1)),
        ("a gzip body of 300 MB", Bomb(times=1)),
    )
    for words, fault in cases:
        with_it = met(workload, some, Behaviour(faults=(fault,)))
        if not with_it.request_log.faults:
            raise RuntimeError(f"nobody met {words}")
        yield Figure("memory", f"more for {words}", with_it.used.peak - usual, "MB", MORE)
