"""Any number of users with their models, made when they are asked for: for benchmarks and soak tests.

User number i is the same in the database, on Replicate and in `verdict`: everything follows from i and the seed, so
nothing is stored, whatever the number of users.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, overload

from audit.demo.rows import ModelRow, UserRow
from audit.demo.world import Model, Training, weights_url
from audit.models import Account, Reason, Version

OWNER: Final = "crowd-photos"
NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""Newest date of the crowd; it does not follow the clock, so that two runs have the same bytes."""

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


class Crowd:
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
    def trainings(self) -> Sequence[Training]:
        """Of every user the last training, user 0's the most recent, and of every fifth the one before."""
        return _Trainings(self)

    def training(self, training_id: str) -> Training | None:
        """See `World`."""
        digits = training_id[-8:]
        i = int(digits) if digits.isascii() and digits.isdigit() else self.n
        ages = [age for age in (0, 1) if training_id == _training_id(i, age)]
        return self.made(i, ages[0]) if i < self.n and ages else None

    def made(self, i: int, age: int) -> Training:
        """The training that made user i's version of that age.

        A model that Replicate does not have was given a wrong name, so its training went to another one.
        """
        made, name = made_at(i, age), self.model_name(i)
        misnamed = self.reason(i) in {Reason.MODEL_NOT_FOUND, Reason.NO_VERSIONS}
        return Training(
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
                counting = counting._replace(replicate_version_id=self.hash(i, 1))
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


class _Trainings(Sequence[Training]):
    """The crowd's trainings, made when they are looked at."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def __len__(self) -> int:
        return self._crowd.n + (self._crowd.n + 4) // 5

    @overload
    def __getitem__(self, place: int) -> Training: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Training]: ...
    def __getitem__(self, place: int | slice) -> Training | Sequence[Training]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        number, n = range(len(self))[place], self._crowd.n
        return self._crowd.made(number, 0) if number < n else self._crowd.made((number - n) * 5, 1)


def made_at(i: int, age: int) -> datetime:
    """Users one second apart, versions of one user about a month."""
    return NOW - timedelta(days=30.4 * age, seconds=i, microseconds=1)


def _training_id(i: int, age: int) -> str:
    return f"t{age}{i:024d}"


def text(moment: datetime) -> str:
    """As Replicate writes times."""
    return moment.isoformat().replace("+00:00", "Z")
