"""What is recorded of one user, as labels and values."""

from audit import hints
from audit.models import Finding, ModelRecord
from audit.report.html_words import instant

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
