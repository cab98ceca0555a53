"""The plan of a repair on the terminal: what would be changed, who is left out, the files, how to go on."""

import shlex
from collections.abc import Sequence

from audit.cli.terminal import BOLD, DIM, Page
from audit.commands.run.summary import fitted
from audit.commands.sync.files import Planned
from audit.commands.sync.plan import Rest
from audit.commands.sync.rules import WHY
from audit.commands.sync.tally import Tally
from audit.hints.table import HINTS
from audit.model.codes import Status
from audit.model.ids import recorded_hash
from audit.model.repair import ChangeState, LeftOut, RowChange, Weights
from audit.model.text import escape_controls
from audit.model.times import to_minute
from audit.model.users import email_or_id

_SKIPPED = "What was skipped is not what it was in the audit, or locked: audit again (sync-audit run), and plan anew."
_NOT_PUT_BACK = "What was skipped was changed by somebody after the repair, and is left to you."


def show_end(tally: Tally, page: Page, *, applied: bool, go_on: str) -> None:
    """Everything but the last line, which names the exit code's meaning; `go_on` is the command to go on with."""
    done, skipped = ("changed", _SKIPPED) if applied else ("put back", _NOT_PUT_BACK)
    counts = [
        f"{rows(tally.states[ChangeState.DONE])} {done}",
        f"{tally.already:,} {done} already" if tally.already else "",
        f"{tally.found_done:,} found to be {done} before a kill" if tally.found_done else "",
        f"{tally.states[ChangeState.SKIPPED]:,} skipped" if tally.states[ChangeState.SKIPPED] else "",
        f"{tally.states[ChangeState.FAILED]:,} failed" if tally.states[ChangeState.FAILED] else "",
        f"{tally.states[ChangeState.BEGUN]:,} not known" if tally.states[ChangeState.BEGUN] else "",
        f"{tally.left:,} not come to" if tally.left else "",
    ]
    page.line((", ".join(filter(None, counts)), BOLD))
    if tally.now:
        good = tally.now[Status.UP_TO_DATE]
        page.line(f"Audited again: {good:,} of {_users(tally.now.total())} up to date now")
        if tally.stopped:
            page.line(f"The others were not: {tally.stopped}", indent=2)
        for row in tally.not_now:
            page.line((f"{escape_controls(row.user or '')}: {escape_controls(row.why or '')}", DIM), indent=2)
        more = tally.now.total() - good - len(tally.not_now)
        if more > 0:
            page.line((f"and {more:,} more", DIM), indent=2)
    for error, what in ((tally.error, "It ended early"), (tally.unaudited, "They could not be audited again")):
        if error:
            page.paragraph(escape_controls(f"{what}: {error}"))
            page.paragraph(escape_controls(error.next_step), indent=2)
    if tally.stopped and tally.left:
        page.line(f"It ended early: {tally.stopped}")
    if tally.states[ChangeState.SKIPPED]:
        page.paragraph(skipped)
    if tally.error or tally.left or tally.states[ChangeState.FAILED]:
        page.line("What is done stays done. To go on:")
        page.line((escape_controls(go_on), BOLD), indent=2)


def rows(count: int) -> str:
    """So many."""
    return f"{count:,} row{'s' * (count != 1)}"


def _users(count: int) -> str:
    return f"{count:,} {'user is' if count == 1 else 'users are'}"


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
    page.line((f"Plan for {escape_controls(info.database)}", BOLD), f", audited {to_minute(info.started_at)} UTC")
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


def _changes(title: str, changes: Sequence[RowChange], users: Sequence[str], page: Page) -> None:
    page.heading(title)
    rows = [_cut(escape_controls(change.model_row_id), _ROW) for change in changes]
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
    files = (("To apply it:", apply_file), ("To undo it:", undo_file), ("As JSON:", output and escape_controls(output)))
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
    return shlex.quote(escape_controls(str(argument)))


def _name(user: RowChange | LeftOut, width: int, *, redacted: bool) -> str:
    return _cut(escape_controls(email_or_id(user, redacted=redacted)), width)


def _version(recorded: str | None) -> str:
    known = recorded_hash(recorded)
    return known[:HASH_SHOWN] if known else _cut(escape_controls(recorded or "").strip(), HASH_SHOWN) or "(none)"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
