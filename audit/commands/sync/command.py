"""`sync-audit sync`: the repair."""

import re
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audit.cli import options
from audit.cli.settings import Command, FilePath, Setting, check, refuse
from audit.errors import SettingsError
from audit.model.codes import Reason

if TYPE_CHECKING:
    from audit.model.exit_status import ExitStatus
    from audit.repair.rules import PlanSettings

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def _time_span(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,7})([smhd]?)", text.strip())
    if not match:
        raise SettingsError(f"must be a time such as 90m, 2h, 1d or 3600, not {text!r}", "Without it, 1h.")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


CHANGES = "it changes the database: write {} on the command line"
OF_THE_PLAN = (
    Setting(
        "--include",
        multiple=True,
        type=click.Choice(
            [
                Reason.UNKNOWN_VERSION.value,
                Reason.MALFORMED_VERSION.value,
                Reason.TRAINING_NOT_RECORDED.value,
                Reason.VERSION_LOST.value,
                Reason.TRAINER_RECORDED.value,
            ]
        ),
        help="Change these users too; repeatable.",
    ),
    Setting(
        "--version-only",
        is_flag=True,
        help="Change the version even if its weights are not known, or the row's weights are kept elsewhere.",
    ),
    Setting(
        "--max-age",
        metavar="TIME",
        type=_time_span,
        show_default="1h",
        help="Leave out users who were checked longer ago: 90m, 2h, 1d or seconds.",
    ),
    options.users,
    options.limit.but(help="Change at most N rows: a trial."),
    Setting(
        "-o",
        "--output",
        type=FilePath(),
        help="Write the plan as JSON too; - is standard output.",
    ),
    options.redact,
)
OF_ASKING = (
    Setting("--no-recheck", is_flag=True, help="Do not check each version on Replicate again just before it is set."),
    Setting("--touch", is_flag=True, help="Set updated_at too; otherwise it is left alone."),
    *(options.token, options.concurrency, options.rate, options.timeout, options.retries),
)
OF_CHANGES = (
    Setting(
        "--yes",
        is_flag=True,
        refused="it changes the database without asking: write --yes on the command line",
        help="Do not ask for a confirmation.",
    ),
    *(options.database, options.statement_timeout),
)


@click.command(
    "sync",
    cls=Command,
    own=("output", "accept", "user", "limit"),
    lenient=True,
    settings={
        "What is done": (
            Setting(
                "--apply",
                is_flag=True,
                refused=CHANGES.format("--apply"),
                help="Apply the plan: change each row, but only if it has not changed since the audit.",
            ),
            Setting(
                "--undo",
                type=FilePath("FILE"),
                refused=CHANGES.format("--undo FILE"),
                help="Undo a fix, as its ...-undo.sql says; without RUN.",
            ),
        ),
        "The plan": OF_THE_PLAN,
        "With --apply or --undo": (*OF_CHANGES, options.moved_from),
        "With --apply": OF_ASKING,
    },
)
@click.argument("run", metavar="[RUN]", required=False, type=options.RunPath())
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> "ExitStatus":
    """Fix all users of the run file RUN who need a sync: preview the plan, or apply it with --apply.

    Without RUN, or with the word latest, it is the newest whole run of the same database in reports/.

    Shows which rows would get which version and weights URL, and who is left out and why, and writes two files beside
    RUN for psql: ...-apply.sql, and ...-undo.sql, which undoes it. Without --apply or --undo nothing is changed, and no
    request is sent; it ends in 3 if there is something to change, 0 if not.

    A version never gets another version's weights: if the run does not know the weights URL, --apply looks up the
    training. A row whose weights URL is not known then is left as it is, unless --version-only is given.

    With --apply, and with --undo, it ends in 0 if everything was done and all users are up to date, 4 if rows were
    skipped, failed or are not known, 5 if nothing could be begun. A row that is not what the audit saw, or to which a
    newer training or another user of its model has come, is skipped and named, never overwritten.
    """
    if given["undo"] is not None:
        from audit.commands.sync import confirm

        if given["run"] is not None or given["apply"]:
            raise SettingsError("--undo takes a file and nothing else: neither RUN nor --apply")
        others = (*(each for each in OF_THE_PLAN if each is not options.redact), *OF_ASKING)
        refuse(ctx, others, "with --undo")
        check(ctx, unused=others)
        return confirm.undo(Path(given["undo"]), ctx)
    from audit.commands.newest import the_run

    if given["apply"]:
        from audit.commands.sync import confirm

        check(ctx)
        return confirm.apply(the_run(ctx, given["run"]), given["output"], _plan_settings(ctx), ctx)
    refuse(ctx, (*OF_ASKING, *OF_CHANGES), "without --apply")
    check(ctx, unused=(*OF_ASKING, *OF_CHANGES))
    return _plan(the_run(ctx, given["run"]), given["output"], _plan_settings(ctx))


def _plan_settings(ctx: click.Context) -> "PlanSettings":
    from audit.commands.settings import filters_of
    from audit.repair.rules import MAX_AGE, PlanSettings

    given = ctx.params
    return PlanSettings(
        include=frozenset(map(Reason, given["include"])),
        version_only=given["version_only"],
        max_age=MAX_AGE if given["max_age"] is None else given["max_age"],
        filters=filters_of(ctx),
        redact=given["redact"],
        moved_from=given["moved_from"],
    )


def _plan(path: Path, output: str | None, wanted: "PlanSettings") -> "ExitStatus":
    from audit.cli.signals import leaving
    from audit.cli.terminal import Page, busy, screen
    from audit.commands.sync.files import write_plan
    from audit.commands.sync.screen import show_plan
    from audit.model.place import check_place
    from audit.model.times import utc_now
    from audit.repair.plan import Plan
    from audit.runfile import RunFile

    with leaving(), nullcontext() if output == "-" else busy("planning"), RunFile.open(path) as run_file:
        run_file.check_integrity()
        if wanted.moved_from is not None:  # to be kept in the SQL, which then looks for its tables only
            check_place(run_file.info.address, run_file.info.address, wanted.moved_from)
        written = write_plan(Plan(run_file, wanted, utc_now()), path, output)
    show_plan(written, Page(screen(stderr=output == "-")))
    if written.problem:
        raise written.problem
    return written.exit_status
