"""Composition root of `sync --apply`: a plan -> Replicate again -> journal -> database -> journal -> an audit again.

A batch at a time, each of which ends with everything known of it: whatever ends the process between two of them has
lost nothing. What a kill in the middle of one leaves is in the journal as begun, and the rows say whether it was done.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import msgspec

from audit.cli.signals import Stop
from audit.commands.replicate import ProgressListener, StoppedError, account_of, cancel_on_stop, replies_to, target
from audit.commands.settings import RunSettings
from audit.commands.sync.plan import Plan
from audit.commands.sync.tally import SAMPLE, Tally, Told
from audit.commands.sync.undo_file import Undoable
from audit.errors import DatabaseError, ReplicateError, RunFileError, SettingsError
from audit.findings.classify import RunContext, classify
from audit.model.codes import Reason, Status
from audit.model.findings import Finding
from audit.model.ids import askable_model
from audit.model.repair import ChangeOutcome, ChangeState, RowChange, update_for
from audit.model.replies import Failed, Found, NotAsked, Reply, newest_first
from audit.model.run import RunInfo
from audit.model.tables import Column
from audit.model.text import escape_controls
from audit.model.users import ModelRecord, email_or_id
from audit.postgres.repair import Repairer, repairer
from audit.postgres.update import why_not
from audit.postgres.user import records_of
from audit.replicate import Replicate, connect
from audit.replicate.retry import is_service_failure
from audit.runfile import JournalEntry, RunFile


@dataclass(frozen=True, slots=True)
class Again:
    """What is the same for all of them."""

    replicate: Replicate
    settings: RunSettings
    info: RunInfo
    """Of the run that was repaired: who counts is decided as it was then."""

    async def judge(self, entries: Sequence[JournalEntry]) -> list[tuple[Status, str | None]]:
        """The status of each user now, and where it is not up to date, why. Raises DatabaseError."""
        records = await records_of(
            self.settings.database,
            [entry.change.user_id for entry in entries],
            order_by=self.info.order_by,
            include_tests=self.info.filters.include_tests,
            statement_timeout=self.settings.statement_timeout,
        )
        models = (askable_model(record.replicate_model_id) for record in records.values())
        replies = await replies_to(self.replicate, filter(None, models), self.settings.choices.concurrency)
        return [self._judged(entry, records.get(entry.change.user_id), replies) for entry in entries]

    def _judged(
        self, entry: JournalEntry, record: ModelRecord | None, replies: dict[str, Reply]
    ) -> tuple[Status, str | None]:
        if record is None:
            return Status.ERROR, "no completed row counts any more"
        context = RunContext(self.info.account, frozenset(self.info.missing_columns))
        reply = replies.get(askable_model(record.replicate_model_id) or "", NotAsked())
        finding = classify(record, reply, context)
        if finding.status is Status.UP_TO_DATE:
            return finding.status, None
        other = record.model_row_id != entry.change.model_row_id
        return finding.status, (f"row {escape_controls(record.model_row_id)} counts now; " if other else "") + _why(
            finding
        )


def _why(finding: Finding) -> str:
    return f"{finding.reason.value}: {finding.detail}" if finding.detail else finding.reason.value


T = TypeVar("T")
AT_ONCE = 100
"""Rows of one transaction."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to repair."""

    recheck: bool = True
    """Ask Replicate again right before each batch."""
    touch: str | None = None
    """Set `updated_at` to this time."""


class Repair:
    """The repair of the users of one run."""

    def __init__(
        self, run_file: RunFile, plan: Plan, settings: RunSettings, terms: Terms, listener: ProgressListener
    ) -> None:
        """`run_file` has to be held."""
        self._ledger = run_file
        self._journal = run_file.journal
        self._plan = plan
        self._settings = settings
        self._terms = terms
        self._listener = listener
        self._tally = Tally()

    async def apply(self, stop: Stop) -> Tally:
        """Make all changes of the plan, or as many as can be made until `stop` is requested or something fails.

        Raises AuditError where not even the first one can be tried, or a file cannot be written.
        """
        settings, tally = self._settings, self._tally
        async with connect(target(settings)) as replicate:
            await self._check_account(replicate, stop)
            async with repairer(
                settings.database, statement_timeout=settings.statement_timeout, columns=self._columns()
            ) as table:
                undoable = Undoable(self._ledger, self._plan, touched=self._terms.touch is not None)
                undoable.keep_plan()
                try:
                    await self._settle(table)
                    tally.total = sum(1 for _ in self._plan.changes())
                    undoable.write(self._plan.changes)
                    await self._all_batches(table, replicate, stop)
                finally:
                    undoable.write()
                    undoable.drop_plan()
            if tally.done and not stop.requested and not tally.error:
                await self._audit_again(Again(replicate, settings, self._plan.info), stop)
        return tally

    async def _audit_again(self, again: Again, stop: Stop) -> None:
        tally = self._tally
        try:
            for batch in batches(self._journal.entries(ChangeState.DONE)):
                self._listener.doing(f"auditing again: {tally.now.total():,} users so far")
                for entry, (status, why) in zip(batch, await cancel_on_stop(stop, again.judge(batch)), strict=True):
                    tally.now[status] += 1
                    if why and len(tally.not_now) < SAMPLE:
                        tally.not_now.append(self._told(entry, why))
        except StoppedError:
            tally.stopped = stop.reason
        except DatabaseError as error:
            tally.unaudited = error

    def _columns(self) -> tuple[Column, ...]:
        """Those that are to be set."""
        columns: dict[Column, None] = {Column.VERSION_ID: None}
        for change in self._plan.changes():
            columns |= dict.fromkeys(update_for(change, self._terms.touch).columns)
        return tuple(columns)

    async def _check_account(self, replicate: Replicate, stop: Stop) -> None:
        account = await cancel_on_stop(stop, account_of(replicate))
        before = self._plan.info.account
        if account and before and account != before:
            raise SettingsError(
                f"the token belongs to {escape_controls(account.username)} now, and belonged to "
                f"{escape_controls(before.username)} "
                "in the run to be repaired",
                "Use the token of the same account, or start a new run.",
            )

    async def _settle(self, table: Repairer) -> None:
        """Find out what became of changes that were begun by a process that was killed."""
        for batch in batches(self._journal.entries(ChangeState.BEGUN)):
            rows = await table.rows([entry.change.model_row_id for entry in batch])
            entries = []
            for entry in batch:
                change, row = entry.change, rows.get(entry.change.model_row_id)
                if row and (row.version, row.weights) == (change.new_version, change.new_weights):
                    outcome = msgspec.structs.replace(entry.outcome, updated_at=row.updated_at)
                    entries.append(JournalEntry(change, ChangeState.DONE, outcome))
                elif row and (row.version, row.weights) == (change.old_version, change.old_weights):
                    entries.append(
                        JournalEntry(change, ChangeState.FAILED, ChangeOutcome(why="it was not come to in time"))
                    )
                else:
                    entries.append(
                        JournalEntry(
                            change,
                            ChangeState.SKIPPED,
                            ChangeOutcome(why=why_not(update_for(change), row, self._settings.database.tables)),
                        )
                    )
            self._journal.write(entries)
            self._tally.found_done += sum(entry.state is ChangeState.DONE for entry in entries)

    async def _all_batches(self, table: Repairer, replicate: Replicate, stop: Stop) -> None:
        tally = self._tally
        for batch in batches(self._plan.changes()):
            if stop.requested:
                break
            self._listener.doing(f"repairing: {tally.tried:,} of {tally.total:,} rows")
            try:
                right = await cancel_on_stop(stop, self._recheck(replicate, batch)) if self._terms.recheck else batch
                await self._change(table, right)
            except StoppedError:
                break
            except (DatabaseError, ReplicateError) as error:
                tally.error = error
                break
            except RunFileError as error:
                error.next_step = "Whatever stands against it has to go; then the same command finds out what was done."
                raise
        tally.stopped = stop.reason

    async def _recheck(self, replicate: Replicate, batch: Sequence[RowChange]) -> list[RowChange]:
        """Those whose latest version is still what it was; the others are written down.

        Raises ReplicateError, with nothing written down, where nobody gets an answer.
        """
        replies = await replies_to(
            replicate, [change.replicate_model_id for change in batch], self._settings.choices.concurrency
        )
        failures = [reply for reply in replies.values() if isinstance(reply, Failed)]
        if len(failures) == len(replies) and all(map(_hopeless, failures)):
            raise ReplicateError(f"Replicate does not answer: {failures[0].detail}", "Try again later.")
        right, entries = [], []
        for change in batch:
            entry = _rechecked(change, replies[change.replicate_model_id])
            if entry is None:
                right.append(change)
            else:
                entries.append(entry)
        self._record(entries)
        return right

    async def _change(self, table: Repairer, changes: Sequence[RowChange]) -> None:
        if not changes:
            return
        begun = ChangeOutcome(touched=self._terms.touch is not None)
        self._journal.write(JournalEntry(change, ChangeState.BEGUN, begun) for change in changes)
        try:
            became = await table.write([update_for(change, self._terms.touch) for change in changes])
        except DatabaseError:
            self._tally.states[ChangeState.BEGUN] += len(changes)
            raise
        self._record([JournalEntry(change, *became[change.model_row_id]) for change in changes])

    def _record(self, entries: Sequence[JournalEntry]) -> None:
        self._journal.write(entries)
        self._tally.states.update(entry.state for entry in entries)
        for entry in entries:
            if entry.state is not ChangeState.DONE:
                self._listener.line(self._told(entry, entry.outcome.why).line())

    def _told(self, entry: JournalEntry, why: str | None) -> Told:
        change = entry.change
        user = email_or_id(change, redacted=self._plan.redacted)
        return Told(change.model_row_id, user, entry.state, why)


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """`items`, `AT_ONCE` at a time."""
    rest = iter(items)
    while batch := list(islice(rest, AT_ONCE)):
        yield batch


def _rechecked(change: RowChange, reply: Reply) -> JournalEntry | None:
    """None where the latest version is still the one that is to be recorded."""
    match reply:
        case Found():
            latest = newest_first(reply.versions)[0].id
            if latest == change.latest_version:
                return None
            why = f"another version is the latest by now, {latest[:12]}...: audit again"
            return JournalEntry(change, ChangeState.SKIPPED, ChangeOutcome(why=why))
        case Failed():
            return JournalEntry(
                change, ChangeState.FAILED, ChangeOutcome(why=f"Replicate could not be asked again: {reply.detail}")
            )
        case _:
            why = "Replicate has no version of the model any more: audit again"
            return JournalEntry(change, ChangeState.SKIPPED, ChangeOutcome(why=why))


def _hopeless(reply: Failed) -> bool:
    return is_service_failure(reply) or reply.reason is Reason.UNAUTHORIZED
