"""The commands by name, and the way in and out of the program: options in, an exit code out.

Each command's module imports what it needs when it runs, so that `--help` and completion answer at once.
"""

import gc
import os
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import click

from audit import __version__
from audit.cli import streams
from audit.cli.errors import failure, show_end, usage_failure
from audit.errors import AuditError, ReportError
from audit.model.exit_status import (
    BUG,
    COULD_NOT_RUN,
    HUNG_UP,
    INCOMPLETE,
    INTERRUPTED,
    RUN,
    TERMINATED,
    ExitStatus,
)
from audit.model.text import os_cause

COMMANDS = {
    "init": "audit.commands.init.command",
    "run": "audit.commands.run.command",
    "demo": "audit.commands.demo",
    "render": "audit.commands.render",
    "doctor": "audit.commands.doctor.command",
    "user": "audit.commands.user.command",
    "explain": "audit.commands.explain",
    "sync": "audit.commands.sync.command",
    "merge": "audit.commands.merge.command",
    "diff": "audit.commands.diff.command",
    "accept": "audit.commands.accept.command",
    "history": "audit.commands.history",
    "prune": "audit.commands.prune.command",
}
_SIGNALS = {HUNG_UP: "SIGHUP", INTERRUPTED: "SIGINT", TERMINATED: "SIGTERM"}
_LEFT = {code: f"stopped by {name} before all reports were written" for code, name in _SIGNALS.items()}
_LEFT[INCOMPLETE] = "stopped before anything was asked"
"""What to say of a command that was left on the way, by the code."""
_FINAL = {BUG, *_SIGNALS}
"""Codes that say more than that something could not be printed."""


class CommandGroup(click.Group):
    """The commands by name, imported when they are asked for, listed in the order of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """The command, or None where there is no such one."""
        module = COMMANDS.get(cmd_name)
        command = import_module(module).command if module else None
        return command if isinstance(command, click.Command) else None


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sync-audit")
def cli() -> None:
    """Find every user whose recorded Replicate model version has fallen behind.

    Reads each user's latest completed training from PostgreSQL, asks Replicate for the model's versions, and writes
    reports of who is up to date, who needs a sync and who could not be checked, with what to do about each.

    To look around without a database or a token: sync-audit demo
    """


def main(prog_name: str = "sync-audit") -> NoReturn:
    """Run the command line and end the process; the last line on stderr holds the cause and the exit code."""
    # Modules are no garbage: to look through them while they are imported takes a tenth of a short command's time.
    # Whoever asks servers sets it back.
    gc.set_threshold(100_000)
    streams.set_up()
    try:
        code = _conducted(prog_name)
    except KeyboardInterrupt:  # where nobody reads the end of what is printed
        code = INTERRUPTED
    gc.freeze()  # nor is there any sense in a last look
    sys.exit(code)


def _conducted(prog_name: str) -> int:
    ended = _told(_run(prog_name))
    if isinstance(ended, ExitStatus):
        show_end(ended)
        ended = ended.code
    return COULD_NOT_RUN if ended not in _FINAL and streams.lost(sys.stderr) else ended


def _told(ended: int | ExitStatus) -> int | ExitStatus:
    """How it ended, or that not all of what was printed got out."""
    code = ended.code if isinstance(ended, ExitStatus) else ended
    lost = streams.lost(sys.stdout)
    if lost is None or code in _FINAL:
        return ended
    return failure(
        ReportError(
            f"standard output could not be written: {os_cause(lost)}",
            "What it got is not complete. Send it to a place that takes it.",
        )
    )


def _run(prog_name: str) -> int | ExitStatus:
    """How it ended: a status to be printed, or a plain code, for which nothing is."""
    try:
        result = cli.main(prog_name=prog_name, standalone_mode=False)
    except click.ClickException as error:
        return usage_failure(error)
    except AuditError as error:
        return failure(error)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0
        return ExitStatus(code, _LEFT[code]) if code in _LEFT else code
    except Exception as error:
        if isinstance(error, OSError) and (why := _folder_gone()):
            return failure(why)
        from audit.model.secrecy import Secrecy

        secrecy = Secrecy(_passwords(), [os.environ.get("REPLICATE_API_TOKEN", "").strip()])
        click.echo(secrecy.clean(traceback.format_exc()), err=True, nl=False)
        return RUN[BUG]
    # Commands return a status, or nothing; a plain int comes from click itself, after --help and the like.
    return result if isinstance(result, ExitStatus) else 0


def _folder_gone() -> AuditError | None:
    """What to say where there is no working directory, in which case any path may be the one that fails."""
    try:
        Path.cwd()
    except OSError as error:
        return AuditError(
            f"the working directory cannot be used: {os_cause(error)}", "Change into one that is there, and try again."
        )
    return None


def _passwords() -> list[str]:
    """Those in the environment, read without the settings' code, as that may be what failed."""
    said = [os.environ.get("PGPASSWORD", "")]
    for name in ("DATABASE_URL", "HTTPS_PROXY", "https_proxy"):
        with suppress(ValueError):
            password = urlsplit(os.environ.get(name, "")).password or ""
            said += [password, unquote(password)]
    return [secret.strip() for secret in said]
