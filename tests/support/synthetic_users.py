"""Synthetic users, any number of them, made while they are read: rows, models, trainings and the right verdicts."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, overload

import msgspec

from audit.demo.database import ModelRow, UserRow
from audit.demo.fake_replicate.world import FakeTraining, Model, weights_url
from audit.model.codes import Reason
from audit.model.replies import Account, Version

OWNER: Final = "synthetic-photos"
NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""Newest date of the users; it does not follow the clock, so that two runs have the same bytes."""
ODDITIES: Final = (
    Reason.OUTDATED_VERSION,
    Reason.OUTDATED_VERSION,
    Reason.UNKNOWN_VERSION,
    Reason.MALFORMED_VERSION,
    Reason.NO_VERSION_RECORDED,
    Reason.MISSING_MODEL_ID,
    Reason.INVALID_MODEL_ID,
    Reason.MODEL_NOT_FOUND,
    Reason.NO_VERSIONS,
)


class SyntheticUsers:
    """`n` users with two rows each, and the `World` to match; `oddities` is the share that is not up to date."""

    def __init__(self, n: int, seed: int = 1, oddities: float = 0.1) -> None:
        self.n = n
        self.seed = seed
        self._threshold = round(oddities * 1_000_000)
        self.account = Account(type="organization", username=OWNER)

    @property
    def users(self) -> Iterator[UserRow]:
        """All rows of `users`, made one by one."""
        for i in range(self.n):
            yield UserRow(self.user_id(i), f"user{i}@example.com", f"User {i}")

    @property
    def rows(self) -> Iterator[ModelRow]:
        """All rows of `user_models`, made one by one: of each user one that counts and an older one that does not."""
        for i in range(self.n):
            yield from self._rows(i)

    def reason(self, i: int) -> Reason:
        """The right verdict on user i."""
        dice = zlib.crc32(b"%d oddity %d" % (self.seed, i)) % 1_000_000
        return ODDITIES[dice % len(ODDITIES)] if dice < self._threshold else Reason.LATEST_VERSION

    @property
    def reasons(self) -> Iterator[Reason]:
        """The right verdicts, in the order of the users."""
        return map(self.reason, range(self.n))

    def user_id(self, i: int) -> str:
        """In the order of the users also as text."""
        return f"{i:08d}-{zlib.crc32(b'%d %d' % (self.seed, i)):08x}"

    def model_name(self, i: int) -> str:
        """The name of user i's model, without its owner."""
        return f"user-{i:08d}-lora"

    def versions(self, i: int) -> tuple[Version, ...]:
        """Two to four, newest first, one a month."""
        count = 2 + zlib.crc32(b"%d versions %d" % (self.seed, i)) % 3
        return tuple(Version(self.hash(i, age), text(made_at(i, age))) for age in range(count))

    @property
    def public_models(self) -> Sequence[Model]:
        """None: faces are private."""
        return ()

    def model(self, owner: str, name: str) -> Model | None:
        """See `World`."""
        i = self._number(name)
        if owner != OWNER or i is None:
            return None
        reason = self.reason(i)
        if reason is Reason.MODEL_NOT_FOUND:
            return None
        return Model(owner=owner, name=name, versions=() if reason is Reason.NO_VERSIONS else self.versions(i))

    @property
    def trainings(self) -> Sequence[FakeTraining]:
        """Of every user the last training, user 0's the most recent, and of every fifth the one before."""
        return _Trainings(self)

    def training(self, training_id: str) -> FakeTraining | None:
        """See `World`."""
        digits = training_id[-8:]
        i = int(digits) if digits.isascii() and digits.isdigit() else self.n
        ages = [age for age in (0, 1) if training_id == _training_id(i, age)]
        return self.made(i, ages[0]) if i < self.n and ages else None

    def weights(self, path: str) -> int:
        """See `World`."""
        return 404

    def made(self, i: int, age: int) -> FakeTraining:
        """The training that made user i's version of that age.

        A model that Replicate does not have was given a wrong name, so its training went to another one.
        """
        made, name = made_at(i, age), self.model_name(i)
        misnamed = self.reason(i) in {Reason.MODEL_NOT_FOUND, Reason.NO_VERSIONS}
        return FakeTraining(
            id=_training_id(i, age),
            destination=f"{OWNER}/{name}-2" if misnamed else f"{OWNER}/{name}",
            status="succeeded",
            created_at=text(made - timedelta(minutes=20)),
            completed_at=text(made + timedelta(seconds=5)),
            output_version=self.hash(i, age),
        )

    def _rows(self, i: int) -> Iterable[ModelRow]:
        counting = self._row(i, 0)
        older = self._row(i, 1)
        match self.reason(i):
            case Reason.OUTDATED_VERSION:
                digest = self.hash(i, 1)
                counting = counting._replace(replicate_version_id=digest, lora_weights_url=weights_url(digest))
            case Reason.UNKNOWN_VERSION:
                counting = counting._replace(replicate_version_id=self.hash(i, 99))
            case Reason.MALFORMED_VERSION:
                counting = counting._replace(replicate_version_id=self.hash(i, 0)[:8])
            case Reason.NO_VERSION_RECORDED:
                counting = counting._replace(replicate_version_id=None)
            case Reason.MISSING_MODEL_ID:
                counting = counting._replace(replicate_model_id=None)
            case Reason.INVALID_MODEL_ID:
                counting = counting._replace(replicate_model_id=self.model_name(i))
        return counting, older

    def _row(self, i: int, age: int) -> ModelRow:
        digest, made = self.hash(i, age), made_at(i, age)
        return ModelRow(
            id=2 * i + 1 + age,
            user_id=self.user_id(i),
            training_status="completed",
            replicate_model_id=f"{OWNER}/{self.model_name(i)}",
            replicate_version_id=digest,
            updated_at=made,
            completed_at=made,
            created_at=made,
            training_id=_training_id(i, age),
            trigger_word="TOK",
            lora_scale=Decimal(1),
            lora_weights_url=weights_url(digest),
        )

    def _number(self, name: str) -> int | None:
        digits = name[5:13]
        if not (digits.isascii() and digits.isdigit()):
            return None
        i = int(digits)
        return i if i < self.n and name == self.model_name(i) else None

    def hash(self, i: int, age: int) -> str:
        """The version of user i that is so many months old."""
        return hashlib.sha256(b"%d %d %d" % (self.seed, i, age)).hexdigest()


class _Trainings(Sequence[FakeTraining]):
    """The trainings of synthetic users, made when they are looked at."""

    def __init__(self, synthetic_users: SyntheticUsers) -> None:
        self._users = synthetic_users

    def __len__(self) -> int:
        return self._users.n + (self._users.n + 4) // 5

    @overload
    def __getitem__(self, place: int) -> FakeTraining: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[FakeTraining]: ...
    def __getitem__(self, place: int | slice) -> FakeTraining | Sequence[FakeTraining]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        number, n = range(len(self))[place], self._users.n
        return self._users.made(number, 0) if number < n else self._users.made((number - n) * 5, 1)


def made_at(i: int, age: int) -> datetime:
    """Users one second apart, versions of one user about a month."""
    return NOW - timedelta(days=30.4 * age, seconds=i, microseconds=1)


def _training_id(i: int, age: int) -> str:
    return f"t{age}{i:024d}"


def text(moment: datetime) -> str:
    """As Replicate writes times."""
    return moment.isoformat().replace("+00:00", "Z")


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


class OddlyTrainedUsers(SyntheticUsers):
    """As `SyntheticUsers`; of those whose record is right, about `odd_trainings` (a share) have an `Oddity` each.

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

    def made(self, i: int, age: int) -> FakeTraining:
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
                digest = self.hash(i - 1, 0)
                counting = counting._replace(
                    replicate_model_id=model, replicate_version_id=digest, lora_weights_url=weights_url(digest)
                )
            case _ if oddity is Oddity.OVERTAKEN or oddity in _STILL_AT_THE_FIRST:
                digest = self.hash(i, 1)
                counting = counting._replace(replicate_version_id=digest, lora_weights_url=weights_url(digest))
        yield counting
        yield from others
        if oddity in {Oddity.RETRAINING, Oddity.FAILED_LATER}:
            status = "training" if oddity is Oddity.RETRAINING else "failed"
            later = counting._replace(id=2 * self.n + i + 1, training_status=status, completed_at=None)
            yield later._replace(replicate_version_id=None, lora_weights_url=None)


def _overtaken(i: int) -> datetime:
    """When the training that began first ended: after the one that began last."""
    return made_at(i, 0) + timedelta(hours=2)
