"""The last screen of a run: what people paste into a chat."""

import re
import shlex

import pytest

from audit.models import ExitCode
from tests.audits import Place, Shell
from tests.terminals import terminal


@pytest.fixture
def run(shell: Shell, stage: Place) -> Shell:
    """A shell with everything set that an audit of the demo's users needs."""
    shell.environ = stage.environ
    return shell


def commands(err: str) -> list[list[str]]:
    """The commands that the summary proposes, as a shell reads them."""
    joined = err.replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.startswith("  sync-audit ")]


def test_the_summary_names_counts_users_files_and_what_to_do(run: Shell) -> None:
    lines = run("run", "--no-progress", "--run-file", "a.sqlite").err.splitlines()
    assert lines[0] == "72 users: 33 up to date, 19 need a sync, 20 errors, 0 not checked"
    assert lines[2] == "Needs a sync"
    assert lines[3] == "      10  Outdated version        beatriz.costa@example.com +9"
    headings = [line for line in lines if line in {"Needs a sync", "Errors", "Not checked"}]
    assert headings == ["Needs a sync", "Errors"]
    assert sum(int(line.split()[0]) for line in lines if re.match(r" +\d+  [A-Z]", line)) == 19 + 20
    assert max(map(len, lines)) <= 80
    assert "Run file:     a.sqlite" in lines


def test_every_command_that_is_proposed_can_be_pasted(run: Shell) -> None:
    err = run("run", "--no-progress").err
    proposed = commands(err)
    assert [command[1] for command in proposed] == ["user", "explain", "run"]
    assert max(map(len, err.splitlines())) <= 80
    codes = [run(*command[1:]).code for command in proposed]
    assert codes == [ExitCode.NEEDS_SYNC, ExitCode.OK, ExitCode.INCOMPLETE]


def test_a_user_is_named_by_id_where_names_may_not_be_shown(run: Shell) -> None:
    err = run("run", "--no-progress", "--redact", "--run-file", "a.sqlite").err
    assert "@" not in err
    user = commands(err)[0]
    assert run(*user[1:]).code == ExitCode.NEEDS_SYNC


def test_where_all_is_well_there_is_nothing_to_do(run: Shell) -> None:
    err = run("run", "--no-progress", "--user", "yusuf.demir@example.com").err
    assert commands(err) == []
    assert "Errors" not in err


def test_a_narrow_terminal_gets_titles_alone_and_no_torn_lines(run: Shell) -> None:
    lines = run("run", "--no-progress", "--run-file", "a.sqlite", COLUMNS="40").err.splitlines()
    assert "      10  Outdated version" in lines
    assert max(len(line) for line in lines if re.match(r" +\d+  [A-Z]", line)) <= 40


@pytest.mark.parametrize(("name", "value", "coloured"), [("TERM", "xterm", True), ("NO_COLOR", "1", False)])
def test_colours_are_for_terminals_that_want_them(run: Shell, name: str, value: str, *, coloured: bool) -> None:
    run.environ = run.environ | {name: value}
    with terminal(run, "run", "-q", "--limit", "3") as window:
        window.to_the_end()
        assert bool(re.search(rb"\x1b\[[0-9;]*3\dm", window.raw)) is coloured
