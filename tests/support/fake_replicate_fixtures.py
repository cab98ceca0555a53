"""Fake Replicates, ready to be asked.

Registered by `pytest_plugins = ("tests.support.fake_replicate_fixtures",)`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest

from audit.demo.fake_replicate.server import TOKEN
from audit.demo.fake_replicate.world import FakeTraining, Model, SmallWorld, World, version_hash
from audit.model.replies import Account, Version
from tests.support.clock import ManualClock
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate, ServerTime

OWNER = "acme-photos"
ACCOUNT = Account(type="organization", username=OWNER)
Serve = Callable[..., Awaitable[InstrumentedReplicate]]


def versions(count: int, name: str = "face") -> tuple[Version, ...]:
    """So many versions, newest first, one a day."""
    return tuple(
        Version(version_hash(f"{name} {age}"), f"2026-02-{28 - age % 28:02d}T08:30:15.{900_000 - age:06d}Z")
        for age in range(count)
    )


def model(name: str = "face", count: int = 3, **fields: object) -> Model:
    """A private model of the account."""
    return Model(**{"owner": OWNER, "name": name, "versions": versions(count, name), **fields})  # type: ignore[arg-type] # fields are the test's


def small_world(*models: Model, trainings: tuple[FakeTraining, ...] = ()) -> SmallWorld:
    """The account with these models."""
    return SmallWorld(ACCOUNT, models, trainings)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(model(...), ..., behaviour=, time=)` or `await serve(world, ...)`: runs until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(
            *what: Model | World, behaviour: Behaviour | None = None, time: ServerTime | None = None
        ) -> InstrumentedReplicate:
            models = [part for part in what if isinstance(part, Model)]
            worlds = [part for part in what if not isinstance(part, Model)]
            return await stack.enter_async_context(
                InstrumentedReplicate(worlds[0] if worlds else small_world(*models), behaviour, time=time)
            )

        yield start


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that bears the token, follows nothing and waits 5 s at most."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=5)) as client:
        yield client
