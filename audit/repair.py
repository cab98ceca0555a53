"""What `sync` is about: a change to one row, why a user is left out, what became of a change. All frozen."""

from enum import StrEnum
from typing import Literal

import msgspec

from audit.models import Reason

Weights = Literal["replaced", "same", "left_alone", "no_column"]
"""What happens to `lora_weights_url`. "left_alone": the latest version's own URL is not known."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `user_models`: what is in it, and what is to be. Times as in `models`."""

    user_id: str
    email: str | None
    model_row_id: str
    """The primary key, as text."""
    replicate_model_id: str
    reason: Reason
    old_version: str | None
    """`replicate_version_id` as recorded, byte for byte."""
    new_version: str
    """The latest version; in front of it the model where that is how the old one is recorded."""
    latest_version: str
    """The bare hash."""
    old_weights: str | None
    new_weights: str | None
    """Equal to the old one unless `weights` is "replaced"."""
    weights: Weights
    old_updated_at: str | None


class WhyLeftOut(StrEnum):
    """Why a user who needs a sync gets none."""

    SHARED_MODEL = "shared_model"
    RETRAINING_IN_PROGRESS = "retraining_in_progress"
    OWNER_DIFFERS_FROM_ACCOUNT = "owner_differs_from_account"
    RECORDED_MODEL_DIFFERS = "recorded_model_differs"
    UNKNOWN_VERSION = "unknown_version"
    """Unless it is included by name."""
    MALFORMED_VERSION = "malformed_version"
    """Unless it is included by name."""
    LATEST_NOT_KNOWN = "latest_not_known"
    TOO_OLD = "too_old"
    """The finding is; somebody may have trained since."""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A user who needs a sync and gets none."""

    user_id: str
    email: str | None
    model_row_id: str
    reason: Reason
    why: WhyLeftOut


class State(StrEnum):
    """How far a change has come, in the journal."""

    BEGUN = "begun"
    """Written down before it is tried: after a kill, the row says whether it was done."""
    DONE = "done"
    SKIPPED = "skipped"
    """The row, or the latest version, is not what it was; nothing was overwritten."""
    FAILED = "failed"
    """It could not be found out whether the change is still right."""
    UNDONE = "undone"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change."""

    why: str | None = None
    """In words for a person, where it was not done."""
    updated_at: str | None = None
    """Of the row after the change; a trigger may have set it."""
