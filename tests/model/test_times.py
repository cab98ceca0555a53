"""Times and durations as reports and the terminal show them."""

import pytest

from audit.model.times import duration, to_second


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (252, "4 min 12 s"), (3780, "1 h 3 min")]
)
def test_an_exact_duration_has_its_seconds_below_an_hour(seconds: float, text: str) -> None:
    assert duration(seconds, exact=True) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (252, "4 min"), (7170, "2 h 0 min"), (3_700_000, "1,027 h 47 min")],
)
def test_a_duration_has_about_two_figures(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_time_in_full_is_utc_and_other_texts_are_left_alone() -> None:
    assert to_second("2026-03-01T12:00:05.123456Z") == "2026-03-01 12:00:05 UTC"
    assert to_second("yesterday") == "yesterday"
    assert to_second(None) == ""
