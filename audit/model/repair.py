"""What `sync` is about: a change to one row, why a user is left out, what became of a change. All frozen."""

from collections.abc import Collection
from enum import StrEnum
from typing import Literal

import msgspec

from audit.model.codes import Note, Reason
from audit.model.tables import Column

Weights = Literal["replaced", "same", "to_be_looked_up", "left_alone", "no_column"]
"""What happens to `lora_weights_url`. "to_be_looked_up": the run does not know the version's own, and `--apply` asks
for the training; "left_alone": nobody uses the column, or the version alone is wanted."""


_COMPLETING = frozenset({Reason.TRAINING_NOT_RECORDED, Reason.VERSION_LOST})
"""Reasons that are of rows which are not completed: with no status, the version alone makes them so."""


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `user_models`: what is in it, and what is to be. Times as in `models`."""

    user_id: str
    email: str | None
    model_row_id: str
    """The primary key, as text."""
    replicate_model_id: str
    """Of the version to be recorded."""
    reason: Reason
    old_version: str | None
    """`replicate_version_id` as recorded, byte for byte."""
    new_version: str
    """The version to be recorded, with the model in front where that is the form of the column; the old one where that
    is right, and only the weights are not."""
    latest_version: str
    """Its bare hash."""
    old_weights: str | None
    new_weights: str | None
    """Equal to the old one unless `weights` is "replaced"."""
    weights: Weights
    old_updated_at: str | None
    notes: tuple[Note, ...] = ()
    """Those of the finding that are about weights, and whether a training made the latest version."""
    old_others: dict[Column, str | None] = {}
    new_others: dict[Column, str | None] = {}
    """What else is set: the model where it is another one, status and dates of a row that is made a completed one."""

    @property
    def completes(self) -> bool:
        """The row is made a completed one."""
        return Column.TRAINING_STATUS in self.new_others or self.reason in _COMPLETING

    @property
    def new(self) -> dict[Column, str | None]:
        """What it sets. Of weights that are yet to be looked up nothing."""
        found = dict(self.new_others)
        if self.new_version != self.old_version:
            found[Column.VERSION_ID] = self.new_version
        if self.weights == "replaced":
            found[Column.LORA_WEIGHTS_URL] = self.new_weights
        return found

    @property
    def old(self) -> dict[Column, str | None]:
        """What is in the columns that it sets, or may come to set."""
        found = dict(self.old_others)
        if self.new_version != self.old_version:
            found[Column.VERSION_ID] = self.old_version
        if self.weights in {"replaced", "to_be_looked_up"}:
            found[Column.LORA_WEIGHTS_URL] = self.old_weights
        return found


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
    TRAINING_NOT_RECORDED = "training_not_recorded"
    """Unless it is included by name."""
    VERSION_LOST = "version_lost"
    """Unless it is included by name."""
    TRAINER_RECORDED = "trainer_recorded"
    """Unless it is included by name."""
    FAILURE_NOT_RECORDED = "failure_not_recorded"
    """There is no version to record."""
    LATEST_NOT_KNOWN = "latest_not_known"
    TRAINING_NOT_KNOWN = "training_not_known"
    """The one that would tell the model."""
    TOO_OLD = "too_old"
    """The finding is; somebody may have trained since."""
    CHECKED_IN_FUTURE = "checked_in_future"
    """So says the finding: a clock is wrong, and its age is not known."""
    WEIGHTS_ELSEWHERE = "weights_elsewhere"
    """Unless the version alone is wanted: what the product keeps in a place of its own is never overwritten."""
    WEIGHTS_NOT_KNOWN = "weights_not_known"
    """Unless the version alone is wanted."""
    WEIGHTS_GONE = "weights_gone"
    """Those that the version's own training has put out."""
    OWNER_NOT_RECORDED = "owner_not_recorded"
    """The table has names of models alone, and this one's owner is another."""


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
    """What was in the columns that are set, as `audit.postgres.writing` can put it back."""
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
    puts_back: bool = False
    """What is set is not values, but what the statements have given as having been there."""
    over: dict[str, str | None] | None = None
    """Fields of `ModelRecord` of the user's newer row whose training is over, whatever the row says: as long as that is
    so, it is no retraining."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that are set, in the order of `SETTABLE`."""
        return in_order(self.sets)


SETTABLE = (
    Column.MODEL_ID,
    Column.VERSION_ID,
    Column.LORA_WEIGHTS_URL,
    Column.TRAINING_STATUS,
    Column.COMPLETED_AT,
    Column.UPDATED_AT,
)
"""Columns that a repair may set."""


def in_order(columns: Collection[Column]) -> tuple[Column, ...]:
    """Those of `columns` that a repair may set, in the order of `SETTABLE`."""
    return tuple(column for column in SETTABLE if column in columns)


def update_for(
    change: RowChange,
    guards: dict[Column, str | None],
    touch: str | None = None,
    over: dict[str, str | None] | None = None,
) -> RowUpdate:
    """`change` as an UPDATE, which sets `updated_at` to `touch` where that is a time."""
    sets = change.new
    if touch is not None:
        sets[Column.UPDATED_AT] = touch
    return RowUpdate(model_row_id=change.model_row_id, guards=guards, sets=sets, over=over)


def undo_for(change: RowChange, outcome: ChangeOutcome) -> RowUpdate | None:
    """What takes `change` back, which came to `outcome`; None where it is not known what that has left in the row."""
    return undo_of(change.model_row_id, outcome.deed or _older_deed(change, outcome))


def undo_of(row_id: str, deed: Deed) -> RowUpdate | None:
    """What takes `deed` back; None where it does not say what it has left in the row."""
    if deed.after is None:
        return None
    return RowUpdate(model_row_id=row_id, guards=deed.after, sets=deed.before, judged=False, puts_back=True)


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
