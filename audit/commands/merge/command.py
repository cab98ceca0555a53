"""`sync-audit merge`: makes one run file of those of all shards."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audit.cli import options
from audit.cli.settings import Command, Setting, is_typed

if TYPE_CHECKING:
    from audit.commands.merge.merge import MergeSettings
    from audit.model.exit_status import ExitStatus

ONE_MERGE = "it is about one merge: write it on the command line of `sync-audit merge`"


@click.command(
    "merge",
    cls=Command,
    own=("output", "accept", "run-file"),
    settings=(
        options.run_file.but(
            help="Where the merged run is kept; no file may be there.",
        ),
        Setting(
            "--partial",
            is_flag=True,
            refused=ONE_MERGE,
            help="Merge even if shards are missing or unfinished; the merged run is then incomplete, and says so.",
        ),
        Setting(
            "--any-account",
            is_flag=True,
            refused=ONE_MERGE,
            help="Merge shards that were run with tokens of different accounts.",
        ),
        options.moved_from.but(
            help="Where some shards were made, if the database has since moved to another server, port or name.",
        ),
        options.output.but(show_default="HTML and CSV beside the merged run file"),
        options.accept.but(show_default="as in the shards"),
        *(options.no_accept, options.csv_for_excel, options.redact, options.exit_zero),
        options.allow_empty.but(show_default="as in the shards"),
        *(options.summary, *options.amount),
    ),
)
@click.argument("shards", metavar="RUN...", nargs=-1, required=True, type=options.RunPath())
@click.pass_context
def command(ctx: click.Context, /, shards: tuple[str, ...], **given: Any) -> "ExitStatus":
    """Combine the run files of all shards (run --shard K/N) into one run, and write its reports.

    Needs neither database nor token, and changes no shard. The reports are those of a single run, but for what they say
    of the run itself. A shard that is missing, doubled or of another audit is refused. Ends as run does: in 0, 3, or 4
    if users could not be checked; in 2 if the shards do not fit together, 5 if a file cannot be read or written.
    """
    from audit.cli.signals import leaving
    from audit.cli.terminal import busy
    from audit.commands import outputs as reporting
    from audit.commands.latest import point_latest
    from audit.commands.merge import merge as app_merge
    from audit.commands.run import summary as ending
    from audit.commands.settings import REPORTS
    from audit.files import make_reports
    from audit.report.writer import Output
    from audit.runfile import TakenError

    merged = None
    with leaving():
        while merged is None:
            settings = _settings(tuple(map(Path, shards)), ctx)
            wanted = [Output(*each) for each in settings.outputs]
            if given["run_file"] is None:
                make_reports(Path(REPORTS))
            reporting.check_outputs(wanted, settings.run_file, *settings.inputs)
            reporting.check_csv(wanted, for_excel=is_typed(ctx, options.csv_for_excel.id))
            try:
                with busy("merging the shards"):
                    merged = app_merge.merge(settings)
            except TakenError:  # by another run of the same second, as the name was free: take the next one
                if given["run_file"] is not None:
                    raise
        with merged.run_file as run_file:
            with reporting.writing(wanted):
                reported = reporting.report(
                    run_file, wanted, exit_zero=given["exit_zero"], csv_for_excel=given["csv_for_excel"]
                )
            point_latest(run_file, wanted)
            talk = ending.Talk(given["quiet"], given["verbose"], caveats=merged.caveats)
            ended = ending.end(reported, run_file, talk)
            reporting.print_message(reported, run_file, given["summary"])
    return ended


def _settings(inputs: tuple[Path, ...], ctx: click.Context) -> "MergeSettings":
    from audit.commands.accept.file import acceptances_for, replaces_acceptances
    from audit.commands.merge.merge import MergeSettings
    from audit.commands.settings import default_run_file, outputs_beside
    from audit.model.times import utc_now

    given, anew = ctx.params, replaces_acceptances(ctx)
    path = Path(given["run_file"] or default_run_file(utc_now()))
    return MergeSettings(
        inputs=inputs,
        run_file=path,
        outputs=given["outputs"] or outputs_beside(path),
        partial=given["partial"],
        any_account=given["any_account"],
        moved_from=given["moved_from"],
        redact=given["redact"],
        allow_empty=given["allow_empty"],
        replaces_acceptances=anew,
        acceptances=acceptances_for(ctx) if anew else None,
    )
