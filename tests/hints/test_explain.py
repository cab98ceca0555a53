"""Every code has an entry, whatever way it is typed, and an unknown one leads to the nearest."""

import pytest

from audit.hints.explain import EXPLANATIONS, explanation, nearest, of_status
from audit.model import exit_status
from audit.model.codes import Note, Reason, Status


def test_every_reason_note_and_exit_code_has_exactly_one_entry() -> None:
    codes = [each.code for each in EXPLANATIONS]
    assert sorted(codes) == sorted([*Reason, *Note, *map(str, exit_status.RUN)])


def test_every_entry_is_whole_and_names_nobody() -> None:
    for each in EXPLANATIONS:
        assert each.title
        assert each.meaning.endswith(".")
        assert each.steps
        assert not [step for step in each.steps if "{" in step or "None" in step]


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        pytest.param("outdated_version", "outdated_version", id="reason"),
        pytest.param("shared_model", "shared_model", id="note"),
        pytest.param("OUTDATED-version ", "outdated_version", id="case, hyphen, blank"),
        pytest.param("rate limited", "rate_limited", id="words"),
        pytest.param("Token refused", "unauthorized", id="title of the report"),
        pytest.param("4", "4", id="exit code"),
        pytest.param("exit 130", "130", id="exit code as the last line says it"),
    ],
)
def test_a_code_is_found_as_people_type_it(typed: str, code: str) -> None:
    found = explanation(typed)
    assert found
    assert found.code == code


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        pytest.param("outdated", "outdated_version", id="beginning"),
        pytest.param("mising_modelid", "missing_model_id", id="slips"),
        pytest.param("timed_uot", "timeout", id="a title's slip"),
        pytest.param("13", "130", id="exit code"),
    ],
)
def test_an_unknown_word_leads_to_the_nearest(typed: str, code: str) -> None:
    assert explanation(typed) is None
    assert nearest(typed)[0] == code
    assert len(nearest(typed)) <= 3


def test_nonsense_leads_nowhere() -> None:
    assert explanation("") is None
    assert nearest("zzzzzz") == []


@pytest.mark.parametrize("status", list(Status))
def test_a_status_lists_its_reasons(status: Status) -> None:
    assert [each.code for each in of_status(status)] == [reason for reason in Reason if reason.status is status]
    assert of_status("nothing") == []
