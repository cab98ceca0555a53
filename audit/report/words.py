"""What reports of any format tell about the run itself."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from audit.hints.table import HINTS
from audit.model.codes import Status
from audit.model.findings import Acceptance, BaselineState
from audit.model.shard import named, share
from audit.report.view import AcceptancesBlock, RunBlock, RunView, TrainingsBlock

STATUS_TITLES = {
    Status.NEEDS_SYNC: "Needs a sync",
    Status.ERROR: "Could not be checked",
    Status.NOT_CHECKED: "Not reached",
    Status.UP_TO_DATE: "Up to date",
}
MARK_TITLES: Mapping[BaselineState, str] = {"new": "New", "known": "Known", "resolved": "Resolved"}
"""How a user compares with the baseline."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 user`, `2,310 users`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def instant(iso: str | None) -> str:
    """`2026-03-01 12:00:05 UTC`; a text that is no ISO time is shown as it is."""
    if not iso:
        return ""
    if len(iso) >= 19 and iso[10] == "T":
        return f"{iso[:10]} {iso[11:19]} UTC"
    return iso


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `4 min 12 s`, `1 h 3 min`."""
    if seconds is None:
        return "not known"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def days(count: float) -> str:
    """`less than a day`, `1 day`, `212 days`."""
    return "less than a day" if count < 1 else counted(math.floor(count), "day")


def short_hash(text: str) -> str:
    """Long texts without their middle; hashes differ at both ends."""
    return text if len(text) <= 20 else f"{text[:8]}…{text[-8:]}"


_NAMED = 5


class Stale(NamedTuple):
    """Entries of one kind that somebody should look at."""

    sentence: str
    """Of our own, without anything from data."""
    entries: tuple[str, ...]
    """The first of them, as data has them."""
    more: str
    """"and 3 more", or ""."""

    @property
    def text(self) -> str:
        """The entries in one line."""
        return ", ".join(self.entries) + (f" {self.more}" if self.more else "")


def stale(block: AcceptancesBlock | None) -> Iterator[Stale]:
    """What has expired, and what matches nobody."""
    if block and (expired := block.expired):
        it = "it" if len(expired) == 1 else "they"
        sentence = f"{counted(len(expired), 'acceptance')} expired, and what {it} accepted counts again"
        yield _stale(sentence, expired, until=True)
    if block and (unmatched := block.unmatched):
        verb = "matches" if len(unmatched) == 1 else "match"
        yield _stale(f"{counted(len(unmatched), 'acceptance')} {verb} nobody", unmatched, until=False)


def _stale(sentence: str, entries: Sequence[Acceptance], *, until: bool) -> Stale:
    named = tuple(_named(entry) + (f", until {entry.until}" if until else "") for entry in entries[:_NAMED])
    return Stale(sentence, named, f"and {len(entries) - _NAMED:,} more" if len(entries) > _NAMED else "")


def _named(entry: Acceptance) -> str:
    who = entry.user if entry.user is not None else f"model {entry.model}"
    return f"{who} ({HINTS[entry.reason].title.lower()})"


def headline(view: RunView) -> tuple[str, str]:
    """The verdict (`ok`, `needs_sync`, `error`, `empty`) and the sentence that says it."""
    summary = view.summary
    total, need, accepted = summary.total, view.open[Status.NEEDS_SYNC], view.accepted.total
    failed, missed = view.open[Status.ERROR], view.open[Status.NOT_CHECKED]
    if total == 0:
        if view.population is None:
            return "error", "The run ended before any user was read"
        nobody = view.population.users_with_completed_model == 0
        return "empty", "Nobody has a completed model" if nobody else "No user matches what the run was narrowed to"
    if not need and not failed and not missed:
        if accepted:
            needs = "needs attention, and is" if accepted == 1 else "need attention, and all are"
            return "ok", f"{accepted:,} of {counted(total, 'user')} {needs} accepted"
        return "ok", "The only user is up to date" if total == 1 else f"All {total:,} users are up to date"
    verb = "needs" if 1 in {need, total} else "need"
    parts = [f"{need:,} of {counted(total, 'user')} {verb} a sync"]
    if failed:
        parts.append(f"{failed:,} could not be checked")
    if missed:
        parts.append(f"{missed:,} {'was' if missed == 1 else 'were'} not reached")
    if accepted:
        parts.append(f"{accepted:,} accepted")
    return "error" if failed or missed else "needs_sync", "; ".join(parts)


def exit_meaning(view: RunView) -> str:
    """What the verdict means to somebody who has to decide."""
    verdict, _ = headline(view)
    if view.accepted.total and verdict != "error":
        return {
            "ok": "Nothing has to be done for now: what is accepted counts again when that expires.",
            "needs_sync": "Those in need run an old version until their record is corrected.",
        }[verdict]
    return {
        "ok": "Every user was checked. Nothing has to be done.",
        "needs_sync": "Every user was checked. Those in need run an old version until their record is corrected.",
        "error": "The picture is incomplete: what could not be checked is neither good nor bad.",
        "empty": "There was nothing to check.",
    }[verdict]


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
