"""`sync-audit history`: the runs in a folder, and how each of them ended."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from audit.cli.settings import FilePath

if TYPE_CHECKING:
    from audit.cli.terminal import Page
    from audit.model.run import RunInfo
    from audit.report.view import RunView
    from audit.runfile.folder import Past, Survey

SHOWN = 20
_GAP = 2
_HEADS = (
    ("", "Started (UTC)"),
    ("", "Covered"),
    ("Needs", "sync"),
    ("Check", "failed"),
    ("Up to", "date"),
    ("", "Verdict"),
)
_NUMBERS = {2, 3, 4}
_NEEDED_LEAST = (4, 3, 1)
"""Columns that are left out where there is no room, one after the other."""


class _Row(NamedTuple):
    """One run."""

    cells: tuple[str, ...]
    name: str
    """Of its file."""


@click.command("history")
@click.argument("folder", metavar="[DIR]", required=False, type=FilePath("DIR"))
@click.option(
    "--limit", default=SHOWN, show_default=True, type=click.IntRange(1), metavar="N", help="Show the newest N runs."
)
def command(folder: str | None, limit: int) -> None:
    """List the runs in DIR, by default reports/: when, what was covered, the counts, the verdict.

    The newest comes first; runs of several databases are listed one database after the other. Changes nothing.
    """
    from audit.cli.terminal import Page, page, screen

    found = survey_of(folder)
    console = screen()
    with page(console):
        _show(found, limit, Page(console), console.width, shown_folder(folder))


def shown_folder(folder: str | None) -> str:
    """The folder as a person reads it."""
    from audit.commands.settings import REPORTS
    from audit.model.text import escape_controls

    return escape_controls(f"{folder or REPORTS}").rstrip("/") + "/"


def survey_of(folder: str | None) -> "Survey":
    """What is in `folder`, or in the default one, which need not be there. Raises SettingsError."""
    from audit.commands.settings import REPORTS
    from audit.errors import SettingsError
    from audit.model.text import os_cause
    from audit.runfile.folder import Survey, survey

    try:
        return survey(Path(folder or REPORTS))
    except OSError as error:
        if folder is None and isinstance(error, FileNotFoundError):
            return Survey([], [], [])
        raise SettingsError(
            f"the folder {shown_folder(folder)} cannot be read: {os_cause(error).lower()}",
            "Name the folder that the run files are in.",
        ) from error


def by_place(runs: "Iterable[Past]") -> "list[list[Past]]":
    """The runs of each place, in their order; all demos are of one."""
    from audit.findings.trend import is_same_place

    groups: list[list[Past]] = []
    for run in runs:
        for group in groups:
            first = group[0].info
            if is_same_place(first, run.info) or (first.made_up and run.info.made_up):
                group.append(run)
                break
        else:
            groups.append([run])
    return groups


def _show(found: "Survey", limit: int, page: "Page", width: int, folder: str) -> None:
    from audit.cli.terminal import BOLD

    if not found.runs:
        page.paragraph(f"No finished runs in {folder}" if found.in_use else f"No runs in {folder}")
    groups = by_place(found.runs[:limit])
    titles = _titles([group[0].info for group in groups])
    for number, (title, group) in enumerate(zip(titles, groups, strict=True)):
        if number:
            page.line()
        page.line((title, BOLD))
        _table([_row(run) for run in group], page, width)
    more = len(found.runs) - limit
    if more > 0:
        verb = "run is" if more == 1 else "runs are"
        page.line()
        page.paragraph(f"{more:,} older {verb} not shown: --limit {len(found.runs)}")
    for text in remarks(found):
        page.line()
        page.paragraph(text)


def remarks(found: "Survey") -> Iterator[str]:
    """What has to be said of the files that nothing is known of."""
    if found.in_use:
        yield f"Running now: {_names(found.in_use)}"
    if count := len(found.unreadable):
        what = "1 file is damaged, or no run file:" if count == 1 else f"{count:,} files are damaged, or no run files:"
        yield f"{what} {_names(found.unreadable)}"


def _names(paths: "Sequence[Path]", most: int = 5) -> str:
    from audit.model.text import escape_controls

    names = sorted(escape_controls(path.name) for path in paths)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _titles(infos: "Sequence[RunInfo]") -> list[str]:
    """What each place is called: the database, and where that is not enough, all of it."""
    from audit.model.text import escape_controls

    def title(info: "RunInfo", *, full: bool) -> str:
        if info.made_up:
            return "demo"
        return escape_controls(f"{info.address.full}, {info.base_url}" if full else info.database)

    short = [title(info, full=False) for info in infos]
    return [
        title(info, full=short.count(name) > 1 and not info.made_up) for info, name in zip(infos, short, strict=True)
    ]


def _row(run: "Past") -> _Row:
    from audit.errors import RunFileError
    from audit.findings.verdict import VERDICT_TITLES
    from audit.model.codes import Status
    from audit.model.text import escape_controls
    from audit.model.times import to_minute
    from audit.report.view import RunView
    from audit.runfile.folder import open_unchanged

    name, started = escape_controls(run.path.name), escape_controls(to_minute(run.info.started_at))
    try:
        with open_unchanged(run.path) as run_file:
            view = RunView(run_file)
            counts = view.summary.statuses
            shown = (Status.NEEDS_SYNC, Status.ERROR, Status.UP_TO_DATE)
            covered, verdict = _covered(view), VERDICT_TITLES[view.verdict]
            return _Row((started, covered, *(f"{counts[status]:,}" for status in shown), verdict), name)
    except RunFileError:
        return _Row((started, "damaged", "", "", "", ""), name)


def _covered(view: "RunView") -> str:
    run = view.run
    if run.state != "complete" or run.missing_shards:
        return "incomplete"
    if run.made_up:
        return "demo"
    if run.shard:
        return f"shard {run.shard.number} of {run.shard.of}"
    if view.part:
        return f"trial {view.summary.total:,} of {view.summary.total + view.others:,}"
    return "whole"


def _table(rows: Sequence[_Row], page: "Page", width: int) -> None:
    """The rows below their heads; the file's name in a line of its own where there is no room."""
    from rich.cells import cell_len

    from audit.cli.terminal import DIM

    columns = list(range(len(_HEADS)))
    cells = [*zip(*_HEADS, strict=True), *(row.cells for row in rows)]
    widths = [max(cell_len(line[column]) for line in cells) for column in columns]

    def needed() -> int:
        return sum(widths[column] + _GAP for column in columns)

    for column in _NEEDED_LEAST:
        if needed() - _GAP > width:
            columns.remove(column)
    inline = needed() + max(cell_len(row.name) for row in rows) <= width

    def line(texts: Sequence[str]) -> str:
        return (" " * _GAP).join(
            texts[column].rjust(widths[column]) if column in _NUMBERS else texts[column].ljust(widths[column])
            for column in columns
        )

    for number, head in enumerate(zip(*_HEADS, strict=True)):
        page.line((line(head) + ("  File" if inline and number else ""), DIM))
    for row in rows:
        if inline:
            page.line(line(row.cells) + " " * _GAP + row.name)
        else:
            page.line(line(row.cells))
            page.line((row.name, DIM), indent=_GAP)
