"""The hint table is complete, its steps take a user's own values, and counts are explained."""

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from audit.findings.classify import RunContext, classify
from audit.hints.filled import completed_line, filled, model_url, one_line, population_answers, rows_sql
from audit.hints.table import HINTS, ONE_LINE
from audit.model.codes import NoLine, Note, Reason, Status
from audit.model.findings import AuditedUser, Finding, Summary
from audit.model.replies import Lineage, Training
from audit.model.tables import Table, Tables
from audit.model.users import Population
from tests.support.samples import NEW, OLD, digest, found, record

BEHIND = AuditedUser(
    record(replicate_version_id=OLD), classify(record(replicate_version_id=OLD), found(NEW, OLD), RunContext())
)


def test_every_reason_and_every_note_has_one_entry_and_there_is_no_other() -> None:
    assert list(HINTS) == [*Reason, *Note]
    assert list(ONE_LINE) == list(Reason)


@pytest.mark.parametrize("code", HINTS, ids=str)
def test_an_entry_says_what_it_means_and_at_least_one_step(code: Reason | Note) -> None:
    hint = HINTS[code]
    assert hint.title
    assert hint.meaning.endswith((".", "!"))
    assert hint.steps
    assert all(step == step.strip() and step for step in hint.steps)


@pytest.mark.parametrize("code", HINTS, ids=str)
def test_every_step_can_be_filled_for_a_user_of_whom_nothing_is_known(code: Reason | Note) -> None:
    nothing = record(
        email=None,
        replicate_model_id=None,
        replicate_version_id=None,
        trigger_word=None,
        lora_scale=None,
        lora_weights_url=None,
    )
    hint = filled(code, AuditedUser(nothing, Finding(reason=Reason.STOPPED)))
    assert not re.search(r"[{}]|None", " ".join(hint.steps))


def test_steps_are_filled_with_this_users_values() -> None:
    text = " ".join(filled(Reason.OUTDATED_VERSION, BEHIND).steps)
    for value in (OLD, NEW, "https://replicate.com/acme/ann", "user_id = 'u1'"):
        assert value in text


def test_who_shares_a_model_is_named_and_the_rest_counted() -> None:
    sharing = record(shared_with=("u2", "u3"), shared_with_count=9)
    assert (
        "Other users of it: u2, u3 and 7 more." in filled(Note.SHARED_MODEL, AuditedUser(sharing, BEHIND.finding)).steps
    )


def test_why_a_later_training_failed_is_said() -> None:
    user = AuditedUser(record(later_training_failed=True, later_failure_reason="no face found"), BEHIND.finding)
    assert filled(Note.LATER_TRAINING_FAILED, user).steps[0] == "Why it failed: no face found"


def test_braces_in_data_are_text() -> None:
    user = AuditedUser(record(trigger_word="{latest} {0} {"), BEHIND.finding)
    assert "{latest} {0} {" in " ".join(filled(Reason.LATEST_VERSION, user).steps)


def test_control_characters_in_data_are_spelled_out() -> None:
    user = AuditedUser(record(replicate_model_id="a\x1b[31m\n"), BEHIND.finding)
    assert filled(Reason.INVALID_MODEL_ID, user).steps[0] == r"Stored: a\x1b[31m\n"


def test_the_one_line_hint_says_what_to_record() -> None:
    assert one_line(BEHIND) == f"Set replicate_version_id to {NEW}; the stored version is 1 version behind."


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_the_one_line_hint_is_one_line(reason: Reason) -> None:
    line = one_line(AuditedUser(record(), Finding(reason=reason, detail="a\nb")))
    assert line
    assert "\n" not in line
    assert "{" not in line


@pytest.mark.parametrize(
    ("model", "url"),
    [(" acme/ann\n", "https://replicate.com/acme/ann"), ("javascript:alert(1)", None), (None, None)],
)
def test_only_a_well_formed_model_has_a_page(model: str | None, url: str | None) -> None:
    assert model_url(record(replicate_model_id=model)) == url


@pytest.mark.parametrize(
    ("user_id", "literal"),
    [
        ("u1", "'u1'"),
        ("o'hara'; DROP TABLE users; --", "'o''hara''; DROP TABLE users; --'"),
        ("back\\slash'", "E'back\\\\slash'''"),
        ("a\x1bb", "E'a\\x1bb'"),
        ("a\nb", "E'a\\nb'"),
    ],
)
def test_the_query_quotes_the_user_id(user_id: str, literal: str) -> None:
    assert f"WHERE user_id = {literal} ORDER BY" in rows_sql(user_id)


@given(st.text(max_size=30))
def test_the_query_is_one_line_of_visible_text(user_id: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u202e]", rows_sql(user_id))


def test_the_own_weights_are_never_those_of_another_version() -> None:
    lineage = Lineage(latest=Training(id="t9", status="succeeded", weights="https://of.the/latest"))
    user = AuditedUser(BEHIND.record, replace(BEHIND.finding, lineage=lineage))
    own = filled(Note.WEIGHTS_URL_OF_ANOTHER_VERSION, user).steps[1]
    assert own == "The weights URL of the stored version: (not known)"


def population(**changes: object) -> Population:
    counts: dict[str, object] = {
        "users": 10,
        "users_with_completed_model": 10,
        "completed_models": 10,
        "users_with_several_completed_models": 0,
        "completed_models_hidden": 0,
        "completed_without_model_id": 0,
        "test_models_left_out": 0,
        "models_without_user": 0,
        "training_status": {"completed": 10},
    }
    return Population(**(counts | changes))  # type: ignore[arg-type]  # as named above


def summary(**counts: int) -> Summary:
    return Summary({status: counts.get(status.value, 0) for status in Status}, {}, {})


@pytest.mark.parametrize(
    ("counts", "title"),
    [
        ({"up_to_date": 10}, "Why nobody needs a sync"),
        ({"up_to_date": 9, "needs_sync": 1}, "Why only one user is affected"),
        ({"up_to_date": 7, "needs_sync": 3}, "Why 3 of 10 are affected"),
        ({"needs_sync": 10}, "Why everybody is affected"),
    ],
)
def test_the_counts_say_why_so_many_are_affected(counts: dict[str, int], title: str) -> None:
    assert [answer.title for answer in population_answers(population(), summary(**counts))] == [title]


def test_where_nobody_shows_up_the_near_misses_are_named() -> None:
    nobody = population(
        users_with_completed_model=0, completed_models=0, training_status={"Completed": 4, "succe\x1beded": 2}
    )
    answer = population_answers(nobody, summary())[0]
    assert answer.title == "Why nobody shows up"
    assert "4 Completed, 2 succe\\x1beded" in answer.steps[0]


@pytest.mark.parametrize(
    ("rows", "tables", "line"),
    [
        ({"succeeded": 4}, Tables(), 'completed = ["succeeded"]'),
        ({"failed": 9, "Completed": 4, "done": 2}, Tables(), 'completed = ["Completed", "done"]'),
        ({"archived": 9, "live": 12, "succeeded ": 1}, Tables(), 'completed = ["succeeded "]'),
        ({"live": 12, "archived": 9}, Tables(), 'completed = ["live"]'),
        ({"completed": 3}, Tables(completed=("succeeded",)), 'completed = ["completed"]'),
        ({"completed": 3, "succeeded": 2}, Tables(), 'completed = ["completed", "succeeded"]'),
        ({"completed": 3, "archived": 9}, Tables(), None),
        ({"failed": 3, "training": 2, "(null)": 5}, Tables(), None),
        ({}, Tables(), None),
        ({'do"ne\x1b\\': 1}, Tables(), 'completed = ["do\\"ne\\U0000001b\\\\"]'),
    ],
)
def test_where_nobody_shows_up_a_line_for_the_config_file_is_made_of_the_words_that_are_there(
    rows: dict[str, int], tables: Tables, line: str | None
) -> None:
    nobody = population(users_with_completed_model=0, completed_models=0, training_status=rows)
    assert completed_line(nobody, tables) == line
    steps = " ".join(population_answers(nobody, summary(), tables)[0].steps)
    assert (f"below [database]: {line}" in steps) is (line is not None)
    if line:
        counted = list(tomllib.loads(line)["completed"])
        assert set(counted) <= set(rows)


def test_where_only_unfinished_trainings_are_told_of_the_words_are_named_too() -> None:
    some = population(users_with_completed_model=0, users_with_unfinished_only=2, training_status={"succeeded": 9})
    answers = population_answers(some, summary(needs_sync=2))
    assert [each.title for each in answers[:2]] == [
        "Why everybody is affected",
        "Why only unfinished trainings show up",
    ]
    assert 'completed = ["succeeded"]' in " ".join(answers[1].steps)


def test_of_a_part_no_answer_is_given_for_all() -> None:
    part = "Trial run: 10 of 800 users checked"
    answer = population_answers(population(), summary(up_to_date=10), part=part)[0]
    assert answer.title == "Why none of the checked users needs a sync"
    assert answer.steps == (f"{part}. The others were not checked.",)


def test_users_in_no_line_are_counted_by_why_and_not_twice() -> None:
    some = population(users=20, users_with_completed_model=10, users_with_unfinished_only=6)
    without = {NoLine.REALLY_FAILED: 3, NoLine.STILL_RUNNING: 1}
    steps = population_answers(some, summary(up_to_date=10, needs_sync=2), without_line=without)[1].steps
    assert steps == (
        "Users without a completed model and without a training to look at: 4.",
        "Users whose only training failed, with no version on Replicate: 3.",
        "Users whose only training is still running on Replicate: 1.",
    )


def test_words_that_mean_nothing_are_named_with_the_place_to_say_what_they_mean() -> None:
    some = population(training_status={"completed": 7, "archived": 1200, "h\x1bidden": 2})
    unknown = population_answers(some, summary(up_to_date=10), Tables(failed=("gone",)))[1]
    assert "1,200 archived, 2 h\\x1bidden" in unknown.meaning
    assert unknown.steps == ("Add each word to the config file: [database] completed, in_progress or failed.",)
    known = Tables(in_progress=("Archived",), failed=("h\x1bidden",))
    assert len(population_answers(some, summary(up_to_date=10), known)) == 1


def test_an_empty_table_is_said_to_be_empty() -> None:
    nobody = population(users=3, users_with_completed_model=0, completed_models=0, training_status={})
    assert "there are no rows at all" in population_answers(nobody, summary())[0].steps[0]


def test_rows_that_are_not_in_the_report_are_counted() -> None:
    some = population(users=12, completed_models_hidden=3, test_models_left_out=1, models_without_user=2)
    steps = population_answers(some, summary(up_to_date=10))[1].steps
    assert [step.split(": ")[1] for step in steps] == ["2.", "3.", "1.", "2."]


def test_a_hash_is_never_cut_in_a_step() -> None:
    long = AuditedUser(record(replicate_version_id=f"acme/{'n' * 200}:{digest('x')}"), BEHIND.finding)
    assert digest("x") in filled(Reason.UNKNOWN_VERSION, long).steps[0]


ELSEWHERE = Tables(
    user_models=Table("user_models", ("app", "Trainings"), (("training_status", "State"), ("user_id", "a {b} \x1b"))),
    completed=("succeeded",),
)


def test_queries_and_answers_call_tables_and_columns_as_the_database_does() -> None:
    sql = rows_sql("u1", ELSEWHERE)
    assert sql.startswith('SELECT id, "State", replicate_model_id, ')
    assert """ FROM "app"."Trainings" WHERE "a {b} \\x1b" = 'u1' ORDER BY """ in sql
    assert sql in " ".join(filled(Reason.MISSING_MODEL_ID, BEHIND, ELSEWHERE).steps)
    nobody = population(users_with_completed_model=0, completed_models=0, training_status={})
    answer = population_answers(nobody, summary(), ELSEWHERE)[0]
    assert """ "State" = 'succeeded', exactly that word""" in answer.meaning
    assert "Only `succeeded` counts" in answer.steps[1]
