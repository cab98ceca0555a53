"""`run --check-weights`: whether weights are still there, on real servers, also after kill and resume."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from audit.cli.signals import Stop
from audit.commands.run import weights as module
from audit.commands.run.weights import WeightsAsker, ask_again, judge, want
from audit.demo.database import ModelRow, load
from audit.demo.fake_replicate.faults import Fault, Refused
from audit.demo.fake_replicate.server import TOKEN, in_thread
from audit.findings.weights import asked_for
from audit.model import exit_status
from audit.model.codes import Reason
from audit.model.replies import WeightsAnswer, WeightsAsked, WeightsEvidence
from audit.runfile import RunFile
from tests.commands.run.test_kill_matrix import wait_until
from tests.runfile.test_file import filled
from tests.support.audits import Shell, new_database
from tests.support.faults import Slow
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.samples import finding, record
from tests.support.synthetic_users import SyntheticUsers

RUN = ("run", "-v", "--run-file", "run.sqlite", "-oreport.json", "--check-weights")
RESUME = ("run", "--resume", "run.sqlite", "-oreport.json")


class WeighedUsers(SyntheticUsers):
    """Users two of whom have one file of weights each; some files are gone, some users keep theirs elsewhere."""

    origin = ""
    """Of the server, which is not known before it runs."""
    all_gone = False

    def path(self, i: int) -> str | None:
        """Where user i's weights lie; None for those that are elsewhere."""
        return None if i % 11 == 0 else f"{i - i % 2}.tar"

    def status(self, i: int) -> int:
        """What there is."""
        return {4: 404, 6: 410}.get((i - i % 2) % 20, 206) if not self.all_gone else 404

    def weights(self, path: str) -> int:
        """See `World`."""
        return self.status(int(path.removesuffix(".tar")))

    def right(self, i: int) -> tuple[Reason, WeightsEvidence | None]:
        """What is to be found, and by what."""
        reason = self.reason(i)
        if reason is not Reason.LATEST_VERSION or self.path(i) is None:
            return reason, None
        return (reason if self.status(i) == 206 else Reason.WEIGHTS_GONE), "request"

    @property
    def urls(self) -> set[str]:
        """Paths of what has to be asked for."""
        return {f"/weights/{self.path(i)}" for i in range(self.n) if self.right(i)[1]}

    def _rows(self, i: int) -> Iterable[ModelRow]:
        path = self.path(i)
        url = f"{self.origin}/weights/{path}" if path else f"https://huggingface.co/acme/{i}.safetensors"
        return (row._replace(lora_weights_url=url) for row in super()._rows(i))


@dataclass(frozen=True)
class Arena:
    """The users and where they are."""

    dsn: str
    users: WeighedUsers
    port: int

    def environ(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.dsn,
            "REPLICATE_BASE_URL": self.users.origin,
            "REPLICATE_API_TOKEN": TOKEN,
            "SYNC_AUDIT_RATE": "100000",
            "SYNC_AUDIT_TIMEOUT": "20",
            "SYNC_AUDIT_RETRIES": "0",
        }

    def serving(self, *faults: Fault) -> InstrumentedReplicate:
        return InstrumentedReplicate(self.users, Behaviour(faults=faults), port=self.port)


@pytest.fixture(scope="module")
def arena(postgres_server: str) -> Arena:
    users = WeighedUsers(200, oddities=0.2)
    with in_thread(InstrumentedReplicate(users)) as fake:  # finds a free port
        users.origin, port = fake.origin, fake.port
    dsn = asyncio.run(new_database(postgres_server, "weighed"))
    asyncio.run(load(dsn, users))
    return Arena(dsn, users, port)


@pytest.fixture
def run(shell: Shell, arena: Arena) -> Shell:
    shell.environ = arena.environ()
    return shell


def found(folder: Path, users: WeighedUsers) -> dict[str, Any]:
    """The `run` block of the report, when everybody in it has what is right."""
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    right = {users.user_id(i): users.right(i)[0].value for i in range(users.n)}
    assert {user["user_id"]: user["reason"] for user in report["users"]} == right
    with RunFile.open(folder / "run.sqlite", "ro") as run_file:
        checked = {user.record.user_id: user.finding.weights_checked for user in run_file.users()}
    assert checked == {users.user_id(i): users.right(i)[1] for i in range(users.n)}
    block: dict[str, Any] = report["run"]
    return block


def test_each_file_is_asked_for_once_and_gone_ones_need_a_sync(run: Shell, arena: Arena) -> None:
    with in_thread(arena.serving()) as fake:
        done = run(*RUN)
    assert done.code == exit_status.INCOMPLETE, done.err
    asked = {path: count for path, count in fake.request_log.paths.items() if path.startswith("/weights")}
    assert asked == dict.fromkeys(arena.users.urls, 1)
    gone = len({path for path in arena.users.urls if arena.users.weights(path.rpartition("/")[2]) != 206})
    weights = found(run.folder, arena.users)["weights"]
    assert weights == {"asked": len(asked), "gone": gone, "not_told": 0}
    assert f"Weights asked for: {len(asked)} URLs: {gone} gone." in done.err
    assert "Do not trust" not in done.err


def test_without_the_option_nobody_asks_for_weights(run: Shell, arena: Arena) -> None:
    with in_thread(arena.serving()) as fake:
        run(*RUN[:-1])
    assert not any(path.startswith("/weights") for path in fake.request_log.paths)
    assert json.loads((run.folder / "report.json").read_text())["run"]["weights"] is None


def test_users_whom_trainings_settle_are_asked_about_too(run: Shell, arena: Arena) -> None:
    with in_thread(arena.serving()):
        run(*RUN, "--mode", "trainings")
    assert found(run.folder, arena.users)["trainings"]["users_settled"] > 50


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
def test_a_run_that_ends_while_it_asks_for_weights_goes_on_with_what_is_missing(
    run: Shell, arena: Arena, number: signal.Signals
) -> None:
    with in_thread(arena.serving(Slow(low=0.05, on=("weights",)))) as fake:
        log = fake.request_log
        process = run.start(*RUN)
        wait_until(lambda: sum(path.startswith("/weights") for path in list(log.paths)) > 25, process)
        process.send_signal(number)
        process.communicate(timeout=30)
        models = log.models.total()
        if number == signal.SIGINT:
            assert process.returncode == exit_status.INTERRUPTED
            assert json.loads((run.folder / "report.json").read_text())["run"]["state"] == "interrupted"
        done = run(*RESUME)
        assert done.code == exit_status.INCOMPLETE, done.err
        asked = {path: count for path, count in log.paths.items() if path.startswith("/weights")}
        assert asked.keys() == arena.users.urls
        assert sum(asked.values()) <= len(asked) + 8  # those that were in flight
        # Killed it has lost up to 32 answers; those who lack a version are asked for again by no other rule than that.
        assert log.models.total() <= models + 32
    block = found(run.folder, arena.users)
    assert (block["state"], block["weights"]["asked"]) == ("complete", len(arena.users.urls))


def test_what_told_nothing_is_counted_and_asked_for_again_when_the_run_is_resumed(run: Shell, arena: Arena) -> None:
    with in_thread(arena.serving(Refused(status=500, on=("weights",), times=7))):
        done = run(*RUN)
    weights = json.loads((run.folder / "report.json").read_text())["run"]["weights"]
    assert weights["not_told"] == 7
    assert "7 unclear; --resume asks for those again." in " ".join(done.err.split())
    with in_thread(arena.serving()) as fake:
        run(*RESUME)
        assert sum(path.startswith("/weights") for path in fake.request_log.paths) == 7
    assert found(run.folder, arena.users)["weights"]["not_told"] == 0


def test_what_was_gone_is_asked_for_again_where_that_is_said(run: Shell, arena: Arena) -> None:
    with in_thread(arena.serving(Refused(status=404, body="html", on=("weights",), times=20))):
        run(*RUN)
    with in_thread(arena.serving()) as fake:
        run(*RESUME, "--ask-again", "weights_gone")
        assert 20 <= sum(path.startswith("/weights") for path in fake.request_log.paths) < len(arena.users.urls)
    found(run.folder, arena.users)


def test_where_all_are_gone_the_findings_stay_and_a_warning_says_what_is_probable(
    run: Shell, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena.users, "all_gone", True)
    with in_thread(arena.serving()):
        done = run(*RUN)
    weights = found(run.folder, arena.users)["weights"]
    assert weights["gone"] == weights["asked"] == len(arena.users.urls)
    loud = f"Every one of the {weights['gone']} URLs"
    assert f"Do not trust that all weights are gone: {loud}" in " ".join(done.err.split())


def test_shards_that_asked_for_weights_are_merged_with_what_they_were_told(run: Shell, arena: Arena) -> None:
    with in_thread(arena.serving()) as fake:
        for number in (1, 2):
            run(*RUN[:1], "--run-file", f"{number}.sqlite", "--shard", f"{number}/2", "-ox.json", "--check-weights")
        asked = sum(path.startswith("/weights") for path in fake.request_log.paths)
        done = run("merge", "1.sqlite", "2.sqlite", "--run-file", "run.sqlite", "-oreport.json")
        assert done.code == exit_status.INCOMPLETE, done.err
        assert found(run.folder, arena.users)["weights"]["asked"] == asked == len(arena.users.urls)
        run("run", "--run-file", "3.sqlite", "--shard", "2/2", "-ox.json")
        refused = run("merge", "1.sqlite", "3.sqlite", "--run-file", "4.sqlite", "-ox.json")
    assert refused.code == exit_status.USAGE
    assert "--check-weights is not given in it, and given there" in refused.err


THERE, GONE = WeightsAnswer("there", "HTTP 206"), WeightsAnswer("gone", "HTTP 404 for its first byte")
NOTHING = WeightsAnswer("nothing", "no connection")


def test_what_was_told_makes_the_finding() -> None:
    assert asked_for(finding(), THERE) == finding(weights_checked="request")
    assert asked_for(finding(weights_checked="training"), THERE) == finding(weights_checked="training")
    assert asked_for(finding(), NOTHING) == finding()
    gone = finding(Reason.WEIGHTS_GONE, detail="HTTP 404 for its first byte", weights_checked="request")
    assert asked_for(finding(), GONE) == asked_for(finding(weights_checked="training"), GONE) == gone


class Answering:
    """Delivery hosts without a network."""

    def __init__(self, answer: Callable[[str], WeightsAnswer]) -> None:
        self.asked: list[str] = []
        self._answer = answer

    async def ask(self, url: str) -> WeightsAnswer:
        self.asked.append(url)
        await asyncio.sleep(0)
        return self._answer(url)


def checked(
    path: Path, hosts: Answering, users: int, stop: Stop | None = None
) -> tuple[RunFile, list[tuple[int, int]]]:
    """A run file of which weights were asked for, and the progress that was told."""
    records = [
        record(
            user_id=f"u{number:03}",
            replicate_model_id=f"a/{number}",
            lora_weights_url=f"https://replicate.delivery/{number:03}.tar",
        )
        for number in range(users)
    ]
    run_file = filled(path, records)
    run_file.record_findings([(number + 1, finding()) for number in range(users)], None, 0)
    progress: list[tuple[int, int]] = []

    async def ask() -> None:
        want(run_file)
        await WeightsAsker(hosts, run_file, lambda *counts: progress.append(counts)).run(stop or Stop())
        judge(run_file)

    asyncio.run(ask())
    return run_file, progress


def test_progress_tells_how_many_of_all(tmp_path: Path) -> None:
    run_file, progress = checked(tmp_path / "run.sqlite", Answering(lambda _: THERE), 20)
    with run_file:
        assert progress == [(number, 20) for number in range(21)]


def test_where_one_after_the_other_tells_nothing_the_rest_is_given_up(tmp_path: Path) -> None:
    hosts = Answering(lambda _: NOTHING)
    run_file, _ = checked(tmp_path / "run.sqlite", hosts, 200)
    with run_file:
        assert module.GIVE_UP_AFTER <= len(hosts.asked) < module.GIVE_UP_AFTER + 8
        assert run_file.count_weights() == WeightsAsked(200, 0, 200)
        assert run_file.summary().reasons == {Reason.LATEST_VERSION: 200}
        ask_again(run_file, failed=True, gone=False)
        assert run_file.weights.count_pending() == 200


def test_what_a_killed_run_had_been_told_makes_the_findings_without_another_question(tmp_path: Path) -> None:
    run_file = filled(
        tmp_path / "run.sqlite", [record(lora_weights_url="https://replicate.delivery/a.tar", replicate_model_id="a/1")]
    )
    with run_file:
        run_file.record_findings([(1, finding())], None, 0)
        want(run_file)
        with run_file.transaction():
            run_file.weights.record([("https://replicate.delivery/a.tar", GONE)])
        nobody: Any = None  # who would be asked
        assert asyncio.run(module.check_weights(nobody, run_file, lambda *_: None, Stop()))
        assert run_file.summary().reasons == {Reason.WEIGHTS_GONE: 1}


def test_a_few_that_tell_nothing_among_others_keep_nobody_from_being_asked_for(tmp_path: Path) -> None:
    run_file, _ = checked(
        tmp_path / "run.sqlite", Answering(lambda url: THERE if url.endswith("0.tar") else NOTHING), 200
    )
    with run_file:
        assert run_file.count_weights() == WeightsAsked(200, 0, 180)


def test_after_a_stop_nothing_is_asked_and_what_was_told_counts(tmp_path: Path) -> None:
    stop = Stop()

    def answer(url: str) -> WeightsAnswer:
        if url.endswith("/010.tar"):
            stop.request("interrupted", "a test")
        return GONE

    hosts = Answering(answer)
    run_file, _ = checked(tmp_path / "run.sqlite", hosts, 100, stop)
    with run_file:
        assert 10 < len(hosts.asked) < 20
        assert run_file.count_weights() == WeightsAsked(len(hosts.asked), len(hosts.asked), 0)
        assert run_file.summary().reasons[Reason.WEIGHTS_GONE] == len(hosts.asked)
        assert run_file.weights.count_pending() == 100 - len(hosts.asked)
