"""One user whole: the nouns of `sync-audit user` that a database, a run file and Replicate fill in. All frozen."""

import msgspec


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a WHO may mean."""

    user_id: str
    email: str | None = None
    display_name: str | None = None
    in_users: bool = True
    """False where only `user_models` has this user id: no audit ever looks at such rows."""


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

    @property
    def started_at(self) -> str | None:
        """When the training began, as far as the row says so; the same rule as in the audit's SQL."""
        return self.created_at or self.completed_at or self.updated_at
