"""The last lines of a command on stderr: the counts, who is affected, where the files are."""

import shlex
import shutil
from collections.abc import Sequence
from itertools import islice

import click

from audit.app import ASKED_AGAIN, Outcome
from audit.hint_table import HINTS
from audit.ledger import Ledger
from audit.models import AuditedUser, Reason, Status, Summary
from audit.report.redaction import redacted_user
from audit.report.writer import STDOUT
from audit.verdict import wrong_account
from audit.visible import shortened, visible

NAMED = 3
"""How many users of each reason are named at most; the reports have them all."""

WIDEST = 100
"""Columns. Longer lines are hard to read, and chats wrap them."""


def show(outcome: Outcome, ledger: Ledger, *, advise: bool = True) -> None:
    """Everything but the very last line, which names the exit code's meaning; `advise` says how to go on."""
    lines = [headline(outcome.summary)]
    if wrong_account(outcome.info.account, outcome.summary) and outcome.info.account:
        name = visible(outcome.info.account.username)
        lines.append(f"No model was found, and the token belongs to {name}: probably the wrong account's.")
    if outcome.info.stop_reason:
        lines.append(f"The run ended early: {visible(outcome.info.stop_reason)}")
    lines.extend(_table(outcome, ledger))
    files = [(f"{output.format.upper()} report", output.path) for output in outcome.outputs if output.path != STDOUT]
    lines.extend(f"{what + ':':<13} {visible(path)}" for what, path in (*files, ("Run file", str(outcome.run_file))))
    if advise:
        lines.extend(_next_step(outcome))
    click.echo("\n".join(lines), err=True)


def _next_step(outcome: Outcome) -> list[str]:
    """The command that goes on from here, where there is one."""
    resume = f"  sync-audit run --resume {shlex.quote(visible(str(outcome.run_file)))}"
    if outcome.info.state != "complete":
        return ["To finish it:", resume]
    failed = sum(outcome.summary.reasons.get(reason, 0) for reason in ASKED_AGAIN)
    return [f"To ask again for the {failed:,} that failed in passing:", resume] if failed else []


def headline(summary: Summary) -> str:
    """All counts in one line."""
    counts = summary.statuses
    if not summary.total:
        return "No user has a completed model: nothing was audited. The report says who is in the database."
    return (
        f"{summary.total:,} users: {counts[Status.UP_TO_DATE]:,} up to date, {counts[Status.NEEDS_SYNC]:,} need a sync,"
        f" {counts[Status.ERROR]:,} errors, {counts[Status.NOT_CHECKED]:,} not checked"
    )


def _table(outcome: Outcome, ledger: Ledger) -> list[str]:
    """A line for each reason that needs somebody, worst status first, as wide as the terminal."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    lines = []
    for status in Status:
        for reason, count in outcome.summary.reasons.items():
            if reason.status is status is not Status.UP_TO_DATE:
                start = f"  {status.value.replace('_', ' '):<11} {count:>7,}  {HINTS[reason].title:<22} "
                names = _names(ledger, reason, redact=outcome.redacted)
                lines.append(start + fitted(names, count, max(20, width - len(start))))
    return ["", *lines, ""] if lines else [""]


def fitted(names: Sequence[str], count: int, width: int) -> str:
    """As many whole `names` as fit in `width` columns, at least a piece of the first, and how many more there are."""
    for shown in range(len(names), 0, -1):
        more = f" +{count - shown:,}" if count > shown else ""
        text = ", ".join(names[:shown]) + more
        if len(text) <= width:
            return text
    more = f" +{count - 1:,}" if count > 1 else ""
    return f"{names[0][: max(1, width - len(more) - 1)]}…{more}" if names else ""


def _names(ledger: Ledger, reason: Reason, *, redact: bool) -> list[str]:
    return [_name(user, redact=redact) for user in islice(ledger.users(reason.status, reason), NAMED)]


def _name(user: AuditedUser, *, redact: bool) -> str:
    record = redacted_user(user).record if redact else user.record
    return shortened(visible(record.user_id if redact or not record.email else record.email), 60)
