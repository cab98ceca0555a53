"""Trainings as Replicate tells of them, and how far its list of them was read. All frozen."""

from typing import Literal

import msgspec

Evidence = Literal["versions", "training"]
"""What a verdict rests on: the model's versions, or the training that made the recorded one."""

Mode = Literal["versions", "trainings"]
"""How an audit finds out: by asking for every model's versions, or by trainings where these are enough."""


class Training(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A training as Replicate tells of it."""

    id: str
    status: str
    """starting, processing, succeeded, failed or canceled."""
    model: str | None = None
    """The destination, from `output.version`; null until there is one, and for ever where the training failed."""
    version: str | None = None
    """64 hexadecimal digits, lower case: what it put out."""
    weights: str | None = None
    """Where the weights lie: `output.weights`."""
    trigger_word: str | None = None
    error: str | None = None
    created_at: str | None = None
    completed_at: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it ended well and put out a version."""
        return self.status == "succeeded" and self.version is not None


class Traced(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the list of trainings says of one user; each is null where the part of the list that was read has none."""

    current: Training | None = None
    """The one that made the recorded version; null where that is the latest one."""
    latest: Training | None = None
    """The one that made the latest version."""
    later: Training | None = None
    """The one that the user's last row names, where that row is newer than the one that counts."""


class TrainingsRead(msgspec.Struct, frozen=True, kw_only=True):
    """How far the account's list of trainings, newest first, was read."""

    mode: Mode
    """"trainings": whoever the list settles is not asked for."""
    since: str | None = None
    """How far back it is wanted; null for all of it."""
    sample: float = 0.0
    """Percent of those whom the list would settle that are asked for as well."""
    began_at: str | None = None
    """When its beginning was asked for: what ended later may be missing."""
    back_to: str | None = None
    """The oldest training that was read: about what is older, nothing is known."""
    next: str | None = None
    """URL of the page to be read next; null before the first and after the last."""
    pages: int = 0
    read: int = 0
    """Different trainings."""
    unreadable: int = 0
    """Entries that are no training: without an id, or of another shape."""
    complete: bool = False
    """Read back to `since`, or to the very first training."""
    problem: str | None = None
    """Why it is not complete."""
