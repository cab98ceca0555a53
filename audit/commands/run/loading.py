"""The first step of a run: records come out of PostgreSQL into the run file, and whose token it is becomes known."""

import asyncio
import logging
from itertools import islice

import msgspec

from audit.commands.replicate import ProgressListener, account_of, first_failure, meanwhile
from audit.commands.run.auditor import log_finding
from audit.commands.run.trainings import with_since
from audit.commands.settings import RunSettings
from audit.findings.classify import RunContext, context_of, owner_differs
from audit.findings.unfinished import asked_model, open_question, unasked
from audit.model.findings import AuditedUser, Finding
from audit.model.replies import Account
from audit.model.users import ModelRecord
from audit.postgres.connection import despite_bytes
from audit.postgres.snapshot import snapshot
from audit.postgres.url import Database
from audit.replicate import Replicate
from audit.runfile import RunFile

log = logging.getLogger(__name__)


async def load(settings: RunSettings, run_file: RunFile, replicate: Replicate, listener: ProgressListener) -> None:
    """Copy the records out of PostgreSQL, each with the verdict that holds until Replicate has answered.

    Whose token it is, is asked meanwhile. Whatever fails first ends the run, and where both have failed, the token.
    """
    async with meanwhile(account_of(replicate)) as asking:

        async def read(database: Database) -> None:
            await _load_from(database, settings, run_file, asking, listener)

        async with meanwhile(despite_bytes(settings.database, read)) as loading:
            await first_failure(asking, loading)


async def _load_from(
    database: Database,
    settings: RunSettings,
    run_file: RunFile,
    asking: asyncio.Task[Account | None],
    listener: ProgressListener,
) -> None:
    """One transaction of the run file: the records are in it with the account whose token it is, or not at all.

    The snapshot has ended before anybody waits for Replicate: an old transaction is a burden to a database.
    """
    listener.users_read(0)
    with run_file.loading():
        async with snapshot(
            database,
            order_by=settings.order_by,
            filters=settings.filters,
            statement_timeout=settings.statement_timeout,
            stuck_after=settings.stuck_after,
        ) as taken:
            known = msgspec.structs.replace(
                run_file.info,
                tables=taken.tables,
                order_by=taken.order_by,
                missing_columns=tuple(taken.missing_columns),
                place=taken.place,
                columns=taken.columns,
                by_model_key=True,
            )
            if taken.order_by != settings.order_by:
                log.warning(
                    "the tables have no %s: %s decides which row is the latest", settings.order_by, taken.order_by
                )
            context = context_of(known, taken.population)
            count, early = 0, None
            async for record in taken.records(settings.shard):
                if early is None and asking.done():
                    early, context = count, msgspec.structs.replace(context, account=asking.result())
                _add(run_file, record, context, redacted=settings.redact)
                count += 1
                if count % 1000 == 0:
                    listener.users_read(count)
            run_file.save_population(taken.population)
            trainings = settings.trainings
            if settings.shard and trainings:  # all shards read the list as far back as one run would
                trainings = with_since(trainings, await taken.oldest_completed())
        if not asking.done():
            listener.doing("identifying the token's account")
        account = await asking
        run_file.save_info(msgspec.structs.replace(known, account=account, trainings=trainings))
        if account:
            context = msgspec.structs.replace(context, account=account)
            _judge_again(run_file, count if early is None else early, context)
    log.info("%d users with a training that counts found", count)


def _add(run_file: RunFile, record: ModelRecord, context: RunContext, *, redacted: bool) -> None:
    """Append a record, with what is true of it as long as nobody was asked."""
    model, question = asked_model(record, context), open_question(record, context)
    base, first = unasked(record, context)
    run_file.add(record, model, first, question=question is not None, base=base)
    if model is None and question is None and isinstance(first, Finding):  # nobody will be asked
        log_finding(AuditedUser.of(record, first), redacted=redacted)


def _judge_again(run_file: RunFile, count: int, context: RunContext) -> None:
    """Judge the first `count` records anew, now that it is known whose token it is: notes of few depend on that."""
    for row_id, record in islice(run_file.records(), count):
        if owner_differs(record, context) or (record.newer and owner_differs(record.newer, context)):
            run_file.put_back(row_id, *unasked(record, context))
