"""How an error that ends a command is shown, and the exit code that it leads to."""

from typing import Protocol, runtime_checkable

import click

from audit.errors import AuditError, SettingsError
from audit.model.text import escape_controls


@runtime_checkable
class Code(Protocol):
    """How a command ended: `models.ExitCode`, or an enum of the command's own."""

    @property
    def meaning(self) -> str:
        """What the last line on stderr says of it."""

    def __int__(self) -> int: ...


def _meant(code: int) -> Code:
    """`code` with its meaning; imported late, as all that is heavy."""
    from audit.model.codes import ExitCode

    return ExitCode(code)


def failure(error: AuditError) -> Code:
    """Say what ended a command, and what it ends in."""
    show_error(error)
    return _meant(2 if isinstance(error, SettingsError) else 5)


def show_error(error: AuditError) -> None:
    """An error and its next step on stderr, whatever is in them."""
    click.echo(f"Error: {escape_controls(str(error))}", err=True)
    if error.next_step:
        click.echo(f"  {escape_controls(error.next_step)}", err=True)
