"""The two tables that the audit reads: their columns, and what the database calls them and the states of a training.

A name that is not mapped stands in SQL as it is; one that is mapped is quoted there always, so its case and whatever
else is in it are kept, and it can be nothing but a name.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Literal, Self, get_args

import msgspec

from audit.model.codes import LatestPer, OrderBy
from audit.model.sql import enclosed, folded, literal, one_line, quoted
from audit.model.text import escape_controls, lower_ascii, shortened
from audit.model.users import TRIMMED

TableName = Literal["users", "user_models"]
TABLES: tuple[TableName, ...] = get_args(TableName)


class Column(StrEnum):
    """A column of either table, by the audit's name, with what is lost where the database has no such column."""

    lost: str
    """Empty for a column that every audit needs, and for those of which one or the other is enough."""

    def __new__(cls, name: str, lost: str = "") -> Self:  # noqa: D102 - a member is made from name and loss
        column = str.__new__(cls, name)
        column._value_ = name
        column.lost = lost
        return column

    ID = "id"
    EMAIL = "email", "reports name users by their ids"
    USER_ID = "user_id"
    TRAINING_STATUS = "training_status", "a row with a version counts as completed, and any other as not"
    MODEL_ID = "replicate_model_id"
    OWNER = "replicate_owner"
    NAME = "replicate_name"
    VERSION_ID = "replicate_version_id"
    UPDATED_AT = "updated_at", "another date decides which row is the latest"
    COMPLETED_AT = "completed_at", "reports cannot say when a training was recorded as completed"
    CREATED_AT = "created_at", "another date tells when a training began"
    TRAINING_ID = "training_id", "reports cannot name the training"
    TRIGGER_WORD = "trigger_word", "missing trigger words are not noticed"
    LORA_SCALE = "lora_scale", "unusual LoRA scales are not noticed"
    LORA_WEIGHTS_URL = "lora_weights_url", "missing and made-up weights URLs are not noticed"
    IS_TEST = "is_test", "test rows cannot be told apart and count like any other"
    MODEL_NAME = "model_name", "reports cannot name the model as the product does"
    FAILURE_REASON = "failure_reason", "why a later training failed is not said"
    STARTED_AT = "started_at", "the age of an unfinished training counts from the latest of its row's dates"
    DISPLAY_NAME = "display_name", "reports show no names"


COLUMNS: Mapping[TableName, tuple[Column, ...]] = {
    "users": (Column.ID, Column.EMAIL, Column.DISPLAY_NAME),
    "user_models": tuple(column for column in Column if column is not Column.EMAIL),
}
"""The columns of each table. A `display_name` in one of them is enough."""
REQUIRED: Mapping[TableName, tuple[Column, ...]] = {
    "users": (Column.ID,),
    "user_models": (Column.ID, Column.USER_ID),
}
"""Columns without which no table can be read; beside them a version or a model, and one date."""
DATES = tuple(map(Column, get_args(OrderBy)))
"""Columns that rows may be ordered by; one of them is needed. All are dates."""
NAMES_OF_MODELS = (Column.MODEL_ID, Column.VERSION_ID, Column.NAME)
"""Columns of which one is enough to know which version is recorded of which model."""
TIMES = (*DATES, Column.STARTED_AT)
"""All columns that are dates."""


class Table(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the two tables (or views), or the query that stands in its place."""

    name: TableName
    path: tuple[str, ...] = ()
    """Schema and name, or a name for the search path to find; () where it is called as the audit calls it."""
    mapped: tuple[tuple[str, str], ...] = ()
    """Columns that are called otherwise: the audit's name, the database's."""
    expressions: tuple[tuple[str, str], ...] = ()
    """Columns that are made from others: the audit's name, SQL over the table's own columns."""
    query: str | None = None
    """A SELECT that is read in the table's place."""
    absent: bool = False
    """There is no such table, says the config file: of `users` alone."""
    there: tuple[str, ...] | None = None
    """Columns that were found, by the audit's names; none where there is no table; null before anybody has looked."""

    @property
    def sql(self) -> str:
        """The table, as SQL names it."""
        return ".".join(map(quoted, self.path)) or self.name

    @property
    def source(self) -> str:
        """What is read, as it stands behind FROM."""
        return self.sql if self.query is None else f"(\n{self.query}\n) AS {quoted(self.name)}"

    @property
    def shown(self) -> str:
        """The table, for a person."""
        return f"table {self.sql}" if self.query is None else self.brief

    @property
    def brief(self) -> str:
        """The same in a sentence that is about tables anyway."""
        return self.sql if self.query is None else f"the query {self.name}"

    @property
    def is_absent(self) -> bool:
        """Whether there is no such table, as far as that is known."""
        return self.absent or self.there == ()

    def has(self, column: str) -> bool:
        """Whether there is such a column, or nobody has looked."""
        return self.there is None or column in self.there

    def expression(self, column: str) -> str | None:
        """The SQL that `column` is made by; None where it is a column of its own."""
        return dict(self.expressions).get(column)

    @property
    def own_name(self) -> str:
        """The name alone, without schema and quotes."""
        return self.path[-1] if self.path else self.name

    def called(self, column: str) -> str:
        """The database's name of `column`, without quotes."""
        return dict(self.mapped).get(column, column)

    def column(self, column: str) -> str:
        """`column`, as SQL names it, or the expression in its place."""
        made = self.expression(column)
        if made is not None:
            return f"({enclosed(made)})"
        own = dict(self.mapped).get(column)
        return column if own is None else quoted(own)

    def line(self, column: str) -> str:
        """The same on one line, for a person."""
        made = self.expression(column)
        return self.column(column) if made is None else one_line(made)


def key_of_column(table: TableName, column: str) -> str:
    """Where the config file says what a column is."""
    in_both = all(column in columns for columns in COLUMNS.values())
    return f"database.columns.{table}.{column}" if in_both else f"database.columns.{column}"


class TrainingState(StrEnum):
    """What a word of `training_status` means. Each is a field of `Tables`, and a key of the config file."""

    COMPLETED = "completed"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"


NULL = "(null)"
"""What stands for null where rows are counted by `training_status`."""
WHERE_WORDS_STAND = "[database] completed, in_progress or failed"
"""Where the config file says what words mean, for a person."""
_MEANT_COMPLETED = frozenset(
    ("completed", "complete", "succeeded", "success", "successful", "done", "finished", "ready")
)


class RepairTable(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a repair writes, as far as that is said; all else is the table and the columns that are read."""

    path: tuple[str, ...] = ()
    """Schema and name; () for the table that is read."""
    key: str | None = None
    """The column that holds the audit's `id`; null for the one that is read."""
    columns: tuple[tuple[str, str], ...] = ()
    """The audit's name, the column's."""
    paths: tuple[tuple[str, str], ...] = ()
    """The audit's name, and a path into a column of JSON: `output->>'version'`."""


VersionForm = Literal["hash", "qualified"]
"""How a version is recorded: the 64 digits, or `owner/name:` and them."""
UseOfWeights = Literal["judge", "ignore"]
"""What `lora_weights_url` is to the audit: a part of what is judged and repaired, or as good as not there."""


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """Both tables, and which words in `training_status` mean what.

    Completed is exactly a word of `completed`. The others are compared without blanks around them and without case, A
    to Z. Nothing but these methods compares a status with a word.
    """

    users: Table = Table("users")
    user_models: Table = Table("user_models")
    completed: tuple[str, ...] = ("completed",)
    in_progress: tuple[str, ...] = ("starting", "processing", "training", "pending", "queued", "running", "in_progress")
    failed: tuple[str, ...] = ("failed", "canceled", "cancelled", "aborted", "error")
    version_form: VersionForm | None = None
    """How a repair writes versions; null where that follows from the rows."""
    weights: UseOfWeights = "judge"
    owner: str | None = None
    """Of models that are recorded by their names alone."""
    where: str | None = None
    """Which rows of `user_models` there are as far as the audit is concerned: SQL over its own columns."""
    latest_per: LatestPer = "user"
    repair: RepairTable = RepairTable()

    def __getitem__(self, name: TableName) -> Table:
        return self.users if name == "users" else self.user_models

    @property
    def own_sql_keys(self) -> tuple[str, ...]:
        """Keys of the config file that have put SQL of its own into what is read."""
        both = (self.users, self.user_models)
        queries = [f"database.queries.{table.name}" for table in both if table.query is not None]
        made = [key_of_column(table.name, column) for table in both for column, _ in table.expressions]
        return (*queries, *(["database.where"] if self.where is not None else []), *made)

    @property
    def as_written(self) -> "Tables":
        """What the config file says, without what was found."""
        users, models = (msgspec.structs.replace(table, there=None) for table in (self.users, self.user_models))
        return msgspec.structs.replace(self, users=users, user_models=models)

    @property
    def completed_shown(self) -> str:
        """For a person: "'completed'", "'succeeded' or 'ready'"."""
        return shown_words(self.completed)

    def is_completed(self, status: str) -> str:
        """SQL that is true where the expression `status` is one of those words, and null where it is null."""
        words = ", ".join(map(literal, self.completed))
        return f"{status} = {words}" if len(self.completed) == 1 else f"{status} IN ({words})"

    def is_in(self, state: Literal[TrainingState.IN_PROGRESS, TrainingState.FAILED], status: str) -> str:
        """SQL that is true where the expression `status` means `state`, and null where it is null."""
        words = ", ".join(map(literal, dict.fromkeys(map(same_word, self.words(state)))))
        return f"{folded(f'{status}::text', literal(TRIMMED))} IN ({words})"

    def words(self, state: TrainingState) -> tuple[str, ...]:
        """Those that mean `state`, as the config file has them."""
        words: tuple[str, ...] = getattr(self, state.value)
        return words

    def state(self, status: str | None) -> TrainingState | None:
        """What `status` means; None for null and for a word that has no meaning, near misses among them."""
        if status is None or status in self.completed:
            return None if status is None else TrainingState.COMPLETED
        word = same_word(status)
        others = (TrainingState.IN_PROGRESS, TrainingState.FAILED)
        return next((state for state in others if word in map(same_word, self.words(state))), None)

    def is_near_miss(self, status: str | None) -> bool:
        """Whether a person would read `status` as completed, although it is none of those very words."""
        if status is None or self.state(status):
            return False
        meant = {*_MEANT_COMPLETED, *(word.casefold() for word in self.completed)}
        return status.strip(TRIMMED).casefold() in meant

    def unknown(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Of the rows by `training_status` those whose word has no meaning and is no near miss; null is no word."""
        return {
            word: count
            for word, count in counts.items()
            if word != NULL and not self.state(word) and not self.is_near_miss(word)
        }


def counting_rows(tables: Tables) -> str:
    """Which rows of `user_models` count, by the database's own names, for a person: "with status = 'done'…"."""
    models = tables.user_models
    parts = ["with a version"]
    if models.has(Column.TRAINING_STATUS):
        parts = [f"with {models.line(Column.TRAINING_STATUS)} = {tables.completed_shown}, exactly that word,"]
    if models.has(Column.IS_TEST):
        parts.append(f"{models.line(Column.IS_TEST)} not true")
    if tables.where is not None:
        parts.append(one_line(tables.where))
    return " and ".join(parts)


def shown_words(words: Iterable[str]) -> str:
    """For a person, as SQL writes them: "'succeeded' or 'ready'"."""
    return " or ".join(map(literal, words))


def shown_counts(counts: Mapping[str, int]) -> str:
    """For a person, the first eight, with control characters spelled out: "12 archived, 3 paused"."""
    words = (shortened(escape_controls(word), 60) if word.strip() else "(blank)" for word in counts)
    listed = [f"{count:,} {word}" for word, count in zip(words, counts.values(), strict=True)]
    more = f", and {len(listed) - 8:,} more" if len(listed) > 8 else ""
    return ", ".join(listed[:8]) + more


def same_word(status: str) -> str:
    """What two words have in common that differ only in blanks around them and in the case of A to Z."""
    return lower_ascii(status.strip(TRIMMED))


class WrittenTable(msgspec.Struct, frozen=True):
    """What the catalog has of the table that a repair writes to."""

    name: str
    """With its schema, as SQL writes it."""
    types: dict[str, str]
    """By the database's names."""


class ColumnTypes(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that were found, by the audit's names, with their types as in pg_type (of domains the type beneath).

    For SQL that is written when nobody is connected.
    """

    users: dict[Column, str]
    user_models: dict[Column, str]
    fixed: dict[Column, str] = {}
    """Columns that nobody can set, and why: clauses."""
    denied: tuple[Column, ...] = ()
    """Columns that the role of the audit may not set."""
    role: str = ""
    """As SQL writes it."""
    written: WrittenTable | None = None
    """Null where what is read says all of it, and where there is no such table."""


PLAIN = Tables()
"""Everything is called as the audit calls it."""
