"""A crowd whose trainings are odd in every way in which an account's list of trainings is."""

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from audit.demo.crowd import OWNER, Crowd, made_at, text
from audit.demo.rows import ModelRow
from audit.demo.world import Training
from audit.models import Reason, Version


class Oddity(StrEnum):
    """What is odd about a user whose record is up to date as far as trainings tell."""

    PUSHED = "pushed"
    """A version was pushed by hand after the last training."""
    DELETED = "deleted"
    """The version that the last training made was deleted by hand."""
    PUSHED_AND_RECORDED = "pushed_and_recorded"
    SHARED = "shared"
    """The user before has the same model."""
    RETRAINING = "retraining"
    FAILED_LATER = "failed_later"
    CANCELED_LATER = "canceled_later"
    """And no row tells of it."""
    NO_OUTPUT = "no_output"
    """The last training succeeded, and its output is null."""
    ANOTHER_OWNER = "another_owner"
    """The output of the last training is a version of somebody else's model."""
    OVERTAKEN = "overtaken"
    """Of two trainings the one that began first ended last."""


UNSEEN = frozenset({Oddity.PUSHED, Oddity.DELETED})
"""What no list of trainings shows."""

_NO_RESULT = {Oddity.RETRAINING: "processing", Oddity.FAILED_LATER: "failed", Oddity.CANCELED_LATER: "canceled"}
_STILL_AT_THE_FIRST = {*_NO_RESULT, Oddity.ANOTHER_OWNER}
"""The version before the last training is the newest one, and recorded."""


class OddlyTrained(Crowd):
    """As `Crowd`; of those whose record is right, about `odd_trainings` (a share) have an `Oddity` each.

    They are among every fifth user, whose last two trainings are listed.
    """

    def __init__(self, n: int, seed: int = 1, oddities: float = 0.05, odd_trainings: float = 0.05) -> None:
        super().__init__(n, seed, oddities)
        self._odd = round(odd_trainings * 5_000_000)

    def oddity(self, i: int) -> Oddity | None:
        """What is odd about user i's trainings."""
        if i == 0 or i % 5 or self.reason(i) is not Reason.LATEST_VERSION:
            return None
        dice = zlib.crc32(b"%d training %d" % (self.seed, i)) % 1_000_000
        return tuple(Oddity)[dice % len(Oddity)] if dice < self._odd else None

    def verdict(self, i: int) -> Reason:
        """The right verdict on user i, by versions."""
        match self.oddity(i):
            case Oddity.PUSHED:
                return Reason.OUTDATED_VERSION
            case Oddity.DELETED:
                return Reason.UNKNOWN_VERSION
            case Oddity.SHARED:
                before = self.reason(i - 1)
                return before if before in {Reason.MODEL_NOT_FOUND, Reason.NO_VERSIONS} else Reason.LATEST_VERSION
            case _:
                return self.reason(i)

    def versions(self, i: int) -> tuple[Version, ...]:
        """Newest first."""
        versions = super().versions(i)
        match self.oddity(i):
            case Oddity.PUSHED | Oddity.PUSHED_AND_RECORDED:
                return Version(self.hash(i, 50), text(made_at(i, 0) + timedelta(hours=1))), *versions
            case Oddity.OVERTAKEN:
                return Version(self.hash(i, 1), text(_overtaken(i))), versions[0], *versions[2:]
            case oddity if oddity is Oddity.DELETED or oddity in _STILL_AT_THE_FIRST:
                return versions[1:]
            case _:
                return versions

    def made(self, i: int, age: int) -> Training:
        """The training that made user i's version of that age, or should have."""
        training = super().made(i, age)
        oddity = self.oddity(i)
        if oddity is Oddity.OVERTAKEN and age == 1:
            return msgspec.structs.replace(training, completed_at=text(_overtaken(i)))
        if oddity is None or age == 1:
            return training
        if oddity in _NO_RESULT:
            status = _NO_RESULT[oddity]
            ended = None if status == "processing" else training.completed_at
            error = "out of memory" if status == "failed" else None
            changes = {"status": status, "output_version": None, "completed_at": ended, "error": error}
            return msgspec.structs.replace(training, **changes)
        if oddity is Oddity.NO_OUTPUT:
            return msgspec.structs.replace(training, output_version=None)
        if oddity is Oddity.ANOTHER_OWNER:
            return msgspec.structs.replace(training, destination=f"somebody-else/{self.model_name(i)}")
        return training

    def _rows(self, i: int) -> Iterable[ModelRow]:
        counting, *others = super()._rows(i)
        oddity = self.oddity(i)
        match oddity:
            case Oddity.PUSHED_AND_RECORDED:
                counting = counting._replace(replicate_version_id=self.hash(i, 50))
            case Oddity.SHARED:
                model = f"{OWNER}/{self.model_name(i - 1)}"
                counting = counting._replace(replicate_model_id=model, replicate_version_id=self.hash(i - 1, 0))
            case _ if oddity is Oddity.OVERTAKEN or oddity in _STILL_AT_THE_FIRST:
                counting = counting._replace(replicate_version_id=self.hash(i, 1))
        yield counting
        yield from others
        if oddity in {Oddity.RETRAINING, Oddity.FAILED_LATER}:
            status = "training" if oddity is Oddity.RETRAINING else "failed"
            later = counting._replace(id=2 * self.n + i + 1, training_status=status, completed_at=None)
            yield later._replace(replicate_version_id=None, lora_weights_url=None)


def _overtaken(i: int) -> datetime:
    """When the training that began first ended: after the one that began last."""
    return made_at(i, 0) + timedelta(hours=2)
