"""The steps of a run, the first time and when it is resumed; opens what they need and hands plain values down."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from audit import __version__
from audit.cli.signals import Stop, leaving
from audit.commands import past_run
from audit.commands.outputs import check_outputs, check_read, to_keep
from audit.commands.replicate import (
    TOKEN_STEP,
    ProgressListener,
    StoppedError,
    account_of,
    cancel_on_stop,
    meanwhile,
    target,
)
from audit.commands.run.ahead import AskedAhead
from audit.commands.run.auditor import Auditor, Questions
from audit.commands.run.hopeless import Asking, begin_anew
from audit.commands.run.loading import load
from audit.commands.run.questions import ModelQuestions, RowQuestions
from audit.commands.run.trainings import FirstPage, TrainingsReader, settle_by_trainings, with_since
from audit.commands.run.weights import ask_again, check_weights
from audit.commands.settings import ResumeSettings, RunSettings
from audit.errors import ReplicateError, ReportError, RunFileError, SettingsError
from audit.files import make_directory
from audit.findings.classify import RunContext, context_of
from audit.findings.comparison import other_lines, other_place
from audit.findings.trainings import Classifier, OddTrainings
from audit.model.codes import RETRYABLE, Reason
from audit.model.place import Address, move
from audit.model.replies import Training, TrainingsRead
from audit.model.run import Baseline, Choices, RunInfo, RunState, permanent_gaps
from audit.model.text import escape_controls
from audit.model.times import Clock, utc_now, utc_text
from audit.replicate import Replicate, connect
from audit.report import writer
from audit.runfile import NOTHING_KEPT, RunFile
from audit.runfile.accounts import Accounts
from audit.runfile.folder import trend_of

log = logging.getLogger(__name__)
_Q = TypeVar("_Q")
_A = TypeVar("_A")
_OF_AN_OLDER_VERSION = (
    "an older version started this run, and read only completed rows: "
    "start a new run to find trainings that were never stored"
)


async def audit(settings: RunSettings, listener: ProgressListener, stop: Stop, clock: Clock = utc_now) -> RunFile:
    """Do the whole audit but for the reports; returns the run file, open and finished.

    Raises AuditError where nothing can be known. A run file in which nothing is yet is then removed again; one
    that holds records is kept.
    """
    _prepare(settings)
    choices = msgspec.structs.replace(settings.choices, outputs=to_keep(settings.choices.outputs))
    run_file = RunFile.create(settings.run_file, _run_info(settings, clock))
    run = _Run(run_file, listener, stop, clock)
    try:
        run_file.save_choices(choices)
        if settings.baseline:
            listener.doing("reading the baseline")
        earlier = _copy_baseline(run_file, settings.baseline) if settings.baseline else None
        async with (
            _replicate(settings, run_file, listener) as replicate,
            _first_page(replicate, settings, clock) as first,
        ):
            await cancel_on_stop(stop, load(settings, run_file, replicate, listener))
            if earlier:
                _compare_places(run_file, earlier)
            await run.ask(replicate, settings.choices, first)
        run.finish()
    except BaseException as error:
        _close_or_discard(run_file, error)
        raise
    return run_file


async def resume(
    run_file: RunFile, settings: ResumeSettings, listener: ProgressListener, stop: Stop, clock: Clock = utc_now
) -> RunFile:
    """Finish the run of `run_file`: ask what is missing, and where it had come to its end, what had failed in passing.

    Raises AuditError as `audit` does; the run file is kept in any case.
    """
    check_outputs([writer.Output(*each) for each in settings.choices.outputs], run_file.path)
    if settings.moved_from is not None:
        log.warning("%s", move(settings.moved_from))
    before = run_file.info
    if before.stuck_after is None:
        log.warning("%s", _OF_AN_OLDER_VERSION)
    run = _Run(run_file, listener, stop, clock)
    async with _replicate(settings, run_file, listener) as replicate:
        account = await cancel_on_stop(stop, account_of(replicate))
        if account and before.account and account != before.account:
            if before.state == "complete" or Accounts(run_file).anything_found():
                raise SettingsError(
                    f"the token belongs to {account.username} now, and belonged to {before.account.username} in the "
                    "run to be resumed: two audits do not mix",
                    "Use the token of the same account, or start a new run without --resume.",
                )
            before = begin_anew(run_file, account)
        failures = sorted(RETRYABLE) if before.state in {"complete", "stopped"} else []
        run_file.make_pending(failures, settings.ask_again)
        ask_again(run_file, failed=bool(failures), gone=Reason.WEIGHTS_GONE in settings.ask_again)
        redacted = before.redacted or settings.redact
        running = msgspec.structs.replace(
            before,
            state="running",
            finished_at=None,
            stop_reason=None,
            none_found=msgspec.UNSET,
            redacted=redacted,
            account=before.account or account,
        )
        if settings.replaces_acceptances:
            running = msgspec.structs.replace(running, acceptances=settings.acceptances)
        run_file.save_info(running)
        if choices := run_file.choices:
            now = settings.choices
            said = {"fail_on": now.fail_on, "allow_empty": now.allow_empty, "csv_for_excel": now.csv_for_excel}
            run_file.save_choices(msgspec.structs.replace(choices, **said))
        await run.ask(replicate, settings.choices)
    run.finish()
    return run_file


def open_to_resume(path: Path) -> RunFile:
    """The run file of a run that can be finished, held by this process. Raises RunFileError."""
    run_file = RunFile.resume(path)
    try:
        check_read(run_file)
    except BaseException:
        run_file.close()
        raise
    return run_file


class _Run:
    """A run whose records are in its run file."""

    def __init__(self, run_file: RunFile, listener: ProgressListener, stop: Stop, clock: Clock) -> None:
        self._run_file = run_file
        self._listener = listener
        self._stop = stop
        self._clock = clock
        self._token_refused = False
        self._weights_left = False
        """Weights were wanted, and are not all asked for."""

    async def ask(self, replicate: Replicate, choices: Choices, first: FirstPage | None = None) -> None:
        """Read the list of trainings where it is wanted, and ask for every model and row that is still pending.

        `first` is the list's beginning where that was asked for before.
        """
        run_file, wanted = self._run_file, self._run_file.info.trainings
        context = context_of(run_file.info, run_file.population)
        formats = [name for name, _ in choices.outputs]
        async with (
            meanwhile(asyncio.to_thread(writer.prepare, formats)),
            # Reading the list takes one request at a time of as many as there may be.
            AskedAhead(replicate, run_file, wanted, context, choices.concurrency - 1) as ahead,
        ):
            if wanted and (pending := run_file.count_pending()):
                replicate.expect(pending)
                await self._read_trainings(replicate, wanted, ahead, first)
            await self._ask_all(replicate, choices.concurrency, ahead)

    async def _read_trainings(
        self, replicate: Replicate, wanted: TrainingsRead, ahead: AskedAhead, first: FirstPage | None
    ) -> None:
        run_file, listener = self._run_file, self._listener
        if not wanted.pages:
            begun = with_since(wanted, run_file.oldest_completed())
            run_file.save_info(msgspec.structs.replace(run_file.info, trainings=begun))

        def on_page(page: Sequence[Training], count: int) -> None:
            ahead.offer(page)
            listener.trainings_read(count, ahead.count)

        listener.trainings_read(0)
        reader = TrainingsReader(replicate, run_file, self._clock, on_page, first)
        with suppress(StoppedError):  # every page is stored as it comes
            await cancel_on_stop(self._stop, reader.read())
        ahead.close()

    async def _ask_all(self, replicate: Replicate, concurrency: int, ahead: AskedAhead) -> None:
        run_file = self._run_file
        read = run_file.info.trainings
        trainings = run_file.trainings
        asking = Asking(run_file, self._stop)
        context = context_of(run_file.info, run_file.population, trainings.trainers() if read else frozenset())
        classifier = Classifier(context, read, trainings, trainings.odd() if read else OddTrainings())
        if read and read.mode == "trainings" and not self._stop.requested:
            self._listener.doing("checking users by their trainings")
            count = settle_by_trainings(run_file, classifier, read.sample, int(self._clock().timestamp()))
            log.info("%d users checked by their trainings", count)
        pending = run_file.count_pending()
        replicate.expect(pending - ahead.asked)
        self._listener.asking(pending, replicate)
        models = ModelQuestions(replicate, run_file, classifier, ahead)
        rows = RowQuestions(replicate, run_file, classifier, trainings)
        await self._answer(asking, models, context, concurrency)
        if not self._stop.requested:
            await self._answer(asking, rows, context, concurrency)
        if run_file.info.check_weights:
            told = self._listener.weights_asked
            if not self._stop.requested:
                self._listener.doing("looking for weights to check")
            self._weights_left = not await check_weights(replicate, run_file, told, self._stop)

    async def _answer(
        self, asking: Asking, questions: Questions[_Q, _A], context: RunContext, concurrency: int
    ) -> None:
        token_works = context.account is not None
        redacted = self._run_file.info.redacted

        async def pause(seconds: float) -> None:
            self._listener.pausing(seconds)
            await asyncio.sleep(seconds)

        def auditor(questions: Questions[_Q, _A]) -> Auditor[_Q, _A]:
            heard = self._listener.answered
            return Auditor(questions, heard, token_works=token_works, redacted=redacted, sleep=pause)

        self._token_refused = await asking.run(questions, auditor, concurrency)

    def finish(self) -> None:
        """Record how the run ended. Raises ReplicateError where the token was refused before anything was known."""
        run_file, stop = self._run_file, self._stop
        state: RunState = stop.state or "complete"
        if stop.requested and not run_file.count_pending() and not self._weights_left:
            state = "complete"  # the request came when everything was answered
        reason = stop.reason if state != "complete" else None
        if state == "complete" and (absent := permanent_gaps(run_file.info, run_file.population, run_file.seen)):
            state, reason = "stopped", "; ".join(absent)  # whom shards did not bring nobody can ask for
        ended = utc_text(self._clock())
        info = msgspec.structs.replace(run_file.info, finished_at=ended, state=state, stop_reason=reason)
        run_file.save_trend(trend_of(run_file.path, info))
        run_file.finish(info)
        if self._token_refused and not run_file.has_answers:
            raise ReplicateError(stop.reason or "", f"{TOKEN_STEP}; then: sync-audit run --resume {run_file.path}")


def _close_or_discard(run_file: RunFile, error: BaseException) -> None:
    """Close the run file of a run that `error` ends; remove it where no record is in it yet."""
    try:
        empty = run_file.population is None
    except RunFileError:
        empty = False  # nobody knows
    if not empty:
        run_file.close()
        return
    run_file.discard()
    if isinstance(error, RunFileError):
        error.next_step = NOTHING_KEPT


def _prepare(settings: RunSettings) -> None:
    check_outputs([writer.Output(*each) for each in settings.choices.outputs], settings.run_file)
    try:
        make_directory(settings.run_file.parent)
    except OSError:
        return  # creating the run file says it better


def _run_info(settings: RunSettings, clock: Clock) -> RunInfo:
    return RunInfo(
        id=secrets.token_hex(16),
        tool_version=__version__,
        started_at=utc_text(clock()),
        database=settings.database.label,
        base_url=settings.base_url,
        order_by=settings.order_by,
        filters=settings.filters,
        redacted=settings.redact,
        trainings=settings.trainings,
        tables=settings.database.tables,
        acceptances=settings.acceptances,
        shard=settings.shard,
        stuck_after=settings.stuck_after,
        check_weights=settings.check_weights,
        configured_latest_per=settings.configured_latest_per,
        made_up=True if settings.made_up else msgspec.UNSET,
    )


def _copy_baseline(run_file: RunFile, path: Path) -> Address:
    """Copy what the run at `path` knew of each user into this one; returns that run's place.

    Raises ReportError where it cannot be read.
    """
    with run_file.loading_baseline() as add:
        try:
            with leaving():  # it may be a pipe whose writer is silent, and there is nothing yet to report
                run = past_run.read(path, add)
        except (RunFileError, ReportError) as error:
            raise ReportError(f"--baseline: {error}", error.next_step) from error
        here = run_file.info.latest_per
        if differ := other_lines(str(path), run.latest_per, "this run", here):
            raise ReportError(f"--baseline: {differ[0]}", f"Name a run with --latest-per {here}.")
        if run.shard and run.shard != run_file.info.shard:
            where = run.shard.label
            raise ReportError(
                f"--baseline: {path} is {where}, so users in another shard would count as new",
                "Name a run of all models.",
            )
    baseline = Baseline(
        run_id=run.id, started_at=run.started_at, path=escape_controls(str(path)), looked_for=run.looked_for
    )
    run_file.save_info(msgspec.structs.replace(run_file.info, baseline=baseline))
    return run.address


def _compare_places(run_file: RunFile, earlier: Address) -> None:
    """Keep, where the baseline was made in another place than the run, that it was."""
    info = run_file.info
    if info.baseline and (other := other_place(earlier, info.address)):
        log.info("the baseline is of another database: %s", other)
        baseline = msgspec.structs.replace(info.baseline, other_place=other)
        run_file.save_info(msgspec.structs.replace(info, baseline=baseline))


@asynccontextmanager
async def _replicate(
    settings: ResumeSettings, run_file: RunFile, listener: ProgressListener
) -> AsyncIterator[Replicate]:
    """The API for as long as the block lasts; the requests made are added to those of the run file."""
    before = run_file.info.requests
    async with connect(target(settings)) as replicate:
        listener.connected(replicate)
        try:
            yield replicate
        finally:
            run_file.save_info(msgspec.structs.replace(run_file.info, requests=before + replicate.requests))


@asynccontextmanager
async def _first_page(replicate: Replicate, settings: RunSettings, clock: Clock) -> AsyncIterator[FirstPage | None]:
    """The beginning of the list of trainings, where one is wanted: asked for beside the account and the database."""
    if settings.trainings is None or settings.choices.concurrency < 2:
        yield None
        return
    began_at = utc_text(clock())
    async with meanwhile(replicate.trainings()) as page:
        yield FirstPage(began_at, page)
