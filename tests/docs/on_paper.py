"""The figures of docs/ten-million-users.md, which follow from the forecast.

`python -m tests.docs.on_paper` writes them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from audit.cli import options
from audit.commands.doctor.forecast import Assumed, Bound, forecast
from audit.replicate.rate_limit import LIMIT
from audit.report.html import data as html_listed
from tests import ROOT
from tests.docs.reference import table

PATH = ROOT / "docs" / "ten-million-users.md"
USERS = 10_000_000
ACCOUNTS = 10
RUN_FILE, JSON, CSV = 2100, 1500, 580
"""Bytes a user, as `python -m benchmarks` measures them."""
PROCESSOR = 0.0005
"""Seconds a user, all reports included; measured there too."""
SORTED, COPIED = 0.00002, 0.00007
"""Seconds a user until PostgreSQL gives the first row, and until all are in the run file: of 200,000 users who have two
rows each, on the two cores that both it and the audit had."""
SORT_FILE = 1600
"""Bytes a user of PostgreSQL's temporary files, then."""
STATEMENT_TIMEOUT: int = options.statement_timeout.initial
ONE = Assumed(
    models=USERS,
    per_minute=options.rate.initial,
    concurrency=options.concurrency.initial,
    latency=0.3,
    missing=0.01,
    failing=0.01,
    page_latency=1.0,
    sample=options.verify_sample.initial / 100,
)
"""One run for everybody, in one account."""
FAST = replace(ONE, trainings=USERS * 12 // 10, settled=0.9)
RETRAINED_DAYS = 365
"""After which a user has another version, on average."""
_BLOCK = re.compile(r"(<!-- (?P<name>[a-z ]+): from the forecast -->\n).*?(<!-- end -->)", re.DOTALL)
_BOUNDS: dict[Bound, str] = {
    "rate": "the rate",
    "trainings": "the list of trainings, page by page",
}


class Breaking(NamedTuple):
    """What holds for as many users, and what to do about it from there on."""

    users: float
    what: str
    step: str


def current(text: str) -> str:
    """`text` with every figure as it should be."""
    found = blocks()
    return _BLOCK.sub(lambda match: f"{match[1]}\n{found[match['name']]}\n{match[3]}", text)


def blocks() -> Mapping[str, str]:
    """What stands between each pair of marks, by the name in the first one."""
    breaking = sorted(_breaking())
    return {
        "assumed": _lines(("of", "assumed"), _assumed()),
        "times": _lines(("run", "requests", "time", "held up by"), _times()),
        "breaks": _lines(
            ("up to so many users", "this holds", "beyond it"), ((_count(each.users), *each[1:]) for each in breaking)
        ),
        "sizes": _lines(("", "one run for all", f"one of {ACCOUNTS}"), _sizes()),
        "age": _age(),
    }


def _lines(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    return "\n".join(table(head, rows))


def _assumed() -> Iterator[tuple[str, ...]]:
    yield "users", f"{USERS:,}, each with a model of their own; {ACCOUNTS} accounts with {USERS // ACCOUNTS:,} each"
    yield "rate", f"{ONE.per_minute:,.0f} requests a minute and account, which leaves the product the rest of {LIMIT:,}"
    yield "answers", f"{ONE.latency * 1000:.0f} ms on average; {ONE.failing:.0%} temporary failures"
    retrained = f"a user trains again every {RETRAINED_DAYS} days"
    yield "models", f"{ONE.missing:.0%} are gone, which takes a second question; versions fit one page"
    yield (
        "trainings",
        f"12 for 10 users; 100 a page, {ONE.page_latency:.0f} s a page, as each brings its log; {retrained}",
    )
    yield (
        "`--mode trainings`",
        f"settles {FAST.settled:.0%} of the models; {FAST.sample:.0%} of these are asked for all the same",
    )
    yield (
        "a user takes",
        f"{RUN_FILE:,} bytes in the run file, {JSON:,} as JSON, {CSV} as CSV; {PROCESSOR * 1000:g} ms of one core",
    )
    until = f"{SORTED * 1e6:.0f} µs until the first row comes, {COPIED * 1e6:.0f} µs until all are in the run file"
    yield "in PostgreSQL", f"{until}, {SORT_FILE:,} bytes of temporary files; measured with 200,000 users on two cores"


def _times() -> Iterator[tuple[str, ...]]:
    part = {"models": USERS // ACCOUNTS}
    ten_fast = replace(FAST, **part, trainings=FAST.trainings // ACCOUNTS)
    for words, assumed, times in (
        ("one account", ONE, 1),
        ("one account, all of its limit", replace(ONE, per_minute=LIMIT), 1),
        ("one account, 10 shards at once", replace(ONE, shards=10), 1),
        ("one account, `--mode trainings`", FAST, 1),
        ("one account, `--mode trainings`, 10 shards at once", replace(FAST, shards=10), 1),
        ("10 accounts at once", replace(ONE, **part), ACCOUNTS),
        ("10 accounts at once, all of their limits", replace(ONE, **part, per_minute=LIMIT), ACCOUNTS),
        ("10 accounts at once, `--mode trainings`", ten_fast, ACCOUNTS),
    ):
        told = forecast(assumed)
        yield words, f"{told.requests * times / 1e6:,.1f} million", _time(told.seconds), _BOUNDS[told.bound]


def _breaking() -> Iterator[Breaking]:
    yield Breaking(
        html_listed.MOST, "HTML lists everybody", "it keeps all but who is up to date; CSV and JSON have these"
    )
    yield Breaking(
        _within(3600),
        "a run ends within the hour that GitLab gives a job by default",
        "raise the project's limit, or go on in the next job: `run --resume`",
    )
    yield Breaking(
        100 * 1024**2 / RUN_FILE,
        "a run file fits the 100 MB that a GitLab of one's own takes as an artifact by default",
        "`--shard`, which makes files smaller; or a volume, or an object store",
    )
    yield Breaking(
        30 / COPIED,
        "the snapshot is over before a replica may cancel it for the sake of its WAL, 30 s by default",
        "`hot_standby_feedback = on` or a larger `max_standby_streaming_delay` on that replica",
    )
    yield Breaking(
        _within(6 * 3600),
        "a run ends within the 6 hours that GitHub gives a job on a runner of its own",
        "a runner of yours, or `run --resume` in the next job",
    )
    yield Breaking(1_048_575, "a CSV opens in a spreadsheet", "filter it first: `status` is not `up_to_date`")
    yield Breaking(
        _within(8 * 3600),
        "a run ends within a night of 8 hours",
        "`--mode trainings` in the week and by versions at the weekend; or more accounts",
    )
    yield Breaking(
        STATEMENT_TIMEOUT / SORTED,
        f"PostgreSQL gives its first row before `--statement-timeout`, {STATEMENT_TIMEOUT} s, ends it",
        "`--statement-timeout 1800`, and more `work_mem` for the audit's role",
    )


def _within(seconds: float) -> float:
    """Users of one account whom a run can ask for in so much time."""
    return seconds / (forecast(ONE).seconds / USERS)


def _age() -> str:
    runs = (("one account", ONE), (f"{ACCOUNTS} accounts at once", replace(ONE, models=USERS // ACCOUNTS)))
    return _lines(("run", "first answers, at its end", "answers overtaken by then", "users"), map(_aged, runs))


def _aged(run: tuple[str, Assumed]) -> tuple[str, ...]:
    seconds = forecast(run[1]).seconds
    overtaken = seconds / 86400 / RETRAINED_DAYS / 2  # on average an answer is half as old as the first
    return run[0], f"{_time(seconds)} old", f"{overtaken:.2%}", _count(USERS * overtaken)


def _sizes() -> Iterator[tuple[str, ...]]:
    both = USERS, USERS // ACCOUNTS
    for what, size in (("run file", RUN_FILE), ("JSON", JSON), ("CSV", CSV)):
        yield what, *(f"{size * users / 1e9:,.1f} GB" for users in both)
    # Every run sorts the rows of all.
    yield "time of the snapshot in PostgreSQL", *(_time(SORTED * USERS + (COPIED - SORTED) * users) for users in both)
    yield "PostgreSQL's temporary files", *(f"{SORT_FILE * USERS / 1e9:,.0f} GB" for _ in both)
    shares = (PROCESSOR * users / forecast(replace(ONE, models=users)).seconds for users in both)
    yield "one core's time that is used", *(f"{share:.0%}" for share in shares)


def _time(seconds: float) -> str:
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _count(users: float) -> str:
    """To two figures."""
    return f"{users / 1e6:.1f} million" if users >= 1e6 else f"{round(users, -len(str(round(users))) + 2):,.0f}"


if __name__ == "__main__":
    PATH.write_text(current(PATH.read_text()))
