"""`sync-audit render`: reports again, from a run file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli import options, show_error, told

if TYPE_CHECKING:
    from audit.cli import Code


@click.command("render")
@click.argument("run_file", metavar="RUN")
@options.output("default: HTML and CSV beside RUN")
@options.redact
@options.exit_zero
@told.config
def command(run_file: str, **given: object) -> "Code":
    """Write the reports of a run again, from its run file RUN.

    Needs neither database nor token. The reports are the same, byte for byte, and so is the exit code.
    """
    from audit import reporting
    from audit.cli import ending
    from audit.cli.stopping import leaving
    from audit.ledger import DamagedError, Ledger, salvaged
    from audit.models import ExitCode
    from audit.report.writer import Output
    from audit.settings import outputs_from

    said = told.said("render", given)
    path, redact = Path(run_file), said.flag("redact")
    wanted = [Output(*each) for each in outputs_from(said)] or [
        Output("html", str(path.with_suffix(".html"))),
        Output("csv", str(path.with_suffix(".csv"))),
    ]
    reporting.check_outputs(wanted, path)
    with leaving():
        try:
            with Ledger.open(path) as ledger:
                outcome = reporting.report(ledger, wanted, redact=redact)
                ending.show(outcome, ledger)
        except DamagedError as error:
            show_error(error)
            with salvaged(path) as rest:
                outcome = reporting.report(rest, wanted, redact=redact)
                ending.show(outcome, rest)
    return ExitCode.OK if outcome.code == ExitCode.NEEDS_SYNC and said.flag("exit_zero") else outcome.code
