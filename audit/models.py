"""Every noun that two stages share. All frozen, all plain data.

Times are texts, ISO 8601 in UTC with `Z`: "2026-03-01T12:00:00Z", with six decimals where there are any.
They are shown and stored far more often than reckoned with; `datetime.fromisoformat` reads them all, and who
compares two of them parses them first.
"""

from enum import IntEnum, StrEnum
from typing import Literal

import msgspec

from audit.tables import PLAIN, Tables
from audit.training import Evidence, Traced, TrainingsRead


class Status(StrEnum):
    """What is known about one user. The order is the order of every report."""

    NEEDS_SYNC = "needs_sync"
    ERROR = "error"
    NOT_CHECKED = "not_checked"
    UP_TO_DATE = "up_to_date"


class Reason(StrEnum):
    """Why a user has this status; exactly one each. The order is the contract's."""

    LATEST_VERSION = "latest_version"
    OUTDATED_VERSION = "outdated_version"
    UNKNOWN_VERSION = "unknown_version"
    MALFORMED_VERSION = "malformed_version"
    NO_VERSION_RECORDED = "no_version_recorded"
    MISSING_MODEL_ID = "missing_model_id"
    INVALID_MODEL_ID = "invalid_model_id"
    MODEL_NOT_FOUND = "model_not_found"
    NO_VERSIONS = "no_versions"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    REJECTED = "rejected"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    NETWORK_ERROR = "network_error"
    BAD_RESPONSE = "bad_response"
    EVIDENCE_DISAGREES = "evidence_disagrees"
    STOPPED = "stopped"

    @property
    def status(self) -> Status:
        """The one status that this reason explains."""
        return _STATUS_OF.get(self, Status.ERROR)


_STATUS_OF = {
    Reason.LATEST_VERSION: Status.UP_TO_DATE,
    Reason.OUTDATED_VERSION: Status.NEEDS_SYNC,
    Reason.UNKNOWN_VERSION: Status.NEEDS_SYNC,
    Reason.MALFORMED_VERSION: Status.NEEDS_SYNC,
    Reason.NO_VERSION_RECORDED: Status.NEEDS_SYNC,
    Reason.STOPPED: Status.NOT_CHECKED,
}

FailureReason = Literal[
    Reason.UNAUTHORIZED,
    Reason.FORBIDDEN,
    Reason.REJECTED,
    Reason.RATE_LIMITED,
    Reason.SERVER_ERROR,
    Reason.TIMEOUT,
    Reason.NETWORK_ERROR,
    Reason.BAD_RESPONSE,
]


class Note(StrEnum):
    """Something worth knowing about a user that changes no status."""

    SHARED_MODEL = "shared_model"
    RETRAINING_IN_PROGRESS = "retraining_in_progress"
    LATER_TRAINING_FAILED = "later_training_failed"
    OLDER_MODELS_HIDDEN = "older_models_hidden"
    QUALIFIED_VERSION = "qualified_version"
    RECORDED_MODEL_DIFFERS = "recorded_model_differs"
    MISSING_TRIGGER_WORD = "missing_trigger_word"
    UNUSUAL_LORA_SCALE = "unusual_lora_scale"
    MISSING_WEIGHTS_URL = "missing_weights_url"
    GUESSED_WEIGHTS_URL = "guessed_weights_url"
    UNDATED_ROW = "undated_row"
    OWNER_DIFFERS_FROM_ACCOUNT = "owner_differs_from_account"
    UNRECORDED_TRAINING = "unrecorded_training"
    WEIGHTS_URL_OF_ANOTHER_VERSION = "weights_url_of_another_version"
    TRIGGER_WORD_DIFFERS = "trigger_word_differs"
    VERSION_MADE_BY_HAND = "version_made_by_hand"


class ExitCode(IntEnum):
    """How a command ended. `meaning` is the sentence that the last line on stderr repeats."""

    OK = 0
    BUG = 1
    USAGE = 2
    NEEDS_SYNC = 3
    INCOMPLETE = 4
    COULD_NOT_RUN = 5
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def meaning(self) -> str:
        """The contract's words for this code."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "every user was checked, nobody needs a sync",
    ExitCode.BUG: "a bug in this program (traceback)",
    ExitCode.USAGE: "usage: an option or setting is wrong or missing",
    ExitCode.NEEDS_SYNC: "every user was checked, at least one needs a sync",
    ExitCode.INCOMPLETE: "incomplete: at least one user is `error` or `not_checked`; wins over 3",
    ExitCode.COULD_NOT_RUN: "could not start or write: database, token, output path",
    ExitCode.INTERRUPTED: "stopped by SIGINT; the reports are written and say so",
    ExitCode.TERMINATED: "stopped by SIGTERM; the reports are written and say so",
}

TRIMMED = " \t\n\r\f\v"
"""What is trimmed from model ids and versions: ASCII white space, so that SQL and Python agree."""

SHARED_SHOWN = 5
"""How many of the other users of a shared model a record names."""

VERSIONS_SHOWN = 5
"""How many of a model's versions a finding keeps, newest first."""


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The one training row that counts for a user, as recorded, and what the user's other rows say."""

    user_id: str
    email: str | None
    display_name: str | None
    model_row_id: str
    replicate_model_id: str | None
    replicate_version_id: str | None
    training_id: str | None = None
    trigger_word: str | None = None
    lora_scale: str | None = None
    """As text: the column is numeric in some products and text in others."""
    lora_weights_url: str | None = None
    model_name: str | None = None
    created_at: str | None
    updated_at: str | None
    completed_at: str | None
    older_completed: int = 0
    """Completed rows of this user that are hidden because this one is newer."""
    undated_rows: int = 0
    """Completed rows of this user, this one included, without a date in the column that decides."""
    retraining_in_progress: bool = False
    later_training_failed: bool = False
    later_failure_reason: str | None = None
    later_training_id: str | None = None
    """Of the last row that is newer than this one and not completed."""
    shared_with: tuple[str, ...] = ()
    """User ids of others whose row that counts names the same model: the first `SHARED_SHOWN`, sorted."""
    shared_with_count: int = 0
    """How many others there are in all, also those that `--user` and `--limit` leave out."""


OptionalColumn = Literal[
    "training_id",
    "trigger_word",
    "lora_scale",
    "lora_weights_url",
    "is_test",
    "model_name",
    "failure_reason",
    "display_name",
]


class Population(msgspec.Struct, frozen=True, kw_only=True):
    """Who is in the database at all, so that "why only one?" and "why nobody?" have an answer.

    Counted in the same snapshot as the records, over everybody: `--user` and `--limit` do not narrow it.
    """

    users: int
    users_with_completed_model: int
    completed_models: int
    """Completed rows that count (test rows left out unless asked for), hidden older ones included."""
    users_with_several_completed_models: int
    completed_models_hidden: int
    """Completed rows hidden by a newer one of their user: completed_models - users_with_completed_model."""
    completed_without_model_id: int
    """Completed rows that count whose model id is null or blank."""
    test_models_left_out: int
    """Completed rows left out because `is_test` is true; 0 with `--include-tests`."""
    models_without_user: int
    """Completed rows whose user is not in `users`; they are in no other count but `training_status`."""
    training_status: dict[str, int]
    """Rows per `training_status`, test rows included; null is "(null)". Largest first, then by name."""


class Version(msgspec.Struct, frozen=True):
    """A version of a model on Replicate."""

    id: str
    """64 hexadecimal digits, lower case."""
    created_at: str | None


class Found(msgspec.Struct, frozen=True):
    """Every version of the model, in the API's order; at least one."""

    versions: tuple[Version, ...]
    only_latest: bool = False
    """True for official models, whose list is not public: `versions` then holds the latest one alone."""


class Missing(msgspec.Struct, frozen=True):
    """404 for the versions and for the model itself."""


class NoVersions(msgspec.Struct, frozen=True):
    """The model exists and has no version."""


class Failed(msgspec.Struct, frozen=True):
    """No answer that can be judged, after all attempts."""

    reason: FailureReason
    detail: str
    """The precise cause in one sentence, for a person; may quote the server."""


class NotAsked(msgspec.Struct, frozen=True):
    """The run ended before this model's turn."""


Reply = Found | Missing | NoVersions | Failed | NotAsked


class Account(msgspec.Struct, frozen=True):
    """Whose token it is."""

    type: str
    username: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one user."""

    reason: Reason
    detail: str | None = None
    current_version_created_at: str | None = None
    """When the recorded version was made, where Replicate has it."""
    latest_version: str | None = None
    latest_version_created_at: str | None = None
    versions_behind: int | None = None
    """How many versions are newer than the recorded one; null where the recorded one is not on Replicate."""
    total_versions: int | None = None
    """How many versions the model has; null where that is not known."""
    versions: tuple[Version, ...] = ()
    """The first `VERSIONS_SHOWN`, newest first."""
    notes: tuple[Note, ...] = ()
    evidence: Evidence | None = None
    """What the verdict rests on; null where Replicate has said nothing certain."""
    traced: Traced | None = None
    """Null where trainings were not read."""

    @property
    def status(self) -> Status:
        """Follows from the reason."""
        return self.reason.status


Mark = Literal["new", "known", "resolved"]
"""How a user compares with an earlier run: in need of attention since then, already then, or no more."""


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word that one kind of finding on a user or a model need not be acted on until some day."""

    user: str | None = None
    """Id or e-mail; null where there is `model`."""
    model: str | None = None
    reason: Reason
    version: str | None = None
    """The recorded version that it holds for; null for any."""
    because: str
    until: str
    """The last day on which it holds, in UTC: "2026-12-31"."""
    author: str | None = None


class Acceptances(msgspec.Struct, frozen=True, kw_only=True):
    """What was accepted when a run was made."""

    file: str
    """As a person would name it from the working directory."""
    entries: tuple[Acceptance, ...]
    """In the order of the file."""


class AuditedUser(msgspec.Struct, frozen=True):
    """One line of every report."""

    record: ModelRecord
    finding: Finding
    baseline: Mark | None = None
    """Null without `--baseline`, and where there is nothing to mark."""
    accepted: Acceptance | None = None
    """What says that this finding need not be acted on; null where nothing does."""


class Summary(msgspec.Struct, frozen=True):
    """Counts over the findings, made by the run file; totals are sums of these and nothing else."""

    statuses: dict[Status, int]
    """Every status has a key."""
    reasons: dict[Reason, int]
    """Only reasons that occur, largest first, then by name."""
    notes: dict[Note, int]
    """Only notes that occur, largest first, then by name."""

    @property
    def total(self) -> int:
        """All users of the run."""
        return sum(self.statuses.values())


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What narrows the users of a run, as the user said it."""

    users: tuple[str, ...] = ()
    limit: int | None = None
    include_tests: bool = False


Format = Literal["html", "csv", "json", "md", "junit"]
"""Formats of reports, by the names that `-o` takes."""


FailOn = Literal["new", "any", "never"]
"""Which findings count for the exit code."""


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """How a run was to be made: what it does not say itself, but whoever finishes it has to know."""

    outputs: tuple[tuple[Format, str], ...]
    """Format and absolute path, or `-` for standard output."""
    concurrency: int
    per_minute: int
    timeout: float
    retries: int
    fail_on: FailOn = "any"


OrderBy = Literal["updated_at", "completed_at", "created_at"]
RunState = Literal["running", "complete", "interrupted", "stopped"]


class Requests(msgspec.Struct, frozen=True):
    """HTTP requests of the run, retries included in `sent`; `throttled` counts the 429 among the answers."""

    sent: int = 0
    retried: int = 0
    throttled: int = 0

    def __add__(self, other: "Requests") -> "Requests":
        return Requests(self.sent + other.sent, self.retried + other.retried, self.throttled + other.throttled)


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
    """A file that says "running" belongs to a live run or to one that was killed; reports say interrupted."""
    stop_reason: str | None = None
    database: str
    """Host and database name, "db.example.com/shop"; never a user or a password."""
    base_url: str
    account: Account | None = None
    order_by: OrderBy = "updated_at"
    filters: Filters = Filters()
    redacted: bool = False
    """`--redact` was given: every report of this run masks e-mail and name."""
    missing_columns: tuple[OptionalColumn, ...] = ()
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
