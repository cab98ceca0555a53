"""The concurrent part of a run: each pending question is asked, and what follows is written to the run file.

- At most `concurrency` workers with one request each, so no more requests in flight, and no more answers in memory.
- Requests begin in the order of the run file and end as they end; reports sort.
- After `Stop.request` no request begins; those in flight get `GRACE` seconds; what then has no answer stays pending.
- All workers run in one thread, so the run file is never used twice at once.
- While the circuit breaker is open one worker tries the service and the others wait; a refused token stops the run.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from audit.cli.signals import Stop
from audit.commands.replicate import end_on_stop, together
from audit.commands.run.questions import Shown
from audit.findings.redaction import redacted_user
from audit.model.codes import Status
from audit.model.findings import AuditedUser, Finding
from audit.model.ids import askable_model
from audit.model.replies import Failed
from audit.replicate.retry import CircuitBreaker, is_service_failure

log = logging.getLogger(__name__)
GRACE = 5.0
"""Seconds that requests in flight get after the run was asked to stop."""
HALF_OPEN_DELAYS = (2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
"""Seconds before each single request to a service that seems to be down: two minutes in all."""
_Q = TypeVar("_Q")
_A = TypeVar("_A")


class Questions(Protocol[_Q, _A]):
    """Questions of one kind, how they are asked, and what becomes of the answers."""

    def pending(self) -> Iterator[_Q]:
        """Those to be asked, each once."""

    async def ask(self, question: _Q, *, once: bool = False) -> _A:
        """The answer, `once` without retries. Never raises for what a server or the network did."""

    def failure(self, answer: _A) -> Failed | None:
        """Why there is nothing in `answer` that can be judged, where there is not."""

    def shown(self, question: _Q, answer: _A) -> Shown:
        """Whether the account of the token was shown anything of what was asked about."""

    def record(self, question: _Q, answer: _A) -> Iterator[Sequence[AuditedUser]]:
        """Write down what `answer` means, a batch at a time, and yield the lines that follow from it."""


class Auditor(Generic[_Q, _A]):
    """Asks all pending questions. `on_findings` is called with the findings that follow from each answer."""

    def __init__(
        self,
        questions: Questions[_Q, _A],
        on_findings: Callable[[Sequence[Finding]], None],
        *,
        token_works: bool,
        redacted: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`token_works`: Replicate has said so. `redacted`: the log names nobody."""
        self._questions = questions
        self._on_findings = on_findings
        self._redacted = redacted
        self._sleep = sleep
        self._breaker = CircuitBreaker(token_works=token_works)
        self._closed = asyncio.Event()  # the breaker: requests may be made
        self._closed.set()
        self.token_refused = False

    async def run(self, concurrency: int, stop: Stop, grace: float = GRACE) -> None:
        """Return when every question has its answer, or at most `grace` seconds after `stop` was requested.

        Requests `stop` itself where the token is refused or the service stays down. Raises what the run file raises;
        the other workers are cancelled first.
        """
        questions = self._questions.pending()
        await end_on_stop(stop, together(lambda: self._worker(questions, stop), concurrency), grace)

    async def _worker(self, questions: Iterator[_Q], stop: Stop) -> None:
        while True:
            await self._closed.wait()
            if stop.requested:
                return
            question = next(questions, None)
            if question is None:
                return
            answer = await self._questions.ask(question)
            await self._record(question, answer)
            failure = self._questions.failure(answer)
            match self._breaker.record(failure):
                case "refused":
                    self.token_refused = True
                    stop.request("stopped", f"Replicate refuses the API token ({_detail(failure)})")
                case "open" if self._closed.is_set():
                    self._closed.clear()
                    try:
                        await self._half_open(_detail(failure), questions, stop)
                    finally:
                        self._breaker.close()
                        self._closed.set()

    async def _half_open(self, cause: str, questions: Iterator[_Q], stop: Stop) -> None:
        """Make one request at growing intervals until the service answers; stop the run where it does not.

        The question stays pending unless there is an answer, so that nobody is blamed for the service.
        """
        question = next(questions, None)
        if question is None:
            return
        for delay in HALF_OPEN_DELAYS:
            log.warning("Replicate is not answering (%s); trying again in %d s", cause, delay)
            await self._sleep(delay)
            if stop.requested:
                return
            answer = await self._questions.ask(question, once=True)
            failure = self._questions.failure(answer)
            if not is_service_failure(failure):
                log.warning("Replicate is answering again")
                await self._record(question, answer)
                return
            cause = _detail(failure)
        stop.request("stopped", f"Replicate did not answer for {sum(HALF_OPEN_DELAYS):.0f} s: {cause}")

    async def _record(self, question: _Q, answer: _A) -> None:
        for number, users in enumerate(self._questions.record(question, answer)):
            if number:  # of a million who share a model; the other answers must not time out meanwhile
                await asyncio.sleep(0)
            self._on_findings([user.finding for user in users])
            if log.isEnabledFor(logging.INFO):
                for user in users:
                    log_finding(user, redacted=self._redacted)


def _detail(failure: Failed | None) -> str:
    return failure.detail if failure else ""


def log_finding(user: AuditedUser, *, redacted: bool) -> None:
    """Log what was found about `user`, as the product's own log would: recorded -> latest, or the full cause."""
    if not log.isEnabledFor(logging.INFO):
        return  # masking a user costs as much as judging one
    user = redacted_user(user) if redacted else user
    finding, record = user.finding, user.record
    details = {
        "user_id": record.user_id,
        "model": askable_model(record.replicate_model_id),
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
