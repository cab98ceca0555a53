"""What the database calls that which the audit calls `users`, `user_models`, their columns, and completed.

A name that is not mapped stands in SQL as it is; one that is mapped is quoted there always, so its case and whatever
else is in it are kept, and it can be nothing but a name.
"""

from typing import Literal, get_args

import msgspec

TableName = Literal["users", "user_models"]
TABLES: tuple[TableName, ...] = get_args(TableName)
COLUMNS: dict[TableName, tuple[str, ...]] = {
    "users": ("id", "email", "display_name"),
    "user_models": (
        *("id", "user_id", "training_status", "replicate_model_id", "replicate_version_id"),
        *("updated_at", "completed_at", "created_at"),
        *("training_id", "trigger_word", "lora_scale", "lora_weights_url", "is_test", "model_name", "failure_reason"),
        "display_name",
    ),
}
"""All that are read, by the audit's names."""


class Table(msgspec.Struct, frozen=True):
    """One of the two tables (or views)."""

    name: TableName
    path: tuple[str, ...] = ()
    """Schema and name, or a name for the search path to find; () where it is called as the audit calls it."""
    mapped: tuple[tuple[str, str], ...] = ()
    """Columns that are called otherwise: the audit's name, the database's."""

    @property
    def sql(self) -> str:
        """The table, as SQL names it."""
        return ".".join(map(quoted, self.path)) or self.name

    @property
    def own_name(self) -> str:
        """Without schema and quotes."""
        return self.path[-1] if self.path else self.name

    def called(self, column: str) -> str:
        """The database's name of `column`, without quotes."""
        return dict(self.mapped).get(column, column)

    def column(self, column: str) -> str:
        """`column`, as SQL names it."""
        own = dict(self.mapped).get(column)
        return column if own is None else quoted(own)


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """Both tables, and which words in `training_status` mean that a training has completed."""

    users: Table = Table("users")
    user_models: Table = Table("user_models")
    completed: tuple[str, ...] = ("completed",)

    def __getitem__(self, name: TableName) -> Table:
        return self.users if name == "users" else self.user_models

    @property
    def completed_shown(self) -> str:
        """For a person: "'completed'", "'succeeded' or 'ready'"."""
        return " or ".join(map(literal, self.completed))

    def is_completed(self, status: str) -> str:
        """SQL that is true where the expression `status` is one of those words, and null where it is null."""
        words = ", ".join(map(literal, self.completed))
        return f"{status} = {words}" if len(self.completed) == 1 else f"{status} IN ({words})"


PLAIN = Tables()
"""Everything is called as the audit calls it."""


def quoted(name: str) -> str:
    """`name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a literal that means the same whatever `standard_conforming_strings` says."""
    doubled = text.replace("'", "''")
    if "\\" not in doubled:
        return f"'{doubled}'"
    spelled = doubled.replace("\\", "\\\\")
    return f"E'{spelled}'"
