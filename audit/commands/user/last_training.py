"""What became of a user's last training, in the words of the debugging guide."""

from enum import StrEnum

import msgspec

from audit.commands.user.case import UserCase
from audit.findings.rows import ClassifiedRow, RowClass
from audit.hints.trainings import shown_trainings
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser, Finding
from audit.model.ids import recorded_hash
from audit.model.replies import IN_PROGRESS, Training
from audit.model.tables import WHERE_WORDS_STAND, TrainingState
from audit.model.text import backticked, escape_controls, shortened
from audit.model.times import parse_utc, to_minute


class TrainingOutcome(StrEnum):
    """The guide's three outcomes for a user with several trainings, then those for which it has no name."""

    RECORDED = "recorded"
    HAD_ISSUES = "had_issues"
    NOT_RECORDED = "not_recorded"
    IN_PROGRESS = "in_progress"
    SINGLE = "single"
    NO_TRAINING = "no_training"
    UNKNOWN = "unknown"


class LastTraining(msgspec.Struct, frozen=True):
    """The outcome, and one sentence or two on why it is that one."""

    outcome: TrainingOutcome
    title: str
    why: str


_TITLES = {
    TrainingOutcome.RECORDED: "The last training succeeded and is stored.",
    TrainingOutcome.HAD_ISSUES: "The last training has problems.",
    TrainingOutcome.NOT_RECORDED: "The last training succeeded, but was not stored.",
    TrainingOutcome.IN_PROGRESS: "The last training has not ended yet.",
    TrainingOutcome.SINGLE: "There is one training, and it is stored.",
    TrainingOutcome.NO_TRAINING: "There is no training that counts.",
    TrainingOutcome.UNKNOWN: "It is not known how the last training ended.",
}


def last_training(case: UserCase) -> LastTraining:
    """Which outcome holds: never "recorded" where Replicate has a newer version than the recorded one."""
    outcome, why = _outcome(case)
    return LastTraining(outcome, _TITLES[outcome], why)


def _outcome(case: UserCase) -> tuple[TrainingOutcome, str]:
    if case.rows is None:
        return _without_rows(case)
    if case.later:
        return _after(case.later[0], case)
    if case.user:
        return _compared(case.user, case)
    if case.rows:
        return TrainingOutcome.NO_TRAINING, "No row of this user counts; each row shows why."
    return TrainingOutcome.NO_TRAINING, f"{_table(case)} has no row of this user."


def _table(case: UserCase) -> str:
    """What is read, at the beginning of a sentence."""
    table = case.tables.user_models
    return escape_controls(table.sql) if table.query is None else f"The query {table.name}"


def _without_rows(case: UserCase) -> tuple[TrainingOutcome, str]:
    """For a run file: it has the row that counts, and of later rows only whether one failed or goes on."""
    user = case.user
    if user is None:
        return TrainingOutcome.NO_TRAINING, "No row of this user counts."
    record = user.record
    if user.finding.status is not Status.NEEDS_SYNC:
        later = user.finding.lineage and user.finding.lineage.later
        if later:
            return _listed(later, case)
        if record.retraining_in_progress:
            return TrainingOutcome.IN_PROGRESS, "A later training was pending or running when the run was made."
        if record.later_training_failed:
            return TrainingOutcome.HAD_ISSUES, f"A later training failed: {_short(record.later_failure_reason)}."
    return _compared(user, case)


def _listed(later: Training, case: UserCase) -> tuple[TrainingOutcome, str]:
    """A later row that is not completed names a training, and Replicate's list has it."""
    name = f"Training {_short(later.id)}, which a later row names,"
    if later.succeeded:
        if later.version == case.recorded:
            return TrainingOutcome.RECORDED, f"{name} made the stored version."
        made = f"made version {(later.version or '')[:12]}"
        return TrainingOutcome.NOT_RECORDED, f"{name} succeeded on Replicate and {made}."
    if later.status in _WENT:
        return TrainingOutcome.HAD_ISSUES, f"{name} {_WENT[later.status]}{_cause(later.error)}."
    return TrainingOutcome.IN_PROGRESS, f"{name} was {_short(later.status)} when the run was made."


def _after(last: ClassifiedRow, case: UserCase) -> tuple[TrainingOutcome, str]:
    """The training that began last is not the one that counts: what its row and Replicate say of it."""
    row = last.row
    began = f", begun {to_minute(row.began)}," if row.began else ""
    name, status = f"Row {_short(row.model_row_id)}{began}", _short(row.training_status or "(null)")
    training = case.training(row.training_id)
    if training and training.version and training.version == case.recorded:
        return TrainingOutcome.RECORDED, f"{name} says {status}, but its training made the stored version."
    if last.verdict is RowClass.NEAR_MISS:
        words = backticked(case.tables.completed)
        return TrainingOutcome.NOT_RECORDED, f"{name} says `{status}`, which does not count as {words}."
    if training and training.status == "succeeded":
        made = f" and made version {training.version[:12]}" if training.version else ""
        succeeded = f"Replicate says that its training succeeded{made}"
        return TrainingOutcome.NOT_RECORDED, f"{name} still says {status}; {succeeded}."
    if newer := _newer_version_since(row.began, case):
        return TrainingOutcome.NOT_RECORDED, f"{name} still says {status}, but {newer}"
    if training and training.status in _WENT:
        went = f"its training {_WENT[training.status]}{_cause(training.error)}"
        says = f"{name} says {status}; Replicate says that {went}."
        return TrainingOutcome.HAD_ISSUES, says + _unrecorded_besides(case)
    state = case.tables.state(row.training_status)
    if state is not TrainingState.FAILED:
        says = f"says {_short(training.status)} too" if training else "does not say more"
        if state is None:
            says = says.removesuffix(" too")
            status += f", which is none of the words in {WHERE_WORDS_STAND} of the config file"
        going_on = training.status in IN_PROGRESS if training else state is TrainingState.IN_PROGRESS
        outcome = TrainingOutcome.IN_PROGRESS if going_on else TrainingOutcome.UNKNOWN
        return outcome, f"{name} says {status}; Replicate {says}.{_unrecorded_besides(case)}"
    says = f"{name} says {status}{_cause(row.failure_reason)}."
    return TrainingOutcome.HAD_ISSUES, says + _unrecorded_besides(case)


_WENT = {"failed": "failed", "canceled": "was canceled", "aborted": "was aborted"}


def _compared(user: AuditedUser, case: UserCase) -> tuple[TrainingOutcome, str]:
    """The training that began last is the one that counts: whether Replicate has a newer version than it recorded."""
    finding = user.finding
    if other := _unfinished(user) if finding.unfinished else _beside_the_version(finding):
        return other
    only = len(case.rows or (1,)) == 1 and finding.total_versions == 1 and not user.record.older_completed
    if finding.reason is Reason.LATEST_VERSION:
        if only:
            return TrainingOutcome.SINGLE, "One training row, one version on Replicate, and it is the stored one."
        if finding.evidence == "training":
            put_out = "the output of the model's last training"
            return TrainingOutcome.RECORDED, f"The version of the row that counts is {put_out}."
        return TrainingOutcome.RECORDED, _NEWEST
    if finding.status is Status.NEEDS_SYNC and finding.latest_version:
        why = _unrecorded(finding.latest_version, finding.latest_version_created_at, case)
        if made := shown_trainings(user).latest:
            why += f" Training {_short(made.id)} made it and succeeded on Replicate."
        if Note.SHARED_MODEL in finding.notes:
            return TrainingOutcome.UNKNOWN, f"{why} But the model is shared, so it may show another user."
        return TrainingOutcome.NOT_RECORDED, why
    if finding.reason is Reason.NO_VERSION_RECORDED:
        return TrainingOutcome.NOT_RECORDED, "The row says completed, but no version is stored."
    why = "The model's versions on Replicate are not known; the reason is above."
    return TrainingOutcome.UNKNOWN, why


def _beside_the_version(finding: Finding) -> tuple[TrainingOutcome, str] | None:
    """Where not the version is wrong, but the weights or the model; None for any other trouble."""
    if finding.reason in {Reason.WRONG_WEIGHTS, Reason.WEIGHTS_GONE}:
        wrong = "are gone" if finding.reason is Reason.WEIGHTS_GONE else "are not that version's"
        return TrainingOutcome.RECORDED, f"{_NEWEST} Its weights {wrong}: {_short(finding.detail)}."
    if finding.reason is Reason.TRAINER_RECORDED:
        made = finding.lineage and finding.lineage.latest
        why = f" Training {_short(made.id)} made version {(made.version or '')[:12]}." if made else ""
        return TrainingOutcome.NOT_RECORDED, f"The row that counts has a trainer as its model.{why}"
    return None


_NEWEST = "The version of the row that counts is the latest one on Replicate."
_OUTCOMES = {
    Reason.TRAINING_NOT_RECORDED: TrainingOutcome.NOT_RECORDED,
    Reason.VERSION_LOST: TrainingOutcome.HAD_ISSUES,
    Reason.FAILURE_NOT_RECORDED: TrainingOutcome.HAD_ISSUES,
    Reason.TRAINER_RECORDED: TrainingOutcome.NOT_RECORDED,
}


def _unfinished(user: AuditedUser) -> tuple[TrainingOutcome, str]:
    """The newest row is not completed, and the finding is about it."""
    outcome = _OUTCOMES.get(user.finding.reason, TrainingOutcome.UNKNOWN)
    detail = user.finding.detail or "the run ended before it was checked"
    return outcome, f"Row {_short(user.record.model_row_id)}: {escape_controls(detail)}."


def _unrecorded(latest: str, made: str | None, case: UserCase) -> str:
    newest = f"The latest version, {latest[:12]}" + (f", made {to_minute(made)}," if made else ",")
    if not case.rows:
        return f"{newest} is not the stored one."
    for each in case.rows:
        row = each.row
        if recorded_hash(row.replicate_version_id) == latest:
            return f"{newest} is stored in row {_short(row.model_row_id)}, which does not count: {each.why}."
    return f"{newest} is not stored in any row of this user."


def _newer_version_since(started: str | None, case: UserCase) -> str | None:
    """The clause on a version that was made after a training began and is not recorded; None where there is none."""
    finding = case.user.finding if case.user else None
    latest = _unrecorded_version(case)
    if finding is None or latest is None:
        return None
    if Note.SHARED_MODEL in finding.notes:
        return None  # it may be another user's
    began, made = parse_utc(started), parse_utc(finding.latest_version_created_at)
    if began is None or made is None or made < began:
        return None
    return f"version {latest[:12]} was made since, {to_minute(finding.latest_version_created_at)}."


def _unrecorded_besides(case: UserCase) -> str:
    latest = _unrecorded_version(case)
    return f" Also, the latest version on Replicate, {latest[:12]}, is not the stored one." if latest else ""


def _unrecorded_version(case: UserCase) -> str | None:
    """The version that would have to be recorded and is not; None where there is none, or it is not known."""
    finding = case.user.finding if case.user else None
    if finding is None or finding.status is not Status.NEEDS_SYNC or finding.latest_version == case.recorded:
        return None
    return finding.latest_version


def _cause(text: str | None) -> str:
    return f": {_short(text)}" if text else ""


def _short(text: str | None) -> str:
    return shortened(escape_controls(text), 200) if text else "(no reason recorded)"
