"""What words of states mean."""

from collections.abc import Sequence

import pytest

from audit.commands.init.places import View
from audit.commands.init.states import States, states
from audit.commands.init.values import Seen
from audit.model.tables import PLAIN, TrainingState
from audit.postgres.catalog import CatalogColumn, CatalogTable, Kind, Sample

VERSION = "a" * 64


def read(
    words: Sequence[str | None], done: list[bool] | None = None, kind: Kind = "text", labels: tuple[str, ...] = ()
) -> States:
    """What is made of a column `status` with these words; versions are where it says that they are."""
    column = CatalogColumn(name="status", sql="status", type="text", kind=kind, words=labels)
    table = CatalogTable(
        schema="public",
        name="models",
        sql="models",
        visible=True,
        is_view=False,
        stale=False,
        rows=len(words),
        row_security=False,
        columns=(column,),
        primary=(),
        unique=(),
        references=(),
    )
    view = View(table, Sample(columns={"status": tuple(words)}, rows=len(words)))
    versions = Seen([VERSION if each else None for each in done]) if done is not None else None
    return states(view, versions)[0]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("TRAINING_SUCCEEDED", TrainingState.COMPLETED),
        ("lora-ready", TrainingState.COMPLETED),
        ("Fine tuning", TrainingState.IN_PROGRESS),
        ("TRAIN_FAILED", TrainingState.FAILED),
        ("Timed Out", TrainingState.FAILED),
        ("not_started", TrainingState.IN_PROGRESS),
    ],
)
def test_words_are_understood_with_what_stands_in_front_of_them(word: str, state: TrainingState) -> None:
    found = read([word, "completed", "failed"])
    assert word in getattr(found, state.value)


def test_active_means_completed_where_those_rows_have_versions_and_nothing_where_they_have_none() -> None:
    assert read(["active", "training"], [True, False]).completed == ("active",)
    assert read(["active", "completed", "failed"], [False, True, False]).completed == ("completed",)


def test_a_word_of_another_language_means_completed_where_all_its_rows_have_versions() -> None:
    found = read(["fertig", "fertig", "training"], [True, True, False])
    assert found.completed == ("fertig",)


def test_archived_rows_are_neither_although_they_have_versions() -> None:
    found = read(["completed", "archived"], [True, True])
    assert found.completed == ("completed",)
    assert found.open == ("archived",)


def test_a_slip_of_the_hand_in_the_case_of_a_word_is_not_taken_over() -> None:
    assert read(["completed"] * 9 + ["Completed"]).completed == ("completed",)


def test_labels_of_an_enum_count_also_where_no_row_has_them() -> None:
    found = read(["READY"], kind="enum", labels=("QUEUED", "WARMING", "READY", "BROKEN"))
    assert found.failed == ("BROKEN",)
    assert "QUEUED" in found.in_progress


def test_only_lists_that_differ_from_the_defaults_are_written() -> None:
    assert read(["completed", "training", "failed"]).words == {}
    said = read(["completed", "uploading", "failed"]).words
    assert said == {TrainingState.IN_PROGRESS: (*PLAIN.in_progress, "uploading")}


def test_numbers_are_told_by_which_of_them_have_versions() -> None:
    found = read(["1", "2", "2", "3"], [False, True, True, False], kind="number")
    assert found.completed == ("2",)
    assert found.open == ("1", "3")
