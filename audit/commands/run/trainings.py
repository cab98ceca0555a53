"""The account's list of trainings: read into the run file, and users settled for whom it is enough.

One page in memory and one request at a time, newest first, back to where it is wanted. Reading can be cancelled between
two pages: what was read is kept, and a resumed run goes on after it. A list grows at its beginning while it is read,
which shifts trainings to later pages, so some are met twice and none is missed; a resumed run first reads what came
since. Whatever goes wrong with a page ends the reading, not the run, and so does a list without end: less is known
then, and the run file says so.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple, Protocol

import msgspec

from audit.findings.trainings import LONGEST_TRAINING, Classifier, in_sample
from audit.model.findings import Finding
from audit.model.replies import Failed, Training, TrainingsRead
from audit.model.times import Clock, parse_utc, utc_text
from audit.replicate.client import LOOP, MOST_TRAININGS_PAGES, TOO_LONG
from audit.replicate.responses import TrainingsPage
from audit.runfile import RunFile

log = logging.getLogger(__name__)
MARGIN = timedelta(days=1)
"""How much further back than the oldest recorded training the list is read: rows are written some time after."""
_AT_ONCE = 500


class TrainingsClient(Protocol):
    """Replicate, as far as the list of trainings is concerned."""

    async def trainings(self, following: str | None = None) -> TrainingsPage | Failed:
        """The first page, or the one that `next` of the page before named; never raises."""


class FirstPage(NamedTuple):
    """The beginning of the list, asked for before it is known how much of it is wanted."""

    began_at: str
    """When it was asked for."""
    page: Awaitable[TrainingsPage | Failed]


def with_since(wanted: TrainingsRead, oldest_recorded: str | None) -> TrainingsRead:
    """`wanted`, where it does not say how far back to read, with a margin beyond the oldest recorded training."""
    oldest = parse_utc(oldest_recorded)
    if wanted.since is not None or oldest is None:
        return wanted
    first = datetime.min.replace(tzinfo=UTC) + MARGIN  # some databases have it for "never"
    return msgspec.structs.replace(wanted, since=utc_text(max(oldest, first) - MARGIN))


class TrainingsReader:
    """Reads what is missing of the list. `on_page` is told each page, and how many trainings were read by then."""

    def __init__(
        self,
        client: TrainingsClient,
        run_file: RunFile,
        clock: Clock,
        on_page: Callable[[Sequence[Training], int], None] = lambda *_: None,
        first: FirstPage | None = None,
    ) -> None:
        self._client = client
        self._run_file = run_file
        self._clock = clock
        self._on_page = on_page
        self._first = first

    async def read(self) -> None:
        """Read to the end of what is wanted. Raises what the run file raises."""
        read = self._read
        began = self._first.began_at if self._first else utc_text(self._clock())
        if read.pages and not await self._catch_up(read):
            return
        self._save(began_at=began, problem=None)
        if not read.complete:
            await self._read_back(read.next)

    @property
    def _read(self) -> TrainingsRead:
        read = self._run_file.info.trainings
        assert read  # noqa: S101 - whoever reads trainings has said how before
        return read

    async def _catch_up(self, read: TrainingsRead) -> bool:
        """Read what was begun since the last time, or had not ended then; whether that went well."""
        began = parse_utc(read.began_at)
        last = False
        async for page, last in self._pages(None, began - LONGEST_TRAINING if began else None):  # noqa: B007 - returned
            self._store(page)
        return last

    async def _read_back(self, following: str | None) -> None:
        """Read older pages, from `following` on."""
        async for page, last in self._pages(following, parse_utc(self._read.since)):
            oldest = _oldest(page)
            back_to = {"back_to": utc_text(oldest)} if oldest else {}
            self._store(page, next=None if last else page.next, complete=last, **back_to)

    async def _pages(self, following: str | None, until: datetime | None) -> AsyncIterator[tuple[TrainingsPage, bool]]:
        """Pages from `following` on, and whether each is the last that is wanted. A failure ends them early."""
        visited = set[str]()
        last = False
        while not last:
            page = TOO_LONG if self._read.pages >= MOST_TRAININGS_PAGES else await self._page(following)
            if not isinstance(page, Failed) and page.next in visited:
                page = LOOP
            if isinstance(page, Failed):
                log.warning("the list of trainings could not be read to its end: %s", page.detail)
                self._save(problem=page.detail)
                return
            following, oldest = page.next, _oldest(page)
            visited.add(following or "")
            last = following is None or bool(until and oldest and oldest < until)
            yield page, last

    async def _page(self, following: str | None) -> TrainingsPage | Failed:
        first, self._first = self._first, None
        return await (first.page if first else self._client.trainings(following))

    def _store(self, page: TrainingsPage, **progress: object) -> None:
        with self._run_file.transaction():
            new = self._run_file.trainings.add(page.trainings)
            read = self._read
            counts = {"pages": read.pages + 1, "read": read.read + new, "unreadable": read.unreadable + page.unreadable}
            self._save(**counts, **progress)
        self._on_page(page.trainings, read.read + new)

    def _save(self, **changes: object) -> None:
        info = self._run_file.info
        read = msgspec.structs.replace(self._read, **changes)
        self._run_file.save_info(msgspec.structs.replace(info, trainings=read))


def settle_by_trainings(run_file: RunFile, classifier: Classifier, percent: float, at: int) -> int:
    """Settle everybody for whom trainings are enough, but for a sample of `percent`; returns how many that were.

    Where the sample would be empty the last one is left for it, so that there is always a check, unless `percent` is 0.
    """
    run_id = run_file.info.id
    settled, sampled = 0, percent == 0
    held: tuple[int, Finding] | None = None
    waiting = run_file.pending_unshared()
    while rows := list(islice(waiting, _AT_ONCE)):
        batch = [held] if held else []
        held = None
        for row_id, model, record in rows:
            if (finding := classifier.settled(record)) is None:
                continue
            if in_sample(run_id, model, percent):
                sampled = True
            else:
                batch.append((row_id, finding))
        if not sampled and batch:
            held = batch.pop()
        run_file.record_findings_by_training(batch, at)
        settled += len(batch)
    if held and sampled:
        run_file.record_findings_by_training([held], at)
        settled += 1
    return settled


def _oldest(page: TrainingsPage) -> datetime | None:
    return min(filter(None, (parse_utc(training.created_at) for training in page.trainings)), default=None)
