"""Commands that somebody runs for whom permissions count, also where the tests run as root."""

import os
import pwd
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.audits import Shell

NOBODY = 54321
"""An id that no user has."""
AS_NOBODY = f"""
import contextlib, importlib, os, pkgutil
import aiohttp, asyncpg, audit, click, concurrent.futures.thread, encodings, rich
for package in (audit, click, encodings, rich):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(Exception):  # some are for other systems
                importlib.import_module(module.name)
from audit.commands import main
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
main(prog_name="sync-audit")
"""
"""Everything is imported before: Python itself may be where only root can read."""


@contextmanager
def as_nobody(shell: Shell) -> Iterator[None]:
    """The shell is `nobody`'s, with a home and working directory of its own. Only root can do this."""
    entry = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp(prefix="nobody-", dir="/tmp"))  # pytest's own folders are closed to others
    os.chown(home, entry.pw_uid, entry.pw_gid)
    try:
        shell.folder = home
        shell.who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        way = f"{ROOT}:{sysconfig.get_path('purelib')}"
        shell.environ = shell.environ | {"HOME": str(home), "PYTHONPATH": way, "TMPDIR": "/tmp"}
        system = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
        if not any(_can_audit(shell, python) for python in (sys.executable, system)):
            pytest.skip("`nobody` may not read this checkout, or its packages, or any Python of this version")
        yield
    finally:
        shutil.rmtree(home)


def _can_audit(shell: Shell, python: str) -> bool:
    """Let the shell use this Python; False where its user cannot."""
    shell.python = python
    try:
        return shell("--version").code == 0
    except OSError:
        return False
