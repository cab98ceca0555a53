"""Composition root of `sync --apply`: a plan -> Replicate again -> journal -> database -> journal -> an audit again.

A batch at a time, each of which ends with everything known of it: whatever ends the process between two of them has
lost nothing. What a kill in the middle of one leaves is in the journal as begun, and the rows say whether it was done.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from audit.app_plan import Plan
from audit.app_sync import names_of, sql_file, write_undo
from audit.asking import StoppedError, account_of, target, unless
from audit.auditor import Stop
from audit.errors import ReplicateError, SettingsError, SourceError
from audit.health import is_of_the_service
from audit.ledger import Entry, Ledger
from audit.models import Failed, Found, NotAsked, Reason, Reply, Status
from audit.repair import Change, Column, Edit, Outcome, State, edit, undoing
from audit.repair_file import undo_edits, with_earlier
from audit.repair_tally import SAMPLE, Tally, Told
from audit.replicate import Replicate, Ticking, connect
from audit.settings import RunSettings
from audit.source_repair import Repairer, repairer, why_not
from audit.source_user import records_of
from audit.verdict import Circumstances, askable_model, classify, newest_first
from audit.visible import visible

T = TypeVar("T")

AT_ONCE = 100
"""Rows of one transaction."""


class Watcher(Protocol):
    """Whoever shows a person how a repair is getting on."""

    def doing(self, words: str) -> None:
        """What is being done from now on."""

    def told(self, row: Told) -> None:
        """Of a row that was not changed."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to repair."""

    recheck: bool = True
    """Ask Replicate again right before each batch."""
    touch: str | None = None
    """Set `updated_at` to this time."""


class Repair:
    """The repair of the users of one run."""

    def __init__(self, ledger: Ledger, plan: Plan, settings: RunSettings, terms: Terms, watcher: Watcher) -> None:
        """`ledger` has to be held."""
        self._ledger = ledger
        self._journal = ledger.journal
        self._plan = plan
        self._settings = settings
        self._terms = terms
        self._watcher = watcher
        self._tally = Tally()

    async def apply(self, stop: Stop) -> Tally:
        """Make all changes of the plan, or as many as can be made until `stop` is requested or something fails.

        Raises AuditError where not even the first one can be tried, or a file cannot be written.
        """
        settings, tally = self._settings, self._tally
        async with connect(target(settings), Ticking()) as replicate:
            await self._check_account(replicate, stop)
            async with repairer(
                settings.database, statement_timeout=settings.statement_timeout, columns=self._columns()
            ) as table:
                try:
                    await self._settle(table)
                    tally.total = sum(1 for _ in self._plan.changes())
                    self._keep_plan()
                    self._write_undo(self._plan.changes)
                    await self._all_batches(table, replicate, stop)
                finally:
                    self._write_undo()
                    self._drop_plan()
            if tally.done and not stop.requested and not tally.error:
                await self._audit_again(replicate, stop)
        return tally

    def _columns(self) -> tuple[Column, ...]:
        """Those that are to be set."""
        columns: dict[Column, None] = {"replicate_version_id": None}
        for change in self._plan.changes():
            columns |= dict.fromkeys(edit(change, self._terms.touch).columns)
        return tuple(columns)

    async def _check_account(self, replicate: Replicate, stop: Stop) -> None:
        account = await unless(stop, account_of(replicate))
        before = self._plan.info.account
        if account and before and account != before:
            raise SettingsError(
                f"the token belongs to {visible(account.username)} now, and belonged to {visible(before.username)} "
                "in the run to be repaired",
                "Use the token of the same account, or start a new run.",
            )

    async def _settle(self, table: Repairer) -> None:
        """Find out what became of changes that were begun by a process that was killed."""
        for batch in batches(self._journal.entries(State.BEGUN)):
            rows = await table.look([entry.change.model_row_id for entry in batch])
            entries = []
            for entry in batch:
                change, row = entry.change, rows.get(entry.change.model_row_id)
                if row and (row.version, row.weights) == (change.new_version, change.new_weights):
                    outcome = msgspec.structs.replace(entry.outcome, updated_at=row.updated_at)
                    entries.append(Entry(change, State.DONE, outcome))
                elif row and (row.version, row.weights) == (change.old_version, change.old_weights):
                    entries.append(Entry(change, State.FAILED, Outcome(why="it was not come to in time")))
                else:
                    entries.append(
                        Entry(
                            change,
                            State.SKIPPED,
                            Outcome(why=why_not(edit(change), row, self._settings.database.tables)),
                        )
                    )
            self._journal.write(entries)
            self._tally.found_done += sum(entry.state is State.DONE for entry in entries)

    async def _all_batches(self, table: Repairer, replicate: Replicate, stop: Stop) -> None:
        tally = self._tally
        for batch in batches(self._plan.changes()):
            if stop.requested:
                break
            self._watcher.doing(f"repairing: {tally.tried:,} of {tally.total:,} rows")
            try:
                right = await unless(stop, self._recheck(replicate, batch)) if self._terms.recheck else batch
                await self._change(table, right)
            except StoppedError:
                break
            except (SourceError, ReplicateError) as error:
                tally.error = error
                break
        tally.stopped = stop.reason

    async def _recheck(self, replicate: Replicate, batch: Sequence[Change]) -> list[Change]:
        """Those whose latest version is still what it was; the others are written down.

        Raises ReplicateError, with nothing written down, where nobody gets an answer.
        """
        replies = await replies_to(replicate, [change.replicate_model_id for change in batch])
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

    async def _change(self, table: Repairer, changes: Sequence[Change]) -> None:
        if not changes:
            return
        begun = Outcome(touched=self._terms.touch is not None)
        self._journal.write(Entry(change, State.BEGUN, begun) for change in changes)
        try:
            became = await table.write([edit(change, self._terms.touch) for change in changes])
        except SourceError:
            self._tally.states[State.BEGUN] += len(changes)
            raise
        self._record([Entry(change, *became[change.model_row_id]) for change in changes])

    def _record(self, entries: Sequence[Entry]) -> None:
        self._journal.write(entries)
        self._tally.states.update(entry.state for entry in entries)
        for entry in entries:
            if entry.state is not State.DONE:
                self._watcher.told(self._told(entry, entry.outcome.why))

    def _told(self, entry: Entry, why: str | None) -> Told:
        change = entry.change
        user = change.user_id if self._plan.redacted else change.email or change.user_id
        return Told(change.model_row_id, user, entry.state, why)

    def _keep_plan(self) -> None:
        """What the plan has written to undo it stays as `...-undo-planned.sql`: psql may have carried it out."""
        if (written := sql_file(self._ledger.path, "undo")).is_file():
            kept, names = self._kept, names_of(self._plan.info)
            write_undo(self._plan, kept, partial(with_earlier, kept, names, partial(undo_edits, written, names)))

    def _drop_plan(self) -> None:
        """Remove that again where `...-undo.sql` covers all of it by now."""
        names = names_of(self._plan.info)
        if self._kept.is_file() and all(self._is_done(edit.model_row_id) for edit in undo_edits(self._kept, names)):
            self._kept.unlink()

    def _is_done(self, row_id: str) -> bool:
        entry = self._journal.entry(row_id)
        return entry is not None and entry.state is State.DONE

    @property
    def _kept(self) -> Path:
        written = sql_file(self._ledger.path, "undo")
        return written.with_name(f"{written.stem}-planned.sql")

    def _write_undo(self, ahead: Callable[[], Iterable[Change]] = tuple) -> None:
        """Write `...-undo.sql` for what was done, or may have been, and for the changes `ahead`; for nothing else."""
        begun = Outcome(touched=self._terms.touch is not None)

        def edits() -> Iterator[Edit]:
            for state in (State.DONE, State.BEGUN):
                yield from map(taken_back, self._journal.entries(state))
            yield from (taken_back(Entry(change, State.BEGUN, begun)) for change in ahead())

        write_undo(self._plan, sql_file(self._ledger.path, "undo"), edits)

    async def _audit_again(self, replicate: Replicate, stop: Stop) -> None:
        """Judge those who were changed by what the database and Replicate say now."""
        tally = self._tally
        try:
            for batch in batches(self._journal.entries(State.DONE)):
                self._watcher.doing(f"auditing again: {tally.now.total():,} of {tally.done:,} users")
                await unless(stop, self._audit_batch(replicate, batch))
        except StoppedError:
            tally.stopped = stop.reason
        except SourceError as error:
            tally.unaudited = error

    async def _audit_batch(self, replicate: Replicate, entries: Sequence[Entry]) -> None:
        settings, info, tally = self._settings, self._plan.info, self._tally
        records = await records_of(
            settings.database,
            [entry.change.user_id for entry in entries],
            order_by=info.order_by,
            include_tests=info.filters.include_tests,
            statement_timeout=settings.statement_timeout,
        )
        models = [askable_model(record.replicate_model_id) for record in records.values()]
        replies = await replies_to(replicate, filter(None, models))
        circumstances = Circumstances(info.account, frozenset(info.missing_columns))
        for entry in entries:
            record = records.get(entry.change.user_id)
            if record is None:
                tally.now[Status.ERROR] += 1
                why: str | None = "no completed row counts any more"
            else:
                reply = replies.get(askable_model(record.replicate_model_id) or "", NotAsked())
                finding = classify(record, reply, circumstances)
                tally.now[finding.status] += 1
                why = None if finding.status is Status.UP_TO_DATE else f"{finding.reason.value}: {finding.detail or ''}"
                if why and record.model_row_id != entry.change.model_row_id:
                    why = f"row {visible(record.model_row_id)} counts now; {why}"
            if why and len(tally.not_now) < SAMPLE:
                tally.not_now.append(self._told(entry, why.removesuffix(": ")))


def taken_back(entry: Entry) -> Edit:
    """What takes the change of `entry` back, which is done, or may be."""
    back = undoing(entry.change, entry.outcome)
    return back if entry.state is State.DONE else msgspec.structs.replace(back, guards_updated_at=False)


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """`items`, `AT_ONCE` at a time."""
    rest = iter(items)
    while batch := list(islice(rest, AT_ONCE)):
        yield batch


async def replies_to(replicate: Replicate, models: Iterable[str]) -> dict[str, Reply]:
    """What Replicate says of each, once where one is named twice."""
    ids = list(dict.fromkeys(models))
    return dict(zip(ids, await asyncio.gather(*map(replicate.ask, ids)), strict=True))


def _rechecked(change: Change, reply: Reply) -> Entry | None:
    """None where the latest version is still the one that is to be recorded."""
    match reply:
        case Found():
            latest = newest_first(reply.versions)[0].id
            if latest == change.latest_version:
                return None
            why = f"another version is the latest by now, {latest[:12]}...: audit again"
            return Entry(change, State.SKIPPED, Outcome(why=why))
        case Failed():
            return Entry(change, State.FAILED, Outcome(why=f"Replicate could not be asked again: {reply.detail}"))
        case _:
            why = "Replicate has no version of the model any more: audit again"
            return Entry(change, State.SKIPPED, Outcome(why=why))


def _hopeless(reply: Failed) -> bool:
    return is_of_the_service(reply) or reply.reason is Reason.UNAUTHORIZED
