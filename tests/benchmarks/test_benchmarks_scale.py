"""The life of a run is led to its end, and what is wrong at the end is seen."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.model.codes import Reason
from benchmarks import truth
from benchmarks.scale import up_to
from tests.support.benchmark_runs import benchmark
from tests.support.instrumented_replicate import RequestLog
from tests.support.synthetic_users import SyntheticUsers

USERS = SyntheticUsers(60, oddities=0.5)
Row = tuple[str, str]


@pytest.mark.slow
def test_a_run_of_three_hundred_users_is_killed_resumed_rendered_compared_and_right(tmp_path: Path) -> None:
    done = benchmark("benchmarks.scale", "--users", "300", "--folder", str(tmp_path))
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    peaks = [float(value) for part, what, value, *_ in lines if part == "peak memory" and "fake Replicate" not in what]
    assert len(peaks) == 7
    assert min(peaks) > 10
    truths = {what: mark for part, what, *_, mark in lines if part == "truth"}
    assert truths == dict.fromkeys(truths, "ok")
    assert len(truths) == 7
    assert list(tmp_path.iterdir()) == []


def rows() -> list[Row]:
    return [(USERS.user_id(number), reason.value) for number, reason in enumerate(USERS.reasons)]


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        pytest.param(lambda rows: rows, 0, id="in order"),
        pytest.param(lambda rows: rows[::-1], 0, id="in another order"),
        pytest.param(lambda rows: rows[1:], 1, id="one left out"),
        pytest.param(lambda rows: [*rows, rows[7]], 1, id="one twice"),
        pytest.param(lambda rows: [(rows[0][0], "timeout"), *rows[1:]], 1, id="a wrong reason"),
        pytest.param(lambda rows: [(rows[0][0] + "x", rows[0][1]), *rows[1:]], 1, id="an id that is nobody's"),
    ],
)
def test_a_wrong_verdict_is_counted(changed: Callable[[list[Row]], list[Row]], wrong: int, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    with report.open("w", newline="") as file:
        csv.writer(file).writerows([("user_id", "reason"), *changed(rows())])
    assert truth.wrong_findings(USERS, report) == wrong


@pytest.mark.parametrize(
    ("more", "total", "wrong"),
    [
        pytest.param({}, 60, 0, id="right"),
        pytest.param({"timeout": 1}, 60, 1, id="a reason that nobody has"),
        pytest.param({"outdated_version": 1}, 60, 1, id="one too many"),
        pytest.param({}, 59, 1, id="a wrong total"),
    ],
)
def test_a_wrong_count_is_seen(more: dict[str, int], total: int, wrong: int, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    reasons = Counter(reason.value for reason in USERS.reasons) + Counter(more)
    report.write_text(json.dumps({"run": {}, "summary": {"total": total, "reasons": reasons}, "users": []}))
    assert truth.wrong_counts(USERS, report) == wrong


def test_models_left_out_and_asked_for_again_are_counted() -> None:
    askable = [
        number
        for number, reason in enumerate(USERS.reasons)
        if reason not in {Reason.MISSING_MODEL_ID, Reason.INVALID_MODEL_ID}
    ]
    models = [f"/v1/models/{USERS.account.username}/{USERS.model_name(number)}" for number in askable]
    paths = Counter({f"{model}/versions": 1 for model in models}) + Counter({models[0]: 1, "/v1/account": 2})
    assert truth.asked(USERS, RequestLog(paths=paths)) == (0, 0)
    paths[f"{models[0]}/versions"] = 3
    del paths[f"{models[1]}/versions"]
    assert truth.asked(USERS, RequestLog(paths=paths)) == (1, 2)


def test_the_usual_sizes_stop_at_the_largest() -> None:
    assert up_to(0) == []
    assert up_to(100_000) == [1_000, 10_000, 100_000]
