"""Which column tells how a training is getting on, and what its words mean. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from audit.commands.init.places import Place, View
from audit.commands.init.values import Looks, Seen, as_number
from audit.model.tables import PLAIN, TrainingState, same_word

_COMPLETED = frozenset(
    (
        *("completed", "complete", "succeeded", "success", "successful", "done", "finished", "ready", "trained", "ok"),
        *("training_completed", "training_complete", "training_succeeded", "trained_ok", "available", "live"),
        *("deployed", "published", "complete_ok", "usable", "in_use"),
    )
)
_IN_PROGRESS = frozenset(
    (
        *map(same_word, PLAIN.in_progress),
        *("started", "submitted", "waiting", "uploading", "uploaded", "preparing", "prepared", "scheduled", "created"),
        *("initializing", "initialising", "building", "in-progress", "in progress", "inprogress", "enqueued", "new"),
        *("requested", "training_started", "training_pending", "training_in_progress", "booting", "draft", "running"),
        *("not_started", "working", "active_training", "ongoing", "fine_tuning", "finetuning", "tuning", "requested"),
    )
)
_FAILED = frozenset(
    (
        *map(same_word, PLAIN.failed),
        *("failure", "errored", "abort", "timeout", "timed_out", "timedout", "rejected", "training_failed", "crashed"),
        *("broken", "cancel", "canceling", "cancelling", "unsuccessful", "invalid"),
    )
)
_UNDECIDED = frozenset(
    (
        *("active", "inactive", "archived", "deleted", "disabled", "expired", "removed", "hidden", "paused", "enabled"),
        *("default", "none", "unknown", "trial"),
    )
)
"""Words that may be told of a model in use, and of one that is no longer."""
_MOST = 24
"""Different words of a column of states, at most."""


class States(NamedTuple):
    """A column of states and its words, as the column has them."""

    place: Place
    completed: tuple[str, ...]
    in_progress: tuple[str, ...]
    failed: tuple[str, ...]
    open: tuple[str, ...]
    """Words that nothing is known of."""
    score: float

    @property
    def words(self) -> dict[TrainingState, tuple[str, ...]]:
        """What the config file has to say: only lists that differ from the defaults."""
        said = {}
        if self.completed and self.completed != PLAIN.completed:
            said[TrainingState.COMPLETED] = self.completed
        taken = {same_word(word) for word in self.completed}
        for state, own in ((TrainingState.IN_PROGRESS, self.in_progress), (TrainingState.FAILED, self.failed)):
            default = PLAIN.words(state)
            usual = {same_word(word) for word in default}
            more = [word for word in own if same_word(word) not in usual]
            # A word of the defaults that means something else here would stand in two lists.
            others = {same_word(word) for word in (*self.in_progress, *self.failed) if word not in own}
            kept = [word for word in default if same_word(word) not in taken | others]
            if more or len(kept) < len(default):
                said[state] = tuple(dict.fromkeys((*kept, *more))) or tuple(own)
        return said


def states(view: View, version: Seen | None, used: Sequence[Place] = ()) -> list[States]:
    """Columns of states, best first. `version` is what was seen of versions; `used` are places that are others'."""
    taken = {(place.column.name, place.path) for place in used}
    found = (_states(place, version) for place in view.places if (place.column.name, place.path) not in taken)
    return sorted((each for each in found if each and each.score > 0), key=lambda each: -each.score)


def _states(place: Place, version: Seen | None) -> States | None:
    if place.kind == "bool":
        return _truth(place, version)
    if place.kind == "number":
        return _numbered(place, version)
    if place.kind not in {"text", "enum"}:
        return None
    words = (
        list(dict.fromkeys((*place.column.words, *place.seen.counts))) if not place.path else list(place.seen.counts)
    )
    if len(words) > _MOST or any(len(word) > 40 for word in words):
        return None
    if place.seen.count(Looks.HASH, Looks.UUID, Looks.EMAIL, Looks.QUALIFIED, Looks.TRAINING):
        return None
    meant = {word: _meaning(word, place.seen, version) for word in words}
    known = [word for word in words if same_word(word) in _COMPLETED | _IN_PROGRESS | _FAILED]
    score = _score_of_name(place)
    if words:
        score += 4 * len(known) / len(words) if known else -3
        score += _agreement(meant, place.seen, version)
    elif score < 2:
        return None
    if place.path:
        score -= 0.5
    return States(
        place,
        _completed_words(meant, place.seen),
        tuple(word for word, state in meant.items() if state is TrainingState.IN_PROGRESS),
        tuple(word for word, state in meant.items() if state is TrainingState.FAILED),
        tuple(word for word, state in meant.items() if state is None and place.seen.counts[word]),
        score if known or not words else score - 2,
    )


def _score_of_name(place: Place) -> float:
    score = 0.0
    if place.called("status", "state", "lifecycle", "phase", "stage", "progress"):
        score += 2
    if place.called("training", "train", "model", "lora", "tuning", "replicate"):
        score += 1
    if place.called(
        *("payment", "billing", "subscription", "email", "moderation", "review", "upload", "order", "credit"),
        *("refund", "invoice", "visibility", "plan", "role", "gender", "generation", "prediction", "image", "delivery"),
        *("previous", "old", "account", "user"),
    ):
        score -= 3
    return score


def _agreement(meant: dict[str, TrainingState | None], seen: Seen, version: Seen | None) -> float:
    """How well words go with versions: one that means completed should have one, any other none."""
    if version is None or not version.present:
        return 0.0
    agree = rows = 0
    for word, recorded in zip(seen.texts, version.texts, strict=False):
        if word is not None and meant.get(word) is not None:
            rows += 1
            agree += (meant[word] is TrainingState.COMPLETED) == (recorded is not None)
    return 2 * agree / rows - 1 if rows else 0.0


def _meaning(word: str, seen: Seen, version: Seen | None) -> TrainingState | None:
    key = same_word(word).replace("-", "_").replace(" ", "_")
    with_version = _share_with_version(word, seen, version)
    if key in _UNDECIDED:
        alone = sum(1 for other in seen.counts if same_word(other) in _COMPLETED) == 0
        used = key in {"active", "enabled", "default"} and (with_version or 0) > (0 if alone else 0.5)
        return TrainingState.COMPLETED if used else None
    for words, state in (
        (_COMPLETED, TrainingState.COMPLETED),
        (_FAILED, TrainingState.FAILED),
        (_IN_PROGRESS, TrainingState.IN_PROGRESS),
    ):
        if key in words or same_word(word) in words:
            return state
    for ending, state in _ENDINGS:
        if key.endswith(ending):
            return state
    if (
        with_version is not None
        and with_version > 0.8
        and not any(same_word(other) in _COMPLETED for other in seen.counts)
    ):
        return TrainingState.COMPLETED
    return None


_ENDINGS = (
    ("_failed", TrainingState.FAILED),
    ("_error", TrainingState.FAILED),
    ("_canceled", TrainingState.FAILED),
    ("_cancelled", TrainingState.FAILED),
    ("_pending", TrainingState.IN_PROGRESS),
    ("_started", TrainingState.IN_PROGRESS),
    ("_processing", TrainingState.IN_PROGRESS),
    ("_training", TrainingState.IN_PROGRESS),
    ("_running", TrainingState.IN_PROGRESS),
    ("_queued", TrainingState.IN_PROGRESS),
    ("_in_progress", TrainingState.IN_PROGRESS),
    ("_completed", TrainingState.COMPLETED),
    ("_complete", TrainingState.COMPLETED),
    ("_succeeded", TrainingState.COMPLETED),
    ("_success", TrainingState.COMPLETED),
    ("_finished", TrainingState.COMPLETED),
    ("_done", TrainingState.COMPLETED),
    ("_ready", TrainingState.COMPLETED),
    ("_trained", TrainingState.COMPLETED),
)
"""Of words that say first what it is that has succeeded: `TRAINING_SUCCEEDED`, `LORA_READY`."""


def _share_with_version(word: str, seen: Seen, version: Seen | None) -> float | None:
    """Of the rows with this word, how many have a version; None where there are no such rows."""
    if version is None:
        return None
    rows = [recorded is not None for own, recorded in zip(seen.texts, version.texts, strict=False) if own == word]
    return sum(rows) / len(rows) if rows else None


def _completed_words(meant: dict[str, TrainingState | None], seen: Seen) -> tuple[str, ...]:
    """Those that mean completed. Where one is there in several cases, the most frequent: others are slips of a hand."""
    best: dict[str, str] = {}
    for word, state in meant.items():
        if state is TrainingState.COMPLETED:
            rival = best.get(same_word(word))
            if rival is None or seen.counts[word] > seen.counts[rival]:
                best[same_word(word)] = word
    return tuple(best.values())


def _truth(place: Place, version: Seen | None) -> States | None:
    """A column that is true once a training has completed."""
    named = place.called(
        *("trained", "completed", "complete", "ready", "done", "finished", "succeeded", "is_trained", "is_ready")
    )
    if not named:
        return None
    agreement = _agreement(
        {
            "t": TrainingState.COMPLETED,
            "true": TrainingState.COMPLETED,
            "f": TrainingState.IN_PROGRESS,
            "false": TrainingState.IN_PROGRESS,
        },
        place.seen,
        version,
    )
    return States(place, ("true",), (), (), (), 1.5 + agreement)


def _numbered(place: Place, version: Seen | None) -> States | None:
    """A column of numbers that stand for words, which only versions can tell."""
    if not place.called("status", "state", "lifecycle", "phase", "stage") or version is None:
        return None
    counts = place.seen.counts
    if not 1 <= len(counts) <= 12 or any((as_number(text) or 0) % 1 for text in counts):
        return None
    shares = {word: _share_with_version(word, place.seen, version) or 0.0 for word in counts}
    completed = tuple(word for word, share in shares.items() if share > 0.8)
    rest = tuple(word for word in counts if word not in completed)
    if not completed or any(shares[word] > 0.2 for word in rest):
        return None
    return States(place, completed, (), (), rest, 1.0 + _score_of_name(place))
