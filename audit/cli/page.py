"""A page of text on the terminal: headings, paragraphs and numbered steps, wrapped at blanks alone.

Whatever is copied from a terminal (hashes, URLs, SQL) stays in one piece, however narrow it is.
"""

import textwrap
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

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
