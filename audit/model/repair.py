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
    CHECKED_IN_FUTURE = "checked_in_future"
    """So says the finding: a clock is wrong, and its age is not known."""


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
    """Written down before it is tried: after a kill, the server says whether the transaction was committed."""
    DONE = "done"
    SKIPPED = "skipped"
    """The row, or the latest version, is not what it was; nothing was overwritten."""
    FAILED = "failed"
    """It could not be found out whether the change is still right."""
    UNDONE = "undone"


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction has made of one row. It is a deed once that is committed."""

    txid: str
    """Of the transaction, as `txid_current()` gives it."""
    before: dict[Column, str | None]
    """What was in the columns that are set, as PostgreSQL writes it."""
    after: dict[Column, str | None] | None = None
    """What stands in the guarded columns at the end of the transaction, whatever triggers have made of them; null until
    the row was updated."""
    moved_from: str | None = None
    """What `--moved-from` said of the place, where it was given."""


class ChangeOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change."""

    why: str | None = None
    """In words for a person, where it was not done."""
    deed: Deed | None = None
    """Null where nothing was written, and in journals of older versions, which have the next two instead."""
    updated_at: str | None = None
    """Of the row after the change; a trigger may have set it."""
    touched: bool = False
    """The change itself sets `updated_at`, and so undoing it puts the old one back."""


class RowUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be in one row, and what has to be in it until then. Everything else in it stays as it is."""

    model_row_id: str
    guards: dict[Column, str | None]
    """All that has to be as it was, in the words of `audit.postgres.update.guard_expressions`."""
    sets: dict[Column, str | None]
    judged: bool = True
    """It rests on the audit of a user, so other rows count as well: see `audit.postgres.update`. An undo does not."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that are set, in the order of `SETTABLE`."""
        return tuple(column for column in SETTABLE if column in self.sets)


SETTABLE = (Column.VERSION_ID, Column.LORA_WEIGHTS_URL, Column.UPDATED_AT)
"""Columns that a repair may set."""


def columns_set(weights: Weights) -> tuple[Column, ...]:
    """Those that a change sets, by what happens to the weights URL."""
    return (Column.VERSION_ID, Column.LORA_WEIGHTS_URL) if weights == "replaced" else (Column.VERSION_ID,)


def update_for(change: RowChange, guards: dict[Column, str | None], touch: str | None = None) -> RowUpdate:
    """`change` as an UPDATE, which sets `updated_at` to `touch` where that is a time."""
    new = {Column.VERSION_ID: change.new_version, Column.LORA_WEIGHTS_URL: change.new_weights}
    sets = {column: new[column] for column in columns_set(change.weights)}
    if touch is not None:
        sets[Column.UPDATED_AT] = touch
    return RowUpdate(model_row_id=change.model_row_id, guards=guards, sets=sets)


def undo_for(change: RowChange, outcome: ChangeOutcome) -> RowUpdate | None:
    """What takes `change` back, which came to `outcome`; None where it is not known what that has left in the row."""
    return undo_of(change.model_row_id, outcome.deed or _older_deed(change, outcome))


def undo_of(row_id: str, deed: Deed) -> RowUpdate | None:
    """What takes `deed` back; None where it does not say what it has left in the row."""
    if deed.after is None:
        return None
    return RowUpdate(model_row_id=row_id, guards=deed.after, sets=deed.before, judged=False)


def _older_deed(change: RowChange, outcome: ChangeOutcome) -> Deed:
    """What an older version has noted as done, which has kept no transaction."""
    after: dict[Column, str | None] = {Column.VERSION_ID: change.new_version}
    before: dict[Column, str | None] = {Column.VERSION_ID: change.old_version}
    if change.weights != "no_column":
        after[Column.LORA_WEIGHTS_URL] = change.new_weights
    if change.weights == "replaced":
        before[Column.LORA_WEIGHTS_URL] = change.old_weights
    if outcome.touched:
        before[Column.UPDATED_AT] = change.old_updated_at
    return Deed(txid="0", before=before, after={**after, Column.UPDATED_AT: outcome.updated_at})
