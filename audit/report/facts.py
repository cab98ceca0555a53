"""What is recorded of one user, and what is known of the trainings behind it, as labels and values."""

from audit.hints import filled as hints
from audit.hints.trainings import NONE_MADE, TrainingLine, labelled, shown_trainings
from audit.model.findings import AuditedUser, Finding
from audit.model.users import ModelRecord
from audit.report.words import instant

NOT_RECORDED = "none recorded"
_REPLICATE = "https://replicate.com/"


def model_page(record: ModelRecord) -> str | None:
    """The only address away from the page that a report links to: the model on Replicate."""
    url = hints.model_url(record)
    return url if url and url.startswith(_REPLICATE) else None


def facts(record: ModelRecord, finding: Finding) -> list[tuple[str, str]]:
    """Label and value of what is recorded; what is not there is left out."""
    total = finding.total_versions
    told = [
        ("User id", record.user_id),
        ("E-mail", record.email),
        ("Name", record.display_name),
        ("Model id", record.replicate_model_id),
        ("Recorded version", record.replicate_version_id),
        ("Recorded version made", instant(finding.current_version_created_at)),
        ("Row of user_models", record.model_row_id),
        ("Training", record.training_id),
        ("Trigger word", record.trigger_word or NOT_RECORDED),
        ("LoRA scale", record.lora_scale or NOT_RECORDED),
        ("Weights URL", record.lora_weights_url or NOT_RECORDED),
        ("Created", instant(record.created_at)),
        ("Updated", instant(record.updated_at)),
        ("Completed", instant(record.completed_at)),
        ("Versions on Replicate", "" if total is None else f"{total:,}"),
        *rare_facts(record),
    ]
    return [(label, value) for label, value in told if value]


def rare_facts(record: ModelRecord) -> list[tuple[str, str]]:
    """Label and value of what few users have."""
    told = []
    if record.model_name:
        told.append(("Model name", record.model_name))
    if record.older_completed:
        told.append(("Older completed models", f"{record.older_completed:,}"))
    if record.later_failure_reason:
        told.append(("Later training failed", record.later_failure_reason))
    if record.shared_with_count:
        names = ", ".join(record.shared_with)
        more = record.shared_with_count - len(record.shared_with)
        told.append(("Model shared with", f"{names} and {more:,} more" if more > 0 else names))
    return told


def training_facts(training: TrainingLine) -> list[tuple[str, str]]:
    """Label and value of what Replicate says of a training; what it does not say is left out."""
    told = [
        ("Training", training.id),
        ("Ended as", training.status),
        ("Why", training.error),
        ("Trigger word used", training.trigger_word),
        ("Real weights URL", training.weights),
        ("Begun", instant(training.created_at)),
        ("Ended", instant(training.completed_at)),
    ]
    return [(label, value) for label, value in told if value]


def brief_trainings(user: AuditedUser) -> list[tuple[str, str]]:
    """The same in a line for each training: what differs from what is recorded. Nothing where none were read."""
    record, finding = user.record, user.finding
    if finding.lineage is None:
        return []
    basis = [("Verdict rests on", "its training")] if finding.evidence == "training" else []
    told = []
    for label, training in labelled(shown_trainings(user)):
        recorded = (record.training_id, record.trigger_word, record.lora_weights_url)
        parts = [
            f"{name} {value}".lstrip()
            for (name, value), same in zip(_brief(training), recorded, strict=True)
            if value and value != same
        ]
        ended = [f"{training.status}: {training.error}"] if training.error else []
        told.append((label, ", ".join([*(parts or ["the recorded one"]), *ended])))
    return basis + (told or [("Trainings", NONE_MADE)])


def _brief(training: TrainingLine) -> tuple[tuple[str, str | None], ...]:
    return ("", training.id), ("trigger word", training.trigger_word), ("weights", training.weights)
