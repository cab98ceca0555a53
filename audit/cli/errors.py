"""How a command ends on stderr: an error's next step, then the cause and the exit code in the last line."""

import io
import os
import sys
import textwrap

import click

from audit.errors import AuditError, SettingsError
from audit.model.exit_status import COULD_NOT_RUN, USAGE, ExitStatus
from audit.model.text import escape_controls


def failure(error: AuditError) -> ExitStatus:
    """Print the next step of the error that ended a command, and return what is to be its last line."""
    if error.next_step:
        click.echo(f"fix: {escape_controls(error.next_step)}", err=True)
    code = error.exit_code or (USAGE if isinstance(error, SettingsError) else COULD_NOT_RUN)
    return ExitStatus(code, f"Error: {escape_controls(str(error))}")


def usage_failure(error: click.ClickException) -> ExitStatus:
    """The same of an error that click has found on the command line."""
    shown = io.StringIO()
    error.show(file=shown)
    before, _, last = shown.getvalue().rstrip("\n").rpartition("\n")
    if before:
        click.echo(before.rstrip("\n"), err=True)
    return ExitStatus(USAGE, last)


def show_error(error: AuditError) -> None:
    """An error and its next step on stderr, where more follows."""
    click.echo(f"Error: {escape_controls(str(error))}", err=True)
    if error.next_step:
        click.echo(f"  {escape_controls(error.next_step)}", err=True)


def show_end(status: ExitStatus) -> None:
    """The last line: the cause and the code, or nothing. Only a terminal gets it wrapped: logs are searched by line."""
    if not status.meaning:
        return
    text = str(status)
    if sys.stderr.isatty():
        text = "\n".join(textwrap.wrap(text, _columns(), break_long_words=False, break_on_hyphens=False))
    click.echo(text, err=True)


def _columns() -> int:
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and 0 < int(said[:5]) < 10_000:
        return int(said[:5])
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
