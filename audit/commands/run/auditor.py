"""The one concurrent place: pending models -> prober -> verdict -> run file.

Bounded: as many workers as `concurrency`, each with one question at a time, so never more requests in flight and
never more than that many answers in memory. Ordered: questions are begun in the order of the run file, and end as
they end; reports sort, so the order of answers is nowhere to be seen. Cancelled: after `Stop.request` no question
is begun, those in flight get `GRACE` seconds, and what has no answer then stays pending. Sharing: all workers run in
one thread, so the run file is never used twice at once. Hopeless: where `Health` finds the service down, all wait while
one probes; a token that is refused stops the run.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from audit.cli.signals import Stop
from audit.findings.trainings import Classifier
from audit.model.codes import Reason, Status
from audit.model.findings import AuditedUser, Finding
from audit.model.replies import Failed, Reply
from audit.model.users import ModelRecord
from audit.replicate.retry import CircuitBreaker, is_of_the_service

log = logging.getLogger(__name__)
GRACE = 5.0
"""Seconds that requests in flight get after the run was asked to stop."""
PROBES = (2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
"""Seconds before each single request to a service that seems to be down: two minutes in all."""


class Prober(Protocol):
    """Whoever knows what Replicate says about a model."""

    async def ask(self, model: str, *, once: bool = False) -> Reply:
        """An answer in any case, `once` without retries; never an exception for what a server or the network did."""


class Book(Protocol):
    """Where questions come from and findings go: the run file."""

    def pending(self) -> Iterator[str]:
        """Models to ask for, each once."""

    def records_sharing(self, model: str) -> list[tuple[int, ModelRecord]]:
        """The records that wait for the answer about `model`."""

    def record_findings(self, findings: Iterable[tuple[int, Finding]], failure: Reason | None, at: int) -> None:
        """Record what the answer, which came `at` seconds since 1970, means for each of them."""


@dataclass(frozen=True, slots=True)
class Ticking:
    """Time, so that tests can hold it."""

    time: Callable[[], float] = time.time
    """Seconds since 1970."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Auditor:
    """Asks all pending questions of `book`; `settled` is called with what each answer settled."""

    def __init__(
        self,
        prober: Prober,
        book: Book,
        judge: Classifier,
        settled: Callable[[list[Finding]], None],
        ticking: Ticking | None = None,
    ) -> None:
        self._prober = prober
        self._book = book
        self._judge = judge
        self._settled = settled
        self._ticking = ticking or Ticking()
        self._health = CircuitBreaker(token_works=judge.context.account is not None)
        self.token_refused = False
        self._open = asyncio.Event()
        self._open.set()

    async def run(self, concurrency: int, stop: Stop, grace: float = GRACE) -> None:
        """Return when every question has its answer, or at most `grace` seconds after `stop` was requested.

        Requests `stop` itself where the token is refused or the service stays down. Raises what the run file raises;
        the other workers are cancelled first.
        """
        models = self._book.pending()
        work = asyncio.create_task(self._all_workers(models, concurrency, stop))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await asyncio.wait({work}, timeout=grace)
        finally:
            stopping.cancel()
            work.cancel()  # does nothing where it is done
            await asyncio.wait({work})
        if not work.cancelled():
            work.result()

    async def _all_workers(self, models: Iterator[str], concurrency: int, stop: Stop) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(self._worker(models, stop))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from several  # the run file fails all alike; one of them is enough

    async def _worker(self, models: Iterator[str], stop: Stop) -> None:
        while True:
            await self._open.wait()
            if stop.requested:
                return
            model = next(models, None)
            if model is None:
                return
            reply = await self._prober.ask(model)
            self._settle(model, reply)
            await self._heed(reply, models, stop)

    async def _heed(self, reply: Reply, models: Iterator[str], stop: Stop) -> None:
        """Draw the consequences of what `reply` says about the service as a whole."""
        match self._health.judge(reply):
            case "refused":
                self.token_refused = True
                stop.request("stopped", f"Replicate refuses the API token ({_detail(reply)})")
            case "down" if self._open.is_set():
                self._open.clear()
                try:
                    await self._probe(_detail(reply), models, stop)
                finally:
                    self._health.recovered()
                    self._open.set()

    async def _probe(self, cause: str, models: Iterator[str], stop: Stop) -> None:
        """One request at growing intervals until the service answers; the run is stopped where it does not.

        The model asked for stays pending unless there is an answer, so that nobody is blamed for the service.
        """
        model = next(models, None)
        if model is None:
            return
        for pause in PROBES:
            log.warning("Replicate is not answering (%s); trying again in %d s", cause, pause)
            await self._ticking.sleep(pause)
            if stop.requested:
                return
            reply = await self._prober.ask(model, once=True)
            if not is_of_the_service(reply):
                log.warning("Replicate is answering again")
                self._settle(model, reply)
                return
            cause = _detail(reply)
        stop.request("stopped", f"Replicate did not answer for {sum(PROBES):.0f} s: {cause}")

    def _settle(self, model: str, reply: Reply) -> None:
        users = [
            (row_id, AuditedUser(record, self._judge.finding(record, reply)))
            for row_id, record in self._book.records_sharing(model)
        ]
        failure = reply.reason if isinstance(reply, Failed) else None
        self._book.record_findings(
            [(row_id, user.finding) for row_id, user in users], failure, int(self._ticking.time())
        )
        self._settled([user.finding for _, user in users])
        if log.isEnabledFor(logging.INFO):
            for _, user in users:
                log_verdict(model, user)


def _detail(reply: Reply) -> str:
    return reply.detail if isinstance(reply, Failed) else ""


def log_verdict(model: str | None, user: AuditedUser) -> None:
    """Say what was found about `user`, as the product's own log would: recorded -> latest, or the full cause."""
    finding, record = user.finding, user.record
    details = {
        "user_id": record.user_id,
        "model": model,
        "status": finding.status.value,
        "reason": finding.reason.value,
    }
    if finding.status is Status.NEEDS_SYNC:
        recorded = record.replicate_version_id or "nothing"
        words = ("%s needs a sync: %s -> %s (%s)", record.user_id, recorded, finding.latest_version, finding.reason)
        log.info(*words, extra=details)
    elif finding.status is Status.ERROR:
        log.info("%s could not be checked: %s: %s", record.user_id, finding.reason, finding.detail, extra=details)
    else:
        log.debug("%s is up to date", record.user_id, extra=details)
