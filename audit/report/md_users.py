"""Tables of the users who are not up to date, for the Markdown report."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from audit.hint_table import HINTS
from audit.models import Acceptance, AuditedUser, Status
from audit.report.html_facts import model_page
from audit.report.md_words import NOTHING, code
from audit.report.view import ATTENTION, RunView
from audit.report.words import MARK_TITLES, STATUS_TITLES, short_hash
from audit.visible import visible

_RESERVED = 10 << 10
"""Bytes that every later table may count on, however long the ones before it are."""

_CUT = 200
"""Bytes, more than the line takes that says how many are left out."""

_LONGEST_LINK = 200
"""Characters. A model id that is longer than any real one must not take the room of a thousand users."""


def write_tables(view: RunView, out: BinaryIO, room: int) -> None:
    """Write a table for each status that needs somebody, as many rows as fit into `room` bytes, and the accepted."""
    listed = [_listed(view, status) for status in ATTENTION if view.open[status]]
    if view.accepted.total:
        listed.append(_accepted(view))
    for number, each in enumerate(listed, 1):
        room -= _write_table(each, out, room - (len(listed) - number) * _RESERVED)


class _Listed(NamedTuple):
    """A table to be written."""

    title: str
    columns: tuple[str, ...]
    number: int
    rows: Iterator[tuple[str, ...]]


def _listed(view: RunView, status: Status) -> _Listed:
    columns, cells = _TABLES[status]
    rows = (cells(user, redacted=view.run.redacted) for user in view.users(status) if not user.accepted)
    return _Listed(STATUS_TITLES[status], columns, view.open[status], rows)


def _accepted(view: RunView) -> _Listed:
    users = (user for status in ATTENTION for user in view.users(status))
    rows = (_allowed(user, user.accepted, redacted=view.run.redacted) for user in users if user.accepted)
    return _Listed("Accepted", ("user", "model", "why", "until", "because"), view.accepted.total, rows)


def _write_table(listed: _Listed, out: BinaryIO, room: int) -> int:
    """The number of bytes written, at most `room`."""
    left, columns = listed.number, listed.columns
    rule = " | ".join("---:" if column in _NUMBERS else "---" for column in columns)
    head = f"\n### {listed.title} ({left:,})\n\n| {' | '.join(columns)} |\n| {rule} |\n".encode()
    out.write(head)
    written = len(head) + _CUT
    for cells in listed.rows:
        row = f"| {' | '.join(cells)} |\n".encode()
        if written + len(row) > room:
            break
        out.write(row)
        written += len(row)
        left -= 1
    if left:
        out.write(f"\n**{left:,} more are left out here**, for want of room. CSV and JSON have them all.\n".encode())
    return written


def _behind(user: AuditedUser, *, redacted: bool) -> tuple[str, ...]:
    record, finding = user.record, user.finding
    count = finding.versions_behind
    versions = f"{_version(record.replicate_version_id)} → {_version(finding.latest_version)}"
    return who(user, redacted=redacted), _model(user), versions, NOTHING if count is None else f"{count:,}", _why(user)


def _failed(user: AuditedUser, *, redacted: bool) -> tuple[str, ...]:
    recorded = _version(user.record.replicate_version_id)
    return who(user, redacted=redacted), _model(user), recorded, _why(user), code(user.finding.detail, 200)


def _missed(user: AuditedUser, *, redacted: bool) -> tuple[str, ...]:
    return who(user, redacted=redacted), _model(user), _version(user.record.replicate_version_id)


def _allowed(user: AuditedUser, entry: Acceptance, *, redacted: bool) -> tuple[str, ...]:
    author = f" ({code(entry.author)})" if entry.author else ""
    return who(user, redacted=redacted), _model(user), _why(user), entry.until, code(entry.because, 500) + author


_TABLES: dict[Status, tuple[tuple[str, ...], Callable[..., tuple[str, ...]]]] = {
    Status.NEEDS_SYNC: (("user", "model", "recorded → latest", "behind", "why"), _behind),
    Status.ERROR: (("user", "model", "recorded", "why", "what happened"), _failed),
    Status.NOT_CHECKED: (("user", "model", "recorded"), _missed),
}
"""Columns, and what fills them."""

_NUMBERS = frozenset({"behind"})


def who(user: AuditedUser, *, redacted: bool) -> str:
    """The e-mail, or the id where there is none or where it is masked: `a***@***` says of nobody who it is."""
    record = user.record
    return code(record.user_id if redacted or not (record.email or "").strip() else record.email)


def _model(user: AuditedUser) -> str:
    page = model_page(user.record)  # of a model id whose every character is harmless in Markdown
    shown = code(user.record.replicate_model_id)
    return f"[{shown}]({page})" if page and len(page) <= _LONGEST_LINK else shown


def _version(text: str | None) -> str:
    return code(short_hash(visible(text or "").strip()))


def _why(user: AuditedUser) -> str:
    """The reason, how it compares with the baseline, and notes that bear on what to do."""
    mark = f"**{MARK_TITLES[user.baseline]}.** " if user.baseline else ""
    notes = ", ".join(HINTS[note].title for note in user.finding.notes)
    return mark + HINTS[user.finding.reason].title + (f" ({notes})" if notes else "")
