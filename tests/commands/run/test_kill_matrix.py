"""Real processes killed by real signals at any moment, and what `run --resume` makes of what is left."""

import asyncio
import contextlib
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from audit.demo.fake_replicate.server import in_thread
from audit.model import exit_status
from audit.runfile import RunFile
from tests.support.audits import Ended, Servers, Shell
from tests.support.faults import Slow
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.run_files import finished_run_file
from tests.support.synthetic_users import SyntheticUsers

CODES = {
    signal.SIGKILL: -signal.SIGKILL,
    signal.SIGINT: exit_status.INTERRUPTED,
    signal.SIGTERM: exit_status.TERMINATED,
    signal.SIGHUP: exit_status.HUNG_UP,
}
SIGNALS = pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
POLITE = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
FILES = ("report.json", "report.csv")
MANY = 40_000
"""Users whose reports take longer to write than a busy machine takes to deliver a second signal."""
RUN = ("run", "--run-file", "run.sqlite", *(f"-o{name}" for name in FILES))
RESUME = ("run", "--resume", "run.sqlite")


def moments(count: int) -> list[Any]:
    """Seeds of moments, which are in the tests' names."""
    return [pytest.param(seed, id=f"seed {seed}") for seed in range(count)]


@dataclass(frozen=True)
class Arena:
    """A slow server, users who take a second and a half to audit, and what an audit must come to."""

    servers: Servers
    users: int
    report: dict[str, Any]
    csv: bytes
    seconds: float
    """How long a run takes that nobody disturbs."""

    @property
    def models_asked(self) -> Counter[str]:
        """Questions per model since the beginning."""
        return Counter(self.servers.fake.request_log.models)


@pytest.fixture(scope="module")
def arena(
    synthetic_servers: Servers, synthetic_users: SyntheticUsers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Arena]:
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(faults=(Slow(low=0.01, high=0.03),)))) as fake:
        servers = Servers(synthetic_servers.dsn, fake)
        with contextlib.ExitStack() as cleanup:
            undisturbed = Shell(tmp_path_factory.mktemp("undisturbed"), environ(servers), cleanup)
            began = time.monotonic()
            assert undisturbed(*RUN).code == exit_status.INCOMPLETE
            seconds = time.monotonic() - began
            report, csv = outcome(undisturbed)
        yield Arena(servers, synthetic_users.n, report, csv, seconds)


def environ(servers: Servers) -> dict[str, str]:
    return servers.environ | {"SYNC_AUDIT_RATE": "24000", "SYNC_AUDIT_TIMEOUT": "20", "SYNC_AUDIT_CONCURRENCY": "8"}


@pytest.fixture
def run(shell: Shell, arena: Arena) -> Shell:
    """A shell in which the synthetic users can be audited."""
    shell.environ = environ(arena.servers)
    return shell


def outcome(shell: Shell) -> tuple[dict[str, Any], bytes]:
    """The JSON without its run block, and the CSV."""
    report = json.loads((shell.folder / "report.json").read_text())
    assert report.pop("run")["state"] == "complete"
    return report, (shell.folder / "report.csv").read_bytes()


def answered(folder: Path) -> set[str]:
    """The models that need not be asked for again, as the run file has them; read without changing it."""
    copy = folder.parent / f"{folder.name}-copy"
    copy.mkdir()
    for part in folder.glob("run.sqlite*"):
        (copy / part.name).write_bytes(part.read_bytes())
    with contextlib.closing(sqlite3.connect(copy / "run.sqlite")) as file:
        rows = {model for (model,) in file.execute("SELECT model FROM audited WHERE outcome IS NOT NULL")}
    for part in copy.iterdir():
        part.unlink()
    copy.rmdir()
    return rows


def ended(process: subprocess.Popen[bytes]) -> Ended:
    out, err = process.communicate(timeout=30)
    return Ended(process.returncode, out.decode(), err.decode())


def wait_until(true: Callable[[], Any], process: subprocess.Popen[bytes] | None = None) -> None:
    """Ask often, for 20 s at most; `process` must not end meanwhile."""
    deadline = time.monotonic() + 20
    while not true():
        assert process is None or process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.001)


def after_requests(shell: Shell, arena: Arena, count: int, *arguments: str) -> subprocess.Popen[bytes]:
    """A process whose requests are being answered: `count` of them came in."""
    before = arena.servers.fake.request_log.requests
    process = shell.start(*arguments)
    wait_until(lambda: arena.servers.fake.request_log.requests >= before + count, process)
    return process


def check_interrupted(done: Ended, shell: Shell, arena: Arena, number: signal.Signals) -> None:
    """The reports say what is known, who was not checked, and why."""
    assert done.code == CODES[number], done.err
    assert done.last_code == done.code
    assert f"The run ended early: stopped by {number.name}" in done.err
    report = json.loads((shell.folder / "report.json").read_text())
    assert (report["run"]["state"], report["run"]["stop_reason"]) == ("interrupted", f"stopped by {number.name}")
    summary = report["summary"]
    assert summary["total"] == arena.users
    assert summary["not_checked"] == summary["reasons"]["stopped"] > 0
    assert sum(user["status"] == "not_checked" for user in report["users"]) == summary["not_checked"]
    assert (shell.folder / "report.csv").read_bytes().count(b"\r\nnot_checked,stopped,") == summary["not_checked"]


def check_resumed(shell: Shell, arena: Arena) -> None:
    """What was missing is asked for, nothing else is, and nobody can tell from the reports."""
    known, before = answered(shell.folder), arena.models_asked
    done = shell(*RESUME)
    assert done.code == exit_status.INCOMPLETE, done.err
    assert outcome(shell) == (arena.report, arena.csv)
    asked = arena.models_asked - before
    assert not asked.keys() & known
    askable = sum(1 for model in arena.report["users"] if "/" in str(model["replicate_model_id"]))
    assert len(asked) == askable - len(known)


def check_files(shell: Shell) -> None:
    assert sorted(path.name for path in shell.folder.iterdir()) == sorted((*FILES, "run.sqlite"))


def check_killed_while_asking(shell: Shell, arena: Arena, number: signal.Signals, seed: int) -> None:
    count = random.Random(f"{seed} {number}").randrange(1, arena.users * 8 // 10)
    print(f"{number.name} after {count} requests")  # noqa: T201 - shown where the test fails
    process = after_requests(shell, arena, count, *RUN)
    process.send_signal(number)
    done = ended(process)
    if number is signal.SIGKILL:
        assert done.code == CODES[number]
    else:
        check_interrupted(done, shell, arena, number)
        check_files(shell)
    check_resumed(shell, arena)
    check_files(shell)


@SIGNALS
@pytest.mark.parametrize("seed", moments(2))
def test_a_run_killed_while_asking_is_finished_by_resuming(
    run: Shell, arena: Arena, number: signal.Signals, seed: int
) -> None:
    check_killed_while_asking(run, arena, number, seed)


@pytest.mark.slow
@SIGNALS
@pytest.mark.parametrize("seed", moments(12)[2:])
def test_a_run_killed_while_asking_is_finished_by_resuming_at_more_moments(
    run: Shell, arena: Arena, number: signal.Signals, seed: int
) -> None:
    check_killed_while_asking(run, arena, number, seed)


@pytest.mark.slow
@SIGNALS
@pytest.mark.parametrize("seed", moments(10))
def test_a_run_killed_at_any_time_of_its_life_is_finished_or_can_be_begun_again(
    run: Shell, arena: Arena, number: signal.Signals, seed: int
) -> None:
    moment = random.Random(f"{seed} {number}").uniform(0.0, arena.seconds * 1.05)
    print(f"{number.name} after {moment:.3f} s of {arena.seconds:.3f} s")  # noqa: T201 - shown where the test fails
    process = run.start(*RUN)
    time.sleep(moment)
    process.send_signal(number)
    done = ended(process)
    assert done.code in {CODES[number], -number, exit_status.INCOMPLETE}, done.err
    if done.code == exit_status.INCOMPLETE:
        assert outcome(run) == (arena.report, arena.csv)
        return
    file = run.folder / "run.sqlite"
    if not file.exists() or begun_in_vain(run):
        file.unlink(missing_ok=True)
        assert run(*RUN).code == exit_status.INCOMPLETE
        assert outcome(run) == (arena.report, arena.csv)
    else:
        check_resumed(run, arena)


def begun_in_vain(shell: Shell) -> bool:
    """Whether the run ended before there was anything to finish, and resuming says so."""
    try:
        with RunFile.open(shell.folder / "run.sqlite") as run_file:
            empty = run_file.population is None
    except Exception:
        empty = True
    if empty:
        done = shell(*RESUME)
        assert done.code == exit_status.COULD_NOT_RUN
        assert "Traceback" not in done.err
        assert "Start a new run" in done.err
    return empty


@pytest.mark.slow
def test_a_run_that_is_stopped_again_and_again_comes_to_the_same_end(run: Shell, arena: Arena) -> None:
    first, *others = random.Random(7).sample([signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGKILL], 4)
    process = after_requests(run, arena, 40, *RUN)
    process.send_signal(first)
    assert ended(process).code == CODES[first]
    for number in others:
        process = after_requests(run, arena, 40, *RESUME)
        process.send_signal(number)
        done = ended(process)
        assert done.code == CODES[number], done.err
    check_resumed(run, arena)
    check_files(run)


@POLITE
def test_a_second_signal_ends_at_once_and_leaves_no_torn_file(run: Shell, arena: Arena, number: signal.Signals) -> None:
    for name in FILES:
        (run.folder / name).write_text("of an earlier run")
    slow = Behaviour(faults=(Slow(low=60.0, on=("versions",)),))  # so that those in flight use up all of their grace
    with in_thread(InstrumentedReplicate(arena.servers.fake.world, slow)) as fake:
        process = run.start(*RUN, REPLICATE_BASE_URL=fake.base_url)
        wait_until(lambda: fake.request_log.requests >= 9, process)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert process.poll() is None
        began = time.monotonic()
        process.send_signal(number)
        done = ended(process)
    assert time.monotonic() - began < 4  # grace would be five seconds
    assert done.code == 128 + number
    assert "Traceback" not in done.err
    check_files(run)
    for name in FILES:
        assert (run.folder / name).read_text() == "of an earlier run"


@contextlib.contextmanager
def locked_tables(dsn: str) -> Iterator[Callable[[], bool]]:
    """Nobody can read `user_models` in the block; what is given says whether somebody is trying to."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(dsn))
    try:
        loop.run_until_complete(connection.execute("BEGIN; LOCK TABLE user_models IN ACCESS EXCLUSIVE MODE"))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        yield lambda: loop.run_until_complete(connection.fetchval(waiting)) > 0
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


@SIGNALS
def test_a_run_killed_while_the_database_is_read_leaves_nothing_that_could_be_taken_for_a_run(
    run: Shell, arena: Arena, number: signal.Signals
) -> None:
    with locked_tables(arena.servers.dsn) as is_reading:
        process = run.start(*RUN)
        wait_until(is_reading, process)
        process.send_signal(number)
        done = ended(process)
    assert done.code == CODES[number]
    assert "Traceback" not in done.err
    if number is signal.SIGKILL:
        for command in (RESUME, ("render", "run.sqlite", "-oreport.json")):
            refused = run(*command)
            assert refused.code == exit_status.COULD_NOT_RUN
            assert "was ended before the database had been read" in refused.err
    else:
        assert done.last_line == f"Error: stopped by {number.name} before any request was sent (exit {done.code})"
        assert list(run.folder.iterdir()) == []


@pytest.fixture(scope="module")
def finished(arena: Arena, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run file of so many users that writing reports takes a while."""
    path = tmp_path_factory.mktemp("finished") / "run.sqlite"
    finished_run_file(path, MANY, arena.servers.fake.base_url)
    return path


@pytest.fixture
def many(run: Shell, finished: Path) -> Shell:
    """A finished run; resuming it only writes reports."""
    del run.environ["DATABASE_URL"]
    shutil.copy(finished, run.folder)
    for name in FILES:
        (run.folder / name).write_text("of an earlier run")
    return run


def writing(shell: Shell, *arguments: str) -> subprocess.Popen[bytes]:
    """A process that is in the midst of writing a report."""
    process = shell.start(*arguments)
    wait_until(lambda: any(size(path) > 100_000 for path in temporaries(shell)), process)
    return process


def size(path: Path) -> int:
    """Bytes; 0 where the file is gone, as the one is that only tries whether the place can be written."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def temporaries(shell: Shell) -> list[Path]:
    return list(shell.folder.glob(".sync-audit-*"))


WRITERS = pytest.mark.parametrize(
    "command", [(*RESUME, "-oreport.json"), ("render", "run.sqlite", "-oreport.json")], ids=["resume", "render"]
)


@WRITERS
def test_a_kill_while_a_report_is_written_leaves_the_old_one_and_the_run(many: Shell, command: tuple[str, ...]) -> None:
    process = writing(many, *command)
    process.kill()
    assert ended(process).code == -signal.SIGKILL
    assert (many.folder / "report.json").read_text() == "of an earlier run"
    assert many("render", "run.sqlite", "-oreport.json").code == exit_status.OK
    assert json.loads((many.folder / "report.json").read_text())["summary"]["total"] == MANY


@POLITE
def test_one_signal_while_reports_are_written_lets_them_be_finished(many: Shell, number: signal.Signals) -> None:
    process = writing(many, *RESUME, "-oreport.json")
    process.send_signal(number)
    done = ended(process)
    assert done.code == exit_status.OK, done.err  # nothing was interrupted
    assert json.loads((many.folder / "report.json").read_text())["summary"]["total"] == MANY
    assert temporaries(many) == []


@POLITE
def test_a_second_signal_while_reports_are_written_leaves_the_old_one_and_no_part_of_the_new(
    many: Shell, number: signal.Signals
) -> None:
    process = writing(many, *RESUME, "-oreport.json")
    while process.poll() is None:  # two that a busy process has not yet looked at are one to it
        process.send_signal(number)
        time.sleep(0.03)
    done = ended(process)
    assert done.code in {CODES[number], -number}  # one more may meet the interpreter when it has all but left
    assert "before all reports were written" in done.err
    assert "Traceback" not in done.err
    assert temporaries(many) == []
    assert (many.folder / "report.json").read_text() == "of an earlier run"


@POLITE
def test_a_signal_while_rendering_leaves_the_old_report_and_no_part_of_the_new(
    many: Shell, number: signal.Signals
) -> None:
    process = writing(many, "render", "run.sqlite", "-oreport.json")
    process.send_signal(number)
    done = ended(process)
    assert done.code == CODES[number]
    assert "Traceback" not in done.err
    assert temporaries(many) == []
    assert (many.folder / "report.json").read_text() == "of an earlier run"
