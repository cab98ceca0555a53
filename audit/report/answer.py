"""The answer of a run, in the words of who reads it: what is wrong, since when, what is not known."""

from collections.abc import Iterator
from typing import NamedTuple

from audit.findings.classify import wrong_account
from audit.findings.verdict import VERDICT_RULES, VERDICT_TITLES, Verdict
from audit.hints.effects import EFFECT_OF, WHY_NOT_CHECKED, Effect, clause
from audit.hints.unfinished import days_between
from audit.model.codes import Status
from audit.model.lines import NOUNS
from audit.model.times import to_minute
from audit.report import words
from audit.report.view import RunView
from audit.report.words import LONG, SHORT, Dressing, bare, counted, everybody, lines

_REASONS_TOLD = 3
"""How many reasons for not having checked somebody are told."""


class Answer(NamedTuple):
    """What every format says first. Sentences end in a full stop, the headline does not."""

    verdict: Verdict
    headline: str
    since: str
    """Since when the first and the latest are affected; "" where nobody is, or nobody knows."""
    failed: str
    """How many checks failed, and why, or ""."""
    missed: tuple[str, ...]
    """Whose turn did not come, and whom the run was not about, a sentence each."""
    accepted: str
    """Who does not count, and by which option or file, or ""."""

    @property
    def title(self) -> str:
        """The verdict in a word or two: "Hold"."""
        return VERDICT_TITLES[self.verdict]

    @property
    def rule(self) -> str:
        """When that is said: "Hold: at least one user needs a sync ..."."""
        return f"{self.title}: {VERDICT_RULES[self.verdict]}."

    @property
    def unknown(self) -> tuple[str, ...]:
        """Who was not checked, and why, a sentence each."""
        return (self.failed, *self.missed) if self.failed else self.missed

    @property
    def below(self) -> tuple[str, ...]:
        """All that follows the headline."""
        return tuple(filter(None, (self.since, *self.unknown, self.accepted)))


def answer(view: RunView, data: Dressing = bare) -> Answer:
    """Work it out; `data` makes of a text from data what a format shows."""
    return Answer(
        verdict=view.verdict,
        headline=_headline(view, data),
        since=_since(view),
        failed=_failed(view),
        missed=tuple(_missed(view, data)),
        accepted=_accepted(view, data),
    )


def facts(view: RunView, data: Dressing = bare) -> Iterator[str]:
    """When, where, whose token, how many, how long: for one muted line."""
    run, coverage = view.run, view.coverage
    yield f"{to_minute(run.started_at)} UTC"
    yield data(run.database, SHORT)
    if run.account:
        yield f"Replicate: {data(run.account.username, SHORT)}"
    if coverage:
        yield f"{coverage.checked:,} of {lines(view, coverage.eligible)} checked"
    yield words.took(view)


def _headline(view: RunView, data: Dressing) -> str:
    total, run = view.summary.total, view.run
    if not total:
        return words.nobody(view)
    if run.none_found and run.account:
        return f"No model was found: {run.none_found.whose(run.account, lambda name: data(name, SHORT))}"
    if wrong_account(run.account, view.summary) and run.account:
        return f"No model was found with the token of {data(run.account.username, SHORT)}"
    if view.open[Status.NEEDS_SYNC]:
        return _affected(view)
    noun = NOUNS[view.latest_per]
    unknown = view.open[Status.ERROR] + view.open[Status.NOT_CHECKED]
    good = view.summary.statuses[Status.UP_TO_DATE]
    if unknown:
        rest = f"; the other {good:,} {_is(good)} up to date" if good and good + unknown == total else ""
        whose = f"{unknown:,} of {everybody(view)}" if total > 1 else f"The only {noun}"
        return f"{whose} could not be checked{rest}"
    if accepted := view.accepted.total:
        return f"No {noun} needs a sync but {accepted:,} of {everybody(view)}, which {_is(accepted)} accepted"
    if not view.whole:
        which = f"All {lines(view, total)}" if total > 1 else f"The one {noun}"
        return f"{which} that this run checked {_is(total)} up to date"
    return f"All {everybody(view)} are up to date" if total > 1 else f"The only {noun} is up to date"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _affected(view: RunView) -> str:
    """What those in need suffer: "30 of 800 users get photos from an old version of their model; 3 more ..."."""
    effects = dict.fromkeys(Effect, 0)
    for reason, count in view.open_reasons.items():
        if reason.status is Status.NEEDS_SYNC:
            effects[EFFECT_OF[reason]] += count
    told = [(count, clause(effect, count, view.latest_per)) for effect, count in effects.items() if count]
    (first, suffers), *others = told
    parts = [f"{first:,} of {everybody(view)} {suffers}"]
    parts += [f"{count:,} more {what}" for count, what in others]
    return "; ".join(parts)


def _since(view: RunView) -> str:
    affected, now = view.affected, view.run.started_at
    if affected.first is None or affected.latest is None:
        return ""
    first, latest = words.long_date(affected.first), words.long_date(affected.latest)
    age = words.days(days_between(affected.first, now) or 0)
    need = sum(affected.by_hour.values())
    if first == latest:
        whose = "Affected" if need == 1 else "All affected" if not affected.undated else "Affected"
        return f"{whose} since {first} ({age})."
    return f"Affected since {first} ({age}), the latest since {latest}."


def _failed(view: RunView) -> str:
    """How many checks failed, by why; "" where the token is the cause of all, which is said already."""
    failed, run = view.open[Status.ERROR], view.run
    if not failed or run.none_found or wrong_account(run.account, view.summary):
        return ""
    reasons = {reason: n for reason, n in view.open_reasons.items() if reason.status is Status.ERROR}
    shown = dict(list(reasons.items())[:_REASONS_TOLD])
    rest = failed - sum(shown.values())
    if len(reasons) == 1:
        why = WHY_NOT_CHECKED[next(iter(shown))]
    else:
        told = [f"{WHY_NOT_CHECKED[reason]} ({n:,})" for reason, n in shown.items()]
        why = ", ".join(told) + (f", other reasons ({rest:,})" if rest else "")
    if not view.open[Status.NEEDS_SYNC]:
        return f"{lines(view, failed)} could not be checked: {why}."
    real = "" if view.open[Status.NOT_CHECKED] else " The real number may be higher."
    return f"{failed:,} more could not be checked: {why}.{real}"


def _missed(view: RunView, data: Dressing) -> Iterator[str]:
    missed, run = view.open[Status.NOT_CHECKED], view.run
    if run.state != "complete":
        left = f"; {lines(view, missed)} {_was(missed)} not reached" if missed else ""
        why = f": {data(run.stop_reason, LONG)}" if run.stop_reason else ""
        yield f"The run ended early{why}{left}."
    elif missed:
        yield f"{lines(view, missed)} {_was(missed)} not reached."
    if view.part and view.coverage:
        yield (
            f"This run checked only {view.summary.total:,} of {lines(view, view.coverage.eligible)}; "
            "about the others it says nothing."
        )


def _accepted(view: RunView, data: Dressing) -> str:
    accepted, file = view.accepted.total, view.run.acceptances
    sentences = []
    if accepted and file:
        whose = data(file.file, SHORT)
        does = "does" if accepted == 1 else "do"
        sentences.append(f"{counted(accepted, 'finding')} {_is(accepted)} accepted by {whose} and {does} not count.")
    if view.verdict != "hold" and view.open[Status.NEEDS_SYNC]:
        why = "the baseline has them already" if view.fail_on == "new" else "no finding does"
        sentences.append(f"With --fail-on {view.fail_on} they do not count: {why}.")
    if view.verdict == "release_ok" and not view.summary.total:
        sentences.append("With --allow-empty that is no failure.")
    return " ".join(sentences)
