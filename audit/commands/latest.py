"""`reports/latest.html` and the like: links beside the reports, to the files of the newest whole run."""

import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from audit.cli.edited_file import only_one
from audit.commands.settings import REPORTS
from audit.errors import RunFileError
from audit.files import real
from audit.findings.trend import is_whole
from audit.model.run import RunInfo
from audit.model.text import escape_controls, os_cause
from audit.model.times import epoch_seconds
from audit.report.writer import Output
from audit.runfile import RunFile
from audit.runfile.folder import open_unchanged

log = logging.getLogger(__name__)
_ENDS = (".html", ".csv", ".json", ".md", ".xml", ".sqlite")


def point_latest(run_file: RunFile, outputs: Sequence[Output]) -> None:
    """Have the links lead to a run that is over, if it is whole and newer, and its reports are in the default folder.

    All of them are about one run: one that has no file to lead to is removed. What is no link is left as it is. Where
    there can be no links that is logged, and no failure.
    """
    folder, info = real(REPORTS), run_file.info
    written = [real(each.path) for each in outputs if not each.printed]
    files = {path.suffix: path for path in written if path.parent == folder and path.suffix in _ENDS}
    if not files or not is_whole(info) or info.made_up:
        return
    own = files[".sqlite"] = real(run_file.path)
    try:
        with only_one(folder):  # of two runs that end at once one has all the links
            if not _is_newer(real(folder / "latest.sqlite"), own, info):
                _point_all(folder, files)
    except OSError as error:
        log.info("no links %s: %s", escape_controls(str(folder / "latest.*")), os_cause(error).lower())


def _point_all(folder: Path, files: Mapping[str, Path]) -> None:
    for end in _ENDS:
        link = folder / f"latest{end}"
        try:
            _point(link, files.get(end))
        except OSError as error:
            log.info("no link %s: %s", escape_controls(str(link)), os_cause(error).lower())


def part_from_latest(outputs: Sequence[Output]) -> None:
    """A report whose PATH is such a link shall take its place, and not write over the report of an earlier run."""
    folder = real(REPORTS)
    for each in outputs:
        path = Path(each.path)
        if path.stem == "latest" and path.suffix in _ENDS and path.is_symlink() and real(path.parent) == folder:
            with suppress(OSError):
                path.unlink()


def _is_newer(path: Path, own: Path, info: RunInfo) -> bool:
    """Whether the links lead to a whole run, at `path`, that began later than this one, which was resumed."""
    with suppress(RunFileError, OSError):
        if path.is_file() and not path.samefile(own):  # whoever closes a file loses all locks on it
            with open_unchanged(path) as other:
                return is_whole(other.info) and epoch_seconds(other.info.started_at) > epoch_seconds(info.started_at)
    return False


def _point(link: Path, target: Path | None) -> None:
    """Raises OSError."""
    if os.path.lexists(link) and not link.is_symlink():
        raise FileExistsError(None, "it is a file, and no link")
    if target is None:
        link.unlink(missing_ok=True)
        return
    temporary = link.with_name(f".sync-audit-{secrets.token_hex(4)}.tmp")
    try:
        temporary.symlink_to(os.path.relpath(target, link.parent))
        temporary.replace(link)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
