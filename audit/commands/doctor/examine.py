"""What `doctor` does: ask database and Replicate once, each as far as it answers, and make the checks from that."""

import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from audit import __version__
from audit.commands.doctor.checks import Diagnosis
from audit.commands.doctor.database import database_checks, user_checks
from audit.commands.doctor.replicate import ReplicateAnswers, Speed, Trial, duration_check, replicate_checks
from audit.commands.doctor.settings import DoctorSettings
from audit.findings.classify import RunContext, classify
from audit.model.replies import Account, Failed, Missing
from audit.model.tables import PLAIN
from audit.model.times import Clock, utc_now
from audit.model.users import ModelRecord
from audit.postgres.server import Inspection, inspect_database
from audit.replicate import Replicate, Target, Timing, connect

PATIENCE = 10.0
"""Seconds for one request at most: whoever asks a doctor waits for the answer."""
TRIALS = 3
"""Models asked at most: one that was deleted proves nothing about the rest."""


async def examine(settings: DoctorSettings, clock: Clock = utc_now) -> Diagnosis:
    """Make all checks. One that fails is a result and skips only those that need it; nothing is raised."""
    answers: ReplicateAnswers | None = None
    if settings.token and settings.base_url:
        target = Target(
            base_url=settings.base_url,
            token=settings.token,
            user_agent=f"sync-audit/{__version__}",
            concurrency=1,
            per_minute=settings.per_minute,
            timeout=min(settings.timeout, PATIENCE),
            retries=0,  # a doctor says what he sees
            proxy=settings.proxy,
        )
        async with connect(target, Timing(now=clock)) as replicate:
            account = await replicate.account()
            metadata = replicate.last_response
            inspection = await _inspect(settings, account, clock)
            recent = inspection.users.recent if inspection.users else ()
            trials = await _try(replicate, account, recent)
            answers = ReplicateAnswers(urlsplit(settings.base_url).netloc, account, metadata, trials)
    else:
        inspection = await _inspect(settings, None, clock)
    tables = inspection.seen or (settings.database.tables if settings.database else PLAIN)
    whose = answers.account.username if answers and isinstance(answers.account, Account) else None
    return Diagnosis(
        (
            *settings.found,
            *database_checks(inspection, tables),
            *user_checks(inspection, tables, whose),
            *replicate_checks(answers, inspection),
            duration_check(answers, inspection.users, Speed(settings.per_minute, settings.concurrency)),
        )
    )


async def _inspect(settings: DoctorSettings, account: Account | Failed | None, clock: Clock) -> Inspection:
    if settings.database is None:
        return Inspection()
    name = account.username if isinstance(account, Account) else None
    return await inspect_database(
        settings.database, account=name, statement_timeout=settings.statement_timeout, now=clock
    )


async def _try(replicate: Replicate, account: Account | Failed, recent: Iterable[ModelRecord]) -> tuple[Trial, ...]:
    """Ask for real models, the latest first, until one is there."""
    if isinstance(account, Failed):
        return ()
    context = RunContext(account)
    trials: list[Trial] = []
    for record in list(recent)[:TRIALS]:
        began = time.monotonic()
        reply = await replicate.ask(record.replicate_model_id or "")
        seconds = time.monotonic() - began
        trials.append(Trial(record, reply, classify(record, reply, context), seconds))
        if not isinstance(reply, Missing | Failed):
            break
    return tuple(trials)
