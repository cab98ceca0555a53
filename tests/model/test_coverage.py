"""How many of all users a run has checked."""

import pytest
from msgspec.structs import replace

from audit.model.codes import NoLine, Status
from audit.model.coverage import Coverage, coverage
from audit.model.findings import Summary
from tests.support.run_files import population


def summary(**counts: int) -> Summary:
    return Summary(dict.fromkeys(Status, 0) | {Status(name): count for name, count in counts.items()}, {}, {})


@pytest.mark.parametrize(
    ("with_model", "unfinished_only", "without_line", "counts", "expected"),
    [
        (800, 0, {}, {"up_to_date": 800}, (800, 800)),
        (800, 0, {}, {"up_to_date": 17, "needs_sync": 3}, (800, 20)),
        (800, 0, {}, {"up_to_date": 17, "error": 2, "not_checked": 1}, (800, 17)),
        (800, 9, {}, {"needs_sync": 9}, (809, 9)),
        (800, 9, {NoLine.REALLY_FAILED: 4, NoLine.STILL_RUNNING: 1}, {}, (804, 0)),
        (2, 0, {}, {"up_to_date": 3}, (3, 3)),
    ],
    ids=["everybody", "twenty", "errors", "unfinished", "in no line", "more lines than were counted"],
)
def test_coverage_is_checked_of_those_who_would_have_a_line(
    with_model: int,
    unfinished_only: int,
    without_line: dict[NoLine, int],
    counts: dict[str, int],
    expected: tuple[int, int],
) -> None:
    people = replace(population(with_model), users=1000, users_with_unfinished_only=unfinished_only)
    found = coverage(people, without_line, summary(**counts))
    assert (found.eligible, found.checked, found.users) == (*expected, 1000)


def test_as_text_it_is_what_a_cell_of_the_csv_report_has() -> None:
    assert str(Coverage(users=1000, eligible=800, checked=20)) == "20/800"
