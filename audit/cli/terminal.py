"""Output of commands on a terminal: width, colour, wrapping."""

import os
import re
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from audit.cli.heartbeat import PERIOD, Heartbeat
from audit.model.times import duration

WIDEST = 100
"""Columns. Longer lines are hard to read."""
NARROWEST = 30
BOLD, DIM = "bold", "dim"


class Page:
    """Writes to `console` as it goes. All texts have to be `visible` already."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.width = max(NARROWEST, min(console.width, WIDEST))

    def line(self, *pieces: str | tuple[str, str], indent: int = 0) -> None:
        """One line of `pieces`, each a text or a text and its style; never wrapped."""
        text = Text(" " * indent)
        for piece in pieces:
            text.append(*((piece,) if isinstance(piece, str) else piece))
        text.rstrip()
        self._console.print(text, soft_wrap=True)

    def heading(self, text: str) -> None:
        """A new section."""
        self.line()
        self.line((text, BOLD))

    def paragraph(self, text: str, *, first: str = "", indent: int = 0, style: str = "") -> None:
        """`text`, wrapped; `first` stands in front of it, and the lines after are set in as far."""
        start = " " * indent + first
        lines = textwrap.wrap(
            text,
            self.width,
            initial_indent=start,
            subsequent_indent=" " * len(start),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines or [start]:
            self.line((line, style))

    def steps(self, steps: Iterable[str], *, indent: int = 2) -> None:
        """What to do, in order."""
        for number, step in enumerate(steps, 1):
            self.paragraph(step, first=f"{number}. ", indent=indent)

    def facts(self, facts: Iterable[tuple[str, str]], *, indent: int = 2) -> None:
        """Names and values, the values below each other."""
        listed = [(name, value) for name, value in facts if value]
        width = max((len(name) for name, _ in listed), default=0) + 2
        for name, value in listed:
            self.paragraph(value, first=name.ljust(width), indent=indent)


def screen(*, stderr: bool = False) -> Console:
    """A console on standard output or standard error. NO_COLOR, TERM=dumb, COLUMNS and pipes are respected."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, _environ=_sensible(os.environ))


def _sensible(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without sizes that no terminal has, of which some end in an error."""
    return {
        name: value
        for name, value in environ.items()
        if name not in {"COLUMNS", "LINES"} or re.fullmatch("0*[1-9][0-9]{0,3}", value, re.ASCII)
    }


def can_animate(console: Console) -> bool:
    """Whether somebody looks at `console` who can see a line change. FORCE_COLOR alone, as in CI, is not enough."""
    return console.is_terminal and not console.is_dumb_terminal and console.file.isatty()


@contextmanager
def busy(words: str, *, period: float = PERIOD) -> Iterator[None]:
    """Say `words` on stderr while the block lasts, as a server that is not there may take seconds.

    A terminal shows them at once; a log gets a line after each `period` seconds.
    """
    console, began = screen(stderr=True), time.monotonic()
    moving = console.status(words, spinner="line") if can_animate(console) else None
    with moving or Heartbeat(lambda: f"{words}; {duration(time.monotonic() - began)} so far", period=period):
        yield


@contextmanager
def page(console: Console) -> Iterator[None]:
    """What is printed on `console` within the block comes out at its end, without blanks at the ends of lines."""
    with console.capture() as captured:
        yield
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    console.file.flush()


def fitted(names: Sequence[str], count: int, width: int) -> str:
    """As many whole `names` as fit in `width` columns, at least a piece of the first, and how many more there are."""
    for shown in range(len(names), 0, -1):
        more = f" +{count - shown:,}" if count > shown else ""
        text = ", ".join(names[:shown]) + more
        if len(text) <= width:
            return text
    more = f" +{count - 1:,}" if count > 1 else ""
    return f"{names[0][: max(1, width - len(more) - 1)]}…{more}" if names else ""
