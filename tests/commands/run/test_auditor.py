"""The concurrent part, with a prober and a book made of plain Python."""

import asyncio
from collections.abc import Iterable, Iterator

import pytest

from audit.cli.signals import Stop
from audit.commands.run.auditor import Auditor, Ticking
from audit.errors import RunFileError
from audit.findings.classify import RunContext
from audit.findings.trainings import Classifier
from audit.model.codes import Reason
from audit.model.findings import Finding
from audit.model.replies import Account, Failed, Reply
from audit.model.users import ModelRecord
from tests.support.samples import NEW, OLD, found, record


class Book:
    """Users `0..n-1`, each with a model of its own but for `shared`, which all with an even number have."""

    def __init__(self, count: int, *, shared: bool = False) -> None:
        self.records = [
            record(user_id=str(i), replicate_model_id="a/shared" if shared and i % 2 == 0 else f"a/{i}")
            for i in range(count)
        ]
        self.settled: dict[int, tuple[Finding, Reason | None]] = {}
        self.fails = False

    def pending(self) -> Iterator[str]:
        yield from dict.fromkeys(str(each.replicate_model_id) for each in self.records)

    def records_sharing(self, model: str) -> list[tuple[int, ModelRecord]]:
        return [(i, each) for i, each in enumerate(self.records) if each.replicate_model_id == model]

    def record_findings(self, findings: Iterable[tuple[int, Finding]], failure: Reason | None, at: int) -> None:
        if self.fails:
            raise RunFileError("the disk is full")
        for row_id, finding in findings:
            assert row_id not in self.settled
            self.settled[row_id] = (finding, failure)


class Prober:
    """Answers after a turn of the loop, counts how many ask at once; models in `hanging` never get an answer."""

    def __init__(self, reply: Reply | None = None, hanging: tuple[str, ...] = ()) -> None:
        self.reply = reply or found(NEW, OLD)
        self.hanging = hanging
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0

    async def ask(self, model: str, *, once: bool = False) -> Reply:
        reply = self.next_reply()
        self.asked.append(model)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await (asyncio.Event().wait() if model in self.hanging else asyncio.sleep(0))
            return reply
        finally:
            self.at_once -= 1

    def next_reply(self) -> Reply:
        return self.reply


async def audited(book: Book, prober: Prober, *, concurrency: int = 4, stop: Stop | None = None) -> list[Finding]:
    seen: list[Finding] = []
    watched = Auditor(prober, book, Classifier(RunContext()), seen.extend)
    await watched.run(concurrency, stop or Stop())
    return seen


async def test_every_user_gets_a_finding() -> None:
    book = Book(50)
    seen = await audited(book, Prober())
    assert sorted(book.settled) == list(range(50))
    assert len(seen) == 50
    assert {finding.reason for finding, _ in book.settled.values()} == {Reason.LATEST_VERSION}


@pytest.mark.parametrize("concurrency", [1, 7])
async def test_no_more_questions_are_in_flight_than_allowed(concurrency: int) -> None:
    prober = Prober()
    await audited(Book(50), prober, concurrency=concurrency)
    assert prober.most_at_once == concurrency


async def test_a_model_that_several_share_is_asked_for_once() -> None:
    book, prober = Book(10, shared=True), Prober()
    await audited(book, prober)
    assert prober.asked.count("a/shared") == 1
    assert len(book.settled) == 10


async def test_a_failure_is_one_users_finding_and_the_run_goes_on() -> None:
    book = Book(5)
    await audited(book, Prober(Failed(Reason.SERVER_ERROR, "HTTP 502")))
    assert {outcome for _, outcome in book.settled.values()} == {Reason.SERVER_ERROR}
    assert {finding.reason for finding, _ in book.settled.values()} == {Reason.SERVER_ERROR}


async def test_questions_begin_in_the_order_of_the_run_file() -> None:
    prober = Prober()
    await audited(Book(20), prober, concurrency=3)
    assert prober.asked == [f"a/{i}" for i in range(20)]


async def test_nothing_pending_is_done_at_once() -> None:
    assert await audited(Book(0), Prober()) == []


async def test_after_a_stop_no_question_begins_and_those_in_flight_are_still_answered() -> None:
    book, stop = Book(100), Stop()

    class Stopping(Prober):
        async def ask(self, model: str, *, once: bool = False) -> Reply:
            if len(self.asked) == 10:
                stop.request("interrupted", "enough")
            return await super().ask(model, once=once)

    prober = Stopping()
    await audited(book, prober, stop=stop)
    assert len(prober.asked) == len(book.settled) <= 14


async def test_what_hangs_when_the_run_stops_is_given_up_and_stays_pending() -> None:
    book, stop = Book(10), Stop()
    prober = Prober(hanging=("a/3",))
    asyncio.get_running_loop().call_later(0.05, stop.request, "stopped", "enough")
    await Auditor(prober, book, Classifier(RunContext()), lambda *_: None).run(4, stop, grace=0.05)
    assert sorted(book.settled) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert prober.at_once == 0


async def test_the_first_request_to_stop_is_the_one_that_counts() -> None:
    stop = Stop()
    stop.request("stopped", "token refused")
    stop.request("interrupted", "SIGINT")
    assert (stop.state, stop.reason) == ("stopped", "token refused")


async def test_a_run_file_that_fails_ends_the_run_with_its_own_error() -> None:
    book, prober = Book(50), Prober(hanging=("a/1",))
    book.fails = True
    with pytest.raises(RunFileError, match="the disk is full"):
        await audited(book, prober)
    assert prober.at_once == 0


async def test_a_run_that_is_cancelled_leaves_no_worker_behind() -> None:
    prober = Prober(hanging=("a/0", "a/1"))
    run = asyncio.create_task(audited(Book(2), prober))
    await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert prober.at_once == 0


DOWN = Failed(Reason.SERVER_ERROR, "HTTP 502: Bad Gateway")
REFUSED = Failed(Reason.UNAUTHORIZED, "HTTP 401: no")


class Ailing(Prober):
    """Answers with `reply` from question `ill` to question `well`, then with versions again."""

    def __init__(self, reply: Reply, ill: int, well: int = 10**9) -> None:
        super().__init__()
        self.illness, self.ill, self.well = reply, ill, well
        self.onces: list[str] = []

    async def ask(self, model: str, *, once: bool = False) -> Reply:
        if once:
            self.onces.append(model)
        return await super().ask(model, once=once)

    def next_reply(self) -> Reply:
        return self.illness if self.ill <= len(self.asked) < self.well else found(NEW, OLD)


class Naps:
    """Sleeps that take no time and are written down."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


async def ailing(book: Book, prober: Prober, account: Account | None = None) -> tuple[Stop, Naps]:
    stop, naps = Stop(), Naps()
    await Auditor(prober, book, Classifier(RunContext(account)), lambda *_: None, Ticking(sleep=naps)).run(4, stop)
    return stop, naps


async def test_a_token_refused_from_the_start_stops_the_run_at_once() -> None:
    book, prober = Book(100), Ailing(REFUSED, 0)
    stop, _ = await ailing(book, prober)
    assert stop.reason == "Replicate refuses the API token (HTTP 401: no)"
    assert len(prober.asked) <= 4


async def test_a_token_revoked_midway_stops_the_run_and_keeps_what_is_known() -> None:
    book, prober = Book(100), Ailing(REFUSED, 40)
    stop, _ = await ailing(book, prober, Account("user", "a"))
    assert stop.state == "stopped"
    assert 40 < len(prober.asked) < 50
    assert sum(finding.reason is Reason.LATEST_VERSION for finding, _ in book.settled.values()) == 40


async def test_while_the_service_is_down_one_request_at_a_time_is_sent_at_growing_intervals() -> None:
    book, prober = Book(200), Ailing(DOWN, 10)
    stop, naps = await ailing(book, prober)
    assert stop.reason == "Replicate did not answer for 120 s: HTTP 502: Bad Gateway"
    assert naps.taken == [2, 4, 8, 16, 30, 60]
    assert len(set(prober.onces)) == 1
    assert len(prober.onces) == 6


async def test_what_was_only_probed_for_and_what_was_not_asked_stays_pending() -> None:
    book, prober = Book(200), Ailing(DOWN, 10)
    await ailing(book, prober)
    unsettled = set(range(200)) - set(book.settled)
    assert {f"a/{i}" for i in unsettled} >= set(prober.onces)
    assert 60 <= len(book.settled) <= 66


async def test_a_service_that_comes_back_is_asked_for_all_the_rest() -> None:
    book, prober = Book(200), Ailing(DOWN, 10, 66)
    stop, naps = await ailing(book, prober)
    assert stop.state is None
    assert len(book.settled) == 200
    assert naps.taken[0] == 2
    assert len(naps.taken) < 6


async def test_a_service_that_fails_now_and_then_is_not_down() -> None:
    class Flaky(Prober):
        def next_reply(self) -> Reply:
            return found(NEW) if len(self.asked) % 40 == 39 else DOWN

    book = Book(400)
    stop, naps = await ailing(book, Flaky())
    assert (stop.state, naps.taken, len(book.settled)) == (None, [], 400)


async def test_a_stop_while_probing_ends_the_run() -> None:
    book, prober, stop = Book(200), Ailing(DOWN, 0), Stop()

    async def nap(_: float) -> None:
        stop.request("interrupted", "stopped by SIGINT")

    await Auditor(prober, book, Classifier(RunContext()), lambda *_: None, Ticking(sleep=nap)).run(4, stop)
    assert stop.reason == "stopped by SIGINT"
    assert prober.onces == []
