"""Templates: compiled once, wherever Python keeps what it has compiled, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.run_files import finished_run_file

RENDER = """
import sys
from pathlib import Path
from audit.report.html.render import render
from audit.report.view import RunView
from audit.runfile import RunFile
with RunFile.open(Path(sys.argv[1])) as run_file:
    render(RunView(run_file), sys.stdout.buffer)
"""


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run.sqlite"
    finished_run_file(path, 3, "https://api.replicate.com/v1")
    return path


def rendered(run_file: Path, cache: Path, **environ: str) -> bytes:
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ = {**usual, "PYTHONPYCACHEPREFIX": str(cache), **environ}
    done = subprocess.run([sys.executable, "-c", RENDER, str(run_file)], env=environ, capture_output=True, check=True)
    assert not done.stderr
    return done.stdout


def templates(cache: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in cache.rglob("*.template")}


def test_a_page_of_compiled_templates_is_the_page_of_templates(run_file: Path, tmp_path: Path) -> None:
    first = rendered(run_file, tmp_path)
    compiled = templates(tmp_path)
    assert len(compiled) > 5
    assert rendered(run_file, tmp_path) == first
    assert templates(tmp_path) == compiled


def test_what_was_compiled_by_another_version_is_compiled_again(run_file: Path, tmp_path: Path) -> None:
    first = rendered(run_file, tmp_path)
    compiled = templates(tmp_path)
    for each in tmp_path.rglob("*.template"):
        each.write_bytes(b"of an older version")
    assert rendered(run_file, tmp_path) == first
    assert templates(tmp_path).keys() == compiled.keys()
    assert b"of an older version" not in templates(tmp_path).values()


def test_nothing_is_written_where_python_writes_nothing(run_file: Path, tmp_path: Path) -> None:
    page = rendered(run_file, tmp_path, PYTHONDONTWRITEBYTECODE="1")
    (tmp_path / "file").write_text("no directory")
    assert rendered(run_file, tmp_path / "file") == page
    assert not templates(tmp_path)
