"""The questions that are under way, so that a person can be told what a run waits for.

Read also by other threads than the one that asks.
"""

from collections.abc import Callable
from typing import NamedTuple

from audit.model.replies import Awaited, AwaitedKind
from audit.model.secrecy import Secrecy


class Question:
    """One that was sent and has no answer yet; `attempt` is its asker's to count on."""

    __slots__ = ("attempt", "attempts", "id", "kind", "since")

    def __init__(self, asked: "Asked", attempts: int, since: float) -> None:
        self.kind, self.id = asked
        self.attempt = 1
        self.attempts = attempts
        self.since = since


class Asked(NamedTuple):
    """What a question is about."""

    kind: AwaitedKind
    id: str = ""


class UnderWay:
    """Knows each question from its first request to its end: a wait for a turn is none for an answer."""

    def __init__(self, clock: Callable[[], float], secrecy: Secrecy) -> None:
        self._clock = clock
        self._secrecy = secrecy
        self._questions: dict[Question, None] = {}  # in the order in which they began

    def begin(self, asked: Asked, attempts: int) -> Question:
        """A question is being sent, which may take so many attempts; whoever asks it has to `end` it."""
        question = Question(asked, attempts, self._clock())
        self._questions[question] = None
        return question

    def end(self, question: Question) -> None:
        """It has its answer, or nobody wants that any more."""
        del self._questions[question]

    def longest_wait(self) -> Awaited | None:
        """The oldest of them; None where there is none."""
        questions = list(self._questions)  # in one step, as another thread may ask meanwhile
        if not questions:
            return None
        oldest, name = questions[0], self._secrecy.clean(questions[0].id)  # a database may have anything in it
        return Awaited(oldest.kind, name, self._clock() - oldest.since, oldest.attempt, oldest.attempts, len(questions))
