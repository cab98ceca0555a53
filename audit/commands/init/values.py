"""What values look like: versions, models, trainings, addresses. Pure; nothing here keeps or shows a value."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from audit.model.ids import PART
from audit.model.trainers import PUBLISHED
from audit.model.users import TRIMMED

_HASH = "[0-9a-fA-F]{64}"


class Looks(StrEnum):
    """What a text may be."""

    HASH = "hash"
    """A version's 64 digits."""
    QUALIFIED = "qualified"
    """`owner/name:hash`."""
    REFERENCE = "reference"
    """`owner/name/hash`, or the page of a version on replicate.com."""
    MODEL = "model"
    """`owner/name`."""
    MODEL_PAGE = "model_page"
    """The page of a model on replicate.com."""
    NAME = "name"
    """A model's name, or its owner's, alone."""
    TRAINING = "training"
    """26 letters and digits."""
    WEIGHTS = "weights"
    """The URL of weights."""
    EMAIL = "email"
    UUID = "uuid"


REFERENCE = rf"(?:https?://)?(?:www\.)?(?:replicate\.com/)?({PART}/{PART})(?:/versions)?/({_HASH})/?"
"""As a pattern for Python and PostgreSQL; groups are the model and the hash."""
MODEL_PAGE = rf"(?:https?://)?(?:www\.)?replicate\.com/({PART}/{PART})/?"
_NO_MODEL = re.compile(
    "(?:image|images|video|audio|text|application|font|multipart|model|Africa|America|Antarctica|Arctic|Asia|Atlantic"
    r"|Australia|Brazil|Canada|Chile|Etc|Europe|Indian|Mexico|Pacific|US)/.*|\d+/\d+|n/a",
    re.IGNORECASE,
)
"""Media types, time zones, fractions."""
_PATTERNS: Mapping[Looks, re.Pattern[str]] = {
    Looks.HASH: re.compile(_HASH),
    Looks.QUALIFIED: re.compile(f"{PART}/{PART}:{_HASH}"),
    Looks.REFERENCE: re.compile(REFERENCE),
    Looks.MODEL: re.compile(f"{PART}/{PART}"),
    Looks.MODEL_PAGE: re.compile(MODEL_PAGE),
    Looks.NAME: re.compile("[a-z0-9][a-z0-9._-]*", re.IGNORECASE),
    Looks.TRAINING: re.compile("(?!01)[a-z0-9]{26}"),
    Looks.WEIGHTS: re.compile(
        r"https?://(?:[a-z0-9.-]*\.)?replicate\.delivery/\S+(?<!\.png)(?<!\.webp)(?<!\.jpg)(?<!\.jpeg)(?<!\.mp4)"
        r"|(?:https?|s3|gs|hf)://\S+\.(?:safetensors|tar|ckpt|pth?|bin)(?:[?#]\S*)?",
        re.IGNORECASE,
    ),
    Looks.EMAIL: re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    Looks.UUID: re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
}
IN_A_ROW = f"(^|[^0-9a-fA-F]){_HASH}([^0-9a-fA-F]|$)"
"""A version somewhere in a row, for PostgreSQL."""


def looks(text: str, as_what: Looks) -> bool:
    """Whether `text`, without blanks around it, has that form."""
    if as_what is Looks.MODEL and _NO_MODEL.fullmatch(text):
        return False
    return _PATTERNS[as_what].fullmatch(text) is not None


class Seen:
    """What was seen of a column or of a place in JSON: a text or nothing for each row of a sample."""

    def __init__(self, texts: Sequence[str | None]) -> None:
        self.texts = tuple((text or "").strip(TRIMMED) or None for text in texts)

    @cached_property
    def present(self) -> tuple[str, ...]:
        """All but null and blank ones."""
        return tuple(text for text in self.texts if text is not None)

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each text is there."""
        return Counter(self.present)

    def count(self, *kinds: Looks) -> int:
        """How many have one of these forms."""
        return sum(count for text, count in self.counts.items() if any(looks(text, kind) for kind in kinds))

    def share(self, *kinds: Looks) -> float:
        """How many of those that are present have one of these forms, 0 to 1; 0 where nothing is present."""
        return self.count(*kinds) / len(self.present) if self.present else 0.0

    @property
    def filled(self) -> float:
        """How many are present, 0 to 1."""
        return len(self.present) / len(self.texts) if self.texts else 0.0

    @property
    def variety(self) -> float:
        """How many different ones there are of those that are present: 1 where each is there once."""
        return len(self.counts) / len(self.present) if self.present else 0.0

    def where(self, holds: Callable[[int], bool]) -> "Seen":
        """Of those rows alone whose number `holds` is true of."""
        return Seen([text for number, text in enumerate(self.texts) if holds(number)])

    def models(self) -> list[str | None]:
        """The `owner/name` in each, whichever form it has."""
        return [text and model_in(text) for text in self.texts]

    @cached_property
    def all_are_trainers(self) -> bool:
        """Whether the models in it are published trainers or bases, all of them."""
        models = [model for model in self.models() if model]
        return bool(models) and all(is_base(model) for model in models)


_BASES = ("black-forest-labs/", "ostris/", "stability-ai/", "replicate/", "lucataco/", "fofr/", "cjwbw/", "bytedance/")


def is_base(model: str) -> bool:
    """Whether `model` is one that everybody runs or trains from."""
    return model.casefold() in PUBLISHED or model.casefold().startswith(_BASES)


def model_in(text: str) -> str | None:
    """The `owner/name` in a text of any form that has one."""
    if looks(text, Looks.QUALIFIED):
        return text.partition(":")[0]
    for kind in (Looks.REFERENCE, Looks.MODEL_PAGE):
        if match := _PATTERNS[kind].fullmatch(text):
            return match[1]
    return text if looks(text, Looks.MODEL) else None


DEEPEST = 3
"""Keys below each other in JSON."""
_PLACES = 120
"""Places of a document that are looked at."""


def documents(texts: Sequence[str | None]) -> Mapping[tuple[str, ...], tuple[str | None, ...]]:
    """What stands at each place of JSON documents, by the keys that lead there: a text or nothing for each row."""
    found: dict[tuple[str, ...], list[str | None]] = {}
    for number, text in enumerate(texts):
        for path, value in _leaves(_parsed(text), ()):
            if path not in found and len(found) >= _PLACES:
                continue
            found.setdefault(path, [None] * len(texts))[number] = value
    return {path: tuple(values) for path, values in found.items()}


def are_documents(texts: Sequence[str | None]) -> bool:
    """Whether texts that are there are JSON objects, all of them."""
    present = [text for text in texts if text and text.strip()]
    return bool(present) and all(isinstance(_parsed(text), dict) for text in present[:200])


def _parsed(text: str | None) -> object:
    if not text or text.lstrip()[:1] != "{":
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        if len(path) < DEEPEST:
            for key, inner in value.items():
                yield from _leaves(inner, (*path, key))
    elif path and isinstance(value, bool):
        yield path, "true" if value else "false"
    elif path and isinstance(value, str | int | float):
        yield path, str(value)


def as_number(text: str) -> float | None:
    """The number that a text is; None for any other, and for those that are none (`nan`)."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None  # noqa: PLR0124 - not a number


def as_moment(text: str) -> datetime | None:
    """The date and time that a text in ISO 8601 is."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
