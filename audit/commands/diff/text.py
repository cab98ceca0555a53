"""A comparison as lines for a terminal or a mail."""

import textwrap
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from audit.commands.diff.view import CHANGES, TITLES, DiffView, cause, headline, name, run_line, state, tally, unchanged
from audit.commands.diff.view import versions as versions_of
from audit.findings.comparison import Change, ComparedUser
from audit.model.text import escape_controls, shortened
from audit.model.times import to_second

WIDTH = 80
"""Columns of a file."""
SHOWN = 20
"""Users of each change that are named; CSV and JSON have them all."""
Line = tuple[str, str]
"""A line and its style, one of rich's or ""."""
_STYLES = {  # by exit code
    0: "bold green",
    3: "bold yellow",
    4: "bold magenta",
}
_NAME, _TEXT = 60, 300
"""Characters of an e-mail address, with the model's id or the row's where it has several lines; of a cause."""


def render(view: DiffView, out: BinaryIO) -> None:
    """Write all lines to `out`."""
    out.writelines(f"{text}\n".encode() for text, _ in lines(view, WIDTH))


def lines(view: DiffView, width: int) -> Iterator[Line]:
    """All lines; names and hashes stay in one piece, however narrow it is."""
    for which, run in (("OLD", view.old), ("NEW", view.new)):
        yield f"{which}  {escape_controls(to_second(run.started_at))}  {escape_controls(run.path)}", ""
        yield f"     {escape_controls(run_line(run))}", "dim"
    yield "", ""
    yield headline(view), _STYLES[view.exit_status.code]
    yield from _wrapped(tally(view), width)
    if same := unchanged(view):
        yield from _wrapped(f"Unchanged: {same}", width)
    for caveat in view.caveats:
        yield from _wrapped(f"! {escape_controls(caveat)}", width, "  ", "bold")
    for change in CHANGES:
        if view.counts.changes[change]:
            yield from _section(view, change, width)


def _section(view: DiffView, change: Change, width: int) -> Iterator[Line]:
    title, meaning = TITLES[change]
    count = view.counts.changes[change]
    yield "", ""
    yield f"{title} ({count:,})", "bold"
    yield from _wrapped(meaning, width, style="dim")
    for user in islice(view.changes(change), SHOWN):
        yield from _user(view, user, width)
    if count > SHOWN:
        yield f"  and {count - SHOWN:,} more; all of them: -o csv=PATH", "dim"


def _user(view: DiffView, user: ComparedUser, width: int) -> Iterator[Line]:
    who = f"  {shortened(escape_controls(name(view, user)), _NAME)}"
    what = escape_controls(_became(user))
    if len(who) + 2 + len(what) <= width:
        yield f"{who}  {what}", ""
    else:
        yield who, ""
        yield f"      {what}", ""
    for line in versions_of(user):
        yield f"      {escape_controls(line)}", ""
    if why := cause(user):
        yield from _wrapped(f"      {escape_controls(shortened(why, _TEXT))}", width, "      ")


def _became(user: ComparedUser) -> str:
    before, now = state(user.old), state(user.new)
    return before if before == now else f"{before} → {now}"


def _wrapped(text: str, width: int, indent: str = "", style: str = "") -> Iterator[Line]:
    for line in textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    ):
        yield line, style
