"""When it makes no sense to go on: real processes, a token that is revoked, a service that is down."""

import html
import json
import signal
import time
from typing import Any

import pytest

from audit.demo.fake_replicate.faults import Endpoint, Fault, Hang, Refused
from audit.demo.fake_replicate.server import TOKEN, in_thread
from audit.demo.fake_replicate.world import World
from audit.findings.hopeless import NONE_OF_FIRST
from audit.model import exit_status
from audit.model.codes import Reason
from tests import ROOT
from tests.support.audits import Ended, Servers, Shell
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.strangers import AsSeenBy
from tests.support.synthetic_users import OWNER, SyntheticUsers

RUN = ("run", "--run-file", "run.sqlite", "-oreport.json", "--concurrency", "8")
ASKING: tuple[Endpoint, ...] = ("versions", "model")


@pytest.fixture
def run(shell: Shell, synthetic_servers: Servers) -> Shell:
    """A shell that audits the synthetic users; whoever serves them is the test's choice."""
    shell.environ = synthetic_servers.environ | {"SYNC_AUDIT_RETRIES": "0", "SYNC_AUDIT_TIMEOUT": "20"}
    return shell


def report(shell: Shell) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads((shell.folder / "report.json").read_text())
    return decoded


def check(done: Ended, code: int) -> None:
    assert done.code == code, done.err
    assert done.last_code == code
    assert "Traceback" not in done.err
    assert TOKEN not in done.err


def finished(run: Shell, synthetic_users: SyntheticUsers, port: int, name: str = "run.sqlite") -> None:
    """Once all is well again, resuming comes to what the data say."""
    with in_thread(InstrumentedReplicate(synthetic_users, port=port)):
        done = run("run", "--resume", name, "-oreport.json", REPLICATE_BASE_URL="")
    check(done, exit_status.INCOMPLETE)
    reasons = {user["user_id"]: user["reason"] for user in report(run)["users"]}
    assert reasons == {synthetic_users.user_id(i): synthetic_users.reason(i).value for i in range(synthetic_users.n)}


def test_a_token_that_is_revoked_midway_stops_the_run_at_once_and_keeps_what_is_known(
    run: Shell, synthetic_users: SyntheticUsers
) -> None:
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(revoked_after=100))) as fake:
        done = run(*RUN, REPLICATE_BASE_URL=fake.base_url)
        assert fake.request_log.requests <= 100 + 3 + 2 * 8
    check(done, exit_status.INCOMPLETE)
    assert "The run ended early: Replicate refuses the API token (HTTP 401: " in done.err
    content = report(run)
    assert content["run"]["state"] == "stopped"
    assert content["run"]["stop_reason"].startswith("Replicate refuses the API token (HTTP 401: ")
    assert content["summary"]["not_checked"] > 100
    assert content["summary"]["up_to_date"] > 50
    assert content["summary"]["reasons"]["unauthorized"] <= 8 + 3
    finished(run, synthetic_users, fake.port)


@pytest.mark.parametrize("account", [200, 500, 403])
def test_a_token_that_is_refused_from_the_first_model_on_ends_in_5_and_the_run_is_kept(
    run: Shell, synthetic_users: SyntheticUsers, account: int
) -> None:
    faults: tuple[Fault, ...] = (Refused(status=401, on=ASKING),)
    if account != 200:
        faults += (Refused(status=account, on=("account",)),)
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(faults=faults))) as fake:
        done = run(*RUN, REPLICATE_BASE_URL=fake.base_url)
        assert fake.request_log.requests <= 1 + 3 + 2 * 8
    check(done, exit_status.COULD_NOT_RUN)
    assert "Replicate refuses the API token" in done.err
    assert "REPLICATE_API_TOKEN" in done.err
    assert "sync-audit run --resume run.sqlite" in done.err
    assert not (run.folder / "report.json").exists()
    finished(run, synthetic_users, fake.port)


@pytest.mark.parametrize(
    "fault", [Refused(status=502, body="html", on=ASKING), Hang(on=ASKING)], ids=lambda fault: type(fault).__name__
)
def test_a_service_that_stays_down_stops_the_run_and_most_are_not_checked(
    run: Shell, synthetic_users: SyntheticUsers, fault: Fault
) -> None:
    # Two minutes in less than one second: the intervals are the only thing that is not as in production.
    (run.folder / "sitecustomize.py").write_text(
        "import audit.commands.run.auditor\naudit.commands.run.auditor.HALF_OPEN_DELAYS = (0.05, 0.1, 0.2)\n"
    )
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(faults=(fault,)))) as fake:
        where = {"REPLICATE_BASE_URL": fake.base_url, "PYTHONPATH": f"{run.folder}:{ROOT}"}
        done = run(*RUN, SYNC_AUDIT_TIMEOUT="0.2", **where)
        assert 50 < fake.request_log.requests <= 1 + 50 + 7 + 3
    check(done, exit_status.INCOMPLETE)
    assert done.err.count("Replicate is not answering") == 3
    content = report(run)
    assert content["run"]["state"] == "stopped"
    assert content["run"]["stop_reason"].startswith("Replicate did not answer for ")
    assert content["summary"]["not_checked"] > 150
    finished(run, synthetic_users, fake.port)


def test_a_service_that_comes_back_is_asked_for_the_rest(run: Shell, synthetic_users: SyntheticUsers) -> None:
    with in_thread(
        InstrumentedReplicate(synthetic_users, Behaviour(faults=(Refused(status=503, on=ASKING, times=57),)))
    ) as fake:
        done = run(*RUN, REPLICATE_BASE_URL=fake.base_url)
    check(done, exit_status.INCOMPLETE)
    assert "Replicate is not answering" in done.err
    assert "Replicate is answering again" in done.err
    content = report(run)
    assert content["run"]["state"] == "complete"
    assert content["summary"]["not_checked"] == 0
    assert content["summary"]["reasons"]["server_error"] <= 57


def test_ctrl_c_while_the_service_is_probed_ends_the_run_in_order(run: Shell, synthetic_users: SyntheticUsers) -> None:
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(faults=(Refused(status=502, on=ASKING),)))) as fake:
        process = run.start(*RUN, REPLICATE_BASE_URL=fake.base_url)
        while fake.request_log.requests < 58:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=20)[1].decode()
    assert process.returncode == exit_status.INTERRUPTED, err
    assert report(run)["run"]["stop_reason"] == "stopped by SIGINT"


@pytest.mark.parametrize("status", [404, 403])
def test_where_a_gateway_answers_for_replicate_nobody_is_called_lost_and_resuming_asks_again(
    run: Shell, synthetic_users: SyntheticUsers, status: int
) -> None:
    page = Refused(status=status, body="html", on=())
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(faults=(page,)))) as fake:
        done = run(*RUN, "--limit", "20", REPLICATE_BASE_URL=fake.base_url)
    assert done.code == exit_status.INCOMPLETE, done.err
    said = " ".join(done.err.split())
    assert "Probably the wrong base URL: Not one answer was Replicate's own." in said
    assert "Check --base-url, REPLICATE_BASE_URL and any proxy" in said
    assert report(run)["summary"]["reasons"].keys() <= {"bad_response", "missing_model_id", "invalid_model_id"}
    with in_thread(InstrumentedReplicate(synthetic_users, port=fake.port)):
        done = run("run", "--resume", "run.sqlite", "-oreport.json", REPLICATE_BASE_URL="")
    assert "base URL" not in done.err
    reasons = [user["reason"] for user in report(run)["users"]]
    assert len(reasons) == 20
    assert "bad_response" not in reasons


NOT_ASKED = {Reason.MISSING_MODEL_ID, Reason.INVALID_MODEL_ID}
UNANSWERED = {"stopped", "no_version_recorded", "missing_model_id", "invalid_model_id"}
"""What is known of the synthetic users as long as nobody was asked."""
MOST = 1 + 2 * (NONE_OF_FIRST + 2 * 8)
"""Requests of a hopeless run with 8 at once: the account, and two for each model; 19 may be answered in each round."""


def run_fresh(run: Shell, world: World) -> dict[str, Any]:
    """The users as a run with the right token from the beginning has them."""
    with in_thread(InstrumentedReplicate(world)) as fake:
        run("run", "--run-file", "fresh.sqlite", "-ofresh.json", REPLICATE_BASE_URL=fake.base_url)
    return as_users(run, "fresh.json")


def as_users(run: Shell, name: str = "report.json") -> dict[str, Any]:
    return {user["user_id"]: user for user in json.loads((run.folder / name).read_text())["users"]}


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--mode", "trainings"),
        *(pytest.param((each,), marks=pytest.mark.slow) for each in ("--trainings", "--check-weights")),
    ],
    ids=["plain", "--mode trainings", "--trainings", "--check-weights"],
)
def test_the_token_of_another_account_ends_the_run_in_4_and_the_right_one_finishes_it(
    run: Shell, synthetic_users: SyntheticUsers, options: tuple[str, ...]
) -> None:
    formats = ("-oreport.html", "-oreport.csv", "-oreport.md", "-oreport.xml")
    with in_thread(InstrumentedReplicate(AsSeenBy(synthetic_users))) as fake:
        done = run(*RUN, *formats, *options, REPLICATE_BASE_URL=fake.base_url)
        asked = fake.request_log.models
        assert fake.request_log.requests <= MOST + ("--check-weights" not in options)  # and the list of trainings
        assert max(asked.values()) == 2
    check(done, exit_status.INCOMPLETE)
    said = " ".join(done.err.split())
    models = sum(synthetic_users.reason(i) not in NOT_ASKED for i in range(synthetic_users.n))
    whose = f"the token belongs to account acme-staging, the models belong to {OWNER} ({models} models)"
    assert f"The run ended early: none of the first 20 models was found: {whose}" in said
    assert f"No model was found: {whose}" in said
    assert "Set REPLICATE_API_TOKEN to a token of the account that owns the models, then run" in said
    assert "sync-audit run --resume run.sqlite" in said
    content = report(run)
    assert content["run"]["state"] == "stopped"
    assert content["run"]["stop_reason"] == f"none of the first 20 models was found: {whose}"
    assert content["summary"]["reasons"].keys() <= UNANSWERED
    assert content["summary"]["not_checked"] > 250
    for name in ("report.html", "report.md"):
        shown = html.unescape((run.folder / name).read_text().replace("`", ""))
        assert f"No model was found: {whose}" in shown  # the headline
        assert "sync-audit run --resume run.sqlite" in shown
    assert whose in html.unescape((run.folder / "report.xml").read_text())
    assert "model_not_found" not in (run.folder / "report.csv").read_text()
    with in_thread(InstrumentedReplicate(synthetic_users, port=fake.port)) as fake:
        done = run("run", "--resume", "run.sqlite", "-oreport.json", REPLICATE_BASE_URL="")
        if "--mode" not in options:
            assert asked.keys() <= fake.request_log.models.keys()
    check(done, exit_status.INCOMPLETE)
    assert "wrong token" not in done.err
    assert report(run)["run"]["account"] == {"type": "organization", "username": OWNER}
    assert report(run)["run"]["state"] == "complete"
    if not options:
        assert as_users(run) == run_fresh(run, synthetic_users)
    else:
        reasons = {user["user_id"]: user["reason"] for user in report(run)["users"]}
        assert reasons == {synthetic_users.user_id(i): synthetic_users.reason(i) for i in range(synthetic_users.n)}


def test_the_same_wrong_token_ends_it_again_as_quickly_and_the_right_one_is_taken_all_the_same(
    run: Shell, synthetic_users: SyntheticUsers
) -> None:
    with in_thread(InstrumentedReplicate(AsSeenBy(synthetic_users))) as fake:
        run(*RUN, REPLICATE_BASE_URL=fake.base_url)
        before, first = fake.request_log.requests, report(run)
        done = run("run", "--resume", "run.sqlite", "-oreport.json", REPLICATE_BASE_URL="")
        assert fake.request_log.requests - before <= MOST
    check(done, exit_status.INCOMPLETE)
    assert report(run)["users"] == first["users"]
    assert report(run)["run"]["stop_reason"] == first["run"]["stop_reason"]
    finished(run, synthetic_users, fake.port)


@pytest.mark.parametrize("answers", [5, 45], ids=["before the 20th", "as it ends"])
def test_a_hopeless_run_that_is_killed_can_be_finished_with_the_right_token(
    run: Shell, synthetic_users: SyntheticUsers, answers: int
) -> None:
    with in_thread(InstrumentedReplicate(AsSeenBy(synthetic_users))) as fake:
        process = run.start(*RUN, REPLICATE_BASE_URL=fake.base_url)
        while fake.request_log.requests < answers and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        process.communicate(timeout=20)
    fresh = run_fresh(run, synthetic_users)
    with in_thread(InstrumentedReplicate(synthetic_users, port=fake.port)):
        done = run("run", "--resume", "run.sqlite", "-oreport.json", REPLICATE_BASE_URL="")
    check(done, exit_status.INCOMPLETE)
    assert as_users(run) == fresh


def test_a_run_that_has_found_something_is_not_given_to_another_account(
    run: Shell, synthetic_users: SyntheticUsers
) -> None:
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(revoked_after=100))) as fake:
        run(*RUN, REPLICATE_BASE_URL=fake.base_url)
    before = as_users(run)
    with in_thread(InstrumentedReplicate(AsSeenBy(synthetic_users), port=fake.port)):
        done = run("run", "--resume", "run.sqlite", "-oreport.json", REPLICATE_BASE_URL="")
    assert done.code == exit_status.USAGE
    assert "the token belongs to acme-staging now" in done.err
    run("render", "run.sqlite", "-oreport.json")
    assert as_users(run) == before


def test_where_the_account_is_not_known_or_models_are_few_all_are_asked_for(
    run: Shell, synthetic_users: SyntheticUsers
) -> None:
    unknown = Behaviour(faults=(Refused(status=500, on=("account",)),))
    with in_thread(InstrumentedReplicate(AsSeenBy(synthetic_users), unknown)) as fake:
        run(*RUN, REPLICATE_BASE_URL=fake.base_url)
    assert report(run)["run"]["state"] == "complete"
    assert report(run)["summary"]["reasons"]["model_not_found"] > 250
    with in_thread(InstrumentedReplicate(AsSeenBy(synthetic_users))) as fake:
        done = run(
            "run", "--run-file", "few.sqlite", "--limit", "15", "-oreport.json", REPLICATE_BASE_URL=fake.base_url
        )
    assert report(run)["run"]["state"] == "complete"
    assert report(run)["summary"]["not_checked"] == 0
    assert "Probably the wrong token: No model was found, and the token belongs to acme-staging." in " ".join(
        done.err.split()
    )


def test_commands_take_a_hopeless_run_for_a_stopped_one(run: Shell, synthetic_users: SyntheticUsers) -> None:
    with in_thread(InstrumentedReplicate(AsSeenBy(synthetic_users))) as fake:
        run(*RUN, "--shard", "1/2", REPLICATE_BASE_URL=fake.base_url)
        run("run", "--run-file", "2.sqlite", "--shard", "2/2", "-o2.json", REPLICATE_BASE_URL=fake.base_url)
        before = report(run)
        rendered = run("render", "run.sqlite", "-oreport.json")
        assert rendered.code == exit_status.INCOMPLETE
        assert "Unknown: No model was found: " in rendered.err
        assert report(run)["users"] == before["users"]
        sync = run("sync", "run.sqlite", REPLICATE_BASE_URL=fake.base_url)
        assert (sync.code, sync.last_line) == (exit_status.OK, "there is nothing to change (exit 0)"), sync.err
        diff = run("diff", "run.sqlite", "run.sqlite")
        assert diff.code == exit_status.INCOMPLETE, diff.err
        waiting = next(user["user_id"] for user in before["users"] if user["reason"] == "stopped")
        assert run("user", waiting, "--run", "run.sqlite").code == exit_status.INCOMPLETE
        assert run("accept", waiting, "--run", "run.sqlite", "--because", "x").code == exit_status.USAGE
        refused = run("merge", "run.sqlite", "2.sqlite")
        assert "shard 1 of 2 (run.sqlite) is not finished: it was stopped" in refused.err
        merged = run("merge", "run.sqlite", "2.sqlite", "--partial", "--run-file", "all.sqlite", "-oall.json")
    assert merged.code == exit_status.INCOMPLETE, merged.err
    assert "shard 1 of 2 was stopped (none of the first 20 models was found" in " ".join(merged.err.split())
    finished(run, synthetic_users, fake.port, "all.sqlite")
