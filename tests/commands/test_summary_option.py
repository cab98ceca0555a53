"""`--summary`: a message for a chat, where no report is disturbed."""

from pathlib import Path

import pytest

from tests.support.audits import Shell
from tests.support.report_samples import outdated, up_to_date
from tests.support.run_files import run_file_of


@pytest.fixture
def kept(shell: Shell) -> Path:
    return run_file_of(shell.folder / "run.sqlite", [outdated(1, email="anna@example.com"), up_to_date(2)])


@pytest.mark.parametrize("flavour", ["slack", "text"])
def test_it_is_all_that_stands_on_standard_output(shell: Shell, kept: Path, flavour: str) -> None:
    ended = shell("render", kept.name, "-o", "a.html", "--summary", flavour)
    first = ended.out.splitlines()[0].replace("*", "")
    assert first.startswith("Hold: ")
    assert f"sync-audit sync {kept.name}" in ended.out
    assert ended.out not in ended.err


def test_where_a_report_is_printed_it_goes_to_standard_error(shell: Shell, kept: Path) -> None:
    ended = shell("render", kept.name, "-o", "csv=-", "--summary", "text", "-qq")
    assert ended.out.startswith("status,reason")
    assert ended.err.startswith("Hold: ")


def test_redacted_it_names_nobody(shell: Shell, kept: Path) -> None:
    assert "anna@" in shell("render", kept.name, "-o", "a.json", "--summary", "text").out
    assert "anna@" not in shell("render", kept.name, "-o", "a.json", "--summary", "text", "--redact").out


def test_another_word_is_a_mistake(shell: Shell, kept: Path) -> None:
    assert shell("render", kept.name, "--summary", "irc").code == 2
