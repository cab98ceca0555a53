"""Composition root of `merge`: the run files of shards -> one run file, as if one run had made it."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from audit.commands.merge.shards import (
    Allowed,
    ShardInput,
    caveats,
    check,
    merged_choices,
    merged_info,
    merged_population,
    with_end,
    with_users,
)
from audit.commands.outputs import to_keep
from audit.errors import SettingsError
from audit.files import make_directory, real
from audit.model.codes import Format
from audit.model.findings import Acceptances
from audit.model.run import permanent_gaps
from audit.runfile import RunFile, check_free
from audit.runfile.folder import trend_of
from audit.runfile.merge import merge_users, open_unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSettings:
    """Settings of `sync-audit merge`."""

    inputs: tuple[Path, ...]
    run_file: Path
    outputs: tuple[tuple[Format, str], ...]
    """For whoever finishes the merged run."""
    partial: bool = False
    any_account: bool = False
    moved_from: str | None = None
    """HOST:PORT/DATABASE of some shards, where the database is said to have moved."""
    redact: bool = False
    allow_empty: bool = False
    """A merged run in which nobody was audited is no failure."""
    replaces_acceptances: bool = False
    """Whether `acceptances` take the place of those of the shards."""
    acceptances: Acceptances | None = None


class Merged(NamedTuple):
    """The new run file, open, and what a reader has to know of it, a sentence each."""

    run_file: RunFile
    caveats: tuple[str, ...]


def merge(settings: MergeSettings) -> Merged:
    """Write the new run file; where that fails there is none, and the inputs are as they were.

    Memory does not grow with the number of users. Raises SettingsError where the inputs do not belong together,
    RunFileError where one cannot be read or the new one cannot be written.
    """
    _check_paths(settings)
    allowed = Allowed(
        partial=settings.partial,
        any_account=settings.any_account,
        other_acceptances=settings.replaces_acceptances,
        moved_from=settings.moved_from,
    )
    with ExitStack() as stack:
        opened = {str(path): stack.enter_context(open_unchanged(path)) for path in settings.inputs}
        shards = [
            ShardInput(path=path, info=each.info, population=each.population, choices=each.choices)
            for path, each in opened.items()
        ]
        check(shards, allowed)
        shards.sort(key=lambda each: each.shard.number)
        run_file, duplicates = _write(settings, with_users(shards), opened)
        return Merged(run_file, tuple(caveats(shards, duplicates, settings.moved_from)))


def _write(settings: MergeSettings, shards: Sequence[ShardInput], opened: Mapping[str, RunFile]) -> tuple[RunFile, int]:
    """The new run file, open, and how many users were in two shards; `opened` has the run files by path."""
    info = merged_info(shards, secrets.token_hex(16), settings.moved_from)
    info = msgspec.structs.replace(info, state="running", redacted=info.redacted or settings.redact)
    if settings.replaces_acceptances:
        info = msgspec.structs.replace(info, acceptances=settings.acceptances)
    with suppress(OSError):  # creating the run file says it better
        make_directory(settings.run_file.parent)
    run_file = RunFile.create(settings.run_file, info)
    try:
        with run_file.loading():
            duplicates = merge_users(run_file, {each.shard: opened[each.path] for each in shards})
            population = merged_population(shards)
            run_file.save_population(population)
            choices = merged_choices(shards, to_keep(settings.outputs))
            allow_empty = choices.allow_empty or settings.allow_empty
            run_file.save_choices(msgspec.structs.replace(choices, allow_empty=allow_empty))
        if info.trainings:
            read = msgspec.structs.replace(info.trainings, read=run_file.trainings.count())
            info = msgspec.structs.replace(info, trainings=read)
        info = with_end(info, shards, permanent_gaps(info, population, run_file.seen))
        run_file.save_trend(trend_of(run_file.path, info))
        run_file.finish(info)
    except BaseException:
        run_file.discard()
        raise
    return run_file, duplicates


def _check_paths(settings: MergeSettings) -> None:
    """See that no file is named for two purposes, as one would wait for itself."""
    seen: dict[Path, Path] = {}
    for path in settings.inputs:
        if (other := seen.setdefault(real(path), path)) is not path:
            raise SettingsError(f"{other} and {path} are the same run file", "Name each shard once.")
    if real(settings.run_file) in seen:
        raise SettingsError(f"--run-file {settings.run_file} is one of the run files to be merged", "Name a new one.")
    check_free(settings.run_file)
