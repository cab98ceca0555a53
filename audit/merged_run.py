"""The run that shards make together: whether they belong together, and what is then said of it. Pure."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import msgspec

from audit.errors import SettingsError
from audit.models import Choices, Format, Population, Requests, RunInfo, Shard, ShardRun, Summary
from audit.settings_values import UNTOLD
from audit.shard import named
from audit.training import TrainingsRead
from audit.verdict import seconds

APART = timedelta(days=1)
"""Shards that were begun further apart than that are told of: users change meanwhile."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One of the run files to be merged, as far as its users do not matter."""

    path: str
    info: RunInfo
    population: Population | None
    choices: Choices | None
    """What decides the exit code is among them."""

    @property
    def shard(self) -> Shard:
        """Which one it is; only of a part that was checked."""
        assert self.info.shard  # noqa: S101 - see above
        return self.info.shard

    @property
    def named(self) -> str:
        """What a person calls it."""
        return f"{named(self.shard)} ({self.path})"


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """What is merged although it does not make one whole run."""

    partial: bool = False
    any_account: bool = False
    other_acceptances: bool = False
    """True where those of the shards do not matter."""


def check(parts: Sequence[Part], allowed: Allowed) -> None:
    """See that `parts` are the shards of one audit, each there once and finished. Raises SettingsError, naming one."""
    first = parts[0]
    for part in parts:
        _check_shard(part, first)
    for part in known(parts):
        _check_same(part, known(parts)[0], allowed)
    seen: dict[int, Part] = {}
    for part in parts:
        if other := seen.get(part.shard.number):
            raise SettingsError(f"{other.path} and {part.path} are both {named(part.shard)}", "Leave one of them out.")
        seen[part.shard.number] = part
    if allowed.partial and known(parts):
        return
    if absent := [number for number in range(1, first.shard.of + 1) if number not in seen]:
        raise SettingsError(
            _missing(absent, first.shard.of),
            "Name all run files, or add --partial: users are then missing from the merged run, which says so.",
        )
    for part in parts:
        _check_finished(part)


def _check_shard(part: Part, first: Part) -> None:
    if part.info.shards:
        raise SettingsError(f"{part.path} is no shard: it is merged already", "Name the run files it was merged from.")
    if part.info.shard is None:
        raise SettingsError(f"{part.path} is no shard: its run was about all models", "Name files of run --shard K/N.")
    if part.shard.of != first.shard.of:
        raise SettingsError(
            f"{part.path} is {named(part.shard)}, and {first.path} is {named(first.shard)}: other users are in them",
            "Merge shards of the same N.",
        )


def known(parts: Sequence[Part]) -> list[Part]:
    """Those in which users are; a run that was killed while it read the database is as good as missing."""
    return [part for part in parts if part.population is not None]


def _check_finished(part: Part) -> None:
    if part.population is None:
        raise SettingsError(
            f"{part.named} was ended before the database had been read",
            "Remove the file and run that shard again; with --partial it counts as missing.",
        )
    if part.info.state != "complete":
        raise SettingsError(
            f"{part.named} is not finished: it {_ended(part)}",
            f"Finish it: sync-audit run --resume {part.path}; or add --partial: its users then stay not checked.",
        )


def _check_same(part: Part, first: Part, allowed: Allowed) -> None:
    """One thing after the other that makes two audits, the gravest first."""
    for (what, here), (_, there) in zip(_facts(part, allowed), _facts(first, allowed), strict=True):
        if here != there:
            shown = isinstance(here, str) and isinstance(there, str)  # all else is too long, or holds names
            how = f"{what} is {here} in it, and {there} there" if shown else f"{what} is another"
            raise SettingsError(
                f"{part.path} is a shard of another audit than {first.path}: {how}",
                _STEPS.get(what, "Merge shards that were run with the same settings."),
            )


_ACCOUNT, _BASELINE, _ACCEPTANCES = "the account of the token", "the baseline", "the list of accepted findings"
_STEPS = {
    _ACCOUNT: "Use tokens of one account; or add --any-account where no model is private, as others cannot see those.",
    _BASELINE: "Give every shard the same --baseline, a run of all models.",
    _ACCEPTANCES: "Say which hold for all: add --accept FILE or --no-accept.",
}


def _facts(part: Part, allowed: Allowed) -> Iterator[tuple[str, object]]:
    """What has to be the same in all of them."""
    info = part.info
    yield "the database", info.database
    yield "the address of Replicate", info.base_url
    if not allowed.any_account:
        yield _ACCOUNT, info.account.username if info.account else "not known"
    yield "--order-by", info.order_by
    yield "--user", info.filters.users
    yield "--include-tests", "given" if info.filters.include_tests else "not given"
    yield "--mode", _mode(info.trainings)
    yield "the mapping of tables and columns", info.tables
    yield "the list of columns that the database lacks", ", ".join(info.missing_columns) or "empty"
    yield "--redact", "given" if info.redacted else "not given"
    yield _BASELINE, info.baseline.run_id if info.baseline else "none"
    yield "--fail-on", part.choices.fail_on if part.choices else "any"
    if not allowed.other_acceptances:
        yield _ACCEPTANCES, info.acceptances.entries if info.acceptances else ()


def _mode(read: TrainingsRead | None) -> str:
    if read is None:
        return "versions"
    return (
        f"trainings with --verify-sample {read.sample:g}" if read.mode == "trainings" else "versions with --trainings"
    )


def merged(parts: Sequence[Part], run_id: str) -> RunInfo:
    """The run that `parts`, which were checked, make together; how it ended is said by `ended`."""
    accounts = {part.info.account for part in parts}
    there = {part.shard.number: _shard_run(part) for part in parts}
    numbers = range(1, parts[0].shard.of + 1)
    return msgspec.structs.replace(
        parts[0].info,
        id=run_id,
        started_at=min((part.info.started_at for part in parts), key=seconds),
        finished_at=max((part.info.finished_at or part.info.started_at for part in parts), key=seconds),
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
    told = [part.choices or UNTOLD for part in parts]
    rates = [each.per_minute for each in told]
    return Choices(
        outputs=outputs,
        concurrency=max(each.concurrency for each in told),
        per_minute=min(sum(rates), max(UNTOLD.per_minute, *rates)),
        timeout=max(each.timeout for each in told),
        retries=max(each.retries for each in told),
        fail_on=told[0].fail_on,
    )


def ended(info: RunInfo, parts: Sequence[Part], whole: tuple[str, ...]) -> RunInfo:
    """`info` with how the merged run ended; `whole` is what `lacking` says of it."""
    unfinished = (f"{named(part.shard)} {_ended(part)}" for part in parts if part.info.state != "complete")
    reasons = [*unfinished, *whole]
    return msgspec.structs.replace(
        info, state="stopped" if reasons else "complete", stop_reason="; ".join(reasons) or None
    )


def _ended(part: Part) -> str:
    why = f" ({part.info.stop_reason})" if part.info.stop_reason else ""
    return f"was {'interrupted' if part.info.state == 'running' else part.info.state}{why}"


def missing(info: RunInfo) -> tuple[Shard, ...]:
    """The shards that a merged run lacks."""
    return tuple(Shard(each.number, len(info.shards)) for each in info.shards if each.state == "missing")


def _missing(numbers: Sequence[int], of: int) -> str:
    if len(numbers) == 1:
        return f"{named(Shard(numbers[0], of))} is missing"
    return f"shards {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} of {of} are missing"


def lacking(info: RunInfo, counted: Population | None, summary: Callable[[], Summary]) -> tuple[str, ...]:
    """Why a merged run can never be complete, whoever else is asked for; () for any other."""
    if not info.shards:
        return ()
    if absent := missing(info):
        them = "its users" if len(absent) == 1 else "their users"
        return (f"{_missing([each.number for each in absent], len(info.shards))}, and nothing is known of {them}",)
    if info.filters.users or counted is None:
        return ()
    lost = counted.users_with_completed_model - summary().total
    users = "1 user is" if lost == 1 else f"{lost:,} users are"
    return (f"{users} in no shard, as the database changed while they were read",) if lost > 0 else ()


def doubts(parts: Sequence[Part], doubled: int) -> Iterator[str]:
    """What a reader has to know of what was merged, a sentence each; `doubled` users were in two shards."""
    for part in parts:
        if part.population is None:
            yield f"{part.named} was ended before the database had been read, and counts as missing."
    yield from _doubts(known(parts), doubled)


def _doubts(parts: Sequence[Part], doubled: int) -> Iterator[str]:
    first, last = (pick(parts, key=lambda part: seconds(part.info.started_at)) for pick in (min, max))
    if seconds(last.info.started_at) - seconds(first.info.started_at) > APART.total_seconds():
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
