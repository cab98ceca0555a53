"""The files of a run: which of those beside its run file it has written, and how they are removed."""

import mmap
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from audit.cli.edited_file import only_one
from audit.commands.prune.choose import why_repaired
from audit.commands.sync.files import Purpose, is_sql_of, sql_file
from audit.errors import ReportError, RunFileError
from audit.files import open_foreign, real
from audit.model.text import escape_controls, os_cause
from audit.runfile.folder import Past, held_unchanged
from audit.runfile.sqlite import beside

_CSV = (b"status,reason,user_id,", b"\xef\xbb\xbfstatus,reason,user_id,")
"""How a report begins in which the run's id is nowhere."""
_SQL: tuple[Purpose, ...] = ("apply", "undo")


def files_of(run: Past, written: Mapping[Path, Collection[str]]) -> list[Path]:
    """The files that the run has written, as far as they are there, the run file last; never a link.

    Reports have its name, lie beside it, and are what they were told to be; by `written`, of `writers`, no other run
    was told to write there.
    """
    return [*_reports(run, written), *_sql(run), *filter(_is_file, beside(run.path)), run.path]


def writers(runs: Iterable[Past]) -> dict[Path, set[str]]:
    """Which runs, by their ids, were told to write a report to each path."""
    found: dict[Path, set[str]] = {}
    for run in runs:
        for _, path in run.outputs:
            found.setdefault(real(path), set()).add(run.info.id)
    return found


def _reports(run: Past, writers_of: Mapping[Path, Collection[str]]) -> Iterator[Path]:
    here = real(run.path.parent)
    for kind, written in dict.fromkeys(run.outputs):
        name = Path(written).name
        path = run.path.with_name(name) if name else run.path
        is_beside = path != run.path and path.stem == run.path.stem and real(Path(written).parent) == here
        if (
            is_beside
            and set(writers_of.get(real(path), ())) <= {run.info.id}
            and _is_file(path)
            and _is_report(path, kind, run.info.id)
        ):
            yield path


def _is_report(path: Path, kind: str, run_id: str) -> bool:
    with suppress(OSError, ValueError), open_foreign(path) as file:  # ValueError: it is empty
        if kind == "csv":
            return file.read(max(map(len, _CSV))).startswith(_CSV)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return text.find(run_id.encode()) >= 0
    return False


def _sql(run: Past) -> Iterator[Path]:
    for purpose in _SQL:
        path = sql_file(run.path, purpose)
        with suppress(OSError):
            if _is_file(path) and is_sql_of(path, purpose, run.info.id):
                yield path


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def size_of(path: Path) -> int:
    """Bytes; 0 where it is gone."""
    with suppress(OSError):
        return path.lstat().st_size
    return 0


def remove(run: Past, files: list[Path]) -> Iterator[Path]:
    """Remove `files`, of which the run file is the last, and yield each one that is gone.

    Meanwhile nobody can begin to repair the run or to go on with it. Where a report stays, so does the run file: else
    nobody would find that report again. Raises RunFileError or ReportError where something stays.
    """
    try:
        with only_one(run.path.parent.absolute()), held_unchanged(run.path) as run_file:
            if run_file.info != run.info or why_repaired(run_file):
                raise RunFileError(f"{run.path} was changed just now, and stays", "Look again: sync-audit prune")
            failures: list[str] = []
            for path in files[:-1]:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    failures.append(f"{escape_controls(str(path))}: {os_cause(error).lower()}")
                else:
                    yield path
            if failures:
                raise _not_removed(failures)
            run.path.unlink()
            yield run.path
    except OSError as error:
        raise _not_removed([f"{escape_controls(str(run.path))}: {os_cause(error).lower()}"]) from error


def _not_removed(failures: list[str]) -> ReportError:
    return ReportError(
        f"cannot remove {'; nor '.join(failures)}", "Make the folder writable for you, then: sync-audit prune"
    )
