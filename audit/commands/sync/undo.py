"""Composition root of `sync --undo`: an undo file -> database -> journal of the run, where that is beside the file."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audit.cli.signals import Stop
from audit.commands.replicate import ProgressListener
from audit.commands.sync.apply import batches
from audit.commands.sync.files import run_of, undo_edits
from audit.commands.sync.tally import Tally, Told
from audit.errors import DatabaseError
from audit.model.repair import ChangeState, RowUpdate
from audit.model.tables import Column, Tables
from audit.model.users import email_or_id
from audit.postgres.repair import Outcomes, repairer
from audit.postgres.update import ALREADY, Names
from audit.postgres.url import Database
from audit.runfile import JournalEntry, RunFile

_NAME = re.compile(r"(.+)-undo(-planned)?\.sql")


class UndoFile:
    """A file that `sync` has written, or what somebody has left of it."""

    def __init__(self, path: Path, tables: Tables) -> None:
        """Reads it through. Raises SettingsError where it cannot be read, or is not what was written."""
        self.path = path
        self._names = Names.of(tables)
        self.rows = 0
        columns: dict[Column, None] = {}
        for edit in self.edits():
            columns |= dict.fromkeys(edit.columns)
            self.rows += 1
        self.columns = tuple(columns)

    def edits(self) -> Iterator[RowUpdate]:
        """What it does, row by row."""
        return undo_edits(self.path, self._names)


@contextmanager
def run_beside(file: Path) -> Iterator[RunFile | None]:
    """The run whose undo file `file` is, held; None where it does not lie beside the file any more.

    Raises RunFileError where it cannot be held, and SettingsError where the file cannot be read.
    """
    match = _NAME.fullmatch(file.name)
    path = file.with_name(f"{match[1]}.sqlite") if match else None
    if path is None or not path.is_file():
        yield None
        return
    with RunFile.resume(path) as run_file:
        yield run_file if run_file.info.id == run_of(file) else None


class Undo:
    """The undoing of what a file says."""

    def __init__(
        self,
        file: UndoFile,
        run_file: RunFile | None,
        database: Database,
        statement_timeout: float,
        listener: ProgressListener,
    ) -> None:
        """`run_file` has to be held."""
        self._file = file
        self._ledger = run_file
        self._database = database
        self._timeout = statement_timeout
        self._listener = listener
        self._tally = Tally(total=file.rows)

    async def undo(self, stop: Stop) -> Tally:
        """Put back all, or as much as can be until `stop` is requested or something fails.

        Raises AuditError where not even the first row can be tried.
        """
        tally = self._tally
        async with repairer(self._database, statement_timeout=self._timeout, columns=self._file.columns) as table:
            for batch in batches(self._file.edits()):
                if stop.requested:
                    break
                self._listener.doing(f"undoing: {tally.tried:,} of {tally.total:,} rows")
                try:
                    became = await table.write(batch)
                except DatabaseError as error:
                    tally.error = error
                    break
                self._take_down(became)
        tally.stopped = stop.reason
        return tally

    def _take_down(self, became: Outcomes) -> None:
        tally, undone = self._tally, []
        for row_id, (state, outcome) in became.items():
            entry = self._ledger.journal.entry(row_id) if self._ledger else None
            already = outcome.why == ALREADY
            if entry and (state is ChangeState.DONE or already):
                undone.append(entry._replace(state=ChangeState.UNDONE))
            if already:
                tally.already += 1
                continue
            tally.states[state] += 1
            if state is not ChangeState.DONE:
                self._listener.line(Told(row_id, self._name(entry), state, outcome.why).line())
        if self._ledger:
            self._ledger.journal.write(undone)

    def _name(self, entry: JournalEntry | None) -> str | None:
        if entry is None or self._ledger is None:
            return None
        return email_or_id(entry.change, redacted=self._ledger.info.redacted)
