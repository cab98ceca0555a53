"""How far a run is, in words: for a log, and for a terminal that may be narrow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from audit.commands.waiting import Doing, HeldUp
from audit.model.times import duration
from audit.report.words import counted

BARS = (("━", "─"), ("#", "."))
"""Characters of the bar, done and to do; the second pair for encodings that lack the first."""
SHORTEST_BAR, LONGEST_BAR = 8, 30
Pieces = Sequence[tuple[str, str]]
"""Texts and their styles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far a run is. Times are seconds."""

    done: int
    total: int
    sent: int
    """Requests within the last minute."""
    allowed: int
    """Requests a minute that the run may make."""
    needs_sync: int
    errors: int
    left: float | None
    """None also where it would not be believed."""
    held: HeldUp | None = None

    def sentence(self) -> str:
        """All of it, for a log."""
        found = f"{_needing(self.needs_sync)}, {counted(self.errors, 'error')}"
        if self.held:
            return f"{self.done:,} of {self.total:,}; {self.held}; {found}"
        pieces = [f"{self.done:,} of {counted(self.total, 'model')} asked", f"{self._rate} allowed this minute", found]
        if self.left is not None:
            pieces.append(f"{duration(self.left)} left")
        return ", ".join(pieces)

    @property
    def _rate(self) -> str:
        return f"{self.sent:,} of {self.allowed:,}"

    def layouts(self, width: int) -> Iterator[Pieces]:
        """The pieces of the line, from the longest layout to the shortest; `width` is the room there is."""
        done = (f"{self.done:,}/{self.total:,}", "")
        sync = "yellow" if self.needs_sync else "dim"
        wrong = "red" if self.errors else "dim"
        found = (_needing(self.needs_sync), sync), (counted(self.errors, "error"), wrong)
        short = (f"{self.needs_sync:,} sync", sync), (f"{self.errors:,} err", wrong)
        if self.held:
            *forms, shortest = ((form, "magenta") for form in self.held.forms(width - _width([done]) - 2))
            yield done, forms[0], *found
            yield done, forms[0], *short
            yield from ((done, form) for form in forms)
            yield from ((form,) for form in forms)
            yield done, shortest
            yield (shortest,)
            return
        left = (f"{duration(self.left)} left" if self.left is not None else "", "cyan")
        yield done, (f"{self._rate} allowed this minute", "dim"), *found, left
        yield done, (f"{self.sent:,}/{self.allowed:,} this min", "dim"), *found, left
        yield done, *found, left
        yield done, *short, left
        yield done, *short
        yield (done,)


def _needing(count: int) -> str:
    return f"{count:,} {'needs' if count == 1 else 'need'} a sync"


def progress_line(what: RunProgress | Doing, width: int, *, encoding: str) -> Text:
    """The line for `width` columns."""
    layouts = what.layouts(width) if isinstance(what, RunProgress) else ([(text, "")] for text in what.texts(width))
    shown: Pieces = ()
    for pieces in layouts:
        shown = [piece for piece in pieces if piece[0]]
        if _width(shown) <= width:
            break
    room = width - _width(shown) - 2
    if isinstance(what, RunProgress) and what.total and room >= SHORTEST_BAR:
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
