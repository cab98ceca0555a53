"""`sync-audit render`: reports again, from a run file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli import options
from audit.cli import settings as told
from audit.cli.errors import show_error

if TYPE_CHECKING:
    from audit.model.exit_status import ExitStatus


@click.command("render")
@click.argument("run_file", metavar="RUN", shell_complete=options.files)
@options.output("default: HTML and CSV beside RUN")
@options.accept("as in the run")
@options.redact
@options.exit_zero
@told.config
def command(run_file: str, **given: object) -> "ExitStatus":
    """Write the reports of a run again, from its run file RUN.

    Needs neither database nor token. The reports are the same, byte for byte, and so is the exit code; with --accept
    or --no-accept they are as if the run had been made so.
    """
    from audit.cli.signals import leaving
    from audit.cli.values import outputs_from
    from audit.commands import outputs as reporting
    from audit.commands.accept.file import acceptances_for, judges_anew
    from audit.commands.run import summary as ending
    from audit.commands.settings import outputs_beside
    from audit.report.writer import Output
    from audit.runfile import DamagedError, RunFile, open_salvaged

    said = told.said("render", given)
    path, redact = Path(run_file), said.flag("redact")
    wanted = [Output(*each) for each in outputs_from(said) or outputs_beside(path)]
    reporting.check_outputs(wanted, path)
    anew, exit_zero = judges_anew(said), said.flag("exit_zero")
    acceptances = acceptances_for(said) if anew else None
    with leaving():
        try:
            with RunFile.open(path) as opened:
                if anew:
                    opened.use_acceptances(acceptances)
                outcome = reporting.report(opened, wanted, redact=redact, exit_zero=exit_zero)
                ending.show(outcome, opened)
        except DamagedError as error:
            show_error(error)
            with open_salvaged(path) as rest:
                if anew:
                    rest.use_acceptances(acceptances)
                outcome = reporting.report(rest, wanted, redact=redact, exit_zero=exit_zero)
                ending.show(outcome, rest)
    return outcome.exit_status
