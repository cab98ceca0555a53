"""What a client says of the questions to which it has no answer yet."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from audit.demo.fake_replicate.answers import PageSizes
from audit.demo.fake_replicate.faults import Endpoint, Hang, Refused
from audit.demo.fake_replicate.server import TOKEN
from audit.model.replies import Awaited
from audit.replicate import Replicate
from tests.replicate.test_client import asking, model
from tests.support.clock import ManualClock
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate


async def until_asked(fake: InstrumentedReplicate, requests: int) -> None:
    async with asyncio.timeout(30):
        while fake.request_log.requests < requests:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.001)


async def cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def weights(replicate: Replicate, url: str) -> None:
    async with replicate.delivery_hosts() as hosts:
        await hosts.ask(url)


def question(kind: Endpoint, replicate: Replicate, fake: InstrumentedReplicate) -> Coroutine[Any, Any, object]:
    match kind:
        case "account":
            return replicate.account()
        case "trainings":
            return replicate.trainings()
        case "training":
            return replicate.training("abc")
        case "weights":
            return weights(replicate, f"{fake.origin}/weights/a.tar")
    return replicate.ask("acme/m")


@pytest.mark.parametrize(
    ("kind", "awaited"),
    [
        ("account", Awaited("account", "", 0, 1, 3)),
        ("trainings", Awaited("trainings", "", 0, 1, 3)),
        ("training", Awaited("training", "abc", 0, 1, 3)),
        ("versions", Awaited("model", "acme/m", 0, 1, 3)),
        ("model", Awaited("model", "acme/m", 0, 1, 3)),
        ("weights", Awaited("weights", "127.0.0.1", 0, 1, 3)),
    ],
)
async def test_each_kind_of_question_is_known_while_it_has_no_answer(kind: Endpoint, awaited: Awaited) -> None:
    faults = (Hang(on=(kind,)), Refused(status=404, on=("versions",)))
    async with asking(model("m"), behaviour=Behaviour(faults=faults)) as (replicate, fake):
        assert replicate.longest_wait() is None
        task = asyncio.create_task(question(kind, replicate, fake))
        await until_asked(fake, 2 if kind == "model" else 1)
        assert replicate.longest_wait() == awaited
        await cancel(task)
        assert replicate.longest_wait() is None


async def test_it_tells_the_attempt_and_how_long_all_of_them_have_taken() -> None:
    clock = ManualClock()
    faulty = model("m", Refused(status=503, times=2), Hang())
    async with asking(faulty, clock=clock, retries=4) as (replicate, fake):
        task = asyncio.create_task(replicate.ask("acme/m"))
        await until_asked(fake, 3)
        clock.advance(40)
        waited = 40 + sum(clock.slept)
        assert waited > 41
        awaited = replicate.longest_wait()
        assert awaited
        assert awaited.seconds == pytest.approx(waited, abs=0.1)
        assert (awaited.what(), awaited.attempt, awaited.attempts) == ("acme/m", 3, 5)
        await cancel(task)


async def test_of_several_it_is_the_oldest_and_how_many_there_are() -> None:
    clock = ManualClock()
    async with asking(model("m", Hang()), model("n", Hang()), clock=clock) as (replicate, fake):
        tasks = []
        for number, name in enumerate("mn", 1):
            tasks.append(asyncio.create_task(replicate.ask(f"acme/{name}", once=True)))
            await until_asked(fake, number)
            clock.advance(7)
        awaited = replicate.longest_wait()
        assert awaited
        assert awaited.seconds == pytest.approx(14, abs=0.1)
        assert (awaited.id, awaited.attempts, awaited.in_flight) == ("acme/m", 1, 2)
        await cancel(tasks[0])
        awaited = replicate.longest_wait()
        assert awaited
        assert (awaited.id, awaited.in_flight) == ("acme/n", 1)
        await cancel(tasks[1])


async def test_what_was_answered_or_failed_is_not_waited_for() -> None:
    sizes = PageSizes(versions=2)
    async with asking(model("m"), model("n", Refused(status=500)), behaviour=Behaviour(sizes=sizes)) as (replicate, _):
        for name in "mnx":
            await replicate.ask(f"acme/{name}")
            assert replicate.longest_wait() is None


async def test_requests_of_the_last_minute_are_never_more_than_allowed() -> None:
    clock = ManualClock()
    async with asking(model("m"), clock=clock, per_minute=60) as (replicate, _):
        assert replicate.last_minute() == 0
        counts = []
        for _ in range(80):
            await replicate.ask("acme/m")
            counts.append(replicate.last_minute())
        assert counts[:40] == list(range(1, 41))
        assert max(counts) == 60
        clock.advance(61)
        assert replicate.last_minute() == 0


class Standing(ManualClock):
    """A clock by which nobody who sleeps wakes up."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asleep.set()
        await asyncio.Event().wait()


async def test_a_question_that_waits_for_its_turn_is_not_under_way() -> None:
    clock = Standing()
    async with asking(model("m"), clock=clock, per_minute=1) as (replicate, _):
        await replicate.ask("acme/m")
        task = asyncio.create_task(replicate.ask("acme/m"))
        await clock.asleep.wait()
        assert replicate.longest_wait() is None
        await cancel(task)


async def test_a_name_that_holds_the_token_is_told_without_it() -> None:
    async with asking(model(TOKEN, Hang())) as (replicate, fake):
        task = asyncio.create_task(replicate.ask(f"acme/{TOKEN}"))
        await until_asked(fake, 1)
        awaited = replicate.longest_wait()
        assert awaited
        assert TOKEN not in awaited.what()
        await cancel(task)


def test_words_leave_an_id_out_where_they_are_to_name_nobody() -> None:
    model_, training = Awaited("model", "acme/\x1bana", 45, 1, 5), Awaited("training", "ana", 45, 1, 5)
    assert [model_.what(), model_.what(redacted=True)] == ["acme/\\x1bana", "a model"]
    assert [training.what(), training.what(redacted=True)] == ["training ana", "a training"]
