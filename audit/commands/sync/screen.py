"""A repair on the terminal: the plan with its files and how to go on, and in the end the result."""

from collections.abc import Sequence
from itertools import islice

from audit.cli.terminal import BOLD, DIM, Page, fitted
from audit.commands.sync.files import WrittenPlan, pasted, psql_command
from audit.commands.sync.result import SAMPLE, RepairResult
from audit.hints.table import HINTS
from audit.model.codes import Status
from audit.model.ids import recorded_hash
from audit.model.repair import ChangeState, LeftOut, RowChange
from audit.model.tables import Column
from audit.model.text import escape_controls
from audit.model.times import to_minute
from audit.model.users import email_or_id
from audit.postgres.columns import kept_columns
from audit.postgres.writing import writing_of
from audit.repair.plan import Group, NotPlanned, group_of
from audit.repair.rules import WHY_LEFT_OUT

_SKIPPED = (
    "Skipped rows have changed since the audit, or are locked: run the audit again (sync-audit run), then plan again."
)
_UNKNOWN = (
    "Of these rows nobody knows yet whether an earlier command has changed them: its transaction is still open, or the "
    "server has forgotten it. They are left as they are; run the same command again later, or look at them by hand."
)
_NOT_PUT_BACK = "Skipped rows were changed by somebody after the fix: look at them by hand."


HASH_SHOWN = 12
_USER, _ROW = 30, 12
"""Columns of a user and of a row id at most; the files have them whole."""
_TITLES: dict[Group, str] = {
    "completed": "The whole row, which becomes completed",
    "model": "The model too, instead of the trainer",
    "replaced": "Version and weights URL",
    "same": "Version only: the weights URL is already right",
    "to_be_looked_up": "Version, and the weights URL that --apply looks up",
    "weights": "Weights URL only: the version is right",
    "left_alone": "Version only: the weights URL is not changed",
    "no_column": "Version only: no weights URL is read",
}


def show_plan(plan: WrittenPlan, page: Page, *, advise: bool = True) -> None:
    """Show the plan; with `advise` also where its files are and how to go on."""
    info, summary = plan.info, plan.counts.summary
    page.line((f"Plan for {escape_controls(info.database)}", BOLD), f", audited {to_minute(info.started_at)} UTC")
    left_out = f", {summary.left_out:,} user{'s' * (summary.left_out != 1)} left out"
    page.line((f"{rows(summary.changes)} to change", "bold yellow" if summary.changes else "bold green"), left_out)
    not_planned = {
        NotPlanned.DONE_ALREADY: "already changed by an earlier --apply",
        NotPlanned.BEGUN: "begun by an earlier --apply, perhaps not done; the next --apply checks",
        NotPlanned.BEYOND_LIMIT: "beyond --limit",
    }
    for each, words in not_planned.items():
        if count := plan.counts.not_planned[each]:
            page.line(f"{count:,} more {words}")
    if info.state != "complete":
        page.paragraph("The run is not complete: users who were not checked are not in this plan.", style="bold")
    _groups(plan, page)
    _to_be_looked_up(plan, page)
    if plan.counts.why:
        _left_out(plan, page)
    if plan.problem:
        _by_hand(plan, page)
    elif advise:
        _next(plan, page)


def _groups(plan: WrittenPlan, page: Page) -> None:
    for group, title in _TITLES.items():
        if changes := plan.counts.changes.get(group):
            users = [_name(change, _USER, redacted=plan.redacted) for change in changes]
            _changes(f"{title} ({plan.counts.groups[group]:,})", changes, users, page)
            if more := plan.counts.groups[group] - len(changes):
                page.line(f"and {more:,} more", indent=2)
            if group == "left_alone":
                _left_alone(plan, page)


def _by_hand(plan: WrittenPlan, page: Page) -> None:
    """What a person would have to write where this program cannot."""
    shown = [change for group in _TITLES for change in plan.counts.changes.get(group, ())]
    if not shown:
        return
    page.heading("The values, to be set by hand")
    for change in shown:
        who = f"row {change.model_row_id} of {email_or_id(change, redacted=plan.redacted)}"
        page.paragraph(escape_controls(f"{who}, model {change.replicate_model_id}:"), indent=2)
        values = {name: value or "NULL" for name, value in change.new.items()}
        if change.weights == "to_be_looked_up":
            values[Column.LORA_WEIGHTS_URL] = "those of the training that made the version"
        for name, value in values.items():
            page.line(escape_controls(f"{name} = {value}"), indent=4)
    if more := plan.counts.summary.changes - len(shown):
        page.line(f"and {more:,} more rows", indent=2)
    if not plan.output:
        command = " ".join(("sync-audit sync", pasted(plan.run_file), *map(pasted, plan.options), "-o plan.json"))
        page.line("All of them as JSON:")
        page.line((command, BOLD), indent=2)


def _changes(title: str, changes: Sequence[RowChange], users: Sequence[str], page: Page) -> None:
    page.heading(title)
    rows = [_cut(escape_controls(change.model_row_id), _ROW) for change in changes]
    old = [_old(change) for change in changes]
    widths = [max(map(len, column)) for column in (users, rows, old)]
    for user, row, recorded, change in zip(users, rows, old, changes, strict=True):
        page.line(
            user.ljust(widths[0]),
            f"  row {row:<{widths[1]}}  ",
            (f"{recorded:<{widths[2]}} → ", DIM),
            (change.latest_version[:HASH_SHOWN] if group_of(change) != "weights" else "its weights", BOLD),
            indent=2,
        )


def _left_alone(plan: WrittenPlan, page: Page) -> None:
    for note, count in sorted(plan.counts.notes.items(), key=lambda item: (-item[1], item[0])):
        page.paragraph(f"{HINTS[note].title} ({note.value})", first=f"{count:,} of them: ", indent=2, style=DIM)


def _to_be_looked_up(plan: WrittenPlan, page: Page) -> None:
    count = plan.counts.weights["to_be_looked_up"]
    if not count:
        return
    page.line()
    missing = plan.counts.weights.total() - plan.counts.kinds.total()
    not_there = f" The SQL for psql lacks {missing:,}: it parts no version from its weights." if missing else ""
    page.paragraph(
        f"Of {rows(count)} the run does not know where the weights of the version lie: --apply looks up the trainings, "
        f"and leaves out whom they do not tell of.{not_there}"
    )
    if plan.info.trainings is None:
        page.paragraph("An audit with --trainings finds them before.")


def _left_out(plan: WrittenPlan, page: Page) -> None:
    page.heading(f"Left out ({plan.counts.why.total():,})")
    for why, words in WHY_LEFT_OUT.items():
        if users := plan.counts.left_out.get(why):
            count = plan.counts.why[why]
            names = [_name(user, 60, redacted=plan.redacted) for user in users]
            page.line(
                f"{count:>6,}  ",
                (why.value, BOLD),
                (f"  {fitted(names, count, page.width - len(why.value) - 12)}", DIM),
                indent=2,
            )
            page.paragraph(words, indent=10)


def _next(plan: WrittenPlan, page: Page) -> None:
    apply_file, undo_file = (path and pasted(path) for path in (plan.apply_file, plan.undo_file))
    output = plan.output if plan.output != "-" else None
    files = (("To apply it:", apply_file), ("To undo it:", undo_file), ("As JSON:", output and escape_controls(output)))
    if any(path for _, path in files):
        page.heading("Files")
        page.facts((what, path or "") for what, path in files)
    if plan.named:
        page.paragraph(
            f"The SQL for psql lacks {rows(plan.named)} with e-mails or names in ids or URLs: --redact was given. "
            "--apply changes them all the same."
        )
    elif not plan.apply_file and plan.counts.kinds:
        page.paragraph(
            "There is no SQL for psql: an older version has made this run, and kept too little of its tables."
        )
    if not plan.counts.weights:
        return
    _rights(plan, page)
    page.heading("Nothing has been changed yet. To apply it:")
    if plan.info.place and plan.apply_file:
        page.line((psql_command(plan.info.place, plan.apply_file), BOLD), indent=2)
        page.line("or, with each version checked on Replicate again and each row logged:", indent=2)
    command = " ".join(("sync-audit sync", pasted(plan.run_file), *map(pasted, plan.options), "--apply"))
    page.line((command, BOLD), indent=2)


def _rights(plan: WrittenPlan, page: Page) -> None:
    columns = plan.info.columns
    if columns is None or not any(column in columns.denied for column in plan.counts.columns):
        return
    _, models = kept_columns(plan.info.tables, columns)
    writing = writing_of(models, columns.written)
    denied = writing.names(column for column in plan.counts.columns if column in columns.denied)
    grant = f"GRANT UPDATE ({', '.join(denied)}) ON {writing.table} TO {columns.role};"
    page.paragraph(escape_controls(f"The role of the audit may not change these rows. Use another, or: {grant}"))


def show_result(result: RepairResult, page: Page, *, applied: bool, go_on: str) -> None:
    """Show what became of a repair, or of undoing one; `go_on` is the command to go on with."""
    done, skipped = ("changed", _SKIPPED) if applied else ("put back", _NOT_PUT_BACK)
    counts = [
        f"{rows(result.states[ChangeState.DONE])} {done}",
        f"{result.already:,} {done} already" if result.already else "",
        f"{result.found_done:,} found to be changed by an earlier command" if result.found_done else "",
        f"{result.never_done:,} never changed" if result.never_done else "",
        f"{result.states[ChangeState.SKIPPED]:,} skipped" if result.states[ChangeState.SKIPPED] else "",
        f"{result.states[ChangeState.FAILED]:,} failed" if result.states[ChangeState.FAILED] else "",
        f"{unknown:,} not known" if (unknown := result.states[ChangeState.BEGUN] + len(result.unknown)) else "",
        f"{result.left:,} not reached" if result.left else "",
    ]
    page.line((", ".join(filter(None, counts)), BOLD))
    _audited_again(result, page)
    for error, what in ((result.error, "It ended early"), (result.audit_error, "They could not be checked again")):
        if error:
            page.paragraph(escape_controls(f"{what}: {error}"))
            page.paragraph(escape_controls(error.next_step), indent=2)
    if result.stopped and result.left:
        page.line(f"It ended early: {result.stopped}")
    if result.states[ChangeState.SKIPPED]:
        page.paragraph(skipped)
    _unknown(result, page)
    if result.not_journalled:
        page.paragraph(
            escape_controls(f"The rows are put back, but the journal does not know it: {result.not_journalled}")
        )
        page.paragraph("Make room, and run the same command again: it finds the rows put back, and notes it.", indent=2)
    if result.error or result.left or result.unknown or result.states[ChangeState.FAILED]:
        page.line("What is done stays done. To continue:")
        page.line((escape_controls(go_on), BOLD), indent=2)


def _audited_again(result: RepairResult, page: Page) -> None:
    if not result.audited_again:
        return
    good = result.audited_again[Status.UP_TO_DATE]
    page.line(f"Checked again: {good:,} of {_users(result.audited_again.total())} up to date now")
    if result.stopped:
        page.line(f"The others were not: {result.stopped}", indent=2)
    for row in result.not_up_to_date:
        page.line((f"{escape_controls(row.user or '')}: {escape_controls(row.why or '')}", DIM), indent=2)
    more = result.audited_again.total() - good - len(result.not_up_to_date)
    if more > 0:
        page.line((f"and {more:,} more", DIM), indent=2)


def _unknown(result: RepairResult, page: Page) -> None:
    if not result.unknown:
        return
    page.paragraph(_UNKNOWN)
    for row_id, user in islice(result.unknown.items(), SAMPLE):
        who = f"{escape_controls(user)}, " if user else ""
        page.line((f"{who}row {escape_controls(row_id)}", DIM), indent=2)
    if len(result.unknown) > SAMPLE:
        page.line((f"and {len(result.unknown) - SAMPLE:,} more", DIM), indent=2)


def rows(count: int) -> str:
    """A count of rows: `1 row`, `2,310 rows`."""
    return f"{count:,} row{'s' * (count != 1)}"


def _users(count: int) -> str:
    return f"{count:,} {'user is' if count == 1 else 'users are'}"


def _name(user: RowChange | LeftOut, width: int, *, redacted: bool) -> str:
    return _cut(escape_controls(email_or_id(user, redacted=redacted)), width)


def _old(change: RowChange) -> str:
    """What is recorded: the status of a row that is not a completed one, else the version."""
    if change.completes:
        return (
            _cut(escape_controls(change.old_others.get(Column.TRAINING_STATUS) or "").strip(), HASH_SHOWN) or "(none)"
        )
    return _version(change.old_version)


def _version(recorded: str | None) -> str:
    known = recorded_hash(recorded)
    return known[:HASH_SHOWN] if known else _cut(escape_controls(recorded or "").strip(), HASH_SHOWN) or "(none)"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
