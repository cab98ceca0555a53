"""Replicate as another account sees it."""

from collections.abc import Sequence

from audit.demo.fake_replicate.world import FakeTraining, Model, World
from audit.model.replies import Account

STAGING = Account("organization", "acme-staging")


class AsSeenBy:
    """`world` to `account`, which has no training and no model of its own: what is private there is not for it."""

    def __init__(self, world: World, account: Account = STAGING) -> None:
        self.account = account
        self._world = world
        self.trainings: Sequence[FakeTraining] = ()
        self.public_models = world.public_models
        self.weights = world.weights

    def model(self, owner: str, name: str) -> Model | None:
        """See `World`."""
        return self._world.model(owner, name)

    def training(self, training_id: str) -> FakeTraining | None:
        """See `World`."""
        return None
