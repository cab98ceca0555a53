"""The trainings behind a user's versions, and the words that every format has for them."""

from collections.abc import Mapping
from operator import attrgetter
from typing import NamedTuple

import msgspec

from audit.model.findings import AuditedUser
from audit.model.ids import recorded_hash
from audit.model.replies import Evidence, Training


class TrainingLine(msgspec.Struct, frozen=True):
    """A training as JSON has it: every key is there, null or not."""

    id: str
    status: str
    weights: str | None
    trigger_word: str | None
    error: str | None
    created_at: str | None
    completed_at: str | None


class ShownTrainings(NamedTuple):
    """Each is None where it is not known."""

    current: TrainingLine | None
    """Made the recorded version, also where that is the latest one: it is the same object as `latest` then."""
    latest: TrainingLine | None
    """Made the latest version."""
    later: TrainingLine | None
    """Named by a row that is newer than the one that counts."""


BASIS: Mapping[Evidence, str] = {
    "versions": "The model's versions on Replicate.",
    "training": "A training: the last one that made a version of the model, or the one named by the newest row. The "
    "model's versions were not read, so a version pushed or deleted by hand is not noticed.",
}
"""What a verdict rests on."""
MADE_BOTH = "Made the stored version, which is the latest"
MADE_CURRENT = "Made the stored version"
MADE_LATEST = "Made the latest version"
LATER = "Later training"
WENT: Mapping[str, str] = {
    "succeeded": LATER,
    "failed": f"{LATER}, which failed",
    "canceled": f"{LATER}, which was canceled",
    "aborted": f"{LATER}, which was aborted",
}
"""The later training, by its status; with any other one it has not ended."""
GOING_ON = f"{LATER}, which had not ended"
NONE_MADE = "None of the trainings that were read made the stored or the latest version."


def shown_trainings(user: AuditedUser) -> ShownTrainings:
    """The trainings behind the finding; all None where trainings were not read."""
    lineage = user.finding.lineage
    if lineage is None:
        return _NONE
    latest = _line(lineage.latest)
    recorded = recorded_hash(user.record.replicate_version_id)
    is_latest = recorded is not None and recorded == user.finding.latest_version
    return ShownTrainings(latest if is_latest else _line(lineage.current), latest, _line(lineage.later))


def labelled(trainings: ShownTrainings) -> tuple[tuple[str, TrainingLine], ...]:
    """Each training that is known, once, with what it did."""
    current, latest, later = trainings
    if current and current is latest:
        found = [(MADE_BOTH, current)]
    else:
        found = [(label, each) for label, each in ((MADE_CURRENT, current), (MADE_LATEST, latest)) if each]
    if later and later.id not in {training.id for _, training in found}:
        found.append((WENT.get(later.status, GOING_ON), later))
    return tuple(found)


_NONE = ShownTrainings(None, None, None)


_fields = attrgetter(*TrainingLine.__struct_fields__)


def _line(training: Training | None) -> TrainingLine | None:
    return None if training is None else TrainingLine(*_fields(training))
