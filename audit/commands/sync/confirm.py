"""`sync --apply` and `sync --undo` on the terminal: confirmed, run until done or stopped, and the result shown."""

import asyncio
import os
import shlex
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import click
from rich.console import Console
from rich.status import Status as Spinner

from audit.cli import logs
from audit.cli.heartbeat import PERIOD, Heartbeat
from audit.cli.signals import Stop, signals
from audit.cli.terminal import BOLD, Page, busy, can_animate, screen
from audit.commands.replicate import ProgressListener, Session, StoppedError
from audit.commands.settings import database_to_repair, repair_settings
from audit.commands.sync.apply import ApplyOptions, Repair
from audit.commands.sync.files import planned, sql_file, write_plan
from audit.commands.sync.result import RepairResult
from audit.commands.sync.screen import rows, show_plan, show_result
from audit.commands.sync.undo import Undo, UndoFile, run_beside
from audit.commands.waiting import Doing, held_up
from audit.errors import SettingsError
from audit.model.exit_status import INCOMPLETE, INTERRUPTED, REPAIR, ExitStatus
from audit.model.place import move
from audit.model.repair import ChangeState
from audit.model.run import RunInfo
from audit.model.tables import Column
from audit.model.text import escape_controls
from audit.model.times import utc_now, utc_text
from audit.postgres.url import Database
from audit.repair.plan import Plan
from audit.repair.rules import PlanSettings
from audit.runfile import RunFile

Work: TypeAlias = Callable[["TerminalListener", Stop], Coroutine[None, None, RepairResult]]


class TerminalListener(ProgressListener):
    """Shows on stderr what is being done, and rows that were not changed, each in a line.

    What is being done is one line that changes, on a terminal; a log gets a line where it takes long.
    """

    def __init__(self, console: Console, *, redacted: bool, period: float = PERIOD) -> None:
        self._console = console
        self._redacted = redacted
        self._spinner = Spinner("", console=console, spinner="line") if can_animate(console) else None
        self._session: Session | None = None
        self._step, self._since = Doing("connecting"), time.monotonic()
        self._heart = Heartbeat(self._words, self._print, period=period)

    def connected(self, session: Session) -> None:
        """A question without an answer is named from now on."""
        self._session = session
        self._begin(self._step)

    def doing(self, what: str) -> None:
        """Replaces the line that changes."""
        self._begin(Doing(what))

    def line(self, text: str) -> None:
        """Print `text` above the line that changes."""
        self._heart.line(text)

    def done(self) -> None:
        """End the line that changes."""
        self._heart.stop()
        if self._spinner:
            self._spinner.stop()

    def _begin(self, step: Doing) -> None:
        self._step, self._since = step, time.monotonic()
        if self._spinner:
            self._spinner.update(step.words)
            self._spinner.start()
        else:
            self._heart.start()

    def _words(self) -> str:
        held = held_up(self._session, redacted=self._redacted)
        return replace(self._step, seconds=time.monotonic() - self._since, held=held).sentence()

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


def apply(path: Path, output: str | None, wanted: PlanSettings, ctx: click.Context) -> ExitStatus:
    """Plan, ask, and make the changes of the run file `path`."""
    _check_somebody_is_there("--apply", ctx)
    with RunFile.resume(path) as run_file:
        settings = repair_settings(ctx, run_file.info, run_file.choices, path)
        if ctx.params["touch"]:
            _check_touch(run_file.info)
        now = utc_now()
        plan = Plan(run_file, wanted, now)
        with nullcontext() if output == "-" else busy("planning"):
            written = write_plan(plan, path, output)
        page = Page(screen(stderr=True))
        show_plan(written, page, advise=False)
        if written.problem:
            raise written.problem
        count = written.counts.summary.changes
        if not count and not run_file.journal.counts()[ChangeState.BEGUN]:
            return written.exit_status
        _show_move(settings.moved_from, settings.database, page)
        page.line()
        question = f"Change {rows(count)} of {_place(settings.database, run_file.info)}?"
        if count and (refused := _refused(question, ctx, planned(count))):
            return refused
        touch = utc_text(now) if ctx.params["touch"] else None
        options = ApplyOptions(recheck=not ctx.params["no_recheck"], touch=touch)

        def work(listener: TerminalListener, stop: Stop) -> Coroutine[None, None, RepairResult]:
            return Repair(run_file, plan, settings, options, listener).apply(stop)

        result, signal = _run(work, settings.secrets, settings.token, redacted=plan.redacted)
        command = shlex.join(["sync-audit", "sync", str(path), *written.options, "--apply"])
        undo_file = sql_file(path, "undo")
        show_result(result, page, applied=True, go_on=command)
        if undo_file.exists() and run_file.journal.counts()[ChangeState.DONE]:
            command = shlex.join(["sync-audit", "sync", "--undo", str(undo_file), *_words(settings.moved_from)])
            page.line("To undo what was done:")
            page.line((escape_controls(command), BOLD), indent=2)
    return _exit_status(result, signal)


def undo(path: Path, ctx: click.Context) -> ExitStatus:
    """Read the undo file `path` through, ask, and put everything back."""
    _check_somebody_is_there("--undo", ctx)
    timeout = ctx.params["statement_timeout"]
    page = Page(screen(stderr=True))
    with run_beside(path) as run_file:
        file = UndoFile(path, run_file)
        database = database_to_repair(ctx, run_file.info if run_file else None, file.place)
        moved_from = ctx.params["moved_from"]
        _show_move(moved_from, database, page)
        question = f"Put back {rows(file.rows)} of {_place(database, run_file.info if run_file else None)}?"
        if file.rows and (
            refused := _refused(question, ctx, ExitStatus(INCOMPLETE, f"nothing was put back: {rows(file.rows)} to go"))
        ):
            return refused

        def work(listener: TerminalListener, stop: Stop) -> Coroutine[None, None, RepairResult]:
            return Undo(file, database, timeout, listener, redact=ctx.params["redact"]).undo(stop, moved_from)

        result, signal = _run(work, (database.password or "",), redacted=ctx.params["redact"])
        command = shlex.join(["sync-audit", "sync", "--undo", str(path), *_words(moved_from)])
        show_result(result, page, applied=False, go_on=command)
    return _exit_status(result, signal)


def _check_touch(info: RunInfo) -> None:
    table, what = info.tables.user_models, Column.UPDATED_AT
    step = "Leave --touch out; the table has no column for the date of a change."
    if not table.has(what):
        raise SettingsError(f"--touch sets {what}, and {table.shown} has no such column", step)
    why = info.columns and info.columns.fixed.get(what)
    if why:
        raise SettingsError(f"--touch cannot set {what}, as {why}", "Leave --touch out.")
    for other in (Column.CREATED_AT, Column.COMPLETED_AT):
        if table.has(other) and table.called(other) == table.called(what) and not table.expression(what):
            raise SettingsError(
                f"--touch would overwrite {table.sql}.{table.called(other)}: the config file maps both updated_at and "
                f"{other} to it",
                step,
            )


def _place(database: Database, info: RunInfo | None) -> str:
    written = info and info.columns and info.columns.written
    return f"{written.name if written else database.tables.user_models.sql} in {database.label}"


def _show_move(moved_from: str | None, database: Database, page: Page) -> None:
    if moved_from is not None:
        page.line(escape_controls(move(moved_from, database.address)))


def _words(moved_from: str | None) -> tuple[str, ...]:
    return ("--moved-from", moved_from) if moved_from is not None else ()


def _check_somebody_is_there(option: str, ctx: click.Context) -> None:
    if not ctx.params["yes"] and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise SettingsError(
            f"{option} changes the database, and there is no terminal to ask for a confirmation",
            "Look at the plan first (sync-audit sync RUN), then add --yes.",
        )


def _refused(question: str, ctx: click.Context, otherwise: ExitStatus) -> ExitStatus | None:
    """The exit status where the answer is no; None to go on."""
    try:
        return None if ctx.params["yes"] or click.confirm(escape_controls(question), err=True) else otherwise
    except click.Abort:
        click.echo(err=True)
        return REPAIR[INTERRUPTED]


def _run(work: Work, secrets: tuple[str, ...], token: str = "", *, redacted: bool) -> tuple[RepairResult, int | None]:
    """The result of `work`, and the code of the signal that has come meanwhile."""
    listener = TerminalListener(screen(stderr=True), redacted=redacted)
    formatter = logs.Formatter((*secrets, os.environ.get("PGPASSWORD", "")), tokens=(token,), as_json=False)
    logs.set_up(formatter, 0, listener.line)
    with signals() as caught:

        async def until_stopped() -> RepairResult:
            stop = Stop()
            caught.stops(stop)
            listener.doing("connecting")
            try:
                return await work(listener, stop)
            finally:
                listener.done()

        try:
            return asyncio.run(until_stopped()), caught.code
        except StoppedError as error:
            error.exit_code = caught.code or INCOMPLETE
            raise


def _exit_status(result: RepairResult, signal: int | None) -> ExitStatus:
    return REPAIR[signal] if signal and result.left else result.exit_status
