"""Reading a list of trainings that grows, breaks off and lies, and settling whom it settles."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.commands.run.trainings import TrainingsReader, settle_by_trainings, with_since
from audit.findings.classify import RunContext, classify
from audit.findings.trainings import Classifier
from audit.model.codes import Reason
from audit.model.replies import Account, Failed, NotAsked, Training, TrainingsRead
from audit.model.times import utc_text
from audit.model.users import Population
from audit.replicate.client import MOST_TRAININGS_PAGES
from audit.replicate.responses import TrainingsPage
from audit.runfile import RunFile
from tests.support.samples import digest, record, run_info

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINE = RunContext(Account(type="user", username="acme"))
NOBODY = Population(
    users=0,
    users_with_completed_model=0,
    completed_models=0,
    users_with_several_completed_models=0,
    completed_models_hidden=0,
    completed_without_model_id=0,
    test_models_left_out=0,
    models_without_user=0,
    training_status={},
)


def training(number: int, hours_ago: float = 0) -> Training:
    """One of user `number`, who has one model and one version."""
    moment = utc_text(NOW - timedelta(hours=hours_ago))
    model, version = f"acme/user-{number}", digest(f"user {number}")
    return Training(
        id=f"t{number}", status="succeeded", model=model, version=version, created_at=moment, completed_at=moment
    )


@dataclass
class Trainings:
    """An account's trainings, newest first, `size` a page; `then` is called after each page."""

    trainings: list[Training]
    size: int = 2
    broken_page: int | None = None
    then: Callable[["Trainings"], None] = lambda _: None
    asked: list[str | None] = field(default_factory=list)

    async def page(self, following: str | None) -> TrainingsPage | Failed:
        self.asked.append(following)
        if len(self.asked) == self.broken_page:
            return Failed(Reason.SERVER_ERROR, "HTTP 503")
        begin = int(following or 0)
        page = self.trainings[begin : begin + self.size]
        more = begin + self.size < len(self.trainings)
        self.then(self)
        return TrainingsPage(tuple(page), 0, str(begin + self.size) if more else None)


class FakeClient:
    """What `TrainingsReader` asks."""

    def __init__(self, account: Trainings) -> None:
        self._account = account

    async def trainings(self, following: str | None = None) -> TrainingsPage | Failed:
        return await self._account.page(following)


@pytest.fixture
def run_file(tmp_path: Path) -> Iterator[RunFile]:
    """A run that wants trainings, all of them."""
    with new_run_file(tmp_path) as run_file:
        yield run_file


def new_run_file(folder: Path, since: str | None = None) -> RunFile:
    wanted = TrainingsRead(mode="trainings", since=since)
    return RunFile.create(folder / "run.sqlite", run_info(trainings=wanted))


def read(run_file: RunFile, account: Trainings, now: datetime = NOW) -> TrainingsRead:
    """Read on, and how far it is then."""
    asyncio.run(TrainingsReader(FakeClient(account), run_file, lambda: now).read())
    assert run_file.info.trainings
    return run_file.info.trainings


def known(run_file: RunFile, numbers: range) -> set[int]:
    return {number for number in numbers if run_file.trainings.newest(f"acme/user-{number}")}


def test_the_whole_list_is_read_and_each_training_is_counted_once(run_file: RunFile) -> None:
    done = read(run_file, Trainings([training(i, i) for i in range(7)]))
    assert (done.read, done.pages, done.complete, done.next) == (7, 4, True, None)
    assert done.began_at == utc_text(NOW)
    assert done.back_to == utc_text(NOW - timedelta(hours=6))
    assert known(run_file, range(8)) == set(range(7))


def test_reading_ends_where_nothing_more_is_wanted(tmp_path: Path) -> None:
    account = Trainings([training(i, i) for i in range(20)])
    with new_run_file(tmp_path, since=utc_text(NOW - timedelta(hours=4.5))) as run_file:
        done = read(run_file, account)
    assert len(account.asked) == 3
    assert done.complete


def test_an_empty_list_is_complete(run_file: RunFile) -> None:
    done = read(run_file, Trainings([]))
    assert (done.read, done.pages, done.complete, done.back_to) == (0, 1, True, None)


def test_a_page_that_fails_ends_the_reading_and_says_why(run_file: RunFile) -> None:
    done = read(run_file, Trainings([training(i, i) for i in range(7)], broken_page=3))
    assert (done.read, done.complete, done.problem) == (4, False, "HTTP 503")
    assert done.back_to == utc_text(NOW - timedelta(hours=3))


def test_reading_goes_on_where_it_broke_off(run_file: RunFile) -> None:
    trainings = [training(i, 30 * i) for i in range(9)]
    read(run_file, Trainings(trainings, broken_page=4))
    account = Trainings(trainings)
    done = read(run_file, account, NOW + timedelta(hours=1))
    assert account.asked == [None, "6", "8"]  # the page at the front, then the rest
    assert (done.read, done.complete, done.problem) == (9, True, None)
    assert done.began_at == utc_text(NOW + timedelta(hours=1))


def test_what_was_trained_between_two_parts_is_read_first(run_file: RunFile) -> None:
    old = [training(i, 30 * i) for i in range(6)]
    read(run_file, Trainings(old, broken_page=2))
    new = [training(i, -i) for i in (12, 11, 10)]
    done = read(run_file, Trainings([*new, *old]), NOW + timedelta(hours=13))
    assert done.read == 9
    assert known(run_file, range(20)) == {*range(6), 10, 11, 12}


def test_what_was_running_is_looked_at_again(run_file: RunFile) -> None:
    running = Training(id="t0", status="processing", created_at=utc_text(NOW - timedelta(minutes=5)))
    read(run_file, Trainings([running, *(training(i, 30 * i) for i in range(1, 6))], broken_page=2))
    assert known(run_file, range(1)) == set()
    read(run_file, Trainings([training(0, 0), *(training(i, 30 * i) for i in range(1, 6))]), NOW + timedelta(hours=1))
    assert known(run_file, range(1)) == {0}


def test_a_next_that_loops_ends_the_reading(run_file: RunFile) -> None:
    class Loop:
        async def trainings(self, following: str | None = None) -> TrainingsPage | Failed:
            return TrainingsPage((training(1),), 0, "again")

    asyncio.run(asyncio.wait_for(TrainingsReader(Loop(), run_file, lambda: NOW).read(), 5))
    assert run_file.info.trainings
    assert "loops" in str(run_file.info.trainings.problem)


class Endless:
    """A list in which there is always one page more; `size` trainings on each, and none twice."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.asked = 0

    async def trainings(self, following: str | None = None) -> TrainingsPage | Failed:
        self.asked += 1
        page = [Training(id=f"e{self.asked}-{each}", status="succeeded") for each in range(self.size)]
        return TrainingsPage(tuple(page), 0, f"page {self.asked}")


@pytest.mark.parametrize("size", [0, 1])
def test_a_list_without_end_ends_the_reading_and_is_not_begun_again(run_file: RunFile, size: int) -> None:
    endless = Endless(size)
    for _ in range(2):
        asyncio.run(asyncio.wait_for(TrainingsReader(endless, run_file, lambda: NOW).read(), 300))
        read = run_file.info.trainings
        assert read
        assert endless.asked == read.pages == MOST_TRAININGS_PAGES
        assert read.problem == "the list of trainings goes on after 10,000 pages"
        assert not read.complete


def test_a_list_that_is_too_long_is_not_read_on(run_file: RunFile) -> None:
    read = run_file.info.trainings
    assert read
    read = msgspec.structs.replace(read, pages=MOST_TRAININGS_PAGES - 2, next="on", began_at=utc_text(NOW))
    run_file.save_info(msgspec.structs.replace(run_file.info, trainings=read))
    endless = Endless()
    asyncio.run(asyncio.wait_for(TrainingsReader(endless, run_file, lambda: NOW).read(), 60))
    assert endless.asked == 2
    assert run_file.info.trainings
    assert "goes on after 10,000 pages" in str(run_file.info.trainings.problem)


@given(
    first=st.integers(0, 12),
    size=st.integers(1, 4),
    grows=st.lists(st.integers(0, 3), max_size=8),
    breaks=st.one_of(st.none(), st.integers(1, 6)),
)
def test_no_training_is_missed_however_the_list_grows_and_breaks_off(
    first: int, size: int, grows: list[int], breaks: int | None
) -> None:
    """New trainings in front move the others to later pages while they are read."""
    growth = iter(grows)
    numbers = iter(range(100, 200))

    def grow(account: Trainings) -> None:
        for _ in range(next(growth, 0)):
            account.trainings.insert(0, training(next(numbers), -len(account.trainings)))

    account = Trainings([training(i, i) for i in range(first)], size, breaks, grow)
    before = {each.id for each in account.trainings}
    with TemporaryDirectory() as folder, new_run_file(Path(folder)) as run_file:
        read(run_file, account)
        at_second = {each.id for each in account.trainings}
        account.broken_page = None
        done = read(run_file, account)
        kept = {f"t{i}" for i in known(run_file, range(200))}
        assert done.complete
        assert done.read == len(kept)
        assert before <= kept <= {each.id for each in account.trainings}
        assert breaks is None or at_second <= kept


def test_without_a_date_the_list_is_read_back_to_a_day_before_the_oldest_record() -> None:
    wanted = TrainingsRead(mode="versions")
    assert with_since(wanted, "2026-02-10T08:00:00Z").since == "2026-02-09T08:00:00Z"
    assert with_since(wanted, None).since is None
    assert with_since(wanted, "0001-01-01T00:00:00Z").since == "0001-01-01T00:00:00Z"
    dated = TrainingsRead(mode="versions", since="2026-01-01T00:00:00Z")
    assert with_since(dated, "2026-02-10T08:00:00Z") == dated


def filled(run_file: RunFile, *numbers: int) -> None:
    """Users whose records are those of their trainings."""
    with run_file.loading():
        for number in numbers:
            each = record(
                user_id=f"u{number}",
                replicate_model_id=f"acme/user-{number}",
                replicate_version_id=digest(f"user {number}"),
            )
            run_file.add(each, each.replicate_model_id, classify(each, NotAsked(), MINE))
        run_file.save_population(NOBODY)


def test_settled_users_are_not_pending_any_more(run_file: RunFile) -> None:
    filled(run_file, 1, 2, 3)
    read(run_file, Trainings([training(1), training(3)]))
    classifier = Classifier(MINE, run_file.info.trainings, run_file.trainings)
    assert settle_by_trainings(run_file, classifier, 0, 5) == 2
    assert list(run_file.pending()) == ["acme/user-2"]
    assert run_file.count_by_training() == 2
    assert settle_by_trainings(run_file, classifier, 0, 5) == 0


@pytest.mark.parametrize(("percent", "left"), [(0, 0), (0.0001, 1), (100, 1500), (10, 150)])
def test_the_sample_stays_pending(run_file: RunFile, percent: float, left: int) -> None:
    filled(run_file, *range(1500))
    read(run_file, Trainings([training(i) for i in range(1500)], size=500))
    settle_by_trainings(run_file, Classifier(MINE, run_file.info.trainings, run_file.trainings), percent, 5)
    pending = run_file.count_pending()
    assert pending == left if percent != 10 else 100 <= pending <= 200


def test_of_a_model_that_two_have_nobody_is_settled(run_file: RunFile) -> None:
    with run_file.loading():
        for name in ("u1", "u2"):
            each = record(user_id=name, replicate_model_id="acme/user-1", replicate_version_id=digest("user 1"))
            run_file.add(each, each.replicate_model_id, classify(each, NotAsked(), MINE))
        run_file.save_population(NOBODY)
    read(run_file, Trainings([training(1)]))
    assert settle_by_trainings(run_file, Classifier(MINE, run_file.info.trainings, run_file.trainings), 0, 5) == 0


def test_the_newest_training_is_the_one_that_ended_last(run_file: RunFile) -> None:
    first = training(1, 2)
    overtaken = msgspec.structs.replace(first, id="t-slow", completed_at=utc_text(NOW), version=digest("slow"))
    late = msgspec.structs.replace(first, id="t-quick", created_at=utc_text(NOW - timedelta(hours=1)))
    read(run_file, Trainings([late, overtaken]))
    newest = run_file.trainings.newest("ACME/User-1")
    assert newest
    assert newest.id == "t-slow"
