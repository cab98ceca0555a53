"""The first screen of the HTML page beside its headline: what must not be overlooked, the counts."""

from collections.abc import Iterator
from typing import NamedTuple

from audit.models import Note, Reason, Status
from audit.report.acceptance_words import stale
from audit.report.html_words import time_element
from audit.report.run_words import UNSEEN, extent, narrowed
from audit.report.view import RunBlock, RunView
from audit.report.words import STATUS_TITLES, counted, duration, instant
from audit.verdict import wrong_account


class Banner(NamedTuple):
    """Something about the whole report that must not be overlooked."""

    tone: str
    title: str
    text: str


class Count(NamedTuple):
    """One of the four counts, which lead to their sections."""

    tone: str
    label: str
    number: int
    share: str
    section: str
    """Where they are on the page."""


def banners(view: RunView) -> Iterator[Banner]:
    """What must not be overlooked, gravest first."""
    run, summary = view.run, view.summary
    missed = summary.statuses[Status.NOT_CHECKED]
    if run.state != "complete":
        why = f" Why: {run.stop_reason}." if run.stop_reason else ""
        how = "was stopped" if run.state == "stopped" else "was interrupted"
        left = f" {counted(missed, 'user')} {'was' if missed == 1 else 'were'} not reached." if missed else ""
        yield Banner("error", "Incomplete run", f"This run {how} before its end.{why}{left}")
    yield from _about_trainings(view)
    foreign = summary.notes.get(Note.OWNER_DIFFERS_FROM_ACCOUNT, 0)
    if run.account and wrong_account(run.account, summary):
        yield Banner(
            "error",
            "Probably the wrong token",
            f"It belongs to {run.account.username}, none of the models was found, and all of them are another "
            "account's. To strangers Replicate says that a private model does not exist. Use the token of the account "
            "that owns the models, and run again.",
        )
    elif run.account and 2 * foreign >= summary.total > 0:  # a few are a note, most of them are a wrong token
        yield Banner(
            "needs_sync",
            "Another account's models",
            f"The token belongs to {run.account.username}, but the models of {foreign:,} of "
            f"{counted(summary.total, 'user')} belong to another account. Private ones then look as if they did not "
            "exist.",
        )
    if view.news and run.baseline:
        marks, since = view.news.marks, instant(run.baseline.started_at)
        yield Banner(
            "needs_sync" if marks["new"] else "not_checked",
            f"{marks['new']:,} new since the baseline",
            f"{marks['known']:,} known, {marks['resolved']:,} resolved since the run of {since} ({run.baseline.path}).",
        )
    for each in stale(run.acceptances):
        yield Banner("needs_sync", each.sentence, f"{each.text}.")
    if part := narrowed(run):
        yield Banner("not_checked", "Part of the users", f"The run was narrowed: {part}.")
    if run.redacted:
        yield Banner("not_checked", "Redacted", "E-mail addresses and names are masked in this report.")


def _about_trainings(view: RunView) -> Iterator[Banner]:
    """What they do not say, where they were read."""
    trainings = view.run.trainings
    if trainings is None or trainings.began_at is None:
        return
    if wrong := view.summary.reasons.get(Reason.EVIDENCE_DISAGREES, 0):
        yield Banner(
            "error",
            "Do not trust this run's trainings",
            f"Of those who were settled by their trainings and asked for as a check, {counted(wrong, 'user')} "
            f"{'is' if wrong == 1 else 'are'} not up to date by their versions, so others may be wrong as well. Audit "
            "everybody by versions: sync-audit run --mode versions",
        )
    if not trainings.complete:
        yield Banner(
            "needs_sync",
            "Trainings incomplete",
            f"{extent(trainings)}. What a training would say of older versions is missing here.",
        )
    if trainings.mode == "trainings":
        yield Banner(
            "not_checked",
            "By trainings",
            f"Settled by trainings alone, without asking for the model: {counted(trainings.users_settled, 'user')}. "
            f"What that does not see: {UNSEEN}.",
        )


def head_facts(run: RunBlock) -> tuple[tuple[str, str], ...]:
    """Label and value of what tells one report from another."""
    account = f"{run.account.username} ({run.account.type})" if run.account else "not known"
    return (
        ("Started", time_element(run.started_at)),
        ("Took", duration(run.duration_seconds)),
        ("Database", run.database),
        ("Replicate account", account),
    )


def status_count(view: RunView, status: Status) -> Count:
    """The count of `status` with its share of all users."""
    count, total, accepted = view.summary.statuses[status], view.summary.total, view.accepted.statuses.get(status, 0)
    share = 100 * count / total if total else 0.0
    text = "under 0.1 %" if 0 < share < 0.1 else "over 99.9 %" if 99.9 < share < 100 else f"{share:.1f} %"
    text = text.replace(".0 %", " %") + (f", {accepted:,} accepted" if accepted else "")
    section = status.value if view.open[status] else "accepted" if accepted else "why"
    return Count(status.value, STATUS_TITLES[status], count, text, section)
