"""Which row counts, and why each of the others does not."""

from typing import Any

import pytest

from audit.findings.rows import RowClass, RowRules, classify_rows
from audit.model.codes import OrderBy
from audit.model.tables import PLAIN, Tables
from tests.support.samples import training_row

COUNTING = training_row(model_row_id="10", updated_at="2026-05-01T10:00:00Z", completed_at="2026-05-01T09:00:00Z")


def why(order_by: OrderBy = "updated_at", **changes: Any) -> tuple[RowClass, str]:
    row = training_row(**({"model_row_id": "9"} | changes))
    other, verdict = classify_rows((COUNTING, row), "10", RowRules(order_by=order_by))
    assert other.verdict is RowClass.COUNTS
    return verdict.verdict, verdict.why


@pytest.mark.parametrize(
    ("order_by", "changes", "words"),
    [
        pytest.param(
            "updated_at",
            {"updated_at": "2026-04-01T08:30:00Z"},
            "updated_at 2026-04-01 08:30 is before 2026-05-01 10:00",
            id="updated earlier",
        ),
        pytest.param("updated_at", {"updated_at": None}, "no updated_at, so it counts as the oldest", id="undated"),
        pytest.param(
            "updated_at",
            {"updated_at": COUNTING.updated_at, "completed_at": "2026-04-30T09:00:00Z"},
            "same updated_at, and completed_at 2026-04-30 09:00 is before 2026-05-01 09:00",
            id="completed earlier",
        ),
        pytest.param(
            "updated_at",
            {"updated_at": COUNTING.updated_at, "completed_at": None},
            "same updated_at, and no completed_at, so it counts as the oldest",
            id="never completed",
        ),
        pytest.param(
            "updated_at",
            {"updated_at": COUNTING.updated_at, "completed_at": COUNTING.completed_at},
            "same updated_at and completed_at, and a lower id than 10",
            id="lower id",
        ),
        pytest.param(
            "updated_at",
            {"updated_at": "2026-05-01T09:59:59.999999Z"},
            "updated_at 2026-05-01 09:59 is before 2026-05-01 10:00",
            id="a moment earlier",
        ),
        pytest.param(
            "completed_at",
            {"updated_at": "2026-06-01T00:00:00Z", "completed_at": "2026-05-01T08:59:00Z"},
            "completed_at 2026-05-01 08:59 is before 2026-05-01 09:00",
            id="by completed_at, although it was updated later",
        ),
        pytest.param(
            "created_at",
            {"created_at": "2025-12-31T00:00:00Z", "updated_at": "2026-06-01T00:00:00Z"},
            "created_at 2025-12-31 00:00 is before 2026-01-01 00:00",
            id="by created_at",
        ),
        pytest.param(
            "updated_at",
            {"updated_at": "2026-06-01T00:00:00Z"},
            "updated_at is a date that PostgreSQL puts behind the other",
            id="a date that texts cannot show",
        ),
    ],
)
def test_an_older_row_says_by_which_column(order_by: OrderBy, changes: dict[str, Any], words: str) -> None:
    assert why(order_by, **changes) == (RowClass.OLDER, words)


def test_two_dates_that_look_alike_are_shown_whole() -> None:
    text = "2026-05-01T10:00:00.000001Z"
    _, old = classify_rows(
        (training_row(model_row_id="2", updated_at=text), training_row(updated_at="2026-05-01T10:00:00Z")),
        "2",
        RowRules(order_by="updated_at"),
    )
    assert old.why == f"updated_at 2026-05-01T10:00:00Z is before {text}"


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        pytest.param({"is_test": True}, RowClass.TEST_ROW, "a test row (is_test)", id="test row"),
        pytest.param({"training_status": "training"}, RowClass.NOT_COMPLETED, "is training", id="running"),
        pytest.param(
            {"training_status": "failed", "failure_reason": "no face\x1b[2J"},
            RowClass.NOT_COMPLETED,
            "is failed: no face\\x1b[2J",
            id="failed, with the cause spelled out",
        ),
        pytest.param({"training_status": "Completed"}, RowClass.NEAR_MISS, "`Completed`, not", id="capital"),
        pytest.param({"training_status": "succeeded"}, RowClass.NEAR_MISS, "`succeeded`, not", id="succeeded"),
        pytest.param({"training_status": " completed\n"}, RowClass.NEAR_MISS, "` completed\\n`", id="white space"),
        pytest.param({"training_status": "archived"}, RowClass.NOT_COMPLETED, "none of the known", id="unknown"),
        pytest.param({"training_status": "Aborted"}, RowClass.NOT_COMPLETED, "status is Aborted", id="aborted"),
        pytest.param({"training_status": "queued\t"}, RowClass.NOT_COMPLETED, "status is queued\\t", id="queued"),
        pytest.param({"training_status": None}, RowClass.NOT_COMPLETED, "is null", id="null"),
        pytest.param(
            {"training_status": "failed", "is_test": True}, RowClass.NOT_COMPLETED, "is failed", id="failed test row"
        ),
    ],
)
def test_a_row_that_never_could_count_says_why(changes: dict[str, Any], verdict: RowClass, words: str) -> None:
    found, text = why(**changes)
    assert found is verdict
    assert words in text


def test_with_test_rows_taken_in_a_test_row_may_count() -> None:
    row = training_row(is_test=True)
    [only] = classify_rows((row,), "1", RowRules(order_by="updated_at", include_tests=True))
    assert only.verdict is RowClass.COUNTS


def test_completed_rows_of_somebody_who_is_no_user_count_for_nothing() -> None:
    [only] = classify_rows((training_row(),), None, RowRules(order_by="updated_at"))
    assert only.verdict is RowClass.NO_USER


@pytest.mark.parametrize("status", ["completed", "failed", "pending", "completing", "", None])
def test_only_other_spellings_of_completed_are_near_misses(status: str | None) -> None:
    assert not PLAIN.is_near_miss(status)


def test_other_words_may_mean_completed_and_the_usual_one_is_then_a_near_miss() -> None:
    rules = RowRules(order_by="updated_at", tables=Tables(completed=("ready", "done")))
    rows = tuple(
        training_row(model_row_id=status, training_status=status) for status in ("ready", "completed", "Ready")
    )
    counts, usual, capital = classify_rows(rows, "ready", rules)
    assert counts.verdict is RowClass.COUNTS
    for each in (usual, capital):
        assert each.verdict is RowClass.NEAR_MISS
        assert "not `ready` or `done`" in each.why
