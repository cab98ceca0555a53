"""How an error that ends a command is shown, and the exit code that it leads to."""

import click

from audit.errors import AuditError, SettingsError
from audit.model.exit_status import COULD_NOT_RUN, RUN, USAGE, ExitStatus
from audit.model.text import escape_controls


def failure(error: AuditError) -> ExitStatus:
    """Print the error that ended a command, and return its exit status."""
    show_error(error)
    return RUN[USAGE if isinstance(error, SettingsError) else COULD_NOT_RUN]


def show_error(error: AuditError) -> None:
    """An error and its next step on stderr, whatever is in them."""
    click.echo(f"Error: {escape_controls(str(error))}", err=True)
    if error.next_step:
        click.echo(f"  {escape_controls(error.next_step)}", err=True)
