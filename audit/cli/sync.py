"""`sync-audit sync`: the repair."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli import options

if TYPE_CHECKING:
    from audit.repair_plan import PlanCode


@click.command("sync")
@click.argument("run_file", metavar="RUN")
@click.option("-o", "--output", metavar="PATH", help="Write the plan as JSON too; - is standard output.")
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
@click.option(
    "--user", multiple=True, metavar="WHO", help="Only this e-mail, user id or part of a model id; repeatable."
)
@click.option("--limit", metavar="N", help="Change at most N rows: a trial.")
@options.redact
def command(run_file: str, output: str | None, **given: object) -> "PlanCode":
    """Plan the repair of all users of the run file RUN who need a sync.

    Shows which rows would get which version and weights URL, and who is left out and why, and writes two files beside
    RUN for psql: ...-apply.sql, and ...-undo.sql, which puts everything back. Changes nothing and asks nobody. Ends in
    3 if there is something to change, 0 if not.
    """
    from audit import app_plan, app_sync
    from audit.cli.page import Page
    from audit.cli.screen import screen
    from audit.cli.stopping import leaving
    from audit.cli.sync_screen import show
    from audit.instants import utc_now
    from audit.ledger import Ledger
    from audit.settings_sync import plan_settings

    path = Path(run_file)
    settings = plan_settings(given)
    with leaving(), Ledger.open(path) as ledger:
        planned = app_sync.make(app_plan.Plan(ledger, settings, utc_now()), path, output)
    show(planned, Page(screen(stderr=output == "-")))
    return planned.code
