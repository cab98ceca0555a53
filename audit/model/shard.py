"""A part of the models, for one run of several that share the work. Pure.

Whose turn a user is follows from a hash of the model id, trimmed, so that a model which several users share is in one
shard; of the user id where there is no model id. `IN_SHARD` in `audit.postgres.snapshot` says the same to PostgreSQL.
"""

import re
from collections.abc import Callable, Sequence
from hashlib import sha256

from audit.errors import SettingsError
from audit.model.findings import Summary
from audit.model.run import Filters, RunInfo, Shard
from audit.model.users import TRIMMED, ModelRecord, Population

MOST = 100
"""Shards. Each of them reads the whole tables, and a merge opens all of their run files at once."""
HASHED = 4
"""Bytes of the hash that count: with `MOST` shards none is a millionth larger than another for that."""
_FORM = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_SHARES = {1: "all of the models", 2: "about half of the models", 3: "about a third of the models"}
_SHARES |= {4: "about a quarter of the models"}


def parse(text: str) -> Shard:
    """The shard that K/N names. Raises SettingsError."""
    match = _FORM.fullmatch(text.strip())
    shard = Shard(int(match[1]), int(match[2])) if match else None
    if shard is None or not 1 <= shard.of <= MOST or not 1 <= shard.number <= shard.of:
        from_zero = shard is not None and shard.number == 0
        raise SettingsError(
            f"must be K/N, K from 1 to N and N up to {MOST}, not {text!r}",
            "Shards are counted from 1: where a scheduler counts from 0, add 1." if from_zero else "For example 2/4.",
        )
    return shard


def number_of(record: ModelRecord, of: int) -> int:
    """Which of so many shards `record` belongs to, from 1."""
    key = (record.replicate_model_id or "").strip(TRIMMED) or record.user_id
    return int.from_bytes(sha256(key.encode()).digest()[:HASHED]) % of + 1


def is_part(filters: Filters, shard: Shard | None) -> bool:
    """Whether a run so narrowed may lack somebody who has a completed model."""
    return bool(filters.users) or filters.limit is not None or shard is not None


def spelled(shard: Shard) -> str:
    """What `parse` understands."""
    return f"{shard.number}/{shard.of}"


def named(shard: Shard) -> str:
    """What a person calls it."""
    return f"shard {shard.number} of {shard.of}"


def share(shard: Shard) -> str:
    """How much of the whole it is."""
    return _SHARES.get(shard.of, f"about one in {shard.of} of the models")


def absence(numbers: Sequence[int], of: int) -> str:
    """That these shards of `of` are missing, without a full stop."""
    if len(numbers) == 1:
        return f"{named(Shard(numbers[0], of))} is missing"
    return f"shards {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} of {of} are missing"


def missing(info: RunInfo) -> tuple[Shard, ...]:
    """The shards that a merged run lacks."""
    return tuple(Shard(each.number, len(info.shards)) for each in info.shards if each.state == "missing")


def lacking(info: RunInfo, counted: Population | None, summary: Callable[[], Summary]) -> tuple[str, ...]:
    """Why a merged run can never be complete, whoever else is asked for; () for any other."""
    if not info.shards:
        return ()
    if absent := missing(info):
        them = "its users" if len(absent) == 1 else "their users"
        return (f"{absence([each.number for each in absent], len(info.shards))}, and nothing is known of {them}",)
    if info.filters.users or counted is None:
        return ()
    lost = counted.users_with_completed_model - summary().total
    users = "1 user is" if lost == 1 else f"{lost:,} users are"
    return (f"{users} in no shard, as the database changed while they were read",) if lost > 0 else ()
