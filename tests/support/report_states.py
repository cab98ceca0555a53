"""Runs as a report may find them, each to be looked at: `python -m tests.support.report_states FOLDER` writes them."""

import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.run import Filters
from audit.model.times import utc_text
from audit.model.trend import PastCounts
from audit.model.users import Population
from audit.report.html import render as html_report
from audit.report.view import RunView
from tests.support.report_samples import (
    INFO,
    POPULATION,
    SampleRun,
    accepted,
    accepting,
    compared,
    failed,
    narrowed,
    outdated,
    uncompared,
    up_to_date,
    version_hash,
)

NAMES = ("lena.diaz", "julia.hansen", "hugo.carlsson", "tina.olsen", "erik.rossi", "frida.fischer", "vera.evans")
STARTED = "2026-11-29T22:55:00Z"
LATE = replace(INFO, started_at=STARTED, finished_at="2026-11-29T22:55:20Z", database="neon/postgres")
ALL = replace(POPULATION, users=930, users_with_completed_model=800)


def _named(user: AuditedUser, number: int) -> AuditedUser:
    email = f"{NAMES[number % len(NAMES)]}{number}@example.com"
    return AuditedUser(replace(user.record, email=email), user.finding)


def eight_hundred() -> list[AuditedUser]:
    """30 users with an old version, spread over months, 3 who can't generate, 2 whose model is not found, 765 good."""
    first = datetime(2026, 1, 18, 9, tzinfo=UTC)
    gaps = [first + timedelta(days=7.3 * n + (n % 5)) for n in range(30)]
    users = [outdated(n, behind=1 + n % 3, since=utc_text(gap)) for n, gap in enumerate(gaps)]
    users += [
        uncompared(40, Reason.MALFORMED_VERSION, version_hash((40, 0))[:8]),
        uncompared(41, Reason.UNKNOWN_VERSION, "ab" * 32),
        uncompared(42, Reason.NO_VERSION_RECORDED, None),
        failed(43, Reason.MODEL_NOT_FOUND, "404 Not Found"),
        failed(44, Reason.MODEL_NOT_FOUND, "404 Not Found"),
    ]
    users += [up_to_date(n, count=1 + n % 4) for n in range(100, 865)]
    return [_named(user, number) for number, user in enumerate(users)]


def earlier(*needed: int) -> tuple[PastCounts, ...]:
    """Runs of earlier weeks in which so many needed a sync."""
    began = datetime(2026, 11, 22, 22, 55, tzinfo=UTC) - timedelta(weeks=len(needed) - 1)
    none = dict.fromkeys(Status, 0)
    return tuple(
        PastCounts(
            run_id=f"{number:032x}",
            started_at=utc_text(began + timedelta(weeks=number)),
            statuses=none | {Status.NEEDS_SYNC: count, Status.UP_TO_DATE: 800 - count},
        )
        for number, count in enumerate(needed)
    )


def states() -> dict[str, SampleRun]:
    """By name."""
    good = [up_to_date(n) for n in range(1, 801)]
    nobody = Population(**dict.fromkeys(POPULATION.__struct_fields__[:-1], 0), training_status={"Completed": 9})
    foreign = [failed(n, Reason.MODEL_NOT_FOUND, "404 Not Found") for n in range(1, 6)]
    strangers = [
        AuditedUser(
            replace(user.record, replicate_model_id=f"other/{n}-lora"),
            replace(user.finding, notes=(Note.OWNER_DIFFERS_FROM_ACCOUNT,)),
        )
        for n, user in enumerate(foreign)
    ]
    stopped = [*eight_hundred()[:500], *(failed(n, Reason.STOPPED, None) for n in range(2000, 2300))]
    return {
        "affected": SampleRun(eight_hundred(), LATE, ALL, trend=earlier(41, 40, 40, 36, 34)),
        "none": SampleRun(good, LATE, ALL),
        "nobody": SampleRun([], LATE, nobody),
        "incomplete": SampleRun(stopped, replace(LATE, state="stopped", stop_reason="SIGTERM"), ALL),
        "account": SampleRun(strangers, LATE, ALL),
        "trial": SampleRun(good[:20], replace(LATE, filters=Filters(limit=20)), ALL),
        "redacted": SampleRun(eight_hundred(), replace(LATE, redacted=True), ALL),
        "accepted": accepted(),
        "baseline": compared(),
        "many": SampleRun(
            [*map(accepting, eight_hundred()[:3]), *eight_hundred()[3:]],
            narrowed(acceptances=accepted().info.acceptances),
            ALL,
        ),
    }


def write(folder: Path) -> None:
    """Each as a page."""
    for name, run in states().items():
        out = io.BytesIO()
        html_report.render(RunView(run), out)
        (folder / f"{name}.html").write_bytes(out.getvalue())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
