"""Composition root of `merge`: the run files of shards -> one run file, as if one run had made it."""

import secrets
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from audit.commands import outputs as reporting
from audit.commands.merge import merged_run
from audit.commands.merge import shards as shard_set
from audit.commands.merge.shards import Allowed, Part
from audit.errors import SettingsError
from audit.model.codes import Format
from audit.model.findings import Acceptances
from audit.model.shard import lacking
from audit.runfile import RunFile, check_free
from audit.runfile import merge as shards


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSettings:
    """Settings of `sync-audit merge`."""

    inputs: tuple[Path, ...]
    run_file: Path
    outputs: tuple[tuple[Format, str], ...]
    """For whoever finishes the merged run."""
    partial: bool = False
    any_account: bool = False
    redact: bool = False
    replaces_acceptances: bool = False
    """Whether `acceptances` take the place of those of the shards."""
    acceptances: Acceptances | None = None


class Merged(NamedTuple):
    """The new run file, open, and what is to be said of it."""

    run_file: RunFile
    doubts: tuple[str, ...]


def merge(settings: MergeSettings) -> Merged:
    """Write the new run file; whatever goes wrong, there is none then, and the inputs are as they were.

    Memory does not grow with the number of users. Raises SettingsError where the inputs do not belong together,
    RunFileError where one cannot be read or the new one cannot be written.
    """
    _check_paths(settings)
    with ExitStack() as stack:
        inputs = [stack.enter_context(shards.untouched(path)) for path in settings.inputs]
        parts = [
            Part(path=str(each.path), info=each.info, population=each.population, choices=each.choices)
            for each in inputs
        ]
        allowed = Allowed(
            partial=settings.partial, any_account=settings.any_account, other_acceptances=settings.replaces_acceptances
        )
        shard_set.check(parts, allowed)
        by_number = sorted(zip(parts, inputs, strict=True), key=lambda each: each[0].shard.number)
        run_file, doubled = _written(settings, [each for each in by_number if each[0].population])
        return Merged(run_file, tuple(merged_run.doubts([part for part, _ in by_number], doubled)))


def _written(settings: MergeSettings, inputs: Sequence[tuple[Part, RunFile]]) -> tuple[RunFile, int]:
    """The new run file, open, and how many users were in two shards; `inputs` by number."""
    parts = [part for part, _ in inputs]
    info = merged_run.merged(parts, secrets.token_hex(16))
    info = msgspec.structs.replace(info, state="running", redacted=info.redacted or settings.redact)
    if settings.replaces_acceptances:
        info = msgspec.structs.replace(info, acceptances=settings.acceptances)
    with suppress(OSError):  # creating the run file says it better
        settings.run_file.parent.mkdir(parents=True, exist_ok=True)
    run_file = RunFile.create(settings.run_file, info)
    try:
        with run_file.loading():
            doubled = shards.join(run_file, {part.shard: each for part, each in inputs})
            population = merged_run.population(parts)
            run_file.save_population(population)
            outputs = reporting.to_keep(settings.outputs)
            run_file.save_choices(merged_run.choices(parts, outputs))
        if info.trainings:
            read = msgspec.structs.replace(info.trainings, read=run_file.copies.count_trainings())
            info = msgspec.structs.replace(info, trainings=read)
        run_file.finish(merged_run.ended(info, parts, lacking(info, population, run_file.summary)))
    except BaseException:
        run_file.discard()
        raise
    return run_file, doubled


def _check_paths(settings: MergeSettings) -> None:
    """See that no file is named for two purposes, as one would wait for itself."""
    seen: dict[Path, Path] = {}
    for path in settings.inputs:
        if (other := seen.setdefault(path.resolve(), path)) is not path:
            raise SettingsError(f"{other} and {path} are the same run file", "Name each shard once.")
    if settings.run_file.resolve() in seen:
        raise SettingsError(f"--run-file {settings.run_file} is one of the run files to be merged", "Name a new one.")
    check_free(settings.run_file)
