"""The Markdown report, for a ticket or a job's summary: the answer, the counts, who is affected, what to do.

Up-to-date users are in no table. What is longer than GitHub takes is cut, and says so.
"""

from collections.abc import Iterator
from typing import BinaryIO

from audit.explanations import EXPLANATIONS
from audit.hint_table import HINTS
from audit.models import Reason, Status
from audit.report.acceptance_words import stale
from audit.report.headline import exit_meaning, headline
from audit.report.md_users import write_tables
from audit.report.md_words import code_in_text, prose
from audit.report.run_words import UNSEEN, narrowed, shards_fact, trainings_facts
from audit.report.view import ATTENTION, RunView
from audit.report.words import STATUS_TITLES, counted, duration, instant
from audit.verdict import wrong_account

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
    if view.news and view.run.baseline:
        marks, baseline = view.news.marks, view.run.baseline
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
