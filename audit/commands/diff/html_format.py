"""A comparison as one HTML page, in the style of the report; no script, no request to anywhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, NamedTuple

from markupsafe import Markup

from audit.commands.diff.view import CHANGES, TITLES, DiffView, cause, headline, state, unchanged, versions, who
from audit.findings.comparison import Change, ComparedRun, ComparedUser
from audit.model.codes import Status
from audit.report.html.render import environment, own, policy, time_element
from audit.report.html.users import head
from audit.report.words import counted

SHOWN = 1_000
"""Rows of each change; CSV and JSON have them all."""
_VERDICTS = {0: "ok", 3: "needs_sync", 4: "error"}  # by exit code
_TONES = {
    Change.NEW: Status.NEEDS_SYNC,
    Change.NOT_COMPARED: Status.ERROR,
    Change.CHANGED: Status.NOT_CHECKED,
    Change.RESOLVED: Status.UP_TO_DATE,
}
"""The colours of the report's statuses, lent to changes."""


class Row(NamedTuple):
    """One user of whom there is something to tell."""

    who: str
    user_id: str
    """Where that is not what the user is called by."""
    model: str
    before: str
    before_tone: str
    now: str
    now_tone: str
    details: tuple[str, ...]


class Section(NamedTuple):
    """The users of one change; `rows` can be gone through once."""

    code: str
    tone: str
    title: str
    meaning: str
    number: int
    left_out: int
    rows: Iterator[Row]


@dataclass(frozen=True, kw_only=True)
class Page:
    """The whole page, top to bottom."""

    verdict: str
    headline: str
    exit_meaning: str
    redacted: bool
    caveats: tuple[str, ...]
    counts: tuple[tuple[str, str, str, int], ...]
    """Code, tone, title and number of each change."""
    unchanged: int
    unchanged_text: str
    sections: tuple[Section, ...]
    runs: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """OLD and NEW with label and value of what is known of them."""
    tool_version: str


def render(view: DiffView, out: BinaryIO) -> None:
    """Write the whole page to `out`."""
    style = own("style.css") + own("diff.css")
    pieces = (
        environment()
        .get_template("diff.html")
        .generate(
            page=_page(view),
            style=Markup(style),  # noqa: S704 - our own files, not data
            csp=policy(style),
        )
    )
    out.writelines(piece.encode() for piece in pieces)


def _page(view: DiffView) -> Page:
    changes = view.counts.changes
    return Page(
        verdict=_VERDICTS[view.exit_status.code],
        headline=headline(view),
        exit_meaning=view.exit_status.sentence,
        redacted=view.redacted,
        caveats=view.caveats,
        counts=tuple((each.value, _tone(each), TITLES[each][0], changes[each]) for each in CHANGES),
        unchanged=changes[Change.UNCHANGED],
        unchanged_text=unchanged(view),
        sections=tuple(_section(view, change) for change in CHANGES if changes[change]),
        runs=(("OLD", _facts(view.old)), ("NEW", _facts(view.new))),
        tool_version=view.tool_version,
    )


def _section(view: DiffView, change: Change) -> Section:
    title, meaning = TITLES[change]
    number = view.counts.changes[change]
    rows = (_row(user) for user in islice(view.changes(change), SHOWN))
    return Section(change.value, _tone(change), title, meaning, number, max(0, number - SHOWN), rows)


def _row(user: ComparedUser) -> Row:
    last = user.last
    why = cause(user)
    return Row(
        who=head(who(user)),
        user_id=head(last.user_id) if last.email else "",
        model=head(last.replicate_model_id or ""),
        before=state(user.old),
        before_tone=user.old.status.value if user.old else "empty",
        now=state(user.new),
        now_tone=user.new.status.value if user.new else "empty",
        details=(*versions(user), *((why,) if why else ())),
    )


def _facts(run: ComparedRun) -> tuple[tuple[str, str], ...]:
    account = f"{run.account.username} ({run.account.type})" if run.account else "not known"
    return (
        ("Started", time_element(run.started_at)),
        ("State", run.state + (f": {run.stop_reason}" if run.stop_reason else "")),
        ("Users", counted(run.users, "user")),
        ("Database", run.database),
        ("Replicate account", account),
        ("Latest training by", run.order_by),
        ("File", run.path),
        ("Run", run.id),
    )


def _tone(change: Change) -> str:
    status = _TONES.get(change)
    return status.value if status else "empty"
