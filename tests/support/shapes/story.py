"""What has happened in every shape alike: who trained what, what Replicate has, and what the product wrote down."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from audit.demo.fake_replicate.world import FakeTraining, Model, SmallWorld, training_id, version_hash, weights_url
from audit.model.replies import Account, Version
from audit.model.sql import literal, quoted

OWNER = "acme"
"""The account on Replicate."""


class Person(NamedTuple):
    """A user, under every kind of key that products have."""

    number: int
    name: str

    @property
    def uuid(self) -> str:
        """In lower case, as PostgreSQL writes it."""
        return f"{self.number:08d}-1111-4111-8111-{self.number:012d}"

    @property
    def key(self) -> str:
        """Letters and digits that sort by nothing."""
        return f"cl{version_hash(self.name)[:22]}"

    @property
    def email(self) -> str:
        """Unique."""
        return f"{self.name.lower()}@example.com"


ADA, BEN, CLEO, DORA, ELI, FAY = (
    Person(number, name) for number, name in enumerate(("Ada", "Ben", "Cleo", "Dora", "Eli", "Fay"), 1)
)
PEOPLE = (ADA, BEN, CLEO, DORA, ELI, FAY)
"""Ada is up to date, Ben is one version behind. Cleo has an older model that is behind, and a newer one that is not.
Dora's training has succeeded, and her row still says that it is in progress; Eli's has failed, and Fay has none."""


class Trained(NamedTuple):
    """One row of a product that keeps a row for each training."""

    number: int
    person: Person
    name: str
    """Of the model, without its owner."""
    state: str
    """Replicate's own word."""
    hash: str | None
    """The version that is recorded."""
    created: datetime
    ended: datetime | None

    @property
    def model(self) -> str:
        """`owner/name`."""
        return f"{OWNER}/{self.name}"

    @property
    def version(self) -> str | None:
        """`owner/name:hash`."""
        return self.hash and f"{self.model}:{self.hash}"

    @property
    def training(self) -> str:
        """26 letters and digits."""
        return training_id(f"shape {self.number}")

    @property
    def weights(self) -> str | None:
        """The URL that the training has put out."""
        return self.hash and weights_url(self.hash)

    @property
    def uuid(self) -> str:
        """A key for the row."""
        return f"{self.number:08d}-2222-4222-8222-{self.number:012d}"

    @property
    def done(self) -> bool:
        """The row says that it has completed."""
        return self.state == "succeeded"


_BEGAN = datetime(2025, 3, 1, 9, 30, tzinfo=UTC)


def _trained(number: int, person: Person, name: str, state: str = "succeeded", made: str | None = None) -> Trained:
    created = _BEGAN + timedelta(days=10 * number)
    ended = None if state == "processing" else created + timedelta(minutes=25)
    return Trained(number, person, name, state, made and version_hash(made), created, ended)


ADAS = _trained(1, ADA, "ada-portrait", made="ada 1")
BENS = _trained(2, BEN, "ben-portrait", made="ben 1")
CLEOS_OLD = _trained(3, CLEO, "cleo-portrait", made="cleo 1")
CLEOS = _trained(4, CLEO, "cleo-outdoors", made="cleo outdoors 1")
DORAS = _trained(5, DORA, "dora-portrait", "processing")
ELIS = _trained(6, ELI, "eli-portrait", "failed")
TRAINED = (ADAS, BENS, CLEOS_OLD, CLEOS, DORAS, ELIS)
NEW_OF_BEN, NEW_OF_CLEO, NEW_OF_DORA = (version_hash(f"{name} 2") for name in ("ben", "cleo", "dora"))
"""Versions that Replicate has, and the product has not recorded."""


def _versions() -> dict[str, list[tuple[str, datetime]]]:
    """By model, newest first."""
    found = {
        row.name: [(row.hash, row.ended)] if row.hash and row.ended else list[tuple[str, datetime]]() for row in TRAINED
    }
    later = timedelta(days=100)
    found[BENS.name].insert(0, (NEW_OF_BEN, BENS.created + later))
    found[CLEOS_OLD.name].insert(0, (NEW_OF_CLEO, CLEOS_OLD.created + later))
    found[DORAS.name].insert(0, (NEW_OF_DORA, DORAS.created + timedelta(minutes=20)))
    return found


def _trainings() -> Iterable[FakeTraining]:
    for row in TRAINED:
        made = row.hash or (NEW_OF_DORA if row is DORAS else None)
        ended = row.created + timedelta(minutes=20)
        yield FakeTraining(
            id=row.training,
            destination=row.model,
            status="succeeded" if made else "failed",
            created_at=_text(row.created),
            completed_at=_text(ended),
            output_version=made,
            error=None if made else "no face in the pictures",
        )
    for row, made in ((BENS, NEW_OF_BEN), (CLEOS_OLD, NEW_OF_CLEO)):
        yield FakeTraining(
            id=training_id(made),
            destination=row.model,
            status="succeeded",
            created_at=_text(row.created + timedelta(days=100, minutes=-20)),
            completed_at=_text(row.created + timedelta(days=100)),
            output_version=made,
        )


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


WORLD = SmallWorld(
    Account("organization", OWNER),
    [
        Model(owner=OWNER, name=name, versions=tuple(Version(made, _text(at)) for made, at in versions))
        for name, versions in _versions().items()
    ],
    _trainings(),
)
"""What Replicate has to say in every shape."""


def rows(table: str, listed: Iterable[Mapping[str, Any]]) -> str:
    """INSERT for rows whose keys are the database's names of columns; dictionaries become JSON. All have the same."""
    known = list(listed)
    names = ", ".join(map(quoted, known[0]))
    values = ",\n".join(f"({', '.join(map(_value, row.values()))})" for row in known)
    return f"INSERT INTO {table} ({names}) VALUES\n{values};\n"


def _value(value: object) -> str:
    if isinstance(value, dict | list):
        return literal(msgspec.json.encode(value).decode())
    if isinstance(value, datetime):
        return literal(value.isoformat())
    return literal(None if value is None else str(value))
