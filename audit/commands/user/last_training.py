"""What became of a user's last training, in the words of those who debug retrainings. Pure."""

from enum import StrEnum

import msgspec

from audit.commands.user.evidence import Evidence
from audit.findings.rows import UNFINISHED, ClassifiedRow, RowClass
from audit.hints.trainings import shown_trainings
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.ids import recorded_hash
from audit.model.replies import Training
from audit.model.text import backticked, escape_controls, shortened
from audit.model.times import parse_utc, to_minute


class Outcome(StrEnum):
    """The outcomes of the debugging guide for several trainings (the first three), and what else there is."""

    RECORDED = "recorded"
    HAD_ISSUES = "had_issues"
    NOT_RECORDED = "not_recorded"
    IN_PROGRESS = "in_progress"
    SINGLE = "single"
    NO_TRAINING = "no_training"
    UNKNOWN = "unknown"


class LastTraining(msgspec.Struct, frozen=True):
    """The outcome, and why it is that one."""

    outcome: Outcome
    title: str
    why: str


_TITLES = {
    Outcome.RECORDED: "The last training succeeded and is recorded.",
    Outcome.HAD_ISSUES: "The last training had issues.",
    Outcome.NOT_RECORDED: "The last training succeeded, but was not recorded.",
    Outcome.IN_PROGRESS: "The last training has not ended yet.",
    Outcome.SINGLE: "There is one training, and it is recorded.",
    Outcome.NO_TRAINING: "There is no training that could count.",
    Outcome.UNKNOWN: "What became of the last training cannot be told.",
}


def last_training(evidence: Evidence) -> LastTraining:
    """Which outcome holds. Where a newer version lies on Replicate than is recorded, it is never "recorded"."""
    outcome, why = _outcome(evidence)
    return LastTraining(outcome, _TITLES[outcome], why)


def _outcome(evidence: Evidence) -> tuple[Outcome, str]:
    if evidence.rows is None:
        return _without_rows(evidence)
    later = evidence.later
    if later:
        return _after(later[0], evidence)
    if evidence.user is None:
        if not evidence.rows:
            return Outcome.NO_TRAINING, f"{escape_controls(evidence.tables.user_models.sql)} has no row of this user."
        return Outcome.NO_TRAINING, "No row of this user counts; the reasons stand beside the rows."
    return _compared(evidence.user, evidence)


def _without_rows(evidence: Evidence) -> tuple[Outcome, str]:
    """From a run file, which has the row that counts and only knows of the others."""
    user = evidence.user
    if user is None:
        return Outcome.NO_TRAINING, "No row of this user counts."
    record = user.record
    if user.finding.status is not Status.NEEDS_SYNC:
        later = user.finding.lineage and user.finding.lineage.later
        if later:
            return _listed(later, user)
        if record.retraining_in_progress:
            return Outcome.IN_PROGRESS, "A later training was pending or running when the run was made."
        if record.later_training_failed:
            return Outcome.HAD_ISSUES, f"A later training failed: {_short(record.later_failure_reason)}."
    return _compared(user, evidence)


def _listed(later: Training, user: AuditedUser) -> tuple[Outcome, str]:
    """What Replicate's list said of the training that a later row names, which does not say that it is completed."""
    name = f"Training {_short(later.id)}, which a later row names,"
    if later.succeeded:
        if later.version == recorded_hash(user.record.replicate_version_id):
            return Outcome.RECORDED, f"{name} made the recorded version."
        return Outcome.NOT_RECORDED, f"{name} succeeded on Replicate and made version {(later.version or '')[:12]}."
    if later.status in _WENT:
        cause = f": {_short(later.error)}" if later.error else ""
        return Outcome.HAD_ISSUES, f"{name} {_WENT[later.status]}{cause}."
    return Outcome.IN_PROGRESS, f"{name} was {_short(later.status)} when the run was made."


def _after(last: ClassifiedRow, evidence: Evidence) -> tuple[Outcome, str]:
    """The training that began last is not the one that counts: what its row says, and what Replicate says of it."""
    row = last.row
    began = f", begun {to_minute(row.started_at)}," if row.started_at else ""
    name, status = f"Row {_short(row.model_row_id)}{began}", _short(row.training_status or "(null)")
    training = evidence.training(row.training_id)
    if training and training.version and training.version in _recorded(evidence):
        return Outcome.RECORDED, f"{name} says {status}, but the version of its training is the recorded one."
    if last.verdict is RowClass.NEAR_MISS:
        words = backticked(evidence.tables.completed)
        return Outcome.NOT_RECORDED, f"{name} says `{status}`, which no program takes for {words}."
    if training and training.status == "succeeded":
        made = f" and made version {training.version[:12]}" if training.version else ""
        return Outcome.NOT_RECORDED, f"{name} still says {status}; Replicate says that its training succeeded{made}."
    newer = _newer_version_since(row.started_at, evidence)
    if newer:
        return Outcome.NOT_RECORDED, f"{name} still says {status}, but {newer}"
    if training and training.status in {"failed", "canceled"}:
        cause = f": {_short(training.error)}" if training.error else ""
        says = f"{name} says {status}; Replicate says that its training {_WENT[training.status]}{cause}."
        return Outcome.HAD_ISSUES, says + _besides(evidence)
    if row.training_status in UNFINISHED:
        says = f"says {_short(training.status)} too" if training else "cannot say more of it"
        return Outcome.IN_PROGRESS, f"{name} says {status}; Replicate {says}.{_besides(evidence)}"
    cause = f": {_short(row.failure_reason)}" if row.failure_reason else ""
    return Outcome.HAD_ISSUES, f"{name} says {status}{cause}.{_besides(evidence)}"


_WENT = {"failed": "failed", "canceled": "was canceled"}


def _compared(user: AuditedUser, evidence: Evidence) -> tuple[Outcome, str]:
    """The last training is the one that counts: what is recorded of it?"""
    finding = user.finding
    only = len(evidence.rows or (1,)) == 1 and finding.total_versions == 1 and not user.record.older_completed
    if finding.reason is Reason.LATEST_VERSION:
        if only:
            return Outcome.SINGLE, "One training row, one version on Replicate, and it is the recorded one."
        if finding.evidence == "training":
            return Outcome.RECORDED, "The version of the row that counts is what the model's last training put out."
        return Outcome.RECORDED, "The version of the row that counts is the newest one on Replicate."
    if finding.status is Status.NEEDS_SYNC and finding.latest_version:
        why = _unrecorded(finding.latest_version, finding.latest_version_created_at, evidence)
        if made := shown_trainings(user).latest:
            why += f" Training {_short(made.id)} made it and succeeded on Replicate."
        if Note.SHARED_MODEL in finding.notes:
            return Outcome.UNKNOWN, f"{why} But the model is shared, so it may be the face of another user."
        return Outcome.NOT_RECORDED, why
    if finding.reason is Reason.NO_VERSION_RECORDED:
        return Outcome.NOT_RECORDED, "The row says completed, and no version is recorded."
    return Outcome.UNKNOWN, "Replicate's versions of the model are not known; the reason for that stands above."


def _unrecorded(latest: str, made: str | None, evidence: Evidence) -> str:
    newest = f"The newest version, {latest[:12]}" + (f", made {to_minute(made)}," if made else ",")
    if not evidence.rows:
        return f"{newest} is not the recorded one."
    for each in evidence.rows:
        row = each.row
        if recorded_hash(row.replicate_version_id) == latest:
            return f"{newest} is recorded in row {_short(row.model_row_id)}, which does not count: {each.why}."
    return f"{newest} is recorded in no row of this user."


def _newer_version_since(started: str | None, evidence: Evidence) -> str | None:
    """Words for a version that was made after a training began and is not recorded, where there is one."""
    finding = evidence.user.finding if evidence.user else None
    if finding is None or finding.status is not Status.NEEDS_SYNC or not finding.latest_version:
        return None
    if Note.SHARED_MODEL in finding.notes:
        return None  # it may be another user's
    began, made = parse_utc(started), parse_utc(finding.latest_version_created_at)
    if began is None or made is None or made < began:
        return None
    return f"version {finding.latest_version[:12]} was made since, {to_minute(finding.latest_version_created_at)}."


def _besides(evidence: Evidence) -> str:
    user = evidence.user
    if user is None or user.finding.status is not Status.NEEDS_SYNC or not user.finding.latest_version:
        return ""
    return f" Besides, the newest version on Replicate, {user.finding.latest_version[:12]}, is not the recorded one."


def _recorded(evidence: Evidence) -> set[str | None]:
    return {recorded_hash(evidence.user.record.replicate_version_id)} if evidence.user else set()


def _short(text: str | None) -> str:
    return shortened(escape_controls(text), 200) if text else "(no reason recorded)"
