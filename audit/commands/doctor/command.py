"""`sync-audit doctor`: can I audit, and if nobody shows up, why?"""

from typing import TYPE_CHECKING

import click

from audit.cli import options
from audit.cli.settings import Command

if TYPE_CHECKING:
    from audit.cli.terminal import Page
    from audit.commands.doctor.checks import CheckResult, Diagnosis
    from audit.model.exit_status import ExitStatus

NARROW = 60
"""Columns. On less, what a check says stands behind its name and not in a column of its own."""


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
    from audit.cli.terminal import BOLD, Page, screen
    from audit.commands.doctor.checks import CheckState

    page = Page(screen())
    shown = [result for result in diagnosis.results if every or result.state is not CheckState.OK]
    for group in dict.fromkeys(result.group for result in shown):
        page.line((group.capitalize(), BOLD))
        results = [result for result in shown if result.group is group]
        _checks(results if every else [each for each in results if each.state is not CheckState.SKIP], page)
        if not every:
            _skipped([each for each in results if each.state is CheckState.SKIP], page)
        page.line()
    page.line((_counted(diagnosis), BOLD))


def _checks(results: "list[CheckResult]", page: "Page") -> None:
    """Each of them and, where it is not ok, what to do; long ones wrap below themselves, unless that is too narrow."""
    from audit.cli.terminal import BOLD

    colours = {"ok": "", "warn": "yellow", "fail": "bold red", "skip": "dim"}
    width = max((len(result.title) for result in results), default=0) + 2
    for result in results:
        state, style = f"{result.state.value:<4}  ", colours[result.state]
        if page.width < NARROW:
            width = -len(state)
            page.paragraph(f"{result.title}: {result.figure}", first=state, indent=2, style=style)
        else:
            page.paragraph(result.figure, first=state + result.title.ljust(width), indent=2, style=style)
        if result.next_step:
            page.paragraph(result.next_step, first="→ ", indent=max(6, 8 + width), style=BOLD)


def _skipped(results: "list[CheckResult]", page: "Page") -> None:
    """Those that could not be made, by why."""
    for why in dict.fromkeys(result.figure for result in results):
        titles = ", ".join(result.title for result in results if result.figure == why)
        page.paragraph(f"{titles}: {why}", first="skip  ", indent=2, style="dim")


def _counted(diagnosis: "Diagnosis") -> str:
    """How many checks are in each state: "28 checks ok", "27 ok, 1 warning, 1 failed, 1 skipped"."""
    counts = {str(state): count for state, count in diagnosis.counts.items() if count}
    if list(counts) == ["ok"]:
        return f"{counts['ok']} check{'s' * (counts['ok'] != 1)} ok"
    words = {"ok": "ok", "warn": "warning", "fail": "failed", "skip": "skipped"}
    return ", ".join(
        f"{count} {words[state]}{'s' * (state == 'warn' and count != 1)}" for state, count in counts.items()
    )
