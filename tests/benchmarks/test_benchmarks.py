"""The benchmark runs; how fast anything is, only a quiet machine can tell."""

import json
import os
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.__main__ import PARTS
from benchmarks.results import Figure, Results, conditions, save, table
from tests import ROOT
from tests.support.benchmark_runs import benchmark


@pytest.mark.slow
def test_fifty_users_give_a_complete_table_and_both_files(tmp_path: Path) -> None:
    done = benchmark("benchmarks", "--users", "50", "--rounds", "1", "--save", str(tmp_path), timeout=300)
    saved = json.loads((tmp_path / "benchmarks.json").read_text())
    assert {figure["part"] for figure in saved["figures"]} == {
        "cost", "html", "csv", "json", "run file", "start", "wait", "rate", "memory", "forecast", "trainings"
    }  # fmt: skip
    assert done.stdout.strip() in (tmp_path / "benchmarks.md").read_text()
    counts = {figure["what"]: figure["value"] for figure in saved["figures"]}
    assert counts["requests for one and the same thing, at most"] == 1
    assert counts["requests more or fewer than the bare loop's, /account aside"] == 0


@pytest.mark.parametrize(
    ("figure", "kept"),
    [
        pytest.param(Figure("p", "w", 5, "s"), True, id="no limit"),
        pytest.param(Figure("p", "w", 2, "x", 2), True, id="just within a greatest value"),
        pytest.param(Figure("p", "w", 2.1, "x", 2), False, id="above a greatest value"),
        pytest.param(Figure("p", "w", 97, "%", 97, at_least=True), True, id="just within a least value"),
        pytest.param(Figure("p", "w", 96, "%", 97, at_least=True), False, id="below a least value"),
    ],
)
def test_a_figure_keeps_its_limit_or_is_marked_in_the_table(*, figure: Figure, kept: bool) -> None:
    results = Results(conditions(50, 1, 32), (figure,))
    assert (figure not in results.broken) is kept
    assert ("MISSED" not in table(results)) is kept


def test_figures_of_several_sizes_stand_beside_each_other() -> None:
    sized = (
        Figure("time", "`run`", 1, "s", users=1_000),
        Figure("time", "`run`", 8, "s", users=10_000),
        Figure("growth", "`run`", 1.3, "x", 1.2, users=10_000),
    )
    assert table(Results(conditions(50, 1, 32), sized)).splitlines() == [
        "| part   | figure | 1,000 users | 10,000 users | unit | limit |        |",
        "| ------ | ------ | ----------: | -----------: | ---- | ----: | ------ |",
        "| time   | `run`  |           1 |            8 | s    |       |        |",
        "| growth | `run`  |             |          1.3 | x    | ≤ 1.2 | MISSED |",
    ]


def test_make_bench_leaves_out_the_forecast_alone() -> None:
    (line,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("QUICK := "))
    assert {*line.split()[2:], "forecast"} == set(PARTS)


def test_the_page_shows_the_last_full_benchmark() -> None:
    written = page.PAGE.read_text()
    assert written == page.current(written, page.read()), "python -m benchmarks.page"


def test_the_page_says_which_limits_were_missed() -> None:
    results = Results(conditions(50, 1, 32), (Figure("p", "width", 3, "x", 2), Figure("p", "height", 1, "x", 2)))
    assert "Limits that were missed: width.\n" in page.current(page.PAGE.read_text(), results)


def test_the_files_name_neither_machine_nor_folder(tmp_path: Path) -> None:
    save(Results(conditions(50, 1, 32), (Figure("p", "w", 2, "x", 2),)), tmp_path)
    text = "".join(path.read_text() for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 2
    assert os.uname().nodename not in text
    assert str(ROOT) not in text
    assert str(tmp_path) not in text
