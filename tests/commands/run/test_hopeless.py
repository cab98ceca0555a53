"""When it makes no sense to go on: real processes, a token that is revoked, a service that is down."""

import json
import signal
import time
from typing import Any

import pytest

from audit.demo.fake_replicate.faults import Endpoint, Fault, Hang, Refused
from audit.demo.fake_replicate.server import TOKEN, in_thread
from audit.model import exit_status
from tests import ROOT
from tests.support.audits import Ended, Servers, Shell
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.synthetic_users import SyntheticUsers

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
    assert done.last_line == str(exit_status.RUN[code])
    assert "Traceback" not in done.err
    assert TOKEN not in done.err


def finished(run: Shell, synthetic_users: SyntheticUsers, port: int) -> None:
    """Once all is well again, resuming comes to what the data say."""
    with in_thread(InstrumentedReplicate(synthetic_users, port=port)):
        done = run("run", "--resume", "run.sqlite", "-oreport.json", REPLICATE_BASE_URL="")
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
    assert "Probably the wrong base URL. Not one answer was Replicate's own." in said
    assert f"Either {fake.base_url} is not its API" in said
    assert report(run)["summary"]["reasons"].keys() <= {"bad_response", "missing_model_id", "invalid_model_id"}
    with in_thread(InstrumentedReplicate(synthetic_users, port=fake.port)):
        done = run("run", "--resume", "run.sqlite", "-oreport.json", REPLICATE_BASE_URL="")
    assert "base URL" not in done.err
    reasons = [user["reason"] for user in report(run)["users"]]
    assert len(reasons) == 20
    assert "bad_response" not in reasons
