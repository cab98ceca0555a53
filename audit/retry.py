"""Whether to ask again, and after how long: policy only, whoever calls does the waiting."""

from dataclasses import dataclass

from audit.models import FailureReason, Reason

LONGEST_WAIT = 60.0
"""Seconds. A server that asks for more is asked again all the same; the retries end that soon enough."""

PASSING: frozenset[FailureReason] = frozenset(
    (Reason.RATE_LIMITED, Reason.SERVER_ERROR, Reason.TIMEOUT, Reason.NETWORK_ERROR)
)
"""Failures that may be gone at the next attempt. All others would only be repeated."""


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
        if reason not in PASSING or attempt > self.retries:
            return None
        # 2**30 s is beyond any cap; the exponent is bounded so that a huge --retries cannot overflow a float.
        backoff = jitter * min(LONGEST_WAIT, self.base * 2.0 ** min(attempt - 1, 30))
        return min(LONGEST_WAIT, max(backoff, asked or 0.0))
