"""A comparison as one HTML page, in the style of the report; no script, no request to anywhere."""

from itertools import islice
from typing import BinaryIO

from markupsafe import Markup

from audit.commands.diff import view as diff
from audit.commands.diff.view import CHANGES, TITLES, DiffView
from audit.findings.comparison import Change
from audit.model.codes import Status
from audit.report.html.render import environment, own, policy

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


def render(view: DiffView, out: BinaryIO) -> None:
    """Write the whole page to `out`."""
    style = own("style.css") + own("diff.css")
    pieces = (
        environment()
        .get_template("diff.html")
        .generate(
            view=view,
            verdict=_VERDICTS[view.exit_status.code],
            changes=[(each, _TONES.get(each, "empty"), *TITLES[each], view.counts.changes[each]) for each in CHANGES],
            users=lambda change: islice(view.changes(change), SHOWN),
            most=SHOWN,
            diff=diff,
            style=Markup(style),  # noqa: S704 - our own files, not data
            csp=policy(style),
        )
    )
    out.writelines(piece.encode() for piece in pieces)
