"""`sync-audit accept`: a finding that need not be acted on until some day."""

import re
import shlex
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli import options
from audit.cli.settings import Command, FilePath, Setting

if TYPE_CHECKING:
    from audit.commands.accept.entry import WrittenEntry


ONE_ENTRY = "it is about one entry: write it on the command line of `sync-audit accept`"


@click.command(
    "accept",
    cls=Command,
    settings=(
        Setting(
            "--because", required=True, metavar="TEXT", refused=ONE_ENTRY, help="Why it is accepted, for later readers."
        ),
        Setting(
            "--until",
            required=True,
            metavar="DATE",
            refused=ONE_ENTRY,
            help="The last day it holds, in UTC: 2026-12-31.",
        ),
        Setting(
            "--model",
            metavar="ID",
            refused=ONE_ENTRY,
            show_default="as in RUN, where each model has a line",
            help="Which model, if the user has several.",
        ),
        Setting(
            "--reason",
            metavar="CODE",
            refused=ONE_ENTRY,
            show_default="as in RUN",
            help="Reason to accept; CODE,CODE if a newer training and the completed one both need attention.",
        ),
        Setting(
            "--version",
            metavar="HASH",
            refused=ONE_ENTRY,
            show_default="as in RUN",
            help="Accept it only for this stored version.",
        ),
        Setting("--author", metavar="NAME", refused=ONE_ENTRY, help="Who says so."),
        options.run.but(help="Look USER up in this run file.", show_default="the newest whole run in reports/"),
        Setting(
            "--file",
            key="accept",
            type=FilePath("FILE"),
            refused=ONE_ENTRY,
            show_default="accept in the config file; sync-audit-accept.toml",
            help="Where to write.",
        ),
    ),
)
@click.argument("user")
@click.pass_context
def command(ctx: click.Context, /, user: str, **given: object) -> None:
    """Accept a finding about USER until a date, without hiding it.

    USER is searched as in `user --run RUN`. Writes an entry into sync-audit-accept.toml, or changes the one for the
    same user and reason; the rest of the file stays as it is. `run` reads the file: accepted findings have their own
    section in every report, and do not count for the exit code.
    """
    from audit.cli.config_file import working_directory
    from audit.commands.accept.entry import Arguments, write_entry
    from audit.commands.accept.file import NAME, find, reasons
    from audit.commands.newest import the_run
    from audit.errors import SettingsError

    code = given["reason"]
    try:
        wanted = reasons(str(code).split(",")) if code is not None else ()
    except SettingsError as error:
        raise SettingsError(f"--reason: {error}", error.next_step) from error
    arguments = Arguments(
        who=_text("USER", user),
        because=_text("--because", given["because"]),
        until=_until(str(given["until"])),
        model=_optional("--model", given["model"]),
        reasons=wanted,
        version=_optional("--version", given["version"]),
        author=_optional("--author", given["author"]),
    )
    run, here = given["run"], working_directory()
    path = the_run(ctx, None if run is None else str(run), needed=False)
    file = Path(str(given["file"])) if given["file"] is not None else (here and find(here)) or Path(NAME)
    _show(write_entry(arguments, path, file), file, path)


def _text(name: str, value: object) -> str:
    from audit.errors import SettingsError
    from audit.model.text import is_text

    text = str(value).strip()
    if not text:
        raise SettingsError(f"{name} is empty")
    if not is_text(text):
        raise SettingsError(f"{name} is not UTF-8 text")
    return text


def _optional(name: str, value: object) -> str | None:
    return None if value is None else _text(name, value)


def _until(text: str) -> date:
    """The day that `--until` names. Raises SettingsError where it is none, or one that is over."""
    from audit.errors import SettingsError
    from audit.model.times import utc_now

    day = None
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            day = date.fromisoformat(text)
        except ValueError:  # the 31st of February
            day = None
    if day is None:
        raise SettingsError(f"--until {text!r} is no date", "Write it as year-month-day: --until 2026-12-31")
    today = utc_now().date()
    if day < today:
        raise SettingsError(f"--until {text} is over: today is {today} (UTC)", "Name today or a later day.")
    return day


def _show(written: "WrittenEntry", file: Path, run: Path | None) -> None:
    """Print what was written, where, and how to apply it to the run."""
    from audit.commands.accept.file import block
    from audit.model.text import escape_controls

    name = escape_controls(str(file))
    if old := written.replaced:
        click.echo(f"Changed in {name} (it was until {old.until}, because: {escape_controls(old.because)}):")
    else:
        click.echo(f"Wrote into {name}{', which is new' if written.new_file else ''}:")
    click.echo()
    for line in block(written.entry).splitlines():
        click.echo(f"  {escape_controls(line)}")
    click.echo()
    entry = written.entry
    what = ["both reasons" if entry.also else "reason"]
    what += ["model"] if entry.model else []
    what += ["stored version"] if entry.version else []
    what += ["training"] if entry.training else []
    *most, last = what
    same = f"{', '.join(most)} and {last} stay" if most else f"{last} stay" if entry.also else "the reason stays"
    click.echo(f"It holds up to and including {entry.until} (UTC), as long as {same} the same.")
    if run:
        click.echo("To see the run with it:")
        click.echo(f"  sync-audit render {shlex.quote(escape_controls(str(run)))} \\\n    --accept {shlex.quote(name)}")
