"""The view: what every format gets to see."""

import pytest

from audit.model.codes import Status
from audit.model.personal import masked_address, without_addresses
from audit.model.run import Filters, RunState
from audit.report.view import RunReader, RunView
from tests.support.report_samples import HERS, INFO, SampleRun, anna, narrowed, outdated, up_to_date


def test_a_run_file_that_says_running_is_shown_as_interrupted() -> None:
    view = RunView(SampleRun([], narrowed(state="running", finished_at=None)))
    assert (view.run.state, view.duration_seconds) == ("interrupted", None)


@pytest.mark.parametrize("state", ["complete", "interrupted", "stopped"])
def test_other_states_are_shown_as_they_are(state: RunState) -> None:
    assert RunView(SampleRun([], narrowed(state=state))).run.state == state


def test_duration_is_from_start_to_end_in_seconds() -> None:
    assert RunView(SampleRun([])).duration_seconds == 187.25


def test_a_clock_that_was_set_back_gives_no_negative_duration() -> None:
    view = RunView(SampleRun([], narrowed(finished_at="2026-03-01T11:00:00Z")))
    assert view.duration_seconds == 0


def test_users_can_be_read_again_and_again_and_by_status() -> None:
    run: RunReader = SampleRun([up_to_date(1), outdated(2)])
    view = RunView(run)
    assert [u.record.user_id for u in view.users()] == ["user-00002", "user-00001"]
    assert [u.record.user_id for u in view.users()] == ["user-00002", "user-00001"]
    assert [u.record.user_id for u in view.users(status=Status.UP_TO_DATE)] == ["user-00001"]


@pytest.mark.parametrize(("recorded", "asked"), [(True, False), (False, True), (True, True)])
def test_redaction_holds_if_the_run_or_the_caller_wants_it(*, recorded: bool, asked: bool) -> None:
    view = RunView(SampleRun([up_to_date(1)], narrowed(redacted=recorded)), redact=asked)
    assert view.run.redacted
    assert next(view.users()).record.email == "u***@***"


def test_without_redaction_nothing_is_masked() -> None:
    run = SampleRun([up_to_date(1)])
    assert list(RunView(run).users()) == list(run.users())


def test_redaction_keeps_what_identifies_a_row() -> None:
    record = next(RunView(anna(), redact=True).users()).record
    assert (record.user_id, record.model_row_id) == ("user-00007", "7")
    assert record.display_name == "***"


def test_redaction_clears_the_trainings_in_every_text() -> None:
    user = next(RunView(anna(), redact=True).users())
    assert user.finding.lineage
    latest = user.finding.lineage.latest
    assert latest
    assert latest.error == "no face in the photos of *** <***>"
    assert (latest.trigger_word, latest.model, latest.status) == ("***", "acme/***", "succeeded")
    assert latest.version == HERS.version
    assert "muster" not in repr(user.finding.lineage).casefold()


def test_redaction_masks_the_filters_that_name_a_person_and_keeps_ids() -> None:
    run = anna()
    assert RunView(run, redact=True).run.filters.users == ("a***@***", "user-00007")


def test_an_address_without_an_at_sign_is_masked_in_the_filters_where_it_is_a_users() -> None:
    run = SampleRun([up_to_date(1, email="Anna")], narrowed(filters=Filters(users=(" ANNA", "acme/x"))))
    assert RunView(run, redact=True).run.filters.users == ("A***", "acme/x")


def test_null_and_blank_names_stay_as_they_are() -> None:
    user = next(RunView(SampleRun([up_to_date(1, email=None, display_name="")]), redact=True).users())
    assert (user.record.email, user.record.display_name) == (None, "")


def test_a_name_inside_another_word_is_left_alone() -> None:
    users = [up_to_date(1, display_name="Al", later_failure_reason="also AL; al-Razi")]
    redacted = next(RunView(SampleRun(users), redact=True).users())
    assert redacted.record.later_failure_reason == "also ***; ***-Razi"


def test_addresses_of_others_are_masked_in_every_text() -> None:
    assert without_addresses("mail <bert@example.com>, eva@example.org.") == "mail <b***@***>, e***@***"
    assert masked_address("@") == "@***@***"


def test_the_view_counts_once() -> None:
    view = RunView(SampleRun([up_to_date(1), outdated(2)]))
    assert (view.summary.total, INFO.id) == (2, view.run.id)
