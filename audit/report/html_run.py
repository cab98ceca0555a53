"""What the HTML page tells about the run itself, and the command that makes it again."""

import shlex

from audit.report.html_words import counted, duration, instant, time_element
from audit.report.view import RunBlock, RunView, TrainingsBlock
from audit.shard import named, share, spelled

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


def narrowed(run: RunBlock) -> str:
    """How the users of the run were narrowed, to follow "the run was narrowed", or ""."""
    parts = []
    if run.filters.users:
        parts.append("to users " + ", ".join(run.filters.users))
    if run.filters.limit is not None:
        parts.append(f"to the first {counted(run.filters.limit, 'user')}")
    if run.shard:
        parts.append(f"to {named(run.shard)}: {share(run.shard)}")
    return " and ".join(parts)


def shards_fact(run: RunBlock) -> str:
    """Which shards a run was merged from, or ""."""
    if not run.shards:
        return ""
    odd = [f"{each.number} {each.state}" for each in run.shards if each.state != "complete"]
    return counted(len(run.shards), "shard") + (f": {', '.join(odd)}" if odd else "")


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


def extent(trainings: TrainingsBlock) -> str:
    """How far the list was read, as a sentence without its end."""
    if trainings.began_at is None:
        return "not begun"
    read = f"{counted(trainings.read, 'training')} read"
    back = f", back to {instant(trainings.back_to)}" if trainings.back_to else ""
    if trainings.complete:
        return f"{read}{back}: as far as wanted" if trainings.since else f"{read}{back}: all there are"
    return f"{read}{back}, not as far as wanted: {trainings.problem or 'the run ended before'}"


def trainings_facts(trainings: TrainingsBlock) -> tuple[tuple[str, str], ...]:
    """Label and value of what reading them came to."""
    settled = counted(trainings.users_settled, "user")
    facts = [
        ("List of trainings", extent(trainings)),
        ("Settled by trainings alone", settled if trainings.mode == "trainings" else "nobody: everybody was asked for"),
        ("Asked for by versions", f"{counted(trainings.users_asked, 'user')} with an answer"),
    ]
    if trainings.mode == "trainings":
        facts.append(("Asked for as a check", f"{trainings.sample:g} % of those whom trainings settle"))
        facts.append(("Not to be seen", UNSEEN))
    if trainings.unreadable:
        facts.append(("Unreadable trainings", f"{trainings.unreadable:,}"))
    return tuple(facts)


UNSEEN = "versions that were pushed or deleted by hand, where trainings settle the user"
"""What `--mode trainings` is blind to."""
