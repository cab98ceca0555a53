"""The sum for ten million users is the forecast's."""

import re
from dataclasses import replace

import pytest

from audit.commands.doctor.forecast import forecast
from tests.docs import on_paper

TEXT = on_paper.PATH.read_text()


def test_every_figure_on_the_page_is_current() -> None:
    assert on_paper.current(TEXT) == TEXT, "python -m tests.docs.on_paper puts them in place"


def test_the_page_has_every_table_once() -> None:
    assert re.findall(r"<!-- ([a-z]+): from the forecast -->", TEXT) == list(on_paper.blocks())


def test_the_page_knows_no_other_figures() -> None:
    prose = re.sub(r"<!-- ([a-z]+): from the forecast -->.*?<!-- end -->|```.*?```", "", TEXT, flags=re.DOTALL)
    assert re.findall(r"\d[\d,.]*", prose) == ["0."]  # an exit code


def test_the_largest_run_for_some_time_takes_that_time() -> None:
    models = round(on_paper._within(3600))
    assert forecast(replace(on_paper.ONE, models=models)).seconds == pytest.approx(3600, rel=0.001)
