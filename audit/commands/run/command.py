"""`sync-audit run`: the audit."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from audit.cli import options
from audit.cli.errors import failure
from audit.cli.settings import Command, is_typed
from audit.errors import AuditError
from audit.files import make_reports
from audit.model.text import escape_controls

if TYPE_CHECKING:
    from audit.cli.signals import Stop
    from audit.commands.outputs import ReportedRun
    from audit.commands.replicate import ProgressListener
    from audit.commands.run.summary import Talk
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
    is up to date, 3 if users need a sync, 4 if users could not be checked or there was nobody to audit, 5 if
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
        _check_outputs(ctx, settings.choices)
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
        _check_outputs(ctx, settings.choices)
        return _conduct(
            settings, ctx.params, lambda listener, stop: app.resume(run_file, settings, listener, stop), tell
        )


def _check_outputs(ctx: click.Context, choices: "Choices") -> None:
    from audit.commands.outputs import check_csv, page_to_open
    from audit.report.writer import Output

    outputs = [Output(*each) for each in choices.outputs]
    check_csv(outputs, for_excel=is_typed(ctx, options.csv_for_excel.id))
    if ctx.params["open_page"]:
        page_to_open(outputs)


def _conduct(
    settings: "ResumeSettings", given: Mapping[str, Any], work: "Work", tell: "Tell | None" = None
) -> "ExitStatus":
    """Do `work` under the eyes of a person who may stop it, then write the reports and say what was found."""
    import asyncio

    from audit.cli import logs
    from audit.cli.signals import Stop, signals
    from audit.commands.replicate import StoppedError
    from audit.commands.run.progress import listener
    from audit.model.exit_status import INCOMPLETE

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
            error.exit_code = caught.code or INCOMPLETE
            raise  # there is no report to be announced
        with run_file:
            reported = _report(run_file, settings, given, shown, lambda: caught.code)
            if tell:
                tell(reported.view, reported.exit_status.code)
    return reported.exit_status


def _report(
    run_file: "RunFile",
    settings: "ResumeSettings",
    given: Mapping[str, Any],
    shown: "ProgressListener",
    signal: Callable[[], int | None],
) -> "ReportedRun":
    """Write the reports of a run and say what was found; `signal` is the code of one that has come until then."""
    from audit.commands import outputs as reporting
    from audit.commands.latest import point_latest
    from audit.commands.run import summary as ending
    from audit.model.exit_status import ExitStatus
    from audit.report.cause import cause
    from audit.report.writer import Output

    outputs = [Output(*each) for each in settings.choices.outputs]
    if not reporting.prints(outputs):
        shown.doing(reporting.WRITING)
    try:
        reported = reporting.report(run_file, outputs, exit_zero=given["exit_zero"])
    finally:
        shown.done()
    point_latest(run_file, outputs)
    if reported.view.run.state == "interrupted" and (code := signal()):
        reported = reported._replace(exit_status=ExitStatus(code, cause(reported.view, code)))
    ended = ending.end(reported, run_file, _talk(given))
    reporting.print_message(reported, run_file, given.get("summary"))
    if given.get("open_page"):
        reporting.open_page(outputs)
    return reported._replace(exit_status=ended)


def _talk(given: Mapping[str, Any]) -> "Talk":
    from audit.commands.run.summary import Talk

    here = "resume" in given  # the demo's servers will be gone, and it has something to say itself
    return Talk(given["quiet"], given["verbose"], advise=here, beside=0 if here else 2)


async def _announce(stop: "Stop", shown: "ProgressListener") -> None:
    await stop.wait()
    shown.stopping(escape_controls(stop.reason or ""))
