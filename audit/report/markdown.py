r"""The Markdown report, for a ticket or a job's summary: the answer, the counts, who is affected, what to do.

Up-to-date users are in no table. What is longer than GitHub takes is cut, and says so. Data stands in code spans alone:
there GitHub and GitLab look for no links, mentions (@name), references (#12, commit hashes) or HTML, also where they
look for them after Markdown has been read, when escapes are gone.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from audit.hints.explain import Explanation, of_tables
from audit.hints.table import HINTS
from audit.hints.unfinished import NOT_KNOWN, brief, brief_also, days_between
from audit.model.codes import Reason, Status
from audit.model.findings import Acceptance, AuditedUser, Finding
from audit.model.lines import NOUNS
from audit.model.text import escape_controls, shortened
from audit.model.times import to_second
from audit.model.users import email_or_id
from audit.report import words
from audit.report.answer import answer
from audit.report.steps import steps
from audit.report.view import ATTENTION, RunView
from audit.report.words import BASELINE_TITLES, LONG, SHORT, STATUS_TITLES

LIMIT = 1000 << 10
"""Bytes. GitHub refuses the whole summary of a step above 1,024 KiB, after it has masked secrets in it."""
LEAST = 64 << 10
"""Bytes. With a limit below that there may be no room for everything but the tables."""
_RESERVED = 10 << 10
"""Bytes that every later table may count on, however long the ones before it are."""
_CUT = 200
"""Bytes, more than the line takes that says how many are left out."""
_LONGEST_LINK = 200
"""Characters. A model id that is longer than any real one must not take the room of a thousand users."""
NOTHING = "–"
"""What stands where there is no value; an empty code span is none."""
_PATTERN_OF_ADDRESS = re.compile(r"https?://\S*<\S*>")
_LONGEST_COMMAND = 4_000
"""Characters. One that names thousands of users is nothing to copy."""
_LONGEST_FENCE = 4
"""Backticks. Implementations stop looking for a closing fence at some length; nobody means that many."""
_PIPE = re.compile(r"(\\?)\|")
_ACTS = re.compile(r"[\\*<\[\]|&~]|(?<!\w)_|_(?!\w)")


def render(view: RunView, out: BinaryIO) -> None:
    """Write the whole report to `out`; memory does not grow with the number of users."""
    render_within(view, out, LIMIT)


def render_within(view: RunView, out: BinaryIO, limit: int) -> None:
    """Write the report in at most `limit` bytes, `LEAST` or more."""
    head = "".join(_head(view)).encode()
    tail = "".join((*_hints(view), *_run(view))).encode()
    out.write(head)
    _write_tables(view, out, limit - len(head) - len(tail))
    out.write(tail)


def _head(view: RunView) -> Iterator[str]:
    said = answer(view, code_in_text)
    counts = view.summary.statuses
    yield f"## {said.title}: {said.headline}\n\n"
    yield from _warnings(view)
    yield "".join(f"{sentence} " for sentence in said.below).rstrip() + "\n\n" if said.below else ""
    yield from _steps(view)
    yield f"| {NOUNS[view.latest_per]}s | {' | '.join(STATUS_TITLES[status] for status in Status)} |\n"
    yield f"|{' ---: |' * (len(Status) + 1)}\n"
    yield f"| {view.summary.total:,} | {' | '.join(f'{counts[status]:,}' for status in Status)} |\n"
    if view.since_baseline and view.run.baseline:
        marks, baseline = view.since_baseline.states, view.run.baseline
        since = f"{code_in_text(to_second(baseline.started_at))} ({code_in_text(baseline.path, 200)})"
        yield f"\nSince the run of {since}: **{marks['new']:,} new**, {marks['known']:,} known, "
        yield f"{marks['resolved']:,} resolved.\n"
    if view.accepted.total and view.run.acceptances:
        file = code_in_text(view.run.acceptances.file, 200)
        yield f"\n**{view.accepted.total:,} accepted** by {file}: they are in these counts, and not in the exit code.\n"
    yield from _reasons(view)


def _steps(view: RunView) -> Iterator[str]:
    """What to do now, with commands to copy: as many backticks around each as it has none in a row."""
    several, completed = steps(view), words.completed_line(view)
    if several:
        yield "### What to do now\n\n"
    for number, step in enumerate(several, 1):
        ours, data, _ = step.text.partition(completed) if completed else (step.text, "", "")
        yield f"{number}. {prose(ours)}{code_in_text(data, LONG) if data else ''}\n"
        if step.people:
            people = ", ".join(code_in_text(words.named(view, user.record)) for _, user in step.people)
            yield f"   {people}\n"
        if 0 < len(step.command) <= _LONGEST_COMMAND:
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", step.command)), default=0))
            yield f"\n   {fence}sh\n   {escape_controls(step.command)}\n   {fence}\n\n"
    if several:
        yield "\n"


def _warnings(view: RunView) -> Iterator[str]:
    run, summary = view.run, view.summary
    for doubt in words.suspicions(view, code_in_text):
        yield f"> [!CAUTION]\n> **{doubt.title}.** {doubt.text}\n\n"
    if wrong := summary.reasons.get(Reason.EVIDENCE_DISAGREES, 0):
        yield "> [!CAUTION]\n> **Do not trust this run's trainings.** Of those whom they settled and who were checked, "
        yield f"{words.lines(view, wrong)} had other versions. Audit everybody by versions.\n\n"
    elif run.trainings and run.trainings.mode == "trainings":
        yield f"> [!NOTE]\n> **By trainings.** What that does not see: {words.UNSEEN}.\n\n"
    yield from _caveats(view)


def _caveats(view: RunView) -> Iterator[str]:
    run = view.run
    if run.baseline and run.baseline.other_place:
        both = code_in_text(run.baseline.other_place, LONG)
        yield f"> [!WARNING]\n> **The baseline is of another database:** {both}\n\n"
    if unlooked := words.not_in_baseline(run):
        yield f"> [!NOTE]\n> **Not everything can be compared with the baseline.** {prose(unlooked)}\n\n"
    for each in words.stale(view.accepted):
        yield f"> [!WARNING]\n> **{each.sentence}:** {code_in_text(each.text, 1000)}\n\n"


def _reasons(view: RunView) -> Iterator[str]:
    if not view.summary.total:
        return
    yield f"\n| status | reason | {NOUNS[view.latest_per]}s |\n| --- | --- | ---: |\n"
    for status in Status:
        for reason, count in view.summary.reasons.items():
            if reason.status is status:
                yield f"| {STATUS_TITLES[status]} | {HINTS[reason].title} (`{reason}`) | {count:,} |\n"
    yield from (
        f"\n{prose(text)}\n"
        for text in (words.beside(view), words.further_models(view), words.weights_unchecked(view))
        if text
    )


def _hints(view: RunView) -> Iterator[str]:
    """What to do about each reason that needs somebody, folded; blank lines make what is inside Markdown again."""
    counts = view.open_reasons
    reasons = [reason for status in ATTENTION for reason in counts if reason.status is status]
    if reasons:
        yield "\n### The reasons\n"
    for reason in reasons:
        yield from _hint(of_tables(reason, view.run.tables), view, words.lines(view, counts[reason]))


def _hint(about: Explanation, view: RunView, count: str) -> Iterator[str]:
    yield f"\n<details>\n<summary>{about.title} ({count})</summary>\n\n{prose(about.meaning)}\n\n"
    yield from (f"{number}. {prose(words.of_run(step, view))}\n" for number, step in enumerate(about.steps, 1))
    yield "\n</details>\n"


def _run(view: RunView) -> Iterator[str]:
    run, narrowed = view.run, words.narrowed(view.run)
    facts = (
        ("State", words.state(run, code_in_text)),
        ("Started", f"{code_in_text(to_second(run.started_at))}, took {words.took(view)}"),
        ("Database", code_in_text(run.database)),
        ("Replicate", code_in_text(run.base_url)),
        ("Account of the token", words.account(run, code_in_text)),
        ("Requests", words.requests(run)),
        ("Latest model by", f"`{run.order_by}`"),
        ("Test rows", words.about_test_rows(run)),
        *words.coverage_facts(view),
        ("Narrowed", code_in_text(narrowed, LONG) if narrowed else "no: everybody was audited"),
        *((("Merged from", words.merged_from(run)),) if run.shards else ()),
        ("Redacted", "yes: e-mail addresses and names are masked" if run.redacted else "no"),
        ("Run", f"`{run.id}`, made by sync-audit {code_in_text(run.tool_version)}"),
        *((label, code_in_text(value, LONG)) for label, value in words.trainings_facts(view)),
        *((("Weights asked for", code_in_text(words.weights_fact(view))),) if view.weights else ()),
        *(
            ((f"Unknown {words.status_column(view)}", code_in_text(unknown, LONG)),)
            if (unknown := words.unknown_statuses(view))
            else ()
        ),
    )
    yield "\n### The run\n\n"
    yield from (f"- {label}: {value}\n" for label, value in facts)


def _write_tables(view: RunView, out: BinaryIO, room: int) -> None:
    """A table for each status that needs somebody, as many rows as fit into `room` bytes, and the accepted."""
    tables = [_open_users(view, status) for status in ATTENTION if view.open[status]]
    if view.accepted.total:
        tables.append(_accepted_users(view))
    for number, each in enumerate(tables, 1):
        room -= _write_table(each, out, room - (len(tables) - number) * _RESERVED)


class _UserTable(NamedTuple):
    """A table to be written."""

    title: str
    columns: tuple[str, ...]
    number: int
    rows: Iterator[tuple[str, ...]]


_COLUMNS = {
    Status.NEEDS_SYNC: ("user", "model", "stored → latest", "behind", "affected since", "why"),
    Status.ERROR: ("user", "model", "stored", "why", "what happened"),
    Status.NOT_CHECKED: ("user", "model", "stored"),
}
_NUMBERS = frozenset({"behind"})


def _open_users(view: RunView, status: Status) -> _UserTable:
    rows = (_open_cells(user, view) for user in view.users(status) if not user.accepted)
    return _UserTable(STATUS_TITLES[status], _COLUMNS[status], view.open[status], rows)


def _accepted_users(view: RunView) -> _UserTable:
    users = (user for status in ATTENTION for user in view.users(status))
    rows = (_accepted_cells(user, user.accepted, view) for user in users if user.accepted)
    return _UserTable("Accepted", ("user", "model", "why", "until", "because"), view.accepted.total, rows)


def _write_table(table: _UserTable, out: BinaryIO, room: int) -> int:
    """The number of bytes written, at most `room`."""
    left, columns = table.number, table.columns
    rule = " | ".join("---:" if column in _NUMBERS else "---" for column in columns)
    head = f"\n### {table.title} ({left:,})\n\n| {' | '.join(columns)} |\n| {rule} |\n".encode()
    out.write(head)
    written = len(head) + _CUT
    for cells in table.rows:
        row = f"| {' | '.join(cells)} |\n".encode()
        if written + len(row) > room:
            break
        out.write(row)
        written += len(row)
        left -= 1
    if left:
        out.write(f"\n**{left:,} more are left out here**, for want of room. CSV and JSON have them all.\n".encode())
    return written


def _open_cells(user: AuditedUser, view: RunView) -> tuple[str, ...]:
    """For the columns of the user's status."""
    run = view.run
    finding, recorded = user.finding, _version(user.record.replicate_version_id)
    who_and_model = _who(user, view), _model(user)
    why = _why(user) + _newest_row(user, run.started_at)
    if finding.status is Status.NEEDS_SYNC:
        behind = NOTHING if finding.versions_behind is None else f"{finding.versions_behind:,}"
        since = _since(finding, run.started_at)
        return *who_and_model, f"{recorded} → {_version(finding.latest_version)}", behind, since, why
    if finding.status is Status.ERROR:
        return *who_and_model, recorded, why, code(finding.detail, 200)
    return *who_and_model, recorded


def _since(finding: Finding, now: str) -> str:
    """The day, and how many days ago that was at `now`."""
    if not finding.affected_since:
        return NOT_KNOWN
    gap = days_between(finding.affected_since, now)
    return code(finding.affected_since[:10]) + ("" if gap is None else f" ({words.days(gap)})")


def _newest_row(user: AuditedUser, now: str) -> str:
    """What is known of a row that is not completed, and of the completed one beside it."""
    told = [code(text, LONG) for text in (brief(user, now), brief_also(user)) if text]
    return "".join(f"<br>{text}" for text in told)


def _accepted_cells(user: AuditedUser, entry: Acceptance, view: RunView) -> tuple[str, ...]:
    author = f" ({code(entry.author)})" if entry.author else ""
    because = code(entry.because, LONG) + author
    return _who(user, view), _model(user), _why(user), entry.until, because


def _who(user: AuditedUser, view: RunView) -> str:
    """The model has a column of its own."""
    row = f"<br>{code(words.which(view, user.record))}" if view.latest_per == "row" else ""
    return code(email_or_id(user.record, redacted=view.run.redacted)) + row


def _model(user: AuditedUser) -> str:
    page = words.model_page(
        user.record, user.finding.model
    )  # of a model id whose every character is harmless in Markdown
    shown = code(user.record.replicate_model_id)
    return f"[{shown}]({page})" if page and len(page) <= _LONGEST_LINK else shown


def _version(text: str | None) -> str:
    return code(words.short_hash(escape_controls(text or "").strip()))


def _why(user: AuditedUser) -> str:
    """The reason, how it compares with the baseline, and notes that bear on what to do."""
    mark = f"**{BASELINE_TITLES[user.baseline]}.** " if user.baseline else ""
    notes = ", ".join(HINTS[note].title for note in user.finding.notes)
    return mark + HINTS[user.finding.reason].title + (f" ({notes})" if notes else "")


def code(text: str | None, limit: int = SHORT) -> str:
    """`text` from data as `code_in_text` has it, for a table: there a pipe has to be escaped, in code too.

    After a backslash it is spelled out: which of the two the escape is for, implementations do not agree.
    """
    return _PIPE.sub(lambda match: "\\\\x7c" if match[1] else "\\|", code_in_text(text, limit))


def code_in_text(text: str | None, limit: int = SHORT) -> str:
    """`text` as a code span of one line, at most `limit` characters of it; blanks at its ends are dropped."""
    shown = shortened(escape_controls(text or ""), limit).strip()
    if not shown:
        return NOTHING
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    if len(fence) > _LONGEST_FENCE:
        shown, fence = shown.replace("`", "\\x60"), "`"
    gap = " " if "`" in (shown[0], shown[-1]) else ""
    return f"{fence}{gap}{shown}{gap}{fence}"


def prose(text: str) -> str:
    """`text` of this program's own, never from data; what stands between backticks stays code.

    So does an address with a placeholder in it: it must not become a link, and an escape would become a part of one.
    """
    pieces = _PATTERN_OF_ADDRESS.sub(r"`\g<0>`", text).split("`")
    return "`".join(_ACTS.sub(r"\\\g<0>", piece) if number % 2 == 0 else piece for number, piece in enumerate(pieces))
