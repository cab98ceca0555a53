"""The Markdown report, for a ticket or a job's summary: the answer, the counts, who is affected, what to do.

Up-to-date users are in no table. What is longer than GitHub takes is cut, and says so.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from audit.findings.classify import wrong_account
from audit.hints.explain import EXPLANATIONS
from audit.hints.table import HINTS
from audit.model.codes import Reason, Status
from audit.model.findings import Acceptance, AuditedUser
from audit.model.text import escape_controls
from audit.model.users import email_or_id
from audit.report.facts import model_page
from audit.report.markdown_text import NOTHING, code, code_in_text, prose
from audit.report.view import ATTENTION, RunView
from audit.report.words import (
    MARK_TITLES,
    STATUS_TITLES,
    UNSEEN,
    counted,
    duration,
    exit_meaning,
    headline,
    instant,
    narrowed,
    shards_fact,
    short_hash,
    stale,
    trainings_facts,
)

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
    """The e-mail, or the id where there is none or where it is masked, as code."""
    return code(email_or_id(user.record, redacted=redacted))


def _model(user: AuditedUser) -> str:
    page = model_page(user.record)  # of a model id whose every character is harmless in Markdown
    shown = code(user.record.replicate_model_id)
    return f"[{shown}]({page})" if page and len(page) <= _LONGEST_LINK else shown


def _version(text: str | None) -> str:
    return code(short_hash(escape_controls(text or "").strip()))


def _why(user: AuditedUser) -> str:
    """The reason, how it compares with the baseline, and notes that bear on what to do."""
    mark = f"**{MARK_TITLES[user.baseline]}.** " if user.baseline else ""
    notes = ", ".join(HINTS[note].title for note in user.finding.notes)
    return mark + HINTS[user.finding.reason].title + (f" ({notes})" if notes else "")


LIMIT = 1000 << 10
"""Bytes. GitHub refuses the whole summary of a step above 1,024 KiB, after it has masked secrets in it."""
LEAST = 64 << 10
"""Bytes. With a limit below that there may be no room for everything but the tables."""
_EXPLAINED = {each.code: each for each in EXPLANATIONS}


def render(view: RunView, out: BinaryIO) -> None:
    """Write the whole report to `out`; memory does not grow with the number of users."""
    render_within(view, out, LIMIT)


def render_within(view: RunView, out: BinaryIO, limit: int) -> None:
    """Write the report in at most `limit` bytes, `LEAST` or more."""
    head = "".join(_head(view)).encode()
    tail = "".join((*_hints(view), *_run(view))).encode()
    out.write(head)
    write_tables(view, out, limit - len(head) - len(tail))
    out.write(tail)


def _head(view: RunView) -> Iterator[str]:
    _, sentence = headline(view)
    counts = view.summary.statuses
    yield f"## sync-audit: {sentence}\n\n"
    yield from _warnings(view)
    yield f"{exit_meaning(view)}\n\n"
    yield f"| users | {' | '.join(STATUS_TITLES[status] for status in Status)} |\n"
    yield f"|{' ---: |' * (len(Status) + 1)}\n"
    yield f"| {view.summary.total:,} | {' | '.join(f'{counts[status]:,}' for status in Status)} |\n"
    if view.since_baseline and view.run.baseline:
        marks, baseline = view.since_baseline.states, view.run.baseline
        since = f"{code_in_text(instant(baseline.started_at))} ({code_in_text(baseline.path, 200)})"
        yield f"\nSince the run of {since}: **{marks['new']:,} new**, {marks['known']:,} known, "
        yield f"{marks['resolved']:,} resolved.\n"
    if view.accepted.total and view.run.acceptances:
        file = code_in_text(view.run.acceptances.file, 200)
        yield f"\n**{view.accepted.total:,} accepted** by {file}: they are in these counts, and not in the exit code.\n"
    yield from _reasons(view)


def _warnings(view: RunView) -> Iterator[str]:
    run, summary = view.run, view.summary
    if run.state != "complete":
        why = f": {code_in_text(run.stop_reason, 500)}" if run.stop_reason else "."
        yield f"> [!CAUTION]\n> **Incomplete run.** It was {run.state} before its end{why}\n\n"
    if run.account and wrong_account(run.account, summary):
        name = code_in_text(run.account.username)
        yield f"> [!CAUTION]\n> **Probably the wrong token.** No model was found, and the token belongs to {name}.\n\n"
    if wrong := summary.reasons.get(Reason.EVIDENCE_DISAGREES, 0):
        yield "> [!CAUTION]\n> **Do not trust this run's trainings.** Of those whom they settled and who were checked, "
        yield f"{counted(wrong, 'user')} had other versions. Audit everybody by versions.\n\n"
    elif run.trainings and run.trainings.mode == "trainings":
        yield f"> [!NOTE]\n> **By trainings.** What that does not see: {UNSEEN}.\n\n"
    for each in stale(run.acceptances):
        yield f"> [!WARNING]\n> **{each.sentence}:** {code_in_text(each.text, 1000)}\n\n"
    if narrowed(run):
        yield f"> [!NOTE]\n> **Part of the users.** The run was narrowed {code_in_text(narrowed(run), 500)}\n\n"


def _reasons(view: RunView) -> Iterator[str]:
    if not view.summary.total:
        return
    yield "\n| status | reason | users |\n| --- | --- | ---: |\n"
    for status in Status:
        for reason, count in view.summary.reasons.items():
            if reason.status is status:
                yield f"| {STATUS_TITLES[status]} | {HINTS[reason].title} (`{reason}`) | {count:,} |\n"


def _hints(view: RunView) -> Iterator[str]:
    """What to do about each reason that needs somebody, folded; blank lines make what is inside Markdown again."""
    counts = view.open_reasons
    reasons = [reason for status in ATTENTION for reason in counts if reason.status is status]
    if reasons:
        yield "\n### What to do\n"
    for reason in reasons:
        yield from _hint(reason, counts[reason])


def _hint(reason: Reason, count: int) -> Iterator[str]:
    told = _EXPLAINED[reason.value]
    yield f"\n<details>\n<summary>{told.title} ({counted(count, 'user')})</summary>\n\n{prose(told.meaning)}\n\n"
    yield from (f"{number}. {prose(step)}\n" for number, step in enumerate(told.steps, 1))
    yield "\n</details>\n"


def _run(view: RunView) -> Iterator[str]:
    run = view.run
    account = f"{code_in_text(run.account.username)} ({code_in_text(run.account.type)})" if run.account else "not known"
    sent = run.requests
    facts = (
        ("State", run.state + (f": {code_in_text(run.stop_reason, 500)}" if run.stop_reason else "")),
        ("Started", f"{code_in_text(instant(run.started_at))}, took {duration(run.duration_seconds)}"),
        ("Database", code_in_text(run.database)),
        ("Replicate", code_in_text(run.base_url)),
        ("Account of the token", account),
        ("Requests", f"{sent.sent:,} sent, {sent.retried:,} of them repeated; {sent.throttled:,} answered with 429"),
        ("Latest model by", f"`{run.order_by}`"),
        ("Test rows", "taken into account" if run.filters.include_tests else "left out"),
        ("Narrowed", code_in_text(narrowed(run), 500) if narrowed(run) else "no: everybody was audited"),
        *((("Merged from", shards_fact(run)),) if run.shards else ()),
        ("Redacted", "yes: e-mail addresses and names are masked" if run.redacted else "no"),
        ("Run", f"`{run.id}`, made by sync-audit {code_in_text(view.tool_version)}"),
    )
    trainings = trainings_facts(run.trainings) if run.trainings else ()
    yield "\n### The run\n\n"
    yield from (f"- {label}: {value}\n" for label, value in facts)
    yield from (f"- {label}: {code_in_text(value, 500)}\n" for label, value in trainings)
