"""What was concluded about a user, and the counts of a run."""

from typing import Literal

import msgspec

from audit.model.codes import Note, Reason, Status
from audit.model.replies import Evidence, Lineage, Version, WeightsEvidence
from audit.model.users import ModelRecord

VERSIONS_SHOWN = 5
"""How many of a model's versions a finding keeps, newest first."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The verdict on one user."""

    reason: Reason
    detail: str | None = None
    current_version_created_at: str | None = None
    """When the recorded version was made, where Replicate has it."""
    latest_version: str | None = None
    latest_version_created_at: str | None = None
    versions_behind: int | None = None
    """How many versions are newer than the recorded one; null where the recorded one is not on Replicate."""
    total_versions: int | None = None
    """How many versions the model has; null where that is not known."""
    versions: tuple[Version, ...] = ()
    """The first `VERSIONS_SHOWN`, newest first."""
    notes: tuple[Note, ...] = ()
    evidence: Evidence | None = None
    """What the verdict rests on; null where Replicate has said nothing certain."""
    lineage: Lineage | None = msgspec.field(default=None, name="traced")  # so it is called in run files since 0.1
    """The trainings behind the versions; null where trainings were not read."""
    affected_since: str | None = None
    """Since when a user in need has had the wrong result; null where no date follows from the answers."""
    weights_checked: WeightsEvidence | None = None
    """How it was found out whether the recorded weights are those of the recorded version; null where it was not."""
    model: str | None = None
    """Of the training that stands in the model's place, the model; null where the row names a model itself."""
    unfinished: bool = False
    """It is about the newest row, which is not completed, and not about the one that counts."""
    also: "Finding | None" = None
    """What is wrong with the completed row besides, where the finding is about a newer one."""

    @property
    def status(self) -> Status:
        """Follows from the reason."""
        return self.reason.status

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """One, or two where the completed row needs attention as well."""
        return (self.reason, self.also.reason) if self.also else (self.reason,)


BaselineState = Literal["new", "known", "resolved"]
"""How a user compares with an earlier run: in need of attention since then, already then, or no more."""


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word that one kind of finding on a user or a model need not be acted on until some day."""

    user: str | None = None
    """Id or e-mail; null where it is about all users of `model`."""
    model: str | None = None
    """Beside a user it is that user's model alone that it is about; null for any."""
    reason: Reason
    version: str | None = None
    """The recorded version that it holds for; null for any."""
    because: str
    until: str
    """The last day on which it holds, in UTC: "2026-12-31"."""
    author: str | None = None
    also: Reason | None = None
    """What may be wrong with the completed row besides, where the finding is about a newer one."""
    training: str | None = None
    """The recorded training that it holds for; null for any."""

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """One, or both."""
        return (self.reason, self.also) if self.also else (self.reason,)


class Acceptances(msgspec.Struct, frozen=True, kw_only=True):
    """What was accepted when a run was made."""

    file: str
    """As a person would name it from the working directory."""
    entries: tuple[Acceptance, ...]
    """In the order of the file."""


class AuditedUser(msgspec.Struct, frozen=True):
    """One line of every report."""

    record: ModelRecord
    """The row that the finding is about."""
    finding: Finding
    baseline: BaselineState | None = None
    """Null without `--baseline`, and where there is nothing to mark."""
    accepted: Acceptance | None = None
    """What says that this finding need not be acted on; null where nothing does."""
    counting: ModelRecord | None = None
    """The completed row, where the finding is about a newer one and there is one."""

    @property
    def model_id(self) -> str | None:
        """The model, as recorded or as the training in its place names it."""
        return self.finding.model or self.record.replicate_model_id

    @classmethod
    def of(
        cls,
        record: ModelRecord,
        finding: Finding,
        baseline: BaselineState | None = None,
        accepted: Acceptance | None = None,
    ) -> "AuditedUser":
        """The line of the user whose record this is, with the row that the finding is about."""
        if finding.unfinished and record.newer:
            return cls(record.newer, finding, baseline, accepted, record)
        return cls(record, finding, baseline, accepted)


class Summary(msgspec.Struct, frozen=True):
    """Counts over the findings, made by the run file; totals are sums of these and nothing else."""

    statuses: dict[Status, int]
    """Every status has a key."""
    reasons: dict[Reason, int]
    """Only reasons that occur, largest first, then by name."""
    notes: dict[Note, int]
    """Only notes that occur, largest first, then by name."""
    also: dict[Reason, int] = {}
    """What is wrong with completed rows beside the findings on newer ones, counted as `reasons` are; in no total."""
    several: int | None = None
    """How many users have these lines, where one may have several; else null."""

    @property
    def total(self) -> int:
        """All lines of the run."""
        return sum(self.statuses.values())

    @property
    def users(self) -> int:
        """How many users have these lines."""
        return self.total if self.several is None else self.several
