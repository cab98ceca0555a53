"""The concurrent part, with a client and pending models made of plain Python."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence

import pytest

from audit.cli.signals import Stop
from audit.commands.run.auditor import Auditor
from audit.commands.run.questions import ModelQuestions
from audit.errors import RunFileError
from audit.findings.classify import RunContext
from audit.findings.trainings import Classifier
from audit.model.codes import Reason
from audit.model.findings import Finding
from audit.model.replies import Account, Failed, Heard, Missing, Reply, Training
from audit.model.users import ModelRecord
from audit.runfile.file import Verdict
from tests.support.samples import NEW, OLD, found, record


class FakePendingModels:
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

    def records_sharing(self, model: str) -> Iterator[Sequence[tuple[int, ModelRecord]]]:
        sharing = [(i, each) for i, each in enumerate(self.records) if each.replicate_model_id == model]
        for begin in range(0, len(sharing), 2):
            yield sharing[begin : begin + 2]

    def record_findings(self, findings: Iterable[tuple[int, Verdict]], failure: Reason | None, at: int) -> None:
        if self.fails:
            raise RunFileError("the disk is full")
        for row_id, finding in findings:
            assert row_id not in self.settled
            assert isinstance(finding, Finding)
            self.settled[row_id] = (finding, failure)

    def heard(self, row_id: int) -> Heard | None:
        return None

    def record_base(self, row_id: int, base: Finding) -> None:
        raise AssertionError("nobody has an unfinished row")


class FakeClient:
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

    async def training(self, training_id: str, *, once: bool = False) -> Training | Missing | Failed:
        raise AssertionError("nobody has an unfinished row")


def questions(client: FakeClient, models: FakePendingModels) -> ModelQuestions:
    return ModelQuestions(client, models, Classifier(RunContext()))


async def audited(
    models: FakePendingModels, client: FakeClient, *, concurrency: int = 4, stop: Stop | None = None
) -> list[Finding]:
    findings: list[Finding] = []
    auditor = Auditor(questions(client, models), findings.extend, token_works=False)
    await auditor.run(concurrency, stop or Stop())
    return findings


async def test_every_user_gets_a_finding() -> None:
    models = FakePendingModels(50)
    findings = await audited(models, FakeClient())
    assert sorted(models.settled) == list(range(50))
    assert len(findings) == 50
    assert {finding.reason for finding, _ in models.settled.values()} == {Reason.LATEST_VERSION}


@pytest.mark.parametrize("concurrency", [1, 7])
async def test_no_more_questions_are_in_flight_than_allowed(concurrency: int) -> None:
    client = FakeClient()
    await audited(FakePendingModels(50), client, concurrency=concurrency)
    assert client.most_at_once == concurrency


async def test_a_model_that_several_share_is_asked_for_once() -> None:
    models, client = FakePendingModels(10, shared=True), FakeClient()
    await audited(models, client)
    assert client.asked.count("a/shared") == 1
    assert len(models.settled) == 10


async def test_a_failure_is_one_users_finding_and_the_run_goes_on() -> None:
    models = FakePendingModels(5)
    await audited(models, FakeClient(Failed(Reason.SERVER_ERROR, "HTTP 502")))
    assert {outcome for _, outcome in models.settled.values()} == {Reason.SERVER_ERROR}
    assert {finding.reason for finding, _ in models.settled.values()} == {Reason.SERVER_ERROR}


async def test_questions_begin_in_the_order_of_the_run_file() -> None:
    client = FakeClient()
    await audited(FakePendingModels(20), client, concurrency=3)
    assert client.asked == [f"a/{i}" for i in range(20)]


async def test_nothing_pending_is_done_at_once() -> None:
    assert await audited(FakePendingModels(0), FakeClient()) == []


async def test_after_a_stop_no_question_begins_and_those_in_flight_are_still_answered() -> None:
    models, stop = FakePendingModels(100), Stop()

    class Stopping(FakeClient):
        async def ask(self, model: str, *, once: bool = False) -> Reply:
            if len(self.asked) == 10:
                stop.request("interrupted", "enough")
            return await super().ask(model, once=once)

    client = Stopping()
    await audited(models, client, stop=stop)
    assert len(client.asked) == len(models.settled) <= 14


async def test_what_hangs_when_the_run_stops_is_given_up_and_stays_pending() -> None:
    models, stop = FakePendingModels(10), Stop()
    client = FakeClient(hanging=("a/3",))
    asyncio.get_running_loop().call_later(0.05, stop.request, "stopped", "enough")
    await Auditor(questions(client, models), lambda *_: None, token_works=False).run(4, stop, grace=0.05)
    assert sorted(models.settled) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert client.at_once == 0


async def test_the_first_request_to_stop_is_the_one_that_counts() -> None:
    stop = Stop()
    stop.request("stopped", "token refused")
    stop.request("interrupted", "SIGINT")
    assert (stop.state, stop.reason) == ("stopped", "token refused")


async def test_a_run_file_that_fails_ends_the_run_with_its_own_error() -> None:
    models, client = FakePendingModels(50), FakeClient(hanging=("a/1",))
    models.fails = True
    with pytest.raises(RunFileError, match="the disk is full"):
        await audited(models, client)
    assert client.at_once == 0


async def test_a_run_that_is_cancelled_leaves_no_worker_behind() -> None:
    client = FakeClient(hanging=("a/0", "a/1"))
    run = asyncio.create_task(audited(FakePendingModels(2), client))
    await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert client.at_once == 0


DOWN = Failed(Reason.SERVER_ERROR, "HTTP 502: Bad Gateway")
REFUSED = Failed(Reason.UNAUTHORIZED, "HTTP 401: no")


class FailingClient(FakeClient):
    """Answers with `reply` from request `first` to request `last`, then with versions again."""

    def __init__(self, reply: Reply, first: int, last: int = 10**9) -> None:
        super().__init__()
        self.failure, self.first, self.last = reply, first, last
        self.onces: list[str] = []

    async def ask(self, model: str, *, once: bool = False) -> Reply:
        if once:
            self.onces.append(model)
        return await super().ask(model, once=once)

    def next_reply(self) -> Reply:
        return self.failure if self.first <= len(self.asked) < self.last else found(NEW, OLD)


class RecordedSleep:
    """Sleeps that take no time and are written down."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


async def audited_with(
    models: FakePendingModels, client: FakeClient, account: Account | None = None
) -> tuple[Stop, RecordedSleep]:
    stop, sleep = Stop(), RecordedSleep()
    await Auditor(questions(client, models), lambda *_: None, token_works=account is not None, sleep=sleep).run(4, stop)
    return stop, sleep


async def test_a_token_refused_from_the_start_stops_the_run_at_once() -> None:
    models, client = FakePendingModels(100), FailingClient(REFUSED, 0)
    stop, _ = await audited_with(models, client)
    assert stop.reason == "Replicate refuses the API token (HTTP 401: no)"
    assert len(client.asked) <= 4


async def test_a_token_revoked_midway_stops_the_run_and_keeps_what_is_known() -> None:
    models, client = FakePendingModels(100), FailingClient(REFUSED, 40)
    stop, _ = await audited_with(models, client, Account("user", "a"))
    assert stop.state == "stopped"
    assert 40 < len(client.asked) < 50
    assert sum(finding.reason is Reason.LATEST_VERSION for finding, _ in models.settled.values()) == 40


async def test_while_the_service_is_down_one_request_at_a_time_is_sent_at_growing_intervals() -> None:
    models, client = FakePendingModels(200), FailingClient(DOWN, 10)
    stop, sleep = await audited_with(models, client)
    assert stop.reason == "Replicate did not answer for 120 s: HTTP 502: Bad Gateway"
    assert sleep.taken == [2, 4, 8, 16, 30, 60]
    assert len(set(client.onces)) == 1
    assert len(client.onces) == 6


async def test_what_was_only_probed_for_and_what_was_not_asked_stays_pending() -> None:
    models, client = FakePendingModels(200), FailingClient(DOWN, 10)
    await audited_with(models, client)
    unsettled = set(range(200)) - set(models.settled)
    assert {f"a/{i}" for i in unsettled} >= set(client.onces)
    assert 60 <= len(models.settled) <= 66


async def test_a_service_that_comes_back_is_asked_for_all_the_rest() -> None:
    models, client = FakePendingModels(200), FailingClient(DOWN, 10, 66)
    stop, sleep = await audited_with(models, client)
    assert stop.state is None
    assert len(models.settled) == 200
    assert sleep.taken[0] == 2
    assert len(sleep.taken) < 6


async def test_a_service_that_fails_now_and_then_is_not_down() -> None:
    class Flaky(FakeClient):
        def next_reply(self) -> Reply:
            return found(NEW) if len(self.asked) % 40 == 39 else DOWN

    models = FakePendingModels(400)
    stop, sleep = await audited_with(models, Flaky())
    assert (stop.state, sleep.taken, len(models.settled)) == (None, [], 400)


async def test_a_stop_while_probing_ends_the_run() -> None:
    models, client, stop = FakePendingModels(200), FailingClient(DOWN, 0), Stop()

    async def stop_instead(_: float) -> None:
        stop.request("interrupted", "stopped by SIGINT")

    await Auditor(questions(client, models), lambda *_: None, token_works=False, sleep=stop_instead).run(4, stop)
    assert stop.reason == "stopped by SIGINT"
    assert client.onces == []
