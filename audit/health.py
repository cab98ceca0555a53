"""Whether it makes sense to go on asking: judged from the answers as they come, without a clock."""

from typing import Literal

from audit.models import Failed, FailureReason, Reason, Reply
from audit.retry import PASSING

Judgement = Literal["fine", "down", "refused"]

DOWN_AFTER = 50
"""So many answers in a row that are failures of the service, not of single models, and it is taken to be down."""

REFUSED_AFTER = 3
"""So many 401 in a row, after the token has worked, and it is taken to be revoked: a single one may be one model's."""

OF_THE_SERVICE: frozenset[FailureReason] = PASSING | {Reason.BAD_RESPONSE}
"""A proxy's or an edge's error page is a bad response, and tells of the service as a 502 does."""


def is_of_the_service(reply: Reply) -> bool:
    """Whether `reply` is a failure that any other model could have met as well."""
    return isinstance(reply, Failed) and reply.reason in OF_THE_SERVICE


class Health:
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
