"""The one concurrent place: pending models -> prober -> verdict -> run file.

Bounded: as many workers as `concurrency`, each with one question at a time, so never more requests in flight and
never more than that many answers in memory. Ordered: questions are begun in the order of the run file, and end as
they end; reports sort, so the order of answers is nowhere to be seen. Cancelled: after `Stop.request` no question
is begun, those in flight get `GRACE` seconds, and what has no answer then stays pending. Sharing: all workers run in
one thread, so the run file is never used twice at once.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol

from audit.models import AuditedUser, Failed, Finding, ModelRecord, Reason, Reply, Status
from audit.verdict import Circumstances, classify

log = logging.getLogger(__name__)

GRACE = 5.0
"""Seconds that requests in flight get after the run was asked to stop."""


class Prober(Protocol):
    """Whoever knows what Replicate says about a model."""

    async def ask(self, model: str) -> Reply:
        """An answer in any case; never an exception for anything that a server or the network did."""


class Book(Protocol):
    """Where questions come from and findings go: the run file."""

    def pending(self) -> Iterator[str]:
        """Models to ask for, each once."""

    def sharing(self, model: str) -> list[tuple[int, ModelRecord]]:
        """The records that wait for the answer about `model`."""

    def settle(self, findings: Iterable[tuple[int, Finding]], failure: Reason | None) -> None:
        """Record what the answer means for each of them."""


class Stop:
    """A request to end the run early, from a signal or from the run itself; the first one counts."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.state: Literal["interrupted", "stopped"] | None = None
        self.reason: str | None = None

    def request(self, state: Literal["interrupted", "stopped"], reason: str) -> None:
        """Begin no further question. Call it in the thread of the event loop."""
        if self.state is None:
            self.state, self.reason = state, reason
            self._event.set()

    @property
    def requested(self) -> bool:
        """Whether the run is to end."""
        return self.state is not None

    async def wait(self) -> None:
        """Return once the run is to end."""
        await self._event.wait()


class Auditor:
    """Asks all pending questions of `book`; `settled` is called with each reply and the users it settled."""

    def __init__(
        self,
        prober: Prober,
        book: Book,
        circumstances: Circumstances,
        settled: Callable[[Reply, list[Finding]], None],
    ) -> None:
        self._prober = prober
        self._book = book
        self._circumstances = circumstances
        self._settled = settled

    async def run(self, concurrency: int, stop: Stop, grace: float = GRACE) -> None:
        """Return when every question has its answer, or at most `grace` seconds after `stop` was requested.

        Raises what the run file raises; the other workers are cancelled first.
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
        while not stop.requested:
            model = next(models, None)
            if model is None:
                return
            self._settle(model, await self._prober.ask(model))

    def _settle(self, model: str, reply: Reply) -> None:
        users = [
            (row_id, AuditedUser(record, classify(record, reply, self._circumstances)))
            for row_id, record in self._book.sharing(model)
        ]
        failure = reply.reason if isinstance(reply, Failed) else None
        self._book.settle([(row_id, user.finding) for row_id, user in users], failure)
        self._settled(reply, [user.finding for _, user in users])
        if log.isEnabledFor(logging.INFO):
            for _, user in users:
                _log(model, user)


def _log(model: str, user: AuditedUser) -> None:
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
