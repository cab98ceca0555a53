"""How much memory commands take: it does not depend on how many users share a model."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audit.demo.database import load
from audit.demo.fake_replicate.server import in_thread
from tests import ROOT
from tests.support.audits import Servers, new_database
from tests.support.database_rows import execute
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.synthetic_users import SyntheticUsers

SHARED = "UPDATE user_models SET replicate_model_id = (SELECT min(replicate_model_id) FROM user_models)"
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.executable, [sys.executable, "-m", "audit", *sys.argv[1:]], os.environ)
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""
"""In a small process of its own: the kernel's peak of a new process begins with that of the one that made it."""


def peak(servers: Servers, *arguments: str) -> int:
    """The most memory that a command has resident, in the system's unit."""
    environ = {**os.environ, **servers.environ, "SYNC_AUDIT_TIMEOUT": "30", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-S", "-c", MEASURE, *arguments]
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    code, most = map(int, done.stdout.splitlines()[-1].split())
    assert code in {0, 3}
    return most


@pytest.mark.slow
def test_peak_memory_does_not_depend_on_how_many_share_a_model(postgres_server: str, tmp_path: Path) -> None:
    peaks: dict[str, list[int]] = {"run": [], "plan": [], "user": []}
    for users in (2_000, 40_000):
        world = SyntheticUsers(users)
        dsn = asyncio.run(new_database(postgres_server, "sharing"))
        asyncio.run(load(dsn, world))
        asyncio.run(execute(dsn, SHARED))
        run = str(tmp_path / f"{users}.sqlite")
        with in_thread(InstrumentedReplicate(world)) as fake:
            servers = Servers(dsn, fake)
            outputs = [f"-o{kind}={tmp_path / kind}" for kind in ("html", "csv", "json", "md", "junit")]
            peaks["run"].append(peak(servers, "run", "--quiet", "--run-file", run, *outputs))
            peaks["plan"].append(peak(servers, "sync", run))
            peaks["user"].append(peak(servers, "user", "user100@example.com"))
    for command, (few, many) in peaks.items():
        assert many < 1.2 * few, f"{command}: {few}, {many}"
