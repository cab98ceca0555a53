"""What to do now: at most three steps with commands to copy, made from the run itself."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from audit.findings.classify import wrong_account, wrong_base_url
from audit.model.codes import Reason
from audit.model.lines import counted_lines
from audit.model.run import RunInfo
from audit.report import words
from audit.report.view import Placed, RunView
from audit.report.words import lines

MOST = 3
DEFAULT_BASE_URL = "https://api.replicate.com/v1"
_STUCK_AFTER = 6 * 3600.0
"""Seconds: the default of `run --stuck-after`."""


class Step(NamedTuple):
    """One step."""

    text: str
    """Our own words, without a full stop; no text from data."""
    command: str = ""
    """To be copied as it is into a POSIX shell; may hold names from data, quoted. "" where there is none."""
    people: Sequence[Placed] = ()
    """The first of those whom it is about, where somebody has to look at each."""
    again: bool = False
    """Whether it only goes on with this run, or retries what failed: it repairs nothing."""


def steps(view: RunView, run: str | None = None, *, most: int | None = MOST) -> tuple[Step, ...]:
    """The next steps, first things first; none where nothing has to be done.

    `run` is the path of the run file as the reader would type it; without one, its name alone.
    """
    return tuple(islice(_steps(view, shlex.quote(run or view.file_name)), most))


def _steps(view: RunView, run: str) -> Iterator[Step]:
    info = view.run
    if not view.summary.total:
        yield from _nobody(view)
        return
    if before := tuple(_wrong_way(view, run)):
        yield from before
        return
    again = view.retryable if not info.shards else 0
    for shard in info.missing_shards[:1]:
        yield Step(f"Check shard {shard}, then merge again", f"sync-audit run --shard {shard}")
    if info.state != "complete" and not info.shards:
        yield Step("Finish the run; nobody is asked twice", f"sync-audit run --resume {run}", again=True)
        again = 0
    elif again and view.verdict == "unknown":  # it may well be the only thing that is wrong
        yield _retry(again, run)
        again = 0
    yield from _repair(view, run)
    if again:
        yield _retry(again, run)
    if view.verdict == "trial":
        yield Step("Check everybody before the release", reproduce(info, narrowed=False))


def _wrong_way(view: RunView, run: str) -> Iterator[Step]:
    """Where the token, or the way to Replicate, makes all else doubtful."""
    info, summary = view.run, view.summary
    if info.none_found or wrong_account(info.account, summary):
        how = f"sync-audit run --resume {run}" if info.none_found else reproduce(info)
        yield Step("Set REPLICATE_API_TOKEN to a token of the account that owns the models, then run", how)
    elif wrong_base_url(info.account, summary):
        yield Step("Check --base-url, REPLICATE_BASE_URL and any proxy, then run", f"sync-audit run --resume {run}")
    elif 2 * summary.reasons.get(Reason.UNAUTHORIZED, 0) > summary.total:  # one may be one model's
        yield Step("Set REPLICATE_API_TOKEN to a valid token, then run", f"sync-audit run --resume {run}")
    elif summary.reasons.get(Reason.EVIDENCE_DISAGREES):
        yield Step("Do not trust this run: check everybody by versions", "sync-audit run --mode versions")


def _retry(count: int, run: str) -> Step:
    return Step(f"Retry {words.counted(count, 'temporary failure')}", f"sync-audit run --resume {run}", again=True)


def _repair(view: RunView, run: str) -> Iterator[Step]:
    repairs = view.repairs
    if repairs.changes:
        whom = lines(view, repairs.changes)
        yield Step(f"Preview the fix for {whom}; this changes nothing", f"sync-audit sync {run}")
        yield Step(
            "Apply it; each row is checked again first, and sync --undo takes it back", f"sync-audit sync {run} --apply"
        )
    if repairs.by_hand:
        yield Step(
            f"Look at {counted_lines(repairs.by_hand, view.latest_per)} by hand",
            people=repairs.first_by_hand,
        )


def _nobody(view: RunView) -> Iterator[Step]:
    if view.population is None or view.empty_shard:
        return
    if line := words.completed_line(view):
        yield Step(f"If these rows are completed, put this into the config file, below [database]: {line}")
        yield Step("Run again", reproduce(view.run))
    elif view.population.users_with_completed_model:
        yield Step("Check everybody", reproduce(view.run, narrowed=False))
    else:
        yield Step("Find out which tables hold the models", "sync-audit init")


def reproduce(run: RunInfo, *, narrowed: bool = True) -> str:
    """The command that makes this run again; secrets and the database come from the environment.

    Without `narrowed` it is about everybody, whatever this run was narrowed to.
    """
    argv = ["sync-audit", "run"]
    if run.base_url != DEFAULT_BASE_URL:
        argv += ["--base-url", run.base_url]
    if run.order_by != "updated_at":
        argv += ["--order-by", run.order_by]
    if run.latest_per != "user":
        argv += ["--latest-per", run.latest_per]
    if narrowed:
        argv += [f"--user={who}" for who in run.filters.users]  # with "=", as it may begin with a dash
        if run.filters.limit is not None:
            argv += ["--limit", str(run.filters.limit)]
        if run.shard:
            argv += ["--shard", str(run.shard)]
    if run.stuck_after is not None and run.stuck_after != _STUCK_AFTER:
        argv += ["--stuck-after", f"{run.stuck_after / 3600:g}"]
    if run.filters.include_tests:
        argv.append("--include-tests")
    if trainings := run.trainings:
        by_trainings = ["--mode", "trainings", "--verify-sample", f"{trainings.sample:g}"]
        argv += by_trainings if trainings.mode == "trainings" else ["--trainings"]
        argv += ["--trainings-since", trainings.since] if trainings.since else []
    flags = (("--check-weights", run.check_weights), ("--redact", run.redacted))
    argv += [option for option, given in flags if given]
    return shlex.join(argv)
