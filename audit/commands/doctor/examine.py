"""What `doctor` does: look at everything once, as far as each part lets itself be seen, and have it judged."""

import time
from urllib.parse import urlsplit

from audit import __version__
from audit.commands.doctor import database as diagnosis_database
from audit.commands.doctor import people as diagnosis_people
from audit.commands.doctor import replicate as diagnosis_replicate
from audit.commands.doctor.checks import Diagnosis
from audit.commands.doctor.replicate import Asked, Speed, Trial
from audit.commands.doctor.settings import DoctorSettings
from audit.findings.classify import RunContext, classify
from audit.model.replies import Account, Failed, Missing
from audit.model.tables import PLAIN
from audit.model.times import Clock, utc_now
from audit.postgres.server import AuditableUsers, Inspection, inspect_database
from audit.replicate import Replicate, Target, Timing, connect

PATIENCE = 10.0
"""Seconds for one request at most: whoever asks a doctor waits for the answer."""
TRIALS = 3
"""Models asked at most: one that was deleted proves nothing about the rest."""


async def examine(settings: DoctorSettings, clock: Clock = utc_now) -> Diagnosis:
    """All checks. What fails is a result and stops only what builds on it; nothing of the kind is raised."""
    speed = Speed(settings.per_minute, settings.concurrency)
    asked: Asked | None = None
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
            signs = replicate.last_response
            looked = await _look(settings, account, clock)
            trials = await _try(replicate, account, looked.users)
            asked = Asked(urlsplit(settings.base_url).netloc, account, signs, trials)
    else:
        looked = await _look(settings, None, clock)
    return _judged(settings, looked, asked, speed)


def _judged(settings: DoctorSettings, looked: Inspection, asked: Asked | None, speed: Speed) -> Diagnosis:
    server, tables, people = looked.server, looked.tables, looked.users
    names = settings.database.tables if settings.database else PLAIN
    uncounted = looked.error if tables is not None else None  # any earlier error is one of the database's own
    return Diagnosis(
        (
            *settings.found,
            *diagnosis_database.database(server, tables, looked.error, names),
            *diagnosis_people.people(people, uncounted, names),
            *diagnosis_replicate.replicate(asked, people, server),
            diagnosis_replicate.audit_time(asked, people, speed),
        )
    )


async def _look(settings: DoctorSettings, account: Account | Failed | None, clock: Clock) -> Inspection:
    if settings.database is None:
        return Inspection()
    name = account.username if isinstance(account, Account) else None
    return await inspect_database(
        settings.database, account=name, statement_timeout=settings.statement_timeout, now=clock
    )


async def _try(replicate: Replicate, account: Account | Failed, people: AuditableUsers | None) -> tuple[Trial, ...]:
    """Ask for real models, the latest first, until one is there."""
    if people is None or isinstance(account, Failed):
        return ()
    context = RunContext(account)
    trials: list[Trial] = []
    for record in people.recent[:TRIALS]:
        began = time.monotonic()
        reply = await replicate.ask(record.replicate_model_id or "")
        seconds = time.monotonic() - began
        trials.append(Trial(record, reply, classify(record, reply, context), seconds))
        if not isinstance(reply, Missing | Failed):
            break
    return tuple(trials)
