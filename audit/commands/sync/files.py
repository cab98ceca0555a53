"""The files of a plan: SQL for psql that applies it and SQL that undoes it, and JSON. The SQL can be read again.

One statement is one line, whatever its values hold; see `update_line`.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from audit.commands.sync import plan_json
from audit.commands.sync.plan import Plan, PlanCounts
from audit.errors import ReportError, SettingsError
from audit.model.exit_status import NEEDS_SYNC, OK, PLAN, ExitStatus
from audit.model.repair import RowUpdate, update_for
from audit.model.run import RunInfo
from audit.model.tables import Column
from audit.model.text import escape_controls, os_cause, shortened
from audit.model.times import utc_text
from audit.postgres.update import Names, parse_update_line, update_line
from audit.report import writer
from audit.report.redaction import redacted_text

Purpose = Literal["apply", "undo"]
LOCK_TIMEOUT = "5s"
"""A row that somebody else holds for longer ends the whole transaction, rather than keeping all rows locked."""
_BEGIN = (
    "\\set ON_ERROR_STOP on",
    "SET client_encoding = 'UTF8';",
    "BEGIN;",
    "SET LOCAL standard_conforming_strings = on;",
    f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';",
)
_END = "COMMIT;"
_RUN = re.compile("-- Run ([0-9a-f]{32}) of ")
_AT_ONCE = 20_000
"""Rows of an older file that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class WrittenPlan:
    """A plan, counted, and where it was written."""

    info: RunInfo
    run_file: Path
    counts: PlanCounts
    apply_file: Path | None
    """None where there is nothing to change."""
    undo_file: Path | None
    """None where there is nothing to undo either, now or then."""
    output: str | None
    options: tuple[str, ...]
    """Those that make this very plan again, as arguments."""
    redacted: bool

    @property
    def exit_status(self) -> ExitStatus:
        """Of the command, where it only plans."""
        return PLAN[NEEDS_SYNC if self.counts.weights else OK]


def write_plan(plan: Plan, run_file: Path, output: str | None = None) -> WrittenPlan:
    """Count `plan` and write its files: the two of SQL beside the run file, and JSON to `output`, or `-`.

    Raises ReportError where a file cannot be written, SettingsError where `output` is one of the others, or where
    somebody has changed the undo file of an earlier plan.
    """
    apply_path, undo_path = sql_file(run_file, "apply"), sql_file(run_file, "undo")
    _check(output, (run_file, apply_path, undo_path))
    counts = PlanCounts.of(plan)
    try:
        _set_aside(undo_path, plan.info.id)
    except OSError as error:
        raise _unwritable("the SQL to undo it", str(undo_path), error) from error
    # First: nothing is ever there to be applied that cannot be undone.
    to_undo = partial(with_earlier_updates, undo_path, names_of_run(plan.info), plan.undo)
    undo_file = write_undo(plan, undo_path, to_undo)
    changes = counts.weights.total()
    apply_file = _write_sql(plan, apply_path, "apply", lambda: map(update_for, plan.changes()), changes)
    if output is not None:
        _put("the plan", output, partial(plan_json.render, plan, counts.summary))
    options = tuple(map(redacted_text, plan.settings.options)) if plan.redacted else plan.settings.options
    return WrittenPlan(plan.info, run_file, counts, apply_file, undo_file, output, options, plan.redacted)


def sql_file(run_file: Path, purpose: Purpose) -> Path:
    """Where the SQL of a run is: `x.sqlite` has `x-apply.sql` and `x-undo.sql`."""
    return run_file.with_name(f"{run_file.name.removesuffix('.sqlite')}-{purpose}.sql")


def names_of_run(info: RunInfo) -> Names:
    """What the tables of the run are called in SQL."""
    return Names.of(info.tables, weights=Column.LORA_WEIGHTS_URL not in info.missing_columns)


def write_undo(plan: Plan, path: Path, updates: Callable[[], Iterable[RowUpdate]]) -> Path | None:
    """Write the SQL that makes `updates` to `path`; None where there are none. Raises ReportError."""
    return _write_sql(plan, path, "undo", updates, sum(1 for _ in updates()))


def with_earlier_updates(path: Path, names: Names, updates: Callable[[], Iterable[RowUpdate]]) -> Iterator[RowUpdate]:
    """`updates`, and those of the undo file at `path`, where there is one, to other rows.

    Nobody but psql knows whether an earlier plan was carried out: what takes it back is never lost to a later one.
    """
    yield from updates()
    earlier = read_undo_file(path, names) if path.is_file() else iter(())
    while rows := {each.model_row_id: each for each in islice(earlier, _AT_ONCE)}:
        for each in updates():
            rows.pop(each.model_row_id, None)
        yield from rows.values()


def read_undo_file(path: Path, names: Names) -> Iterator[RowUpdate]:
    """The updates of an undo file. Raises SettingsError where it cannot be read, or is not what was written."""
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            yield from read_script(lines, str(path), "undo", names)
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {os_cause(error).lower()}", "Name the ...-undo.sql that sync-audit has written."
        ) from error


def run_id_in(path: Path) -> str | None:
    """The id of the run that the file at `path` says it is of; None where it says nothing. Raises OSError."""
    with suppress(FileNotFoundError, UnicodeError), path.open(encoding="utf-8") as lines:
        written = next(filter(None, map(_RUN.match, islice(lines, 10))), None)
        return written[1] if written else None
    return None


def _set_aside(path: Path, run_id: str) -> None:
    """Give an undo file of another run than `run_id` a name of its own, `...-undo-RUN.sql`. Raises OSError."""
    written = run_id_in(path)
    if written and written != run_id:
        path.replace(path.with_name(f"{path.stem}-{written[:8]}{path.suffix}"))


def _write_sql(
    plan: Plan, path: Path, purpose: Purpose, updates: Callable[[], Iterable[RowUpdate]], rows: int
) -> Path | None:
    """Write one of the two files of SQL. Without rows it is written only over an older one, which is wrong by now."""
    if not rows and not path.exists():
        return None
    header = ScriptHeader(
        purpose=purpose,
        run_id=plan.info.id,
        started_at=plan.info.started_at,
        database=plan.info.database,
        planned_at=utc_text(plan.now),
        file_name=str(path),
        rows=rows,
    )

    def render(out: BinaryIO) -> None:
        out.writelines(line.encode() for line in script_lines(header, updates(), names_of_run(plan.info)))

    _put(f"the SQL to {purpose} it", str(path), render)
    return path if rows else None


class ScriptHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What the first lines of a file of SQL say of it."""

    purpose: Purpose
    run_id: str
    started_at: str
    database: str
    planned_at: str
    file_name: str
    rows: int


def script_lines(header: ScriptHeader, updates: Iterable[RowUpdate], names: Names) -> Iterator[str]:
    """The lines of a whole file of SQL, each with its end."""
    for line in (*_comments(header, names), *_BEGIN):
        yield f"{line}\n"
    for update in updates:
        yield f"{update_line(update, names)}\n"
    yield f"{_END}\n"


def read_script(lines: Iterable[str], file_name: str, purpose: Purpose, names: Names) -> Iterator[RowUpdate]:
    """The updates of a file that `script_lines` has written, some of which may have been deleted since.

    Raises SettingsError, which names the line, for whatever else has been done to it: at the first line that differs,
    or at the end where that is missing. So read it once before anything is done about it.
    """
    ended = False
    number = 0
    for number, line in enumerate(lines, 1):
        text = line.removesuffix("\n")
        if number == 1 and text != _mark(purpose):
            raise SettingsError(
                f"{file_name} is no {purpose} file of sync-audit: its first line is "
                f"{shortened(escape_controls(text), 60)!r}",
                f"Name the ...-{purpose}.sql that sync-audit has written.",
            )
        if text.startswith("--"):
            continue
        update = None if ended or text in _BEGIN else parse_update_line(text, names)
        if update is not None:
            yield update
        elif ended or text not in (*_BEGIN, _END):
            raise SettingsError(
                f"{file_name}, line {number}: not what sync-audit has written: {shortened(escape_controls(text), 60)}",
                "Lines may be deleted, but not changed or added. To have it written anew, move it away and plan again.",
            )
        ended = text == _END
    if not ended:
        raise SettingsError(
            f"{file_name} ends after line {number}, without its last line, {_END}",
            "Write it again: sync-audit sync RUN",
        )


def _mark(purpose: Purpose) -> str:
    return f"-- sync-audit {purpose}, form 1"


def _comments(header: ScriptHeader, names: Names) -> Iterator[str]:
    does = "Records the latest versions in" if header.purpose == "apply" else "Puts back what was recorded before in"
    rows = f"{header.rows:,} row{'s' * (header.rows != 1)}"
    command = f'psql "$DATABASE_URL" -X -f {shlex.quote(escape_controls(header.file_name))}'
    yield _mark(header.purpose)
    yield f"-- {does} {rows} of {names.table}, all in one transaction."
    yield f"-- Run {header.run_id} of {escape_controls(header.database)}, begun {header.started_at};"
    yield f"-- planned {header.planned_at}"
    yield f"-- To run it: {command}"
    yield "-- UPDATE 1: done. UPDATE 0: the row is not what it was, and is left as it is. To run it and count both:"
    yield f"--   {command} | sort | uniq -c"
    yield "-- It may be attached to a ticket: values of the columns named below, and no e-mail or name of a user."
    yield "-- Lines may be deleted, but not changed."


def _check(output: str | None, others: Iterable[Path]) -> None:
    """See that `output` can be written. Raises SettingsError where it is one of `others`, else ReportError."""
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
