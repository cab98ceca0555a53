"""What to do now: at most three steps, made from the run."""

import pytest
from msgspec.structs import replace

from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.model.replies import Account
from audit.model.run import Filters, NoneFound, RunInfo, ShardRun
from audit.report.steps import steps
from audit.report.view import RunView
from tests.support.report_samples import (
    INFO,
    POPULATION,
    SampleRun,
    accepting,
    anna,
    failed,
    outdated,
    uncompared,
    up_to_date,
)

FILE = "sync-audit-20260301-120000.sqlite"
RESUME = f"sync-audit run --resume {FILE}"
PLAN, APPLY = f"sync-audit sync {FILE}", f"sync-audit sync {FILE} --apply"
STOPPED = replace(INFO, state="stopped", stop_reason="the disk was full")
STRANGE = replace(
    INFO, account=Account("user", "x"), state="stopped", none_found=NoneFound(not_found=20, owners=(("acme", 9),))
)
GONE = failed(2, Reason.MODEL_NOT_FOUND)
SLOW = failed(3, Reason.TIMEOUT)
SHARDS = replace(INFO, shards=(ShardRun(number=1, state="complete", id="1" * 32), ShardRun(number=2, state="missing")))


def made(users: list[AuditedUser], info: RunInfo = INFO) -> RunView:
    return RunView(SampleRun([*users, up_to_date(90)], info))


@pytest.mark.parametrize(
    ("view", "commands"),
    [
        (made([]), []),
        (made([outdated(1)]), [PLAN, APPLY]),
        (made([outdated(1), GONE]), [PLAN, APPLY, ""]),
        (made([GONE]), [""]),
        (made([SLOW]), [RESUME]),
        (made([SLOW, GONE]), [RESUME, ""]),
        (made([outdated(1), SLOW]), [PLAN, APPLY, RESUME]),
        (made([outdated(1), failed(2, Reason.STOPPED)], STOPPED), [RESUME, PLAN, APPLY]),
        (made([outdated(1), failed(2, Reason.STOPPED)], STRANGE), [RESUME]),
        (made([failed(1, Reason.UNAUTHORIZED), failed(2, Reason.UNAUTHORIZED), outdated(3)]), [PLAN, APPLY, RESUME]),
        (made([failed(n, Reason.UNAUTHORIZED) for n in range(3)]), [RESUME]),
        (made([outdated(1)], SHARDS), ["sync-audit run --shard 2/2", PLAN, APPLY]),
        (made([], replace(INFO, filters=Filters(limit=1))), ["sync-audit run"]),
        (made([accepting(GONE)]), []),
    ],
)
def test_each_run_has_its_own_steps_first_things_first(view: RunView, commands: list[str]) -> None:
    assert [step.command for step in steps(view)] == commands


def test_the_steps_count_what_sync_would_change_and_name_who_is_left_to_people() -> None:
    unknown = uncompared(4, Reason.UNKNOWN_VERSION, "0" * 64)
    plan, _, by_hand = steps(made([outdated(1), outdated(2), GONE, unknown]))
    assert plan.text == "Preview the fix for 2 users; this changes nothing"
    assert by_hand.text == "Look at 2 users by hand"
    assert {user.finding.reason for _, user in by_hand.people} == {Reason.MODEL_NOT_FOUND, Reason.UNKNOWN_VERSION}


def test_the_people_of_a_redacted_run_are_masked_and_have_the_places_of_the_report() -> None:
    view = RunView(anna(), redact=True)
    people = [person for step in steps(view) for person in step.people]
    assert people
    places = {user.record.user_id: place for place, user in enumerate(view.users(), 1)}
    assert all(places[user.record.user_id] == place for place, user in people)
    assert all("anna" not in (user.record.email or "") for _, user in people)


def test_the_path_is_quoted_for_a_shell_and_stands_as_the_reader_would_type_it() -> None:
    (plan, apply) = steps(made([outdated(1)]), "my runs/run 1.sqlite")
    assert plan.command == "sync-audit sync 'my runs/run 1.sqlite'"
    assert apply.command == "sync-audit sync 'my runs/run 1.sqlite' --apply"


def test_where_nobody_was_audited_the_steps_lead_to_the_rows_that_count() -> None:
    nobody = replace(
        POPULATION, users_with_completed_model=0, completed_models=0, training_status={"Done": 9, "failed": 1}
    )
    found = steps(RunView(SampleRun([], population=nobody)))
    assert 1 <= len(found) <= 2
    assert found[-1].command.startswith("sync-audit ")
