"""`sync-audit prune`: lists what it would remove, and removes it with --yes."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit.cli.settings import FilePath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.cli.terminal import Page
    from audit.commands.prune.choose import Kept
    from audit.model.exit_status import ExitStatus
    from audit.runfile.folder import Past

    Going = list[tuple[Past, list[Path]]]

KEEP = 10


@click.command("prune")
@click.argument("folder", metavar="[DIR]", required=False, type=FilePath("DIR"))
@click.option(
    "--keep",
    default=KEEP,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Whole runs that are kept of each database, the newest; of demos as many.",
)
@click.option("--yes", is_flag=True, help="Remove the files; without it they are only listed.")
@click.option("-v", "--verbose", is_flag=True, help="Say of each run that is kept why it is kept.")
def command(folder: str | None, *, keep: int, yes: bool, verbose: bool) -> "ExitStatus | None":
    """List old runs in DIR, by default reports/, and remove them with --yes.

    Removes run files with the reports and the SQL that were written beside them under the same name. The newest N
    whole runs of each database are kept. Trials, merged shards and other runs go only if they are older than all of
    these N.

    Never removes: a run whose repair is not undone, one that can still be finished or is going on, a shard that is
    not merged, the baseline of a run that is kept, what latest.html and other links point at, links, damaged files,
    and files that sync-audit did not write.
    """
    from audit.cli.terminal import Page, page, screen
    from audit.commands.history import shown_folder, survey_of
    from audit.commands.prune.choose import choose
    from audit.commands.prune.files import files_of, writers
    from audit.commands.settings import REPORTS

    found = survey_of(folder)
    where = Path(folder or REPORTS)
    choice = choose(found, where, keep) if where.exists() else None
    written = writers(found.runs)
    going: Going = [(run, files_of(run, written)) for run in choice.to_remove] if choice else []
    console = screen()
    with page(console):
        shown = Page(console)
        _list(going, shown, shown_folder(folder), yes=yes)
        if choice:
            _show_kept(choice.kept, shown, verbose=verbose)
        if going and not yes:
            options = ([folder] if folder else []) + (["--keep", str(keep)] if keep != KEEP else [])
            shown.line()
            shown.line("Nothing is removed yet. To remove these files:")
            shown.line(f"  {' '.join(map(_pasted, ['sync-audit', 'prune', *options, '--yes']))}")
    return remove_all(going, shown_folder(folder)) if yes and going else None


def _pasted(argument: str) -> str:
    from audit.model.text import escape_controls

    return shlex.quote(escape_controls(argument))


def _list(going: "Going", page: "Page", folder: str, *, yes: bool) -> None:
    from rich.filesize import decimal

    from audit.commands.prune.files import size_of
    from audit.model.text import escape_controls

    if not going:
        page.line(f"Nothing to remove in {folder}")
        return
    sizes = [(path, size_of(path)) for _, files in going for path in files]
    runs = f"{len(going):,} run{'s' * (len(going) != 1)}"
    files = f"{len(sizes):,} file{'s' * (len(sizes) != 1)}"
    total = decimal(sum(size for _, size in sizes))
    page.line(f"{'Removing' if yes else 'To remove'} in {folder}: {runs}, {files}, {total}")
    for path, size in sizes:
        page.line(f"{decimal(size):>10}  {escape_controls(path.name)}")


def _show_kept(kept: "Sequence[Kept]", page: "Page", *, verbose: bool) -> None:
    from audit.model.text import escape_controls

    if not kept:
        return
    files = f"{len(kept):,} run file{'s' * (len(kept) != 1)}"
    page.line()
    page.line(f"Kept: {files}{':' if verbose else ' (-v says why)'}")
    for each in kept if verbose else ():
        page.line(escape_controls(each.path.name), indent=2)
        page.paragraph(each.why, indent=4)


def remove_all(going: "Going", folder: str) -> "ExitStatus | None":
    """Remove them run by run; one that cannot be removed keeps no other from it."""
    from audit.cli.errors import show_error
    from audit.cli.signals import leaving
    from audit.commands.prune.files import remove
    from audit.errors import ReportError, RunFileError
    from audit.model.exit_status import COULD_NOT_RUN, RUN

    removed, failed = 0, False
    with leaving():
        for run, files in going:
            try:
                for _ in remove(run, files):
                    removed += 1
            except (ReportError, RunFileError) as error:
                failed = True
                show_error(error)
    click.echo(f"Removed {removed:,} file{'s' * (removed != 1)} in {folder}")
    return RUN[COULD_NOT_RUN] if failed else None
