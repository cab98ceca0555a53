"""The run files in a folder, looked at without changing or waiting for any of them."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from audit.errors import RunFileError
from audit.findings.trend import is_comparable, is_whole
from audit.model.codes import Format
from audit.model.run import RunInfo, is_narrowed
from audit.model.times import epoch_seconds
from audit.model.trend import LONGEST_TREND, PastCounts
from audit.runfile.file import RunFile
from audit.runfile.sqlite import InUseError, is_run_file

MOST_FILES = 200
"""Of more files in a folder only those that were changed last are looked at."""
SUFFIX = ".sqlite"


class Past(NamedTuple):
    """A run in the folder."""

    path: Path
    info: RunInfo
    outputs: tuple[tuple[Format, str], ...] = ()
    """Formats and paths of its reports, as it was told."""


class Survey(NamedTuple):
    """All files of a folder that are called as run files are; links are none."""

    runs: list[Past]
    """Whichever began last comes first."""
    in_use: list[Path]
    """Locked by another process: nothing is known of them."""
    unreadable: list[Path]
    """Damaged, or no run files."""


def survey(folder: Path) -> Survey:
    """What is in `folder`. Raises OSError where that cannot be read."""
    found = Survey([], [], [])
    for path in _candidates(folder):
        try:
            with open_unchanged(path) as run_file:
                run_file.check_info()
                choices = run_file.choices
                found.runs.append(Past(path, run_file.info, choices.outputs if choices else ()))
        except InUseError:
            found.in_use.append(path)
        except RunFileError:
            found.unreadable.append(path)
    found.runs.sort(key=lambda run: (epoch_seconds(run.info.started_at), run.path.name), reverse=True)
    return found


def run_files(folder: Path, *, but: Path | None = None, most: int | None = MOST_FILES) -> list[Path]:
    """Files that begin as run files do, the last that was changed first; links are none.

    `but` is not even opened: whoever closes a file loses all locks on it, and this process may hold some.
    """
    with suppress(OSError):
        own = but.stat() if but and but.exists() else None
        return [path for path in _candidates(folder, own)[:most] if is_run_file(path)]
    return []


def _candidates(folder: Path, own: os.stat_result | None = None) -> list[Path]:
    """Files but `own`, by their names run files, the last that was changed first. Raises OSError."""
    found: list[tuple[float, Path]] = []
    for each in os.scandir(folder):
        with suppress(OSError):
            state = each.stat(follow_symlinks=False)
            if each.name.endswith(SUFFIX) and stat.S_ISREG(state.st_mode) and not _is_same(state, own):
                found.append((state.st_mtime, folder / each.name))
    return [path for _, path in sorted(found, key=itemgetter(0), reverse=True)]


def _is_same(one: os.stat_result, other: os.stat_result | None) -> bool:
    return other is not None and os.path.samestat(one, other)


@contextmanager
def open_unchanged(path: Path, wait: float = 0) -> Iterator[RunFile]:
    """An existing run file; nothing in it changes, not even if its run was killed.

    Waits so many seconds where another process has it locked. Raises RunFileError.
    """
    shared = path.with_name(f"{path.name}-shm")  # SQLite makes one to read the log of a killed run
    was_there = os.path.lexists(shared)
    try:
        with RunFile.open(path, "ro", wait) as run_file:
            yield run_file
    finally:
        if not was_there:
            with suppress(OSError):
                shared.unlink()


@contextmanager
def held_unchanged(path: Path) -> Iterator[RunFile]:
    """The same, and no other process can begin to change it before the block ends. Raises RunFileError."""
    with open_unchanged(path) as run_file:
        run_file.hold()
        yield run_file


def whole_runs(folder: Path, *, but: Path | None = None) -> list[tuple[Path, RunInfo]]:
    """The whole runs in `folder`, each once, even where there are copies of it; see `run_files`.

    What cannot be read, or is in use, is left out.
    """
    found: dict[str, tuple[Path, RunInfo]] = {}
    for path in run_files(folder, but=but):
        with suppress(RunFileError), open_unchanged(path) as run_file:
            run_file.check_info()
            if is_whole(info := run_file.info):
                found.setdefault(info.id, (path, info))
    return list(found.values())


def trend_of(path: Path, info: RunInfo) -> tuple[PastCounts, ...]:
    """Of the whole runs beside `path` that the run of `info` can be compared with the last before it, oldest first.

    What cannot be read, or is in use, is left out.
    """
    if is_narrowed(info.filters, info.shard) or info.made_up:
        return ()
    began = epoch_seconds(info.started_at)
    earlier = [
        (when, each)
        for each, past in whole_runs(path.parent, but=path)
        if past.id != info.id and (when := epoch_seconds(past.started_at)) <= began and is_comparable(past, info)
    ]
    trend: list[PastCounts] = []
    for _, each in sorted(earlier, reverse=True):
        with suppress(RunFileError), open_unchanged(each) as run_file:
            past = run_file.info
            trend.append(PastCounts(run_id=past.id, started_at=past.started_at, statuses=run_file.count_statuses()))
        if len(trend) == LONGEST_TREND:
            break
    return tuple(reversed(trend))
