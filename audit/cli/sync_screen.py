"""The plan of a repair on the terminal: what would be changed, who is left out, the files, how to go on."""

import shlex
from collections.abc import Sequence

from audit.app_plan import Rest
from audit.app_sync import Planned
from audit.cli.ending import fitted
from audit.cli.page import BOLD, DIM, Page
from audit.hint_table import HINTS
from audit.repair import Change, LeftOut, Weights
from audit.repair_plan import WHY
from audit.training_rows import minute
from audit.verdict import recorded_hash
from audit.visible import visible

HASH_SHOWN = 12
_USER, _ROW = 30, 12
"""Columns of a user and of a row id at most; the files have them whole."""

_TITLES: dict[Weights, str] = {
    "replaced": "Version and weights URL",
    "same": "Version alone: the weights URL is the right one already",
    "left_alone": "Version alone: where the latest one's weights lie is not known",
    "no_column": "Version alone: the table has no lora_weights_url",
}


def show(planned: Planned, page: Page, *, advise: bool = True) -> None:
    """Everything but the last line, which names the exit code's meaning; `advise` says where it is and how to go on."""
    info, summary = planned.info, planned.tally.summary
    page.line((f"Plan for {visible(info.database)}", BOLD), f", audited {minute(info.started_at)} UTC")
    rows = f"{summary.changes:,} row{'s' * (summary.changes != 1)} to change"
    left_out = f", {summary.left_out:,} user{'s' * (summary.left_out != 1)} left out"
    page.line((rows, "bold yellow" if summary.changes else "bold green"), left_out)
    rest = {Rest.DONE_ALREADY: "changed already by an earlier --apply", Rest.BEYOND_LIMIT: "beyond --limit"}
    for each, words in rest.items():
        if count := planned.tally.rest[each]:
            page.line(f"{count:,} more {words}")
    if info.state != "complete":
        page.paragraph("The run is not complete: whoever was not checked is not in this plan.", style="bold")
    for weights, title in _TITLES.items():
        if changes := planned.tally.changes.get(weights):
            users = [_name(change, _USER, redacted=planned.redacted) for change in changes]
            _changes(f"{title} ({planned.tally.weights[weights]:,})", changes, users, page)
            if more := planned.tally.weights[weights] - len(changes):
                page.line(f"and {more:,} more", indent=2)
            if weights == "left_alone":
                _left_alone(planned, page)
    if planned.tally.why:
        _left_out(planned, page)
    if advise:
        _next(planned, page)


def _changes(title: str, changes: Sequence[Change], users: Sequence[str], page: Page) -> None:
    page.heading(title)
    rows = [_cut(visible(change.model_row_id), _ROW) for change in changes]
    old = [_version(change.old_version) for change in changes]
    widths = [max(map(len, column)) for column in (users, rows, old)]
    for user, row, recorded, change in zip(users, rows, old, changes, strict=True):
        page.line(
            user.ljust(widths[0]),
            f"  row {row:<{widths[1]}}  ",
            (f"{recorded:<{widths[2]}} → ", DIM),
            (change.latest_version[:HASH_SHOWN], BOLD),
            indent=2,
        )


def _left_alone(planned: Planned, page: Page) -> None:
    for note, count in sorted(planned.tally.notes.items(), key=lambda item: (-item[1], item[0])):
        page.paragraph(f"{HINTS[note].title} ({note.value})", first=f"{count:,} of them: ", indent=2, style=DIM)
    if planned.info.trainings is None:
        page.paragraph("An audit with --trainings finds the URLs out.", indent=2, style=DIM)


def _left_out(planned: Planned, page: Page) -> None:
    page.heading(f"Left out ({planned.tally.why.total():,})")
    for why, words in WHY.items():
        if users := planned.tally.left_out.get(why):
            count = planned.tally.why[why]
            names = [_name(user, 60, redacted=planned.redacted) for user in users]
            page.line(
                f"{count:>6,}  ",
                (why.value, BOLD),
                (f"  {fitted(names, count, page.width - len(why.value) - 12)}", DIM),
                indent=2,
            )
            page.paragraph(words, indent=10)


def _next(planned: Planned, page: Page) -> None:
    apply_file, undo_file = (path and _pasted(path) for path in (planned.apply_file, planned.undo_file))
    output = planned.output if planned.output != "-" else None
    files = (("To apply it:", apply_file), ("To undo it:", undo_file), ("As JSON:", output and visible(output)))
    if any(path for _, path in files):
        page.heading("Files")
        page.facts((what, path or "") for what, path in files)
    if not apply_file:
        return
    page.heading("Nothing has been changed yet. To do it:")
    page.line((f'psql "$DATABASE_URL" -X -f {apply_file}', BOLD), indent=2)
    page.line("or, each version checked on Replicate once more and each row journalled:", indent=2)
    command = " ".join(("sync-audit sync", _pasted(planned.run_file), *map(_pasted, planned.options), "--apply"))
    page.line((command, BOLD), indent=2)


def _pasted(argument: object) -> str:
    return shlex.quote(visible(str(argument)))


def _name(user: Change | LeftOut, width: int, *, redacted: bool) -> str:
    """Masked e-mails all look the same."""
    name = visible(user.user_id if redacted or not user.email else user.email)
    return _cut(name, width)


def _version(recorded: str | None) -> str:
    known = recorded_hash(recorded)
    return known[:HASH_SHOWN] if known else _cut(visible(recorded or "").strip(), HASH_SHOWN) or "(none)"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
