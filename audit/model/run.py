"""What is known of a run as a whole."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from audit.model.codes import FailOn, Format, LatestPer, OrderBy
from audit.model.findings import Acceptances
from audit.model.lines import counted_lines
from audit.model.place import Address, Place
from audit.model.replies import Account, Requests, TrainingsRead
from audit.model.shard import Shard, missing_shards_text
from audit.model.tables import PLAIN, Column, ColumnTypes, Tables
from audit.model.users import Population


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
    allow_empty: bool = False
    """A run in which nobody was audited is no failure."""
    csv_for_excel: bool = False
    """The CSV begins with a byte order mark."""


EndState = Literal["complete", "interrupted", "stopped"]
RunState = Literal["running", "complete", "interrupted", "stopped"]


class Baseline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The earlier run that the users of this one are marked by."""

    run_id: str
    started_at: str
    path: str
    """As it was given: a run file or a JSON report."""
    other_place: str | None = None
    """Its place and that of this run, and why they are two; null where they are not, or that is not known."""
    looked_for: tuple[str, ...] = ()
    """As `RunInfo.looked_for`; none for runs of older versions."""


class ShardRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run of one shard, as it was when all of them were merged; all but number and state are null where missing."""

    number: int
    state: EndState | Literal["missing"]
    id: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    account: Account | None = None


class NoneFound(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run was ended whose token is of another account than the models: the first were all answered with 404."""

    not_found: int
    """So many of them."""
    owners: tuple[tuple[str, int], ...]
    """The accounts with the most models of the run, at most three, and how many models each has."""
    more_owners: int = 0

    def told(self, account: Account) -> str:
        """In one clause for a person; `account` is the token's."""
        return f"none of the first {self.not_found:,} models was found: {self.whose(account)}"

    def whose(self, account: Account, data: Callable[[str], str] = str) -> str:
        """Whose the token is, and whose the models are, as a clause; `data` makes of a name what a format shows."""
        models = [f"{data(owner)} ({number:,} model{'s' * (number != 1)})" for owner, number in self.owners]
        if self.more_owners:
            models.append(f"{self.more_owners:,} more")
        token = f"the token belongs to account {data(account.username)}"
        if not models:
            return f"{token}, which knows none of the recorded trainings"
        last = f" and {models.pop()}" if len(models) > 1 else ""
        return f"{token}, the models belong to {', '.join(models)}{last}"


LookedFor = Literal["unfinished", "weights", "weights_requests", "trainers"]
"""Kinds of findings that not every run looks for: see `KIND_OF` in `audit.findings.comparison`."""


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
    none_found: NoneFound | msgspec.UnsetType = msgspec.UNSET
    """Set where the run was ended as its token is of another account than the models. Only as a text in reports.

    Else left out of the run file: what is said of a small run then fits into one page, so that more can be read of a
    damaged file.
    """
    made_up: bool | msgspec.UnsetType = msgspec.UNSET
    """Set where it is a demo, whose users nobody has; left out of the run file else. In no report."""
    database: str
    """Host and database name, "db.example.com/shop"; never a user or a password."""
    place: Place | None = None
    """Null before the database was read, and in files of versions that did not keep it. In no report."""
    base_url: str
    account: Account | None = None
    order_by: OrderBy = "updated_at"
    filters: Filters = Filters()
    redacted: bool = False
    """`--redact` was given: every report of this run masks e-mail and name."""
    columns: ColumnTypes | None = None
    """Null before the database was read, and in files of versions that did not keep it. In no report."""
    missing_columns: tuple[Column, ...] = ()
    """Optional columns that the database does not have, so that nothing is concluded from their absence."""
    requests: Requests = Requests()
    trainings: TrainingsRead | None = None
    """Null where trainings were not read."""
    tables: Tables = PLAIN
    """How tables and columns were called in the database."""
    configured_latest_per: LatestPer | None = None
    """What the config file says of it, where an option has said otherwise. In no report."""
    baseline: Baseline | None = None
    """Null without `--baseline`."""
    acceptances: Acceptances | None = None
    """Null without a file of them."""
    shard: Shard | None = None
    """Null where the run is about all models."""
    by_model_key: bool = False
    """Models were told apart by their keys, also for shards: set when records are read. Older versions minded case."""
    stuck_after: float | None = None
    """Seconds after which a row in progress is asked about; null in files of versions that did not look at such."""
    check_weights: bool = False
    """Recorded weights URLs were asked for."""
    shards: tuple[ShardRun, ...] = ()
    """Those that this run was merged from, by number, the missing ones among them; else none."""

    @property
    def address(self) -> Address:
        """Its place, or as much as a file of an older version says of it."""
        return self.place or Address.of_label(self.database)

    @property
    def latest_per(self) -> LatestPer:
        """What has a line: a user, a user and model, or a row."""
        return self.tables.latest_per

    @property
    def ended_as(self) -> EndState:
        """`state` for reports: a run that still says "running" was killed, and so interrupted."""
        return "interrupted" if self.state == "running" else self.state

    @property
    def looked_for(self) -> tuple[LookedFor, ...]:
        """Kinds of findings that it looked for, and that older versions or other options do not look for."""
        if self.stuck_after is None:  # an older version
            return ()
        by_trainings = self.trainings is not None and self.trainings.began_at is not None
        kinds: tuple[tuple[LookedFor, bool], ...] = (
            ("unfinished", True),
            ("weights", by_trainings),
            ("weights_requests", self.check_weights),
            ("trainers", True),
        )
        return tuple(kind for kind, looked in kinds if looked)

    @property
    def missing_shards(self) -> tuple[Shard, ...]:
        """Those that a merged run lacks; () for any other run."""
        return tuple(Shard(each.number, len(self.shards)) for each in self.shards if each.state == "missing")


def is_narrowed(filters: Filters, shard: Shard | None) -> bool:
    """Whether a run with these may lack users who have a completed model."""
    return bool(filters.users) or filters.limit is not None or shard is not None


class Seen(NamedTuple):
    """Lines that a run file has, or would have of users who are in none: of everybody who was looked at."""

    lines: int
    completed: int
    """Those of them that have a completed row."""


def permanent_gaps(info: RunInfo, population: Population | None, count: Callable[[], Seen]) -> tuple[str, ...]:
    """Why a merged run can never be complete, whoever else is asked for: clauses for a person; () for any other run.

    `count`, of everybody who was looked at, is called only where it is needed, as it reads the whole run file.
    """
    if not info.shards:
        return ()
    if missing := info.missing_shards:
        them = "its users" if len(missing) == 1 else "their users"
        named = missing_shards_text([each.number for each in missing], len(info.shards))
        return (f"{named}, and nothing is known of {them}",)
    if info.filters.users or population is None:
        return ()
    seen, completed = count(), population.lines_completed
    # Who has only come to be stuck since one shard was read must not make up for somebody who is in none.
    lost = max(completed - seen.completed, completed + population.lines_unfinished_only - seen.lines)
    them = counted_lines(lost, info.latest_per)
    verb = "is" if lost == 1 else "are"
    return (f"{them} {verb} in no shard, as the database changed while they were read",) if lost > 0 else ()
