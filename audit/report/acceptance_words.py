"""What reports say of acceptances that need somebody, in words that every format shares."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from audit.hint_table import HINTS
from audit.models import Acceptance
from audit.report.view import AcceptancesBlock
from audit.report.words import counted

_NAMED = 5


class Stale(NamedTuple):
    """Entries of one kind that somebody should look at."""

    sentence: str
    """Of our own, without anything from data."""
    entries: tuple[str, ...]
    """The first of them, as data has them."""
    more: str
    """"and 3 more", or ""."""

    @property
    def text(self) -> str:
        """The entries in one line."""
        return ", ".join(self.entries) + (f" {self.more}" if self.more else "")


def stale(block: AcceptancesBlock | None) -> Iterator[Stale]:
    """What has expired, and what matches nobody."""
    if block and (expired := block.expired):
        it = "it" if len(expired) == 1 else "they"
        sentence = f"{counted(len(expired), 'acceptance')} expired, and what {it} accepted counts again"
        yield _stale(sentence, expired, until=True)
    if block and (unmatched := block.unmatched):
        verb = "matches" if len(unmatched) == 1 else "match"
        yield _stale(f"{counted(len(unmatched), 'acceptance')} {verb} nobody", unmatched, until=False)


def _stale(sentence: str, entries: Sequence[Acceptance], *, until: bool) -> Stale:
    named = tuple(_named(entry) + (f", until {entry.until}" if until else "") for entry in entries[:_NAMED])
    return Stale(sentence, named, f"and {len(entries) - _NAMED:,} more" if len(entries) > _NAMED else "")


def _named(entry: Acceptance) -> str:
    who = entry.user if entry.user is not None else f"model {entry.model}"
    return f"{who} ({HINTS[entry.reason].title.lower()})"
