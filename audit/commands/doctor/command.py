"""`sync-audit doctor`: can I audit, and if nobody shows up, why?"""

from typing import TYPE_CHECKING

import click

from audit.cli import options
from audit.cli.settings import Command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from audit.commands.doctor.checks import CheckResult, Diagnosis
    from audit.model.exit_status import ExitStatus


@click.command(
    "doctor",
    cls=Command,
    lenient=True,
    settings=(
        *(options.database, options.token, options.base_url, options.concurrency, options.rate, options.timeout),
        *(options.statement_timeout, options.as_json),
        options.verbose.but(help="Print all checks, also those that are ok."),
    ),
)
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, verbose: int, **_: object) -> "ExitStatus":  # noqa: FBT001 - click
    """Say whether an audit can run, and if nobody shows up, why.

    Looks at settings, database, people and Replicate, asks for one real model, and goes on after a failure where it
    can. Every check is ok, warn or fail, or skip where another one stood in the way. Ends in 0 if all are ok, 3 with
    warnings, 5 if one failed.
    """
    import asyncio

    from audit.cli import logs
    from audit.cli.terminal import busy
    from audit.commands.doctor.examine import examine
    from audit.commands.doctor.settings import doctor_settings
    from audit.commands.replicate import ProgressListener

    settings = doctor_settings(ctx)
    logs.set_up(
        logs.Formatter(settings.secrets, tokens=(settings.token or "",), as_json=False), 0, ProgressListener().line
    )
    with busy("looking at settings, database and Replicate"):
        diagnosis = asyncio.run(examine(settings))
    if as_json:
        click.echo(_json(diagnosis))
    else:
        _show(diagnosis, every=bool(verbose))
    return diagnosis.exit_status


def _json(diagnosis: "Diagnosis") -> bytes:
    import msgspec

    from audit import __version__
    from audit.report.json_report import escaped

    document = {
        "schema_version": 1,
        "tool": {"name": "sync-audit", "version": __version__},
        "exit_code": diagnosis.exit_status.code,
        "summary": diagnosis.counts,
        "checks": diagnosis.results,
    }
    return escaped(msgspec.json.format(msgspec.json.encode(document), indent=1))


def _show(diagnosis: "Diagnosis", *, every: bool) -> None:
    """What is not ok, or `every` check, and how many there are of each state."""
    from audit.cli.terminal import page, screen
    from audit.commands.doctor.checks import CheckState

    console = screen()
    shown = [result for result in diagnosis.results if every or result.state is not CheckState.OK]
    with page(console):
        for group in dict.fromkeys(result.group for result in shown):
            console.print(group.capitalize(), style="bold")
            console.print(_table([result for result in shown if result.group is group]))
        console.print(_counted(diagnosis), style="bold")


def _counted(diagnosis: "Diagnosis") -> str:
    """How many checks are in each state: "28 checks ok", "27 ok, 1 warning, 1 failed, 1 skipped"."""
    counts = {str(state): count for state, count in diagnosis.counts.items() if count}
    if list(counts) == ["ok"]:
        return f"{counts['ok']} check{'s' * (counts['ok'] != 1)} ok"
    words = {"ok": "ok", "warn": "warning", "fail": "failed", "skip": "skipped"}
    return ", ".join(
        f"{count} {words[state]}{'s' * (state == 'warn' and count != 1)}" for state, count in counts.items()
    )


def _table(results: "list[CheckResult]") -> "RenderableType":
    """A line for each check and, where it is not ok, what to do; long ones wrap below themselves."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=4)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for result in results:
        table.add_row(
            Text(result.state.value, colours[result.state]),
            Text(result.title),
            Text(result.figure, "dim" if result.state == "skip" else ""),
        )
        if result.next_step:
            table.add_row("", "", Text(f"→ {result.next_step}", "bold"))
    return Padding(table, (0, 0, 1, 2))
