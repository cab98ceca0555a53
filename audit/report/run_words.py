"""What reports of any format tell about the run itself."""

from audit.report.view import RunBlock, TrainingsBlock
from audit.report.words import counted, instant
from audit.shard import named, share

UNSEEN = "versions that were pushed or deleted by hand, where trainings settle the user"
"""What `--mode trainings` is blind to."""


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
