"""The examples that share an audit out, each as its engine runs it, with a shard that fails at first; real servers."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from audit.demo.database import load
from audit.demo.fake_replicate.faults import Refused
from audit.demo.fake_replicate.server import TOKEN, in_thread
from audit.model import exit_status
from audit.model.codes import Reason
from tests import ROOT
from tests.examples.schedulers import batch_says, ended, install
from tests.examples.test_examples import program
from tests.examples.workflows import Runner, parsed
from tests.support.audits import Servers, Shell, new_database
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.synthetic_users import SyntheticUsers

EXAMPLES = ROOT / "examples"
SHARDS = 4
GITHUB = parsed(EXAMPLES / "github/sync-audit-shards.yml")
GITLAB = parsed(EXAMPLES / "gitlab/shards.gitlab-ci.yml")


class Crew(SyntheticUsers):
    """Everybody can be checked, and every fifth needs a sync."""

    def reason(self, i: int) -> Reason:
        """See `SyntheticUsers`."""
        return Reason.LATEST_VERSION if i % 5 else Reason.OUTDATED_VERSION


CREW = Crew(48)


@pytest.fixture(scope="session")
def crew_dsn(postgres_server: str) -> str:
    """The crew, to be read only."""
    dsn = asyncio.run(new_database(postgres_server, "crew"))
    asyncio.run(load(dsn, CREW))
    return dsn


@pytest.fixture
def crew(crew_dsn: str) -> Iterator[Servers]:
    """The crew, and a Replicate that fails once: in the first shard that asks."""
    with in_thread(InstrumentedReplicate(CREW, Behaviour(faults=(Refused(status=502, times=1),)))) as fake:
        yield Servers(crew_dsn, fake)


@pytest.fixture(scope="session")
def single(crew_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, str]:
    """The table of a single run, masked or not."""
    shell = Shell(tmp_path_factory.mktemp("single"))
    with in_thread(InstrumentedReplicate(CREW)) as fake:
        shell.environ = Servers(crew_dsn, fake).environ
        assert shell("run", "--run-file", "run.sqlite", "-oclear.csv").code == 3
    shell("render", "run.sqlite", "--redact", "-omasked.csv")
    return {masked: (shell.folder / f"{name}.csv").read_text() for masked, name in ((False, "clear"), (True, "masked"))}


@dataclass
class Machine:
    """A machine that has sync-audit, the schedulers' commands, and a home."""

    shell: Shell

    @property
    def folder(self) -> Path:
        """What the schedulers keep."""
        return self.shell.folder

    def __call__(self, *command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        variables = self.shell.all_environ(environ)
        return subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=120, check=False
        )

    @property
    def audits(self) -> list[str]:
        """How sync-audit was called, in this order: command and first option."""
        return [" ".join(line.split()[:2]) for line in (self.folder / "calls").read_text().splitlines()]


BEGUN, RESUMED, MERGED = "run --shard", "run --resume", "merge shard-1.sqlite"
ONE_RETRIED = [BEGUN, RESUMED, BEGUN, BEGUN, BEGUN]
"""The first shard fails and is tried again, the others are well at once."""


def equipped(shell: Shell, run: str) -> Machine:
    """A machine on which `run`, of shell, is what sync-audit does; its calls are written down first."""
    bin_folder = program(shell)
    script = bin_folder / "sync-audit"
    script.rename(bin_folder / "real-sync-audit")
    script.write_text(f'#!/bin/sh\necho "$@" >>"$CALLS"\n{run}\n')
    script.chmod(0o755)
    (bin_folder / "sleep").symlink_to("/bin/true")
    install(bin_folder)
    (shell.folder / "runs").mkdir()
    shell.environ |= {
        "CALLS": str(shell.folder / "calls"),
        "HOME": str(shell.folder),
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "SCHEDULER": str(shell.folder),
    }
    return Machine(shell)


@pytest.fixture
def machine(shell: Shell, crew: Servers) -> Machine:
    """A machine from which the crew can be audited."""
    shell.environ = crew.environ | {"SYNC_AUDIT_RETRIES": "0"}
    return equipped(shell, 'exec real-sync-audit "$@"')


def with_settings_file(machine: Machine) -> Machine:
    """The same, with the file that the example for Slurm reads."""
    settings = machine.folder / ".config/sync-audit/env"
    settings.parent.mkdir(parents=True)
    settings.write_text("".join(f"{name}='{value}'\n" for name, value in machine.shell.environ.items()))
    return machine


def codes(machine: Machine, job: str) -> list[tuple[int, int]]:
    """Index and exit code of each attempt."""
    return [(index, code) for name, index, code in ended(machine.folder) if name == job]


def test_kubernetes_retries_an_index_resumes_its_run_file_and_merges(machine: Machine, single: dict[bool, str]) -> None:
    done = machine(EXAMPLES / "kubernetes/audit", "20261122T051700Z")
    assert done.returncode == 0, done.stderr
    assert codes(machine, "sync-audit-shards-x7k2p") == [(0, 4), (0, 0), (1, 0), (2, 0), (3, 0)]
    assert codes(machine, "sync-audit-merge-x7k2p") == [(0, 3)]
    assert machine.audits == [*ONE_RETRIED, MERGED]
    assert (machine.folder / "runs/20261122T051700Z/all.csv").read_text() == single[False]
    assert done.stdout.rstrip().splitlines()[-1].endswith("(exit 3)")


@pytest.mark.slow
def test_aws_batch_retries_a_job_of_the_array_resumes_its_run_file_and_merges(
    machine: Machine, single: dict[bool, str]
) -> None:
    done = machine(EXAMPLES / "aws-batch/submit", "my-queue")
    assert done.returncode == 0, done.stderr
    assert codes(machine, "shard") == [(0, 4), (0, 0), (1, 0), (2, 0), (3, 0)]
    assert codes(machine, "merge") == [(0, 3)]
    assert machine.audits == [*ONE_RETRIED, MERGED]
    assert (machine.folder / "runs/id-of-shard/all.csv").read_text() == single[False]


@pytest.mark.slow
def test_slurm_requeues_a_task_resumes_its_run_file_and_merges_also_once_more(
    machine: Machine, single: dict[bool, str]
) -> None:
    with_settings_file(machine)
    for _ in range(2):
        done = machine(EXAMPLES / "slurm/submit", machine.folder / "night")
        assert done.returncode == 0, done.stderr
        assert (machine.folder / "night/all.csv").read_text() == single[False]
    assert codes(machine, "shard") == [(1, 4), *2 * [(1, 0), (2, 0), (3, 0), (4, 0)]]
    assert codes(machine, "merge") == 2 * [(0, 3)]
    assert machine.audits == [*ONE_RETRIED, MERGED, *SHARDS * [RESUMED], MERGED]


def github(machine: Machine, folder: str, shard: int = 0) -> Runner:
    """A job of the workflow in a folder of its own; without a `shard`, the one that merges."""
    (machine.folder / folder).mkdir()
    secrets = {"AUDIT_DATABASE_URL": machine.shell.environ["DATABASE_URL"], "REPLICATE_API_TOKEN": TOKEN}
    own = {"GITHUB_ACTIONS": "true", "SHARDS": str(GITHUB["env"]["SHARDS"])}
    environ = machine.shell.all_environ(own)
    own_alone = {name: value for name, value in environ.items() if name not in {"DATABASE_URL", "REPLICATE_API_TOKEN"}}
    return Runner(machine.folder / folder, own_alone, contexts={"secrets": secrets, "matrix": {"shard": str(shard)}})


def step(runner: Runner, job: str, name: str) -> int:
    """Run the step of that name; returns its exit code."""
    (found,) = [each for each in GITHUB["jobs"][job]["steps"] if each.get("name") == name]
    return runner.run(found).code


def kept(runner: Runner) -> Path:
    """The one file that a job of a shard uploads."""
    assert step(runner, "shard", "Encrypt the run file") == 0
    (upload,) = [each for each in GITHUB["jobs"]["shard"]["steps"] if "upload" in each.get("uses", "")]
    path = runner.folder / runner.value(upload["with"]["path"])
    assert b"SQLite" not in path.read_bytes()
    assert b"@example.com" not in path.read_bytes()
    return path


def killed(machine: Machine, crew: Servers, folder: Path, number: int) -> None:
    """A run of one shard that is killed before it is through; what it knows is in the log beside its file."""
    shell = Shell(folder, machine.shell.environ, machine.shell.cleanup)
    process = shell.start(
        "run", "--shard", f"{number}/{SHARDS}", "--run-file", f"shard-{number}.sqlite", SYNC_AUDIT_RATE="60"
    )
    before = crew.fake.request_log.requests
    while crew.fake.request_log.requests < before + 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (folder / f"shard-{number}.sqlite-wal").exists()


def test_github_resumes_a_failed_shard_also_in_another_attempt_and_merges(
    machine: Machine, crew: Servers, single: dict[bool, str]
) -> None:
    lost = github(machine, "lost", 1)
    killed(machine, crew, lost.folder, 1)
    artifacts = {1: kept(lost)}
    for shard in range(1, SHARDS + 1):
        runner = github(machine, f"job {shard}", shard)
        if shard in artifacts:
            shutil.copy(artifacts[shard], runner.folder)
            assert step(runner, "shard", "Decrypt it") == 0
        assert step(runner, "shard", "Audit") == 0
        artifacts[shard] = kept(runner)
    assert machine.audits[0] == RESUMED
    assert machine.audits.count(BEGUN) == SHARDS - 1
    merge = github(machine, "merge")
    for artifact in artifacts.values():
        shutil.copy(artifact, merge.folder)
    assert step(merge, "merge", "Decrypt the run files") == 0
    assert step(merge, "merge", "Merge") == 3
    assert (merge.folder / "sync-audit.csv").read_text() == single[True]


def gitlab(machine: Machine, job: str, folder: Path, **environ: str) -> int:
    """The script of a job, as a runner gives it to Bash; returns its exit code."""
    script = "\n".join(["set -eo pipefail", f"cd '{folder}'", *GITLAB[job]["script"]])
    return machine("bash", "-c", script, **environ).returncode


def carry(patterns: list[str], here: Path, there: Path) -> None:
    """What a runner does with a cache or with artifacts."""
    there.mkdir(exist_ok=True)
    for pattern in patterns:
        for path in here.glob(pattern):
            shutil.copy(path, there)


@pytest.mark.slow
def test_gitlab_retries_a_job_resumes_its_run_file_from_the_cache_and_merges(
    machine: Machine, single: dict[bool, str]
) -> None:
    job = GITLAB["sync-audit-shard"]
    ended_in = []
    for index in range(1, job["parallel"] + 1):
        for attempt in range(1 + job["retry"]["max"]):
            folder, cache = machine.folder / f"job {index} {attempt}", machine.folder / f"cache {index}"
            carry(job["cache"]["paths"], cache, folder)
            variables = {"CI_NODE_INDEX": str(index), "CI_NODE_TOTAL": str(job["parallel"])}
            ended_in.append(gitlab(machine, "sync-audit-shard", folder, **variables))
            carry(job["cache"]["paths"], folder, cache)
            carry(job["artifacts"]["paths"], folder, machine.folder / "merge")
            if ended_in[-1] not in job["retry"]["exit_codes"]:
                break
    assert ended_in == [4, 0, 0, 0, 0]
    assert machine.audits == ONE_RETRIED
    assert gitlab(machine, "sync-audit", machine.folder / "merge") == 3
    assert (machine.folder / "merge/audit.csv").read_text() == single[True]
    merged = GITLAB["sync-audit"]["artifacts"]
    assert all(
        (machine.folder / "merge" / name).stat().st_size for name in (*merged["paths"], merged["reports"]["junit"])
    )


# What follows runs no audit.
VAIN = f"exit {exit_status.USAGE}"
FAILS = f"exit {exit_status.COULD_NOT_RUN}"
INCOMPLETE = f"exit {exit_status.INCOMPLETE}"


@pytest.mark.parametrize(
    ("engine", "run", "attempts", "merges"),
    [
        pytest.param("kubernetes/audit", VAIN, 1, 1, id="Kubernetes, vain"),
        pytest.param("kubernetes/audit", FAILS, 3, 1, id="Kubernetes, failed"),
        pytest.param("aws-batch/submit", VAIN, 1, 0, id="AWS Batch, vain"),
        pytest.param("aws-batch/submit", FAILS, 3, 0, id="AWS Batch, failed"),
        pytest.param("aws-batch/submit", INCOMPLETE, 3, 1, id="AWS Batch, incomplete"),
        pytest.param("slurm/submit", VAIN, 1, 1, id="Slurm, vain"),
        pytest.param("slurm/submit", FAILS, 3, 1, id="Slurm, failed"),
    ],
)
def test_a_shard_is_tried_again_only_where_that_may_help(
    engine: str, run: str, attempts: int, merges: int, shell: Shell
) -> None:
    machine = with_settings_file(equipped(shell, run))
    done = machine(EXAMPLES / engine, "20261122T051700Z")
    assert done.returncode == 0, done.stderr
    calls = (machine.folder / "calls").read_text()
    for shard in range(1, SHARDS + 1):
        assert calls.count(f"--shard {shard}/{SHARDS} ") == attempts
    assert calls.count("merge shard-") == merges


def test_what_an_array_of_aws_batch_has_left_can_be_merged_by_hand(shell: Shell) -> None:
    machine = equipped(shell, "exit 0")
    (machine.folder / "runs/some-array").mkdir()
    assert machine(EXAMPLES / "aws-batch/submit", "my-queue", "some-array").returncode == 0
    assert codes(machine, "merge") == [(0, 0)]
    assert [name for name, _, _ in ended(machine.folder)] == ["merge"]


@pytest.mark.parametrize(("run", "attempts"), [(VAIN, 1), (FAILS, 3)], ids=["vain", "failed"])
def test_a_shard_on_github_is_tried_again_only_where_that_may_help(run: str, attempts: int, shell: Shell) -> None:
    shell.environ["DATABASE_URL"] = "postgresql://db.example.com/shop"
    machine = equipped(shell, run)
    assert f"exit {step(github(machine, 'job', 2), 'shard', 'Audit')}" == run
    assert machine.audits == [BEGUN] * attempts


def test_gitlab_tries_again_whatever_may_end_otherwise() -> None:
    final = {exit_status.OK, exit_status.USAGE, exit_status.NEEDS_SYNC}
    assert {code for code in exit_status.RUN if code not in final} <= set(
        GITLAB["sync-audit-shard"]["retry"]["exit_codes"]
    )
    assert not final & set(GITLAB["sync-audit-shard"]["retry"]["exit_codes"])


def test_the_examples_say_alike_how_many_shards_there_are() -> None:
    shards = parsed(EXAMPLES / "kubernetes/shards.yaml")["spec"]
    environ = {each["name"]: each["value"] for each in shards["template"]["spec"]["containers"][0]["env"]}
    assert shards["completions"] == int(environ["SHARDS"])
    matrix = GITHUB["jobs"]["shard"]["strategy"]["matrix"]["shard"]
    assert matrix == list(range(1, GITHUB["env"]["SHARDS"] + 1))
    attempts = re.search(r"^attempts=(\d+)", (EXAMPLES / "aws-batch/shard").read_text(), re.MULTILINE)
    definition = json.loads((EXAMPLES / "aws-batch/shard.json").read_text())
    assert attempts
    assert int(attempts[1]) == definition["retryStrategy"]["attempts"]


def test_the_examples_name_the_version_that_comes_next() -> None:
    (version, *_) = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    named = {
        found
        for path in EXAMPLES.rglob("*")
        if path.is_file()
        for found in re.findall(r"sync-audit(?:==|:|@v)(\d+\.\d+\.\d+)", path.read_text())
    }
    assert named == {version}


@pytest.mark.parametrize("name", ["shard", "merge"])
def test_aws_batch_takes_the_definition_of_a_job(name: str) -> None:
    definition = json.loads((EXAMPLES / f"aws-batch/{name}.json").read_text())
    assert batch_says("RegisterJobDefinition", definition) == ""
    definition["containerProperties"]["secret"] = []
    assert "secret" in batch_says("RegisterJobDefinition", definition)


@pytest.mark.parametrize("path", sorted((EXAMPLES / "slurm").glob("*.sbatch")), ids=lambda path: path.name)
def test_slurm_reads_all_its_lines(path: Path) -> None:
    """It stops at the first line that is neither empty nor a comment."""
    lines = path.read_text().splitlines()
    commands = [number for number, line in enumerate(lines) if line and not line.startswith("#")]
    assert max(number for number, line in enumerate(lines) if line.startswith("#SBATCH")) < commands[0]


def test_secrets_are_in_no_shell_line_and_the_merge_asks_nobody() -> None:
    for each in GITHUB["jobs"]["shard"]["steps"] + GITHUB["jobs"]["merge"]["steps"]:
        assert "${{" not in each.get("run", "")
        assert ("AUDIT_DATABASE_URL" in json.dumps(each)) is (each.get("name") == "Audit")
    for shards, merge, word in (
        ("kubernetes/shards.yaml", "kubernetes/merge.yaml", "secretRef"),
        ("aws-batch/shard.json", "aws-batch/merge.json", '"secrets"'),
    ):
        assert word in (EXAMPLES / shards).read_text()
        assert word not in (EXAMPLES / merge).read_text()
