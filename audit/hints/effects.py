"""What a finding means for the person whose photos are made: the words of every report's first sentence."""

from collections.abc import Mapping
from enum import StrEnum

from audit.model.codes import LatestPer, Reason


class Effect(StrEnum):
    """What a user who needs a sync notices. The order is that in which it is told."""

    OLD_VERSION = "old_version"
    OTHER_WEIGHTS = "other_weights"
    CANNOT_GENERATE = "cannot_generate"
    WAITS = "waits"


EFFECT_OF: Mapping[Reason, Effect] = {
    Reason.OUTDATED_VERSION: Effect.OLD_VERSION,
    Reason.UNKNOWN_VERSION: Effect.CANNOT_GENERATE,
    Reason.MALFORMED_VERSION: Effect.CANNOT_GENERATE,
    Reason.NO_VERSION_RECORDED: Effect.CANNOT_GENERATE,
    Reason.TRAINER_RECORDED: Effect.CANNOT_GENERATE,
    Reason.VERSION_LOST: Effect.CANNOT_GENERATE,
    Reason.WEIGHTS_GONE: Effect.CANNOT_GENERATE,
    Reason.WRONG_WEIGHTS: Effect.OTHER_WEIGHTS,
    Reason.TRAINING_NOT_RECORDED: Effect.WAITS,
    Reason.FAILURE_NOT_RECORDED: Effect.WAITS,
}
"""Of every reason of `needs_sync`."""
_OF_USERS: Mapping[Effect, tuple[str, str]] = {
    Effect.OLD_VERSION: (
        "gets photos from an old version of their model",
        "get photos from an old version of their model",
    ),
    Effect.OTHER_WEIGHTS: ("gets photos from the wrong weights", "get photos from the wrong weights"),
    Effect.CANNOT_GENERATE: ("can't generate at all", "can't generate at all"),
    Effect.WAITS: ("waits for a training that has already ended", "wait for a training that has already ended"),
}
"""As the end of a sentence about one, and about several."""
_OF_MODELS: Mapping[Effect, tuple[str, str]] = {
    Effect.OLD_VERSION: ("is used in an old version", "are used in an old version"),
    Effect.OTHER_WEIGHTS: ("is used with the wrong weights", "are used with the wrong weights"),
    Effect.CANNOT_GENERATE: ("can't be used at all", "can't be used at all"),
    Effect.WAITS: ("waits for a training that has already ended", "wait for a training that has already ended"),
}
WHY_NOT_CHECKED: Mapping[Reason, str] = {
    Reason.MISSING_MODEL_ID: "no model id is stored",
    Reason.INVALID_MODEL_ID: "the stored model id is not valid",
    Reason.UNREADABLE_ROW: "the row can't be read",
    Reason.MODEL_NOT_FOUND: "Replicate does not know the model",
    Reason.NO_VERSIONS: "the model has no versions",
    Reason.TRAINING_NOT_FOUND: "Replicate does not know the training",
    Reason.UNAUTHORIZED: "Replicate refused the token",
    Reason.FORBIDDEN: "the token may not see the model",
    Reason.REJECTED: "Replicate rejected the request",
    Reason.RATE_LIMITED: "the rate limit was reached",
    Reason.SERVER_ERROR: "Replicate had a server error",
    Reason.TIMEOUT: "the request timed out",
    Reason.NETWORK_ERROR: "the connection failed",
    Reason.BAD_RESPONSE: "the answer was not Replicate's",
    Reason.EVIDENCE_DISAGREES: "trainings and versions disagree",
}
"""Of every reason of `error`: as a clause."""


def clause(effect: Effect, count: int, latest_per: LatestPer) -> str:
    """What so many lines suffer, to follow their number: "get photos from an old version of their model"."""
    one, many = (_OF_USERS if latest_per == "user" else _OF_MODELS)[effect]
    return one if count == 1 else many
