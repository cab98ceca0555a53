"""What `run` does inside GitHub Actions: Markdown for the step's summary, annotations for the log.

The runner obeys what it finds in a log: lines that begin with `::`, and `##[` anywhere. So as long as a run talks, the
runner is told not to listen; annotations are kept back until it listens again. They go to stderr, as stdout
carries nothing but reports.
"""

import logging
import secrets
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import click

from audit.errors import AuditError
from audit.hints.explain import EXPLANATIONS
from audit.model.codes import Reason, Status
from audit.model.exit_status import OK
from audit.model.text import escape_controls, shortened
from audit.model.users import ModelRecord, email_or_id
from audit.report.view import ATTENTION, RunView
from audit.report.words import counted, exit_meaning, headline, stale

if TYPE_CHECKING:
    from audit.report.view import RunView

Level = Literal["error", "warning", "notice"]
MOST = 10
"""How many of one level GitHub shows."""
NAMED = 5
"""How many users a reason names."""
_ROOM_FOR_A_NAME = 100
_ROOM = 4000
_EXPLAINED = {each.code: each for each in EXPLANATIONS}


def annotations(view: RunView, code: int) -> Iterator[str]:
    """The outcome, an error where `code` ends the step as failed; then the reasons, gravest first, as warnings."""
    _, sentence = headline(view)
    needed = any(view.open[status] for status in ATTENTION)
    level: Level = "error" if code != OK else "warning" if needed else "notice"
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
    if view.since_baseline:
        marks = view.since_baseline.states
        yield f"Since the baseline: {marks['new']:,} new, {marks['known']:,} known, {marks['resolved']:,} resolved."
    yield from (f"{each.sentence}: {each.text}." for each in stale(view.accepted))
    if view.run.state != "complete":
        yield f"The run was {view.run.state} before its end: {view.run.stop_reason or 'no reason recorded'}"


def failure(error: AuditError) -> str:
    """What kept a run from starting, or its reports from being written."""
    return command("error", "sync-audit could not do its work", f"{error}. {error.next_step}".rstrip(". ") + ".")


def command(level: Level, title: str, message: str) -> str:
    """The workflow command; whatever is in `title` and `message`, it is one line and no other command."""
    head, said = (shortened(escape_controls(text), _ROOM).replace("##[", "##\\x5b") for text in (title, message))
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
    return shortened(escape_controls(email_or_id(record, redacted=redacted)), _ROOM_FOR_A_NAME)


log = logging.getLogger(__name__)


class Workflow:
    """A step of a workflow, from its first line to its last; nothing at all where `here` is false."""

    def __init__(self, environ: Mapping[str, str], *, wanted: bool) -> None:
        """`environ` tells whether this is GitHub Actions, and where the step's summary is."""
        self._here = wanted and environ.get("GITHUB_ACTIONS") == "true"
        self._summary = environ.get("GITHUB_STEP_SUMMARY") or None
        self._silence = secrets.token_hex(16)
        self._said: list[str] = []

    def __enter__(self) -> "Workflow":
        if self._here:
            click.echo(f"::stop-commands::{self._silence}", err=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._here:
            click.echo(f"::{self._silence}::", err=True)
            for line in self._said:
                click.echo(line, err=True)

    def tell(self, view: "RunView", code: int) -> None:
        """Add the run to the annotations and to the step's summary; where that fails, a warning is all."""
        if not self._here:
            return

        try:
            self._said.extend(annotations(view, code))
            if self._summary:
                _append(Path(self._summary), view)
        except (OSError, AuditError) as error:
            log.warning("the step summary could not be written: %s", getattr(error, "strerror", None) or error)

    def failed(self, error: AuditError) -> None:
        """Add what ended the run to the annotations."""
        self._said.append(failure(error))


def _append(path: Path, view: "RunView") -> None:
    """Add the Markdown to what this step has put into its summary already; all of it has to fit GitHub's limit."""
    from audit.report.markdown import LEAST, LIMIT, render_within

    path.touch(0o600)
    with path.open("ab") as file:
        size = file.tell()
        between = b"\n\n" if size else b""
        room = LIMIT - size - len(between)
        if room < LEAST:
            log.warning("the step summary is full (%d KiB): the report is not in it", size >> 10)
            return
        file.write(between)
        render_within(view, file, room)
