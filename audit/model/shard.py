"""Shards: the models divided among several runs.

A user's shard follows from a hash of the model's key, so users who share a model are in one shard; from a hash of the
user id where there is no model id. Where there is an unfinished row it is that row's model, and all that is known of
the user goes along. `in_shard` in `audit.postgres.snapshot_sql` is the same rule for PostgreSQL.
"""

import re
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from audit.errors import SettingsError
from audit.model.ids import model_key
from audit.model.users import TRIMMED, ModelRecord

MOST = 100
"""Shards. Each of them reads the whole tables, and a merge opens all of their run files at once."""
HASHED = 4
"""Bytes of the hash that count: with `MOST` shards none is a millionth larger than another for that."""
_FORM = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_SHARES = {1: "all of the models", 2: "about half of the models", 3: "about a third of the models"}
_SHARES |= {4: "about a quarter of the models"}


class Shard(msgspec.Struct, frozen=True):
    """One of several parts of the models. As text it is the K/N that `parse` takes."""

    number: int
    """From 1."""
    of: int
    """How many there are."""

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def label(self) -> str:
        """For a person: "shard 2 of 4"."""
        return f"shard {self.number} of {self.of}"

    @property
    def share(self) -> str:
        """How many of the models it has, for a person: "about half of the models"."""
        return _SHARES.get(self.of, f"about one in {self.of} of the models")


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


def shard_number(record: ModelRecord, of: int, *, by_key: bool = True) -> int:
    """The number, from 1, of the shard that `record` belongs to where there are `of`.

    Without `by_key` as older versions had it, which hashed the trimmed id, case and all.
    """
    if by_key:
        newer = model_key(record.newer.replicate_model_id) if record.newer else ""
        model = newer or model_key(record.replicate_model_id)
    else:
        model = (record.replicate_model_id or "").strip(TRIMMED)
    key = model or record.user_id
    return int.from_bytes(sha256(key.encode()).digest()[:HASHED]) % of + 1


def missing_shards_text(numbers: Sequence[int], of: int) -> str:
    """For a person, without a full stop: "shard 2 of 4 is missing", "shards 1, 2 and 4 of 4 are missing"."""
    if len(numbers) == 1:
        return f"{Shard(numbers[0], of).label} is missing"
    return f"shards {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} of {of} are missing"
