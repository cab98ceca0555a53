"""What `run` does inside GitHub Actions: Markdown for the step's summary, annotations for the log.

The runner obeys what it finds in a log: lines that begin with `::`, and `##[` anywhere. So as long as a run talks, the
runner is told not to listen; annotations are kept back until it listens again. They go to stderr, as stdout
carries nothing but reports.
"""

import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import click

from audit.errors import AuditError

if TYPE_CHECKING:
    from audit.models import ExitCode
    from audit.report.view import RunView

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

    def tell(self, view: "RunView", code: "ExitCode") -> None:
        """Add the run to the annotations and to the step's summary; where that fails, a warning is all."""
        if not self._here:
            return
        from audit.report.annotations import annotations

        try:
            self._said.extend(annotations(view, code))
            if self._summary:
                _append(Path(self._summary), view)
        except (OSError, AuditError) as error:
            log.warning("the step summary could not be written: %s", getattr(error, "strerror", None) or error)

    def failed(self, error: AuditError) -> None:
        """Add what ended the run to the annotations."""
        from audit.report.annotations import failure

        self._said.append(failure(error))


def _append(path: Path, view: "RunView") -> None:
    """Add the Markdown to what this step has put into its summary already; all of it has to fit GitHub's limit."""
    from audit.report.md_report import LEAST, LIMIT, render_within

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
