"""Disks that are full, of another size or for reading alone, under files that commands write beside a run."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from audit.model import exit_status
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.model.shard import Shard
from tests.commands.run.test_disk import KINDS
from tests.support.audits import Ended, Shell
from tests.support.run_files import run_file_of
from tests.support.samples import NEW, OLD, finding, planned_run, record

ENTRY = ("--because", "y" * 3_000, "--until", "2099-01-01", "--reason", "outdated_version")
WRITING = {
    "accept": ("accept", "u1", *ENTRY, "--file", "old.toml"),
    "accept, new": ("accept", "u1", *ENTRY, "--file", "new.toml"),
    "sync": ("sync", "run.sqlite", "--version-only", "-o", "plan.json"),
    "merge": ("merge", "run.sqlite", "--run-file", "all.sqlite", "-o", "json=a.json", "--partial"),
    "diff": ("diff", "run.sqlite", "run.sqlite", "-o", "json=diff.json"),
    "render": ("render", "run.sqlite", "-o", "json=report.json", "-o", "html=report.html"),
}
WORKED = {exit_status.OK, exit_status.NEEDS_SYNC, exit_status.INCOMPLETE}
"""Some sizes have room enough."""


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 users who need a sync."""
    users = [
        AuditedUser(
            record(user_id=f"u{n}", model_row_id=f"{n}", replicate_version_id=OLD, lora_weights_url=None),
            finding(Reason.OUTDATED_VERSION, latest_version=NEW),
        )
        for n in range(60)
    ]
    path = tmp_path_factory.mktemp("run") / "run.sqlite"
    info = planned_run()
    return run_file_of(path, users, place=info.place, columns=info.columns, shard=Shard(1, 1), by_model_key=True)


Small = Callable[[int, tuple[str, ...]], Ended]


@pytest.fixture(params=KINDS)
def small(request: pytest.FixtureRequest, shell: Shell, run_file: Path) -> Iterator[Small]:
    """Runs a command where so many bytes more have room."""
    folder = shell.folder / "disk"
    folder.mkdir()
    mounted = request.param == "small disk"
    if mounted:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(folder)], check=True)
    (folder / ".git").mkdir()
    (folder / "old.toml").write_text("# mine\n")
    shutil.copy(run_file, folder)
    shell.folder = folder
    shell.environ = {"SQLITE_TMPDIR": str(folder), "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def ran(room: int, command: tuple[str, ...]) -> Ended:
        if mounted:
            (folder / "ballast").write_bytes(bytes(max(0, shutil.disk_usage(folder).free - room)))
        else:
            shell.who["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        return shell(*command)

    try:
        yield ran
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("room", [0, 1, 4096, 20_000])
@pytest.mark.parametrize("what", WRITING)
def test_a_full_disk_is_an_error_in_words_and_what_was_there_stays(
    what: str, room: int, small: Small, shell: Shell, run_file: Path
) -> None:
    before = {path.name for path in shell.folder.iterdir()}
    ended = small(room, WRITING[what])
    assert "Traceback" not in ended.err
    assert ended.code in {exit_status.COULD_NOT_RUN, *WORKED}, ended
    assert (shell.folder / "run.sqlite").read_bytes() == run_file.read_bytes()
    if ended.code == exit_status.COULD_NOT_RUN:
        assert "Error: " in ended.err
        assert any(words in ended.err for words in ("o space left", "ile too large", "disk is full", "disk", "room")), (
            ended.err
        )
        assert (shell.folder / "old.toml").read_text() == "# mine\n"
        left = {path.name for path in shell.folder.iterdir()} - before - {"ballast"}
        assert left <= {"run-undo.sql", "report.json", "report.html"}, left
    else:
        assert room >= 4096


def test_a_directory_for_reading_alone_is_an_error_in_words(shell: Shell, run_file: Path) -> None:
    folder = shell.folder / "disk"
    folder.mkdir()
    if len(KINDS) == 1:
        pytest.skip("nobody may mount here")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    try:
        (folder / ".git").mkdir()
        (folder / "old.toml").write_text("# mine\n")
        shutil.copy(run_file, folder)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        shell.folder = folder
        for command in WRITING.values():
            ended = shell(*command)
            assert ended.code == exit_status.COULD_NOT_RUN, ended
            assert "Error: " in ended.err
            assert "ead-only" in ended.err
        assert shell("diff", "run.sqlite", "run.sqlite", "-o", f"json={os.devnull}").code == exit_status.OK
    finally:
        subprocess.run(["umount", str(folder)], check=True)
