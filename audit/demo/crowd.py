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
        return tuple(Version(self._hash(i, age), _text(_made(i, age))) for age in range(count))

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
        """The last training of every user, whatever became of the model; user 0's is the most recent."""
        return _Trainings(self)

    def training(self, training_id: str) -> Training | None:
        """See `World`."""
        digits = training_id[-8:]
        i = int(digits) if digits.isascii() and digits.isdigit() else self.n
        return self.last_training(i) if i < self.n and training_id == _training_id(i, 0) else None

    def last_training(self, i: int) -> Training:
        """The one that made user i's newest version."""
        digest, made = self._hash(i, 0), _made(i, 0)
        return Training(
            id=_training_id(i, 0),
            destination=f"{OWNER}/{self.model_name(i)}",
            status="succeeded",
            created_at=_text(made - timedelta(minutes=20)),
            completed_at=_text(made + timedelta(seconds=5)),
            output_version=digest,
        )

    def _rows(self, i: int) -> Iterable[ModelRow]:
        counting = self._row(i, 0)
        older = self._row(i, 1)
        match self.reason(i):
            case Reason.OUTDATED_VERSION:
                counting = counting._replace(replicate_version_id=self._hash(i, 1))
            case Reason.UNKNOWN_VERSION:
                counting = counting._replace(replicate_version_id=self._hash(i, 99))
            case Reason.MALFORMED_VERSION:
                counting = counting._replace(replicate_version_id=self._hash(i, 0)[:8])
            case Reason.NO_VERSION_RECORDED:
                counting = counting._replace(replicate_version_id=None)
            case Reason.MISSING_MODEL_ID:
                counting = counting._replace(replicate_model_id=None)
            case Reason.INVALID_MODEL_ID:
                counting = counting._replace(replicate_model_id=self.model_name(i))
        return counting, older

    def _row(self, i: int, age: int) -> ModelRow:
        digest, made = self._hash(i, age), _made(i, age)
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

    def _hash(self, i: int, age: int) -> str:
        return hashlib.sha256(b"%d %d %d" % (self.seed, i, age)).hexdigest()


class _Trainings(Sequence[Training]):
    """The crowd's last trainings, made when they are looked at."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def __len__(self) -> int:
        return self._crowd.n

    @overload
    def __getitem__(self, place: int) -> Training: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Training]: ...
    def __getitem__(self, place: int | slice) -> Training | Sequence[Training]:
        if isinstance(place, slice):
            return [self._crowd.last_training(i) for i in range(self._crowd.n)[place]]
        return self._crowd.last_training(range(self._crowd.n)[place])


def _made(i: int, age: int) -> datetime:
    """Users one second apart, versions of one user about a month."""
    return NOW - timedelta(days=30.4 * age, seconds=i, microseconds=1)


def _training_id(i: int, age: int) -> str:
    return f"t{age}{i:024d}"


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
