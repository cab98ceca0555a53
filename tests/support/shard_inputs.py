"""Shards as those who merge them see them: finished ones of one run, and odd ones among them."""

from typing import Any

from audit.commands.merge.shards import ShardInput
from audit.commands.settings import default_choices
from audit.model.codes import Reason
from audit.model.findings import Acceptance
from audit.model.replies import Account, Requests, TrainingsRead
from audit.model.run import Choices
from audit.model.shard import Shard
from tests.support.run_files import population as population_of
from tests.support.samples import run_info

ACME, OTHER = Account("organization", "acme"), Account("user", "other")
ENTRY = Acceptance(user="u1", reason=Reason.NO_VERSIONS, because="known", until="2026-12-31")
FAST = TrainingsRead(mode="trainings", sample=1.0)
RUN_ID = "f" * 32


def shard(number: int, of: int = 3, users: int = 9, choices: Choices | None = None, **changes: Any) -> ShardInput:
    """A finished shard, begun in the minute of its number."""
    plain = {
        "id": str(number) * 32,
        "shard": Shard(number, of),
        "state": "complete",
        "account": ACME,
        "started_at": f"2026-03-01T12:0{number}:00Z",
        "finished_at": f"2026-03-01T12:1{number}:00Z",
        "requests": Requests(number, 1, 0),
    }
    info = run_info(**(plain | changes))
    return ShardInput(
        path=f"{number}.sqlite", info=info, population=population_of(users), choices=choices or default_choices()
    )


def shards(*odd: ShardInput, of: int = 3) -> list[ShardInput]:
    """All shards, `odd` ones in the place of others."""
    replaced = {each.shard.number: each for each in odd if each.info.shard}
    return [replaced.get(number) or shard(number, of) for number in range(1, of + 1)]
