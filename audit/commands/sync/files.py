"""Composition root of `sync-audit sync`: a run file -> the plan of a repair -> its files. Asks and changes nothing."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from audit import __version__
from audit.commands.sync import plan_json
from audit.commands.sync.plan import Plan, Tally
from audit.commands.sync.sql import Header, Purpose, read, script
from audit.errors import ReportError, SettingsError
from audit.model.exit_status import NEEDS_SYNC, OK, PLAN, ExitStatus
from audit.model.repair import LeftOut, RowChange, RowUpdate, update_for
from audit.model.run import RunInfo
from audit.model.text import escape_controls, os_cause
from audit.model.times import utc_text
from audit.postgres.update import Names
from audit.report import writer
from audit.report.redaction import redacted_text

_RUN = re.compile("-- Run ([0-9a-f]{32}) of ")
_AT_ONCE = 20_000
"""So many rows of an older file are held in memory."""


def undo_edits(path: Path, names: Names) -> Iterator[RowUpdate]:
    """What an undo file does. Raises SettingsError where it cannot be read, or is not what was written."""
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            yield from read(lines, str(path), "undo", names)
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {os_cause(error).lower()}", "Name the ...-undo.sql that sync-audit has written."
        ) from error


def run_of(path: Path) -> str | None:
    """The id of the run that the file at `path` says it is of; None where it says nothing. Raises OSError."""
    with suppress(FileNotFoundError, UnicodeError), path.open(encoding="utf-8") as lines:
        written = next(filter(None, map(_RUN.match, islice(lines, 10))), None)
        return written[1] if written else None
    return None


def set_aside(path: Path, run_id: str) -> None:
    """Give an undo file of another run than `run_id` a name of its own, `...-undo-RUN.sql`. Raises OSError."""
    written = run_of(path)
    if written and written != run_id:
        path.replace(path.with_name(f"{path.stem}-{written[:8]}{path.suffix}"))


def with_earlier(path: Path, names: Names, edits: Callable[[], Iterable[RowUpdate]]) -> Iterator[RowUpdate]:
    """`edits`, and what the undo file at `path`, where there is one, does to other rows than they.

    Nobody but psql knows whether an earlier plan was carried out: what takes it back is never lost to a later one.
    """
    yield from edits()
    earlier = undo_edits(path, names) if path.is_file() else iter(())
    while rows := {each.model_row_id: each for each in islice(earlier, _AT_ONCE)}:
        for each in edits():
            rows.pop(each.model_row_id, None)
        yield from rows.values()


@dataclass(frozen=True, slots=True)
class Planned:
    """What a plan came to."""

    info: RunInfo
    run_file: Path
    tally: Tally
    apply_file: Path | None
    """Null where there is nothing to change."""
    undo_file: Path | None
    """Null where there is nothing to undo either, now or then."""
    output: str | None
    options: tuple[str, ...]
    """What makes this very plan again."""
    redacted: bool

    @property
    def exit_status(self) -> ExitStatus:
        """How the command ends."""
        return PLAN[NEEDS_SYNC if self.tally.weights else OK]


def make(plan: Plan, run_file: Path, output: str | None = None) -> Planned:
    """Count `plan` and write its files: the two of SQL beside the run file, and JSON to `output`, or `-`.

    Raises ReportError where a file cannot be written, SettingsError where `output` is one of the others, or where
    somebody has changed the undo file of an earlier plan.
    """
    apply_path, undo_path = sql_file(run_file, "apply"), sql_file(run_file, "undo")
    _check(output, (run_file, apply_path, undo_path))
    tally = Tally.of(plan)
    try:
        set_aside(undo_path, plan.info.id)
    except OSError as error:
        raise _unwritable("the SQL to undo it", str(undo_path), error) from error
    # First: nothing is ever there to be applied that cannot be undone.
    undo_file = write_undo(plan, undo_path, partial(with_earlier, undo_path, names_of(plan.info), plan.undo))
    changes = tally.weights.total()
    apply_file = _write_sql(plan, apply_path, "apply", lambda: map(update_for, plan.changes()), changes)
    if output is not None:
        _put("the plan", output, partial(_render, plan, tally.summary))
    options = tuple(map(redacted_text, plan.settings.options)) if plan.redacted else plan.settings.options
    return Planned(plan.info, run_file, tally, apply_file, undo_file, output, options, plan.redacted)


def sql_file(run_file: Path, purpose: Purpose) -> Path:
    """Where the SQL of a run is: `x.sqlite` has `x-apply.sql` and `x-undo.sql`."""
    return run_file.with_name(f"{run_file.name.removesuffix('.sqlite')}-{purpose}.sql")


def write_undo(plan: Plan, path: Path, edits: Callable[[], Iterable[RowUpdate]]) -> Path | None:
    """Write the SQL that makes `edits` to `path`; None where there are none. Raises ReportError."""
    return _write_sql(plan, path, "undo", edits, sum(1 for _ in edits()))


def _write_sql(
    plan: Plan, path: Path, purpose: Purpose, edits: Callable[[], Iterable[RowUpdate]], rows: int
) -> Path | None:
    """One of the two files of SQL. One without rows is written only over an older one, which is wrong by now."""
    if not rows and not path.exists():
        return None
    header = Header(
        purpose=purpose,
        run_id=plan.info.id,
        started_at=plan.info.started_at,
        database=plan.info.database,
        planned_at=utc_text(plan.now),
        file_name=str(path),
        rows=rows,
    )

    def render(out: BinaryIO) -> None:
        out.writelines(line.encode() for line in script(header, edits(), names_of(plan.info)))

    _put(f"the SQL to {purpose} it", str(path), render)
    return path if rows else None


def names_of(info: RunInfo) -> Names:
    """What the tables of the run are called in SQL."""
    return Names.of(info.tables, weights="lora_weights_url" not in info.missing_columns)


def _render(plan: Plan, summary: plan_json.PlanSummary, out: BinaryIO) -> None:
    info = plan.info
    run = plan_json.RunOfPlan(
        id=info.id,
        started_at=info.started_at,
        finished_at=info.finished_at,
        state=info.ended_as,
        database=info.database,
        redacted=plan.redacted,
    )
    head = {
        "tool": {"name": "sync-audit", "version": __version__},
        "run": run,
        "planned_at": utc_text(plan.now),
    }
    changes = (each for each in plan.shown() if isinstance(each, RowChange))
    left_out = (each for each in plan.shown() if isinstance(each, LeftOut))
    plan_json.render(head, changes, left_out, summary, out)


def _check(output: str | None, others: Iterable[Path]) -> None:
    """See that what is about to be written can be. Raises SettingsError or ReportError."""
    if output is None or output == writer.STDOUT:
        return
    for other in others:
        if Path(output).resolve() == other.resolve():
            raise SettingsError(f"-o {output} is the path of {other}, another file of this plan", "Give another PATH.")
    try:
        writer.check_path(output)
    except OSError as error:
        raise _unwritable("the plan", output, error) from error


def _put(what: str, path: str, render: Callable[[BinaryIO], None]) -> None:
    try:
        writer.put(path, render)
    except OSError as error:
        raise _unwritable(what, path, error) from error


def _unwritable(what: str, path: str, error: OSError) -> ReportError:
    where = "standard output" if path == writer.STDOUT else escape_controls(path)
    return ReportError(
        f"cannot write {what} to {where}: {os_cause(error)}",
        "Make that place writable, or copy the run file to one that is.",
    )
