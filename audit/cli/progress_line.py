"""One line about a run, as much of it as fits: what matters least goes first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from audit.checks import duration

BARS = (("━", "─"), ("#", "."))
"""Done and not done; the second pair for encodings that lack the first."""
SHORTEST_BAR, LONGEST_BAR = 8, 30

Pieces = Sequence[tuple[str, str]]
"""Texts and their styles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a run is. Times are seconds."""

    done: int
    total: int
    per_minute: int | None
    """Requests, as of late; None at the very beginning."""
    allowed: int
    """Requests a minute that the run may make."""
    needs_sync: int
    errors: int
    left: float | None
    waiting: float
    """Until anybody may ask again, because of a 429."""

    def sentence(self) -> str:
        """All of it, for a log."""
        pieces = [f"{self.done:,} of {self.total:,} models asked", self._waits]
        if self.per_minute is not None and not self._waits:
            pieces.append(f"{self.per_minute:,} of {self.allowed:,} requests a minute")
        pieces += [f"{self.needs_sync:,} need a sync", f"{self.errors:,} errors"]
        if self.left is not None:
            pieces.append(f"{duration(self.left)} left")
        return ", ".join(filter(None, pieces))

    @property
    def _waits(self) -> str:
        return f"waiting {self.waiting:.0f} s: rate limit" if self.waiting >= 0.5 else ""

    def layouts(self) -> Iterator[Pieces]:
        """The pieces of the line, from the most talkative to the shortest."""
        done = (f"{self.done:,}/{self.total:,}", "")
        left = (f"{duration(self.left)} left" if self.left is not None else "", "cyan")
        sync = "yellow" if self.needs_sync else "dim"
        wrong = "red" if self.errors else "dim"
        long_sync = (f"{self.needs_sync:,} need a sync", sync)
        errors = (f"{self.errors:,} errors", wrong)
        long_rate, rate = ("", "dim"), ("", "dim")
        if self._waits:
            long_rate = rate = (self._waits, "magenta")
        elif self.per_minute is not None:
            long_rate = (f"{self.per_minute:,} of {self.allowed:,}/min", "dim")
            rate = (f"{self.per_minute:,}/min", "dim")
        yield done, long_rate, long_sync, errors, left
        yield done, rate, long_sync, errors, left
        short = (f"{self.needs_sync:,} sync", sync), (f"{self.errors:,} err", wrong)
        if self._waits:
            yield done, (f"waiting {self.waiting:.0f} s: rate limit", "magenta"), *short
            yield ((f"waiting {self.waiting:.0f} s: rate limit", "magenta"),)
            yield ((f"waiting {self.waiting:.0f} s", "magenta"),)
        yield done, *short, left
        yield done, *short
        yield (done,)


def text(what: State | str, width: int, *, encoding: str) -> Text:
    """The line for `width` columns; a `str` is shown as it is."""
    if isinstance(what, str):
        return _line([(what, "")], width)
    shown: Pieces = ()
    for pieces in what.layouts():
        shown = [piece for piece in pieces if piece[0]]
        if _width(shown) <= width:
            break
    room = width - _width(shown) - 2
    if what.total and room >= SHORTEST_BAR:
        size = min(room, LONGEST_BAR)
        full, empty = next(pair for pair in BARS if _encodable(pair, encoding))
        filled = size * what.done // what.total
        bar = (full * filled, "green"), (empty * (size - filled), "dim")
        return Text.assemble(*bar, "  ").append_text(_line(shown, width - size - 2))
    return _line(shown, width)


def _width(pieces: Pieces) -> int:
    return sum(len(words) for words, _ in pieces) + 2 * (len(pieces) - 1)


def _line(pieces: Pieces, width: int) -> Text:
    line = Text("  ").join([Text(*piece) for piece in pieces])
    line.truncate(max(width, 1))
    line.no_wrap = True
    return line


def _encodable(pair: tuple[str, str], encoding: str) -> bool:
    try:
        "".join(pair).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return pair == BARS[-1]
    return True
