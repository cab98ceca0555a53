"""Ids of models and versions, as the product recorded them."""

import re

from audit.model.text import lower_ascii
from audit.model.users import TRIMMED

PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
"""An owner or a name, as a pattern for Python and PostgreSQL."""
TRAINING_ID = "[a-z0-9]{26}"
"""The id of a training, as Replicate makes them."""
_MODEL_ID = re.compile(f"{PART}/{PART}")
_QUALIFIED = re.compile(f"({PART}/{PART}):(.*)", re.DOTALL)
_ASKABLE_ID = re.compile("[A-Za-z0-9_-]{1,64}")
_HASH = re.compile("[0-9a-f]{64}")


def askable_model(model_id: str | None) -> str | None:
    """The trimmed model id where it has the form `owner/name`, else None: any other is never sent."""
    trimmed = (model_id or "").strip(TRIMMED)
    return trimmed if _MODEL_ID.fullmatch(trimmed) else None


def askable_training(training_id: str | None) -> str | None:
    """The trimmed training id where it can be part of a URL as it stands, else None: any other is never sent."""
    trimmed = (training_id or "").strip(TRIMMED)
    return trimmed if _ASKABLE_ID.fullmatch(trimmed) else None


def training_as_model(model_id: str | None) -> str | None:
    """The id of a training that stands in the model's place; None for anything else."""
    trimmed = (model_id or "").strip(TRIMMED)
    return trimmed if re.fullmatch(TRAINING_ID, trimmed) else None


def training_named(training_id: str | None, model_id: str | None) -> str | None:
    """The id of the training that a row names: in its own column, or in the model's place."""
    return askable_training(training_id) or training_as_model(model_id)


def question_of(model_id: str | None) -> str | None:
    """What Replicate can be asked for where this is recorded as the model: the model, or a training in its place."""
    return askable_model(model_id) or training_as_model(model_id)


def model_key(model_id: str | None) -> str:
    """What the ids of one model have in common, as Replicate sees it: no blanks around, A to Z in lower case.

    "" where there is none. `key_of_model` in `audit.postgres.columns` is the same in SQL.
    """
    return lower_ascii((model_id or "").strip(TRIMMED))


def recorded_hash(recorded: str | None) -> str | None:
    """The 64-digit hash in what is recorded, lower case; None where there is none."""
    bare = _unqualified(recorded)[1]
    return bare if _HASH.fullmatch(bare) else None


def _blank(text: str | None) -> bool:
    return not (text or "").strip(TRIMMED)


def _unqualified(recorded: str | None) -> tuple[str | None, str]:
    """The model in front of the colon, where there is one, and the rest: trimmed, case folded."""
    trimmed = (recorded or "").strip(TRIMMED)
    match = _QUALIFIED.fullmatch(trimmed) if ":" in trimmed else None
    return (match[1], match[2].strip(TRIMMED).casefold()) if match else (None, trimmed.casefold())
