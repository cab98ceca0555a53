"""Files that several change at once: nothing is lost, whoever else writes."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from audit.cli.edited_file import edit
from tests import ROOT

ADD = """
import sys
from pathlib import Path
from audit.cli.edited_file import edit
read = lambda path: path.read_text() if path.exists() else None
for number in range(10):
    edit(Path(sys.argv[1]), read, lambda before: f"{before or ''}{sys.argv[2]}-{number}\\n")
"""
HOLD = """
import os, sys
from pathlib import Path
from audit.cli.edited_file import edit
def change(before):
    print("in", flush=True)
    sys.stdin.read()
edit(Path(sys.argv[1]), lambda path: None, change)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


@pytest.mark.parametrize("kind", ["new", "there", "link"])
def test_what_several_processes_add_at_once_is_all_there(kind: str, tmp_path: Path) -> None:
    target = path = tmp_path / "file"
    if kind == "link":
        path = tmp_path / "link"
        path.symlink_to(target)
    if kind != "new":
        target.write_text("before\n")
        target.chmod(0o640)
    writers = [start(ADD, path, number) for number in range(6)]
    assert [(writer.communicate(timeout=60)[0], writer.returncode) for writer in writers] == [("", 0)] * 6
    wanted = {f"{writer}-{number}" for writer in range(6) for number in range(10)}
    assert set(target.read_text().splitlines()) - {"before"} == wanted
    assert path.is_symlink() == (kind == "link")
    assert kind == "new" or stat.S_IMODE(target.stat().st_mode) == 0o640
    assert {each.name for each in tmp_path.iterdir()} <= {"file", "link"}


def test_a_process_that_was_killed_in_the_middle_keeps_nobody_out(tmp_path: Path) -> None:
    holder = start(HOLD, tmp_path / "file")
    assert holder.stdout
    assert holder.stdout.readline() == "in\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate(timeout=60)
    edit(tmp_path / "file", read, lambda before: "mine")
    assert (tmp_path / "file").read_text() == "mine"


def test_what_somebody_writes_by_hand_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    by_hand = iter(["theirs\n"])

    def change(before: str | None) -> str:
        for text in by_hand:
            path.write_text(text)
        return f"{before or ''}mine\n"

    edit(path, read, change)
    assert path.read_text() == "theirs\nmine\n"


def test_a_file_that_never_stays_the_same_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def change(before: str | None) -> str:
        path.write_text(f"{before or ''}x")
        return "mine"

    with pytest.raises(OSError, match="another process is changing it"):
        edit(path, read, change)
    assert set(path.read_text()) == {"x"}
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "circle", "link to a pipe"])
def test_what_is_no_file_is_not_replaced_by_one(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "odd"
    if kind == "device":
        if os.geteuid() != 0:
            pytest.skip("only root can make a device")
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    elif kind == "directory":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to(path)
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
    if kind == "pipe":
        path = tmp_path / "pipe"
    before = path.lstat()
    with pytest.raises(OSError, match=r"directory|no file|links"):
        edit(path, lambda _: None, lambda _: "mine")
    assert (path.lstat().st_mode, path.lstat().st_ino) == (before.st_mode, before.st_ino)
