"""`sync-audit diff`: what changed between two runs."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from audit.cli import options
from audit.cli.settings import Command

if TYPE_CHECKING:
    from audit.commands.diff.view import DiffView
    from audit.model.exit_status import ExitStatus

FORMATS = ("text", "json", "md", "html", "csv")


@click.command(
    "diff",
    cls=Command,
    own=("output", "accept"),
    settings=(
        options.output.but(
            type=options.Output(FORMATS),
            show_default="text on standard output",
            help="Write the comparison; repeatable. FORMAT is text, json, md, html or csv; it may be left out where "
            "PATH ends in .txt, .json, .md, .html or .csv. PATH - is standard output.",
        ),
        options.redact,
    ),
)
@click.argument("old", metavar="[OLD]", required=False, type=options.RunPath())
@click.argument("new", metavar="[NEW]", required=False, type=options.RunPath())
@click.pass_context
def command(ctx: click.Context, /, old: str | None, new: str | None, **given: Any) -> "ExitStatus":
    """Show what changed from the run OLD to the run NEW: new, resolved, changed, gone.

    Each is a run file or a JSON report. Without NEW it is the newest whole run of the same database in
    reports/, and without OLD the whole run before that.

    A user whom NEW could not check is never called resolved. Ends in 0 if nothing got worse, 3 if users need attention
    who did not before, 4 if that is not known because NEW did not check all users, 5 if a file cannot be read or
    written. The output is masked if either run is.
    """
    from audit.cli.signals import leaving
    from audit.cli.terminal import busy
    from audit.commands.diff import compare
    from audit.commands.diff.view import ended
    from audit.commands.newest import two_runs
    from audit.commands.outputs import writing
    from audit.report.writer import Output

    wanted = [Output(*each) for each in given["outputs"]]
    old_path, new_path = two_runs(ctx, old, new)
    compare.check_outputs(wanted, old_path, new_path)
    with leaving(), ExitStack() as stack:
        with busy("comparing the two runs"):
            view = stack.enter_context(compare.comparison(old_path, new_path, redact=given["redact"]))
        if wanted:
            with writing(wanted):
                compare.write(wanted, view)
        else:
            _show(view)
    return ended(view)


def _show(view: "DiffView") -> None:
    from rich.text import Text

    from audit.cli.terminal import WIDEST, screen
    from audit.commands.diff.text import lines

    console = screen()
    for text, style in lines(view, min(console.width, WIDEST)):
        console.print(Text(text, style), soft_wrap=True)
