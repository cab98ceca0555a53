"""The last lines of a command on stderr: the counts, who is affected, where the files are."""

from collections.abc import Sequence
from itertools import islice

import click

from audit.app import Outcome
from audit.hint_table import HINTS
from audit.ledger import Ledger
from audit.models import AuditedUser, Reason, Status, Summary
from audit.report.redaction import redacted_user
from audit.report.writer import STDOUT, Output
from audit.visible import shortened, visible

NAMED = 3
"""How many users of each reason are named; the report has them all."""


def show(outcome: Outcome, ledger: Ledger) -> None:
    """Everything but the very last line, which names the exit code's meaning."""
    lines = [headline(outcome.summary)]
    for reason, count in outcome.summary.reasons.items():
        if reason.status is not Status.UP_TO_DATE:
            lines.append(_reason_line(reason, count, _named(ledger, reason, redact=outcome.redacted)))
    if outcome.info.stop_reason:
        lines.append(f"The run ended early: {visible(outcome.info.stop_reason)}")
    lines.extend(f"{output.format.upper()} report: {visible(output.path)}" for output in _files(outcome))
    lines.append(f"Run file: {visible(str(outcome.run_file))}")
    click.echo("\n".join(lines), err=True)


def headline(summary: Summary) -> str:
    """All counts in one line."""
    counts = summary.statuses
    if not summary.total:
        return "No user has a completed model: nothing was audited. The report says who is in the database."
    return (
        f"{summary.total:,} users: {counts[Status.UP_TO_DATE]:,} up to date, {counts[Status.NEEDS_SYNC]:,} need a sync,"
        f" {counts[Status.ERROR]:,} errors, {counts[Status.NOT_CHECKED]:,} not checked"
    )


def _reason_line(reason: Reason, count: int, named: Sequence[str]) -> str:
    more = count - len(named)
    who = ", ".join(named) + (f" and {more:,} more" if more else "")
    return f"  {reason.status:<11}  {count:>7,}  {HINTS[reason].title}: {who}"


def _named(ledger: Ledger, reason: Reason, *, redact: bool) -> list[str]:
    return [_who(user, redact=redact) for user in islice(ledger.users(reason.status, reason), NAMED)]


def _who(user: AuditedUser, *, redact: bool) -> str:
    record = redacted_user(user).record if redact else user.record
    name = record.user_id if redact or not record.email else record.email
    return shortened(visible(name), 60)


def _files(outcome: Outcome) -> list[Output]:
    return [output for output in outcome.outputs if output.path != STDOUT]
