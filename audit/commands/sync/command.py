"""`sync-audit sync`: the repair."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli import options
from audit.cli import settings as told

if TYPE_CHECKING:
    from audit.commands.sync.settings import PlanSettings
    from audit.model.exit_status import ExitStatus

OF_THE_PLAN = ("output", "include", "max_age", "user", "limit", "redact")
OF_ASKING = ("no_recheck", "touch", "token_file", "concurrency", "rate", "timeout", "retries")
OF_CHANGES = (*OF_ASKING, "yes", "database_url", "statement_timeout")


@click.command("sync")
@click.argument("run_file", metavar="[RUN]", required=False, shell_complete=options.files)
@click.option("--apply", is_flag=True, help="Make the changes of the plan, each row only if it is still what it was.")
@click.option(
    "--undo", metavar="FILE", shell_complete=options.files, help="Put back what an ...-undo.sql says; no RUN then."
)
@click.option("--yes", is_flag=True, help="Do not ask for a confirmation.")
@click.option("--no-recheck", is_flag=True, help="Do not ask Replicate again for each version right before it is set.")
@click.option("--touch", is_flag=True, help="Set updated_at too; otherwise it is left alone.")
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    shell_complete=options.files,
    help="Write the plan as JSON too; - is standard output.",
)
@click.option(
    "--include",
    multiple=True,
    metavar="REASON",
    help="Change these users too: unknown_version or malformed_version; repeatable.",
)
@click.option(
    "--max-age",
    metavar="TIME",
    help="Leave users out who were checked longer ago: 90m, 2h, 1d or seconds.  [default: 1h]",
)
@options.users
@click.option("--limit", metavar="N", help="Change at most N rows: a trial.")
@options.redact
@options.database_url
@options.token_file
@options.concurrency
@options.rate
@options.timeout
@options.retries
@options.statement_timeout
@told.config
def command(run_file: str | None, output: str | None, apply: bool, undo: str | None, **given: object) -> "ExitStatus":  # noqa: FBT001 - click
    """Repair all users of the run file RUN who need a sync: plan it, and with --apply do it.

    Shows which rows would get which version and weights URL, and who is left out and why, and writes two files beside
    RUN for psql: ...-apply.sql, and ...-undo.sql, which puts everything back. Without --apply or --undo nothing is
    changed and nobody asked; it ends in 3 if there is something to change, 0 if not.

    With --apply, and with --undo, it ends in 0 if everything was done, 4 if rows were skipped or failed, 5 if nothing
    could be begun. A row that somebody has edited since the audit is skipped and named, never overwritten.
    """
    from audit.commands.sync.settings import plan_settings
    from audit.errors import SettingsError

    said = told.said("sync", given)
    if undo is not None:
        from audit.commands.sync.confirm import take_back

        if run_file is not None or apply:
            raise SettingsError("--undo takes a file and nothing else: neither RUN nor --apply")
        _refuse((*OF_THE_PLAN, *OF_ASKING), given | {"output": output}, "with --undo")
        return take_back(Path(undo), said)
    if run_file is None:
        raise SettingsError("RUN is missing", "Name the .sqlite file that a run has written, or --undo FILE.")
    wanted = plan_settings(said)
    if apply:
        from audit.commands.sync.confirm import apply as applied

        return applied(Path(run_file), output, wanted, said)
    _refuse(OF_CHANGES, given, "without --apply")
    return _plan(Path(run_file), output, wanted)


def _refuse(names: tuple[str, ...], given: Mapping[str, object], where: str) -> None:
    from audit.errors import SettingsError

    for name in names:
        if given.get(name):
            raise SettingsError(f"--{name.replace('_', '-')} has no meaning {where}")


def _plan(path: Path, output: str | None, wanted: "PlanSettings") -> "ExitStatus":
    from audit.cli.signals import leaving
    from audit.cli.terminal import Page, screen
    from audit.commands.sync import files as app_sync
    from audit.commands.sync import plan as app_plan
    from audit.commands.sync.screen import show
    from audit.model.times import utc_now
    from audit.runfile import RunFile

    with leaving(), RunFile.open(path) as run_file:
        planned = app_sync.make(app_plan.Plan(run_file, wanted, utc_now()), path, output)
    show(planned, Page(screen(stderr=output == "-")))
    return planned.exit_status
