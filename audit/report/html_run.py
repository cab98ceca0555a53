"""What the HTML page tells about the run itself, and the command that makes it again."""

import shlex

from audit.report.html_words import time_element
from audit.report.run_words import narrowed, shards_fact, trainings_facts
from audit.report.view import RunBlock, RunView, TrainingsBlock
from audit.report.words import duration
from audit.shard import spelled

_DEFAULT_BASE_URL = "https://api.replicate.com/v1"


def reproduce(run: RunBlock) -> str:
    """The command that makes this run again; secrets and the database come from the environment."""
    words = ["sync-audit", "run"]
    if run.base_url != _DEFAULT_BASE_URL:
        words += ["--base-url", run.base_url]
    if run.order_by != "updated_at":
        words += ["--order-by", run.order_by]
    words += [f"--user={who}" for who in run.filters.users]  # with "=", as it may begin with a dash
    if run.filters.limit is not None:
        words += ["--limit", str(run.filters.limit)]
    if run.shard:
        words += ["--shard", spelled(run.shard)]
    if run.filters.include_tests:
        words.append("--include-tests")
    if run.trainings:
        words += _trainings_options(run.trainings)
    if run.redacted:
        words.append("--redact")
    return shlex.join(words)


def _trainings_options(trainings: TrainingsBlock) -> list[str]:
    words = ["--trainings"]
    if trainings.mode == "trainings":
        words = ["--mode", "trainings", "--verify-sample", f"{trainings.sample:g}"]
    return words + (["--trainings-since", trainings.since] if trainings.since else [])


def run_facts(view: RunView) -> tuple[tuple[str, str], ...]:
    """Label and value of everything that is known of the run."""
    run = view.run
    sent = run.requests
    return (
        ("Run", run.id),
        ("State", run.state + (f": {run.stop_reason}" if run.stop_reason else "")),
        ("Started", time_element(run.started_at)),
        ("Finished", time_element(run.finished_at) or "not recorded"),
        ("Duration", duration(run.duration_seconds)),
        ("Database", run.database),
        ("Replicate", run.base_url),
        ("Account of the token", f"{run.account.username} ({run.account.type})" if run.account else "not known"),
        ("Latest model by", run.order_by),
        ("Test rows", "taken into account" if run.filters.include_tests else "left out"),
        ("Narrowed", narrowed(run) or "no: everybody"),
        *((("Merged from", shards_fact(run)),) if run.shards else ()),
        ("Acceptances", run.acceptances.file if run.acceptances else "none"),
        ("Requests", f"{sent.sent:,} sent, {sent.retried:,} of them repeated; {sent.throttled:,} answered with 429"),
        *(trainings_facts(run.trainings) if run.trainings else ()),
        ("Columns the database lacks", ", ".join(run.missing_columns) or "none"),
        ("Made by", f"sync-audit {view.tool_version}"),
    )
