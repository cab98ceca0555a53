"""The histogram: of which length its columns are, that they hold everybody, and what they say."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from audit.report.html.charts import LEAST, MOST, histogram, trend
from audit.report.view import RunView
from tests.support.report_samples import SampleRun, outdated, up_to_date
from tests.support.report_states import earlier

START = datetime(2026, 1, 18, 9, tzinfo=UTC)


def hours(*gaps: timedelta) -> dict[str, int]:
    """An affected user at each gap after `START`."""
    return {f"{START + gap:%Y-%m-%dT%H}": 1 for gap in sorted(gaps)}


@pytest.mark.parametrize(
    ("span", "unit"),
    [
        (timedelta(0), "hour"),
        (timedelta(hours=30), "hour"),
        (timedelta(hours=31), "day"),
        (timedelta(days=30), "day"),
        (timedelta(days=31), "week"),
        (timedelta(weeks=30), "week"),
        (timedelta(weeks=32), "month"),
        (timedelta(days=900), "month"),
        (timedelta(days=960), "year"),
        (timedelta(days=20_000), "year"),
    ],
)
def test_columns_are_of_the_shortest_unit_of_which_there_are_not_too_many(span: timedelta, unit: str) -> None:
    chart = histogram(hours(timedelta(0), span))
    assert chart
    assert chart.unit == unit
    assert len(chart.columns) >= LEAST
    assert len(chart.columns) <= MOST or unit == "year"


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(days=1), timedelta(days=9), timedelta(days=40)])
def test_everybody_is_in_one_column_and_columns_follow_each_other(step: timedelta) -> None:
    by_hour = hours(*(step * n for n in range(20)))
    chart = histogram(by_hour)
    assert chart
    assert chart.total == 20
    edges = [column.bucket.split("..") for column in chart.columns]
    assert all(one[1] == other[0] for one, other in pairwise(edges))
    for column, (start, end) in zip(chart.columns, edges, strict=True):
        assert column.number == sum(n for hour, n in by_hour.items() if start <= hour < end)


def test_the_longest_column_fills_the_height_and_an_empty_one_has_none() -> None:
    chart = histogram({"2026-01-18T09": 1, "2026-01-18T12": 400})
    assert chart
    heights = {column.number: float(column.height) for column in chart.columns}
    assert heights[400] == 100
    assert 5 < heights[1] < 10, "one user among many is still seen"
    assert heights[0] == 0


def test_the_words_name_the_worst_column() -> None:
    assert histogram({"2026-01-18T09": 1, "2026-01-18T12": 400}).text == (  # type: ignore[union-attr]  # it is dated
        "401 users by hour, most in 18 Jan 2026, 12:00: 400"
    )
    assert histogram({"2026-01-18T09": 2}).text == "2 users by hour, all of them in 18 Jan 2026, 09:00"  # type: ignore[union-attr]  # as above


def test_where_nobody_is_dated_there_is_no_histogram() -> None:
    assert histogram({}) is None


def test_the_trend_ends_in_this_run_and_its_columns_are_as_high_as_the_numbers() -> None:
    line = trend(RunView(SampleRun([outdated(1), up_to_date(2)], trend=earlier(4, 0, 2))))
    assert line is not None
    assert line.text == "Needs sync in the last 4 runs: 4, 0, 2, 1"
    assert [run.number for run in line.runs] == [4, 0, 2, 1]
    heights = [float(run.height) for run in line.runs]
    assert heights[0] == 100
    assert heights[0] > heights[2] > heights[3] > heights[1] > 0
    assert all(float(run.y) + float(run.height) == pytest.approx(100) for run in line.runs)


@pytest.mark.parametrize("runs", [0, 1])
def test_fewer_than_two_earlier_runs_are_no_trend(runs: int) -> None:
    assert trend(RunView(SampleRun([outdated(1)], trend=earlier(*[3] * runs)))) is None


def test_where_nobody_ever_needed_a_sync_the_trend_is_flat() -> None:
    line = trend(RunView(SampleRun([up_to_date(1)], trend=earlier(0, 0))))
    assert line is not None
    assert len({run.height for run in line.runs}) == 1
