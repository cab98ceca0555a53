"""The two runs of a comparison, and what makes one of them a poor measure of the other."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from audit.models import Account, Filters, Shard
from audit.shard import named


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two, whether it was read from a run file or from a JSON report."""

    path: str
    id: str
    started_at: str
    state: str
    """As in the JSON report: complete, interrupted or stopped."""
    stop_reason: str | None = None
    database: str
    base_url: str
    account: Account | None = None
    order_by: str
    filters: Filters = Filters()
    redacted: bool = False
    shard: Shard | None = None
    """Null where it is about all models."""
    users: int = 0
    """How many it has."""
    expected: int | None = None
    """How many it had to have; null where it was narrowed, or that is not known."""

    @property
    def complete(self) -> bool:
        """Whether it came to its end."""
        return self.state == "complete"

    @property
    def whole(self) -> bool:
        """Whether all of its users are there; a damaged run file may have lost some."""
        return self.expected is None or self.users >= self.expected


def doubts(old: ComparedRun, new: ComparedRun) -> tuple[str, ...]:
    """What a reader has to know before believing the comparison, a sentence each, gravest first."""
    return (*_of_the_later(new), *_of_both(old, new), *_of_the_earlier(old))


def _of_the_later(new: ComparedRun) -> Iterator[str]:
    if not new.complete:
        yield f"NEW is incomplete ({new.state}), so it resolves nobody: who is up to date in it is listed as changed."
    if not new.whole:
        yield f"NEW has only {new.users:,} of its {new.expected:,} users: who is missing is not said to have left."


def _of_both(old: ComparedRun, new: ComparedRun) -> Iterator[str]:
    if old.id and old.id == new.id:
        yield "Both are the same run: only what was asked again since can differ."
    elif _moment(old.started_at) > _moment(new.started_at):
        yield f"OLD is newer than NEW ({old.started_at}, {new.started_at}): are they the wrong way round?"
    if old.database != new.database:
        yield f"The databases differ: {old.database} and {new.database}."
    if old.base_url != new.base_url:
        yield f"Replicate was asked at two addresses: {old.base_url} and {new.base_url}."
    if old.account and new.account and old.account != new.account:
        yield f"The tokens belong to two accounts: {old.account.username} and {new.account.username}."
    if old.order_by != new.order_by:
        yield f"The latest training was chosen by {old.order_by} in OLD and by {new.order_by} in NEW."
    if _narrowed_otherwise(old, new):
        options = "--user, --limit, --include-tests"
        yield f"The runs were narrowed differently ({options}): who is in one may only be left out of the other."
    if old.shard != new.shard:
        parts = f"OLD is about {_part(old)} and NEW about {_part(new)}"
        yield f"{parts}: who is in one may only be left out of the other."
    elif new.shard:
        yield f"Both are {named(new.shard)}: who has another model now may only have gone to another shard, or come."


def _of_the_earlier(old: ComparedRun) -> Iterator[str]:
    if not old.complete:
        yield f"OLD is incomplete ({old.state}): who was not checked in it and needs attention now counts as new."
    if not old.whole:
        yield f"OLD has only {old.users:,} of its {old.expected:,} users: who is missing there counts as new."


def _narrowed_otherwise(old: ComparedRun, new: ComparedRun) -> bool:
    """In a redacted run the values of `--user` are masked: only how many they are can then be compared."""
    if not (old.redacted or new.redacted):
        return old.filters != new.filters
    one, other = old.filters, new.filters
    masked = len(one.users) != len(other.users)
    return masked or (one.limit, one.include_tests) != (other.limit, other.include_tests)


def _part(run: ComparedRun) -> str:
    return named(run.shard) if run.shard else "all models"


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
