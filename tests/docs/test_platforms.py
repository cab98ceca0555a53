"""The README's promise elsewhere: on a fresh Debian 13, and with every promised Python that this machine has."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests import ROOT

SETUP = ConfigParser(interpolation=None)
SETUP.read(ROOT / "setup.cfg")
PROMISED = re.findall(r"^Programming Language :: Python :: (\d\.\d+)$", SETUP["metadata"]["classifiers"], re.MULTILINE)

CHOSEN = [ROOT / f"tests/{name}.py" for name in ("docs/test_docs", "commands/merge/test_merge", "demo/test_postgres")]
"""Tests that read packages' metadata, that run whole audits, and that start servers. All others are collected only."""

STEPS = f"""
make demo
make .venv/.test
.venv/bin/python --version
.venv/bin/python -m pytest -q --collect-only >collected || {{ tail -n 50 collected; exit 1; }}
.venv/bin/python -m pytest -q -n 2 -m 'not slow' {" ".join(str(path.relative_to(ROOT)) for path in CHOSEN)}
"""
"""What has to succeed in a copy of the checkout."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ALONE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
"""Before a command: its processes and mounts are gone when it ends, and when we do, in whatever way."""

DEBIAN = """
set -eu
umask 022
root=$1 files=$2 steps=$3 proxy=$4 mirrors=$5
shift 5
online() { env ${proxy:+"http_proxy=$proxy"} "$@"; }

mount -t tmpfs -o mode=0755 none "$root"
for mirror in $mirrors ''; do
    online wget --quiet --timeout=20 --tries=2 --output-document=/dev/null "$mirror/dists/trixie/Release" && break
done
[ -n "$mirror" ] || exit 77
include=ca-certificates,git,make,python3
online debootstrap --variant=minbase --include=$include trixie "$root" "$mirror" >"$files.log" ||
    { cat "$files.log"; exit 1; }

cp -r "$files/." "$root"
mount -t proc none "$root/proc"
mount -t devpts -o newinstance,ptmxmode=0666 none "$root/dev/pts"
for path; do
    # The topmost that is missing, as a local index leads to what lies beside it.
    until [ -e "$root${path%/*}" ]; do path=${path%/*}; done
    if [ ! -d "$path" ]; then
        cmp -s "$path" "$root$path" || cp "$path" "$root$path"
    elif [ ! -e "$root$path" ]; then
        mkdir "$root$path"
        mount --bind -o ro "$path" "$root$path"
    fi
done
exec chroot "$root" sh -euc "cd /root/checkout; make pgbouncer; $steps" # it brings a psql without a client
"""
"""Makes a Debian in memory, and takes the steps there. Arguments: an empty folder to make it in, files to put into it,
the steps, a proxy or nothing, mirrors to try, and what else of this machine it needs. 77 where no mirror answers."""


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def run(command: list[str], cwd: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    """The exit code, and everything said."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,  # a busy machine takes ten times as long as an idle one
        check=False,
    )
    return done.returncode, done.stdout


def environment() -> dict[str, str]:
    """A plain one, with all that says where packages come from on this machine."""
    environ = {"HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", "PATH": PATH}
    authorities = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    if Path(authorities).is_file():
        environ["SSL_CERT_FILE"] = authorities
    environ |= {
        name: value for name, value in os.environ.items() if re.fullmatch("(https?|no|all)_proxy", name, re.IGNORECASE)
    }
    for line in output(sys.executable, "-m", "pip", "config", "list").splitlines():  # files first, then variables
        name, _, value = line.partition("=")
        environ["PIP_" + name.rpartition(".")[2].upper().replace("-", "_")] = ast.literal_eval(value)
    return environ


def apt_settings() -> str:
    """How apt reaches its mirrors on this machine."""
    wanted = re.compile(r"Acquire::(https?::|Check|Retries)")
    return "".join(f"{line}\n" for line in output("apt-config", "dump").splitlines() if wanted.match(line))


def mirrors() -> str:
    """Where apt looks for packages on this machine, then where debootstrap would by itself."""
    known = output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()
    script = Path(shutil.which("debootstrap", path=PATH) or "").read_text()
    own = re.findall(r'^DEF_MIRROR="(.+)"$', script, re.MULTILINE)
    return " ".join(dict.fromkeys(each.rstrip("/") for each in known + own))


def named_in(settings: str) -> list[str]:
    """The files and folders of this machine that settings speak of, such as certificates and local indexes."""
    words = (word.removeprefix("file://") for word in re.split(r"[\s\"';,]+", settings))
    return [os.path.normpath(word) for word in words if word.startswith("/") and Path(word).exists()]


def copy_checkout(target: Path) -> None:
    """What a clone would hold if everything here were committed."""
    listed = output(
        *("git", "-C", str(ROOT), "-c", "safe.directory=*"), *("ls-files", "-z", "-c", "-o", "--exclude-standard")
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


@pytest.fixture
def place() -> Iterator[Path]:
    """A private folder; unlike pytest's own, it is not kept."""
    with tempfile.TemporaryDirectory(prefix="platform-") as name:
        yield Path(name)


def interpreter(version: str) -> str | None:
    """The path of a Python that can make virtual environments by itself."""
    for folder in os.get_exec_path():
        command = [f"{folder}/python{version}", "-c", "import ensurepip, sys; print(sys.executable)"]
        environ = os.environ | {"PYENV_VERSION": version}  # without it pyenv hides all versions but one
        try:
            found = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return found.stdout.strip()
    return None


def test_the_lowest_promised_python_is_the_one_that_is_required() -> None:
    assert SETUP["options"]["python_requires"] == f">={PROMISED[0]}"


def test_the_chosen_tests_exist() -> None:
    assert [path for path in CHOSEN if not path.is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("version", PROMISED)
def test_demo_and_tests_run_with_every_promised_python(version: str, place: Path) -> None:
    if version == "{}.{}".format(*sys.version_info):
        pytest.skip("all tests run with this Python")
    python = interpreter(version)
    if not python:
        pytest.skip(f"no python{version} with ensurepip is on the PATH")
    copy_checkout(place)
    quick = {"PYTEST_ADDOPTS": "-k 'not test_the_examples_of_a_document_run'"}  # they take a minute
    code, said = run(["sh", "-euc", STEPS], place, environment() | quick | {"PYTHON": python})
    assert code == 0, said
    assert f"\nPython {version}." in said


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a Debian")
def test_demo_and_tests_run_on_a_fresh_debian(place: Path) -> None:
    if not all(shutil.which(name, path=PATH) for name in ("debootstrap", "apt-get")):
        pytest.skip("debootstrap or apt is not installed; make test SLOW=1 installs the former")
    code, said = run(
        [*ALONE, "sh", "-euc", 'mount -t tmpfs none "$1"; mknod "$1/null" c 1 3', "sh", str(place)], place, {}
    )
    if code:
        pytest.skip(f"this machine does not let root mount file systems and make devices: {said.strip()}")

    environ, settings = environment() | {"HOME": "/root"}, apt_settings()
    files, root = place / "files", place / "root"
    root.mkdir()
    copy_checkout(files / "root/checkout")
    (files / "etc/apt/apt.conf.d").mkdir(parents=True)
    (files / "etc/apt/apt.conf.d/00here").write_text(settings)
    proxy = re.search(r'^Acquire::http::Proxy "(.+)";$', settings, re.MULTILINE)
    arguments = [str(root), str(files), STEPS, proxy[1] if proxy else "", mirrors()]
    needed = ["/etc/hosts", *named_in(" ".join((*environ.values(), settings)))]

    code, said = run([*ALONE, "sh", "-c", DEBIAN, "sh", *arguments, *needed], place, environ)
    if code == 77:
        pytest.skip("no mirror of Debian 13 can be reached")
    assert code == 0, said
    assert re.findall(r"^Python (\d\.\d+)\.", said, re.MULTILINE)[0] in PROMISED
