"""The fake Replicate, which tells in which order requests came and keeps answers back as long as a test wants."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from aiohttp import web

from audit.demo.fake_replicate.delivery import Sent
from audit.demo.fake_replicate.server import TOKEN
from audit.demo.fake_replicate.world import World
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate

Keeps: TypeAlias = Callable[[str, Sequence[str]], bool]
"""Whether the answer for a path is kept back, given all paths so far, which have queries; asked at each new request."""


class OrderedReplicate(InstrumentedReplicate):
    """`order` has the paths of all requests, with queries, as they came; it may be read from any thread."""

    def __init__(
        self, world: World, behaviour: Behaviour | None = None, *, keeps: Keeps = lambda *_: False, token: str = TOKEN
    ) -> None:
        super().__init__(world, behaviour, token=token)
        self.keeps = keeps
        self.order: list[str] = []
        self._changed = asyncio.Condition()

    async def _handle(self, request: web.BaseRequest) -> Sent:
        self.order.append(request.raw_path)
        await self._notify()
        await self.until(lambda: not self.keeps(request.raw_path, self.order))
        try:
            return await super()._handle(request)
        finally:
            await self._notify()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait, in the loop of this server, for something that requests or answers bring about."""
        async with self._changed:
            await self._changed.wait_for(holds)

    async def release(self) -> None:
        """Keep nothing back from now on."""
        self.keeps = lambda *_: False
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    @property
    def asked_for(self) -> list[str]:
        """Models whose versions were asked for, in that order."""
        return models_in(self.order)


def models_in(paths: Sequence[str]) -> list[str]:
    """Models whose versions these paths ask for; pages after the first are left out."""
    ended = "/versions"
    return [path.removeprefix("/v1/models/").removesuffix(ended) for path in paths if path.endswith(ended)]


def list_pages(paths: Sequence[str]) -> int:
    """How many pages of the list of trainings these paths ask for."""
    return sum(path.partition("?")[0] == "/v1/trainings" for path in paths)
