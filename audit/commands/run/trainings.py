"""Reading the account's list of trainings into the run file, and settling those for whom it is enough.

Bounded: one page in memory, one request at a time. Ordered: newest first, back to where it is wanted. Cancelled:
between any two pages; what was read is kept, and a resumed run goes on after it. A list grows at its beginning while it
is read, which shifts trainings to later pages, so some are met twice and none is missed; a resumed run first reads what
came since. Whatever goes wrong with a page ends the reading, not the run: then less is known, and that is said.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

import msgspec

from audit.findings.trainings import LONGEST_TRAINING, Classifier, in_sample
from audit.model.codes import Reason
from audit.model.findings import Finding
from audit.model.replies import Failed, Training, TrainingsRead
from audit.model.run import RunInfo
from audit.model.times import parse_utc
from audit.model.users import ModelRecord

log = logging.getLogger(__name__)
MARGIN = timedelta(days=1)
"""How much further back than the oldest recorded training the list is read: rows are written some time after."""
_AT_ONCE = 500
_LOOP = Failed(Reason.BAD_RESPONSE, "`next` loops: it leads to a page that was read before")


class Page(Protocol):
    """A page of the list."""

    @property
    def trainings(self) -> tuple[Training, ...]:
        """Newest first."""

    @property
    def unreadable(self) -> int:
        """Entries that could not be understood."""

    @property
    def next(self) -> str | None:
        """What leads to the page after it."""


class Lister(Protocol):
    """Whoever can ask for a page."""

    async def trainings(self, following: str | None = None) -> Page | Failed:
        """The first page, or the one that `next` of the page before named; never an exception."""


class Shelf(Protocol):
    """Where trainings are kept."""

    def add(self, page: Iterable[Training]) -> int:
        """Keep them; returns how many were new."""


class Book(Protocol):
    """The run file."""

    @property
    def info(self) -> RunInfo:
        """The run itself, with how far the list was read."""

    @property
    def trainings(self) -> Shelf:
        """Those that are kept."""

    def save_info(self, info: RunInfo) -> None:
        """Replace what is written about the run itself."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""

    def pending_unshared(self) -> Iterator[tuple[int, str, ModelRecord]]:
        """Row id, model and record of all who wait for an answer and share their model with nobody."""

    def record_findings_by_training(self, findings: Iterable[tuple[int, Finding]], at: int) -> None:
        """Record findings for which nothing has to be asked, in one transaction, `at` seconds since 1970."""


def start(oldest_recorded: str | None, wanted: TrainingsRead) -> TrainingsRead:
    """`wanted` with how far back to read where that was not said: a margin beyond the oldest recorded training."""
    oldest = parse_utc(oldest_recorded)
    if wanted.since is not None or oldest is None:
        return wanted
    return msgspec.structs.replace(wanted, since=_text(oldest - MARGIN))


class Reading:
    """The list as far as it was read, and going on with it."""

    def __init__(
        self, lister: Lister, book: Book, now: Callable[[], datetime], shown: Callable[[int], None] = lambda _: None
    ) -> None:
        self._lister = lister
        self._book = book
        self._now = now
        self._shown = shown

    async def finish(self) -> None:
        """Read what is missing of the list. Raises what the run file raises."""
        read = self._read
        began = _text(self._now())
        if read.pages and not await self._catch_up(read):
            return
        self._save(began_at=began, problem=None)
        if not read.complete:
            await self._back(read.next)

    @property
    def _read(self) -> TrainingsRead:
        read = self._book.info.trainings
        assert read  # noqa: S101 - whoever reads trainings has said how before
        return read

    async def _catch_up(self, read: TrainingsRead) -> bool:
        """Read what was begun since the first time, or had not ended then; whether that went well."""
        began = parse_utc(read.began_at)
        until = began - LONGEST_TRAINING if began else None
        following, seen = None, set[str]()
        while True:
            page = await self._page(following, seen)
            if page is None:
                return False
            self._keep(page)
            oldest = _oldest(page)
            if page.next is None or (until and oldest and oldest < until):
                return True
            following = page.next

    async def _back(self, following: str | None) -> None:
        since = parse_utc(self._read.since)
        seen = set[str]()
        while True:
            page = await self._page(following, seen)
            if page is None:
                return
            following, oldest = page.next, _oldest(page)
            done = following is None or bool(since and oldest and oldest < since)
            back_to = {"back_to": _text(oldest)} if oldest else {}
            self._keep(page, next=None if done else following, complete=done, **back_to)
            if done:
                return

    async def _page(self, following: str | None, seen: set[str]) -> Page | None:
        page = await self._lister.trainings(following)
        if not isinstance(page, Failed) and page.next in seen:
            page = _LOOP
        if isinstance(page, Failed):
            log.warning("the list of trainings could not be read to its end: %s", page.detail)
            self._save(problem=page.detail)
            return None
        seen.add(page.next or "")
        return page

    def _keep(self, page: Page, **progress: object) -> None:
        with self._book.transaction():
            new = self._book.trainings.add(page.trainings)
            read = self._read
            counts = {"pages": read.pages + 1, "read": read.read + new, "unreadable": read.unreadable + page.unreadable}
            self._save(**counts, **progress)
        self._shown(read.read + new)

    def _save(self, **changes: object) -> None:
        info = self._book.info
        read = msgspec.structs.replace(self._read, **changes)
        self._book.save_info(msgspec.structs.replace(info, trainings=read))


def settle(book: Book, judge: Classifier, percent: float, at: int) -> int:
    """Settle everybody for whom trainings are enough, but for the sample; returns how many that were.

    Where the sample would be empty the last one is left for it, so that there is always a check, unless none is wanted.
    """
    run_id = book.info.id
    settled, sampled = 0, percent == 0
    held: tuple[int, Finding] | None = None
    waiting = book.pending_unshared()
    while rows := list(islice(waiting, _AT_ONCE)):
        batch = [held] if held else []
        held = None
        for row_id, model, record in rows:
            if (finding := judge.settled(record)) is None:
                continue
            if in_sample(run_id, model, percent):
                sampled = True
            else:
                batch.append((row_id, finding))
        if not sampled and batch:
            held = batch.pop()
        book.record_findings_by_training(batch, at)
        settled += len(batch)
    if held and sampled:
        book.record_findings_by_training([held], at)
        settled += 1
    return settled


def _oldest(page: Page) -> datetime | None:
    return min(filter(None, (parse_utc(training.created_at) for training in page.trainings)), default=None)


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
