"""The guide's points for "up to date, but the pictures are poor", each with this user's value and a verdict. Pure."""

import msgspec

from audit.commands.user.evidence import Evidence, askable_training
from audit.findings.classify import USUAL_LORA_SCALE
from audit.hints.trainings import shown_trainings
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.ids import recorded_hash
from audit.model.text import escape_controls, shortened
from audit.model.times import to_minute


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One point."""

    code: str
    question: str
    value: str | None
    """What is recorded; null where nothing is."""
    good: bool | None
    """Null where it cannot be told from what is known."""
    verdict: str


def points(user: AuditedUser, evidence: Evidence) -> tuple[Item, ...]:
    """All points, in the guide's order; the last one only a person can judge."""
    return (
        _hash(user),
        _trigger_word(user, evidence),
        _lora_scale(user, evidence),
        _weights(user, evidence),
        _later(user, evidence),
        Item(
            code="photos",
            question="Are the training photos good?",
            value=None,
            good=None,
            verdict="Nothing here knows. If all else is right: sharper, more varied photos, and retrain.",
        ),
    )


def _hash(user: AuditedUser) -> Item:
    finding, recorded = user.finding, user.record.replicate_version_id
    good: bool | None
    if finding.reason is Reason.LATEST_VERSION:
        by_training = finding.evidence == "training"
        what = "what the model's last succeeded training put out" if by_training else "the newest one on Replicate"
        good, verdict = True, f"It is {what}."
    elif finding.status is Status.NEEDS_SYNC and finding.latest_version:
        behind = finding.versions_behind
        far = (
            f"It is {behind} version{'s' * (behind != 1)} behind" if behind else "It is not among the model's versions"
        )
        good, verdict = False, f"{far}; the newest is {finding.latest_version[:12]}."
    elif finding.reason is Reason.NO_VERSION_RECORDED:
        good, verdict = False, "None is recorded."
    else:
        good, verdict = None, "The newest one is not known."
    return Item(code="hash", question="Is the recorded version the latest?", value=recorded, good=good, verdict=verdict)


def _trigger_word(user: AuditedUser, evidence: Evidence) -> Item:
    word = user.record.trigger_word
    training = shown_trainings(user).current or evidence.training(user.record.training_id)
    used = training.trigger_word if training else None
    good: bool | None
    if "trigger_word" in evidence.missing_columns:
        good, verdict = None, "The table has no such column." + (f" The training used {_short(used)}." if used else "")
    elif Note.MISSING_TRIGGER_WORD in user.finding.notes:
        good, verdict = False, f"None is recorded; the training used {_short(used)}." if used else "None is recorded."
    elif used and word and used.strip() != word.strip():
        good, verdict = False, f"The training used {_short(used)}: prompts must contain that."
    else:
        good, verdict = (
            True,
            ("It is the training's own." if used else "One is recorded.") + " Prompts must contain it.",
        )
    return Item(code="trigger_word", question="Is there a trigger word?", value=word, good=good, verdict=verdict)


def _lora_scale(user: AuditedUser, evidence: Evidence) -> Item:
    scale = user.record.lora_scale
    least, most = USUAL_LORA_SCALE
    good: bool | None
    if "lora_scale" in evidence.missing_columns:
        good, verdict = None, "The table has no such column."
    elif not (scale or "").strip():
        good, verdict = None, "None is recorded: the product's own default applies."
    elif Note.UNUSUAL_LORA_SCALE in user.finding.notes:
        good, verdict = False, f"Usual is {least:g} to {most:g}: less fades the face, more breaks the picture."
    else:
        good, verdict = True, f"It is between {least:g} and {most:g}."
    return Item(code="lora_scale", question="Is the LoRA scale usual?", value=scale, good=good, verdict=verdict)


def _weights(user: AuditedUser, evidence: Evidence) -> Item:
    good, verdict = _weights_verdict(user, evidence)
    return Item(
        code="weights_url",
        question="Does the weights URL belong to the recorded version?",
        value=user.record.lora_weights_url,
        good=good,
        verdict=verdict,
    )


def _weights_verdict(user: AuditedUser, evidence: Evidence) -> tuple[bool | None, str]:
    record, notes = user.record, user.finding.notes
    if "lora_weights_url" in evidence.missing_columns:
        return None, "The table has no such column."
    if Note.MISSING_WEIGHTS_URL in notes:
        return False, "None is recorded."
    if Note.GUESSED_WEIGHTS_URL in notes:
        return False, "It contains a version's hash, so it was made up: real ones never do."
    training = evidence.training(record.training_id)
    if training is None or training.weights is None or training.version is None:
        return _by_origin(user) or (None, _why_not_compared(user, evidence))
    if training.weights != (record.lora_weights_url or "").strip():
        return False, f"The training put out another one: {_short(training.weights)}"
    if training.version != recorded_hash(record.replicate_version_id):
        return False, f"They are the weights of version {training.version[:12]}, which is not the recorded one."
    return True, _ITS_OWN


def _by_origin(user: AuditedUser) -> tuple[bool, str] | None:
    """The verdict where the training that the row names says nothing, and the recorded version's own one is known."""
    current = shown_trainings(user).current
    if current and current.weights:
        if current.weights == (user.record.lora_weights_url or "").strip():
            return True, _ITS_OWN
        return False, f"The training of the recorded version put out another one: {_short(current.weights)}"
    if Note.WEIGHTS_URL_OF_ANOTHER_VERSION in user.finding.notes:
        return False, "It is what the training of another version put out."
    return None


_ITS_OWN = "It is what the training of the recorded version put out."


def _why_not_compared(user: AuditedUser, evidence: Evidence) -> str:
    training_id = askable_training(user.record.training_id)
    if training_id is None:
        return "No training id is recorded, so there is nothing to compare with."
    if training_id not in evidence.trainings:
        known = "is not among those that were read" if evidence.trainings_listed else "was not asked for"
        return f"It is not made from a hash; the training {known}."
    training = evidence.training(training_id)
    if training is None:
        return "Replicate does not show the training to this token, so there is nothing to compare with."
    return f"The training is {_short(training.status)} and has put out no weights."


def _later(user: AuditedUser, evidence: Evidence) -> Item:
    record, finding, later = user.record, user.finding, evidence.later
    good: bool | None = False
    value = None
    if later:
        row = later[0].row
        value = f"row {_short(row.model_row_id)}, {_short(row.training_status or '(null)')}"
        verdict = f"Yes, begun {to_minute(row.started_at)}." if row.started_at else "Yes, without a date."
    elif record.retraining_in_progress or record.later_training_failed:
        verdict = "Yes, one that failed." if record.later_training_failed else "Yes, and it had not ended."
    elif finding.versions_behind:
        verdict = "No row says so, but Replicate has a newer version than the recorded one."
    elif finding.reason is Reason.LATEST_VERSION:
        good, verdict = True, "No."
    else:
        good, verdict = None, "No row says so; Replicate's versions cannot tell."
    return Item(
        code="later_training", question="Did another training come later?", value=value, good=good, verdict=verdict
    )


def _short(text: str | None) -> str:
    return shortened(escape_controls(text or ""), 300)
