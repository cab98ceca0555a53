"""The concurrent part of a run: each pending model is asked for, and its finding written to the run file.

- At most `concurrency` workers with one request each, so no more requests in flight, and no more replies in memory.
- Requests begin in the order of the run file and end as they end; reports sort.
- After `Stop.request` no request begins; those in flight get `GRACE` seconds; what then has no reply stays pending.
- All workers run in one thread, so the run file is never used twice at once.
- While the circuit breaker is open one worker tries the service and the others wait; a refused token stops the run.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Protocol

from audit.cli.signals import Stop
from audit.findings.trainings import Classifier
from audit.model.codes import Reason, Status
from audit.model.findings import AuditedUser, Finding
from audit.model.replies import Failed, Reply
from audit.model.users import ModelRecord
from audit.replicate.retry import CircuitBreaker, is_service_failure

log = logging.getLogger(__name__)
GRACE = 5.0
"""Seconds that requests in flight get after the run was asked to stop."""
HALF_OPEN_DELAYS = (2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
"""Seconds before each single request to a service that seems to be down: two minutes in all."""


class ModelClient(Protocol):
    """Replicate, as far as models are concerned."""

    async def ask(self, model: str, *, once: bool = False) -> Reply:
        """What it has of `model`, `once` without retries. Never raises for what a server or the network did."""


class PendingModels(Protocol):
    """Models to ask for, and where the findings go: the run file."""

    def pending(self) -> Iterator[str]:
        """Models to ask for, each once."""

    def records_sharing(self, model: str) -> list[tuple[int, ModelRecord]]:
        """The records that wait for the reply about `model`, by their ids."""

    def record_findings(self, findings: Iterable[tuple[int, Finding]], failure: Reason | None, at: int) -> None:
        """Record what the reply, which came `at` seconds since 1970, means for each of them."""


class Auditor:
    """Asks for all pending models. `on_findings` is called with the findings that follow from each reply."""

    def __init__(
        self,
        client: ModelClient,
        models: PendingModels,
        classifier: Classifier,
        on_findings: Callable[[Sequence[Finding]], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._models = models
        self._classifier = classifier
        self._on_findings = on_findings
        self._sleep = sleep
        self._breaker = CircuitBreaker(token_works=classifier.context.account is not None)
        self._closed = asyncio.Event()  # the breaker: requests may be made
        self._closed.set()
        self.token_refused = False

    async def run(self, concurrency: int, stop: Stop, grace: float = GRACE) -> None:
        """Return when every model has its reply, or at most `grace` seconds after `stop` was requested.

        Requests `stop` itself where the token is refused or the service stays down. Raises what the run file raises;
        the other workers are cancelled first.
        """
        models = self._models.pending()
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
            await self._closed.wait()
            if stop.requested:
                return
            model = next(models, None)
            if model is None:
                return
            reply = await self._client.ask(model)
            self._record(model, reply)
            match self._breaker.record(reply):
                case "refused":
                    self.token_refused = True
                    stop.request("stopped", f"Replicate refuses the API token ({_detail(reply)})")
                case "open" if self._closed.is_set():
                    self._closed.clear()
                    try:
                        await self._half_open(_detail(reply), models, stop)
                    finally:
                        self._breaker.close()
                        self._closed.set()

    async def _half_open(self, cause: str, models: Iterator[str], stop: Stop) -> None:
        """Make one request at growing intervals until the service answers; stop the run where it does not.

        The model asked for stays pending unless there is an answer, so that nobody is blamed for the service.
        """
        model = next(models, None)
        if model is None:
            return
        for delay in HALF_OPEN_DELAYS:
            log.warning("Replicate is not answering (%s); trying again in %d s", cause, delay)
            await self._sleep(delay)
            if stop.requested:
                return
            reply = await self._client.ask(model, once=True)
            if not is_service_failure(reply):
                log.warning("Replicate is answering again")
                self._record(model, reply)
                return
            cause = _detail(reply)
        stop.request("stopped", f"Replicate did not answer for {sum(HALF_OPEN_DELAYS):.0f} s: {cause}")

    def _record(self, model: str, reply: Reply) -> None:
        users = [
            (row_id, AuditedUser(record, self._classifier.finding(record, reply)))
            for row_id, record in self._models.records_sharing(model)
        ]
        failure = reply.reason if isinstance(reply, Failed) else None
        self._models.record_findings([(row_id, user.finding) for row_id, user in users], failure, int(time.time()))
        self._on_findings([user.finding for _, user in users])
        if log.isEnabledFor(logging.INFO):
            for _, user in users:
                log_finding(model, user)


def _detail(reply: Reply) -> str:
    return reply.detail if isinstance(reply, Failed) else ""


def log_finding(model: str | None, user: AuditedUser) -> None:
    """Log what was found about `user`, as the product's own log would: recorded -> latest, or the full cause."""
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
