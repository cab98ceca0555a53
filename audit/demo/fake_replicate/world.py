"""What the fake Replicate knows: an account, models with their versions, trainings. Plain data, no server."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from audit.demo.fake_replicate.faults import Fault, ResponseVariant
from audit.model.replies import Account, Version

TRAINER = "ostris/flux-dev-lora-trainer"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model on Replicate, and what goes wrong when somebody asks for it."""

    owner: str
    name: str
    versions: tuple[Version, ...] = ()
    """Newest first, as the API lists them."""
    public: bool = False
    """A private model of another account answers 404."""
    lists_versions: bool = True
    """False for official models, and for some that have no version yet: 404 for the list, not for the model."""
    faults: tuple[Fault, ...] = ()

    @property
    def id(self) -> str:
        """The `owner/name` that applications record."""
        return f"{self.owner}/{self.name}"

    @property
    def variants(self) -> tuple[ResponseVariant, ...]:
        """The faults that change how versions are listed, not whether there is an answer."""
        return tuple(fault for fault in self.faults if isinstance(fault, ResponseVariant))


class FakeTraining(msgspec.Struct, frozen=True, kw_only=True):
    """One training of the account. Times are ISO 8601 in UTC."""

    id: str
    destination: str
    status: str
    """starting, processing, succeeded, failed, canceled or aborted, or a word that nobody knows yet."""
    created_at: str
    completed_at: str | None = None
    output_version: str | None = None
    """64 digits; the API writes it behind the destination and a colon."""
    trigger_word: str | None = "TOK"
    error: str | None = None
    source: str = "api"
    trainer: str = TRAINER
    """The model that trains."""
    output: Any = msgspec.UNSET
    """JSON in the place of what follows from `output_version`: the API does not say what an output looks like."""

    @property
    def weights(self) -> str | None:
        """Where the trained weights lie, once there are any."""
        return weights_url(self.output_version) if self.output_version else None


class World(Protocol):
    """Everything one account can see on Replicate. Sequences may be lazy: they are indexed, sliced and counted."""

    @property
    def account(self) -> Account:
        """Whose token it is."""

    @property
    def public_models(self) -> Sequence[Model]:
        """What `GET /models` lists."""

    @property
    def trainings(self) -> Sequence[FakeTraining]:
        """Most recent first."""

    def model(self, owner: str, name: str) -> Model | None:
        """The model of this name, whoever may see it."""

    def training(self, training_id: str) -> FakeTraining | None:
        """The training with this id."""

    def weights(self, path: str) -> int:
        """What a request for the first byte of the file at `path`, below `/weights/`, is answered with: 206 or 404."""


class SmallWorld:
    """A world that is listed in full."""

    def __init__(
        self,
        account: Account,
        models: Iterable[Model],
        trainings: Iterable[FakeTraining] = (),
        weights: Mapping[str, int] | None = None,
    ) -> None:
        """`weights`: statuses of files by path; all others are not there."""
        self.account = account
        self._weights = weights or {}
        self._models = {model.id: model for model in models}
        self.public_models: Sequence[Model] = [model for model in self._models.values() if model.public]
        self.trainings: Sequence[FakeTraining] = sorted(trainings, key=lambda t: (t.created_at, t.id), reverse=True)
        self._by_training_id = {training.id: training for training in self.trainings}

    def model(self, owner: str, name: str) -> Model | None:
        """The model of this name, whoever may see it."""
        return self._models.get(f"{owner}/{name}")

    def training(self, training_id: str) -> FakeTraining | None:
        """The training with this id."""
        return self._by_training_id.get(training_id)

    def weights(self, path: str) -> int:
        """See `World`."""
        return self._weights.get(path, 404)


def visible_model(world: World, model_id: str) -> Model | None:
    """The model as the account's token sees it: None where Replicate answers 404."""
    owner, _, name = model_id.partition("/")
    model = world.model(owner, name)
    if model is None or not (model.public or model.owner == world.account.username):
        return None
    return model


def version_hash(name: str) -> str:
    """The 64 digits that stand for a version in demo and tests; the same name gives the same digits for ever."""
    return hashlib.sha256(f"version {name}".encode()).hexdigest()


def training_id(name: str) -> str:
    """26 letters and digits, as Replicate's own are."""
    digest = hashlib.sha256(f"training {name}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:26]


def weights_url(version: str) -> str:
    """The real place of a version's weights. Nothing in it can be read off the version's hash without this function."""
    digest = hashlib.sha512(f"weights {version}".encode()).digest()
    letters = base64.b64encode(digest).decode().replace("+", "p").replace("/", "s")
    return f"https://replicate.delivery/xezq/{letters[:40]}/flux-lora.tar"
