"""Looks one user up, in the database and on Replicate or in a run file."""

import asyncio
from collections.abc import Iterator

import msgspec

from audit.commands.replicate import account_of, meanwhile, target
from audit.commands.run.questions import hear
from audit.commands.settings import RunSettings
from audit.commands.user.case import TrainingReply, UserCase, UserLines
from audit.findings.classify import RunContext, classify, resolved
from audit.findings.redaction import redacted_training, redacted_user
from audit.findings.rows import RowRules, classify_rows
from audit.findings.trainings import with_lineage
from audit.findings.unfinished import judge, unfinished_row
from audit.hints.trainings import shown_trainings
from audit.model.codes import NoLine, Status
from audit.model.findings import AuditedUser, Finding
from audit.model.ids import askable_training, model_key, question_of, training_named
from audit.model.lines import Line, line, line_of
from audit.model.replies import Account, Failed, Found, Missing, NotAsked, Reply, Training, TrainingsRead, of_model
from audit.model.run import RunInfo
from audit.model.text import escape_controls
from audit.model.users import ModelRecord, Person, TrainingRow
from audit.model.who import KEPT, lines_named, matching_users
from audit.postgres.user import Candidates, OneUser, find_user
from audit.replicate import Replicate, connect
from audit.runfile import RunFile

BY_SEVERITY = (Status.UP_TO_DATE, Status.NOT_CHECKED, Status.ERROR, Status.NEEDS_SYNC)
"""The last one is said of a user whose lines differ."""
LINES_ASKED = 50
"""Of a user with several lines, so many are asked about."""
_AT_ONCE = 8
"""Lines."""
LATER_ASKED = 5
"""Of the trainings after the one that counts, so many are looked up on Replicate, the last ones first."""
_NO_LIST = TrainingsRead(mode="versions")
"""Of a list that was never read nothing is concluded but what single trainings show."""


async def look_up(settings: RunSettings, who: str) -> UserCase | UserLines | Candidates:
    """Whom `who` means in the database, and everything about that user from database and Replicate.

    Raises DatabaseError and SettingsError as `find_user` does, ReplicateError where the token is refused.
    """
    filters = settings.filters
    async with connect(target(settings)) as replicate, meanwhile(account_of(replicate)) as asking:
        found = await find_user(
            settings.database,
            who,
            order_by=settings.order_by,
            include_tests=filters.include_tests,
            statement_timeout=settings.statement_timeout,
            stuck_after=settings.stuck_after,
        )
        if isinstance(found, Candidates):
            return found
        several = lines_named(found.records, who, found.tables.latest_per)
        asked = several[:LINES_ASKED]
        by_line = _rows_by_line(found)
        account = await asking
        free = asyncio.Semaphore(_AT_ONCE)

        async def judged(record: ModelRecord | None) -> UserCase:
            rows = found.rows
            if record and len(found.records) > 1:
                rows = by_line.get(line_of(record, found.tables.latest_per), ())
            case = _unjudged(settings, found, record, rows)
            async with free:
                return await _judged(replicate, account, found, record, case)

        cases = await asyncio.gather(*map(judged, asked or [None]))
    if len(found.records) < 2:
        return cases[0]
    if len(several) == 1:
        return msgspec.structs.replace(cases[0], others=len(found.records) - 1)
    lines = {line_of(record, found.tables.latest_per) for record in found.records}
    rest = tuple(row for of, rows in by_line.items() if of not in lines for row in rows)
    return UserLines.of(cases, classify_rows(rest, None, _rules(settings, found)), len(several) - len(asked))


def _rows_by_line(found: OneUser) -> dict[Line, tuple[TrainingRow, ...]]:
    by_line: dict[Line, list[TrainingRow]] = {}
    for row in found.rows:
        of = line(found.person.user_id, row.replicate_model_id, row.model_row_id, found.tables.latest_per)
        by_line.setdefault(of, []).append(row)
    return {of: tuple(rows) for of, rows in by_line.items()}


def _rules(settings: RunSettings, found: OneUser) -> RowRules:
    return RowRules(order_by=found.order_by, include_tests=settings.filters.include_tests, tables=found.tables)


def _unjudged(
    settings: RunSettings, found: OneUser, record: ModelRecord | None, rows: tuple[TrainingRow, ...]
) -> UserCase:
    counting = record if record and not record.unfinished else None
    return UserCase(
        source=settings.database.label,
        person=found.person,
        rows=classify_rows(rows, counting.model_row_id if counting else None, _rules(settings, found)),
        missing_columns=frozenset(found.missing_columns),
        order_by=found.order_by,
        tables=found.tables,
    )


async def _judged(
    replicate: Replicate, account: Account | None, found: OneUser, record: ModelRecord | None, case: UserCase
) -> UserCase:
    """The case of one line, with what Replicate says of it."""
    counting = record if record and not record.unfinished else None
    reply, trainings = await asyncio.gather(_model(replicate, counting), _trainings(replicate, case, record))
    known = tuple(training for training in trainings.values() if isinstance(training, Training))
    trainers = frozenset(model_key(training.trainer) for training in known if training.trainer)
    context = RunContext(
        account,
        case.missing_columns,
        trainers=trainers,
        tables=found.tables,
        weights_are_usual=found.weights_are_usual,
        qualified_is_usual=found.qualified_is_usual,
    )
    base = None
    if counting:
        finding = classify(counting, reply, context)
        base = with_lineage(resolved(counting, reply), finding, known, _NO_LIST, context)
    reply = of_model(reply) or NotAsked()
    verdict: Finding | NoLine | None = base
    if record and unfinished_row(record):
        of_row: list[Reply] = []

        async def training(training_id: str) -> TrainingReply:
            return trainings[training_id]

        async def versions(model: str) -> Reply:
            of_row.append(await replicate.ask(model))
            return of_row[-1]

        verdict = judge(record, base, await hear(record, base, context, training, versions), context)
        if not isinstance(reply, Found):
            reply = next((each for each in of_row if isinstance(each, Found)), reply)
    user = AuditedUser.of(record, verdict) if record and isinstance(verdict, Finding) else None
    case = msgspec.structs.replace(
        case,
        user=user,
        without_line=verdict if isinstance(verdict, NoLine) else None,
        found=reply if isinstance(reply, Found) else None,
        trainings=trainings,
        account=account,
    )
    return msgspec.structs.replace(case, not_known=tuple(_not_asked(case)))


def look_up_in_run(run_file: RunFile, who: str) -> UserCase | UserLines | Candidates:
    """The same from a run file alone, which holds less: `not_known` says what. Raises RunFileError."""
    info = run_file.info
    found = matching_users(run_file.users(), who, info.latest_per)
    if not found or len({user.record.user_id for user in found}) > 1:
        shown = [redacted_user(user) for user in found] if info.redacted else found
        # Two that are masked alike are two all the same.
        persons = {user.record.user_id: _person(each.record) for user, each in zip(found, shown, strict=True)}
        worst: dict[str, Status] = {}
        for user in found:
            at_first = worst.setdefault(user.record.user_id, user.finding.status)
            worst[user.record.user_id] = max(at_first, user.finding.status, key=BY_SEVERITY.index)
        kept = list(persons)[:KEPT]
        return Candidates(
            tuple(persons[each] for each in kept), len(found) > KEPT, statuses=tuple(worst[each] for each in kept)
        )
    return UserLines.of((_case_in_run(run_file, info, user) for user in found[:KEPT]), left_out=len(found[KEPT:]))


def _case_in_run(run_file: RunFile, info: RunInfo, found: AuditedUser) -> UserCase:
    user = redacted_user(found) if info.redacted else found
    return UserCase(
        source=str(run_file.path),
        person=_person(user.record),
        rows=None,
        user=user,
        missing_columns=frozenset(info.missing_columns),
        order_by=info.order_by,
        tables=info.tables,
        account=info.account,
        trainings=_listed(run_file, found, redacted=info.redacted) if info.trainings else {},
        trainings_listed=info.trainings is not None,
        not_known=tuple(_not_in_run(user, info)),
    )


async def _model(replicate: Replicate, record: ModelRecord | None) -> Reply:
    model = question_of(record.replicate_model_id) if record else None
    return await replicate.ask(model) if model else NotAsked()


async def _trainings(replicate: Replicate, case: UserCase, record: ModelRecord | None) -> dict[str, TrainingReply]:
    """What Replicate says of the training that counts and of the last ones after it, by their ids."""
    of_rows = [each.row.training_id for each in case.later[:LATER_ASKED]]
    if record and (row := unfinished_row(record)):
        of_rows.append(training_named(row.training_id, row.replicate_model_id))
    if record:
        of_rows.append(record.training_id)
    ids = list(dict.fromkeys(filter(None, map(askable_training, of_rows))))
    return dict(zip(ids, await asyncio.gather(*map(replicate.training, ids)), strict=True))


def _listed(run_file: RunFile, user: AuditedUser, *, redacted: bool) -> dict[str, TrainingReply]:
    """What the run file's list says of this user's trainings, by their ids."""
    found = run_file.trainings.about(user.record, user.finding.latest_version)
    if redacted:
        found = tuple(redacted_training(training, user.record) for training in found)
    return {training.id: training for training in found}


def _person(record: ModelRecord) -> Person:
    return Person(user_id=record.user_id, email=record.email, display_name=record.display_name)


def _not_asked(case: UserCase) -> Iterator[str]:
    """What database and Replicate left open: nobody asked, or there was no answer."""
    if case.found and case.found.only_latest:
        yield "Older versions: for an official model, Replicate lists only the latest."
    for training_id, reply in case.trainings.items():
        if isinstance(reply, Failed):
            yield f"Training {training_id}: {reply.detail}."
        elif isinstance(reply, Missing):
            yield f"Training {training_id}: Replicate does not know it, or another account made it."
    user = case.user
    if user and user.finding.latest_version and not shown_trainings(user).latest:
        yield "Which training made the latest version: only trainings named in the rows are read."
    for column in sorted(case.missing_columns):
        yield f"{column}: the tables have no such column."


def _not_listed(user: AuditedUser, read: TrainingsRead | None) -> Iterator[str]:
    """What the list of trainings, as far as the run read it, does not say."""
    if read is None:
        yield "What Replicate says about the trainings, and which version the weights are of: the run did not read it."
        return
    if not read.complete:
        back = f" before {read.back_to[:10]}" if read.back_to else ""
        why = f" ({escape_controls(read.problem)})" if read.problem else ""
        yield f"Trainings{back}: their list was not read to its end{why}."
    elif read.since:
        yield f"Trainings begun before {read.since[:10]}: their list was not read further back."
    if user.finding.evidence == "training":
        yield "Versions pushed or deleted by hand: a training settled this user; the model's versions were not read."


def _not_in_run(user: AuditedUser, info: RunInfo) -> Iterator[str]:
    """What a run file does not hold."""
    yield f"Anything newer than {(info.finished_at or info.started_at)[:16].replace('T', ' ')} UTC."
    older = user.record.older_completed
    hidden = f" {older} older completed {'row is' if older == 1 else 'rows are'} hidden." if older else ""
    yield f"The other training rows: a run file keeps the one that counts.{hidden}"
    total, kept = user.finding.total_versions, len(user.finding.versions)
    if total and total > kept:
        rest = total - kept
        yield f"{rest} older version{'s' * (rest != 1)}: a run file keeps the newest {kept}."
    yield from _not_listed(user, info.trainings)
    for column in sorted(info.missing_columns):
        yield f"{column}: the tables had no such column."
