"""`sync --apply`: makes the changes of a plan, each journalled before and after, and then audits the users again.

A batch at a time, each of which ends with everything known of it: whatever ends the process between two of them has
lost nothing. What a kill or a lost COMMIT in the middle of one leaves is in the journal as begun, with its transaction;
the next command asks the server about that before it does anything else.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from audit.cli.signals import Stop
from audit.commands.replicate import ProgressListener, StoppedError, account_of, cancel_on_stop, replies_to, target
from audit.commands.settings import RunSettings
from audit.commands.sync.files import write_undo
from audit.commands.sync.lookup import LookedUp, TrainingLookUp
from audit.commands.sync.result import SAMPLE, RepairResult, RowReport, batches
from audit.errors import DatabaseError, ReplicateError, RunFileError, SettingsError
from audit.findings.classify import RunContext, classify
from audit.model.codes import Reason, Status
from audit.model.ids import askable_model, question_of
from audit.model.lines import line
from audit.model.repair import ChangeOutcome, ChangeState, Deed, RowChange, in_order
from audit.model.replies import Failed, Found, NotAsked, Reply, newest_first
from audit.model.tables import Column
from audit.model.text import escape_controls
from audit.model.users import ModelRecord, email_or_id
from audit.postgres.errors import may_have_changed
from audit.postgres.repair import Fate, Repairer, repairer
from audit.postgres.update import LEFT_AS_IT_WAS, Counting
from audit.postgres.user import records_of
from audit.repair.plan import Plan, PlannedChange
from audit.repair.rules import WHY_LEFT_OUT, looked_up
from audit.replicate import Replicate, connect
from audit.replicate.retry import is_service_failure
from audit.runfile import JournalEntry, RunFile

_OF_ITS_TRAINING = frozenset({Reason.TRAINING_NOT_RECORDED, Reason.VERSION_LOST, Reason.TRAINER_RECORDED})
"""Reasons with which a row gets the version that its own training has made."""
NOT_COME_TO = "it was not reached in time"


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How to repair."""

    recheck: bool = True
    """Ask Replicate again right before each batch."""
    touch: str | None = None
    """Set `updated_at` to this time."""


class Repair:
    """The repair of the users of one run."""

    def __init__(
        self, run_file: RunFile, plan: Plan, settings: RunSettings, options: ApplyOptions, listener: ProgressListener
    ) -> None:
        """`run_file` has to be locked."""
        self._run_file = run_file
        self._journal = run_file.journal
        self._plan = plan
        self._settings = settings
        self._options = options
        self._listener = listener
        self._result = RepairResult()

    async def apply(self, stop: Stop) -> RepairResult:
        """Make all changes of the plan, or as many as can be made until `stop` is requested or something fails.

        Raises AuditError where not even the first one can be tried, or a file cannot be written.
        """
        settings, result = self._settings, self._result
        async with connect(target(settings)) as replicate:
            self._listener.connected(replicate)
            await self._check_account(replicate, stop)
            info = self._run_file.info
            async with repairer(
                settings.database,
                statement_timeout=settings.statement_timeout,
                columns=self._columns(),
                place=info.place,
                moved_from=settings.moved_from,
                counting=Counting(info.order_by, info.filters.include_tests),
            ) as table:
                try:
                    await settle_begun(table, self._run_file, result, redacted=self._plan.redacted)
                    result.total = sum(1 for _ in self._plan.changes())
                    await self._all_batches(table, replicate, stop)
                finally:
                    write_undo(self._plan, self._run_file.path)
            if result.done and not stop.requested and not result.error:
                await self._audit_again(replicate, stop)
        return result

    async def _check_account(self, replicate: Replicate, stop: Stop) -> None:
        account = await cancel_on_stop(stop, account_of(replicate))
        before = self._plan.info.account
        if account and before and account != before:
            now, then = escape_controls(account.username), escape_controls(before.username)
            raise SettingsError(
                f"the token belongs to {now} now, and belonged to {then} in the run to be repaired",
                "Use the token of the same account, or start a new run.",
            )

    def _columns(self) -> tuple[Column, ...]:
        """Those that are to be set, or may come to be."""
        columns = {column for change in self._plan.changes() for column in change.old}
        return in_order(columns | {Column.UPDATED_AT} if columns and self._options.touch else columns)

    async def _all_batches(self, table: Repairer, replicate: Replicate, stop: Stop) -> None:
        result = self._result
        look_up = TrainingLookUp(replicate, self._run_file, self._settings.choices.concurrency)
        for batch in batches(self._plan.planned_changes()):
            if stop.requested:
                break
            self._listener.doing(f"fixing: {result.tried:,} of {result.total:,} rows")
            try:
                right = await cancel_on_stop(stop, self._ready(replicate, look_up, batch))
                await self._make_changes(table, right)
            except StoppedError:
                break
            except (DatabaseError, ReplicateError) as error:
                result.error = error
                break
            except RunFileError as error:
                error.next_step = "Remove what blocks it; then the same command finds out what was done."
                raise
        result.stopped = stop.reason

    async def _ready(
        self, replicate: Replicate, look_up: TrainingLookUp, batch: Sequence[PlannedChange]
    ) -> list[PlannedChange]:
        """Those that may be made, with their weights; the others are written down."""
        unknown = [planned for planned in batch if planned.change.weights == "to_be_looked_up"]
        replicate.expect(len(unknown))
        found = await look_up.trainings_for(unknown)
        entries, known = list[JournalEntry](), list[PlannedChange]()
        for planned in batch:
            answer = found.get(planned.change.model_row_id)
            complete = planned.change if answer is None else self._with_weights(planned, answer)
            if isinstance(complete, RowChange):
                known.append(planned._replace(change=complete))
            else:
                entries.append(complete)
        self._record(entries)
        return await self._recheck(replicate, known) if self._options.recheck else known

    def _with_weights(self, planned: PlannedChange, found: LookedUp) -> RowChange | JournalEntry:
        """The change with the weights that were looked up, or why it is not made."""
        if found.failure:
            why = f"the training of its version could not be looked up: {found.failure.detail}"
            return JournalEntry(planned.change, ChangeState.FAILED, ChangeOutcome(why=why))
        complete = looked_up(planned.user, planned.change, found.training, self._plan.rules)
        if isinstance(complete, RowChange):
            return complete
        return JournalEntry(planned.change, ChangeState.SKIPPED, ChangeOutcome(why=WHY_LEFT_OUT[complete]))

    async def _recheck(self, replicate: Replicate, batch: Sequence[PlannedChange]) -> list[PlannedChange]:
        """Those whose latest version is still what it was; the others are written down.

        Raises ReplicateError, with nothing written down, where nobody gets an answer.
        """
        asked = {planned.change.model_row_id: askable_model(planned.change.replicate_model_id) for planned in batch}
        replies = await replies_to(replicate, filter(None, asked.values()), self._settings.choices.concurrency)
        failures = [reply for reply in replies.values() if isinstance(reply, Failed)]
        if failures and len(failures) == len(replies) and all(map(_is_hopeless, failures)):
            raise ReplicateError(f"Replicate does not answer: {failures[0].detail}", "Try again later.")
        still_right, entries = [], []
        for planned in batch:
            entry = _rechecked(planned.change, replies.get(asked[planned.change.model_row_id] or "", NotAsked()))
            if entry is None:
                still_right.append(planned)
            else:
                entries.append(entry)
        self._record(entries)
        return still_right

    async def _make_changes(self, table: Repairer, several: Sequence[PlannedChange]) -> None:
        if not several:
            return
        by_row = {planned.change.model_row_id: planned.change for planned in several}
        noted = set[str]()  # rows that the journal has as begun

        def announce(deeds: Mapping[str, Deed], left: Collection[str]) -> None:
            begun = [
                JournalEntry(by_row[row_id], ChangeState.BEGUN, ChangeOutcome(deed=deed))
                for row_id, deed in deeds.items()
            ]
            skipped = ChangeState.SKIPPED, ChangeOutcome(why=LEFT_AS_IT_WAS)
            self._journal.write(begun + [JournalEntry(by_row[row_id], *skipped) for row_id in left])
            noted.update(deeds)
            noted.difference_update(left)

        try:
            outcomes = await table.write([planned.update(self._options.touch) for planned in several], announce)
        except DatabaseError as error:
            if may_have_changed(error):
                self._result.states[ChangeState.BEGUN] += len(noted)
            raise
        self._record([JournalEntry(by_row[row_id], *outcome) for row_id, outcome in outcomes.items()])

    def _record(self, entries: Sequence[JournalEntry]) -> None:
        self._journal.write(entries)
        self._result.states.update(entry.state for entry in entries)
        for entry in entries:
            if entry.state is not ChangeState.DONE:
                self._listener.line(self._row_report(entry, entry.outcome.why).line())

    def _row_report(self, entry: JournalEntry, why: str | None) -> RowReport:
        user = email_or_id(entry.change, redacted=self._plan.redacted)
        return RowReport(entry.change.model_row_id, user, entry.state, why, self._plan.redacted)

    async def _audit_again(self, replicate: Replicate, stop: Stop) -> None:
        result = self._result
        try:
            for batch in batches(self._journal.entries(ChangeState.DONE)):
                self._listener.doing(f"checking again: {result.audited_again.total():,} users so far")
                statuses = await cancel_on_stop(stop, self._current_statuses(replicate, batch))
                for entry, (status, why) in zip(batch, statuses, strict=True):
                    result.audited_again[status] += 1
                    if why and len(result.not_up_to_date) < SAMPLE:
                        result.not_up_to_date.append(self._row_report(entry, why))
        except StoppedError:
            result.stopped, result.left_unaudited = stop.reason, True
        except (DatabaseError, ReplicateError) as error:
            result.audit_error = error

    async def _current_statuses(
        self, replicate: Replicate, entries: Sequence[JournalEntry]
    ) -> list[tuple[Status, str | None]]:
        """The status of each user now, and where it is not up to date, why. Who counts is decided as in the run."""
        info = self._plan.info
        records = await records_of(
            self._settings.database,
            list({entry.change.user_id for entry in entries}),
            order_by=info.order_by,
            include_tests=info.filters.include_tests,
            statement_timeout=self._settings.statement_timeout,
        )
        models = (question_of(record.replicate_model_id) for record in records.values())
        replies = await replies_to(replicate, filter(None, models), self._settings.choices.concurrency)
        context = RunContext(info.account, frozenset(info.missing_columns))
        lines = (
            line(entry.change.user_id, entry.change.replicate_model_id, entry.change.model_row_id, info.latest_per)
            for entry in entries
        )
        found = zip(entries, lines, strict=True)
        return [_current_status(entry, records.get(each), replies, context) for entry, each in found]


async def settle_begun(table: Repairer, run_file: RunFile, result: RepairResult, *, redacted: bool) -> None:
    """Find out what became of changes that were begun by a process that did not learn it, and journal that.

    What cannot be found out yet stays begun, and is counted so.
    """
    journal = run_file.journal
    for batch in batches(journal.entries(ChangeState.BEGUN)):
        deeds = {entry.change.model_row_id: entry.outcome.deed for entry in batch}
        fates = await table.fates({row_id: deed for row_id, deed in deeds.items() if deed})
        rows = await table.rows([row_id for row_id, deed in deeds.items() if deed is None])
        settled = []
        for entry in batch:
            row_id = entry.change.model_row_id
            fate = fates[row_id] if row_id in fates else _older_fate(entry.change, rows.get(row_id))
            if fate is Fate.DONE:
                settled.append(entry._replace(state=ChangeState.DONE))
            elif fate is Fate.NOT_DONE:
                settled.append(entry._replace(state=ChangeState.FAILED, outcome=ChangeOutcome(why=NOT_COME_TO)))
            else:
                result.unknown[row_id] = email_or_id(entry.change, redacted=redacted)
        journal.write(settled)
        result.found_done += sum(entry.state is ChangeState.DONE for entry in settled)


def _older_fate(change: RowChange, row: Mapping[Column, str | None] | None) -> Fate:
    """What became of a change that an older version has begun, which has kept no transaction.

    A row that still holds what it held was not changed, as nobody holds its lock. One that holds the new values may
    have them from somebody else.
    """
    if row is None:
        return Fate.UNKNOWN
    return Fate.UNKNOWN if row.get(Column.VERSION_ID) == change.new_version else Fate.NOT_DONE


def _rechecked(change: RowChange, reply: Reply) -> JournalEntry | None:
    """None where the version to be recorded is the latest still, or one that a training has made, and there still."""
    state, why = ChangeState.SKIPPED, "Replicate no longer has a version of the model: run the audit again"
    if isinstance(reply, Found):
        latest = newest_first(reply.versions)[0].id
        # What a training has put out is its row's, whichever version is the latest.
        right = (
            {version.id for version in reply.versions}
            if change.new_others or change.reason in _OF_ITS_TRAINING
            else {latest}
        )
        if change.latest_version in right:
            return None
        why = f"another version is the latest now, {latest[:12]}...: run the audit again"
    elif isinstance(reply, Failed):
        state, why = ChangeState.FAILED, f"Replicate could not be checked again: {reply.detail}"
    return JournalEntry(change, state, ChangeOutcome(why=why))


def _is_hopeless(reply: Failed) -> bool:
    return is_service_failure(reply) or reply.reason is Reason.UNAUTHORIZED


def _current_status(
    entry: JournalEntry, record: ModelRecord | None, replies: dict[str, Reply], context: RunContext
) -> tuple[Status, str | None]:
    if record is None or record.unfinished:
        return Status.ERROR, "no completed row counts now"
    finding = classify(record, replies.get(question_of(record.replicate_model_id) or "", NotAsked()), context)
    if finding.status is Status.UP_TO_DATE:
        return finding.status, None
    other = record.model_row_id != entry.change.model_row_id
    row = f"row {escape_controls(record.model_row_id)} counts now; " if other else ""
    detail = f": {finding.detail}" if finding.detail else ""
    return finding.status, f"{row}{finding.reason.value}{detail}"
