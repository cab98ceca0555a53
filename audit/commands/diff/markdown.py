"""A comparison as Markdown, for a ticket or a job's summary; data stands in code spans alone."""

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from audit.commands.diff.view import CHANGES, TITLES, DiffView, details, headline, part, state, tally, unchanged
from audit.findings.comparison import Change, ComparedUser
from audit.model.times import to_second
from audit.model.users import email_or_id
from audit.report.markdown import NOTHING, code, prose

SHOWN = 200
"""Users of each change in its table: together they stay well below what GitHub takes of a summary."""


def render(view: DiffView, out: BinaryIO) -> None:
    """Write all of it to `out`."""
    out.writelines(piece.encode() for piece in _pieces(view))


def _pieces(view: DiffView) -> Iterator[str]:
    yield f"## sync-audit: {headline(view)}\n\n"
    for caveat in view.caveats:
        yield f"> [!WARNING]\n> {code(caveat, 500)}\n\n"
    yield f"{tally(view)}\n\n"
    if same := unchanged(view):
        yield f"Unchanged: {same}\n\n"
    yield f"| | started | {view.latest_per}s | state | database | file |\n| --- | --- | ---: | --- | --- | --- |\n"
    for name, run in (("OLD", view.old), ("NEW", view.new)):
        why = f": {code(run.stop_reason)}" if run.stop_reason else ""
        cells = (name, code(to_second(run.started_at)), f"{run.users:,}", code(run.state) + why, code(run.database))
        yield f"| {' | '.join(cells)} | {code(run.path)} |\n"
    for change in CHANGES:
        if view.counts.changes[change]:
            yield from _section(view, change)


def _section(view: DiffView, change: Change) -> Iterator[str]:
    title, meaning = TITLES[change]
    count = view.counts.changes[change]
    yield f"\n### {title} ({count:,})\n\n{prose(meaning)}\n\n"
    yield "| user | before | now | versions |\n| --- | --- | --- | --- |\n"
    for user in islice(view.changes(change), SHOWN):
        yield _row(view, user)
    if count > SHOWN:
        yield f"\nAnd {count - SHOWN:,} more; `-o csv=PATH` has them all.\n"


def _row(view: DiffView, user: ComparedUser) -> str:
    lines = "<br>".join(map(code, details(user)))
    which = part(view, user.last)
    cells = (
        code(email_or_id(user.last)) + (f"<br>{code(which)}" if which else ""),
        code(state(user.old)),
        code(state(user.new)),
        lines or NOTHING,
    )
    return f"| {' | '.join(cells)} |\n"
