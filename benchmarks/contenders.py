"""The commands of the contenders: each is a fresh process that is started and waited for."""

import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

from audit.demo.fake_replicate.server import Rules, Seen
from benchmarks.child import Child, Used
from benchmarks.stage import Stage
from tests.support.process import RemoteFakeReplicate

CONCURRENCY = 32
FORMATS = ("html", "csv", "json")
WHOLE = "whole.sqlite"
"""The run file of an audit of all users."""
SINGLE = "single.sqlite"
"""The run file of an audit of one user: what start-up costs."""
ONE_USER = ("--limit", "1")


class Met(NamedTuple):
    """A contender's use, and what the stand-in saw of it."""

    used: Used
    seen: Seen


def audit_arguments(stage: Stage, options: Iterable[str] = ()) -> list[str]:
    """A whole `sync-audit run` with a report in every format."""
    options = tuple(options)
    run_file = {(): WHOLE, ONE_USER: SINGLE}.get(options, "other.sqlite")
    (stage.folder / run_file).unlink(missing_ok=True)
    outputs = [argument for name in FORMATS for argument in ("-o", f"{name}=report.{name}")]
    fixed = ["--run-file", run_file, "--concurrency", str(CONCURRENCY)]
    return ["-m", "audit", "run", *outputs, *fixed, *options]


def audit(stage: Stage, fake: RemoteFakeReplicate, options: Iterable[str] = ()) -> Used:
    """A whole run."""
    return Child.python(audit_arguments(stage, options), stage.environ(fake), stage.folder).wait()


def client(name: str, stage: Stage, fake: RemoteFakeReplicate, limit: int | None = None) -> Used:
    """`bare`, `fetch`, `judge` or `official`, over the models of all users or the first `limit` of them."""
    asked = stage.recorded(limit) if name == "judge" else stage.models(limit)
    arguments = ["-m", f"benchmarks.{name}", fake.base_url, str(CONCURRENCY), str(asked)]
    return Child.python(arguments, stage.environ(fake), stage.folder).wait()


def met(stage: Stage, contend: Callable[[RemoteFakeReplicate], Used], rules: Rules | None = None) -> Met:
    """One contender alone with a stand-in of its own."""
    with stage.replicate(rules) as fake:
        used = contend(fake)
        return Met(used, fake.usage().seen)


def command(stage: Stage, *arguments: str) -> Used:
    """Any other `sync-audit` command."""
    return Child.python(["-m", "audit", *arguments], {}, stage.folder).wait()


def plain_python(stage: Stage) -> Used:
    """The interpreter alone, doing nothing."""
    return Child([sys.executable, "-c", "pass"], {}, stage.folder).wait()
