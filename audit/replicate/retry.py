"""Whether it makes sense to go on asking: judged from the answers as they come, without a clock."""

from dataclasses import dataclass
from typing import Literal

from audit.model.codes import FailureReason, Reason
from audit.model.replies import Failed, Reply

LONGEST_WAIT = 60.0
"""Seconds. A server that asks for more is asked again all the same; the retries end that soon enough."""
TRANSIENT: frozenset[FailureReason] = frozenset(
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
        if reason not in TRANSIENT or attempt > self.retries:
            return None
        # 2**30 s is beyond any cap; the exponent is bounded so that a huge --retries cannot overflow a float.
        backoff = jitter * min(LONGEST_WAIT, self.base * 2.0 ** min(attempt - 1, 30))
        return min(LONGEST_WAIT, max(backoff, asked or 0.0))


Judgement = Literal["fine", "down", "refused"]
DOWN_AFTER = 50
"""So many answers in a row that are failures of the service, not of single models, and it is taken to be down."""
REFUSED_AFTER = 3
"""So many 401 in a row, after the token has worked, and it is taken to be revoked: a single one may be one model's."""
OF_THE_SERVICE: frozenset[FailureReason] = TRANSIENT | {Reason.BAD_RESPONSE}
"""A proxy's or an edge's error page is a bad response, and tells of the service as a 502 does."""


def is_of_the_service(reply: Reply) -> bool:
    """Whether `reply` is a failure that any other model could have met as well."""
    return isinstance(reply, Failed) and reply.reason in OF_THE_SERVICE


class CircuitBreaker:
    """Sees each reply once, in the order in which they come."""

    def __init__(self, *, token_works: bool) -> None:
        self._token_works = token_works
        self._failures = 0
        self._refusals = 0

    def judge(self, reply: Reply) -> Judgement:
        """What `reply`, after all that came before it, says about the service."""
        self._failures = self._failures + 1 if is_of_the_service(reply) else 0
        if isinstance(reply, Failed) and reply.reason is Reason.UNAUTHORIZED:
            self._refusals += 1
            if not self._token_works or self._refusals >= REFUSED_AFTER:
                return "refused"
            return "fine"
        self._refusals = 0
        # Whatever else a server says, it says to a token that it knows; where nobody answered, that is still open.
        self._token_works = self._token_works or not is_of_the_service(reply)
        return "down" if self._failures >= DOWN_AFTER else "fine"

    def recovered(self) -> None:
        """A probe has found the service well again."""
        self._failures = 0
