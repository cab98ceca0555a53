"""Composition root of `run`: opens what an audit needs, in one place, and hands plain values down."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from audit import __version__
from audit.cli.signals import Stop
from audit.commands import past_run
from audit.commands.outputs import check_outputs, check_read, to_keep
from audit.commands.replicate import TOKEN_STEP, StoppedError, Watcher, account_of, target, unless
from audit.commands.run import trainings as training_list
from audit.commands.run.auditor import Auditor, log_verdict
from audit.commands.settings import ResumeSettings, RunSettings
from audit.errors import LedgerError, ReplicateError, ReportError, SettingsError
from audit.findings.classify import Circumstances, classify
from audit.findings.trainings import Judge
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.model.ids import askable_model
from audit.model.replies import Account, NotAsked
from audit.model.run import Baseline, Choices, RunInfo, RunState
from audit.model.shard import lacking, named
from audit.model.times import Clock, instant, utc_now
from audit.postgres.snapshot import snapshot as source_snapshot
from audit.replicate import Replicate, Ticking, connect
from audit.replicate.retry import PASSING
from audit.report import writer
from audit.runfile import ELSEWHERE, Ledger

log = logging.getLogger(__name__)
ASKED_AGAIN = PASSING | {Reason.BAD_RESPONSE, Reason.UNAUTHORIZED}
"""What may have gone when a run is resumed; the last two with the proxy or the token that caused them."""


async def audit(settings: RunSettings, watcher: Watcher, stop: Stop, clock: Clock = utc_now) -> Ledger:
    """Do the whole audit but for the reports; returns the run file, open and finished.

    Raises AuditError where nothing can be known. A run file in which nothing is yet is then removed again; one
    that holds records is kept.
    """
    _prepare(settings)
    ledger = Ledger.create(settings.run_file, _started(settings, clock))
    work = _Work(ledger, watcher, stop, clock)
    try:
        ledger.save_choices(_choices(settings))
        if settings.baseline:
            _keep_baseline(ledger, settings.baseline)
        async with _replicate(settings, ledger, watcher) as replicate:
            account = await unless(stop, account_of(replicate))
            circumstances = await unless(stop, _load(settings, ledger, account, watcher))
            await work.through(replicate, circumstances, settings.concurrency)
        work.end()
    except BaseException as error:
        _let_go(ledger, error)
        raise
    return ledger


def _keep_baseline(ledger: Ledger, path: Path) -> None:
    """Copy what the run at `path` knew of each user into this one. Raises ReportError where it cannot be read."""
    with ledger.loading_baseline() as keep:
        try:
            run = past_run.read(path, keep)
        except (LedgerError, ReportError) as error:
            raise ReportError(f"--baseline: {error}", error.next_step) from error
        if run.shard and run.shard != ledger.info.shard:
            where = named(run.shard)
            raise ReportError(
                f"--baseline: {path} is {where}, so whoever is in another shard would be new",
                "Name a run of all models.",
            )
    baseline = Baseline(run_id=run.id, started_at=run.started_at, path=str(path))
    ledger.save_info(msgspec.structs.replace(ledger.info, baseline=baseline))


async def resume(
    ledger: Ledger, settings: ResumeSettings, watcher: Watcher, stop: Stop, clock: Clock = utc_now
) -> Ledger:
    """Finish the run of `ledger`: ask what is missing, and where it had come to its end, what had failed in passing.

    Raises AuditError as `audit` does; the run file is kept in any case.
    """
    check_outputs([writer.Output(*each) for each in settings.outputs], ledger.path)
    before = ledger.info
    work = _Work(ledger, watcher, stop, clock)
    async with _replicate(settings, ledger, watcher) as replicate:
        account = await unless(stop, account_of(replicate))
        if account and before.account and account != before.account:
            raise SettingsError(
                f"the token belongs to {account.username} now, and belonged to {before.account.username} in the run to "
                "be resumed: two audits do not mix",
                "Use the token of the same account, or start a new run without --resume.",
            )
        if before.state in {"complete", "stopped"}:
            ledger.ask_again(sorted(ASKED_AGAIN))
        redacted = before.redacted or settings.redact
        running = msgspec.structs.replace(
            before, state="running", finished_at=None, stop_reason=None, redacted=redacted
        )
        if settings.judged_anew:
            running = msgspec.structs.replace(running, acceptances=settings.acceptances)
        ledger.save_info(running)
        if choices := ledger.choices:
            ledger.save_choices(msgspec.structs.replace(choices, fail_on=settings.fail_on))
        circumstances = Circumstances(before.account or account, frozenset(before.missing_columns))
        await work.through(replicate, circumstances, settings.concurrency)
    work.end()
    return ledger


def open_to_resume(path: Path) -> Ledger:
    """The run file of a run that can be finished, held by this process. Raises LedgerError."""
    ledger = Ledger.resume(path)
    try:
        check_read(ledger)
    except BaseException:
        ledger.close()
        raise
    return ledger


class _Work:
    """What a run does once the records are there, the first time and when it is resumed."""

    def __init__(self, ledger: Ledger, watcher: Watcher, stop: Stop, clock: Clock) -> None:
        self._ledger = ledger
        self._watcher = watcher
        self._stop = stop
        self._clock = clock
        self._refused = False

    async def through(self, replicate: Replicate, circumstances: Circumstances, concurrency: int) -> None:
        """Everything but the end: trainings where they are wanted, then every model that is still to be asked for."""
        ledger = self._ledger
        wanted = ledger.info.trainings
        if wanted and ledger.count_pending():
            if not wanted.pages:
                begun = training_list.start(ledger.oldest_completed(), wanted)
                ledger.save_info(msgspec.structs.replace(ledger.info, trainings=begun))
            self._watcher.listing(0)
            reading = training_list.Reading(replicate, ledger, self._clock, self._watcher.listing)
            with suppress(StoppedError):  # every page is kept as it comes
                await unless(self._stop, reading.finish())
        judge = Judge(circumstances, ledger.info.trainings, ledger.trainings)
        if wanted and wanted.mode == "trainings" and not self._stop.requested:
            count = training_list.settle(ledger, judge, wanted.sample, int(self._clock().timestamp()))
            log.info("%d users settled by their trainings", count)
        self._watcher.asking(ledger.count_pending(), replicate)
        auditor = Auditor(replicate, ledger, judge, self._watcher.settled)
        await auditor.run(concurrency, self._stop)
        self._refused = auditor.token_refused

    def end(self) -> None:
        """Write down how the run ended. Raises ReplicateError where the token was refused before anything was known."""
        ledger, stop = self._ledger, self._stop
        state: RunState = stop.state or "complete"
        if stop.requested and not ledger.count_pending():
            state = "complete"  # the request came when everything was answered
        reason = stop.reason if state != "complete" else None
        if state == "complete" and (absent := lacking(ledger.info, ledger.population, ledger.summary)):
            state, reason = "stopped", "; ".join(absent)  # whom shards did not bring nobody can ask for
        ended = instant(self._clock())
        ledger.finish(msgspec.structs.replace(ledger.info, finished_at=ended, state=state, stop_reason=reason))
        if self._refused and not ledger.count_answered():
            raise ReplicateError(stop.reason or "", f"{TOKEN_STEP}; then: sync-audit run --resume {ledger.path}")


def _let_go(ledger: Ledger, error: BaseException) -> None:
    """Close the run file of a run that `error` ends, and remove it if there is nothing in it yet."""
    try:
        empty = ledger.population is None
    except LedgerError:
        empty = False  # nobody knows
    if not empty:
        ledger.close()
        return
    ledger.discard()
    if isinstance(error, LedgerError):
        error.next_step = ELSEWHERE


def _prepare(settings: RunSettings) -> None:
    check_outputs([writer.Output(*each) for each in settings.outputs], settings.run_file)
    try:
        settings.run_file.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # creating the run file says it better


def _started(settings: RunSettings, clock: Clock) -> RunInfo:
    return RunInfo(
        id=secrets.token_hex(16),
        tool_version=__version__,
        started_at=instant(clock()),
        database=settings.database.label,
        base_url=settings.base_url,
        order_by=settings.order_by,
        filters=settings.filters,
        redacted=settings.redact,
        trainings=settings.trainings,
        tables=settings.database.tables,
        acceptances=settings.acceptances,
        shard=settings.shard,
    )


def _choices(settings: RunSettings) -> Choices:
    return Choices(
        outputs=to_keep(settings.outputs),
        concurrency=settings.concurrency,
        per_minute=settings.per_minute,
        timeout=settings.timeout,
        retries=settings.retries,
        fail_on=settings.fail_on,
    )


@asynccontextmanager
async def _replicate(
    settings: RunSettings | ResumeSettings, ledger: Ledger, watcher: Watcher
) -> AsyncIterator[Replicate]:
    """The API for as long as the block lasts; the requests made are added to those of the run file."""
    before = ledger.info.requests
    async with connect(target(settings), Ticking()) as replicate:
        try:
            yield replicate
        finally:
            watcher.done()
            ledger.save_info(msgspec.structs.replace(ledger.info, requests=before + replicate.requests))


async def _load(settings: RunSettings, ledger: Ledger, account: Account | None, watcher: Watcher) -> Circumstances:
    """Copy the records out of PostgreSQL, each with the finding that holds until Replicate has answered."""
    watcher.reading(0)
    async with source_snapshot(
        settings.database,
        order_by=settings.order_by,
        filters=settings.filters,
        statement_timeout=settings.statement_timeout,
    ) as snapshot:
        circumstances = Circumstances(account, frozenset(snapshot.missing_columns))
        count = 0
        with ledger.loading():
            async for record in snapshot.records(settings.shard):
                first = classify(record, NotAsked(), circumstances)
                model = askable_model(record.replicate_model_id)
                ledger.add(record, model, first)
                if model is None:  # nobody will be asked, so this is the verdict
                    log_verdict(None, AuditedUser(record, first))
                count += 1
                if count % 1000 == 0:
                    watcher.reading(count)
            ledger.save_population(snapshot.population)
            trainings = settings.trainings
            if settings.shard and trainings:  # all shards read the list as far back as one run would
                trainings = training_list.start(await snapshot.oldest_completed(), trainings)
            known = {"account": account, "missing_columns": tuple(snapshot.missing_columns), "trainings": trainings}
            ledger.save_info(msgspec.structs.replace(ledger.info, **known))
    log.info("%d users with a completed model found", count)
    return circumstances
