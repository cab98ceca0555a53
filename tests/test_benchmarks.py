"""The benchmark runs; how fast anything is, only a quiet machine can tell."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_fifty_users_give_a_complete_table_and_both_files(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--users", "50", "--rounds", "1", "--save", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    saved = json.loads((tmp_path / "benchmarks.json").read_text())
    measured = {figure["part"] for figure in saved["figures"]}
    assert measured == {"cost", "html", "csv", "json", "run file", "start", "rate", "memory"}
    assert all(isinstance(figure["value"], float | int) for figure in saved["figures"])
    assert done.stdout.strip() in (tmp_path / "benchmarks.md").read_text()
    assert str(ROOT) not in (tmp_path / "benchmarks.md").read_text()
    counts = {figure["what"]: figure["value"] for figure in saved["figures"]}
    assert counts["requests for one and the same thing, at most"] == 1
    assert counts["requests of the audit beyond the bare loop's and /account"] == 0
