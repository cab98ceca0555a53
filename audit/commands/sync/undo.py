"""`sync --undo`: puts back what was really done, by the journal of the run, and by what psql has noted.

An undo file selects the rows. What was done to a row, and what that has left there, is known from the journal of
`--apply`, else from the file of deeds that psql writes, else, where the run file is gone, from the line itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

import msgspec

from audit.cli.signals import Stop
from audit.commands.replicate import ProgressListener
from audit.commands.sync.apply import settle_begun
from audit.commands.sync.files import (
    Header,
    Note,
    UndoLine,
    deeds_file,
    read_notes,
    read_undo_file,
    undo_header,
    write_undone,
)
from audit.commands.sync.result import RepairResult, RowReport, batches
from audit.errors import DatabaseError, RunFileError, SettingsError
from audit.model.place import Place
from audit.model.repair import ChangeState, Deed, RowUpdate, in_order, undo_for, undo_of
from audit.model.tables import Column
from audit.model.text import escape_controls
from audit.model.users import email_or_id
from audit.postgres.repair import Fate, Outcomes, Repairer, repairer
from audit.postgres.update import ALREADY
from audit.postgres.url import Database
from audit.runfile import DamagedError, JournalEntry, RunFile
from audit.runfile.sqlite import DiskFullError, is_run_file

_DEEDS = (ChangeState.DONE, ChangeState.BEGUN, ChangeState.UNDONE)


class UndoFile:
    """An undo file that `sync` has written, or what somebody has left of it, and what else is known of its rows."""

    def __init__(self, path: Path, run_file: RunFile | None) -> None:
        """Reads it through. Raises SettingsError where it cannot be read, or is not what was written."""
        self.path = path
        header = undo_header(path)
        self.run_id = header.run_id or ""
        self.run_file = run_file
        self.deeds = deeds_file(run_file.path if run_file else _run_file_of(header))
        """Where psql and this notes what was done."""
        self._notes = read_notes(self.deeds, self.run_id)
        self.place = header.place
        """Where the run was made; null in a file of an older version."""
        self.rows = 0
        """Those that were changed, or may have been."""
        self.never_done = 0
        columns, written = set[Column](), set[Column]()
        first = ""
        for line in read_undo_file(path):
            first = first or line.model_row_id
            notes = self.notes(line)
            older = None if notes else self.older_deed(line)
            is_done = older is not None if not notes else not notes[-1].undone
            self.rows += is_done
            self.never_done += not is_done
            written.update(line.sets)
            columns.update(older.sets if older else (), *(note.deed.before for note in notes))
        self.columns = in_order(columns or written or {Column.VERSION_ID})
        """Those that are to be set."""
        if run_file is None and first and header.form == 1:
            raise SettingsError(
                f"{path} is from an older version; without its run file, it is not known what was really changed",
                "Put the run file next to it. Or look at the rows by hand: psql -X -c 'TABLE user_models' "
                f"(the first is {escape_controls(first)}).",
            )

    def lines(self) -> Iterator[UndoLine]:
        """Its rows; the file is read anew."""
        return read_undo_file(self.path)

    def notes(self, line: UndoLine) -> list[Note]:
        """What was done to the row of `line` and put back, or may have been, in order. The last one counts."""
        entry, found = self.entry(line.model_row_id), list[Note]()
        if entry and entry.outcome.deed and entry.state in _DEEDS:
            undone, certain = entry.state is ChangeState.UNDONE, entry.state is not ChangeState.BEGUN
            found.append(Note(entry.outcome.deed, undone, certain))
        elif self.run_file is None and line.guards is not None:
            deed = Deed(txid=line.txid or line.by or "0", before=line.sets, after=line.guards)
            found.append(Note(deed, undone=False, certain=line.txid is None))
        found += self._notes.get(line.model_row_id, ())
        return sorted(found, key=lambda note: note.place)

    def older_deed(self, line: UndoLine) -> RowUpdate | None:
        """What takes back what an older version has done to the row of `line`, which has kept no transaction."""
        entry = self.entry(line.model_row_id)
        if entry and entry.state in (ChangeState.DONE, ChangeState.BEGUN) and entry.outcome.deed is None:
            return undo_for(entry.change, entry.outcome)
        return None

    def entry(self, row_id: str) -> JournalEntry | None:
        """What the journal of the run says of a row."""
        journal = self.run_file.journal if self.run_file else None
        return journal.entry(row_id) if journal and journal.exists else None


def _run_file_of(header: Header) -> Path:
    """Where the run file of an undo file should lie, by its name or else by its header."""
    path = header.path
    if path.name.endswith("-undo.sql"):
        return path.with_name(f"{path.name.removesuffix('-undo.sql')}.sqlite")
    return path.with_name(header.run_file or "run.sqlite")


@contextmanager
def run_beside(file: Path) -> Iterator[RunFile | None]:
    """The run whose undo file `file` is, locked; None where it does not lie beside the file any more.

    It is the file that the undo file names, or else any run file of that id in the same directory. On a full disk it is
    open for reading alone, and its journal has to be told later. Raises RunFileError where it cannot be locked, and
    SettingsError where the undo file cannot be read.
    """
    header = undo_header(file)
    named = [header.path.with_name(name) for name in (header.run_file, _run_file_of(header).name) if name]
    candidates = chain(named, _run_files_beside(header.path)) if header.run_id else ()
    path = next((each for each in candidates if _run_id_of(each, named=each in named) == header.run_id), None)
    if path is None:
        yield None
        return
    try:
        run_file = RunFile.resume(path)
    except DiskFullError:
        run_file = RunFile.open(path, "ro")
        run_file.check_integrity()
    with run_file:
        yield run_file


def _run_files_beside(path: Path) -> Iterator[Path]:
    with suppress(OSError):  # the directory may be closed to us
        yield from sorted(each for each in path.absolute().parent.iterdir() if is_run_file(each))


def _run_id_of(path: Path, *, named: bool) -> str | None:
    """Raises RunFileError for a run file that another process holds, and for a damaged one that is `named`.

    What was done would else be taken for what was only planned.
    """
    if not is_run_file(path):
        return None
    try:
        with RunFile.open(path, "ro") as run_file:
            run_file.check_info()
            return run_file.info.id
    except RunFileError as error:
        if named and isinstance(error, DamagedError):
            error.next_step = (
                "Look at the rows by hand. Where the file is moved away, only what psql has done is undone."
            )
            raise
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
        *,
        redact: bool = False,
    ) -> None:
        """The run file of `file` has to be locked, or open for reading alone, and is told what it has room for."""
        self._file = file
        self._run_file = file.run_file
        self._database = database
        self._timeout = statement_timeout
        self._listener = listener
        self._redacted = redact or bool(file.run_file and file.run_file.info.redacted)
        self._moved_from: str | None = None
        self._result = RepairResult(total=file.rows, never_done=file.never_done)
        self._last: dict[str, str] = {}
        """Of each row of the batch the transaction that is taken back."""
        self._untold: dict[str, str | None] = {}
        """Rows put back that the journal had no room for, and by which transaction, where that is known."""

    async def undo(self, stop: Stop, moved_from: str | None = None) -> RepairResult:
        """Put back all, or as much as can be until `stop` is requested or something fails.

        `moved_from`: as in `check_place`.

        Raises AuditError where not even the first row can be tried.
        """
        result, run_file, self._moved_from = self._result, self._run_file, moved_from
        async with repairer(
            self._database,
            statement_timeout=self._timeout,
            columns=self._file.columns,
            place=self._place,
            moved_from=moved_from,
        ) as table:
            if run_file and run_file.storage.locked:
                await settle_begun(table, run_file, result, redacted=self._redacted)
            result.total = result.never_done = 0
            for batch in batches(self._file.lines()):
                if stop.requested:
                    break
                try:
                    updates = await self._updates(table, batch)
                    result.total += len(updates)
                    self._listener.doing(f"undoing: {result.tried:,} of {self._file.rows:,} rows")
                    if updates:
                        self._record(await table.write(updates, lambda *_: None))
                except DatabaseError as error:
                    result.error = error
                    break
        if stop.requested or result.error:
            result.total = max(result.total, self._file.rows)
        self._journal({})
        result.stopped = stop.reason
        return result

    @property
    def _place(self) -> Place | None:
        return self._run_file.info.place if self._run_file else self._file.place

    async def _updates(self, table: Repairer, lines: Sequence[UndoLine]) -> list[RowUpdate]:
        """What takes back the rows of `lines` that were really changed; the others are counted."""
        notes = {line.model_row_id: self._file.notes(line) for line in lines}
        fates = await self._fates(table, notes)
        updates, self._last = [], {}
        for line in lines:
            row_id, entry = line.model_row_id, self._file.entry(line.model_row_id)
            done = [note for note in notes[row_id] if fates.get((row_id, note.deed.txid)) is not Fate.NOT_DONE]
            last = done[-1] if done else None
            update = undo_of(row_id, last.deed) if last else self._file.older_deed(line)
            begun = not last and entry and entry.state is ChangeState.BEGUN and entry.outcome.deed is None
            if begun or (last and fates.get((row_id, last.deed.txid)) is Fate.UNKNOWN):
                self._result.unknown[row_id] = self._name(entry)
            elif last.undone if last else entry and entry.state is ChangeState.UNDONE:
                self._result.already += 1
                self._result.total += 1
            elif update:
                updates.append(update)
                self._last |= {row_id: last.deed.txid} if last else {}
            else:
                self._result.never_done += 1
        return updates

    async def _fates(self, table: Repairer, notes: Mapping[str, Sequence[Note]]) -> dict[tuple[str, str], Fate]:
        """Of all that is not certain, by row and transaction."""
        fates: dict[tuple[str, str], Fate] = {}
        uncertain = {row_id: [note for note in several if not note.certain] for row_id, several in notes.items()}
        for layer in range(max(map(len, uncertain.values()), default=0)):
            asked = {row_id: several[layer] for row_id, several in uncertain.items() if len(several) > layer}
            deeds = {row_id: _asked(note) for row_id, note in asked.items()}
            found = await table.fates(deeds)
            fates |= {(row_id, deeds[row_id].txid): fate for row_id, fate in found.items()}
        return fates

    def _record(self, outcomes: Outcomes) -> None:
        result, undone = self._result, dict[str, str | None]()
        for row_id, (state, outcome) in outcomes.items():
            already = outcome.why == ALREADY
            if state is ChangeState.DONE or already:
                undone[row_id] = outcome.deed.txid if outcome.deed else self._last.get(row_id)
            if already:
                result.already += 1
                continue
            result.states[state] += 1
            if state is not ChangeState.DONE:
                name = self._name(self._file.entry(row_id))
                self._listener.line(RowReport(row_id, name, state, outcome.why, self._redacted).line())
        self._journal(undone)

    def _journal(self, undone: Mapping[str, str | None]) -> None:
        """Write down that these rows are put back, and those that there was no room for before."""
        self._untold |= undone
        try:
            known = {row_id: txid for row_id, txid in self._untold.items() if txid is not None}
            write_undone(self._file.deeds, self._file.run_id, known, self._moved_from)
            if self._run_file:
                entries = [entry for row_id in self._untold if (entry := self._file.entry(row_id))]
                self._run_file.journal.write(entry._replace(state=ChangeState.UNDONE) for entry in entries)
        except (RunFileError, OSError) as error:
            self._result.not_journalled = str(error)
        else:
            self._untold.clear()
            self._result.not_journalled = None

    def _name(self, entry: JournalEntry | None) -> str | None:
        return email_or_id(entry.change, redacted=self._redacted) if entry else None


def _asked(note: Note) -> Deed:
    """The deed to ask the server about; one that has put a row back is no less one for what it has not noted."""
    return msgspec.structs.replace(note.deed, after={}) if note.undone else note.deed
