"""What a repair may do, said once more and plainly: rows as dictionaries, and rules about them without any SQL."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

Row = dict[str, Any]
Rows = Mapping[int, Row]
VERSION, WEIGHTS, UPDATED = "replicate_version_id", "lora_weights_url", "updated_at"
COMPLETED = frozenset({"replicate_model_id", VERSION, WEIGHTS, "training_status", "completed_at"})
"""What is set in a row that is made a completed one, beside `updated_at` where it would not count without."""
GUARDED = (
    "user_id",
    "is_test",
    "training_status",
    "replicate_model_id",
    VERSION,
    WEIGHTS,
    "training_id",
    UPDATED,
    "completed_at",
    "created_at",
)
IN_PROGRESS = "training"


def guarded(row: Row | None) -> Row | None:
    """What a decision rests on, of the row itself."""
    return row and {name: row[name] for name in GUARDED}


def model_key(row: Row) -> str:
    """Equal for the same model."""
    return (row["replicate_model_id"] or "").strip().lower()


def counting(rows: Rows) -> dict[str, Row]:
    """The row that counts, by user."""
    found: dict[str, Row] = {}
    for row in sorted(rows.values(), key=lambda row: (row[UPDATED] or "", row["completed_at"] or "", row["id"])):
        if row["training_status"] == "completed" and not row["is_test"]:
            found[row["user_id"]] = row
    return found


def began(row: Row) -> str:
    """When the last training of a row began, as far as it says so."""
    return max(row["created_at"] or "", row[UPDATED] or "", row["completed_at"] or "")


def newest_open(rows: Rows) -> dict[str, Row]:
    """The newest row that is not completed, by user, where it is newer than the one that counts or the only one."""
    counts, found = counting(rows), dict[str, Row]()
    for row in sorted(rows.values(), key=lambda row: (began(row), row["id"])):
        user, is_open = row["user_id"], row["training_status"] != "completed" and not row["is_test"]
        if is_open and (row["training_status"] in {IN_PROGRESS, "failed"} or not row[VERSION]):
            one = counts.get(user)
            if one is None or row["created_at"] >= one["created_at"] or began(row) > began(one):
                found[user] = row
    return found


def stands_against_completing(rows: Rows, row_id: int, model: str) -> str | None:
    """Why other rows forbid that this one is made a completed one that has `model`."""
    opened, row = newest_open(rows), rows.get(row_id)
    if row is None or opened.get(row["user_id"], {}).get("id") != row_id:
        return "it is not its user's newest open row"
    owners = [*counting(rows).values(), *opened.values()]
    if any(model_key(other) == model and other["user_id"] != row["user_id"] for other in owners):
        return "somebody else has the model"
    return None


def stands_against(rows: Rows, row_id: int, over: Rows | None = None) -> str | None:
    """Why other rows forbid that this one is changed. In `over` is what an audit has seen.

    Of a row that is as it saw it, and names a training, it has asked Replicate whether that goes on; here none does.
    """
    counts = counting(rows)
    row = rows.get(row_id)
    if row is None or counts.get(row["user_id"], {}).get("id") != row_id:
        return "it does not count"
    trained = [
        each
        for each in rows.values()
        if each["training_status"] == IN_PROGRESS
        and not each["is_test"]
        and not (over and each["training_id"] and guarded(over.get(each["id"])) == guarded(each))
    ]
    if any(each["user_id"] == row["user_id"] and each["created_at"] >= row["created_at"] for each in trained):
        return "a newer one is in progress"
    if any(model_key(other) == model_key(row) for user, other in counts.items() if user != row["user_id"]):
        return "somebody else has the model"
    return None


class Undone(Enum):
    """Whether a deed is still to be taken back."""

    NO = auto()
    MAYBE = auto()
    """The program may not know that it was."""
    YES = auto()


@dataclass
class Deed:
    """What a repair has made of a row."""

    before: Row
    after: Row
    touched: bool
    undone: Undone = Undone.NO


@dataclass(frozen=True)
class Latest:
    """Of a model on Replicate."""

    version: str
    weights: str


@dataclass
class Run:
    """An audit, and what came of its repair."""

    name: str
    seen: Rows
    """The table at that time."""
    latest: Mapping[str, Latest]
    """By the model's key, at that time."""
    deeds: dict[int, Deed] = field(default_factory=dict)
    """By the row, the last one of each."""
    has_moved: bool = False
    """The database has, so they say."""

    def wanted(self, row: Row) -> tuple[str, str] | None:
        """Version and weights that a row gets whose model has changed since, or whose weights are another version's."""
        latest = self.latest.get(model_key(row))
        if latest is None or row[VERSION] is None:
            return None
        model, colon, version = row[VERSION].rpartition(":")
        right = version == latest.version and row[WEIGHTS] == latest.weights
        return None if right else (model + colon + latest.version, latest.weights)

    def not_justified(self, row_id: int, judged: Rows) -> str | None:
        """Why this run may not change a row; None where it may."""
        seen = self.seen.get(row_id)
        if seen is None or self.wanted(seen) is None:
            return "nothing was wrong with it"
        if guarded(judged.get(row_id)) != guarded(seen):
            return "it is not what the audit saw"
        return stands_against(self.seen, row_id, self.seen) or stands_against(judged, row_id, self.seen)

    def not_to_be_completed(self, row_id: int, judged: Rows, model: str) -> str | None:
        """Why this run may not make a row a completed one that has `model`; None where it may."""
        seen = self.seen.get(row_id)
        if seen is None or seen["training_status"] == "completed":
            return "it was one"
        if guarded(judged.get(row_id)) != guarded(seen):
            return "it is not what the audit saw"
        return stands_against_completing(self.seen, row_id, model) or stands_against_completing(judged, row_id, model)


def differences(old: Row, new: Row) -> set[str]:
    """The columns that are not the same."""
    return {name for name in old if old[name] != new[name]}


def up_to_date(rows: Rows, users: Iterable[str], latest: Mapping[str, Latest]) -> set[str]:
    """Of `users` those whose row that counts has the latest version."""
    counts = counting(rows)
    found = set[str]()
    for user in users:
        row = counts.get(user)
        known = latest.get(model_key(row)) if row else None
        if row and known and (row[VERSION] or "").rpartition(":")[2] == known.version:
            found.add(user)
    return found
