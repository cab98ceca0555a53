"""The checklist for "up to date, but the photos are bad", each item with this user's value and a verdict."""

import msgspec

from audit.commands.user.case import UserCase
from audit.findings.classify import USUAL_LORA_SCALE
from audit.hints.trainings import shown_trainings
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.ids import askable_training, recorded_hash
from audit.model.references import Reference
from audit.model.text import escape_controls, shortened
from audit.model.times import to_minute
from audit.model.users import ModelRecord
from audit.model.weights import is_delivery_url


class Item(msgspec.Struct, frozen=True):
    """A question, with the answer for this user."""

    code: str
    question: str
    value: str | None
    """What is stored; null where nothing is."""
    good: bool | None
    """Null where it cannot be told from what is known."""
    verdict: str


Verdict = tuple[bool | None, str]
"""`good` and `verdict` of an item."""
_NO_COLUMN = "The table has no such column."
_NONE_STORED = "None is stored."
_ITS_OWN = "It is the output of the stored version's training."


def checklist(case: UserCase) -> tuple[Item, ...]:
    """All items, in the guide's order, the last one for a person to judge.

    Empty where no row counts, and where the trouble is a row that is not completed: no photos are made of that.
    """
    user = case.user
    if user is None or user.finding.unfinished:
        return ()
    record = user.record
    return (
        Item("hash", "Is the stored version the latest?", record.replicate_version_id, *_hash(user)),
        Item("trigger_word", "Is there a trigger word?", record.trigger_word, *_trigger_word(user, case)),
        Item("lora_scale", "Is the LoRA scale usual?", record.lora_scale, *_lora_scale(user, case)),
        Item(
            "weights_url",
            "Does the weights URL belong to the stored version?",
            record.lora_weights_url,
            *_weights(user, case),
        ),
        Item("later_training", "Did another training come later?", _later_row(case), *_later(user, case)),
        Item(
            "photos",
            "Are the training photos good?",
            None,
            None,
            "Not something this tool can check. If all else is right: use sharper, more varied photos, and retrain.",
        ),
    )


_LATEST = frozenset({Reason.LATEST_VERSION, Reason.WRONG_WEIGHTS, Reason.WEIGHTS_GONE})
"""Reasons of users whose version is the latest, whatever is wrong besides."""


def _hash(user: AuditedUser) -> Verdict:
    finding = user.finding
    if finding.reason in _LATEST:
        by_training = finding.evidence == "training"
        what = "the output of the model's last succeeded training" if by_training else "the latest one on Replicate"
        return True, f"It is {what}."
    if finding.reason is Reason.TRAINER_RECORDED:
        return None, "The stored model is a trainer; its versions say nothing about this user."
    if finding.status is Status.NEEDS_SYNC and finding.latest_version:
        behind = finding.versions_behind
        far = (
            f"It is {behind} version{'s' * (behind != 1)} behind" if behind else "It is not among the model's versions"
        )
        return False, f"{far}; the latest is {finding.latest_version[:12]}."
    if finding.reason is Reason.NO_VERSION_RECORDED:
        return False, _NONE_STORED
    return None, "The latest version is not known."


def _trigger_word(user: AuditedUser, case: UserCase) -> Verdict:
    word = user.record.trigger_word
    training = shown_trainings(user).current or case.training(user.record.training_id)
    used = training.trigger_word if training else None
    if "trigger_word" in case.missing_columns:
        return None, _NO_COLUMN + (f" The training used {_short(used)}." if used else "")
    if Note.MISSING_TRIGGER_WORD in user.finding.notes:
        return False, f"None is stored; the training used {_short(used)}." if used else _NONE_STORED
    if used and word and used.strip() != word.strip():
        return False, f"The training used {_short(used)}: prompts must contain that word."
    return True, ("It is the training's word." if used else "One is stored.") + " Prompts must contain it."


def _lora_scale(user: AuditedUser, case: UserCase) -> Verdict:
    least, most = USUAL_LORA_SCALE
    if "lora_scale" in case.missing_columns:
        return None, _NO_COLUMN
    if not (user.record.lora_scale or "").strip():
        return None, "None is stored: the product's default applies."
    if Note.UNUSUAL_LORA_SCALE in user.finding.notes:
        return (
            False,
            f"Usual is {least:g} to {most:g}: lower values weaken the likeness; higher ones distort the image.",
        )
    return True, f"It is between {least:g} and {most:g}."


def _weights(user: AuditedUser, case: UserCase) -> Verdict:
    record, notes = user.record, user.finding.notes
    if "lora_weights_url" in case.missing_columns:
        return None, _NO_COLUMN
    if user.finding.reason in {Reason.WRONG_WEIGHTS, Reason.WEIGHTS_GONE}:
        gone = user.finding.reason is Reason.WEIGHTS_GONE
        return False, f"{'They are gone' if gone else 'No'}: {_short(user.finding.detail)}."
    if Note.MISSING_WEIGHTS_URL in notes:
        return False, _NONE_STORED
    if Note.GUESSED_WEIGHTS_URL in notes:
        return False, "It contains a version's hash. Real URLs never do, so somebody built it."
    training = case.training(record.training_id)
    if training is None or training.weights is None or training.version is None:
        return _weights_by_lineage(user) or (None, _why_not_compared(user, case))
    if training.weights != (record.lora_weights_url or "").strip():
        return _another(record, f"The training's output is another one: {_short(training.weights)}")
    if training.version != recorded_hash(record.replicate_version_id):
        return False, f"They are the weights of version {training.version[:12]}, which is not the stored one."
    return True, _ITS_OWN


def _another(record: ModelRecord, put_out: str) -> Verdict:
    """Not the training's own URL: a reference says which version it means, and a product's own place says nothing."""
    reference = Reference.of(record.lora_weights_url)
    if reference and reference.version:
        right = reference.version == recorded_hash(record.replicate_version_id)
        other = f"It refers to version {reference.version[:12]}."
        return right, "It is a reference to the stored version." if right else other
    return (False if is_delivery_url(record.lora_weights_url) else None), put_out


def _weights_by_lineage(user: AuditedUser) -> Verdict | None:
    """For where the training that the row names says nothing; None where that of the recorded version is unknown."""
    current = shown_trainings(user).current
    if current and current.weights:
        if current.weights == (user.record.lora_weights_url or "").strip():
            return True, _ITS_OWN
        put_out = f"The output of the stored version's training is another one: {_short(current.weights)}"
        return _another(user.record, put_out)
    if Note.WEIGHTS_URL_OF_ANOTHER_VERSION in user.finding.notes:
        return False, "It is the output of another version's training."
    return None


def _why_not_compared(user: AuditedUser, case: UserCase) -> str:
    training_id = askable_training(user.record.training_id)
    if training_id is None:
        return "No training id is stored, so there is nothing to compare with."
    if training_id not in case.trainings:
        known = "is not in the list that was read" if case.trainings_listed else "was not read"
        return f"It was not built from a hash; the training {known}."
    training = case.training(training_id)
    if training is None:
        return "Replicate does not show the training to this token, so there is nothing to compare with."
    return f"The training is {_short(training.status)} and has no weights in its output."


def _later_row(case: UserCase) -> str | None:
    if not case.later:
        return None
    row = case.later[0].row
    return f"row {_short(row.model_row_id)}, {_short(row.training_status or '(null)')}"


def _later(user: AuditedUser, case: UserCase) -> Verdict:
    record, finding = user.record, user.finding
    if case.later:
        began = case.later[0].row.began
        return False, f"Yes, begun {to_minute(began)}." if began else "Yes, without a date."
    if record.later_training_failed:
        return False, "Yes, but it failed."
    if record.retraining_in_progress:
        return False, "Yes, but it has not ended."
    if finding.versions_behind:
        return False, "No row says so, but Replicate has a newer version than the stored one."
    if finding.reason in _LATEST:
        return True, "No."
    return None, "No row says so; Replicate's versions can't tell."


def _short(text: str | None) -> str:
    return shortened(escape_controls(text or ""), 300)
