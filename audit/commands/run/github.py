"""What `run` does inside GitHub Actions: Markdown for the step's summary, annotations for the log.

The runner obeys what it finds in a log: lines that begin with `::`, and `##[` anywhere. `cli.streams` spells out what
would make a command of a text, on both streams and in all commands. As long as a run talks, the runner is told
not to listen besides; annotations are kept back until it listens again. They go to stderr, as stdout carries nothing
but reports.
"""

import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Literal

import click

from audit.cli.streams import obeyed
from audit.errors import AuditError
from audit.files import open_to_append
from audit.hints.explain import EXPLANATIONS
from audit.model.codes import Reason, Status
from audit.model.exit_status import OK
from audit.model.text import RUNNER_COMMAND, escape_controls, os_cause, shortened
from audit.report.answer import answer
from audit.report.steps import steps
from audit.report.view import ATTENTION, RunView
from audit.report.words import lines, named, not_in_baseline, stale

Level = Literal["error", "warning", "notice"]
MOST = 10
"""How many of one level GitHub shows."""
NAMED = 5
"""How many users a reason names."""
_ROOM_FOR_A_NAME = 100
_ROOM = 4000
_PAGE = re.compile(r"https?://[\w.:-]+/[\w.-]+/[\w.-]+/actions/runs/[0-9]+", re.ASCII)
log = logging.getLogger(__name__)
_EXPLAINED = {each.code: each for each in EXPLANATIONS}


def annotations(view: RunView, code: int) -> Iterator[str]:
    """The outcome, an error where `code` ends the step as failed; then the reasons, gravest first, as warnings."""
    said = answer(view)
    needed = any(view.open[status] for status in ATTENTION)
    level: Level = "error" if code != OK else "warning" if needed else "notice"
    yield command(level, f"sync-audit: {said.title}: {said.headline}", " ".join(_outcome(view)))
    counts = view.open_reasons
    reasons = sorted((each for each in counts if each is not Reason.LATEST_VERSION), key=_gravity)
    most = MOST - (level == "warning")
    shown = reasons if len(reasons) <= most else reasons[: most - 1]
    for reason in shown:
        about = _EXPLAINED[reason.value]
        title = f"{about.title}: {lines(view, counts[reason])}"
        yield command("warning", title, f"{_names(view, reason)}. {about.meaning}")
    if rest := reasons[len(shown) :]:
        users = lines(view, sum(counts[reason] for reason in rest))
        titles = ", ".join(f"{_EXPLAINED[reason.value].title} ({counts[reason]:,})" for reason in rest)
        yield command("warning", f"{len(rest)} more reasons: {users}", titles)


def _outcome(view: RunView) -> Iterator[str]:
    yield from answer(view).below
    if first := next(iter(steps(view)), None):
        yield f"{first.text}{f': {first.command}' if first.command else ''}"
    if view.since_baseline:
        counts = view.since_baseline.states
        yield f"Since the baseline: {counts['new']:,} new, {counts['known']:,} known, {counts['resolved']:,} resolved."
    if unlooked := not_in_baseline(view.run):
        yield unlooked
    yield from (f"{each.sentence}: {each.text}." for each in stale(view.accepted))


def failure(error: AuditError) -> str:
    """The annotation of an error that ended the command."""
    return command("error", "sync-audit could not do its work", f"{error}. {error.next_step}".rstrip(". ") + ".")


def command(level: Level, title: str, message: str) -> str:
    """One workflow command; whatever is in `title` and `message`, it is one line and no other command."""
    title = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={title}::{_escaped(message)}"


def _escaped(text: str) -> str:
    harmless = re.sub(RUNNER_COMMAND, lambda match: f"{match[0][:-1]}\\x5b", escape_controls(text))
    return shortened(harmless, _ROOM).replace("%", "%25")


def _gravity(reason: Reason) -> int:
    return list(Status).index(reason.status)


def _names(view: RunView, reason: Reason) -> str:
    users = (user for user in view.users(reason.status, reason) if not user.accepted)
    names = [shortened(escape_controls(named(view, user.record)), _ROOM_FOR_A_NAME) for user in islice(users, NAMED)]
    more = view.open_reasons[reason] - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")


class Workflow:
    """Keeps the runner from obeying what a run prints, and annotates the step at the end; elsewhere does nothing."""

    def __init__(self, environ: Mapping[str, str], *, wanted: bool) -> None:
        """`environ` tells whether this is GitHub Actions, and where the step's summary is."""
        self._here = wanted and environ.get("GITHUB_ACTIONS") == "true"
        self._summary = environ.get("GITHUB_STEP_SUMMARY") or None
        self._artifacts = _artifacts(environ)
        self._silence = secrets.token_hex(16)
        self._annotations: list[str] = []

    def __enter__(self) -> "Workflow":
        if self._here:
            _tell(f"::stop-commands::{self._silence}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._here:
            _tell(f"::{self._silence}::", *self._annotations)

    def add_run(self, view: RunView, code: int) -> None:
        """Add a run, which ends in `code`, to the annotations and the step's summary; failing that, log a warning."""
        if not self._here:
            return
        try:
            self._annotations.extend(annotations(view, code))
            if self._summary:
                _append(Path(self._summary), view, self._artifacts)
        except (OSError, AuditError) as error:
            log.warning(
                "the step summary could not be written: %s", os_cause(error) if isinstance(error, OSError) else error
            )

    def add_failure(self, error: AuditError) -> None:
        """Add an error that ended the command to the annotations."""
        self._annotations.append(failure(error))


def _tell(*commands: str) -> None:
    with obeyed():
        for each in commands:
            click.echo(each, err=True)


def _artifacts(environ: Mapping[str, str]) -> str:
    """Markdown that leads to what the workflow has uploaded; "" where GitHub does not say which run it is."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    page = "{}/{}/actions/runs/{}".format(*(environ.get(name, "") for name in names))
    return f"\n[Reports of this workflow run]({page}#artifacts)\n" if _PAGE.fullmatch(page) else ""


def _append(path: Path, view: RunView, artifacts: str) -> None:
    """Add the Markdown to what this step has put into its summary already; all of it has to fit GitHub's limit."""
    from audit.report.markdown import LEAST, LIMIT, render_within

    with open_to_append(path) as file:
        size = file.tell() if file.seekable() else 0
        between = b"\n\n" if size else b""
        room = LIMIT - size - len(between) - len(artifacts)
        if room < LEAST:
            log.warning("the step summary is full (%d KiB): the report is not in it", size >> 10)
            return
        file.write(between)
        render_within(view, file, room)
        file.write(artifacts.encode())
