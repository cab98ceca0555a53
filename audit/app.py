"""Composition root: opens what a command needs, in one place, and hands plain values down."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from audit import __version__, past_run
from audit.acceptance import Accepted
from audit.auditor import Auditor, Stop, log_verdict
from audit.errors import AuditError, LedgerError, ReplicateError, ReportError, SettingsError
from audit.fail_on import News, Result, RunCode, ended
from audit.ledger import ELSEWHERE, Ledger
from audit.models import (
    Account,
    AuditedUser,
    Baseline,
    Choices,
    Failed,
    Finding,
    NotAsked,
    Reason,
    Requests,
    RunInfo,
    RunState,
    Summary,
)
from audit.replicate import Replicate, Target, Ticking, connect
from audit.report import writer
from audit.report.view import AcceptancesBlock, RunView
from audit.retry import PASSING
from audit.settings import RunSettings
from audit.settings_resume import ResumeSettings
from audit.source import snapshot as source_snapshot
from audit.verdict import Circumstances, askable_model, classify

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
T = TypeVar("T")

ASKED_AGAIN = PASSING | {Reason.BAD_RESPONSE, Reason.UNAUTHORIZED}
"""What may have gone when a run is resumed; the last two with the proxy or the token that caused them."""

_TOKEN_STEP = "Check REPLICATE_API_TOKEN (or --token-file); tokens are at https://replicate.com/account/api-tokens"  # noqa: S105


class StoppedError(AuditError):
    """A signal came before anything was asked: there is nothing to report."""


def utc_now() -> datetime:
    """The time that a run is dated with."""
    return datetime.now(UTC)


class Asking(Protocol):
    """Whoever asks Replicate."""

    @property
    def per_minute(self) -> int:
        """Requests a minute that it may make."""

    @property
    def requests(self) -> Requests:
        """Those it has made."""

    def waiting(self) -> float:
        """Seconds for which a 429 holds up everybody; 0 where anybody may ask."""


class Watcher(Protocol):
    """Whoever shows a person how a run is getting on."""

    def reading(self, records: int) -> None:
        """`records` have been read from the database so far."""

    def asking(self, models: int, asking: Asking) -> None:
        """`models` are about to be asked for; how that goes, `asking` says at any time."""

    def settled(self, findings: Sequence[Finding]) -> None:
        """One model has been answered, and with it these users."""

    def done(self) -> None:
        """No model will be asked any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    info: RunInfo
    summary: Summary
    code: RunCode
    """As the findings and the options say; signals are the caller's to add."""
    run_file: Path
    outputs: tuple[writer.Output, ...]
    redacted: bool
    """Names must not be shown on the terminal either."""
    accepted: Accepted = Accepted()  # noqa: RUF009 - frozen
    acceptances: AcceptancesBlock | None = None
    """Null without a file of them; masked where names must not be shown."""
    news: News | None = None
    """Null without a baseline."""


async def audit(settings: RunSettings, watcher: Watcher, stop: Stop, clock: Clock = utc_now) -> Ledger:
    """Do the whole audit but for the reports; returns the run file, open and finished.

    Raises AuditError where nothing can be known. A run file in which nothing is yet is then removed again; one
    that holds records is kept.
    """
    _prepare(settings)
    ledger = Ledger.create(settings.run_file, _started(settings, clock))
    try:
        ledger.save_choices(_choices(settings))
        if settings.baseline:
            _keep_baseline(ledger, settings.baseline)
        async with _replicate(settings, ledger, watcher) as replicate:
            account = await _unless(stop, account_of(replicate))
            circumstances = await _unless(stop, _load(settings, ledger, account, watcher))
            watcher.asking(ledger.count_pending(), replicate)
            auditor = Auditor(replicate, ledger, circumstances, watcher.settled)
            await auditor.run(settings.concurrency, stop)
        _finish(ledger, stop, clock, refused=auditor.token_refused)
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
    baseline = Baseline(run_id=run.id, started_at=run.started_at, path=str(path))
    ledger.save_info(msgspec.structs.replace(ledger.info, baseline=baseline))


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


def open_to_resume(path: Path) -> Ledger:
    """The run file of a run that can be finished, held by this process. Raises LedgerError."""
    ledger = Ledger.resume(path)
    try:
        _check_read(ledger)
    except BaseException:
        ledger.close()
        raise
    return ledger


def _check_read(ledger: Ledger) -> None:
    if ledger.population is None:  # else "nobody" would be said of a database that nobody has looked into
        raise LedgerError(f"the run {ledger.path} was ended before the database had been read", "Start a new run.")


async def resume(
    ledger: Ledger, settings: ResumeSettings, watcher: Watcher, stop: Stop, clock: Clock = utc_now
) -> Ledger:
    """Finish the run of `ledger`: ask what is missing, and where it had come to its end, what had failed in passing.

    Raises AuditError as `audit` does; the run file is kept in any case.
    """
    check_outputs([writer.Output(*each) for each in settings.outputs], ledger.path)
    before = ledger.info
    async with _replicate(settings, ledger, watcher) as replicate:
        account = await _unless(stop, account_of(replicate))
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
        watcher.asking(ledger.count_pending(), replicate)
        auditor = Auditor(replicate, ledger, circumstances, watcher.settled)
        await auditor.run(settings.concurrency, stop)
    _finish(ledger, stop, clock, refused=auditor.token_refused)
    return ledger


def report(
    ledger: Ledger, outputs: Sequence[writer.Output], *, redact: bool = False, exit_zero: bool = False
) -> Outcome:
    """Write all `outputs` from a run file, as `run` and `render` both do. Raises ReportError."""
    _check_read(ledger)
    view = RunView(ledger, redact=redact)
    info = ledger.info
    try:
        writer.write(outputs, view)
    except ReportError as error:
        here = ledger.path.is_file()
        error.next_step = error.next_step.replace("RUN", str(ledger.path)) if here else f"{ledger.path} is gone, too."
        raise
    result = Result(summary=view.summary, complete=info.state == "complete", accepted=view.accepted, since=view.news)
    choices = ledger.choices
    return Outcome(
        info=info,
        summary=view.summary,
        code=ended(result, choices.fail_on if choices else "any", exit_zero=exit_zero),
        run_file=ledger.path,
        outputs=tuple(outputs),
        redacted=view.run.redacted,
        accepted=view.accepted,
        acceptances=view.run.acceptances,
        news=view.news,
    )


def check_outputs(outputs: Sequence[writer.Output], run_file: Path) -> None:
    """Find out before anything else whether all files can be written. Raises SettingsError or ReportError."""
    writer.check(outputs)
    for output in outputs:
        if output.path != writer.STDOUT and Path(output.path).resolve() == run_file.resolve():
            raise SettingsError(
                f"the run file and -o {output.format} have the same path, {output.path}", "Give each its own PATH."
            )


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
        tables=settings.database.tables,
        acceptances=settings.acceptances,
    )


def _choices(settings: RunSettings) -> Choices:
    return Choices(
        outputs=tuple(
            (kind, path if path == writer.STDOUT else str(Path(path).absolute())) for kind, path in settings.outputs
        ),
        concurrency=settings.concurrency,
        per_minute=settings.per_minute,
        timeout=settings.timeout,
        retries=settings.retries,
        fail_on=settings.fail_on,
    )


def instant(moment: datetime) -> str:
    """`moment` (aware) as every time in this program is written."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def target(settings: RunSettings | ResumeSettings) -> Target:
    """Where and how `settings` say to ask."""
    return Target(
        base_url=settings.base_url,
        token=settings.token,
        user_agent=f"sync-audit/{__version__}",
        concurrency=settings.concurrency,
        per_minute=settings.per_minute,
        timeout=settings.timeout,
        retries=settings.retries,
        proxy=settings.proxy,
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


async def _unless(stop: Stop, work: Coroutine[None, None, T]) -> T:
    """The result of `work`; raises StoppedError, with `work` cancelled, where a stop comes first."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise StoppedError(f"{stop.reason} before anything was asked", "Start again when it suits you.")
        return task.result()
    finally:
        for each in (task, stopping):
            each.cancel()
        await asyncio.wait({task, stopping})


async def account_of(replicate: Replicate) -> Account | None:
    """Whose token it is. A token that is refused ends the run; any other failure leaves the question open."""
    account = await replicate.account()
    if not isinstance(account, Failed):
        return account
    if account.reason is Reason.UNAUTHORIZED:
        raise ReplicateError(
            f"Replicate refuses the API token ({account.detail})",
            _TOKEN_STEP,
        )
    log.warning("whose token this is could not be found out: %s", account.detail)
    return None


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
            async for record in snapshot.records():
                first = classify(record, NotAsked(), circumstances)
                model = askable_model(record.replicate_model_id)
                ledger.add(record, model, first)
                if model is None:  # nobody will be asked, so this is the verdict
                    log_verdict(None, AuditedUser(record, first))
                count += 1
                if count % 1000 == 0:
                    watcher.reading(count)
            ledger.save_population(snapshot.population)
            missing = tuple(snapshot.missing_columns)
            ledger.save_info(msgspec.structs.replace(ledger.info, account=account, missing_columns=missing))
    log.info("%d users with a completed model found", count)
    return circumstances


def _finish(ledger: Ledger, stop: Stop, clock: Clock, *, refused: bool) -> None:
    """Write down how the run ended. Raises ReplicateError where the token was refused before anything was known."""
    state: RunState = stop.state or "complete"
    if stop.requested and not ledger.count_pending():
        state = "complete"  # the request came when everything was answered
    reason = stop.reason if state != "complete" else None
    ended = instant(clock())
    ledger.finish(msgspec.structs.replace(ledger.info, finished_at=ended, state=state, stop_reason=reason))
    if refused and not ledger.count_answered():
        raise ReplicateError(stop.reason or "", f"{_TOKEN_STEP}; then: sync-audit run --resume {ledger.path}")
