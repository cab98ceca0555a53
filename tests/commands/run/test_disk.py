"""Disks that are full, gone or read-only, while a run goes on or reports are written.

A full disk is a small one of our own where this process may mount one, and everywhere a limit on the size of files.
"""

import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from audit.demo.fake_replicate.server import TOKEN
from audit.model import exit_status
from tests.support.audits import Ended, Servers, Shell
from tests.support.ordinary_users import as_nobody
from tests.support.run_files import finished_run_file


def _may_mount() -> bool:
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    folder = tempfile.mkdtemp()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=False, capture_output=True)
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0
    finally:
        Path(folder).rmdir()


KINDS = ["file size limit", *(["small disk"] if _may_mount() else [])]


@dataclass
class Small:
    """A shell that works in a folder where not much fits in, until there is `room`."""

    shell: Shell
    kind: str
    full: tuple[str, ...]
    """What SQLite or the system calls it."""

    @contextmanager
    def of(self, kilobytes: int) -> Iterator[Shell]:
        """So much room in the block, and as much as anybody wants after it."""
        if self.kind == "small disk":
            mount = ["mount", "-o", f"remount,size={kilobytes}k", str(self.shell.folder)]
            subprocess.run(mount, check=True)
            yield self.shell
            subprocess.run([*mount[:2], "remount,size=100m", mount[3]], check=True)
        else:
            # Else Python leaves cut-off .pyc files behind: it takes a short write for a whole one.
            self.shell.environ["PYTHONDONTWRITEBYTECODE"] = "1"
            limit = kilobytes * 1024
            self.shell.who["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            yield self.shell
            del self.shell.who["preexec_fn"]


@pytest.fixture(params=KINDS)
def small(request: pytest.FixtureRequest, shell: Shell, synthetic_servers: Servers) -> Iterator[Small]:
    shell.environ = synthetic_servers.environ | PATIENT
    if request.param != "small disk":
        yield Small(shell, request.param, ("the disk reports an error", "File too large"))
        return
    folder = shell.folder / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)], check=True)
    shell.folder = folder
    try:
        yield Small(shell, request.param, ("the disk is full", "No space left on device"))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


PATIENT = {"SYNC_AUDIT_TIMEOUT": "20"}
RUN = ("run", "--run-file", "run.sqlite", "-oreport.json")


def fails(ended: Ended, *words: str) -> None:
    """In 5, with one message that a person can act on."""
    assert ended.code == exit_status.COULD_NOT_RUN, ended.err
    assert ended.last_code == exit_status.COULD_NOT_RUN
    assert "Traceback" not in ended.err
    assert ended.err.count("Error: ") == 1
    for each in words:
        assert each in ended.err, ended.err


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(synthetic_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of an audit that has room enough."""
    folder = tmp_path_factory.mktemp("whole")
    assert Shell(folder, synthetic_servers.environ | PATIENT)(*RUN).code == exit_status.INCOMPLETE
    return report(folder)


def report(folder: Path) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads((folder / "report.json").read_text())
    assert decoded.pop("run")["state"] == "complete"
    return decoded


def is_finished_later(shell: Shell, whole: dict[str, Any]) -> None:
    """What is known is in reports until there is room again, and nothing is missing when the run is resumed."""
    assert (shell.folder / "report.json").read_text() == "of an earlier run"
    assert "run.sqlite" in names(shell.folder)
    render = shell("render", "run.sqlite", "-oreport.json")
    assert render.code == exit_status.INCOMPLETE
    summary = json.loads((shell.folder / "report.json").read_text())["summary"]
    assert summary["total"] == 300
    assert summary["not_checked"] > 0
    resumed = shell("run", "--resume", "run.sqlite", "--rate", "99999")
    assert resumed.code == exit_status.INCOMPLETE, resumed.err
    assert report(shell.folder) == whole
    assert names(shell.folder) == {"run.sqlite", "report.json"}


@pytest.mark.parametrize("small", KINDS[1:], indirect=True)
@pytest.mark.parametrize("kilobytes", [720, 800])
def test_a_disk_that_gets_full_while_asking_keeps_the_run_which_is_finished_later(
    small: Small, whole: dict[str, Any], kilobytes: int
) -> None:
    (small.shell.folder / "report.json").write_text("of an earlier run")
    with small.of(kilobytes) as shell:
        fails(shell(*RUN), "the run file run.sqlite ", small.full[0], "sync-audit run --resume run.sqlite")
    is_finished_later(shell, whole)


def test_a_file_that_may_not_grow_while_asking_keeps_the_run_which_is_finished_later(
    shell: Shell, synthetic_servers: Servers, whole: dict[str, Any]
) -> None:
    shell.environ = synthetic_servers.environ | PATIENT | {"SYNC_AUDIT_RATE": "3000"}
    (shell.folder / "report.json").write_text("of an earlier run")
    process = asking(shell, synthetic_servers, *RUN)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1024, 1024))
    fails(ended(process), "the run file run.sqlite ", "the disk reports an error", "--resume run.sqlite")
    is_finished_later(shell, whole)


@pytest.mark.parametrize("kilobytes", [4, 200])
def test_a_disk_that_is_full_from_the_start_keeps_no_empty_run(small: Small, kilobytes: int) -> None:
    (small.shell.folder / "report.json").write_text("old")
    with small.of(kilobytes) as shell:
        fails(shell(*RUN), "run.sqlite", small.full[0], "--run-file")
    assert names(shell.folder) == {"report.json"}
    assert (shell.folder / "report.json").read_text() == "old"


def test_a_disk_that_gets_full_while_a_report_is_written_leaves_the_old_one(small: Small, tmp_path: Path) -> None:
    finished_run_file(tmp_path / "finished.sqlite", 300, "https://api.replicate.com/v1")
    (small.shell.folder / "report.json").write_text("of an earlier run")
    render = ("render", str(tmp_path / "finished.sqlite"), "-oreport.json")
    with small.of(100) as shell:
        fails(shell(*render), "the json report to report.json", small.full[1], f"render {tmp_path}/finished.sqlite")
    assert (shell.folder / "report.json").read_text() == "of an earlier run"
    assert not list(shell.folder.glob(".sync-audit-*"))
    assert shell(*render).code == exit_status.OK
    assert json.loads((shell.folder / "report.json").read_text())["summary"]["total"] == 300


@pytest.fixture
def run(shell: Shell, synthetic_servers: Servers) -> Shell:
    """A shell in which the synthetic users are audited in about a second."""
    shell.environ = synthetic_servers.environ | PATIENT | {"SYNC_AUDIT_RATE": "24000"}
    return shell


def test_one_report_that_does_not_fit_keeps_no_other_from_being_written(run: Shell, whole: dict[str, Any]) -> None:
    ended = run(*RUN, "-ocsv=/dev/full")
    fails(ended, "the csv report to /dev/full: No space left on device", "sync-audit render run.sqlite -o")
    assert report(run.folder) == whole
    assert run("render", "run.sqlite", "-oreport.csv").code == exit_status.INCOMPLETE


def asking(shell: Shell, servers: Servers, *arguments: str) -> "subprocess.Popen[bytes]":
    before = servers.fake.request_log.requests
    process = shell.start(*arguments)
    while servers.fake.request_log.requests < before + 20:
        assert process.poll() is None
        time.sleep(0.001)
    return process


def ended(process: "subprocess.Popen[bytes]") -> Ended:
    out, err = process.communicate(timeout=30)
    return Ended(process.returncode, out.decode(), err.decode())


def test_a_directory_of_reports_that_is_removed_leaves_the_run_to_be_rendered(
    run: Shell, synthetic_servers: Servers, whole: dict[str, Any]
) -> None:
    process = asking(run, synthetic_servers, "run", "--run-file", "run.sqlite", "-oout/report.json")
    shutil.rmtree(run.folder / "out")
    fails(ended(process), "out/report.json: No such file or directory", "sync-audit render run.sqlite -o")
    assert run("render", "run.sqlite", "-oreport.json").code == exit_status.INCOMPLETE
    assert report(run.folder) == whole


def test_a_directory_that_is_removed_with_the_run_file_is_said_to_be_gone(
    run: Shell, synthetic_servers: Servers
) -> None:
    process = asking(run, synthetic_servers, "run", "--run-file", "out/run.sqlite", "-oout/report.json")
    shutil.rmtree(run.folder / "out")
    done = ended(process)
    fails(done, "the run file out/run.sqlite is gone", "Start a new run")


@pytest.fixture
def ordinary(run: Shell) -> Iterator[Shell]:
    """A shell of somebody for whom permissions count: `nobody`, where the tests run as root."""
    if os.geteuid() != 0:
        yield run
        return
    with as_nobody(run):
        yield run


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


def test_a_directory_that_becomes_read_only_leaves_the_old_report_and_the_run(
    ordinary: Shell, synthetic_servers: Servers
) -> None:
    assert ordinary(*RUN[:-1], "-oout/report.json", "--limit", "1").code in {0, 3, 4}
    (ordinary.folder / "run.sqlite").unlink()
    before = (ordinary.folder / "out/report.json").read_bytes()
    process = asking(ordinary, synthetic_servers, "run", "--run-file", "run.sqlite", "-oout/report.json")
    with read_only(ordinary.folder / "out"):
        fails(ended(process), "out/report.json: Permission denied", "sync-audit render run.sqlite -o")
    assert (ordinary.folder / "out/report.json").read_bytes() == before
    assert ordinary("render", "run.sqlite", "-oout/report.json").code == exit_status.INCOMPLETE


def test_a_finished_run_can_be_rendered_from_a_read_only_place_and_not_resumed(ordinary: Shell) -> None:
    assert ordinary("run", "--run-file", "kept/run.sqlite", "-oreport.json").code == exit_status.INCOMPLETE
    ordinary.environ["REPLICATE_API_TOKEN"] = TOKEN
    path = ordinary.folder / "kept/run.sqlite"
    before = path.read_bytes()
    path.chmod(0o400)
    with read_only(path.parent):
        assert ordinary("render", "kept/run.sqlite", "-oagain.json").code == exit_status.INCOMPLETE
        fails(ordinary("run", "--resume", "kept/run.sqlite"), "kept/run.sqlite cannot be written", "read-only")
    assert path.read_bytes() == before
    assert (ordinary.folder / "again.json").read_bytes() == (ordinary.folder / "report.json").read_bytes()


def test_a_run_that_was_killed_in_a_place_that_is_now_read_only_is_an_error_in_words(
    ordinary: Shell, synthetic_servers: Servers
) -> None:
    process = asking(ordinary, synthetic_servers, "run", "--run-file", "kept/run.sqlite", "-oreport.json")
    process.kill()
    process.communicate()
    with read_only(ordinary.folder / "kept"):
        for command in (("render", "kept/run.sqlite", "-oreport.json"), ("run", "--resume", "kept/run.sqlite")):
            fails(ordinary(*command), "kept/run.sqlite cannot be ")
    assert ordinary("run", "--resume", "kept/run.sqlite").code == exit_status.INCOMPLETE
