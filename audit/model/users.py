"""What the database says of a user and of the population."""

from operator import attrgetter
from typing import Protocol

import msgspec

from audit.model.personal import without_addresses
from audit.model.text import BYTES, are_bytes

TRIMMED = " \t\n\r\f\v"
"""What is trimmed from model ids and versions: ASCII white space, so that SQL and Python agree."""
STUCK_AFTER = 6 * 3600.0
"""Seconds after which a row in progress is asked about, unless told otherwise: the slowest trainers take hours."""
SHARED_SHOWN = 5
"""How many of the other users of a shared model a record names."""


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one training row that counts for a user, as recorded, and what the user's other rows say."""

    user_id: str
    email: str | None
    display_name: str | None
    model_row_id: str
    row_user_id: str | None = None
    """The user as the row names it; null where that is `user_id`."""
    training_status: str | None = None
    """The row's word for completed; null in files of older versions."""
    is_test: bool | None = None
    """Null in files of older versions."""
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
    started_at: str | None = None
    """Null also where the table has no such column."""
    began_at: str | None = None
    """From when the age of an unfinished row counts: `started_at`, else the latest of its dates."""
    failure_reason: str | None = None
    """Of the row itself."""
    unfinished: bool = False
    """The row is not completed: it is the newest of the user, and has been in progress for long, has failed, or has no
    version."""
    newer: "ModelRecord | None" = None
    """The unfinished row that is newer than this one, which is completed."""
    older_completed: int = 0
    """Completed rows of this user that are hidden because this one is newer."""
    other_models: int | None = None
    """How many other models those rows have, none of which is judged; null without such rows, and in older files."""
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

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Fields of the row and of its user in whose place the database has bytes that are no text."""
        if BYTES not in "\n".join(filter(None, _texts_of_one_row(self))):
            return ()  # at once, as in nearly every row
        return tuple(name for name in _OF_ONE_ROW if are_bytes(getattr(self, name)))


ROW_TEXTS = (
    "training_status",
    "replicate_model_id",
    "replicate_version_id",
    "training_id",
    "trigger_word",
    "lora_scale",
    "lora_weights_url",
    "model_name",
    "failure_reason",
)
"""Fields of `ModelRecord` that are columns of the row, and texts."""
_OF_ONE_ROW = ("user_id", "email", "display_name", "model_row_id", "row_user_id", *ROW_TEXTS)
"""Fields of `ModelRecord` that are texts as one row and its user have them."""
_texts_of_one_row = attrgetter(*_OF_ONE_ROW)


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
    """Completed rows hidden by a newer one of their user, or of their user and model: all that are in no line."""
    completed_without_model_id: int
    """Completed rows that count whose model id is null or blank."""
    test_models_left_out: int
    """Completed rows left out because `is_test` is true; 0 with `--include-tests`."""
    models_without_user: int
    """Completed rows whose user is not in `users`; they are in no other count but `training_status`."""
    users_with_unfinished_training: int = 0
    """Users with an unfinished row that an audit looks at; see `ModelRecord.unfinished`."""
    users_with_unfinished_only: int = 0
    """Those of them who have no completed row that counts."""
    completed_with_weights: int = 0
    """Completed rows that count and have something in `lora_weights_url`."""
    completed_with_version: int = 0
    """The same with something in `replicate_version_id`."""
    completed_qualified: int = 0
    """Those of them with the model in front of the hash."""
    users_with_several_models: int = 0
    """Users whose completed rows that count have more than one model."""
    completed_lines: int | None = None
    """Lines about completed rows in a report of everybody; null where each user has one."""
    unfinished_only_lines: int | None = None
    """Lines about unfinished rows beside which there is no completed one in that report; the same."""

    @property
    def lines_completed(self) -> int:
        """Lines about completed rows in a report of everybody."""
        return self.users_with_completed_model if self.completed_lines is None else self.completed_lines

    @property
    def lines_unfinished_only(self) -> int:
        """Lines that such a report could have beside them; some unfinished rows are in none."""
        if self.unfinished_only_lines is None:
            return self.users_with_unfinished_only
        return self.unfinished_only_lines

    @property
    def weights_are_usual(self) -> bool:
        """Whether most completed rows have weights."""
        return self.completed_with_weights * 2 > self.completed_models

    training_status: dict[str, int]
    """Rows per `training_status`, test rows included; null is "(null)". Largest first, then by name."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a WHO may mean."""

    user_id: str
    email: str | None = None
    display_name: str | None = None
    in_users: bool = True
    """False where only `user_models` has this user id: no audit ever looks at such rows."""


class Named(Protocol):
    """A record, a person, a change: whatever has a user's id and e-mail."""

    @property
    def user_id(self) -> str:
        """Never empty."""

    @property
    def email(self) -> str | None:
        """None or blank where there is none; `a***@***` where it is masked."""


def email_or_id(user: Named, *, redacted: bool = False) -> str:
    """What to call a user: the e-mail, or the id where there is none or where it is masked (`a***@***` is nobody).

    Where it is masked, addresses within the id are, too.
    """
    if redacted:
        return without_addresses(user.user_id)
    return user.email if user.email and user.email.strip() else user.user_id


class TrainingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `user_models`, as recorded; what the table has no column for is null."""

    model_row_id: str
    training_status: str | None
    replicate_model_id: str | None = None
    replicate_version_id: str | None = None
    training_id: str | None = None
    trigger_word: str | None = None
    lora_scale: str | None = None
    lora_weights_url: str | None = None
    is_test: bool = False
    failure_reason: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    completed_at: str | None = None
    started_at: str | None = None
    """Null also where the table has no such column."""

    @property
    def began(self) -> str | None:
        """When the training began, as far as the row says so; the same rule as in the audit's SQL."""
        return self.started_at or self.created_at or self.completed_at or self.updated_at
