"""The view of a comparison that every format renders, and what all of them say in the same words."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

from audit import __version__
from audit.findings.comparison import Change, ComparedRun, ComparedUser, UserSnapshot
from audit.hints.table import HINTS
from audit.model.codes import LatestPer, Reason, Status
from audit.model.exit_status import ExitStatus
from audit.model.lines import NOUNS, counted_lines, told_apart
from audit.model.users import email_or_id
from audit.report.words import counted, short_hash

CHANGES = tuple(change for change in Change if change is not Change.UNCHANGED)
"""Those that are listed user by user."""
TITLES: Mapping[Change, tuple[str, str]] = {
    Change.NEW: (
        "New",
        "Needs attention now, and did not before, or for another reason; or needs a sync, and was not checked before.",
    ),
    Change.NOT_COMPARED: ("Not compared", "Not checked in NEW: the check failed, or the user was not reached."),
    Change.CHANGED: ("Changed", "Another reason, another version or another model, but neither new nor resolved."),
    Change.RESOLVED: ("Resolved", "Needed attention before, and is up to date now."),
    Change.APPEARED: ("Appeared", "Was not in OLD, and is up to date, or has what OLD did not look for."),
    Change.LEFT: (
        "Left",
        "Is not in NEW: gone from the database, or without a completed model. This does not count as resolved.",
    ),
}
"""Title of each list, and what it means."""
_STATUS_WORDS: Mapping[Status, tuple[str, str]] = {
    Status.NEEDS_SYNC: ("needs a sync", "need a sync"),
    Status.ERROR: ("error", "errors"),
    Status.NOT_CHECKED: ("not reached", "not reached"),
    Status.UP_TO_DATE: ("up to date", "up to date"),
}
_FIELD_WORDS = {
    "current_version": "stored version",
    "latest_version": "latest version",
    "replicate_model_id": "model",
}
_TITLES_OF_REASONS = {reason.value: HINTS[reason].title for reason in Reason}


class DiffCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many lines each change concerns."""

    changes: Mapping[Change, int]
    """Every change has a key."""
    unchanged: Mapping[Status, int]
    """Every status has a key."""
    maybe_worse: int
    """Of those not compared, who may have got worse."""

    @property
    def total(self) -> int:
        """All lines of either run."""
        return sum(self.changes.values())


@dataclass(frozen=True, kw_only=True)
class DiffView:
    """Everything that a format may show, masked already where it has to be."""

    old: ComparedRun
    new: ComparedRun
    caveats: tuple[str, ...]
    counts: DiffCounts
    exit_status: ExitStatus
    redacted: bool
    changes: Callable[[Change], Iterator[ComparedUser]]
    """The lines of one change in report order, streamed: last known status, e-mail with null last, user id."""
    tool_version: str = __version__

    @property
    def latest_per(self) -> LatestPer:
        """What has a line, in both runs."""
        return next(per for per in NOUNS if per == self.new.latest_per)


def headline(view: DiffView) -> str:
    """The answer in one sentence."""
    changes = view.counts.changes
    worse, maybe = changes[Change.NEW], view.counts.maybe_worse
    unsure = f"{counted_lines(maybe, view.latest_per)} could not be compared"
    if worse:
        verb = "needs" if worse == 1 else "need"
        return f"{counted_lines(worse, view.latest_per)} newly {verb} attention" + (f"; {unsure}" if maybe else "")
    return f"Cannot tell: {unsure}" if maybe else "Nothing got worse"


def ended(view: DiffView) -> ExitStatus:
    """How the command ends, with the cause in these two runs."""
    worse, maybe = view.counts.changes[Change.NEW], view.counts.maybe_worse
    if worse:
        return ExitStatus(view.exit_status.code, f"{counted_lines(worse, view.latest_per)} got worse")
    if maybe:
        unsure = f"{counted_lines(maybe, view.latest_per)} could not be compared"
        return ExitStatus(view.exit_status.code, f"cannot tell: {unsure}")
    return view.exit_status


def tally(view: DiffView) -> str:
    """All counts in one sentence."""
    changes = view.counts.changes
    listed = ", ".join(f"{changes[change]:,} {TITLES[change][0].lower()}" for change in CHANGES)
    return f"{counted_lines(view.counts.total, view.latest_per)}: {listed}, {changes[Change.UNCHANGED]:,} unchanged"


def unchanged(view: DiffView) -> str:
    """The statuses of those who are unchanged, or ""."""
    counts = view.counts.unchanged
    return ", ".join(f"{counted(count, *_STATUS_WORDS[status])}" for status, count in counts.items() if count)


def state(side: UserSnapshot | None) -> str:
    """The reason in one run; one that only a later version of this program has is shown as its code."""
    titles = [_TITLES_OF_REASONS.get(reason, reason) for reason in side.reasons] if side else ["not there"]
    return " and ".join(titles)


def versions(user: ComparedUser) -> tuple[str, ...]:
    """What became of versions and model, a line for each that differs."""
    return tuple(
        f"{words}: {_short(getattr(user.old, field))} → {_short(getattr(user.new, field))}"
        for field, words in _FIELD_WORDS.items()
        if field in user.differs
    )


def cause(user: ComparedUser) -> str:
    """Why it could not be found out, or ""."""
    return user.new.detail or "" if user.new and user.change is Change.NOT_COMPARED else ""


def details(user: ComparedUser) -> tuple[str, ...]:
    """What became of versions and model, and why it could not be found out."""
    return (*versions(user), *filter(None, [cause(user)]))


def run_line(run: ComparedRun) -> str:
    """What tells one run from another."""
    state = run.state + (f" ({run.stop_reason})" if run.stop_reason else "")
    return f"{counted(run.users, NOUNS.get(cast(LatestPer, run.latest_per), 'line'))}, {state}, {run.database}"


def part(view: DiffView, side: UserSnapshot) -> str:
    """What tells the line from others of the user, for a person; "" where there are no others."""
    return told_apart(side.replicate_model_id, side.model_row_id, view.latest_per)


def name(view: DiffView, user: ComparedUser) -> str:
    """The user, and the line where there may be several."""
    which = part(view, user.last)
    return email_or_id(user.last) + (f" ({which})" if which else "")


def _short(value: str | None) -> str:
    return short_hash(value.strip()) if value and value.strip() else "none"
