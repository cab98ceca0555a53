"""What is read from the list of trainings and cannot be taken at its word, in whole audits on real servers."""

import asyncio
import json
from typing import Any

import pytest

from audit.demo.fake_replicate.faults import Refused
from audit.demo.fake_replicate.server import in_thread
from audit.demo.fake_replicate.world import FakeTraining, Model, SmallWorld, weights_url
from audit.model import exit_status
from audit.model.replies import Account, Version
from tests.support.audits import Servers, Shell
from tests.support.database_rows import MODELS, USERS, execute, insert, model
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.samples import NEW, OLD

BY_TRAININGS = ("--mode", "trainings", "--verify-sample", "0")
FIRST, SECOND = "2026-02-01T00:00:00.000001Z", "2026-02-20T00:00:00.000001Z"


def training(**changes: Any) -> FakeTraining:
    plain: dict[str, Any] = {
        "id": "t1",
        "destination": "acme/anna",
        "status": "succeeded",
        "created_at": FIRST,
        "completed_at": FIRST,
        "output_version": OLD,
    }
    return FakeTraining(**(plain | changes))


def report(
    shell: Shell, dsn: str, rows: list[dict[str, Any]], trainings: list[FakeTraining], *options: str
) -> tuple[int, dict[str, Any], set[str]]:
    """Audit Anna's `rows`: the exit code, her line, and the paths that were asked for."""
    code, [user], asked = whole(shell, dsn, rows, trainings, *options)
    return code, user, asked


def audited(
    shell: Shell, dsn: str, rows: list[dict[str, Any]], trainings: list[FakeTraining], *options: str
) -> list[dict[str, Any]]:
    """The lines of Anna and Ben, as far as they have one."""
    return whole(shell, dsn, rows, trainings, *options)[1]


def whole(
    shell: Shell, dsn: str, rows: list[dict[str, Any]], trainings: list[FakeTraining], *options: str
) -> tuple[int, list[dict[str, Any]], set[str]]:
    """Audit `rows`: the exit code, the lines, and the paths that were asked for."""
    versions = (Version(NEW, SECOND), Version(OLD, FIRST))
    world = SmallWorld(Account("user", "acme"), [Model(owner="acme", name="anna", versions=versions)], trainings)
    asyncio.run(execute(dsn, USERS, MODELS))
    asyncio.run(insert(dsn, "users", [{"id": "u1", "email": "anna@example.com"}, {"id": "u2"}]))
    asyncio.run(insert(dsn, "user_models", rows))
    with in_thread(InstrumentedReplicate(world)) as fake:
        shell.environ = Servers(dsn, fake).environ
        code = shell("run", "-o", "a.json", *options).code
        asked = set(fake.request_log.paths)
    return code, json.loads((shell.folder / "a.json").read_text())["users"], asked


RECORDED = model(replicate_version_id=OLD, lora_weights_url=weights_url(OLD), completed_at=FIRST, updated_at=FIRST)


@pytest.mark.parametrize("output", [None, {"version": None}, {"version": NEW}, {}, "removed", [NEW], 7])
@pytest.mark.parametrize("named", [True, False], ids=["a row names it", "no row names it"])
def test_a_user_is_not_settled_by_trainings_where_a_later_one_says_nothing(
    shell: Shell, database: str, output: object, *, named: bool
) -> None:
    odd = training(id="t2", created_at=SECOND, completed_at=SECOND, output_version=None, output=output)
    rows = [RECORDED | {"training_id": "t2" if named else "t1"}]
    code, user, asked = report(shell, database, rows, [training(), odd], *BY_TRAININGS)
    assert (code, user["reason"], user["evidence"]) == (exit_status.NEEDS_SYNC, "outdated_version", "versions")
    assert "/v1/models/acme/anna/versions" in asked
    assert "version_made_by_hand" not in user["notes"]


def test_a_user_is_settled_by_trainings_where_all_can_be_read(shell: Shell, database: str) -> None:
    newer = training(id="t2", created_at=SECOND, completed_at=SECOND, output_version=NEW)
    rows = [RECORDED | {"training_id": "t2", "replicate_version_id": NEW, "lora_weights_url": weights_url(NEW)}]
    code, user, asked = report(shell, database, rows, [training(), newer], *BY_TRAININGS)
    assert (code, user["reason"], user["evidence"]) == (exit_status.OK, "latest_version", "training")
    assert "/v1/models/acme/anna/versions" not in asked


@pytest.mark.parametrize("trainer", ["acme/our-trainer", "ostris/flux-dev-lora-trainer"])
def test_a_trainer_in_the_models_place_is_known_from_the_trainings_and_so_is_what_it_made(
    shell: Shell, database: str, trainer: str
) -> None:
    made = training(trainer=trainer)
    rows = [RECORDED | {"replicate_model_id": trainer.title()}]
    code, user, asked = report(shell, database, rows, [made], "--trainings")
    assert (code, user["reason"]) == (exit_status.NEEDS_SYNC, "trainer_recorded")
    assert (user["latest_version"], user["latest_training"]["id"]) == (OLD, "t1")
    assert user["affected_since"] == made.completed_at
    assert asked == {"/v1/account", "/v1/trainings"}


def test_a_model_that_is_trained_further_is_no_trainer(shell: Shell, database: str) -> None:
    further = training(id="t2", created_at=SECOND, completed_at=SECOND, output_version=NEW, trainer="acme/anna")
    rows = [RECORDED | {"replicate_version_id": NEW, "lora_weights_url": weights_url(NEW)}]
    code, user, _ = report(shell, database, rows, [further, training()], "--trainings")
    assert (code, user["reason"]) == (exit_status.OK, "latest_version")


def test_a_published_trainer_is_known_without_them_and_never_asked_for(shell: Shell, database: str) -> None:
    rows = [RECORDED | {"replicate_model_id": "ostris/flux-dev-lora-trainer"}]
    code, user, asked = report(shell, database, rows, [])
    assert (code, user["reason"], user["latest_version"]) == (exit_status.NEEDS_SYNC, "trainer_recorded", None)
    assert asked == {"/v1/account"}


def test_a_published_trainer_is_judged_by_the_training_that_the_row_names(shell: Shell, database: str) -> None:
    rows = [RECORDED | {"replicate_model_id": "ostris/flux-dev-lora-trainer"}, RECORDED | {"user_id": "u2"}]
    [user, _] = audited(shell, database, rows, [training()], "--trainings")
    assert (user["reason"], user["latest_version"], user["latest_training"]["id"]) == ("trainer_recorded", OLD, "t1")


def test_what_is_wrong_with_the_completed_row_is_kept_beside_a_trainer_that_only_the_list_tells_of(
    shell: Shell, database: str
) -> None:
    stuck = RECORDED | {"training_status": "training", "replicate_model_id": "acme/our-trainer", "training_id": None}
    stuck |= {"replicate_version_id": None, "created_at": SECOND, "updated_at": SECOND, "completed_at": None}
    [user] = audited(shell, database, [RECORDED, stuck], [training(trainer="acme/our-trainer")], "--trainings")
    assert (user["reason"], user["also"]["reason"]) == ("trainer_recorded", "outdated_version")


def test_a_url_with_blanks_around_it_is_that_of_the_training_that_put_it_out(shell: Shell, database: str) -> None:
    rows = [RECORDED | {"replicate_version_id": NEW, "lora_weights_url": f" {weights_url(OLD)}\n"}]
    both = [training(), training(id="t2", created_at=SECOND, completed_at=SECOND, output_version=NEW)]
    [user] = audited(shell, database, rows, both, "--trainings")
    assert (user["reason"], user["notes"]) == ("wrong_weights", ["weights_url_of_another_version"])


def test_a_user_is_not_settled_where_a_training_says_neither_what_it_made_nor_when(shell: Shell, database: str) -> None:
    odd = training(id="t2", created_at="", completed_at=None, output_version=None)
    _, user, asked = report(shell, database, [RECORDED], [odd, training()], *BY_TRAININGS)
    assert (user["reason"], user["evidence"]) == ("outdated_version", "versions")
    assert "/v1/models/acme/anna/versions" in asked


def test_a_training_that_went_on_when_the_list_was_read_is_asked_for_itself(shell: Shell, database: str) -> None:
    stuck = RECORDED | {"training_status": "training", "training_id": "t2", "created_at": SECOND, "updated_at": SECOND}
    went_on = training(id="t2", status="processing", created_at=SECOND, completed_at=None, output_version=None)
    _, user, asked = report(shell, database, [RECORDED, stuck], [training(), went_on], "--trainings")
    assert "/v1/trainings/t2" in asked
    assert "retraining_in_progress" in user["notes"]


@pytest.mark.parametrize(
    ("option", "found"),
    [(["--trainings"], ("needs_sync", "wrong_weights", "training")), ([], ("up_to_date", "latest_version", None))],
)
def test_weights_are_judged_where_trainings_are_read_and_not_otherwise(
    shell: Shell, database: str, option: list[str], found: tuple[str, str, str | None]
) -> None:
    rows = [RECORDED | {"replicate_version_id": NEW}]
    both = [training(), training(id="t2", created_at=SECOND, completed_at=SECOND, output_version=NEW)]
    _, user, _ = report(shell, database, rows, both, *option)
    assert (user["status"], user["reason"], user["weights_checked"]) == found


def test_of_a_row_that_names_no_training_the_list_tells_which_one_made_its_version(shell: Shell, database: str) -> None:
    made = training(id="t2", created_at=SECOND, completed_at=SECOND, output_version=NEW)
    began = {"created_at": FIRST, "updated_at": FIRST, "completed_at": None}
    wiped = {"training_id": None, "replicate_version_id": None, "lora_weights_url": None}
    rows = [model(training_status="training", **began, **wiped)]
    _, user, _ = report(shell, database, rows, [made, training()], "--trainings")
    assert (user["reason"], user["latest_version"]) == ("training_not_recorded", NEW)
    assert (user["latest_training"]["id"], user["latest_training"]["weights"]) == ("t2", weights_url(NEW))


def test_what_rows_were_answered_with_is_reported_where_the_token_is_refused_later(shell: Shell, database: str) -> None:
    stuck = {"training_status": "training", "replicate_version_id": None, "completed_at": None}
    rows = [RECORDED | stuck | {"user_id": f"u{i}", "training_id": f"t{i}"} for i in range(5)]
    world = SmallWorld(Account("user", "acme"), [], [training(id=f"t{i}") for i in range(5)])
    asyncio.run(execute(database, USERS, MODELS))
    asyncio.run(insert(database, "users", [{"id": f"u{i}"} for i in range(5)]))
    asyncio.run(insert(database, "user_models", rows))
    with in_thread(InstrumentedReplicate(world)) as fake:
        shell.environ = Servers(database, fake, retries=0).environ
        fake.inject(Refused(status=500, on=("training",), times=4))
        shell("run", "-o", "a.json", "--run-file", "run.sqlite")
        fake.inject(Refused(status=401, on=("training",)))
        ended = shell("run", "--resume", "run.sqlite")
    assert ended.code == exit_status.INCOMPLETE
    summary = json.loads((shell.folder / "a.json").read_text())["summary"]
    assert summary["reasons"]["training_not_recorded"] == 1
