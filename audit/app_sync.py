"""Composition root of `sync-audit sync`: a run file -> the plan of a repair -> its files. Asks and changes nothing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from audit import __version__
from audit.app_plan import Plan, Tally
from audit.errors import ReportError, SettingsError
from audit.instants import instant
from audit.models import RunInfo
from audit.repair import Change, Edit, LeftOut, edit
from audit.repair_file import set_aside, with_earlier
from audit.repair_plan import PlanCode
from audit.repair_sql import Header, Names, Purpose, script
from audit.report import plan_json, writer
from audit.report.redaction import redacted_text
from audit.visible import visible


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
    def code(self) -> PlanCode:
        """How the command ends."""
        return PlanCode.SOMETHING_TO_DO if self.tally.weights else PlanCode.NOTHING_TO_DO


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
    apply_file = _write_sql(plan, apply_path, "apply", lambda: map(edit, plan.changes()), changes)
    if output is not None:
        _put("the plan", output, partial(_render, plan, tally.summary))
    options = tuple(map(redacted_text, plan.settings.options)) if plan.redacted else plan.settings.options
    return Planned(plan.info, run_file, tally, apply_file, undo_file, output, options, plan.redacted)


def sql_file(run_file: Path, purpose: Purpose) -> Path:
    """Where the SQL of a run is: `x.sqlite` has `x-apply.sql` and `x-undo.sql`."""
    return run_file.with_name(f"{run_file.name.removesuffix('.sqlite')}-{purpose}.sql")


def write_undo(plan: Plan, path: Path, edits: Callable[[], Iterable[Edit]]) -> Path | None:
    """Write the SQL that makes `edits` to `path`; None where there are none. Raises ReportError."""
    return _write_sql(plan, path, "undo", edits, sum(1 for _ in edits()))


def _write_sql(plan: Plan, path: Path, purpose: Purpose, edits: Callable[[], Iterable[Edit]], rows: int) -> Path | None:
    """One of the two files of SQL. One without rows is written only over an older one, which is wrong by now."""
    if not rows and not path.exists():
        return None
    header = Header(
        purpose=purpose,
        run_id=plan.info.id,
        started_at=plan.info.started_at,
        database=plan.info.database,
        planned_at=instant(plan.now),
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
        state="interrupted" if info.state == "running" else info.state,
        database=info.database,
        redacted=plan.redacted,
    )
    head = {
        "tool": {"name": "sync-audit", "version": __version__},
        "run": run,
        "planned_at": instant(plan.now),
    }
    changes = (each for each in plan.shown() if isinstance(each, Change))
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
    where = "standard output" if path == writer.STDOUT else visible(path)
    return ReportError(
        f"cannot write {what} to {where}: {writer.cause(error)}",
        "Make that place writable, or copy the run file to one that is.",
    )
