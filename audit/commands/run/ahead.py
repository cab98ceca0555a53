"""Models that are asked for while the list of trainings is still being read: those that no older page makes needless.

A model into which a training has put a version is no trainer, whatever else is in the list, so it may be asked for. The
replies wait in memory until the list has ended, as findings rest on all of it; whatever ends the run before loses them,
and their models are still pending then.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import Any, Protocol, Self

from audit.findings.classify import RunContext
from audit.findings.trainings import in_sample
from audit.model.ids import model_key, recorded_hash
from audit.model.replies import Failed, Found, Reply, Training, TrainingsRead, of_model
from audit.runfile import RunFile

MOST_REPLIES = 1_000
MOST_VERSIONS = 20_000
"""In the replies that wait. Whoever has no room is asked for when the list has ended."""


class Client(Protocol):
    """Replicate, as far as models are concerned."""

    def ask(self, model: str) -> Coroutine[Any, Any, Reply]:
        """What it has of `model`. Never raises for what a server or the network did."""


class AskedAhead:
    """Replies that have come or are on their way, until they are taken; what nobody takes is dropped at the end."""

    def __init__(
        self, client: Client, run_file: RunFile, wanted: TrainingsRead | None, context: RunContext, at_once: int
    ) -> None:
        """`wanted`: what the list is read for, None where it is not read. `at_once`: so many requests there may be."""
        self._client = client
        self._run_file = run_file
        self._wanted = wanted
        self._context = context
        self._at_once = at_once
        self._waiting: dict[str, None] = {}  # an ordered set: a model may be on many pages
        self._replies: dict[str, asyncio.Task[Reply]] = {}
        self._in_flight = self._versions = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        for each in self._replies.values():
            each.cancel()
        await asyncio.gather(*self._replies.values(), return_exceptions=True)

    @property
    def asked(self) -> int:
        """Models that were asked for, and whose replies were not taken."""
        return len(self._replies)

    @property
    def count(self) -> int:
        """Replies that have come and were not taken."""
        return len(self._replies) - self._in_flight

    def offer(self, page: Iterable[Training]) -> None:
        """Ask for the models of these trainings, which are in the run file, if they are asked for in any case."""
        room = MOST_REPLIES - len(self._replies) - len(self._waiting)
        if self._closed or self._wanted is None or room < 1 or self._at_once < 1:
            return
        made = {model_key(each.model): each.version for each in page if each.model and each.succeeded}
        questions = (each for each in self._certain(made, self._wanted) if each not in self._replies)
        self._waiting.update(dict.fromkeys(islice(questions, room)))
        self._begin()

    def _certain(self, made: Mapping[str, str | None], wanted: TrainingsRead) -> Iterator[str]:
        """Of the models with these keys, into which these versions were put, those that are asked for in any case."""
        run_id = self._run_file.info.id
        for model, record, shared in self._run_file.pending_among(made):
            key = model_key(model)
            if self._context.is_trainer(model):
                continue
            if wanted.mode == "versions" or shared or in_sample(run_id, key, wanted.sample):
                yield model
            elif (recorded := recorded_hash(record.replicate_version_id)) != made[key]:
                # Older pages settle nobody, but where a training has ended after one that began later: that is rare,
                # and its model asked for in vain.
                newest = self._run_file.trainings.newest(key)
                if newest and newest.version != recorded:
                    yield model

    def close(self) -> None:
        """Begin with nothing new; what is on its way goes on."""
        self._closed = True
        self._waiting.clear()

    def _begin(self) -> None:
        while self._waiting and self._in_flight < self._at_once and self._versions < MOST_VERSIONS:
            model = next(iter(self._waiting))
            del self._waiting[model]
            self._replies[model] = task = asyncio.create_task(self._client.ask(model))
            self._in_flight += 1
            task.add_done_callback(self._came)

    def _came(self, task: asyncio.Task[Reply]) -> None:
        self._in_flight -= 1
        if task.cancelled() or task.exception():
            return
        match of_model(task.result()):
            case Failed():  # the auditor decides what that means, when it has the replies
                self.close()
            case Found() as found:
                self._versions += len(found.versions)
        self._begin()

    def pending(self) -> list[str]:
        """Models whose reply has not been taken and is still wanted, those first for whom there is none yet."""
        wanted = {model for model, _, _ in self._run_file.pending_among(map(model_key, self._replies))}
        asked = [each for each in self._replies if each in wanted]
        return sorted(asked, key=lambda each: self._replies[each].done())

    def take(self, model: str) -> asyncio.Task[Reply] | None:
        """The reply about `model`, where it was asked for."""
        return self._replies.pop(model, None)
