"""`sync --apply` and `sync --undo`: asked for once more, done under the eyes of a person who may stop it, and told."""

import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import click
from rich.console import Console
from rich.status import Status as Spinner

from audit.cli import logs
from audit.cli.errors import show_error
from audit.cli.signals import Stop, signals
from audit.cli.terminal import BOLD, Page, can_animate, screen
from audit.commands.replicate import ProgressListener, StoppedError
from audit.commands.settings import database_to_repair, repair_settings
from audit.commands.sync.apply import Repair, Terms
from audit.commands.sync.files import make, sql_file
from audit.commands.sync.plan import Plan, PlanSettings
from audit.commands.sync.screen import rows, show, show_end
from audit.commands.sync.tally import Tally
from audit.commands.sync.undo import Undo, UndoFile, run_beside
from audit.errors import SettingsError
from audit.model.exit_status import INCOMPLETE, INTERRUPTED, NEEDS_SYNC, PLAN, REPAIR, ExitStatus
from audit.model.repair import ChangeState
from audit.model.text import escape_controls
from audit.model.times import utc_now, utc_text
from audit.postgres.url import Database
from audit.runfile import RunFile

Work: TypeAlias = Callable[["Shown", Stop], Coroutine[None, None, Tally]]


class Shown(ProgressListener):
    """What is being done, in one line on a terminal; rows that were not changed, each in a line that stays."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = Spinner("", console=console, spinner="line") if can_animate(console) else None

    def doing(self, what: str) -> None:
        """In place of what was being done before."""
        if self._spinner:
            self._spinner.update(what)
            self._spinner.start()

    def line(self, text: str) -> None:
        """Above what is being done."""
        self._console.print(text, soft_wrap=True)

    def done(self) -> None:
        """Nothing is being done any more."""
        if self._spinner:
            self._spinner.stop()


def apply(path: Path, output: str | None, wanted: PlanSettings, ctx: click.Context) -> ExitStatus:
    """Plan, ask, and make the changes of the run file `path`."""
    _check_somebody_is_there("--apply", ctx)
    with RunFile.resume(path) as run_file:
        settings = repair_settings(ctx, run_file.info, run_file.choices, path)
        now = utc_now()
        plan = Plan(run_file, wanted, now)
        planned = make(plan, path, output)
        page = Page(screen(stderr=True))
        show(planned, page, advise=False)
        count = planned.tally.summary.changes
        if not count and not run_file.journal.counts()[ChangeState.BEGUN]:
            return planned.exit_status
        page.line()
        question = f"Change {rows(count)} of {_place(settings.database)}?"
        if count and (refused := _refused(question, ctx, PLAN[NEEDS_SYNC])):
            return refused
        terms = Terms(recheck=not ctx.params["no_recheck"], touch=utc_text(now) if ctx.params["touch"] else None)

        def work(shown: Shown, stop: Stop) -> Coroutine[None, None, Tally]:
            return Repair(run_file, plan, settings, terms, shown).apply(stop)

        tally, signal = _conduct(work, settings.secrets)
        command = shlex.join(["sync-audit", "sync", str(path), *planned.options, "--apply"])
        undo_file = sql_file(path, "undo")
        show_end(tally, page, applied=True, go_on=command)
        if undo_file.exists() and run_file.journal.counts()[ChangeState.DONE]:
            page.line("To undo what was done:")
            page.line((escape_controls(shlex.join(["sync-audit", "sync", "--undo", str(undo_file)])), BOLD), indent=2)
    return _code(tally, signal)


def take_back(path: Path, ctx: click.Context) -> ExitStatus:
    """Read the undo file `path` through, ask, and put everything back."""
    _check_somebody_is_there("--undo", ctx)
    timeout = ctx.params["statement_timeout"]
    page = Page(screen(stderr=True))
    with run_beside(path) as run_file:
        database = database_to_repair(ctx, run_file.info if run_file else None)
        file = UndoFile(path, database.tables)
        question = f"Put back {rows(file.rows)} of {_place(database)}?"
        if file.rows and (refused := _refused(question, ctx, REPAIR[INCOMPLETE])):
            return refused

        def work(shown: Shown, stop: Stop) -> Coroutine[None, None, Tally]:
            return Undo(file, run_file, database, timeout, shown).undo(stop)

        tally, signal = _conduct(work, (database.password or "",))
        show_end(tally, page, applied=False, go_on=shlex.join(["sync-audit", "sync", "--undo", str(path)]))
    return _code(tally, signal)


def _place(database: Database) -> str:
    return f"{database.tables.user_models.sql} in {database.label}"


def _check_somebody_is_there(option: str, ctx: click.Context) -> None:
    if not ctx.params["yes"] and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise SettingsError(
            f"{option} changes the database, and there is no terminal to ask for a confirmation",
            "Look at the plan first (sync-audit sync RUN), then add --yes.",
        )


def _refused(question: str, ctx: click.Context, otherwise: ExitStatus) -> ExitStatus | None:
    """How to end where somebody does not want it; None to go on."""
    try:
        return None if ctx.params["yes"] or click.confirm(escape_controls(question), err=True) else otherwise
    except click.Abort:
        click.echo(err=True)
        return REPAIR[INTERRUPTED]


def _conduct(work: Work, secrets: tuple[str, ...]) -> tuple[Tally, int | None]:
    """Do `work`, and the signal that has come meanwhile."""
    shown = Shown(screen(stderr=True))
    logs.set_up(logs.Formatter((*secrets, os.environ.get("PGPASSWORD", "")), as_json=False), 0, shown.line)
    with signals() as caught:

        async def conducted() -> Tally:
            stop = Stop()
            caught.stops(stop)
            return await work(shown, stop)

        try:
            with _shown(shown):
                return asyncio.run(conducted()), caught.code
        except StoppedError as error:
            show_error(error)
            raise SystemExit(caught.code or INCOMPLETE) from None


@contextmanager
def _shown(shown: Shown) -> Iterator[None]:
    try:
        yield
    finally:
        shown.done()


def _code(tally: Tally, signal: int | None) -> ExitStatus:
    return REPAIR[signal] if signal and tally.left else tally.exit_status
