"""`sync --undo`: puts back what was really done, by the journal of the run, and by what psql has noted.

An undo file selects the rows. What was done to a row, and what that has left there, is known from the journal of
`--apply`, else from the file of deeds that psql writes, else, where the run file is gone, from the line itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from audit.cli.signals import Stop
from audit.commands.replicate import ProgressListener
from audit.commands.sync.apply import settle_begun
from audit.commands.sync.files import (
    UndoLine,
    deeds_file,
    is_form_1,
    place_in,
    read_deeds,
    read_undo_file,
    run_file_in,
    run_id_in,
)
from audit.commands.sync.result import RepairResult, RowReport, batches
from audit.errors import DatabaseError, RunFileError, SettingsError
from audit.model.place import Place
from audit.model.repair import ChangeState, Deed, RowUpdate, undo_for
from audit.model.tables import Column
from audit.model.text import escape_controls
from audit.model.users import email_or_id
from audit.postgres.repair import Fate, Outcomes, Repairer, repairer
from audit.postgres.update import ALREADY
from audit.postgres.url import Database
from audit.runfile import JournalEntry, RunFile
from audit.runfile.sqlite import DiskFullError, is_run_file


class UndoFile:
    """An undo file that `sync` has written, or what somebody has left of it, and what else is known of its rows."""

    def __init__(self, path: Path, run_file: RunFile | None) -> None:
        """Reads it through. Raises SettingsError where it cannot be read, or is not what was written."""
        self.path = path
        self.run_id = run_id_in(path) or ""
        self.run_file = run_file
        self._deeds = read_deeds(deeds_file(run_file.path if run_file else _run_file_of(path)), self.run_id)
        self.place = place_in(path)
        """Where the run was made; null in a file of an older version."""
        self.rows = 0
        """Those that were changed, or may have been."""
        self.never_done = 0
        columns: dict[Column, None] = {Column.VERSION_ID: None}
        first = ""
        for line in read_undo_file(path):
            first = first or line.model_row_id
            known = self.deed(line)
            self.rows += known is not None
            self.never_done += known is None
            columns |= dict.fromkeys((*line.sets, *(known.sets if known else ())))
        self.columns = tuple(columns)
        if run_file is None and first and is_form_1(path):
            raise SettingsError(
                f"{path} is of an older version, and without its run file nobody can tell what was really changed",
                "Put the run file beside it. Or look at the rows by hand: psql -X -c 'TABLE user_models' "
                f"(the first is {escape_controls(first)}).",
            )

    def lines(self) -> Iterator[UndoLine]:
        """Its rows; the file is read anew."""
        return read_undo_file(self.path)

    def deed(self, line: UndoLine) -> RowUpdate | None:
        """What takes back what was done to the row of `line`, or may have been; None where nothing was."""
        entry = self.entry(line.model_row_id)
        if entry and entry.state in (ChangeState.DONE, ChangeState.BEGUN):
            return undo_for(entry.change, entry.outcome)
        if noted := self._deeds.get(line.model_row_id):
            after, before = noted[0].after or {}, noted[0].before
            return RowUpdate(model_row_id=line.model_row_id, guards=after, sets=before, judged=False)
        if self.run_file is None and line.guards is not None:
            return RowUpdate(model_row_id=line.model_row_id, guards=line.guards, sets=line.sets, judged=False)
        return None

    def uncertain(self, line: UndoLine) -> Deed | None:
        """A deed whose transaction has to be asked about first."""
        entry = self.entry(line.model_row_id)
        if entry and entry.state in (ChangeState.DONE, ChangeState.BEGUN):
            return entry.outcome.deed if entry.state is ChangeState.BEGUN else None
        if noted := self._deeds.get(line.model_row_id):
            deed, committed = noted
            return None if committed else deed
        if self.run_file is None and line.txid is not None:
            return Deed(txid=line.txid, before=line.sets, after=line.guards)
        return None

    def has_deed(self, line: UndoLine) -> bool:
        """Whether psql has noted that it has changed the row, and not that it has put it back."""
        return line.model_row_id in self._deeds

    def entry(self, row_id: str) -> JournalEntry | None:
        """What the journal of the run says of a row."""
        journal = self.run_file.journal if self.run_file else None
        return journal.entry(row_id) if journal and journal.exists else None

    def note_undone(self, row_ids: Sequence[str]) -> None:
        """Write into the file of deeds that these are put back, where it has them. Raises OSError."""
        path = deeds_file(self.run_file.path if self.run_file else _run_file_of(self.path))
        noted = [row_id for row_id in row_ids if row_id in self._deeds]
        lines = (msgspec.json.encode({"run": self.run_id, "row": row_id, "undone": True}) for row_id in noted)
        if noted:
            with path.open("ab") as file:
                file.writelines(line + b"\n" for line in lines)


def _run_file_of(undo_file: Path) -> Path:
    """Where the run file of an undo file should lie, by its name or else by its header."""
    if undo_file.name.endswith("-undo.sql"):
        return undo_file.with_name(f"{undo_file.name.removesuffix('-undo.sql')}.sqlite")
    return undo_file.with_name(Path(run_file_in(undo_file) or "run.sqlite").name)


@contextmanager
def run_beside(file: Path) -> Iterator[RunFile | None]:
    """The run whose undo file `file` is, locked; None where it does not lie beside the file any more.

    It is the file that the undo file names, or else any run file of that id in the same directory. On a full disk it is
    open for reading alone, and its journal has to be told later. Raises RunFileError where it cannot be locked, and
    SettingsError where the undo file cannot be read.
    """
    try:
        run_id, name = run_id_in(file), run_file_in(file)
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {(error.strerror or str(error)).lower()}",
            "Name the ...-undo.sql that sync-audit has written.",
        ) from error
    path = next((each for each in _candidates(file, name) if _run_id_of(each) == run_id), None) if run_id else None
    if path is None:
        yield None
        return
    try:
        run_file = RunFile.resume(path)
    except DiskFullError:
        run_file = RunFile.open(path, "ro")
    with run_file:
        yield run_file


def _candidates(file: Path, name: str | None) -> Iterator[Path]:
    for named in (name, _run_file_of(file).name):
        if named:
            yield file.with_name(named)
    yield from sorted(each for each in file.absolute().parent.iterdir() if is_run_file(each))


def _run_id_of(path: Path) -> str | None:
    """Raises RunFileError for a run file that another process holds."""
    if not is_run_file(path):
        return None
    try:
        with RunFile.open(path, "ro") as run_file:
            return run_file.info.id
    except RunFileError as error:
        if "in use" in str(error):
            raise
        return None


class Undo:
    """Carries out an undo file."""

    def __init__(
        self,
        file: UndoFile,
        database: Database,
        statement_timeout: float,
        listener: ProgressListener,
    ) -> None:
        """The run file of `file` has to be locked, or open for reading alone, and is told what it has room for."""
        self._file = file
        self._run_file = file.run_file
        self._database = database
        self._timeout = statement_timeout
        self._listener = listener
        self._moved = False
        self._result = RepairResult(total=file.rows, never_done=file.never_done)
        self._untold: list[str] = []
        """Rows put back that the journal had no room for."""

    async def undo(self, stop: Stop, moved_from: str | None = None) -> RepairResult:
        """Put back all, or as much as can be until `stop` is requested or something fails.

        `moved_from`: as in `check_place`.

        Raises AuditError where not even the first row can be tried.
        """
        result, run_file, self._moved = self._result, self._run_file, moved_from is not None
        async with repairer(
            self._database,
            statement_timeout=self._timeout,
            columns=self._file.columns,
            place=self._place,
            moved_from=moved_from,
        ) as table:
            if run_file and run_file.storage.locked:
                await settle_begun(table, run_file, result, moved=self._moved)
            result.total = result.never_done = 0
            for batch in batches(self._file.lines()):
                if stop.requested:
                    break
                try:
                    updates = await self._updates(table, batch)
                    result.total += len(updates)
                    self._listener.doing(f"undoing: {result.tried:,} of {self._file.rows:,} rows")
                    if updates:
                        self._record(await table.write(updates, lambda _: None))
                except DatabaseError as error:
                    result.error = error
                    break
        if stop.requested or result.error:
            result.total = max(result.total, self._file.rows)
        self._journal([])
        result.stopped = stop.reason
        return result

    @property
    def _place(self) -> Place | None:
        return self._run_file.info.place if self._run_file else self._file.place

    async def _updates(self, table: Repairer, lines: Sequence[UndoLine]) -> list[RowUpdate]:
        """What takes back the rows of `lines` that were really changed; the others are counted."""
        uncertain = {line.model_row_id: deed for line in lines if (deed := self._file.uncertain(line))}
        fates = await table.fates(uncertain, moved=self._moved) if uncertain else {}
        updates = []
        for line in lines:
            update, entry = self._file.deed(line), self._file.entry(line.model_row_id)
            fate = fates.get(line.model_row_id, Fate.DONE)
            if entry and entry.state is ChangeState.BEGUN and entry.outcome.deed is None:
                fate = Fate.UNKNOWN  # an older version has begun it, and `settle_begun` did not find out more
            if fate is Fate.UNKNOWN:
                self._result.unknown[line.model_row_id] = self._name(entry)
            elif self._is_undone(line):
                self._result.already += 1
                self._result.total += 1
            elif update is None or fate is Fate.NOT_DONE:
                self._result.never_done += 1
            else:
                updates.append(update)
        return updates

    def _is_undone(self, line: UndoLine) -> bool:
        entry = self._file.entry(line.model_row_id)
        return entry is not None and entry.state is ChangeState.UNDONE and not self._file.has_deed(line)

    def _record(self, outcomes: Outcomes) -> None:
        result, undone = self._result, []
        for row_id, (state, outcome) in outcomes.items():
            already = outcome.why == ALREADY
            if state is ChangeState.DONE or already:
                undone.append(row_id)
            if already:
                result.already += 1
                continue
            result.states[state] += 1
            if state is not ChangeState.DONE:
                name = self._name(self._file.entry(row_id))
                self._listener.line(RowReport(row_id, name, state, outcome.why).line())
        self._journal(undone)

    def _journal(self, undone: Sequence[str]) -> None:
        """Write down that these rows are put back, and those that there was no room for before."""
        self._untold += undone
        try:
            self._file.note_undone(self._untold)
            if self._run_file:
                entries = [entry for row_id in self._untold if (entry := self._file.entry(row_id))]
                self._run_file.journal.write(entry._replace(state=ChangeState.UNDONE) for entry in entries)
        except (RunFileError, OSError) as error:
            self._result.not_journalled = str(error)
        else:
            self._untold.clear()
            self._result.not_journalled = None

    def _name(self, entry: JournalEntry | None) -> str | None:
        if entry is None or self._run_file is None:
            return None
        return email_or_id(entry.change, redacted=self._run_file.info.redacted)
