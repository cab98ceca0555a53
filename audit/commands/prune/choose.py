"""Which runs of a folder stay, and why."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from audit.commands.history import by_place
from audit.commands.sync.files import is_repaired
from audit.errors import AuditError
from audit.files import real
from audit.findings.trend import is_whole
from audit.model.text import escape_controls
from audit.model.times import epoch_seconds
from audit.runfile import RunFile
from audit.runfile.folder import Past, Survey, held_unchanged


class Kept(NamedTuple):
    """A file that stays."""

    path: Path
    why: str


class Choice(NamedTuple):
    """What becomes of all run files of a folder."""

    to_remove: list[Past]
    """In the order in which they go: shards before what was made of them, older ones before newer ones."""
    kept: list[Kept]


def choose(found: Survey, folder: Path, keep: int) -> Choice:
    """Of each place the newest `keep` whole runs stay, whatever is not older than these, and whatever is needed."""
    whys = _whys(found, folder, keep)
    while used := _baselines(found.runs, whys):
        whys.update(used)
    going = [run for run in found.runs if run.path not in whys]
    going.sort(key=lambda run: (run.info.shard is None, epoch_seconds(run.info.started_at), run.path.name))
    kept = [Kept(run.path, whys[run.path]) for run in found.runs if run.path in whys]
    kept += [Kept(path, "it is in use: a run or a repair is going on") for path in found.in_use]
    kept += [Kept(path, "it is damaged, or no run file") for path in found.unreadable]
    return Choice(going, kept)


def _whys(found: Survey, folder: Path, keep: int) -> dict[Path, str]:
    """Why each run stays, by its file; those that may go are not there."""
    merged = dict(_merged(found.runs))
    links = _links(folder)
    whys: dict[Path, str] = {}
    for group in by_place(found.runs):
        newest = list(dict.fromkeys(run.info.id for run in group if is_whole(run.info)))[:keep]
        began = [epoch_seconds(run.info.started_at) for run in group if run.info.id in newest]
        oldest = min(began) if len(newest) == keep else None
        for run in group:
            why = _why_needed(run, merged, links)
            if not why and run.info.id in newest:
                why = "it is one of the newest whole runs of its place"
            elif not why and (oldest is None or epoch_seconds(run.info.started_at) >= oldest):
                why = "it is not older than the newest whole runs of its place"
            if why:
                whys[run.path] = why
    return whys


def _why_needed(run: Past, merged: Mapping[str, str | None], links: Mapping[tuple[Path, str], str]) -> str:
    info = run.info
    if link := links.get((real(run.path.parent), run.path.stem)):
        return f"{escape_controls(link)} points at it"
    if info.state != "complete" or info.missing_shards:
        return "it is unfinished, and --resume can finish it"
    if info.shard and (info.id not in merged or merged[info.id] != info.finished_at):
        return "it is a shard, and no complete run here was merged from it"
    try:
        with held_unchanged(run.path) as run_file:
            return why_repaired(run_file)
    except AuditError:
        return "it is in use, or cannot be read"


def why_repaired(run_file: RunFile) -> str:
    """Why a run has to stay for what was done because of it; "" where it need not."""
    try:
        return "its repair is not undone, and could not be undone without it" if is_repaired(run_file) else ""
    except AuditError:
        return "what psql has noted beside it cannot be read"


def _merged(runs: list[Past]) -> Iterator[tuple[str, str | None]]:
    """Id and end of each shard that a complete run was merged from."""
    for run in runs:
        if run.info.state == "complete":
            yield from ((shard.id, shard.finished_at) for shard in run.info.shards if shard.id)


def _links(folder: Path) -> dict[tuple[Path, str], str]:
    """The names of links in `folder`, by the folder and the stem of what they lead to."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_symlink()]
    targets = {name: real(folder / name) for name in sorted(names)}
    stems = {name: (target.stem, re.sub("-(apply|undo)$", "", target.stem)) for name, target in targets.items()}
    return {(targets[name].parent, stem): name for name, both in stems.items() for stem in both}


def _baselines(runs: list[Past], whys: Mapping[Path, str]) -> dict[Path, str]:
    """The runs that may go so far, and are the baseline of one that stays."""
    users = {run.info.baseline.run_id: run.path.name for run in runs if run.path in whys and run.info.baseline}
    return {
        run.path: f"it is the baseline of {escape_controls(users[run.info.id])}"
        for run in runs
        if run.path not in whys and run.info.id in users
    }
