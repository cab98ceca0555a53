"""What `run`, `render` and `merge` print besides at the end with `-v`: who is affected, what was read."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from rich.text import Text

from audit.cli.terminal import fitted
from audit.findings.redaction import redacted_user
from audit.hints.table import HINTS
from audit.hints.unfinished import brief, brief_also
from audit.model.codes import Reason, Status
from audit.model.findings import AuditedUser
from audit.model.text import escape_controls, shortened
from audit.model.users import email_or_id
from audit.report import words
from audit.report.view import ATTENTION, RunView
from audit.report.words import (
    beside,
    short_hash,
    weights_fact,
    weights_unchecked,
)
from audit.runfile import RunFile

NAMED = 3
"""How many users of each reason are named at most; the reports have them all."""
WIDEST = 100
"""Columns. Longer lines are hard to read, and chats wrap them."""
_ROOM_FOR_A_NAME = 12
"""Columns. Below that, titles stand alone."""
_BELOW = " " * 10
"""Before a line that belongs to the reason above it."""
_COLOURS = {
    Status.NEEDS_SYNC: "yellow",
    Status.ERROR: "red",
    Status.NOT_CHECKED: "magenta",
    Status.UP_TO_DATE: "green",
}
_HEADINGS = {status: words.STATUS_TITLES[status] for status in ATTENTION}


def details(view: RunView, run_file: RunFile, width: int) -> Iterator[Text]:
    """All reasons with their first users, what was read of trainings and weights, and an empty line."""
    yield from _table(view, run_file, width)
    yield from _trainings(view, width)
    yield from _weights(view, width)
    yield Text()


def _trainings(view: RunView, width: int) -> Iterator[Text]:
    """How far they were read and whom they settled, and a loud warning where they cannot be trusted."""
    read = view.run.trainings
    if read is None or read.began_at is None:  # of nobody or, where the run was stopped, not yet
        return
    if wrong := view.summary.reasons.get(Reason.EVIDENCE_DISAGREES, 0):
        loud = (
            f"Trainings and versions disagree on {wrong:,} of those who were asked for as a check: do not trust what "
            "trainings settled in this run. Audit everybody: sync-audit run --mode versions"
        )
        yield from _wrapped(loud, width, "bold red")
    back = f", back to {read.back_to[:10]}" if read.back_to else ""
    if read.mode == "trainings":
        text = f"{view.by_training:,} settled by trainings, {view.answered:,} asked; list of trainings read{back}"
    else:
        text = f"{read.read:,} trainings read{back}"
    if read.complete:
        yield from _wrapped(f"{text}.", width, "")
    else:
        why = escape_controls(read.problem or "the run ended before")
        yield from _wrapped(f"{text}, and not as far as needed: {why}", width, "yellow")


def _weights(view: RunView, width: int) -> Iterator[Text]:
    if view.weights:
        again = "; --resume asks for those again" if view.weights.not_told else ""
        yield from _wrapped(f"Weights asked for: {weights_fact(view)}{again}.", width, "")
    if weights_unchecked(view):
        also = "" if view.run.check_weights else ", --check-weights"
        yield Text(f"Weights were not checked; to check them: --trainings{also}")


def _wrapped(text: str, width: int, style: str) -> Iterator[Text]:
    for line in textwrap.wrap(text, width, break_on_hyphens=False):
        yield Text(line, style)


def _table(view: RunView, run_file: RunFile, width: int) -> Iterator[Text]:
    """A line for each reason that needs somebody, worst status first, with the first users; then what is accepted."""
    reasons = view.summary.reasons
    titles = max((len(HINTS[reason].title) for reason in reasons), default=0)

    def rows(counts: Mapping[Reason, int], *, accepted: bool) -> Iterator[Text]:
        for reason, count in counts.items():
            users = list(islice(_users_with(run_file, reason, accepted=accepted), NAMED))
            names = [_name(each, view) for each in users]
            yield _row(count, HINTS[reason].title, titles, names, width)
            for each, name in zip(users, names, strict=True):
                yield from _newest_row(each, name, view, width)

    for status, heading in _HEADINGS.items():
        open_here = {reason: count for reason, count in _open(view).items() if reason.status is status}
        if open_here:
            yield Text(heading, f"bold {_COLOURS[status]}")
            yield from rows(open_here, accepted=False)
            yield Text()
    if text := beside(view):
        yield from _wrapped(text, width, "bold yellow")
        yield Text()
    if text := words.further_models(view):
        yield from _wrapped(text, width, "yellow")
        yield Text()
    if counts := view.accepted.reasons:
        yield Text("Accepted", "bold cyan")
        yield from rows({reason: counts[reason] for reason in reasons if reason in counts}, accepted=True)
        yield Text()


def _newest_row(user: AuditedUser, name: str, view: RunView, width: int) -> Iterator[Text]:
    """What is known of a row that is not completed, and of the completed one beside it."""
    shown = redacted_user(user) if view.run.redacted else user
    told = [text for text in (brief(shown, view.run.started_at, short_hash), brief_also(shown)) if text]
    if told:
        text = f"{name}: {'; '.join(map(escape_controls, told))}"
        # A URL stays in one piece, however narrow it is: it is there to be pasted.
        wrapper = textwrap.TextWrapper(
            width,
            initial_indent=_BELOW,
            subsequent_indent=_BELOW,
            break_on_hyphens=False,
            break_long_words=False,
        )
        yield from (Text(line, "dim") for line in wrapper.wrap(text))


def _open(view: RunView) -> dict[Reason, int]:
    """Users by reason without those whose finding is accepted, in the order of all users by reason."""
    counts = view.open_reasons
    return {reason: counts[reason] for reason in view.summary.reasons if reason in counts}


def _users_with(run_file: RunFile, reason: Reason, *, accepted: bool) -> Iterator[AuditedUser]:
    return (user for user in run_file.users(reason.status, reason) if (user.accepted is not None) is accepted)


def _row(count: int, title: str, titles: int, names: Sequence[str], width: int) -> Text:
    start = Text.assemble(f"  {count:>6,}  ", title.ljust(titles))
    room = width - len(start) - 2
    if room < _ROOM_FOR_A_NAME:
        start.rstrip()
        start.truncate(width)
        return start
    return start.append("  ").append(fitted(names, count, room), "dim")


def _name(user: AuditedUser, view: RunView) -> str:
    redact = view.run.redacted
    record = redacted_user(user).record if redact else user.record
    which = words.which(view, record)
    name = shortened(escape_controls(email_or_id(record, redacted=redact)), 60)
    return f"{name} ({shortened(escape_controls(which), 60)})" if which else name
