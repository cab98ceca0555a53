"""A run as annotations of GitHub Actions: workflow commands, one to a line.

GitHub shows ten of each level for a step. So there is one for the run as a whole, and one for each reason that needs
somebody, which names the first users.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Literal

from audit.errors import AuditError
from audit.explanations import EXPLANATIONS
from audit.models import ExitCode, ModelRecord, Reason, Status
from audit.report.acceptance_words import stale
from audit.report.headline import exit_meaning, headline
from audit.report.view import ATTENTION, RunView
from audit.report.words import counted
from audit.visible import shortened, visible

Level = Literal["error", "warning", "notice"]

MOST = 10
"""How many of one level GitHub shows."""

NAMED = 5
"""How many users a reason names."""

_ROOM_FOR_A_NAME = 100
_ROOM = 4000
_EXPLAINED = {each.code: each for each in EXPLANATIONS}


def annotations(view: RunView, code: ExitCode) -> Iterator[str]:
    """The outcome, an error where `code` ends the step as failed; then the reasons, gravest first, as warnings."""
    _, sentence = headline(view)
    needed = any(view.open[status] for status in ATTENTION)
    level: Level = "error" if code is not ExitCode.OK else "warning" if needed else "notice"
    yield command(level, f"sync-audit: {sentence}", " ".join(_outcome(view)))
    counts = view.open_reasons
    reasons = sorted((each for each in counts if each is not Reason.LATEST_VERSION), key=_gravity)
    most = MOST - (level == "warning")
    shown = reasons if len(reasons) <= most else reasons[: most - 1]
    for reason in shown:
        told = _EXPLAINED[reason.value]
        title = f"{told.title}: {counted(counts[reason], 'user')}"
        yield command("warning", title, f"{_names(view, reason)}. {told.meaning}")
    if rest := reasons[len(shown) :]:
        users = sum(counts[reason] for reason in rest)
        said = ", ".join(f"{_EXPLAINED[reason.value].title} ({counts[reason]:,})" for reason in rest)
        yield command("warning", f"{len(rest)} more reasons: {counted(users, 'user')}", said)


def _outcome(view: RunView) -> Iterator[str]:
    yield exit_meaning(view)
    if view.news:
        marks = view.news.marks
        yield f"Since the baseline: {marks['new']:,} new, {marks['known']:,} known, {marks['resolved']:,} resolved."
    yield from (f"{each.sentence}: {each.text}." for each in stale(view.run.acceptances))
    if view.run.state != "complete":
        yield f"The run was {view.run.state} before its end: {view.run.stop_reason or 'no reason recorded'}"


def failure(error: AuditError) -> str:
    """What kept a run from starting, or its reports from being written."""
    return command("error", "sync-audit could not do its work", f"{error}. {error.next_step}".rstrip(". ") + ".")


def command(level: Level, title: str, message: str) -> str:
    """The workflow command; whatever is in `title` and `message`, it is one line and no other command."""
    head, said = (shortened(visible(text), _ROOM).replace("##[", "##\\x5b") for text in (title, message))
    return f"::{level} title={_escaped(head).replace(':', '%3A').replace(',', '%2C')}::{_escaped(said)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25")  # of line breaks, `visible` has left none


def _gravity(reason: Reason) -> int:
    return list(Status).index(reason.status)


def _names(view: RunView, reason: Reason) -> str:
    users = (user for user in view.users(reason.status, reason) if not user.accepted)
    names = [_name(user.record, redacted=view.run.redacted) for user in islice(users, NAMED)]
    more = view.open_reasons[reason] - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")


def _name(record: ModelRecord, *, redacted: bool) -> str:
    """The e-mail, or the id where there is none or where it is masked."""
    masked = redacted or not (record.email or "").strip()
    return shortened(visible(record.user_id if masked else record.email or ""), _ROOM_FOR_A_NAME)
