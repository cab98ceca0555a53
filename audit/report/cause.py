"""Why a run ends in its exit code, in one clause for the last line on the screen."""

from collections.abc import Iterator, Sequence

from audit.model.codes import FailOn, Status
from audit.model.exit_status import INCOMPLETE, NEEDS_SYNC, NOBODY, OK, RUN
from audit.report.view import RunView
from audit.report.words import counted, lines

_NEEDS = ("needs a sync", "need a sync")
_FAILED = ("could not be checked", "could not be checked")
_MISSED = ("was not reached", "were not reached")
_Count = tuple[int, tuple[str, str]]
"""Lines, and what they do: one of them, and several."""


def cause(view: RunView, code: int, fail_on: FailOn = "any", *, exit_zero: bool = False) -> str:
    """The cause of `code` in this run: "33 users need a sync; 2 could not be checked"."""
    if view.run.state == "complete" and not view.summary.total:
        return NOBODY[code].meaning
    if code not in {OK, NEEDS_SYNC, INCOMPLETE}:
        return _stopped(view, code)
    checked = _checked(view)
    said = [] if view.run.state == "complete" else ["the run ended early"]
    said += _counted(view, _counts(view, fail_on if code else "any"), bare=bool(checked))
    text = "; ".join(said)
    if code != OK:
        return checked + (text or RUN[code].meaning)
    if not text:
        return checked + _all_good(view, bare=bool(checked))
    how = "--exit-zero lets that pass" if exit_zero else f"none counts with --fail-on {fail_on}"
    return f"{checked}{text}, but {how}"


def _stopped(view: RunView, code: int) -> str:
    why, *rest = RUN[code].meaning.split("; ")
    missed = _counted(view, [(view.open[Status.NOT_CHECKED], _MISSED)])
    return "; ".join([": ".join([why, *missed]), *rest])


def _checked(view: RunView) -> str:
    """That a run was about a part of all, first."""
    if not view.part or view.coverage is None:
        return ""
    return f"{view.coverage.checked:,} of {lines(view, view.coverage.eligible)} checked: "


def _counts(view: RunView, fail_on: FailOn) -> Sequence[_Count]:
    since, found = view.since_baseline, view.open
    if fail_on == "new" and since:
        return (
            (since.needs_sync, ("newly needs a sync", "newly need a sync")),
            (since.errors, ("has a new error", "have a new error")),
            (since.unknown, _FAILED),
        )
    return (
        (found[Status.NEEDS_SYNC], _NEEDS),
        (found[Status.ERROR], _FAILED),
        (found[Status.NOT_CHECKED], _MISSED),
    )


def _counted(view: RunView, counts: Sequence[_Count], *, bare: bool = False) -> Iterator[str]:
    """A clause for each that is not zero; the noun stands with the first, unless it has been said before."""
    for count, (one, many) in counts:
        if count:
            yield f"{f'{count:,}' if bare else lines(view, count)} {one if count == 1 else many}"
            bare = True


def _all_good(view: RunView, *, bare: bool) -> str:
    if accepted := view.accepted.total:
        return f"{counted(accepted, 'accepted finding')} {'does' if accepted == 1 else 'do'} not count"
    total = view.summary.total
    if bare:
        return "up to date" if total == 1 else "all up to date"
    return f"all {lines(view, total)} are up to date" if total > 1 else f"{lines(view, total)}, up to date"
