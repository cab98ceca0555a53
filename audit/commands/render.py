"""`sync-audit render`: reports again, from a run file."""

from typing import TYPE_CHECKING, Any

import click

from audit.cli import options
from audit.cli.errors import show_error
from audit.cli.settings import Command, is_typed

if TYPE_CHECKING:
    from audit.model.exit_status import ExitStatus


@click.command(
    "render",
    cls=Command,
    own=("output", "accept"),
    settings=(
        options.output.but(show_default="HTML and CSV beside RUN"),
        options.accept.but(show_default="as in the run"),
        options.open_page,
        *(options.no_accept, options.csv_for_excel, options.redact, options.exit_zero),
        options.allow_empty.but(show_default="as in the run"),
        *(options.summary, *options.amount),
    ),
)
@click.argument("run", metavar="[RUN]", required=False, type=options.RunPath())
@click.pass_context
def command(ctx: click.Context, /, run: str | None, **given: Any) -> "ExitStatus":
    """Write the reports of a run again, from its run file RUN.

    Without RUN, or with the word latest, it is the newest whole run of the same database in reports/.

    Needs neither database nor token. The reports are the same, byte for byte, and so is the exit code; with --accept
    or --no-accept they are as if the run had been made so.
    """
    from audit.cli.signals import leaving
    from audit.commands import outputs as reporting
    from audit.commands.accept.file import acceptances_for, replaces_acceptances
    from audit.commands.newest import the_run
    from audit.commands.run import summary as ending
    from audit.commands.settings import outputs_beside
    from audit.report.writer import Output
    from audit.runfile import DamagedError, RunFile, open_salvaged

    path = the_run(ctx, run)
    said = {name: given[name] for name in ("redact", "exit_zero", "allow_empty", "csv_for_excel")}
    wanted = [Output(*each) for each in given["outputs"] or outputs_beside(path)]
    if given["open_page"]:
        reporting.page_to_open(wanted)
    reporting.check_outputs(wanted, path)
    reporting.check_csv(wanted, for_excel=is_typed(ctx, options.csv_for_excel.id))
    talk = ending.Talk(given["quiet"], given["verbose"])
    anew = replaces_acceptances(ctx)
    acceptances = acceptances_for(ctx) if anew else None
    with leaving():
        try:
            with RunFile.open(path) as opened:
                with reporting.writing(wanted):
                    opened.check_integrity()
                    if anew:
                        opened.use_acceptances(acceptances)
                    reported = reporting.report(opened, wanted, **said)
                ended = ending.end(reported, opened, talk)
                reporting.print_message(reported, opened, given["summary"])
        except DamagedError as error:
            show_error(error)
            with open_salvaged(path) as rest:
                if anew:
                    rest.use_acceptances(acceptances)
                with reporting.writing(wanted):
                    reported = reporting.report(rest, wanted, **said)
                # nothing else goes on from a damaged file
                ended = ending.end(reported, rest, talk._replace(advise=False))
                reporting.print_message(reported, rest, given["summary"])
    if given["open_page"]:
        reporting.open_page(wanted)
    return ended
