"""`sync-audit run`: the audit."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from audit.cli import options
from audit.cli.errors import failure, show_error
from audit.cli.settings import Command
from audit.errors import AuditError
from audit.files import make_reports

if TYPE_CHECKING:
    from audit.cli.signals import Stop
    from audit.commands.replicate import ProgressListener
    from audit.commands.settings import ResumeSettings, RunSettings
    from audit.model.exit_status import ExitStatus
    from audit.model.run import Choices
    from audit.report.view import RunView
    from audit.runfile import RunFile

    Work: TypeAlias = Callable[[ProgressListener, Stop], Awaitable[RunFile]]
    Tell: TypeAlias = Callable[[RunView, int], None]


@click.command("run", cls=Command, settings=options.RUN, lenient=True)
@click.pass_context
def command(ctx: click.Context, /, **_: object) -> "ExitStatus":
    """Audit all users and write reports.

    Reads PostgreSQL once, in one read-only snapshot, and asks Replicate for each model once. Ends in 0 if everybody
    is up to date, 3 if somebody needs a sync, 4 if somebody could not be checked or there was nobody to audit, 5 if
    nothing could be started.
    """
    from audit.commands.run.github import Workflow

    with Workflow(os.environ, wanted=ctx.params["github"] != "off") as workflow:
        try:
            return _run(ctx, workflow.add_run)
        except AuditError as error:
            workflow.add_failure(error)
            return failure(error)


def _run(ctx: click.Context, tell: "Tell") -> "ExitStatus":
    if ctx.params["resume"] is not None:
        return _resume(Path(ctx.params["resume"]), ctx, tell)
    from audit.commands.accept.file import acceptances_for
    from audit.commands.settings import run_settings
    from audit.model.times import utc_now
    from audit.runfile import TakenError

    now = utc_now()
    while True:
        settings = replace(run_settings(ctx, now), acceptances=acceptances_for(ctx))
        _check_open(ctx.params, settings.choices)
        if ctx.params["run_file"] is None or not ctx.params["outputs"]:
            make_reports(Path(options.REPORTS))
        try:
            return perform(settings, ctx.params, tell)
        except TakenError:  # by another run of the same second, as the name was free: take the next one
            if ctx.params["run_file"] is not None:
                raise


def perform(settings: "RunSettings", given: Mapping[str, Any], tell: "Tell | None" = None) -> "ExitStatus":
    """Audit as `settings` say and report; what `run` and `demo` share. `given` are options about stderr and exit code.

    `tell` is given the run and what it ends in, when the reports are written.
    """
    from audit.commands.run import audit as app

    return _conduct(settings, given, lambda listener, stop: app.audit(settings, listener, stop), tell)


def _resume(path: Path, ctx: click.Context, tell: "Tell") -> "ExitStatus":
    from audit.commands.accept.file import acceptances_for, replaces_acceptances
    from audit.commands.run import audit as app
    from audit.commands.settings import resume_settings

    with app.open_to_resume(path) as run_file:
        settings = resume_settings(ctx, run_file.info, run_file.choices)
        settings = replace(settings, redact=settings.redact or run_file.info.redacted)
        if replaces_acceptances(ctx):
            settings = replace(settings, replaces_acceptances=True, acceptances=acceptances_for(ctx))
        _check_open(ctx.params, settings.choices)
        return _conduct(
            settings, ctx.params, lambda listener, stop: app.resume(run_file, settings, listener, stop), tell
        )


def _check_open(given: Mapping[str, Any], choices: "Choices") -> None:
    from audit.commands.outputs import page_to_open
    from audit.report.writer import Output

    if given["open_page"]:
        page_to_open([Output(*each) for each in choices.outputs])


def _conduct(
    settings: "ResumeSettings", given: Mapping[str, Any], work: "Work", tell: "Tell | None" = None
) -> "ExitStatus":
    """Do `work` under the eyes of a person who may stop it, then write the reports and say what was found."""
    import asyncio

    from audit.cli import logs
    from audit.cli.signals import Stop, signals
    from audit.commands import outputs as reporting
    from audit.commands.replicate import StoppedError
    from audit.commands.run import summary as ending
    from audit.commands.run.progress import listener
    from audit.model.exit_status import INCOMPLETE, RUN
    from audit.report.view import RunView
    from audit.report.writer import Output

    quiet = given["quiet"]
    secrets = (*settings.secrets, os.environ.get("PGPASSWORD", ""))
    as_json, redact = given["log_format"] == "json", settings.redact
    formatter = logs.Formatter(secrets, tokens=(settings.token,), as_json=as_json, redact=redact)
    shown = listener(wanted=not quiet and not given["no_progress"], worded=formatter.worded, redacted=redact)
    logs.set_up(formatter, -1 if quiet else given["verbose"], shown.line)

    with signals() as caught:

        async def conducted() -> "RunFile":
            stop = Stop()
            caught.stops(stop)
            announcing = asyncio.create_task(_announce(stop, shown))
            try:
                return await work(shown, stop)
            finally:
                announcing.cancel()
                shown.done()

        try:
            run_file = asyncio.run(conducted())
        except StoppedError as error:
            show_error(error)
            raise SystemExit(caught.code or INCOMPLETE) from None  # there is no report to be announced
        with run_file:
            outputs = [Output(*each) for each in settings.choices.outputs]
            if not reporting.prints(outputs):
                shown.doing(reporting.WRITING)
            try:
                reported = reporting.report(run_file, outputs, exit_zero=given["exit_zero"])
            finally:
                shown.done()
            ending.show(reported, run_file, advise="resume" in given)  # the demo's servers will be gone
            interrupted = reported.view.run.state == "interrupted"
            status = RUN[caught.code] if interrupted and caught.code else reported.exit_status
            if given.get("open_page"):
                reporting.open_page(outputs)
            if tell:
                tell(RunView(run_file), status.code)
    return status


async def _announce(stop: "Stop", shown: "ProgressListener") -> None:
    await stop.wait()
    shown.stopping()
