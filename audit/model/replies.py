"""What Replicate answered about a model."""

from datetime import UTC, datetime
from typing import Literal, cast

import msgspec

from audit.model.codes import FailureReason, Mode, Reason
from audit.model.text import escape_controls
from audit.model.times import parse_utc

Evidence = Literal["versions", "training"]
"""What a verdict rests on: the model's versions, or the training that made the recorded one."""
WeightsEvidence = Literal["training", "request"]
"""What is known of recorded weights by: the training that made the version, or a request for their first byte."""
IN_PROGRESS = frozenset({"starting", "processing"})
FAILED = frozenset({"failed", "canceled", "aborted"})
"""Statuses of a training that has not ended, and of one that ended badly; the last one is `succeeded`."""


class Training(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A training as Replicate tells of it."""

    id: str
    status: str
    """starting, processing, succeeded, failed, canceled or aborted."""
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
    trainer: str | None = None
    """The model that trained, `owner/name`."""

    @property
    def succeeded(self) -> bool:
        """Whether it ended well and put out a version."""
        return self.status == "succeeded" and self.version is not None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more can come of it."""
        return self.status == "succeeded" or self.status in FAILED

    @property
    def is_odd(self) -> bool:
        """Whether it may have put a version into a model without saying which, or what became of it is not known."""
        if self.status == "succeeded":
            return self.version is None or self.model is None
        return self.status not in IN_PROGRESS | FAILED


class Lineage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the list of trainings says of one user; each is null where the part of the list that was read has none."""

    current: Training | None = None
    """The one that made the recorded version; null where that is the latest one."""
    latest: Training | None = None
    """The one that made the latest version."""
    later: Training | None = None
    """Named by a row newer than the one that counts."""


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


class Version(msgspec.Struct, frozen=True):
    """A version of a model on Replicate."""

    id: str
    """64 hexadecimal digits, lower case."""
    created_at: str | None


class Found(msgspec.Struct, frozen=True):
    """Every version of the model, in the API's order; at least one."""

    versions: tuple[Version, ...]
    only_latest: bool = False
    """True for official models, whose list is not public: `versions` then holds the latest one alone."""


class Missing(msgspec.Struct, frozen=True):
    """404 for the versions and for the model itself."""


class NoVersions(msgspec.Struct, frozen=True):
    """The model exists and has no version."""


class Failed(msgspec.Struct, frozen=True):
    """No answer that can be judged, after all attempts."""

    reason: FailureReason
    detail: str
    """The precise cause in one sentence, for a person; may quote the server."""


class NotAsked(msgspec.Struct, frozen=True):
    """The run ended before this model's turn."""


class Heard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What Replicate said of an unfinished row, in up to two questions."""

    training: Training | None = None
    """The one that the row names."""
    unknown: bool = False
    """404 for the training that the row names."""
    versions: tuple[Version, ...] | None = None
    """Of the row's model, the newest few, newest first; () where there is none; null where that was not asked."""
    failure: Reason | None = None
    """Why one of the questions had no answer that can be judged; null where all had."""
    detail: str = ""
    """Of that failure."""

    @classmethod
    def nothing(cls, failed: Failed, before: "Heard | None" = None) -> "Heard":
        """`before`, and then a question that failed."""
        return msgspec.structs.replace(before or cls(), failure=failed.reason, detail=failed.detail)

    @property
    def failed(self) -> Failed | None:
        """The failure as it came."""
        return Failed(cast(FailureReason, self.failure), self.detail) if self.failure else None


class Through(msgspec.Struct, frozen=True):
    """A training that stands in a model's place, and what was said of the model that it names."""

    training: Training | Missing
    reply: Found | Missing | NoVersions | Failed | None = None
    """Null where the training names no model."""


Reply = Found | Missing | NoVersions | Failed | NotAsked | Through


def of_model(reply: Reply) -> Reply | None:
    """What was said of the model, asked for by itself or through a training; None where nobody knows which it is."""
    return reply.reply if isinstance(reply, Through) else reply


class WeightsAnswer(msgspec.Struct, frozen=True):
    """What came of a request for the first byte of weights."""

    told: Literal["there", "gone", "nothing"]
    detail: str
    """One clause for a person."""


class WeightsAsked(msgspec.Struct, frozen=True):
    """Recorded weights URLs that were asked for, each once however many users have it."""

    asked: int
    """Those with an answer, whatever it told."""
    gone: int
    not_told: int

    @property
    def all_gone(self) -> bool:
        """Whether of several that told something none was there: then the way there is the suspect."""
        return self.gone > 1 and self.gone + self.not_told == self.asked


class Account(msgspec.Struct, frozen=True):
    """Whose token it is."""

    type: str
    username: str


class Requests(msgspec.Struct, frozen=True):
    """HTTP requests of the run, retries included in `sent`; `throttled` counts the 429 among the answers."""

    sent: int = 0
    retried: int = 0
    throttled: int = 0

    def __add__(self, other: "Requests") -> "Requests":
        return Requests(self.sent + other.sent, self.retried + other.retried, self.throttled + other.throttled)


AwaitedKind = Literal["model", "training", "trainings", "account", "weights"]


class Awaited(msgspec.Struct, frozen=True):
    """A question that Replicate has not answered yet."""

    kind: AwaitedKind
    id: str
    """Of the model or the training; of weights the host; empty for what there is but one of."""
    seconds: float
    attempt: int
    attempts: int
    """At most."""
    in_flight: int = 1
    """Questions without an answer, this one included."""

    def what(self, *, redacted: bool = False) -> str:
        """For a person. `redacted` leaves out an id, which may have been made of a user's name."""
        match self.kind:
            case "model":
                return "a model" if redacted else escape_controls(self.id)
            case "training":
                return "a training" if redacted else f"training {escape_controls(self.id)}"
            case "trainings":
                return "the list of trainings"
            case "account":
                return "the account"
            case "weights":
                return f"weights at {escape_controls(self.id)}"


_FULL = (len("2026-03-01T12:00:00.000000Z"), "Z")


def newest_first(versions: tuple[Version, ...]) -> tuple[Version, ...]:
    """`versions`, given in the API's order, sorted by date; equal dates keep the API's order.

    A version without a readable date stays behind the one the API names before it; at the head of the
    list it is the newest.
    """
    texts = [version.created_at or "" for version in versions]
    if {(len(text), text[-1:]) for text in texts} == {_FULL} and texts == sorted(texts, reverse=True):
        return versions  # as documented; texts of that one form sort as their instants do
    dates: list[datetime] = []
    for version in versions:
        undated = dates[-1] if dates else datetime.max.replace(tzinfo=UTC)
        dates.append(parse_utc(version.created_at) or undated)
    order = sorted(range(len(versions)), key=dates.__getitem__, reverse=True)
    return tuple(versions[i] for i in order)
