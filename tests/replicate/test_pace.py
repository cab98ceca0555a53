"""How a run asks within the allowance of an account that others use too: whole runs in virtual time."""

import random

import pytest

from audit.replicate.rate_limit import CAUTION, LIMIT, PRODUCT
from tests.support.instrumented_replicate import Rate, Window
from tests.support.paced import Asked, World

USUAL = Window(LIMIT)
KEPT = LIMIT * PRODUCT
ON_ITS_WAY = 60
"""Requests of a neighbour, at most, between an answer that told what is left and the last request that it allowed."""


def ask(questions: int, enforced: Rate | Window, **how: object) -> Asked:
    asked = World(questions, enforced, **how).run()  # type: ignore[arg-type]
    assert len(asked.sent) == questions + 1 + asked.refused
    return asked


@pytest.mark.parametrize(
    ("questions", "enforced", "how", "seconds"),
    [
        # 64 at once, 0.3 s each: 213 a second
        pytest.param(60, USUAL, {}, 0.5, id="few"),
        pytest.param(800, USUAL, {}, 4, id="many"),
        pytest.param(800, USUAL, {"workers": 128}, 3, id="more at once"),
        pytest.param(2300, USUAL, {}, 11.5, id="all but the product's fifth"),
        pytest.param(2600, USUAL, {}, 67, id="more than that"),
        pytest.param(6000, USUAL, {}, 151, id="much more"),
        pytest.param(800, Window(LIMIT, gone=50), {}, 4, id="a window that ends soon"),
        pytest.param(800, Window(LIMIT, gone=59), {}, 4, id="a window that ends on the way"),
        pytest.param(2300, Window(LIMIT, gone=57), {}, 12, id="half before, half after"),
        pytest.param(800, USUAL, {"per_minute": 700}, 71, id="more than the rate"),
        pytest.param(650, USUAL, {"per_minute": 700}, 4, id="less than the rate"),
        pytest.param(2000, Window(6000), {"per_minute": 4800}, 10, id="a larger limit"),
        pytest.param(800, USUAL, {"neighbour": 5}, 4, id="a quiet neighbour"),
        pytest.param(800, Window(LIMIT, gone=40), {"neighbour": 25}, 4, id="a neighbour who uses half"),
        pytest.param(800, USUAL, {"late": True}, 4, id="a server that reckons when it answers"),
        pytest.param(800, Window(LIMIT, gone=50), {"late": True, "workers": 128}, 3, id="such a one, and more at once"),
        pytest.param(800, Rate(LIMIT, 60), {}, 21, id="a bucket"),
        pytest.param(800, USUAL, {"headers": lambda _: (None, None)}, 21, id="no headers"),
        pytest.param(800, USUAL, {"headers": lambda _: (2999, 60)}, 4, id="headers that never change"),
    ],
)
def test_what_fits_into_the_allowance_goes_at_once_and_all_else_evenly(
    questions: int, enforced: Rate | Window, how: dict[str, object], seconds: float
) -> None:
    asked = ask(questions, enforced, **how)
    assert seconds * 0.7 < asked.seconds < seconds
    assert asked.refused == asked.neighbour_refused == 0


def test_all_of_a_limit_that_was_asked_for_is_used() -> None:
    for enforced in (USUAL, Window(LIMIT, gone=31), Rate(LIMIT, 60)):
        asked = ask(20_000, enforced, per_minute=3000)
        assert 20_000 / asked.seconds * 60 > 0.98 * 3000
        assert asked.refused == 0


@pytest.mark.parametrize("gone", [0.0, 13.0, 45.0, 58.5])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("questions", [300, 2000, 6000])
@pytest.mark.parametrize("late", [False, True], ids=["", "late"])
def test_a_neighbour_gets_what_it_needs_and_we_the_rest(questions: int, share: float, gone: float, late: bool) -> None:  # noqa: FBT001
    asked = ask(questions, Window(LIMIT, gone), neighbour=share * LIMIT / 60, late=late)
    assert asked.refused == 0
    # Of one who begins when the minute and we do nobody knows in the first second.
    assert asked.neighbour_refused <= (120 if (share, gone) == (0.9, 0.0) else 0)
    assert asked.least_left > min(KEPT, LIMIT - share * LIMIT / 60 * gone) - 2 * ON_ITS_WAY
    ours = LIMIT * min(1 - PRODUCT, 1 - share * CAUTION)
    assert asked.seconds < 90 + questions / ours * 60 / 0.7


@pytest.mark.parametrize(
    "told", [(10**9, 30), (10**9, 10**18), (2999, 10**18), (5, 60), (1, 3), (600, 59), (599, 60), (0, 1)]
)
def test_headers_that_lie_neither_hurry_nor_stall_a_run(told: tuple[int, int]) -> None:
    asked = ask(800, Rate(1_000_000, 100_000), headers=lambda _: told)
    assert asked.most_in(1.0) <= 60
    assert asked.seconds < 26


def test_a_limit_that_is_said_to_be_used_up_for_ever_holds_up_a_run_once() -> None:
    asked = ask(800, Rate(1_000_000, 100_000), headers=lambda _: (0, 60))
    assert 60 < asked.seconds < 85


@pytest.mark.parametrize("lies", [[(0, 60)], [(1_000_000, 60)], [(0, 60), (1, 60)], [(1_000_000, 30), (0, 60)]])
@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_headers_that_lie_at_times_hold_up_a_run_for_some_minutes_at_most(
    lies: list[tuple[int, int]], share: float, seed: int
) -> None:
    dice = random.Random(seed)
    asked = ask(
        2000, Window(LIMIT), seed=seed, headers=lambda told: dice.choice(lies) if dice.random() < share else told
    )
    assert asked.seconds < 300
    assert asked.refused == 0


def test_an_account_whose_limit_was_cut_meanwhile_is_asked_within_the_new_one() -> None:
    class Cut(World):
        def _live(self) -> None:
            """A neighbour who takes 2,400 at the beginning of every minute, for good."""
            self._server.spend(2400)
            self._later(60.0, self._live)

    world = Cut(1500, Window(LIMIT), neighbour=1e9)
    asked = world.run()
    assert asked.refused == 0
    assert asked.seconds < 400


def test_after_a_429_nothing_goes_at_once_any_more() -> None:
    asked = ask(800, Rate(LIMIT, 60), headers=lambda _: (2999, 60))  # headers that promise more than there is
    assert 0 < asked.refused < 70
    after = [at for at in asked.sent if at > 10]
    assert max(sum(at <= each < at + 1 for each in after) for at in after) <= 45


def world_of_chance(seed: int) -> tuple[Asked, int, Rate | Window, float]:
    dice = random.Random(seed)
    per_minute = dice.choice([60, 500, 1200, 2400, 2400, 2400])
    limit = dice.choice([300, 600, 1200, 3000, 3000, 3000, 6000])
    bucket, window = Rate(max(limit, per_minute), dice.choice([60, 200])), Window(limit, gone=dice.uniform(0, 60))
    enforced: Rate | Window = bucket if dice.random() < 0.4 else window
    neighbour = dice.choice([0.0, 0.0, dice.uniform(0, 0.5) * limit / 60]) if isinstance(enforced, Window) else 0.0
    fast = dice.uniform(0.04, 0.5)
    world = World(
        dice.choice([3, 70, 500, 2000, 4000]) if per_minute > 60 else 100,
        enforced,
        per_minute=per_minute,
        workers=dice.choice([1, 8, 64, 128]),
        latency=(fast, fast * dice.uniform(1, 3)),
        late=dice.random() < 0.5,
        neighbour=neighbour if limit >= LIMIT else 0.0,
        seed=seed,
    )
    return world.run(), per_minute, enforced, neighbour


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_window_the_bucket_and_the_neighbour(seed: int) -> None:
    asked, per_minute, enforced, neighbour = world_of_chance(seed)
    assert asked.most_in(60.0) <= per_minute
    assert asked.refused == asked.neighbour_refused == 0
    if isinstance(enforced, Window):
        kept = min(enforced.per_minute * PRODUCT, max(LIMIT, enforced.per_minute) - per_minute)
        assert asked.least_left >= kept - ON_ITS_WAY
        slowest = max(1.0, 60 / per_minute) + 1.5  # beside the latency
        assert asked.longest_gap(max(kept, neighbour * 60) + ON_ITS_WAY) < slowest


def test_what_an_earlier_run_took_of_the_minute_is_not_taken_for_a_neighbour_for_long() -> None:
    class After(World):
        def run(self) -> Asked:
            self._server.spend(800)  # in the seconds before this one
            return super().run()

    asked = After(800, Window(LIMIT, gone=8)).run()
    assert asked.seconds < 12
    assert asked.refused == 0


def test_a_neighbour_who_begins_in_the_middle_is_noticed_before_its_minute_is_over() -> None:
    class Late(World):
        def _live(self) -> None:
            if self.now > 20:
                super()._live()
            else:
                self._later(1 / self._neighbour, self._live)

    asked = Late(5000, Window(LIMIT, gone=3), neighbour=30).run()
    assert (asked.refused, asked.neighbour_refused) == (0, 0)


@pytest.mark.parametrize("limit", [100, 300, 600])
@pytest.mark.parametrize("gone", [0, 1, 30, 50])
def test_an_account_with_a_smaller_limit_is_asked_within_it(limit: int, gone: float) -> None:
    asked = ask(150, Window(limit, gone=gone))
    assert asked.refused == 0
    assert asked.seconds < 60 + (150 / (limit * (1 - PRODUCT)) + 1) * 60
