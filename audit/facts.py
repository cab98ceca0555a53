"""What `doctor` finds out before it judges: plain facts about settings, database and Replicate, none of them secret."""

import msgspec

from audit.models import ModelRecord, OptionalColumn, Population
from audit.said import Origin


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, and who has set it."""

    name: str
    """Of the option, or of the variable where there is no option."""
    value: str
    """As shown to a person; of a secret only its shape."""
    origin: Origin
    where: str
    """"--rate", "SYNC_AUDIT_RATE", "default"."""
    problem: str | None = None
    next_step: str = ""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """The PostgreSQL server, as seen over one connection. Times are seconds."""

    label: str
    version: str
    latency: float
    """One round trip, the best of a few."""
    clock_ahead: float
    """By how much its clock is ahead of ours."""
    tls: str | None
    """"TLSv1.3"; null where the connection is not encrypted."""
    local: bool
    """A socket of this machine, or its loopback address: nobody can listen in."""
    role: str
    superuser: bool
    writable: tuple[str, ...]
    """Those of the two tables that this role may change."""
    read_only: bool
    """Whatever the role may do: the server is a replica, or its sessions are read-only from the start."""
    pooled: bool
    """The process that speaks to us is not the one that was announced: a pooler is in between."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of the two tables."""

    missing: tuple[OptionalColumn, ...]
    rows: int
    """Of `user_models`, counted where they could be, else as the planner estimates."""
    is_view: bool
    """`user_models` is a view: what indexes lie beneath is not known."""
    index: str | None
    """An index that begins with `user_models.user_id`."""


class Owner(msgspec.Struct, frozen=True):
    """The part of model ids before the slash, and how many users' models bear it."""

    name: str
    users: int


class People(msgspec.Struct, frozen=True, kw_only=True):
    """Who would be audited."""

    population: Population
    null_model_ids: int
    """Completed rows, test rows left out; so are the next two."""
    blank_model_ids: int
    malformed_model_ids: int
    malformed_example: str | None
    models: int
    """Distinct models that an audit would ask for."""
    askable_users: int
    """Users whose row that counts names a model that can be asked for."""
    owners: tuple[Owner, ...]
    """Of those, largest first; only the first few."""
    owner_count: int
    account_users: int
    """Those of `askable_users` whose model is the token's account's; 0 where that is not known."""
    recent: tuple[ModelRecord, ...]
    """The latest rows that count, one a user and one a model, for trying out; filled in as far as a verdict needs."""


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """What Replicate's last answer said beside its body. Times are seconds."""

    latency: float
    status: int
    clock_ahead: float | None
    """By how much its clock is ahead of ours, to a second or so; null where the answer has no date."""
    remaining: int | None
    """`ratelimit-remaining`."""
    reset: int | None
    """`ratelimit-reset`."""
