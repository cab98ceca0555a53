"""The reports in the repository are those that this code writes."""

from pathlib import Path

import pytest

from tests import ROOT
from tests.docs import example
from tests.golden.files import spaced


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example made anew."""
    folder = tmp_path_factory.mktemp("example")
    example.write(folder)
    return folder


@pytest.mark.parametrize("name", example.FILES)
def test_the_example_in_the_repository_is_what_the_demo_writes_now(written: Path, name: str) -> None:
    before, now = ((folder / name).read_bytes().decode() for folder in (ROOT / "reports/example", written))
    same = spaced(before) == spaced(now) if name.endswith(".html") else before == now
    assert same, f"reports/example/{name} is out of date; if the change is meant: make example"
