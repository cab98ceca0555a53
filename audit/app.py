"""Composition root: opens what a command needs, in one place, and hands plain values down."""

import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from audit import __version__
from audit.auditor import Auditor, Stop
from audit.errors import ReplicateError, SettingsError
from audit.ledger import Ledger
from audit.models import Account, ExitCode, Failed, Finding, NotAsked, Reason, Reply, RunInfo, RunState, Summary
from audit.replicate import Replicate, Target, Ticking, connect
from audit.report import writer
from audit.report.view import RunView
from audit.settings import RunSettings
from audit.source import snapshot as source_snapshot
from audit.verdict import Circumstances, askable_model, classify, exit_code

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time that a run is dated with."""
    return datetime.now(UTC)


class Watcher(Protocol):
    """Whoever shows a person how a run is getting on."""

    def reading(self, records: int) -> None:
        """`records` have been read from the database so far."""

    def asking(self, models: int, waiting: Callable[[], float]) -> None:
        """`models` are about to be asked; `waiting()` gives the seconds for which a 429 holds up everybody."""

    def settled(self, findings: Sequence[Finding]) -> None:
        """One model has been answered, and with it these users."""

    def done(self) -> None:
        """No model will be asked any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    info: RunInfo
    summary: Summary
    code: ExitCode
    """As the findings say; signals and `--exit-zero` are the caller's to add."""
    run_file: Path
    outputs: tuple[writer.Output, ...]
    redacted: bool
    """Names must not be shown on the terminal either."""


async def audit(settings: RunSettings, watcher: Watcher, stop: Stop, clock: Clock = utc_now) -> Ledger:
    """Do the whole audit but for the reports; returns the run file, open and finished.

    Raises AuditError where nothing can be known. A run file in which nothing is yet is then removed again; one
    that holds records is kept.
    """
    _prepare(settings)
    ledger = Ledger.create(settings.run_file, _started(settings, clock))
    try:
        await _run(settings, ledger, watcher, stop)
        _finish(ledger, stop, clock)
    except BaseException:
        nothing_in_it = ledger.population is None
        ledger.close()
        if nothing_in_it:
            with suppress(OSError):
                settings.run_file.unlink()
        raise
    return ledger


def report(ledger: Ledger, outputs: Sequence[writer.Output], *, redact: bool = False) -> Outcome:
    """Write all `outputs` from a run file, as `run` and `render` both do. Raises ReportError."""
    view = RunView(ledger, redact=redact)
    info = ledger.info
    writer.write(outputs, view)
    code = exit_code(view.summary, complete=info.state == "complete")
    return Outcome(info, view.summary, code, ledger.path, tuple(outputs), view.run.redacted)


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
    )


def instant(moment: datetime) -> str:
    """`moment` (aware) as every time in this program is written."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def _run(settings: RunSettings, ledger: Ledger, watcher: Watcher, stop: Stop) -> None:
    target = Target(
        base_url=settings.base_url,
        token=settings.token,
        user_agent=f"sync-audit/{__version__}",
        concurrency=settings.concurrency,
        per_minute=settings.per_minute,
        timeout=settings.timeout,
        retries=settings.retries,
        proxy=settings.proxy,
    )
    async with connect(target, Ticking()) as replicate:
        try:
            account = await _account(replicate)
            circumstances = await _load(settings, ledger, account, watcher)
            watcher.asking(ledger.count_pending(), replicate.waiting)

            def settled(_: Reply, findings: Sequence[Finding]) -> None:
                watcher.settled(findings)

            await Auditor(replicate, ledger, circumstances, settled).run(settings.concurrency, stop)
        finally:
            watcher.done()
            ledger.save_info(msgspec.structs.replace(ledger.info, requests=replicate.requests))


async def _account(replicate: Replicate) -> Account | None:
    """Whose token it is. A token that is refused ends the run; any other failure leaves the question open."""
    account = await replicate.account()
    if not isinstance(account, Failed):
        return account
    if account.reason is Reason.UNAUTHORIZED:
        raise ReplicateError(
            f"Replicate refuses the API token ({account.detail})",
            "Check REPLICATE_API_TOKEN (or --token-file); tokens are at https://replicate.com/account/api-tokens",
        )
    log.warning("whose token this is could not be found out: %s", account.detail)
    return None


async def _load(settings: RunSettings, ledger: Ledger, account: Account | None, watcher: Watcher) -> Circumstances:
    """Copy the records out of PostgreSQL, each with the finding that holds until Replicate has answered."""
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
                ledger.add(record, askable_model(record.replicate_model_id), first)
                count += 1
                if count % 1000 == 0:
                    watcher.reading(count)
            ledger.save_population(snapshot.population)
            missing = tuple(snapshot.missing_columns)
            ledger.save_info(msgspec.structs.replace(ledger.info, account=account, missing_columns=missing))
    log.info("%d users with a completed model found", count)
    return circumstances


def _finish(ledger: Ledger, stop: Stop, clock: Clock) -> None:
    state: RunState = stop.state or "complete"
    if stop.requested and not ledger.count_pending():
        state = "complete"  # the request came when everything was answered
    reason = stop.reason if state != "complete" else None
    ended = instant(clock())
    ledger.finish(msgspec.structs.replace(ledger.info, finished_at=ended, state=state, stop_reason=reason))
