"""Everything that is known of one user, before anything is concluded from it. Plain data and the plainest questions."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from audit.findings.rows import ClassifiedRow, RowClass
from audit.model.codes import OrderBy
from audit.model.findings import AuditedUser
from audit.model.replies import Account, Failed, Found, Missing, Training, Version, newest_first
from audit.model.tables import PLAIN, Column, Tables
from audit.model.times import parse_utc
from audit.model.users import Person, TrainingRow

_TRAINING_ID = re.compile("[A-Za-z0-9_-]{1,64}")
TrainingReply = Training | Missing | Failed


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What database and Replicate, or a run file, say."""

    person: Person
    rows: tuple[ClassifiedRow, ...] | None
    """The latest first; None where it is not known which rows there are."""
    user: AuditedUser | None = None
    """The record that counts and the verdict on it; None where no row counts."""
    found: Found | None = None
    """Every version, where Replicate was asked and answered."""
    trainings: Mapping[str, TrainingReply] = {}
    """What Replicate says of them, by their ids."""
    trainings_listed: bool = False
    """They are from the account's list of trainings; else they were asked for one by one."""
    missing_columns: frozenset[Column] = frozenset()
    order_by: OrderBy = "updated_at"
    tables: Tables = PLAIN
    account: Account | None = None
    """Whose token it is, where that is known."""

    @property
    def versions(self) -> tuple[Version, ...]:
        """As many as are known, newest first."""
        if self.found:
            return newest_first(self.found.versions)
        return self.user.finding.versions if self.user else ()

    @property
    def counting(self) -> TrainingRow | None:
        """The row that counts, where the rows are known."""
        return next((each.row for each in self.rows or () if each.verdict is RowClass.COUNTS), None)

    @property
    def later(self) -> tuple[ClassifiedRow, ...]:
        """Trainings that began no earlier than the one that counts and are not recorded as completed, latest first.

        As in the audit's SQL, a row without any date is taken to be later. Where no row counts, all are.
        """
        counting = self.counting
        unrecorded = (RowClass.NOT_COMPLETED, RowClass.NEAR_MISS)
        rows = [
            each
            for each in self.rows or ()
            if each.verdict in unrecorded
            and not each.row.is_test
            and not (counting and _before(each.row.started_at, counting.started_at))
        ]
        undated = datetime.max.replace(tzinfo=UTC)
        return tuple(sorted(rows, key=lambda each: parse_utc(each.row.started_at) or undated, reverse=True))

    def training(self, training_id: str | None) -> Training | None:
        """What Replicate says of this training, where it knows it."""
        reply = self.trainings.get(askable_training(training_id) or "")
        return reply if isinstance(reply, Training) else None


def askable_training(training_id: str | None) -> str | None:
    """The trimmed training id where it can be part of a URL as it stands, else None: any other is never sent."""
    trimmed = (training_id or "").strip()
    return trimmed if _TRAINING_ID.fullmatch(trimmed) else None


def _before(text: str | None, other: str | None) -> bool:
    first, second = parse_utc(text), parse_utc(other)
    return first is not None and second is not None and first < second
