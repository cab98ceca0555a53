"""`--csv-for-excel`: a mark at the beginning of the CSV, whichever command writes it."""

from pathlib import Path

import pytest

from audit.model.exit_status import USAGE
from audit.runfile import RunFile
from tests.support.audits import Servers, Shell
from tests.support.report_samples import everything
from tests.support.run_files import run_file_of

MARK = b"\xef\xbb\xbf"


@pytest.fixture
def kept(shell: Shell) -> Path:
    return run_file_of(shell.folder / "run.sqlite", everything())


def test_render_writes_the_mark_where_it_is_wanted(shell: Shell, kept: Path) -> None:
    shell("render", kept.name, "-o", "plain.csv")
    shell("render", kept.name, "-o", "marked.csv", "-o", "x.json", "--csv-for-excel")
    plain, marked = ((shell.folder / name).read_bytes() for name in ("plain.csv", "marked.csv"))
    assert marked == MARK + plain
    assert not (shell.folder / "x.json").read_bytes().startswith(MARK)


def test_a_run_keeps_it_for_whoever_resumes_or_renders(shell: Shell, servers: Servers) -> None:
    shell.environ = servers.environ
    shell("run", "--limit", "3", "--run-file", "run.sqlite", "-o", "a.csv", "--csv-for-excel")
    assert (shell.folder / "a.csv").read_bytes().startswith(MARK)
    with RunFile.open(shell.folder / "run.sqlite") as run_file:
        assert run_file.choices
        assert run_file.choices.csv_for_excel
    shell("render", "run.sqlite", "-o", "b.csv")
    assert (shell.folder / "b.csv").read_bytes() == (shell.folder / "a.csv").read_bytes()


@pytest.mark.parametrize("command", [("render", "run.sqlite"), ("run",)], ids=["render", "run"])
def test_without_a_csv_it_is_an_error(shell: Shell, servers: Servers, kept: Path, command: tuple[str, ...]) -> None:
    shell.environ = servers.environ
    ended = shell(*command, "-o", "a.json", "--csv-for-excel")
    assert ended.code == USAGE
    assert ended.last_line == "Error: --csv-for-excel is about a CSV, and none is written (exit 2)"
    assert kept.exists()
    assert not (shell.folder / "a.json").exists()
