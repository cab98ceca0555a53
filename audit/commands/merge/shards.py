"""The shards of one audit: whether run files belong together, and the run that they make. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import combinations

import msgspec

from audit.commands.settings import default_choices
from audit.errors import SettingsError
from audit.model.codes import Format
from audit.model.lines import NOUNS, counted_lines
from audit.model.place import Address, Place, moved_from_option, names, place_differences
from audit.model.replies import Requests, TrainingsRead
from audit.model.run import Choices, RunInfo, ShardRun
from audit.model.shard import Shard, missing_shards_text
from audit.model.times import epoch_seconds
from audit.model.users import Population

FAR_APART = timedelta(days=1)
"""Shards that were begun further apart than this get a caveat: users change meanwhile."""


class ShardInput(msgspec.Struct, frozen=True, kw_only=True):
    """One of the run files to be merged, without its users."""

    path: str
    info: RunInfo
    population: Population | None
    """None where the run was killed while it read the database: no user is in the file then."""
    choices: Choices | None

    @property
    def shard(self) -> Shard:
        """Which one it is; only after `check`."""
        assert self.info.shard  # noqa: S101 - see above
        return self.info.shard

    @property
    def label(self) -> str:
        """For a person: "shard 2 of 4 (b.sqlite)"."""
        return f"{self.shard.label} ({self.path})"

    @property
    def ending(self) -> str:
        """How it ended where that was too early, to follow its label: "was stopped (reason)"."""
        why = f" ({self.info.stop_reason})" if self.info.stop_reason else ""
        return f"was {self.info.ended_as}{why}"


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """Differences and gaps that do not keep shards from being merged."""

    partial: bool = False
    any_account: bool = False
    other_acceptances: bool = False
    moved_from: str | None = None
    """HOST:PORT/DATABASE of some shards, where the database is said to have moved."""


def with_users(shards: Sequence[ShardInput]) -> list[ShardInput]:
    """Those that got as far as reading the database; the others count as missing."""
    return [each for each in shards if each.population is not None]


def check(shards: Sequence[ShardInput], allowed: Allowed) -> None:
    """Raises SettingsError, naming one, unless these are the shards of one audit, each there once and finished."""
    first = shards[0]
    for each in shards:
        _check_shard(each, first)
    readable = with_users(shards)
    _check_places(readable, allowed.moved_from)
    for each in readable:
        _check_same(each, readable[0], allowed)
    by_number: dict[int, ShardInput] = {}
    for each in shards:
        if other := by_number.get(each.shard.number):
            raise SettingsError(f"{other.path} and {each.path} are both {each.shard.label}", "Leave one of them out.")
        by_number[each.shard.number] = each
    if allowed.partial and readable:
        return
    if missing := [number for number in range(1, first.shard.of + 1) if number not in by_number]:
        raise SettingsError(
            missing_shards_text(missing, first.shard.of),
            "Name all run files, or add --partial: users are then missing from the merged run, which says so.",
        )
    for each in shards:
        _check_finished(each)


def _check_shard(shard: ShardInput, first: ShardInput) -> None:
    path = shard.path
    if shard.info.shards:
        raise SettingsError(f"{path} is no shard: it is merged already", "Name the run files it was merged from.")
    if shard.info.shard is None:
        raise SettingsError(f"{path} is no shard: its run was about all models", "Name files of run --shard K/N.")
    if shard.shard.of != first.shard.of:
        raise SettingsError(
            f"{path} is {shard.shard.label}, and {first.path} is {first.shard.label}: other users are in them",
            "Merge shards of the same N.",
        )


def _check_places(shards: Sequence[ShardInput], moved_from: str | None) -> None:
    """All against all, as one whose system identifier is not known is like two that differ in it."""
    by_place: dict[Address, ShardInput] = {}
    for each in shards:
        by_place.setdefault(each.info.address, each)
    if moved_from is not None and not any(names(moved_from, place) for place in by_place):
        listed = ", ".join(sorted({place.named for place in by_place}))
        raise SettingsError(f"--moved-from: the shards are of {listed}", "Name the one of them that has moved.")
    for other, one in combinations(by_place, 2):
        moved = moved_from is not None and names(moved_from, one) != names(moved_from, other)
        for why in place_differences(one, other, moved=moved):
            of_both = (each.info for each in shards if each.info.address in {one, other})
            earlier = min(of_both, key=lambda each: epoch_seconds(each.started_at)).address
            other_tables = any(place_differences(one, other, moved=True))
            step = "" if other_tables else f"; if it has moved between them, add {moved_from_option(earlier)}"
            raise SettingsError(
                f"{by_place[one].path} is a shard of another audit than {by_place[other].path}: the databases are "
                f"{one.full} and {other.full} ({why})",
                f"Merge shards of one database{step}.",
            )


def _check_finished(shard: ShardInput) -> None:
    if shard.population is None:
        raise SettingsError(
            f"{shard.label} was ended before the database had been read",
            "Remove the file and run that shard again; with --partial it counts as missing.",
        )
    if shard.info.state != "complete":
        raise SettingsError(
            f"{shard.label} is not finished: it {shard.ending}",
            f"Finish it: sync-audit run --resume {shard.path}; or add --partial: its users then stay not checked.",
        )


def _check_same(shard: ShardInput, first: ShardInput, allowed: Allowed) -> None:
    if shard.info.by_model_key != first.info.by_model_key:
        older, newer = (shard, first) if first.info.by_model_key else (first, shard)
        raise SettingsError(
            f"{older.path} was run by an older version than {newer.path}, which put models into shards otherwise: "
            "ids that differ only in case were two models to it",
            f"Run that shard again with this version: sync-audit run --shard {older.shard}",
        )
    for (what, here), (_, there) in zip(_has_to_agree(shard, allowed), _has_to_agree(first, allowed), strict=True):
        if here != there:
            shown = isinstance(here, str) and isinstance(there, str)  # all else is too long, or holds names
            how = f"{what} is {here} in it, and {there} there" if shown else f"{what} is another"
            raise SettingsError(
                f"{shard.path} is a shard of another audit than {first.path}: {how}",
                _STEPS.get(what, "Merge shards that were run with the same settings."),
            )


_ACCOUNT, _BASELINE, _ACCEPTANCES = "the account of the token", "the baseline", "the list of accepted findings"
_STEPS = {
    _ACCOUNT: "Use tokens of one account; or add --any-account where no model is private, as others cannot see those.",
    _BASELINE: "Give every shard the same --baseline, a run of all models.",
    _ACCEPTANCES: "Say which hold for all: add --accept FILE or --no-accept.",
}


def _has_to_agree(shard: ShardInput, allowed: Allowed) -> Iterator[tuple[str, object]]:
    """Name and value of everything that has to be the same in all shards, the gravest first."""
    info = shard.info
    yield "the address of Replicate", info.base_url
    if not allowed.any_account:
        yield _ACCOUNT, info.account.username if info.account else "not known"
    yield "--order-by", info.order_by
    yield "--user", info.filters.users
    yield "--include-tests", "given" if info.filters.include_tests else "not given"
    yield "--mode", _mode(info.trainings)
    yield "--stuck-after", "not given" if info.stuck_after is None else f"{info.stuck_after / 3600:g}"
    yield "--check-weights", "given" if info.check_weights else "not given"
    yield "--latest-per", info.latest_per
    yield "the mapping of tables and columns", info.tables
    yield "the list of columns that the database lacks", ", ".join(info.missing_columns) or "empty"
    yield "--redact", "given" if info.redacted else "not given"
    yield _BASELINE, info.baseline.run_id if info.baseline else "none"
    yield "--fail-on", shard.choices.fail_on if shard.choices else "any"
    if not allowed.other_acceptances:
        yield _ACCEPTANCES, info.acceptances.entries if info.acceptances else ()


def _mode(read: TrainingsRead | None) -> str:
    if read is None:
        return "versions"
    return (
        f"trainings with --verify-sample {read.sample:g}" if read.mode == "trainings" else "versions with --trainings"
    )


def merged_info(shards: Sequence[ShardInput], run_id: str, moved_from: str | None = None) -> RunInfo:
    """The run that checked `shards` make together; `with_end` adds how it ended.

    Its place is where the database has moved to, and is not known if that of one shard there is not.
    """
    unmoved = [each.info for each in shards if moved_from is None or not names(moved_from, each.info.address)]
    there = unmoved or [each.info for each in shards]
    accounts = {each.info.account for each in shards}
    runs = {each.shard.number: _shard_run(each) for each in shards}
    numbers = range(1, shards[0].shard.of + 1)
    return msgspec.structs.replace(
        shards[0].info,
        id=run_id,
        database=there[0].database,
        place=_place([each.place for each in there]),
        started_at=min((each.info.started_at for each in shards), key=epoch_seconds),
        finished_at=max((each.info.finished_at or each.info.started_at for each in shards), key=epoch_seconds),
        account=accounts.pop() if len(accounts) == 1 else None,
        requests=sum((each.info.requests for each in shards), Requests()),
        trainings=_trainings_read(shards),
        shard=None,
        none_found=msgspec.UNSET,  # in one of the shards, which the reason for the end says
        shards=tuple(runs.get(number) or ShardRun(number=number, state="missing") for number in numbers),
    )


def _place(places: Sequence[Place | None]) -> Place | None:
    known = [each for each in places if each]
    return next((each for each in known if each.system), known[0]) if known and len(known) == len(places) else None


def _shard_run(shard: ShardInput) -> ShardRun:
    info = shard.info
    return ShardRun(
        number=shard.shard.number,
        state=info.ended_as,
        id=info.id,
        started_at=info.started_at,
        finished_at=info.finished_at,
        account=info.account,
    )


def _trainings_read(shards: Sequence[ShardInput]) -> TrainingsRead | None:
    """How far the list of trainings was read: as far as the furthest has come, and complete where all are."""
    reads = [(each, each.info.trainings) for each in shards if each.info.trainings]
    begun = [(each, read) for each, read in reads if read.began_at]
    if not begun:
        return reads[0][1] if reads else None
    _, furthest = min(begun, key=lambda pair: (not pair[1].complete, pair[1].back_to or ""))
    behind = next(((each, read) for each, read in begun if not read.complete), None)
    return msgspec.structs.replace(
        furthest,
        unreadable=max(read.unreadable for _, read in begun),
        complete=behind is None,
        problem=behind and f"{behind[0].shard.label}: {behind[1].problem or 'the run ended before'}",
    )


def merged_population(shards: Sequence[ShardInput]) -> Population:
    """Who is in the database, from the shard that found the fewest: whoever has left meanwhile is then not missed."""
    return min(filter(None, (each.population for each in shards)), key=lambda each: each.lines_completed)


def merged_choices(shards: Sequence[ShardInput], outputs: tuple[tuple[Format, str], ...]) -> Choices:
    """How the merged run would be finished: with one token, so at the rate of one run."""
    choices = [each.choices or default_choices() for each in shards]
    rates = [each.per_minute for each in choices]
    return Choices(
        outputs=outputs,
        concurrency=max(each.concurrency for each in choices),
        per_minute=min(sum(rates), max(default_choices().per_minute, *rates)),
        timeout=max(each.timeout for each in choices),
        retries=max(each.retries for each in choices),
        fail_on=choices[0].fail_on,
        allow_empty=all(each.allow_empty for each in choices),
        csv_for_excel=all(each.csv_for_excel for each in choices),
    )


def with_end(info: RunInfo, shards: Sequence[ShardInput], gaps: tuple[str, ...]) -> RunInfo:
    """`info` with how the merged run ended; `gaps` are the `permanent_gaps` in it."""
    unfinished = (f"{each.shard.label} {each.ending}" for each in shards if each.info.state != "complete")
    reasons = [*unfinished, *gaps]
    return msgspec.structs.replace(
        info, state="stopped" if reasons else "complete", stop_reason="; ".join(reasons) or None
    )


def caveats(shards: Sequence[ShardInput], duplicates: int, moved_from: str | None = None) -> Iterator[str]:
    """What a reader has to know of what was merged, a sentence each; `duplicates` lines were in two shards."""
    if moved_from is not None:
        yield f"Some shards were made in {moved_from}, and the database has moved (--moved-from)."
    for each in shards:
        if each.population is None:
            yield f"{each.label} was ended before the database had been read, and counts as missing."
    shards = with_users(shards)
    first, last = (pick(shards, key=lambda each: epoch_seconds(each.info.started_at)) for pick in (min, max))
    if epoch_seconds(last.info.started_at) - epoch_seconds(first.info.started_at) > FAR_APART.total_seconds():
        days = f"{first.info.started_at[:10]}, and {last.shard.label} on {last.info.started_at[:10]}"
        yield f"The shards were made more than a day apart: {first.shard.label} was begun on {days}."
    per = shards[0].info.latest_per
    counts = {each.population.lines_completed: each for each in reversed(shards) if each.population}
    if len(counts) > 1:
        least, most = min(counts), max(counts)
        numbers = f"{least:,} in {counts[least].shard.label}, {most:,} in {counts[most].shard.label}"
        of_whom = "users with a completed model" if per == "user" else f"{NOUNS[per]}s of users"
        yield f"The shards saw different numbers of {of_whom}: {numbers}. The report has the first."
    if duplicates:
        were = f"{counted_lines(duplicates, per)} {'was' if duplicates == 1 else 'were'}"
        yield f"{were} in two shards, as the model changed meanwhile: the shard that was begun later counts."
    if len({each.info.tool_version for each in shards}) > 1:
        yield f"Different versions of sync-audit made the shards; the report names {shards[0].info.tool_version}."
    if len({each.info.trainings.since for each in shards if each.info.trainings}) > 1:
        yield "Trainings were not read back to the same day in all shards."
