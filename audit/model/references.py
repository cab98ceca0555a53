"""References to a model of Replicate's, which its own Flux models load as weights as they do a URL. Pure.

A reference is the version's by its very form; what lies on a delivery host belongs to the training that put it there.
"""

import re
from typing import NamedTuple, Self

from audit.model.ids import PART, model_key
from audit.model.users import TRIMMED

_REFERENCE = re.compile(
    rf"(?P<site>(?:https?://)?(?:www\.)?replicate\.com/)?(?P<model>{PART}/{PART})"
    r"(?:(?P<between>/versions/|/|:)(?P<version>[0-9A-Fa-f]{64}))?/?"
)
_URL = re.compile(r"https?://\S+")


class Reference(NamedTuple):
    """`owner/name`, `owner/name/<hash>`, or the page of either on replicate.com."""

    site: str
    model: str
    between: str
    version: str | None
    """Lower case; null where it means whichever is the latest."""

    @classmethod
    def of(cls, recorded: str | None) -> Self | None:
        """The reference that is recorded; None for anything else."""
        match = _REFERENCE.fullmatch((recorded or "").strip(TRIMMED))
        if match is None:
            return None
        version = match["version"]
        return cls(match["site"] or "", match["model"], match["between"] or "", version and version.lower())

    def names(self, model: str | None) -> bool:
        """Whether it is that model."""
        return model_key(self.model) == model_key(model)

    def to(self, model: str, version: str) -> str:
        """The reference of the same form to another version."""
        return f"{self.site}{model}{self.between}{version if self.version else ''}"


def is_url(text: str | None) -> bool:
    """Whether `text` is a URL that may be written into a row: one word, and nothing in it that acts on a reader."""
    return text is not None and text.isprintable() and _URL.fullmatch(text) is not None
