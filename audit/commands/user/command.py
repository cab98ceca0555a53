"""`sync-audit user`: one user in full."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli import options
from audit.cli.settings import Command, check, refuse

if TYPE_CHECKING:
    from audit.commands.user.case import UserCase, UserLines
    from audit.model.exit_status import ExitStatus
    from audit.postgres.user import Candidates

OF_LOOKING = (
    *(options.database, options.token, options.base_url, options.timeout, options.retries),
    *(options.statement_timeout, options.order_by, options.latest_per, options.include_tests),
)
"""Where to look and how, which a run file has decided already."""


@click.command(
    "user",
    cls=Command,
    lenient=True,
    settings=(
        options.run.but(help="Look into this run file, or the newest (latest); ask neither database nor Replicate."),
        *OF_LOOKING,
        options.as_json,
        options.verbose.but(help="Print all that is known: versions, trainings, checklist and links, too."),
    ),
)
@click.argument("who")
@click.pass_context
def command(ctx: click.Context, /, who: str, run: str | None, as_json: bool, verbose: int, **_: object) -> "ExitStatus":  # noqa: FBT001 - click
    """Show one user: the verdict and why, what to do, and every row; with -v all that is known.

    WHO is an e-mail, a user id or a model id, or a part of one. If several match, they are listed. For a user with
    several lines (--latest-per) all are shown, or the one that WHO names: its model, or its row. Ends in 0 if the user
    is up to date, 3 if a sync is needed, 4 if that is not known, 2 if nobody or more than one matches.
    """
    from audit.commands.newest import the_run
    from audit.errors import SettingsError

    who = who.strip()
    if not who or not who.isprintable():
        raise SettingsError("WHO is empty or not text", "Give an e-mail, a user id, a model id, or a part of one.")
    case = _in_run(the_run(ctx, run), who, ctx) if run is not None else _live(who, ctx)
    return _shown(case, who, as_json=as_json, every=bool(verbose), in_run=run is not None)


def _live(who: str, ctx: click.Context) -> "UserCase | UserLines | Candidates":
    import asyncio

    from audit.cli import logs
    from audit.cli.terminal import busy
    from audit.commands.settings import run_settings
    from audit.commands.user.lookup import look_up
    from audit.model.times import utc_now

    settings = run_settings(ctx, utc_now())
    logs.set_up(
        logs.Formatter(settings.secrets, tokens=(settings.token,), as_json=False),
        0,
        lambda line: click.echo(line, err=True),
    )
    with busy("asking the database and Replicate"):
        return asyncio.run(look_up(settings, who))


def _in_run(path: Path, who: str, ctx: click.Context) -> "UserCase | UserLines | Candidates":
    from audit.cli.terminal import busy
    from audit.commands.user.lookup import look_up_in_run
    from audit.runfile import RunFile

    refuse(ctx, OF_LOOKING, "with --run: the run file says how the run was made")
    check(ctx, unused=OF_LOOKING)
    with RunFile.open(path) as run_file, busy("reading the run file"):
        run_file.check_integrity()
        return look_up_in_run(run_file, who)


def _shown(
    case: "UserCase | UserLines | Candidates", who: str, *, as_json: bool, every: bool, in_run: bool
) -> "ExitStatus":
    """Print what was found. Raises SettingsError where it is not exactly one user."""
    from audit.commands.user.case import UserCase, UserLines, cause
    from audit.errors import SettingsError
    from audit.model.exit_status import ExitStatus

    if isinstance(case, UserCase | UserLines):
        _print(case, as_json=as_json, every=every)
        return ExitStatus(case.exit_status.code, cause(case))
    if not case.persons:
        raise SettingsError(f"nobody matches {who!r}", _nobody(in_run=in_run))
    _print(case, as_json=as_json, every=every)
    count = f"{len(case.persons):,}" + (" or more" if case.more else "")
    raise SettingsError(f"{who!r} matches {count} users", "Name one of them: sync-audit user USER_ID")


def _nobody(*, in_run: bool) -> str:
    if in_run:
        return "A run file has only the users of its report; without --run, the database is searched."
    return (
        "WHO is an e-mail, a user id, a model id, or a part of one. How many users the database has: sync-audit doctor"
    )


def _print(case: "UserCase | UserLines | Candidates", *, as_json: bool, every: bool) -> None:
    from audit.cli.terminal import Page, screen
    from audit.commands.user.case import UserCase, UserLines
    from audit.commands.user.screen import show, show_lines, show_several

    if as_json:
        from audit.commands.user.json_format import dumped

        click.echo(dumped(case))
        return
    page = Page(screen())
    if isinstance(case, UserCase):
        show(case, page, every=every)
    elif isinstance(case, UserLines):
        show_lines(case, page, every=every)
    else:
        show_several(case, page)
