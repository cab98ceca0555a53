"""The retry policy of single requests, and the circuit breaker of all of them. Pure, without a clock."""

from dataclasses import dataclass
from typing import Literal

from audit.model.codes import TRANSIENT, FailureReason, Reason
from audit.model.replies import Failed, Reply

LONGEST_WAIT = 60.0
"""Seconds. A server that wants a longer wait is asked again after this one; the retries end that soon enough."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter: the wait before retry n (from 1) is up to `base * 2**(n - 1)` seconds.

    Full jitter keeps many workers that failed together from coming back together:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    retries: int = 4
    base: float = 1.0

    def wait(self, attempt: int, reason: FailureReason, asked: float | None, jitter: float) -> float | None:
        """Seconds to wait after the failed `attempt` (from 1), or None to give up.

        `asked` is what the server wants at least, in seconds; `jitter` is random in [0, 1).
        """
        if reason not in TRANSIENT or attempt > self.retries:
            return None
        # 2**30 s is beyond any cap; the exponent is bounded so that a huge --retries cannot overflow a float.
        backoff = jitter * min(LONGEST_WAIT, self.base * 2.0 ** min(attempt - 1, 30))
        return min(LONGEST_WAIT, max(backoff, asked or 0.0))


BreakerState = Literal["closed", "open", "refused"]
OPEN_AFTER = 50
"""Failures of the service in a row that open the breaker. Failures of single models don't count."""
REFUSED_AFTER = 3
"""401 in a row, after the token has worked, that mean it is revoked: a single one may be one model's."""
SERVICE_FAILURES: frozenset[FailureReason] = TRANSIENT | {Reason.BAD_RESPONSE}
"""Failures that any other model could have met as well: an error page of a proxy or an edge is a bad response."""


def is_service_failure(reply: Reply | None) -> bool:
    """Whether `reply` tells of the service rather than of the model."""
    return isinstance(reply, Failed) and reply.reason in SERVICE_FAILURES


class CircuitBreaker:
    """Sees each reply once, in the order in which they come. Who tries the service when it is open calls `close`."""

    def __init__(self, *, token_works: bool) -> None:
        self._token_works = token_works
        self._failures = 0
        self._refusals = 0

    def record(self, reply: Reply | None) -> BreakerState:
        """The state after `reply`, null for any that is no failure.

        `open` means that the service is down, `refused` that the token is.
        """
        self._failures = self._failures + 1 if is_service_failure(reply) else 0
        if isinstance(reply, Failed) and reply.reason is Reason.UNAUTHORIZED:
            self._refusals += 1
            return "refused" if not self._token_works or self._refusals >= REFUSED_AFTER else "closed"
        self._refusals = 0
        # Whatever else a server says, it says to a token that it knows; where nobody answered, that is still open.
        self._token_works = self._token_works or not is_service_failure(reply)
        return "open" if self._failures >= OPEN_AFTER else "closed"

    def close(self) -> None:
        """Count failures from 0 again."""
        self._failures = 0
