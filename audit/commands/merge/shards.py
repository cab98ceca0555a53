"""The shards that are to make one run: what is known of each, and whether they belong together. Pure."""

from collections.abc import Iterator, Sequence

import msgspec

from audit.errors import SettingsError
from audit.model.replies import TrainingsRead
from audit.model.run import Choices, RunInfo, Shard
from audit.model.shard import absence, named
from audit.model.users import Population


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

    @property
    def ending(self) -> str:
        """How it ended where that was too early, to follow its name."""
        why = f" ({self.info.stop_reason})" if self.info.stop_reason else ""
        return f"was {'interrupted' if self.info.state == 'running' else self.info.state}{why}"


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """What is merged although it does not make one whole run."""

    partial: bool = False
    any_account: bool = False
    other_acceptances: bool = False
    """True where those of the shards do not matter."""


def known(parts: Sequence[Part]) -> list[Part]:
    """Those in which users are; a run that was killed while it read the database is as good as missing."""
    return [part for part in parts if part.population is not None]


def check(parts: Sequence[Part], allowed: Allowed) -> None:
    """See that `parts` are the shards of one audit, each there once and finished. Raises SettingsError, naming one."""
    first = parts[0]
    for part in parts:
        _check_shard(part, first)
    there = known(parts)
    for part in there:
        _check_same(part, there[0], allowed)
    seen: dict[int, Part] = {}
    for part in parts:
        if other := seen.get(part.shard.number):
            raise SettingsError(f"{other.path} and {part.path} are both {named(part.shard)}", "Leave one of them out.")
        seen[part.shard.number] = part
    if allowed.partial and there:
        return
    if absent := [number for number in range(1, first.shard.of + 1) if number not in seen]:
        raise SettingsError(
            absence(absent, first.shard.of),
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


def _check_finished(part: Part) -> None:
    if part.population is None:
        raise SettingsError(
            f"{part.named} was ended before the database had been read",
            "Remove the file and run that shard again; with --partial it counts as missing.",
        )
    if part.info.state != "complete":
        raise SettingsError(
            f"{part.named} is not finished: it {part.ending}",
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
