"""The words that stand for things: statuses, reasons, notes, and what options choose among."""

from enum import StrEnum
from typing import Literal, get_args


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
    TRAINER_RECORDED = "trainer_recorded"
    TRAINING_NOT_RECORDED = "training_not_recorded"
    FAILURE_NOT_RECORDED = "failure_not_recorded"
    VERSION_LOST = "version_lost"
    WRONG_WEIGHTS = "wrong_weights"
    WEIGHTS_GONE = "weights_gone"
    MISSING_MODEL_ID = "missing_model_id"
    INVALID_MODEL_ID = "invalid_model_id"
    UNREADABLE_ROW = "unreadable_row"
    MODEL_NOT_FOUND = "model_not_found"
    NO_VERSIONS = "no_versions"
    TRAINING_NOT_FOUND = "training_not_found"
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

    @property
    def is_failure(self) -> bool:
        """Whether it means that there was no answer that can be judged."""
        return self in _FAILURES


_STATUS_OF = {
    Reason.LATEST_VERSION: Status.UP_TO_DATE,
    Reason.OUTDATED_VERSION: Status.NEEDS_SYNC,
    Reason.UNKNOWN_VERSION: Status.NEEDS_SYNC,
    Reason.MALFORMED_VERSION: Status.NEEDS_SYNC,
    Reason.NO_VERSION_RECORDED: Status.NEEDS_SYNC,
    Reason.TRAINER_RECORDED: Status.NEEDS_SYNC,
    Reason.TRAINING_NOT_RECORDED: Status.NEEDS_SYNC,
    Reason.FAILURE_NOT_RECORDED: Status.NEEDS_SYNC,
    Reason.VERSION_LOST: Status.NEEDS_SYNC,
    Reason.WRONG_WEIGHTS: Status.NEEDS_SYNC,
    Reason.WEIGHTS_GONE: Status.NEEDS_SYNC,
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


_FAILURES = frozenset(get_args(FailureReason))
TRANSIENT: frozenset[FailureReason] = frozenset(
    (Reason.RATE_LIMITED, Reason.SERVER_ERROR, Reason.TIMEOUT, Reason.NETWORK_ERROR)
)
"""Failures that may be gone at the next attempt. All others would only be repeated."""
RETRYABLE: frozenset[FailureReason] = TRANSIENT | {Reason.BAD_RESPONSE, Reason.UNAUTHORIZED}
"""What may have gone when a run is resumed; the last two with the proxy or the token that caused them."""


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


class NoLine(StrEnum):
    """Why a user without a completed row is in no line of a report, although the newest row was looked at."""

    REALLY_FAILED = "really_failed"
    """The training failed, the row says so, and Replicate has nothing to run."""
    STILL_RUNNING = "still_running"
    """So says Replicate."""
    NOTHING_KNOWN = "nothing_known"
    """Nothing could be asked, or what Replicate has tells nothing of the row."""


Format = Literal["html", "csv", "json", "md", "junit"]
"""Formats of reports, by the names that `-o` takes."""
FailOn = Literal["any", "new", "never"]
"""Which findings count for the exit code."""
OrderBy = Literal["updated_at", "completed_at", "created_at"]
"""The column that makes a training the latest."""
LatestPer = Literal["user", "model", "row"]
"""Who is judged: the latest completed row of each user, of each user and model, or every completed row."""
Mode = Literal["versions", "trainings"]
"""How an audit finds out: by asking for every model's versions, or by trainings where these are enough."""
