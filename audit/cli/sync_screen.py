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


def show(planned: Planned, page: Page) -> None:
    """Everything but the last line, which names the exit code's meaning."""
    info, summary = planned.info, planned.tally.summary
    page.line((f"Plan for {visible(info.database)}", BOLD), f", audited {minute(info.started_at)} UTC")
    rows = f"{summary.changes:,} row{'s' * (summary.changes != 1)} to change"
    page.line((rows, "bold yellow" if summary.changes else "bold green"), f", {summary.left_out:,} users left out")
    rest = {Rest.DONE_ALREADY: "changed already by an earlier --apply", Rest.BEYOND_LIMIT: "beyond --limit"}
    for each, words in rest.items():
        if count := planned.tally.rest[each]:
            page.line(f"{count:,} more {words}")
    if info.state != "complete":
        page.paragraph("The run is not complete: whoever was not checked is not in this plan.", style="bold")
    for weights, title in _TITLES.items():
        if changes := planned.tally.changes.get(weights):
            _changes(title, changes, planned.tally.weights[weights], page)
            if weights == "left_alone":
                _left_alone(planned, page)
    if planned.tally.why:
        _left_out(planned, page)
    _next(planned, page)


def _changes(title: str, changes: Sequence[Change], count: int, page: Page) -> None:
    page.heading(f"{title} ({count:,})")
    users = [_cut(visible(change.email or change.user_id), _USER) for change in changes]
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
    if count > len(changes):
        page.line(f"and {count - len(changes):,} more", indent=2)


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
            names = fitted([_name(user) for user in users], count, page.width - len(why.value) - 12)
            page.line(f"{count:>6,}  ", (why.value, BOLD), (f"  {names}", DIM), indent=2)
            page.paragraph(words, indent=10)


def _next(planned: Planned, page: Page) -> None:
    apply_file, undo_file, run_file = (
        shlex.quote(visible(str(path))) for path in (planned.apply_file, planned.undo_file, planned.run_file)
    )
    page.heading("Files")
    plan = planned.output if planned.output not in (None, "-") else ""
    page.facts((("To apply it:", apply_file), ("To undo it:", undo_file), ("As JSON:", visible(plan or ""))))
    if not planned.tally.weights:
        return
    page.heading("Nothing has been changed yet. To do it:")
    page.line((f'psql "$DATABASE_URL" -X -f {apply_file}', BOLD), indent=2)
    page.line("or, each version checked on Replicate once more and each row journalled:", indent=2)
    page.line((f"sync-audit sync {run_file} --apply", BOLD), indent=2)


def _name(user: LeftOut) -> str:
    return _cut(visible(user.email or user.user_id), 60)


def _version(recorded: str | None) -> str:
    known = recorded_hash(recorded)
    return known[:HASH_SHOWN] if known else _cut(visible(recorded or "").strip(), HASH_SHOWN) or "(none)"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
