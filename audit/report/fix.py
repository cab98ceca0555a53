"""What repairs one user, to be copied from a report: the command, and the guarded UPDATE that it would make.

What is planned is what `sync` would have planned at the run's end, without options: who is left out has no fix.
"""

import shlex
from collections.abc import Iterator
from typing import NamedTuple

from audit.findings.redaction import names_user
from audit.model.codes import Status
from audit.model.findings import AuditedUser
from audit.model.personal import without_addresses
from audit.model.repair import RowChange, update_for
from audit.model.text import escape_controls
from audit.model.users import ModelRecord
from audit.postgres.statement import Statements
from audit.repair.plan import PLANNED
from audit.repair.rules import guards_of
from audit.report.view import RunView

_LIMITS = "It looks at this row alone and asks nobody; `sync --undo` does not know of it."


class Fix(NamedTuple):
    """What repairs the row of one user."""

    command: str
    """For a POSIX shell. It is about all lines of that user, and checks everything again before it writes."""
    sql: str | None
    """For any client, with comments in front. It changes the row if that is what the audit saw, and else nothing.

    None where the weights are to be looked up first, where one statement will not do, and where it would name
    somebody in a redacted report."""

    @property
    def text(self) -> str:
        """Both, for a ticket."""
        return self.command if self.sql is None else f"{self.command}\n\n{self.sql}"


class Fixes:
    """Those of a run. Made once; each costs some microseconds."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._plan = view.plan()
        self._run = shlex.quote(view.file_name) if _is_pasteable(view.file_name) else None
        info = self._plan.info
        self._missing = frozenset(info.missing_columns)
        self._statements = Statements(info.tables, info.columns, info.place) if info.columns and info.place else None
        self._comments = (
            f'-- sync-audit, run {info.id} of {escape_controls(info.database)}. "UPDATE 0": '
            f"the row has changed since; run the audit again.\n-- {_LIMITS}\n"
        )

    def users(self) -> Iterator[tuple[AuditedUser, Fix | None]]:
        """Everybody in report order, as the report shows them, and what repairs each; None where `sync` does not."""
        for status in Status:
            if status in PLANNED and self._view.summary.statuses[status]:
                several = zip(self._view.users(status), self._view.checked_users(status), strict=True)
                yield from ((shown, self.of(*checked)) for shown, checked in several)
            else:
                yield from ((shown, None) for shown in self._view.users(status))

    def of(self, user: AuditedUser, checked_at: int | None) -> Fix | None:
        """What repairs `user`, who is not masked: one of `RunView.checked_users`."""
        who = self._who(user.record)
        if who is None or self._run is None:
            return None
        for planned in self._plan.outcomes_of(user, checked_at):
            if isinstance(planned.outcome, RowChange):
                command = f"sync-audit sync {self._run} {who} --apply"
                return Fix(command, self._sql(planned.user, planned.outcome))
        return None

    def _who(self, record: ModelRecord) -> str | None:
        """The option that means this user; None where nothing that may be shown, and pasted, does."""
        redacted = self._plan.redacted
        names = [record.user_id] if redacted else [record.user_id, record.email or ""]
        shown = (name for name in names if not redacted or without_addresses(name) == name)
        name = next(filter(_is_pasteable, shown), None)
        if name is None:
            return None
        return f"--user{'=' if name.startswith('-') else ' '}{shlex.quote(name)}"

    def _sql(self, user: AuditedUser, change: RowChange) -> str | None:
        if self._statements is None or change.weights == "to_be_looked_up":
            return None
        update = update_for(change, guards_of(user.record, self._missing))
        if self._plan.redacted and names_user(user, update):
            return None
        sql = self._statements.of(update)
        return sql and self._comments + sql


def _is_pasteable(word: str) -> bool:
    """Whether a command means what it shows: `--user` takes no blanks around it, and a terminal acts on controls."""
    return bool(word) and word == word.strip() and escape_controls(word) == word
