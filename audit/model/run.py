"""What is known of a run as a whole."""

from typing import Literal

import msgspec

from audit.model.codes import FailOn, Format, OrderBy
from audit.model.findings import Acceptances
from audit.model.replies import Account, Requests, TrainingsRead
from audit.model.tables import PLAIN, Column, Tables


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What narrows the users of a run, as the user said it."""

    users: tuple[str, ...] = ()
    limit: int | None = None
    include_tests: bool = False


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is to be made, kept for whoever finishes it."""

    outputs: tuple[tuple[Format, str], ...]
    """Format and absolute path, or `-` for standard output."""
    concurrency: int
    """Requests in flight."""
    per_minute: int
    """Requests a minute."""
    timeout: float
    """Seconds for one attempt."""
    retries: int
    """Attempts after the first."""
    fail_on: FailOn = "any"
    """Older run files do not say it."""


RunState = Literal["running", "complete", "interrupted", "stopped"]


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The earlier run that the users of this one are marked by."""

    run_id: str
    started_at: str
    path: str
    """As it was given: a run file or a JSON report."""


class Shard(msgspec.Struct, frozen=True):
    """A part of the models: one run of several that share the work."""

    number: int
    """From 1."""
    of: int
    """How many there are."""


class ShardRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run of one shard, as it was when all of them were merged; all but number and state are null where missing."""

    number: int
    state: Literal["complete", "interrupted", "stopped", "missing"]
    id: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    account: Account | None = None


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The run itself: when, against what, and how far it got."""

    id: str
    """32 hexadecimal digits, random."""
    tool_version: str
    started_at: str
    finished_at: str | None = None
    """Null while the run is going on or after it was killed."""
    state: RunState = "running"
    """A file that says "running" belongs to a live run or to one that was killed."""
    stop_reason: str | None = None
    database: str
    """Host and database name, "db.example.com/shop"; never a user or a password."""
    base_url: str
    account: Account | None = None
    order_by: OrderBy = "updated_at"
    filters: Filters = Filters()
    redacted: bool = False
    """`--redact` was given: every report of this run masks e-mail and name."""
    missing_columns: tuple[Column, ...] = ()
    """Optional columns that the database does not have, so that nothing is concluded from their absence."""
    requests: Requests = Requests()
    trainings: TrainingsRead | None = None
    """Null where trainings were not read."""
    tables: Tables = PLAIN
    """How tables and columns were called in the database."""
    baseline: Baseline | None = None
    """Null without `--baseline`."""
    acceptances: Acceptances | None = None
    """Null without a file of them."""
    shard: Shard | None = None
    """Null where the run is about all models."""
    shards: tuple[ShardRun, ...] = ()
    """Those that this run was merged from, by number, the missing ones among them; else none."""

    @property
    def ended_as(self) -> RunState:
        """`state` for reports: a run that still says "running" was killed, and so interrupted."""
        return "interrupted" if self.state == "running" else self.state
