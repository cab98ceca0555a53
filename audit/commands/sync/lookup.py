"""Finds the training that made a version, which knows where its weights lie: by its id, or in the account's list.

The list is read newest first, one page at a time, no further back than where a version was made, and never twice. What
was read is kept in the run file, so that a later command need not ask for it again.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from audit.findings.trainings import LONGEST_TRAINING
from audit.model.ids import askable_training
from audit.model.replies import Failed, Missing, Training
from audit.model.times import parse_utc
from audit.repair.plan import PlannedChange
from audit.replicate.client import LOOP, MOST_TRAININGS_PAGES, TOO_LONG
from audit.replicate.responses import TrainingsPage
from audit.runfile import RunFile


class TrainingsClient(Protocol):
    """Replicate, as far as trainings are concerned."""

    async def training(self, training_id: str) -> Training | Missing | Failed:
        """One training of the account."""

    async def trainings(self, following: str | None = None) -> TrainingsPage | Failed:
        """A page of the list, newest first: the first, or the one that `next` of the page before named."""


class LookedUp(NamedTuple):
    """What a look-up has come to."""

    training: Training | None = None
    """Null where nobody knows it, or it could not be asked."""
    failure: Failed | None = None
    """Why it could not be asked."""


class TrainingLookUp:
    """Looks up trainings for one command."""

    def __init__(self, client: TrainingsClient, run_file: RunFile, at_once: int) -> None:
        """`run_file` has to be locked."""
        self._client = client
        self._run_file = run_file
        self._free = asyncio.Semaphore(at_once)
        self._read: set[str | None] = set()
        """Pages of the list, by what leads to them."""
        self._next: str | None = None
        self._back_to: datetime | None = None
        self._whole = False

    async def trainings_for(self, several: Sequence[PlannedChange]) -> dict[str, LookedUp]:
        """Those that made the versions that these changes are to record, by row."""
        found: dict[str, LookedUp] = {}
        waiting = self._take_known(several, found)
        answers = await asyncio.gather(*map(self._ask_by_id, waiting))
        failures = {each.change.model_row_id: failed for each, failed in zip(waiting, answers, strict=True)}
        waiting = self._take_known(waiting, found)
        problem = await self._read_list(waiting)
        for planned in self._take_known(waiting, found):
            row_id = planned.change.model_row_id
            found[row_id] = LookedUp(failure=failures[row_id] or problem)
        return found

    def _take_known(self, several: Iterable[PlannedChange], found: dict[str, LookedUp]) -> list[PlannedChange]:
        """Put into `found` what the run file knows of `several`; the others."""
        unknown = []
        for planned in several:
            training = self._run_file.trainings.made(planned.change.latest_version)
            if training is None:
                unknown.append(planned)
            else:
                found[planned.change.model_row_id] = LookedUp(training)
        return unknown

    async def _ask_by_id(self, planned: PlannedChange) -> Failed | None:
        """Ask for the trainings that the user's rows name; a failure where one could not be asked for."""
        failure = None
        named = map(askable_training, (planned.user.record.training_id, planned.user.record.later_training_id))
        for training_id in dict.fromkeys(filter(None, named)):
            async with self._free:
                answer = await self._client.training(training_id)
            if isinstance(answer, Training):
                self._keep([answer])
                if answer.version == planned.change.latest_version:
                    return None
            failure = answer if isinstance(answer, Failed) else failure
        return failure

    async def _read_list(self, waiting: Sequence[PlannedChange]) -> Failed | None:
        """Read the list as far back as these versions may have been made; why that was not possible."""
        dates = [
            made_at for planned in waiting if (made_at := parse_utc(planned.user.finding.latest_version_created_at))
        ]
        if not dates:
            return None
        until = min(dates) - LONGEST_TRAINING
        while not self._whole and (self._back_to is None or self._back_to >= until):
            if len(self._read) >= MOST_TRAININGS_PAGES:
                return TOO_LONG
            page = LOOP if self._next in self._read else await self._client.trainings(self._next)
            if isinstance(page, Failed):
                return page
            self._keep(page.trainings)
            self._read.add(self._next)
            self._next, self._whole = page.next, page.next is None
            began = [date for training in page.trainings if (date := parse_utc(training.created_at))]
            self._back_to = min([*began, self._back_to] if self._back_to else began, default=self._back_to)
        return None

    def _keep(self, trainings: Iterable[Training]) -> None:
        with self._run_file.transaction():
            self._run_file.trainings.add(trainings)
