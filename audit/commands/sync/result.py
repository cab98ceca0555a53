"""What became of a repair, or of undoing one: rows, counts, the exit status."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeVar

from audit.errors import AuditError
from audit.model.codes import Status
from audit.model.exit_status import INCOMPLETE, OK, REPAIR, ExitStatus
from audit.model.personal import without_addresses
from audit.model.repair import ChangeState
from audit.model.text import escape_controls

T = TypeVar("T")
SAMPLE = 5
"""How many users who are not up to date are kept to be named at the end."""
BATCH = 100
"""Rows of one transaction."""


class RowReport(NamedTuple):
    """What became of one row, for a person."""

    model_row_id: str
    user: str | None
    """E-mail or user id; None where only the row is known."""
    state: ChangeState
    why: str | None
    """Why it was not changed, or is not up to date now."""
    redacted: bool

    def line(self) -> str:
        """For a terminal: what became of it, which row of whose, and why."""
        row = f"row {escape_controls(self.model_row_id)}"
        who = f"{escape_controls(self.user)}, {row}" if self.user else row
        text = f"{self.state.value:<8} {who}: {self.why}"
        return without_addresses(text) if self.redacted else text


@dataclass(slots=True)
class RepairResult:
    """Counts and errors of a repair, or of undoing one; filled while it goes on."""

    total: int = 0
    """Rows that were to be changed."""
    states: Counter[ChangeState] = field(default_factory=Counter)
    """Of these: begun ones may or may not be done, which the next --apply finds out."""
    already: int = 0
    """Undoing: rows that were back before."""
    never_done: int = 0
    """Undoing: rows of the file that were never changed, beside the total."""
    found_done: int = 0
    """Rows that an earlier command had changed without learning of it, beside the total."""
    not_journalled: str | None = None
    """Undoing: why the journal does not know yet what was done."""
    unknown: dict[str, str | None] = field(default_factory=dict)
    """Rows that an earlier command has begun to change, of which nobody knows yet whether they are changed, and whose
    they are: e-mail or user id; null where only the row is known."""
    error: AuditError | None = None
    """What ended it early."""
    stopped: str | None = None
    """The signal that ended it early."""
    audited_again: Counter[Status] = field(default_factory=Counter)
    """Users whose rows were changed, by what an audit says of them now."""
    not_up_to_date: list[RowReport] = field(default_factory=list)
    """The first `SAMPLE` of them who are not up to date."""
    audit_error: AuditError | None = None
    """Why they were not audited again."""
    left_unaudited: bool = False
    """A signal came before all of them were audited again."""

    @property
    def done(self) -> int:
        """Rows that were changed."""
        return self.states[ChangeState.DONE] + self.found_done

    @property
    def tried(self) -> int:
        """Rows of which something is known."""
        return self.states.total() + self.already

    @property
    def left(self) -> int:
        """Rows that were not tried."""
        return self.total - self.tried

    @property
    def exit_status(self) -> ExitStatus:
        """Without signals, which are the caller's to add."""
        whole = (
            self.states[ChangeState.DONE] + self.already >= self.total
            and not self.states[ChangeState.BEGUN]
            and not self.unknown
        )
        known = not self.states[ChangeState.BEGUN] and not self.unknown
        failed = self.error or self.audit_error or self.not_journalled
        good = self.audited_again.total() == self.audited_again[Status.UP_TO_DATE] and not self.left_unaudited
        if whole and known and good and not failed:
            return REPAIR[OK]
        return ExitStatus(INCOMPLETE, "; ".join(self._unfinished()) or REPAIR[INCOMPLETE].meaning)

    def _unfinished(self) -> Iterator[str]:
        open_rows = self.total - self.states[ChangeState.DONE] - self.already
        if open_rows > 0:
            yield f"{open_rows:,} of {self.total:,} row{'s' * (self.total != 1)} not done"
        if self.unknown:
            count = len(self.unknown)
            yield f"{count:,} row{'s' * (count != 1)} of an earlier command not known"
        bad = self.audited_again.total() - self.audited_again[Status.UP_TO_DATE]
        if bad:
            yield f"{bad:,} {'users are' if bad > 1 else 'user is'} not up to date"
        if self.audit_error or self.left_unaudited:
            yield "not all users were checked again"
        if self.not_journalled:
            yield "the journal does not know what was put back"


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """`items`, `size` at a time."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
