"""`sync-audit merge`: the run files of shards, made one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli import options
from audit.cli import settings as told

if TYPE_CHECKING:
    from audit.cli.settings import Said
    from audit.commands.merge.merge import MergeSettings
    from audit.model.exit_status import ExitStatus


@click.command("merge")
@click.argument("shards", metavar="RUN...", nargs=-1, required=True, shell_complete=options.files)
@click.option(
    "--run-file",
    metavar="PATH",
    shell_complete=options.files,
    help="Where the merged run is kept; no file may be there.  [default: reports/sync-audit-<UTC time>.sqlite]",
)
@click.option(
    "--partial",
    is_flag=True,
    help="Merge although shards are missing or unfinished; the run is then incomplete, and says so.",
)
@click.option("--any-account", is_flag=True, help="Merge shards that were run with tokens of different accounts.")
@options.output("default: HTML and CSV beside the merged run file")
@options.accept("as in the shards")
@options.redact
@options.exit_zero
@told.config
def command(shards: tuple[str, ...], **given: object) -> "ExitStatus":
    """Make one run of the run files of all shards (run --shard K/N), and write its reports.

    Needs neither database nor token, and changes no shard. The reports are those of a single run, but for what they say
    of the run itself. A shard that is missing, doubled or of another audit is refused. Ends as run does: in 0, 3, or 4
    if somebody could not be checked; in 2 if the shards do not make one run, 5 if a file cannot be read or written.
    """
    from audit.cli.signals import leaving
    from audit.cli.terminal import busy
    from audit.commands import outputs as reporting
    from audit.commands.merge import merge as app_merge
    from audit.commands.run import summary as ending
    from audit.report.writer import Output

    said = told.said("merge", given)
    settings = _settings(tuple(map(Path, shards)), said)
    wanted = [Output(*each) for each in settings.outputs]
    reporting.check_outputs(wanted, settings.run_file, *settings.inputs)
    with leaving():
        with busy("merging the shards"):
            merged = app_merge.merge(settings)
        with merged.run_file as run_file:
            outcome = reporting.report(run_file, wanted, exit_zero=said.flag("exit_zero"))
            ending.show(outcome, run_file, doubts=merged.doubts)
    return outcome.exit_status


def _settings(inputs: tuple[Path, ...], said: "Said") -> "MergeSettings":
    from audit.cli.values import outputs_from
    from audit.commands.accept.file import acceptances_for, judges_anew
    from audit.commands.merge.merge import MergeSettings
    from audit.commands.settings import default_run_file, outputs_beside
    from audit.model.times import utc_now

    run_file = said.text("run_file")
    path = Path(run_file) if run_file else default_run_file(utc_now())
    anew = judges_anew(said)
    return MergeSettings(
        inputs=inputs,
        run_file=path,
        outputs=outputs_from(said) or outputs_beside(path),
        partial=said.flag("partial"),
        any_account=said.flag("any_account"),
        redact=said.flag("redact"),
        replaces_acceptances=anew,
        acceptances=acceptances_for(said) if anew else None,
    )
