"""Files that a command is to read or write, and that are none: a sentence and a code, and no traceback or hang."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from audit.model import exit_status
from tests.support.audits import Ended, Shell
from tests.support.ordinary_users import as_nobody
from tests.support.run_files import finished_run_file

ENVIRON = {"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere", "REPLICATE_API_TOKEN": "r8_x"}
READING: Mapping[str, tuple[str, ...]] = {
    "--config": ("run", "--config", "X"),
    "--token-file": ("run", "--token-file", "X"),
    "--accept": ("render", "good.sqlite", "-o", "a.json", "--accept", "X"),
    "--resume": ("run", "--resume", "X"),
    "--baseline": ("run", "--baseline", "X"),
    "render": ("render", "X", "-o", "a.json"),
    "user --run": ("user", "u1", "--run", "X"),
    "accept --run": ("accept", "u1", "--because", "x", "--until", "9999-12-31", "--run", "X", "--file", "a.toml"),
    "diff OLD": ("diff", "X", "good.sqlite"),
    "diff NEW": ("diff", "good.sqlite", "X"),
    "sync": ("sync", "X"),
    "sync --apply": ("sync", "X", "--apply", "--yes"),
    "sync --undo": ("sync", "--undo", "X", "--yes"),
    "merge": ("merge", "X", "good.sqlite", "--run-file", "all.sqlite"),
}
WRITING: Mapping[str, tuple[str, ...]] = {
    "accept --file": (
        *("accept", "u1", "--because", "x", "--until", "9999-12-31", "--reason", "outdated_version"),
        *("--file", "X"),
    ),
    "--run-file": ("run", "--run-file", "X", "-o", "a.json"),
    "merge --run-file": ("merge", "good.sqlite", "--run-file", "X"),
    "render -o": ("render", "good.sqlite", "-o", "json=X"),
    "diff -o": ("diff", "good.sqlite", "good.sqlite", "-o", "json=X"),
    "sync -o": ("sync", "good.sqlite", "-o", "X"),
}


def directory(path: Path) -> str:
    (path / "d").mkdir()
    return "d"


def missing(path: Path) -> str:
    return "nothing.here"


def below_a_file(path: Path) -> str:
    (path / "file").touch()
    return "file/x"


def dangling_link(path: Path) -> str:
    (path / "dangling").symlink_to("nothing/here")
    return "dangling"


def link_in_a_circle(path: Path) -> str:
    (path / "circle").symlink_to("circle")
    return "circle"


def long_path(path: Path) -> str:
    return "d/" * 1900 + "x"


def long_name(path: Path) -> str:
    return "n" * 300


def no_utf8(path: Path) -> str:
    return os.fsdecode(b"\xff\xfe\x80")


def pipe(path: Path) -> str:
    os.mkfifo(path / "pipe")
    return "pipe"


def link_to_a_pipe(path: Path) -> str:
    pipe(path)
    (path / "link").symlink_to("pipe")
    return "link"


def endless_device(path: Path) -> str:
    return "/dev/zero"


def full_device(path: Path) -> str:
    return "/dev/full"


def listening_socket(path: Path) -> str:
    os.chdir(path)  # its path would be too long for one
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind("socket")
    return "socket"


def sparse(path: Path) -> str:
    with (path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    return "sparse"


def empty(path: Path) -> str:
    (path / "empty").touch()
    return "empty"


def zeros(path: Path) -> str:
    (path / "zeros").write_bytes(bytes(100_000))
    return "zeros"


def utf16(path: Path) -> str:
    (path / "utf16").write_text("{}", "utf-16")
    return "utf16"


KINDS = (
    *(directory, missing, below_a_file, dangling_link, link_in_a_circle, long_path, long_name, no_utf8),
    *(pipe, link_to_a_pipe, endless_device, full_device, listening_socket, sparse, zeros, utf16, empty),
)
FINE = {("--config", empty), ("--accept", empty)}
"""There is nothing in them, and nothing has to be."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.sqlite"
    finished_run_file(path, 2, "https://api.replicate.com/v1")
    return path


@pytest.fixture
def here(shell: Shell, good: Path) -> Shell:
    (shell.folder / ".git").mkdir()
    shutil.copy(good, shell.folder)
    shell.environ = dict(ENVIRON)
    return shell


def refused(ended: Ended, name: str) -> None:
    assert ended.code in {exit_status.USAGE, exit_status.COULD_NOT_RUN}, ended
    assert "Traceback" not in ended.err
    assert "Error: " in ended.err
    assert name in ended.err.replace("\\xff", "?") or not name.isprintable(), ended.err


def with_file(command: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(word.replace("X", name) if word in {"X", "json=X"} else word for word in command)


def every(kind: Callable[[Path], str]) -> Any:
    """A kind that is tried with every command; those where the fast tests know enough from one are slow."""
    return pytest.param(kind, id=kind.__name__, marks=() if kind in {pipe, no_utf8, long_name} else pytest.mark.slow)


@pytest.mark.parametrize("make", [every(kind) for kind in KINDS])
@pytest.mark.parametrize("what", READING)
def test_what_is_no_file_is_an_error_in_words_for_whoever_reads_it(
    what: str, make: Callable[[Path], str], here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here.folder)
    name = make(here.folder)
    ended = here(*with_file(READING[what], name))
    if (what, make) in FINE:
        assert "Traceback" not in ended.err
        return
    refused(ended, name)


CANNOT_BE_WRITTEN = (directory, below_a_file, link_in_a_circle, long_name)


@pytest.mark.parametrize("make", CANNOT_BE_WRITTEN, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("what", WRITING)
def test_what_cannot_be_written_is_an_error_in_words(what: str, make: Callable[[Path], str], here: Shell) -> None:
    name = make(here.folder)
    refused(here(*with_file(WRITING[what], name)), name)


ODDLY_NAMED = (
    ("run", "--run-file", "X.sqlite", "-o", "a.json"),
    ("run", "-o", "json=X.json"),
    ("run", "--baseline", "X.sqlite", "-o", "a.json"),
    ("run", "--accept", "X.toml", "-o", "a.json"),
    ("run", "--token-file", "X.toml", "-o", "a.json"),
    ("run", "--user", "X", "-o", "a.json"),
    ("run", "--base-url", "https://X", "-o", "a.json"),
    ("run", "--resume", "X.sqlite"),
    ("render", "X.sqlite", "--accept", "X.toml"),
    (
        "diff",
        "X.sqlite",
        "good.sqlite",
        *(word for form in ("json", "html", "md", "csv", "text") for word in ("-o", f"{form}=X.{form}")),
    ),
    ("user", "u1", "--run", "X.sqlite", "--json"),
    ("sync", "X.sqlite", "-o", "X.json"),
    ("sync", "--undo", "X.sqlite", "--yes"),
    ("accept", "u1", "--because", "x", "--until", "9999-12-31", "--reason", "outdated_version", "--file", "X.toml"),
    ("merge", "X.sqlite", "--run-file", "all-X.sqlite", "-o", "json=X.json"),
    ("init", "X.toml", "--force"),
    ("doctor", "--config", "X.toml"),
)


@pytest.mark.parametrize("command", ODDLY_NAMED, ids=" ".join)
def test_a_name_that_is_no_utf8_is_a_name_or_an_error_in_words(command: tuple[str, ...], here: Shell) -> None:
    odd = no_utf8(here.folder)
    shutil.copy(here.folder / "good.sqlite", here.folder / f"{odd}.sqlite")
    (here.folder / f"{odd}.toml").write_text("")
    ended = here(*(word.replace("X", odd) for word in command))
    assert "Traceback" not in ended.err
    assert ended.code != exit_status.BUG


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_what_may_not_be_read_or_written_is_an_error_in_words(shell: Shell, good: Path) -> None:
    shell.environ = ENVIRON
    with as_nobody(shell):
        shutil.copy(good, shell.folder / "good.sqlite")
        (shell.folder / "good.sqlite").chmod(0o644)
        (shell.folder / ".git").mkdir()
        (shell.folder / "theirs").touch(mode=0o600)
        (shell.folder / "closed").mkdir(mode=0o700)
        (shell.folder / "closed" / "x").touch()
        for name in ("theirs", "closed/x"):
            for command in READING.values():
                refused(shell(*with_file(command, name)), name)
        (shell.folder / "readonly").mkdir(mode=0o755)
        for name in ("readonly/x", "closed/y"):
            for command in WRITING.values():
                refused(shell(*with_file(command, name)), name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_directory_above_that_is_closed_does_not_keep_a_command_from_working(shell: Shell, good: Path) -> None:
    with as_nobody(shell):
        shutil.copy(good, shell.folder / "good.sqlite")
        (shell.folder / "good.sqlite").chmod(0o644)
        inner = shell.folder / "a" / "b"
        inner.mkdir(parents=True)
        for each in (shell.folder, shell.folder / "a"):
            each.chmod(0o711)
        ended = shell("diff", "good.sqlite", "good.sqlite", "-o", "json=-")
        assert (ended.code, ended.err.splitlines()[-1:]) == (0, [str(exit_status.DIFF[0])]), ended


def test_what_a_shell_hands_over_as_a_pipe_is_read(here: Shell) -> None:
    assert here("render", "good.sqlite", "-o", "a.json").code == 0
    command = " ".join(here.command("diff", "<(sleep 0.3; cat a.json)", "<(cat a.json)"))
    done = subprocess.run(
        ["bash", "-c", command], cwd=here.folder, env=here.all_environ({}), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_nul_in_the_config_file_is_no_path(here: Shell) -> None:
    del here.environ["REPLICATE_API_TOKEN"]
    for key in ("token-file", "run-file", "accept", "baseline", "output"):
        value = '["json=a\\u0000b"]' if key == "output" else '"a\\u0000b"'
        (here.folder / "sync-audit.toml").write_text(f"{key} = {value}")
        ended = here("run")
        assert ended.code == exit_status.USAGE, ended
        assert "NUL" in ended.err or "it is no name of a file" in ended.err
