"""What `sync` is about: a change to one row, why a user is left out, what became of a change. All frozen."""

from enum import StrEnum
from typing import Literal

import msgspec

from audit.model.codes import Note, Reason
from audit.model.tables import Column

Weights = Literal["replaced", "same", "left_alone", "no_column"]
"""What happens to `lora_weights_url`. "left_alone": the latest version's own URL is not known."""


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
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
    notes: tuple[Note, ...] = ()
    """Those of the finding that are about weights, and whether a training made the latest version."""


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


class ChangeState(StrEnum):
    """How far a change has come, in the journal."""

    BEGUN = "begun"
    """Written down before it is tried: after a kill, the row says whether it was done."""
    DONE = "done"
    SKIPPED = "skipped"
    """The row, or the latest version, is not what it was; nothing was overwritten."""
    FAILED = "failed"
    """It could not be found out whether the change is still right."""
    UNDONE = "undone"


class ChangeOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change."""

    why: str | None = None
    """In words for a person, where it was not done."""
    updated_at: str | None = None
    """Of the row after the change; a trigger may have set it."""
    touched: bool = False
    """The change itself sets `updated_at`, and so undoing it puts the old one back."""


class RowUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be in one row, and what has to be in it until then. Everything else in it stays as it is."""

    model_row_id: str
    old_version: str | None
    new_version: str | None
    old_weights: str | None
    new_weights: str | None
    sets_weights: bool
    """Else the column is not named in the UPDATE; it is a guard in any case."""
    old_updated_at: str | None
    guards_updated_at: bool = True
    """Else it may be anything: nobody knows what a trigger makes of it in a change that has yet to be made."""
    new_updated_at: str | None = None
    sets_updated_at: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that are set."""
        weights = (Column.LORA_WEIGHTS_URL,) if self.sets_weights else ()
        updated_at = (Column.UPDATED_AT,) if self.sets_updated_at else ()
        return (Column.VERSION_ID, *weights, *updated_at)


def update_for(change: RowChange, touch: str | None = None) -> RowUpdate:
    """`change` as an UPDATE, which sets `updated_at` to `touch` where that is a time."""
    return RowUpdate(
        model_row_id=change.model_row_id,
        old_version=change.old_version,
        new_version=change.new_version,
        old_weights=change.old_weights,
        new_weights=change.new_weights,
        sets_weights=change.weights == "replaced",
        old_updated_at=change.old_updated_at,
        new_updated_at=touch,
        sets_updated_at=touch is not None,
    )


def undo_for(change: RowChange, outcome: ChangeOutcome | None) -> RowUpdate:
    """What takes `change` back, which came to `outcome`; None where that is not known yet."""
    outcome, known = outcome or ChangeOutcome(), outcome is not None
    return RowUpdate(
        model_row_id=change.model_row_id,
        old_version=change.new_version,
        new_version=change.old_version,
        old_weights=change.new_weights,
        new_weights=change.old_weights,
        sets_weights=change.weights == "replaced",
        old_updated_at=outcome.updated_at,
        guards_updated_at=known,
        new_updated_at=change.old_updated_at if outcome.touched else None,
        sets_updated_at=outcome.touched,
    )
