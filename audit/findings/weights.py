"""Whether recorded weights are those of the recorded version, as far as trainings tell, and still there. Pure.

Only what is certain is said: products may keep weights in places of their own.
"""

from collections.abc import Sequence

import msgspec

from audit.findings.classify import RunContext
from audit.model.codes import Reason
from audit.model.findings import Finding
from audit.model.references import Reference
from audit.model.replies import Training, WeightsAnswer
from audit.model.tables import Column
from audit.model.users import TRIMMED, ModelRecord
from audit.model.weights import is_delivery_url, is_made_up


def with_weights(
    record: ModelRecord, finding: Finding, own: Training | None, known: Sequence[Training], context: RunContext
) -> Finding:
    """`finding`, which says that the latest version is recorded, with what the trainings say of the weights.

    `own` is the training that made the version, `known` those that may have put out the recorded URL.
    """
    if own is None or Column.LORA_WEIGHTS_URL in context.missing_columns:
        return finding
    recorded = (record.lora_weights_url or "").strip(TRIMMED)
    why = _why_wrong(recorded, own, known, context)
    if why:
        return msgspec.structs.replace(
            finding,
            reason=Reason.WRONG_WEIGHTS,
            detail=why,
            weights_checked="training",
            affected_since=own.completed_at,
        )
    reference = Reference.of(recorded)
    right = recorded and (recorded == own.weights or (reference and reference.version == own.version))
    return msgspec.structs.replace(finding, weights_checked="training") if right else finding


def asked_for(finding: Finding, answer: WeightsAnswer) -> Finding:
    """`finding`, which says up to date, with what asking for the recorded weights has told."""
    if answer.told == "gone":
        return msgspec.structs.replace(
            finding, reason=Reason.WEIGHTS_GONE, detail=answer.detail, weights_checked="request"
        )
    if answer.told == "there" and finding.weights_checked is None:  # that a training put them out says more
        return msgspec.structs.replace(finding, weights_checked="request")
    return finding


def _why_wrong(recorded: str, own: Training, known: Sequence[Training], context: RunContext) -> str | None:
    if not recorded:
        wanted = own.weights and context.weights_are_usual
        return "none are recorded, and most completed rows have some" if wanted else None
    if recorded == own.weights:
        return None
    reference = Reference.of(recorded)
    if reference and reference.version:
        return None if reference.version == own.version else f"a reference to version {reference.version[:12]}"
    if not is_delivery_url(recorded):
        return None
    other = next((each for each in known if each.weights == recorded and each.version != own.version), None)
    if other:
        made = f", which made version {other.version[:12]}" if other.version else ""
        return f"training {other.id} put them out{made}"
    return "a URL that was made up from a version's hash" if is_made_up(recorded) else None
