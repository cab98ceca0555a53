"""The JUnit report: a test case for each user, for the test tab of Jenkins, GitLab and others.

An accepted finding is a skipped case: to be seen, and no failure.

Valid against both schemas in wide use, Jenkins' (junit-10.xsd) and Ant's (JUnit.xsd). The stricter one is why there is
no `file` attribute, why times have no zone (they are UTC), and why both `system-out` and `system-err` are there.
"""

from collections.abc import Iterator
from html import escape
from itertools import islice
from typing import BinaryIO

from audit.hints import filled as hints
from audit.hints.table import HINTS
from audit.hints.unfinished import brief, brief_also
from audit.model.codes import LatestPer, Status
from audit.model.findings import AuditedUser
from audit.model.lines import told_apart
from audit.model.run import RunInfo
from audit.model.text import escape_controls, runner_safe_markup, shortened
from audit.report import words
from audit.report.answer import answer
from audit.report.view import RunView

SUITE = "sync-audit"
"""Name of the suite, and class of every case: a user who becomes up to date is then the same test that now passes."""
_BATCH = 200
_ROOM_FOR_A_NAME = 200
_ROOM_FOR_A_FACT = 1000
_ELEMENT = {Status.NEEDS_SYNC: "failure", Status.ERROR: "error"}


def render(view: RunView, out: BinaryIO) -> None:
    """Write the whole report to `out`; memory does not grow with the number of users."""
    out.write("".join(_head(view)).encode())
    users = view.users()
    while cases := "".join(_case(user, view) for user in islice(users, _BATCH)):
        out.write(cases.encode())
    out.write("".join(_tail(view)).encode())


def case_name(user: AuditedUser, *, redacted: bool, latest_per: LatestPer = "user") -> str:
    """E-mail and id, and the model or row where those have lines; GitLab drops all but one of the cases of one name.

    An id that does not come out as it is (masked, cut, characters spelled out) might be another's then, so the row's
    id stands beside it.
    """
    record = user.record
    shown = _cut(record.user_id, _ROOM_FOR_A_NAME)
    itself = shown == " ".join(record.user_id.split()) and not (redacted and "***" in shown) and "\\" not in shown
    identity = shown if itself else f"{shown}, row {_cut(record.model_row_id, _ROOM_FOR_A_NAME)}"
    if not redacted and (record.email or "").strip():
        identity = f"{_cut(record.email or '', _ROOM_FOR_A_NAME)} ({identity})"
    which = _cut(told_apart(record.replicate_model_id, record.model_row_id, latest_per), _ROOM_FOR_A_NAME)
    if latest_per == "model" and (which != (record.replicate_model_id or "").strip() or "***" in which):
        which += (
            f", row {_cut(record.model_row_id, _ROOM_FOR_A_NAME)}"  # what was masked or cut may be another's as well
        )
    return f"{identity}, {which}" if which else identity


def xml_text(text: str) -> str:
    """`text` as it may stand in an attribute or between two tags."""
    return runner_safe_markup(escape(escape_controls(text)))  # which has spelled out what XML forbids


def _cut(text: str, room: int = _ROOM_FOR_A_FACT) -> str:
    return shortened(escape_controls(text), room)


def _head(view: RunView) -> Iterator[str]:
    run, counts = view.run, view.open
    attributes = {
        "name": SUITE,
        "tests": view.summary.total,
        "failures": counts[Status.NEEDS_SYNC],
        "errors": counts[Status.ERROR],
        "skipped": counts[Status.NOT_CHECKED] + view.accepted.total,
        "time": f"{view.duration_seconds or 0:.3f}",
        "timestamp": run.started_at[:19],
        "hostname": run.database.partition("/")[0] or "localhost",
        "package": SUITE,
        "id": 0,
    }
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite'
    yield from (f' {name}="{xml_text(str(value))}"' for name, value in attributes.items())
    yield ">\n<properties>\n"
    yield from (f'<property name="{name}" value="{xml_text(value)}"/>\n' for name, value in _properties(view))
    yield "</properties>\n"


def _properties(view: RunView) -> Iterator[tuple[str, str]]:
    run = view.run
    yield "run.id", run.id
    yield "run.state", run.state
    yield "run.stop_reason", run.stop_reason or ""
    yield "run.started_at", run.started_at
    yield "run.finished_at", run.finished_at or ""
    yield "run.database", run.database
    yield "run.base_url", run.base_url
    yield "run.account", words.account(run) if run.account else ""
    yield "run.order_by", run.order_by
    yield "run.latest_per", run.latest_per
    yield "run.narrowed", words.narrowed(run)
    for name in ("users", "eligible", "checked") if view.coverage else ():
        yield f"run.coverage.{name}", str(getattr(view.coverage, name))
    yield "run.merged_from", words.merged_from(run)
    yield "run.include_tests", str(run.filters.include_tests).lower()
    yield "run.baseline", run.baseline.path if run.baseline else ""
    if run.baseline and run.baseline.other_place:
        yield "run.baseline.other_place", run.baseline.other_place
    if unlooked := words.not_in_baseline(run):
        yield "run.baseline.caveat", unlooked
    yield "run.acceptances", run.acceptances.file if run.acceptances else ""
    yield "run.acceptances.stale", "; ".join(f"{each.sentence}: {each.text}" for each in words.stale(view.accepted))
    yield "run.redacted", str(run.redacted).lower()
    yield "run.requests.sent", str(run.requests.sent)
    yield "run.requests.retried", str(run.requests.retried)
    yield "run.requests.throttled", str(run.requests.throttled)
    yield "tool", f"sync-audit {run.tool_version}"
    yield from ((f"reason.{reason}", str(count)) for reason, count in view.summary.reasons.items())


def _case(user: AuditedUser, view: RunView) -> str:
    finding, run = user.finding, view.run
    name = case_name(user, redacted=run.redacted, latest_per=view.latest_per)
    start = f'<testcase classname="{SUITE}" name="{xml_text(name)}" time="0"'
    if finding.status is Status.UP_TO_DATE:
        return f"{start}/>\n"
    title = HINTS[finding.reason].title + (f" ({user.baseline})" if user.baseline else "")
    if finding.affected_since and finding.status is Status.NEEDS_SYNC and not user.accepted:
        title += f", affected since {finding.affected_since[:10]}"
    message = xml_text(f"{title}: {_cut(finding.detail)}" if finding.detail else title)
    if entry := user.accepted:
        because = f"{entry.because} ({entry.author})" if entry.author else entry.because
        accepted = xml_text(f"Accepted until {entry.until}: {_cut(because)}")
        return f'{start}><skipped message="{accepted}. {message}"/></testcase>\n'
    if finding.status is Status.NOT_CHECKED:
        return f'{start}><skipped message="{message}"/></testcase>\n'
    element = _ELEMENT[finding.status]
    facts = "".join(f"{label}: {xml_text(_cut(value))}\n" for label, value in _facts(user, run))
    return f'{start}>\n<{element} type="{finding.reason}" message="{message}">{facts}</{element}>\n</testcase>\n'


def _facts(user: AuditedUser, run: RunInfo) -> Iterator[tuple[str, str]]:
    """Label and value of what a person needs who looks at the failed case; what is not there is left out."""
    record, finding = user.record, user.finding
    facts = (
        ("user", record.user_id),
        ("model", record.replicate_model_id),
        ("recorded", record.replicate_version_id),
        ("latest", finding.latest_version),
        ("behind", None if finding.versions_behind is None else str(finding.versions_behind)),
        ("affected since", finding.affected_since),
        ("newest row", brief(user, run.started_at)),
        ("also", brief_also(user)),
        ("notes", ", ".join(HINTS[note].title for note in finding.notes)),
        ("hint", hints.one_line(user, run.tables)),
        ("page", words.model_page(record, finding.model)),
    )
    return ((label, value) for label, value in facts if value)


def _tail(view: RunView) -> Iterator[str]:
    run = view.run
    sentence = answer(view).headline
    ended = "" if run.state == "complete" else f"Incomplete run, {run.state}: {run.stop_reason or 'no reason recorded'}"
    yield f"<system-out>{xml_text(sentence)}</system-out>\n<system-err>{xml_text(ended)}</system-err>\n"
    yield "</testsuite>\n</testsuites>\n"
