"""The run that shards make together, and what is said of it. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec

from audit.commands.merge.shards import Part, known
from audit.commands.settings import default_choices
from audit.model.codes import Format
from audit.model.replies import Requests, TrainingsRead
from audit.model.run import Choices, RunInfo, ShardRun
from audit.model.shard import named
from audit.model.times import epoch_seconds
from audit.model.users import Population

APART = timedelta(days=1)
"""Shards that were begun further apart than that are told of: users change meanwhile."""


def merged(parts: Sequence[Part], run_id: str) -> RunInfo:
    """The run that `parts`, which were checked, make together; how it ended is said by `ended`."""
    accounts = {part.info.account for part in parts}
    there = {part.shard.number: _shard_run(part) for part in parts}
    numbers = range(1, parts[0].shard.of + 1)
    return msgspec.structs.replace(
        parts[0].info,
        id=run_id,
        started_at=min((part.info.started_at for part in parts), key=epoch_seconds),
        finished_at=max((part.info.finished_at or part.info.started_at for part in parts), key=epoch_seconds),
        account=accounts.pop() if len(accounts) == 1 else None,
        requests=sum((part.info.requests for part in parts), Requests()),
        trainings=_read(parts),
        shard=None,
        shards=tuple(there.get(number) or ShardRun(number=number, state="missing") for number in numbers),
    )


def _shard_run(part: Part) -> ShardRun:
    info = part.info
    return ShardRun(
        number=part.shard.number,
        state="interrupted" if info.state == "running" else info.state,
        id=info.id,
        started_at=info.started_at,
        finished_at=info.finished_at,
        account=info.account,
    )


def _read(parts: Sequence[Part]) -> TrainingsRead | None:
    """How far the list of trainings was read: as far as the furthest has come, and complete where all are."""
    reads = [(part, part.info.trainings) for part in parts if part.info.trainings]
    begun = [(part, read) for part, read in reads if read.began_at]
    if not begun:
        return reads[0][1] if reads else None
    _, furthest = min(begun, key=lambda each: (not each[1].complete, each[1].back_to or ""))
    behind = next(((part, read) for part, read in begun if not read.complete), None)
    return msgspec.structs.replace(
        furthest,
        unreadable=max(read.unreadable for _, read in begun),
        complete=behind is None,
        problem=behind and f"{named(behind[0].shard)}: {behind[1].problem or 'the run ended before'}",
    )


def population(parts: Sequence[Part]) -> Population:
    """Who is in the database, as seen by the shard that found the fewest: who has left meanwhile is then not missed."""
    return min(filter(None, (part.population for part in parts)), key=lambda each: each.users_with_completed_model)


def choices(parts: Sequence[Part], outputs: tuple[tuple[Format, str], ...]) -> Choices:
    """How the merged run would be finished: with one token, so at the pace of one run."""
    told = [part.choices or default_choices() for part in parts]
    rates = [each.per_minute for each in told]
    return Choices(
        outputs=outputs,
        concurrency=max(each.concurrency for each in told),
        per_minute=min(sum(rates), max(default_choices().per_minute, *rates)),
        timeout=max(each.timeout for each in told),
        retries=max(each.retries for each in told),
        fail_on=told[0].fail_on,
    )


def ended(info: RunInfo, parts: Sequence[Part], whole: tuple[str, ...]) -> RunInfo:
    """`info` with how the merged run ended; `whole` is what `lacking` says of it."""
    unfinished = (f"{named(part.shard)} {part.ending}" for part in parts if part.info.state != "complete")
    reasons = [*unfinished, *whole]
    return msgspec.structs.replace(
        info, state="stopped" if reasons else "complete", stop_reason="; ".join(reasons) or None
    )


def doubts(parts: Sequence[Part], doubled: int) -> Iterator[str]:
    """What a reader has to know of what was merged, a sentence each; `doubled` users were in two shards."""
    for part in parts:
        if part.population is None:
            yield f"{part.named} was ended before the database had been read, and counts as missing."
    yield from _doubts(known(parts), doubled)


def _doubts(parts: Sequence[Part], doubled: int) -> Iterator[str]:
    first, last = (pick(parts, key=lambda part: epoch_seconds(part.info.started_at)) for pick in (min, max))
    if epoch_seconds(last.info.started_at) - epoch_seconds(first.info.started_at) > APART.total_seconds():
        days = f"{first.info.started_at[:10]}, and {named(last.shard)} on {last.info.started_at[:10]}"
        yield f"More than a day lies between the shards: {named(first.shard)} was begun on {days}."
    counts = {part.population.users_with_completed_model: part for part in reversed(parts) if part.population}
    if len(counts) > 1:
        least, most = min(counts), max(counts)
        seen = f"{least:,} in {named(counts[least].shard)}, {most:,} in {named(counts[most].shard)}"
        yield f"The shards saw different numbers of users with a completed model: {seen}. The report has the first."
    if doubled:
        users = "1 user was" if doubled == 1 else f"{doubled:,} users were"
        yield f"{users} in two shards, as the model changed meanwhile: the shard that was begun later counts."
    if len({part.info.tool_version for part in parts}) > 1:
        yield f"Different versions of sync-audit made the shards; the report names {parts[0].info.tool_version}."
    if len({part.info.trainings.since for part in parts if part.info.trainings}) > 1:
        yield "Trainings were not read back to the same day in all shards."
