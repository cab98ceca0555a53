"""What a command says while it waits: for a question without an answer, for the rate limit, for a database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from audit.model.replies import Awaited
from audit.model.times import duration

STILL = 5.0
"""Seconds without anything new after which a person is told what is waited for."""
_SHORTEST_NAME = 12
"""Characters to which a name may be cut."""


class Waits(Protocol):
    """A connection to Replicate, as far as it keeps anybody waiting."""

    def waiting(self) -> float:
        """Seconds for which the server wants no request; 0 where it has said no such thing."""

    def longest_wait(self) -> Awaited | None:
        """Of all that is asked and not answered yet what was asked first; None where there is nothing."""


@dataclass(frozen=True, slots=True)
class HeldUp:
    """Why nothing comes."""

    seconds: float
    """So far, or, with `why`, to come."""
    what: str = ""
    """That is waited for."""
    attempt: str = ""
    why: str = ""

    @classmethod
    def by(cls, awaited: Awaited, *, redacted: bool) -> "HeldUp":
        """By a question without an answer."""
        attempt = f", attempt {awaited.attempt} of {awaited.attempts}" if awaited.attempts > 1 else ""
        return cls(awaited.seconds, awaited.what(redacted=redacted), attempt)

    def __str__(self) -> str:
        return next(self.forms(0))

    def forms(self, room: int) -> Iterator[str]:
        """The words, from the longest to the shortest; where `room` allows it, with a name that is cut to fit."""
        start = f"waiting {duration(self.seconds)}"
        yield start + (f" for {self.what}{self.attempt}" if self.what else f": {self.why}")
        if self.what:
            named = f"{start} for "
            left = room - len(named)
            yield named + self.what
            yield named + _cut(self.what, left - len(self.attempt)) + self.attempt
            yield named + _cut(self.what, left)
        yield start


def _cut(name: str, room: int) -> str:
    """`name` with its end, which tells it from others, in so many characters, or in the fewest that make sense."""
    room = max(room, _SHORTEST_NAME)
    return name if len(name) <= room else f"...{name[3 - room :]}"


@dataclass(frozen=True, slots=True)
class Doing:
    """A step of a command, and since when nothing new has come of it."""

    words: str
    seconds: float = 0.0
    without: str = "{} so far"
    """How such a time is said."""
    held: HeldUp | None = None

    def sentence(self) -> str:
        """All of it, for a log."""
        return "; ".join(filter(None, (self.words, self._tail)))

    def texts(self, width: int) -> Iterator[str]:
        """From the longest to the shortest, for a line of so many columns."""
        yield self.sentence()
        if self.held:
            yield from self.held.forms(width)
        elif self.seconds >= STILL:
            yield f"{self.words}; {duration(self.seconds)}"
        yield self.words

    @property
    def _tail(self) -> str:
        if self.held:
            return str(self.held)
        return self.without.format(duration(self.seconds)) if self.seconds >= STILL else ""


def held_up(session: Waits | None, *, redacted: bool) -> HeldUp | None:
    """What holds a command up that asks by `session`, and has had no answer for some time."""
    if session is None:
        return None
    if (wait := session.waiting()) >= 0.5:
        return HeldUp(wait, why="rate limit")
    awaited = session.longest_wait()
    return HeldUp.by(awaited, redacted=redacted) if awaited and awaited.seconds >= STILL else None
