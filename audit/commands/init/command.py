"""`sync-audit init`: from a database to a config file."""

from typing import TYPE_CHECKING

import click

from audit.cli import options
from audit.cli.settings import Command, FilePath, Setting

if TYPE_CHECKING:
    from audit.model.exit_status import ExitStatus

_ONE_FILE = "it is about the file that init writes: write it on the command line"
SETTINGS = (
    options.database.but(help="PostgreSQL to search."),
    options.token.but(missing=("", "")),
    options.base_url,
    Setting(
        "--owner",
        metavar="NAME",
        refused="it stands there as owner, below [database]",
        help="The account on Replicate that owns models stored by name only; default: the token's account.",
    ),
    options.latest_per.but(
        show_default=False,
        help="Write into the file what is checked: the latest completed row of each user, of each user and model, "
        "or every completed row.",
    ),
    Setting("--print", "to_stdout", is_flag=True, refused=_ONE_FILE, help="Write the file to standard output."),
    Setting(
        "--force",
        is_flag=True,
        refused=_ONE_FILE,
        help="Replace an existing file; only its part about the database changes.",
    ),
)


@click.command("init", cls=Command, settings=SETTINGS)
@click.argument("file", type=FilePath("FILE"), default="sync-audit.toml")
@click.pass_context
def command(ctx: click.Context, /, **given: object) -> "ExitStatus":
    """Find the tables in the database, and write FILE, by default sync-audit.toml.

    Reads the catalog and a sample of at most 1,000 rows a table, in one read-only transaction, and finds out which
    tables and columns keep fine-tunes: by names, by types and above all by values. Of rows, only words of states get
    into the file. Ends in 0 if an audit would work with the file, 3 if something in it is left to decide.
    """
    from audit.commands.init.start import initialise, settings_of

    return initialise(settings_of(ctx, given))
