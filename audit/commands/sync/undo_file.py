"""The undo file of a repair, so that it covers at any moment what has been done, or may have been, and nothing else."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import msgspec

from audit.commands.sync.files import names_of, sql_file, undo_edits, with_earlier, write_undo
from audit.commands.sync.plan import Plan
from audit.model.repair import ChangeOutcome, ChangeState, RowChange, RowUpdate, undo_for
from audit.runfile import JournalEntry, RunFile


class Undoable:
    """`...-undo.sql` beside the run file. Every method raises ReportError where a file cannot be written."""

    def __init__(self, run_file: RunFile, plan: Plan, *, touched: bool) -> None:
        """`touched`: the changes of this repair set `updated_at`."""
        self._journal = run_file.journal
        self._plan = plan
        self._path = sql_file(run_file.path, "undo")
        self._kept = self._path.with_name(f"{self._path.stem}-planned.sql")
        self._names = names_of(plan.info)
        self._begun = ChangeOutcome(touched=touched)

    def keep_plan(self) -> None:
        """What plans have written there stays as `...-undo-planned.sql`: psql may have carried them out."""
        if self._path.is_file():
            written = partial(undo_edits, self._path, self._names)
            write_undo(self._plan, self._kept, partial(with_earlier, self._kept, self._names, written))

    def drop_plan(self) -> None:
        """Remove that again where all of it has been done by now, and so is in the other file."""
        edits = undo_edits(self._kept, self._names)
        if self._kept.is_file() and all(self._is_done(edit.model_row_id) for edit in edits):
            self._kept.unlink()

    def write(self, ahead: Callable[[], Iterable[RowChange]] = tuple) -> None:
        """Cover what the journal says was done, or may have been, and the changes `ahead`, about to be made."""

        def edits() -> Iterator[RowUpdate]:
            for state in (ChangeState.DONE, ChangeState.BEGUN):
                yield from map(_back, self._journal.entries(state))
            yield from (_back(JournalEntry(change, ChangeState.BEGUN, self._begun)) for change in ahead())

        write_undo(self._plan, self._path, edits)

    def _is_done(self, row_id: str) -> bool:
        entry = self._journal.entry(row_id)
        return entry is not None and entry.state is ChangeState.DONE


def _back(entry: JournalEntry) -> RowUpdate:
    """What takes the change of `entry` back."""
    back = undo_for(entry.change, entry.outcome)
    return back if entry.state is ChangeState.DONE else msgspec.structs.replace(back, guards_updated_at=False)
