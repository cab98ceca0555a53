"""Undoing: `sync --undo` carries out an undo file and journals it; `--apply` keeps that file complete by a writer."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from audit.cli.signals import Stop
from audit.commands.replicate import ProgressListener
from audit.commands.sync.files import (
    names_of_run,
    read_undo_file,
    run_id_in,
    sql_file,
    with_earlier_updates,
    write_undo,
)
from audit.commands.sync.plan import Plan
from audit.commands.sync.result import RepairResult, RowReport, batches
from audit.errors import DatabaseError
from audit.model.repair import ChangeOutcome, ChangeState, RowChange, RowUpdate, undo_for
from audit.model.tables import Column, Tables
from audit.model.users import email_or_id
from audit.postgres.repair import Outcomes, repairer
from audit.postgres.update import ALREADY, Names
from audit.postgres.url import Database
from audit.runfile import JournalEntry, RunFile

_NAME = re.compile(r"(.+)-undo(-planned)?\.sql")


class UndoFile:
    """An undo file that `sync` has written, or what somebody has left of it."""

    def __init__(self, path: Path, tables: Tables) -> None:
        """Reads it through. Raises SettingsError where it cannot be read, or is not what was written."""
        self.path = path
        self._names = Names.of(tables)
        self.rows = 0
        columns: dict[Column, None] = {}
        for update in self.updates():
            columns |= dict.fromkeys(update.columns)
            self.rows += 1
        self.columns = tuple(columns)

    def updates(self) -> Iterator[RowUpdate]:
        """What it does, row by row; the file is read anew."""
        return read_undo_file(self.path, self._names)


@contextmanager
def run_beside(file: Path) -> Iterator[RunFile | None]:
    """The run whose undo file `file` is, locked; None where it does not lie beside the file any more.

    Raises RunFileError where it cannot be locked, and SettingsError where the file cannot be read.
    """
    match = _NAME.fullmatch(file.name)
    path = file.with_name(f"{match[1]}.sqlite") if match else None
    if path is None or not path.is_file():
        yield None
        return
    with RunFile.resume(path) as run_file:
        yield run_file if run_file.info.id == run_id_in(file) else None


class Undo:
    """Carries out an undo file."""

    def __init__(
        self,
        file: UndoFile,
        run_file: RunFile | None,
        database: Database,
        statement_timeout: float,
        listener: ProgressListener,
    ) -> None:
        """`run_file` has to be locked."""
        self._file = file
        self._run_file = run_file
        self._database = database
        self._timeout = statement_timeout
        self._listener = listener
        self._result = RepairResult(total=file.rows)

    async def undo(self, stop: Stop, moved_from: str | None = None) -> RepairResult:
        """Put back all, or as much as can be until `stop` is requested or something fails.

        `moved_from`: as in `check_place`.

        Raises AuditError where not even the first row can be tried.
        """
        result = self._result
        place = self._run_file.info.place if self._run_file else None
        async with repairer(
            self._database,
            statement_timeout=self._timeout,
            columns=self._file.columns,
            place=place,
            moved_from=moved_from,
        ) as table:
            for batch in batches(self._file.updates()):
                if stop.requested:
                    break
                self._listener.doing(f"undoing: {result.tried:,} of {result.total:,} rows")
                try:
                    outcomes = await table.write(batch)
                except DatabaseError as error:
                    result.error = error
                    break
                self._record(outcomes)
        result.stopped = stop.reason
        return result

    def _record(self, outcomes: Outcomes) -> None:
        result, undone = self._result, []
        for row_id, (state, outcome) in outcomes.items():
            entry = self._run_file.journal.entry(row_id) if self._run_file else None
            already = outcome.why == ALREADY
            if entry and (state is ChangeState.DONE or already):
                undone.append(entry._replace(state=ChangeState.UNDONE))
            if already:
                result.already += 1
                continue
            result.states[state] += 1
            if state is not ChangeState.DONE:
                self._listener.line(RowReport(row_id, self._name(entry), state, outcome.why).line())
        if self._run_file:
            self._run_file.journal.write(undone)

    def _name(self, entry: JournalEntry | None) -> str | None:
        if entry is None or self._run_file is None:
            return None
        return email_or_id(entry.change, redacted=self._run_file.info.redacted)


class UndoFileWriter:
    """Keeps `...-undo.sql` beside the run file: it covers what has been done or may have been, and nothing else.

    Every method raises ReportError where a file cannot be written.
    """

    def __init__(self, run_file: RunFile, plan: Plan, *, touched: bool) -> None:
        """`touched`: the changes of this repair set `updated_at`."""
        self._journal = run_file.journal
        self._plan = plan
        self._path = sql_file(run_file.path, "undo")
        self._planned_path = self._path.with_name(f"{self._path.stem}-planned.sql")
        self._names = names_of_run(plan.info)
        self._begun = ChangeOutcome(touched=touched)

    def keep_planned(self) -> None:
        """Copy what earlier plans have written there to `...-undo-planned.sql`: psql may have carried them out."""
        if self._path.is_file():
            written = partial(read_undo_file, self._path, self._names)
            both = partial(with_earlier_updates, self._planned_path, self._names, written)
            write_undo(self._plan, self._planned_path, both)

    def drop_planned(self) -> None:
        """Remove that copy where all of its changes are done by now, and so covered by the undo file."""
        updates = read_undo_file(self._planned_path, self._names)
        if self._planned_path.is_file() and all(self._is_done(update.model_row_id) for update in updates):
            self._planned_path.unlink()

    def write(self, ahead: Callable[[], Iterable[RowChange]] = tuple) -> None:
        """Cover what the journal says was done, or may have been, and the changes `ahead`, about to be made."""

        def updates() -> Iterator[RowUpdate]:
            for state in (ChangeState.DONE, ChangeState.BEGUN):
                yield from map(_undo, self._journal.entries(state))
            yield from (_undo(JournalEntry(change, ChangeState.BEGUN, self._begun)) for change in ahead())

        write_undo(self._plan, self._path, updates)

    def _is_done(self, row_id: str) -> bool:
        entry = self._journal.entry(row_id)
        return entry is not None and entry.state is ChangeState.DONE


def _undo(entry: JournalEntry) -> RowUpdate:
    """What takes the change of `entry` back."""
    update = undo_for(entry.change, entry.outcome)
    return update if entry.state is ChangeState.DONE else msgspec.structs.replace(update, guards_updated_at=False)
