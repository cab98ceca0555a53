"""`sync-audit run`: the audit."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from audit.cli import options
from audit.cli import settings as told
from audit.cli.errors import failure, show_error
from audit.errors import AuditError

if TYPE_CHECKING:
    from audit.cli.settings import Said
    from audit.cli.signals import Stop
    from audit.commands.replicate import ProgressListener
    from audit.commands.run.progress import Shown
    from audit.commands.settings import ResumeSettings, RunSettings
    from audit.model.exit_status import ExitStatus
    from audit.report.view import RunView
    from audit.runfile import RunFile

    Work: TypeAlias = Callable[[ProgressListener, Stop], Awaitable[RunFile]]
    Tell: TypeAlias = Callable[[RunView, int], None]


@click.command("run")
@options.database_url
@options.token_file
@options.base_url
@options.output("default: HTML and CSV in reports/")
@click.option(
    "--run-file",
    metavar="PATH",
    shell_complete=options.files,
    help="Where the run itself is kept.  [default: reports/sync-audit-<UTC time>.sqlite]",
)
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=options.files,
    help="Finish the stopped run of this run file, or ask again for what failed in passing.",
)
@options.concurrency
@options.shared_rate
@options.timeout
@options.retries
@options.statement_timeout
@options.users
@click.option("--limit", metavar="N", help="Only the first N users: a trial run.")
@options.shard
@options.order_by
@options.include_tests
@options.trainings
@click.option(
    "--baseline",
    metavar="RUN",
    shell_complete=options.files,
    help="Mark each finding as new, known or resolved since this run file or JSON report.",
)
@click.option(
    "--fail-on",
    metavar="WHICH",
    help="Which users in need end the run in 3: any, new (since --baseline; known errors then count no more), or "
    "never. An incomplete run ends in 4 all the same.  [default: any]",
)
@options.accept("sync-audit-accept.toml, here or above")
@options.redact
@options.exit_zero
@options.github
@options.talk
@told.config
def command(**given: object) -> "ExitStatus":
    """Audit all users and write reports.

    Reads PostgreSQL once, in one read-only snapshot, and asks Replicate for each model once. Ends in 0 if everybody
    is up to date, 3 if somebody needs a sync, 4 if somebody could not be checked, 5 if nothing could be started.
    """
    from audit.commands.run.github import Workflow

    said = told.said("run", given)
    with Workflow(said.environ, wanted=said.text("github") != "off") as workflow:
        try:
            return _run(said, workflow.tell)
        except AuditError as error:
            workflow.failed(error)
            return failure(error)


def _run(said: "Said", tell: "Tell") -> "ExitStatus":
    if said.options.get("resume") is not None:
        return _resume(Path(str(said.options["resume"])), said, tell)
    from audit.commands.accept.file import acceptances_for
    from audit.commands.settings import run_settings
    from audit.model.times import utc_now

    settings = replace(run_settings(said, utc_now()), acceptances=acceptances_for(said))
    return perform(settings, said, tell)


def perform(settings: "RunSettings", said: "Said", tell: "Tell | None" = None) -> "ExitStatus":
    """Audit as `settings` say and report; what `run` and `demo` share. `said` is asked about stderr and exit code.

    `tell` is given the run and what it ends in, when the reports are written.
    """
    from audit.commands.run import audit as app

    return _conduct(settings, said, lambda listener, stop: app.audit(settings, listener, stop), tell)


def _resume(path: Path, said: "Said", tell: "Tell") -> "ExitStatus":
    from audit.commands.accept.file import acceptances_for, judges_anew
    from audit.commands.run import audit as app
    from audit.commands.run.resume import resume_settings

    with app.open_to_resume(path) as run_file:
        settings = resume_settings(said, run_file.info, run_file.choices)
        if judges_anew(said.asked_of_config()):
            settings = replace(settings, replaces_acceptances=True, acceptances=acceptances_for(said))
        return _conduct(settings, said, lambda listener, stop: app.resume(run_file, settings, listener, stop), tell)


def _conduct(
    settings: "RunSettings | ResumeSettings", said: "Said", work: "Work", tell: "Tell | None" = None
) -> "ExitStatus":
    """Do `work` under the eyes of a person who may stop it, then write the reports and say what was found."""
    from audit.cli import logs
    from audit.cli.signals import Stop, signals
    from audit.commands import outputs as reporting
    from audit.commands.replicate import StoppedError
    from audit.commands.run import summary as ending
    from audit.commands.run.progress import progress
    from audit.model.exit_status import INCOMPLETE, RUN
    from audit.report.view import RunView
    from audit.report.writer import Output

    quiet = said.flag("quiet")
    formatter = logs.Formatter(
        (*settings.secrets, os.environ.get("PGPASSWORD", "")), as_json=said.text("log_format") == "json"
    )
    shown = progress(wanted=not quiet and not said.flag("no_progress"), worded=formatter.worded)
    logs.set_up(formatter, -1 if quiet else int(said.text("verbose") or 0), shown.line)

    with signals() as caught:

        async def conducted() -> "RunFile":
            stop = Stop()
            caught.stops(stop)
            announcing = asyncio.create_task(_announce(stop, shown))
            try:
                return await work(shown, stop)
            finally:
                announcing.cancel()

        try:
            run_file = asyncio.run(conducted())
        except StoppedError as error:
            show_error(error)
            raise SystemExit(caught.code or INCOMPLETE) from None  # there is no report to be announced
        with run_file:
            outputs = [Output(*each) for each in settings.outputs]
            outcome = reporting.report(run_file, outputs, exit_zero=said.flag("exit_zero"))
            ending.show(outcome, run_file, advise="resume" in said.options)  # the demo's servers will be gone
            interrupted = outcome.info.state == "interrupted"
            status = RUN[caught.code] if interrupted and caught.code else outcome.exit_status
            if tell:
                tell(RunView(run_file), status.code)
    return status


async def _announce(stop: "Stop", shown: "Shown") -> None:
    await stop.wait()
    shown.stopping()
