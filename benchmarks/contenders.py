"""The commands of the contenders: each is a fresh process that is started and waited for."""

import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

from benchmarks.child import Child, Used
from benchmarks.workload import Workload
from tests.support.instrumented_replicate import Behaviour, RequestLog
from tests.support.process import RemoteFakeReplicate

CONCURRENCY = 32
FORMATS = ("html", "csv", "json")
WHOLE = "whole.sqlite"
"""The run file of an audit of all users."""
SINGLE = "single.sqlite"
"""The run file of an audit of one user: what start-up costs."""
ONE_USER = ("--limit", "1")


class Met(NamedTuple):
    """What a contender used, and what the fake Replicate logged of it."""

    used: Used
    request_log: RequestLog


def audit_arguments(workload: Workload, options: Iterable[str] = ()) -> list[str]:
    """A whole `sync-audit run` with a report in every format."""
    options = tuple(options)
    run_file = {(): WHOLE, ONE_USER: SINGLE}.get(options, "other.sqlite")
    (workload.folder / run_file).unlink(missing_ok=True)
    outputs = [argument for name in FORMATS for argument in ("-o", f"{name}=report.{name}")]
    fixed = ["--run-file", run_file, "--concurrency", str(CONCURRENCY)]
    return ["-m", "audit", "run", *outputs, *fixed, *options]


def audit(workload: Workload, fake: RemoteFakeReplicate, options: Iterable[str] = ()) -> Used:
    """A whole run."""
    return Child.python(audit_arguments(workload, options), workload.environ(fake), workload.folder).wait()


def client(name: str, workload: Workload, fake: RemoteFakeReplicate, limit: int | None = None) -> Used:
    """`bare`, `fetch`, `classify`, `official` or `loop`, over the models of all users or the first `limit` of them."""
    asked = workload.recorded(limit) if name == "classify" else workload.models(limit)
    arguments = ["-m", f"benchmarks.{name}", fake.base_url, str(CONCURRENCY), str(asked)]
    return Child.python(arguments, workload.environ(fake), workload.folder).wait()


def met(workload: Workload, contend: Callable[[RemoteFakeReplicate], Used], behaviour: Behaviour | None = None) -> Met:
    """One contender alone with a fake Replicate of its own."""
    with workload.replicate(behaviour) as fake:
        used = contend(fake)
        return Met(used, fake.usage().request_log)


def command(workload: Workload, *arguments: str) -> Used:
    """Any other `sync-audit` command."""
    return Child.python(["-m", "audit", *arguments], {}, workload.folder).wait()


def plain_python(workload: Workload) -> Used:
    """The interpreter alone, doing nothing."""
    return Child([sys.executable, "-c", "pass"], {}, workload.folder).wait()
