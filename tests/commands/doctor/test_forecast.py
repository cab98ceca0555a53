"""What a forecast says, and whether runs keep to it: the real client against the real fake Replicate, in quick time."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.cli.signals import Stop
from audit.commands.doctor.forecast import Assumed, Bound, forecast
from audit.commands.run.ahead import AskedAhead
from audit.commands.run.auditor import Auditor
from audit.commands.run.questions import ModelQuestions
from audit.commands.run.trainings import TrainingsReader, settle_by_trainings
from audit.demo.fake_replicate.answers import PageSizes
from audit.demo.fake_replicate.faults import Endpoint, Refused
from audit.demo.fake_replicate.server import TOKEN
from audit.findings.classify import RunContext, classify
from audit.findings.trainings import Classifier
from audit.model.codes import Reason
from audit.model.ids import askable_model
from audit.model.replies import Account, NotAsked, TrainingsRead
from audit.model.users import ModelRecord
from audit.replicate import Target, Timing, connect
from audit.runfile import RunFile
from tests.support import quick_time
from tests.support.faults import Chaos, Slow
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate, Rate, ServerTime, Window
from tests.support.run_files import population
from tests.support.samples import record, run_info
from tests.support.synthetic_users import SyntheticUsers

USUAL = Assumed(models=100_000, per_minute=2400, concurrency=32, latency=0.3)
ASKED: tuple[Endpoint, ...] = ("versions", "model")


def test_at_the_rate_a_run_takes_as_long_as_its_requests() -> None:
    told = forecast(USUAL)
    assert (told.requests, told.bound) == (100_001, "rate")
    assert told.seconds == pytest.approx(2500.6)  # and the account before, the last answer after


def test_what_fits_into_the_rest_of_the_minute_goes_as_fast_as_concurrency_lets_it() -> None:
    few = replace(USUAL, models=800, at_once=2400)
    told = forecast(few)
    assert (told.requests, told.bound) == (801, "concurrency")
    assert told.seconds == pytest.approx(800 * 0.3 / 32 + 0.6)
    for harder in (
        {"models": 2400},
        {"at_once": 800},
        {"per_minute": 800},
        {"allowed": 800},
        {"missing": 1.0, "models": 1200},
    ):
        assert forecast(replace(few, **harder)).bound in {"rate", "limit"}
    assert forecast(replace(few, shards=2)).bound == "rate"  # what one takes the other sees as somebody else's


def test_slow_answers_are_the_bound_where_few_questions_are_under_way() -> None:
    told = forecast(replace(USUAL, concurrency=8, latency=0.5))
    assert told.bound == "concurrency"
    assert told.seconds == pytest.approx(100_000 * 0.5 / 8 + 1)


def test_a_question_that_waits_for_a_retry_keeps_its_place() -> None:
    few = replace(USUAL, concurrency=4, latency=0.1)
    assert forecast(few).bound == "rate"
    told = forecast(replace(few, failing=0.1))
    assert told.bound == "concurrency"
    assert told.requests == pytest.approx(100_000 * (1 + 0.1 + 0.01 + 0.001 + 0.0001), rel=1e-4)
    waits = 0.1 * 0.5 + 0.01 * 1 + 0.001 * 2 + 0.0001 * 4
    assert told.seconds == pytest.approx(100_000 / 4 * (0.1 * 1.1111 + waits), rel=1e-3)


def test_a_slow_processor_is_a_bound_too() -> None:
    told = forecast(replace(USUAL, per_minute=1_000_000, latency=0.001, processor=0.001))
    assert (told.bound, round(told.seconds)) == ("processor", 100)


def test_the_account_may_have_less_left_than_the_rate() -> None:
    told = forecast(replace(USUAL, allowed=600))
    assert (told.bound, round(told.seconds)) == ("limit", 10_001)
    assert forecast(replace(USUAL, allowed=3000)) == forecast(USUAL)


def test_models_whose_versions_answer_404_and_further_pages_are_requests_too() -> None:
    assert forecast(replace(USUAL, missing=0.1, pages=1.5)).requests == 1 + 10_000 * 2 + 90_000 * 1.5


def test_trainings_are_read_page_by_page_and_then_few_models_are_left() -> None:
    told = forecast(replace(USUAL, trainings=120_050, page_latency=1.0, settled=0.9, sample=0.01))
    assert told.requests == 1 + 1201 + 10_000 + 900
    assert told.bound == "trainings"
    assert told.seconds == pytest.approx(0.3 + 1201 + (10_900 - 1000) / 40 + 0.3)  # as many wait for the list's end


def test_shards_share_the_rate_and_each_reads_the_whole_list() -> None:
    told = forecast(replace(USUAL, shards=4))
    assert told.requests == 100_004
    assert told.seconds == forecast(USUAL).seconds
    assert forecast(replace(USUAL, shards=4, concurrency=2, latency=0.5)).bound == "concurrency"
    assert forecast(replace(USUAL, shards=4, trainings=1000, settled=1.0)).requests == 4 * 11


def test_with_nobody_to_ask_for_only_the_account_is_asked_for() -> None:
    assert forecast(replace(USUAL, models=0)).requests == 1
    assert forecast(replace(USUAL, models=0)).seconds == 0.3


HARDER: list[dict[str, Any]] = [
    {"models": 2_000_000},
    {"latency": 90.0},
    {"failing": 0.9},
    {"missing": 0.2},
    {"pages": 2.0},
    {"allowed": 1.0},
    {"trainings": 1000},
]


@given(
    st.builds(
        Assumed,
        models=st.integers(1, 1_000_000),
        per_minute=st.floats(1, 1e6),
        concurrency=st.integers(1, 256),
        latency=st.floats(0.001, 60),
        failing=st.floats(0, 0.9),
        retries=st.integers(0, 20),
    ),
    st.sampled_from(HARDER),
)
def test_nothing_that_makes_a_run_harder_makes_it_shorter(assumed: Assumed, change: dict[str, Any]) -> None:
    before, after = forecast(assumed), forecast(replace(assumed, **change))
    assert after.seconds >= before.seconds * 0.99  # the fewer a minute, the fewer of them are retried at the very end
    assert after.requests >= before.requests > assumed.models


@dataclass(frozen=True)
class Measured:
    """What a run came to."""

    requests: int
    seconds: float
    settled: int
    """Models for which trainings were enough."""


def records(synthetic_users: SyntheticUsers, shard: int, shards: int) -> Iterator[ModelRecord]:
    """What the source makes of the rows of every so manyth user."""
    for row in synthetic_users.rows:
        if row.id % 2 and row.id // 2 % shards == shard:
            yield record(
                user_id=row.user_id,
                replicate_model_id=row.replicate_model_id,
                replicate_version_id=row.replicate_version_id,
            )


def book(path: Path, synthetic_users: SyntheticUsers, shard: tuple[int, int], read: TrainingsRead | None) -> RunFile:
    """A run file with everybody in it, still to be asked for."""
    run_file = RunFile.create(path, run_info(trainings=read))
    with run_file.loading():
        for each in records(synthetic_users, *shard):
            run_file.add(each, askable_model(each.replicate_model_id), classify(each, NotAsked(), RunContext()))
        run_file.save_population(population(synthetic_users.n))
    return run_file


async def audited(run_file: RunFile, base_url: str, assumed: Assumed, seed: int) -> Measured:
    """One run, from the first request to the last answer, at its share of the rate."""
    loop, read = asyncio.get_running_loop(), run_file.info.trainings
    target = Target(
        base_url,
        TOKEN,
        "forecast",
        concurrency=assumed.concurrency,
        per_minute=round(assumed.per_minute / assumed.shards),
        timeout=30,
        retries=assumed.retries,
    )
    timing = Timing(monotonic=loop.time, jitter=random.Random(seed).random)
    settled = 0
    async with connect(target, timing) as replicate:
        account = await replicate.account()
        assert isinstance(account, Account)
        judge = Classifier(RunContext(account), read, run_file.trainings)
        if read:
            replicate.expect(run_file.count_pending())
        async with AskedAhead(replicate, run_file, read, RunContext(account), assumed.concurrency - 1) as ahead:
            if read:
                await TrainingsReader(
                    replicate, run_file, lambda: datetime.now(UTC), lambda page, _: ahead.offer(page)
                ).read()
                judge = Classifier(RunContext(account), run_file.info.trainings, run_file.trainings)
                settled = settle_by_trainings(run_file, judge, read.sample, 0)
            replicate.expect(run_file.count_pending() - ahead.asked)
            models = ModelQuestions(replicate, run_file, judge, ahead)
            await Auditor(models, lambda _: None, token_works=True).run(assumed.concurrency, Stop())
        assert not run_file.count_pending()
        return Measured(replicate.requests.sent, loop.time(), settled)


def measured(
    synthetic_users: SyntheticUsers,
    behaviour: Behaviour,
    assumed: Assumed,
    folder: Path,
    read: TrainingsRead | None = None,
) -> Measured:
    """A run, or as many at once as there are shards, against one fake Replicate."""

    async def run() -> Measured:
        loop, shards = asyncio.get_running_loop(), range(assumed.shards)
        async with InstrumentedReplicate(synthetic_users, behaviour, time=ServerTime(clock=loop.time)) as fake:
            ledgers = [book(folder / f"{i}.sqlite", synthetic_users, (i, assumed.shards), read) for i in shards]
            runs = await asyncio.gather(*(audited(ledgers[i], fake.base_url, assumed, i) for i in shards))
            for run_file in ledgers:
                run_file.close()
            requests = sum(each.requests for each in runs)
            assert requests == fake.request_log.requests
            return Measured(requests, max(each.seconds for each in runs), sum(each.settled for each in runs))

    return quick_time.run(run())


def known(synthetic_users: SyntheticUsers, **more: Any) -> Assumed:
    """Of these users, whose records say what will be asked for and what is there."""
    askable = [
        i
        for i in range(synthetic_users.n)
        if synthetic_users.reason(i) not in {Reason.MISSING_MODEL_ID, Reason.INVALID_MODEL_ID}
    ]
    reasons = Counter(synthetic_users.reason(i) for i in askable)
    missing = reasons[Reason.MODEL_NOT_FOUND] / len(askable)
    return replace(USUAL, models=len(askable), missing=missing, **more)


def assert_kept(came: Measured, assumed: Assumed, bound: Bound) -> None:
    """A run came to what was said before it, within a tenth."""
    told = forecast(assumed)
    assert told.bound == bound
    assert came.requests == pytest.approx(told.requests, rel=0.1 if assumed.failing else 0.001)
    assert came.seconds == pytest.approx(told.seconds, rel=0.1)


def slow(latency: float) -> Slow:
    """All answers, some twice as fast as the mean and some half as slow again."""
    return Slow(low=latency / 2, high=latency * 1.5, on=())


USERS = SyntheticUsers(500, oddities=0.2)
EVEN = Rate(3000, burst=60)
"""A limit that lets nothing go at once."""
CORNERS: list[tuple[str, dict[str, Any], Bound]] = [
    ("at the rate", {"latency": 0.3}, "rate"),
    ("slow answers", {"latency": 2.0}, "concurrency"),
    ("as slow as the rate just allows", {"latency": 0.79}, "rate"),
    ("one at a time", {"latency": 0.2, "concurrency": 1}, "concurrency"),
    ("one in ten fails, at the rate", {"failing": 0.1}, "rate"),
    ("one in ten fails, slow answers", {"failing": 0.1, "latency": 2.0}, "concurrency"),
    ("one in ten fails, few at once", {"failing": 0.1, "latency": 0.1, "concurrency": 4}, "concurrency"),
    ("one in ten fails, one retry", {"failing": 0.1, "retries": 1}, "rate"),
    ("four shards at the rate", {"shards": 4}, "rate"),
    (
        "four shards, slow answers, one in ten fails",
        {"shards": 4, "concurrency": 4, "latency": 1.0, "failing": 0.1},
        "concurrency",
    ),
]


@pytest.mark.parametrize(
    ("changes", "bound"),
    [
        pytest.param(*rest, id=name, marks=[pytest.mark.slow] if number > 2 else [])
        for number, (name, *rest) in enumerate(CORNERS)
    ],
)
def test_a_run_takes_as_many_requests_and_as_long_as_forecast(
    changes: dict[str, Any], bound: Bound, tmp_path: Path
) -> None:
    assumed = known(USERS, **changes)
    chaos = Chaos(share=assumed.failing, faults=(Refused(status=503, on=ASKED),))
    behaviour = Behaviour(rate=EVEN, faults=(slow(assumed.latency),), chaos=chaos)
    assert_kept(measured(USERS, behaviour, assumed, tmp_path), assumed, bound)


@pytest.mark.parametrize(
    "changes", [{"latency": 0.3}, {"latency": 0.3, "failing": 0.1}, {"latency": 1.0, "concurrency": 64}]
)
def test_a_run_that_fits_into_the_rest_of_the_minute_takes_as_long_as_forecast(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    assumed = known(USERS, at_once=2400, **changes)
    chaos = Chaos(share=assumed.failing, faults=(Refused(status=503, on=ASKED),))
    behaviour = Behaviour(rate=Window(3000), faults=(slow(assumed.latency),), chaos=chaos)
    assert_kept(measured(USERS, behaviour, assumed, tmp_path), assumed, "concurrency")


def test_versions_on_several_pages_take_as_long_as_forecast(tmp_path: Path) -> None:
    synthetic_users = SyntheticUsers(300, oddities=0)
    pages = sum(len(synthetic_users.versions(i)) for i in range(synthetic_users.n)) / synthetic_users.n
    assumed = known(synthetic_users, pages=pages)
    behaviour = Behaviour(rate=EVEN, sizes=PageSizes(versions=1), faults=(slow(0.3),))
    assert_kept(measured(synthetic_users, behaviour, assumed, tmp_path), assumed, "rate")


@pytest.mark.parametrize(("page_latency", "bound"), [(2.0, "trainings"), (0.1, "rate")])
def test_a_run_by_trainings_takes_as_long_as_forecast(page_latency: float, bound: Bound, tmp_path: Path) -> None:
    synthetic_users = SyntheticUsers(1000, oddities=0.1)
    faults = Slow(low=0.3, on=("account", *ASKED)), Slow(low=page_latency, on=("trainings",))
    read = TrainingsRead(mode="trainings", since="2020-01-01T00:00:00Z", sample=1.0)
    assumed = known(synthetic_users, trainings=len(synthetic_users.trainings), page_latency=page_latency, sample=0.01)
    came = measured(synthetic_users, Behaviour(rate=EVEN, faults=faults), assumed, tmp_path, read)
    settled = came.settled / assumed.models / (1 - assumed.sample)
    assert settled > 0.8
    assert_kept(came, replace(assumed, settled=settled), bound)


def test_an_account_with_less_left_than_the_rate_holds_a_run_up_as_forecast(tmp_path: Path) -> None:
    assumed = known(USERS, allowed=1200)
    behaviour = Behaviour(rate=Rate(1200, burst=60), faults=(slow(0.3),))
    told, came = forecast(assumed), measured(USERS, behaviour, assumed, tmp_path)
    assert came.requests == pytest.approx(told.requests, rel=0.1)
    assert came.seconds == pytest.approx(told.seconds, rel=0.15)
