"""The run that is meant where none is named: the newest whole one, of the same place."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, overload

import click

from audit.cli import options
from audit.cli.settings import found, is_given
from audit.errors import SettingsError
from audit.files import real
from audit.model.place import Address, place_differences
from audit.model.run import RunInfo
from audit.model.text import escape_controls
from audit.model.times import epoch_seconds, utc_now
from audit.runfile.folder import whole_runs

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60))


class WholeRun(NamedTuple):
    """A whole run in the default folder."""

    path: Path
    info: RunInfo


@overload
def the_run(ctx: click.Context, named: str | None, *, needed: Literal[True] = True) -> Path: ...
@overload
def the_run(ctx: click.Context, named: str | None, *, needed: bool) -> Path | None: ...
def the_run(ctx: click.Context, named: str | None, *, needed: bool = True) -> Path | None:
    """The run that is `named`, or the newest, which is then said on stderr; None where it is not `needed`.

    Raises SettingsError where there is none, or where it cannot be told which place is meant.
    """
    if named is not None and not _is_latest(named):
        return Path(named)
    runs = _newest_first(ctx)
    if not runs and not needed and named is None:
        return None
    return _taken(_first_of(ctx, runs, 1)[0], "newest")


def two_runs(ctx: click.Context, old: str | None, new: str | None) -> tuple[Path, Path]:
    """What is compared: OLD and NEW, and where they are not named the newest two. Raises SettingsError."""
    if old is not None:
        paths = the_run(ctx, old), the_run(ctx, new)
        if new is None and real(paths[0]) == real(paths[1]):
            raise SettingsError("OLD is the newest whole run itself", "Name an older run, or none at all.")
        return paths
    newest, before = _first_of(ctx, _newest_first(ctx), 2)
    return _taken(before, "second newest"), _taken(newest, "newest")


def _is_latest(named: str) -> bool:
    return named == options.LATEST and not Path(named).exists()


def _taken(run: WholeRun, which: str) -> Path:
    what = f"the {which} whole run of {run.info.database}, {_ago(run.info)}"
    click.echo(escape_controls(f"using {run.path}, {what}"), err=True)
    return run.path


def _first_of(ctx: click.Context, runs: list[WholeRun], number: int) -> list[WholeRun]:
    if len(runs) < number:
        database = _configured(ctx)
        whose = f" of {database.label}" if database else ""
        many = "only one whole run" if runs else "no whole run"
        raise SettingsError(
            f"no RUN is named, and there is {many} in {options.REPORTS}/{whose}",
            "Make one with sync-audit run, or name a run file.",
        )
    return runs[:number]


def _newest_first(ctx: click.Context) -> list[WholeRun]:
    """The whole runs of the place that is configured, or of the only one there is; never the demo's."""
    runs = [WholeRun(path, info) for path, info in whole_runs(Path(options.REPORTS)) if not info.made_up]
    newest = sorted(runs, key=lambda run: epoch_seconds(run.info.started_at), reverse=True)
    if not newest:
        return []
    if database := _configured(ctx):
        here = [run for run in newest if _is_of(run.info, database, _base_url(ctx))]
        if not here:
            return []
        first = here[0].info
        return [run for run in here if _is_of(run.info, first.address, first.base_url)]
    first = newest[0].info
    if others := [run for run in newest if not _is_of(run.info, first.address, first.base_url)]:
        labels = ", ".join(dict.fromkeys(run.info.address.full for run in (newest[0], *others)))
        raise SettingsError(
            f"no RUN is named, and {options.REPORTS}/ has whole runs of several places: {escape_controls(labels)}",
            f"Name a run file, such as {newest[0].path}, or set DATABASE_URL.",
        )
    return newest


def _is_of(info: RunInfo, place: Address, base_url: str | None) -> bool:
    return base_url in {None, info.base_url} and not any(place_differences(info.address, place))


def _configured(ctx: click.Context) -> Address | None:
    database = options.database.look_up(ctx)
    if problem := found(ctx).problems.get(options.database.id):
        raise problem
    address: Address | None = database and database.address
    return address


def _base_url(ctx: click.Context) -> str | None:
    """The Replicate that is configured; None where nobody has."""
    url: str | None = options.base_url.look_up(ctx)
    return url if is_given(ctx, options.base_url.id) else None


def _ago(info: RunInfo) -> str:
    passed = (utc_now() - datetime.fromtimestamp(epoch_seconds(info.started_at), UTC)).total_seconds()
    for unit, seconds in _UNITS:
        if (number := int(passed // seconds)) >= 1:
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now"
