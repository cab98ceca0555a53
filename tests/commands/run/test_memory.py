"""Memory does not grow with the number of users: the peak of whole commands, at two sizes of run file."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from audit.commands.diff.compare import FORMATS
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.report import writer as formats
from benchmarks.child import Child
from tests.support.report_samples import failed, outdated, up_to_date
from tests.support.run_files import run_file_of

pytestmark = pytest.mark.slow
SMALL, LARGE = 2_000, 40_000
GROWTH = 1.25
"""The large one at most so many times the small one; what grows with users would be several times as much."""


class Runs(NamedTuple):
    """An earlier and a later run of as many users."""

    old: Path
    new: Path


def users(count: int, *, behind: int) -> Iterator[AuditedUser]:
    """In report order; so many in a hundred are behind, and five could not be checked."""
    for number in range(count):
        place = number * 100 // count
        if place < behind:
            yield outdated(number)
        elif place < behind + 5:
            yield failed(number, Reason.TIMEOUT)
        else:
            yield up_to_date(number)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runs, Runs]:
    """A small and a large pair."""
    folder = tmp_path_factory.mktemp("runs")
    small, large = (
        Runs(
            run_file_of(folder / f"old-{size}.sqlite", users(size, behind=30), id="a" * 32),
            run_file_of(folder / f"new-{size}.sqlite", users(size, behind=35), id="b" * 32),
        )
        for size in (SMALL, LARGE)
    )
    return small, large


def peak(folder: Path, *arguments: object) -> float:
    """Megabytes that the command takes at most."""
    return Child.python(["-m", "audit", *map(str, arguments)], {}, folder).wait().peak


@pytest.mark.parametrize("format_", formats.FORMATS)
def test_render_takes_no_more_memory_for_more_users(sizes: tuple[Runs, Runs], tmp_path: Path, format_: str) -> None:
    small, large = (peak(tmp_path, "render", runs.new, "-o", f"{format_}={tmp_path / 'report'}") for runs in sizes)
    assert large < GROWTH * small


def test_diff_takes_no_more_memory_for_more_users(sizes: tuple[Runs, Runs], tmp_path: Path) -> None:
    outputs = [f"--output={name}={tmp_path / name}" for name in FORMATS]
    small, large = (peak(tmp_path, "diff", *runs, *outputs) for runs in sizes)
    assert large < GROWTH * small


def test_a_plan_takes_no_more_memory_for_more_users(sizes: tuple[Runs, Runs], tmp_path: Path) -> None:
    plan = ("--max-age", "9999d", "-o", tmp_path / "plan.json")
    small, large = (peak(tmp_path, "sync", runs.new, *plan) for runs in sizes)
    assert large < GROWTH * small
