"""Where a user's versions come from: the trainings behind a finding, in the words that every format shares. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from audit.model.findings import AuditedUser
from audit.model.ids import recorded_hash
from audit.model.replies import Evidence, Training


class TrainingLine(msgspec.Struct, frozen=True):
    """A training as every format tells of it; in JSON with every key."""

    id: str
    status: str
    weights: str | None
    trigger_word: str | None
    error: str | None
    created_at: str | None
    completed_at: str | None


class Origins(NamedTuple):
    """Each is None where it is not known."""

    current: TrainingLine | None
    """It made the recorded version, also where that is the latest one."""
    latest: TrainingLine | None
    later: TrainingLine | None
    """The one that a newer row than the one that counts names."""


BASIS: Mapping[Evidence, str] = {
    "versions": "The model's versions, which Replicate was asked for.",
    "training": "The training that made the recorded version: no later one put a version into the model. The versions "
    "were not asked for, so one that was pushed or deleted by hand does not show.",
}
"""What a verdict rests on."""
MADE_BOTH = "Made the recorded version, which is the latest"
MADE_CURRENT = "Made the recorded version"
MADE_LATEST = "Made the latest version"
LATER = "Later training"
WENT: Mapping[str, str] = {
    "succeeded": LATER,
    "failed": f"{LATER}, which failed",
    "canceled": f"{LATER}, which was canceled",
}
"""By its status; any other one has not ended."""
GOING_ON = f"{LATER}, which had not ended"
NONE_MADE = "Of the trainings that were read, none made the recorded or the latest version."


def origins(user: AuditedUser) -> Origins:
    """The trainings behind the finding; all None where trainings were not read."""
    traced = user.finding.traced
    if traced is None:
        return _NOTHING
    latest = _line(traced.latest)
    recorded = recorded_hash(user.record.replicate_version_id)
    is_latest = recorded is not None and recorded == user.finding.latest_version
    return Origins(latest if is_latest else _line(traced.current), latest, _line(traced.later))


def labelled(found: Origins) -> tuple[tuple[str, TrainingLine], ...]:
    """Each training that is known, once, with what it did."""
    current, latest, later = found
    told: list[tuple[str, TrainingLine]] = []
    if current and current is latest:
        told.append((MADE_BOTH, current))
    else:
        told += [(MADE_CURRENT, current)] if current else []
        told += [(MADE_LATEST, latest)] if latest else []
    if later and later.id not in {training.id for _, training in told}:
        told.append((WENT.get(later.status, GOING_ON), later))
    return tuple(told)


_NOTHING = Origins(None, None, None)


def _line(training: Training | None) -> TrainingLine | None:
    if training is None:
        return None
    return TrainingLine(
        training.id,
        training.status,
        training.weights,
        training.trigger_word,
        training.error,
        training.created_at,
        training.completed_at,
    )
