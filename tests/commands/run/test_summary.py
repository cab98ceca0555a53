"""The last screen of a run: what people paste into a chat."""

import asyncio
import json
import re
import shlex

import msgspec
import pytest

from audit.demo.fake_replicate.faults import Refused
from audit.demo.fake_replicate.server import in_thread
from audit.model import exit_status
from audit.model.codes import Reason
from audit.model.replies import TrainingsRead
from audit.runfile import RunFile
from tests.support.audits import Servers, Shell, new_database
from tests.support.database_rows import ANNA, MODELS, USERS, execute, insert, model
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.report_samples import as_stored, newest_rows, report_order
from tests.support.run_files import population, run_file_of
from tests.support.samples import finding, record, run_info
from tests.support.synthetic_users import SyntheticUsers
from tests.support.terminals import terminal


@pytest.fixture
def run(shell: Shell, servers: Servers) -> Shell:
    """A shell with everything set that an audit of the demo's users needs."""
    shell.environ = servers.environ
    return shell


def commands(err: str) -> list[list[str]]:
    """The commands that the summary proposes, as a shell reads them."""
    joined = err.replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.startswith("  sync-audit ")]


def test_the_summary_names_counts_users_files_and_what_to_do(run: Shell) -> None:
    lines = run("run", "--no-progress", "--run-file", "a.sqlite").err.splitlines()
    counts = re.fullmatch(r"(\d+) users: (\d+) up to date, (\d+) need a sync, (\d+) errors, 0 not checked", lines[0])
    assert counts
    total, fine, need, errors = map(int, counts.groups())
    assert total == fine + need + errors
    assert lines[3] == "Needs sync"
    assert re.fullmatch(r" +\d+  Outdated version +beatriz.costa@example.com \+\d+", lines[4])
    headings = [line for line in lines if line in {"Needs sync", "Errors", "Not checked"}]
    assert headings == ["Needs sync", "Errors"]
    assert sum(int(line.split()[0]) for line in lines if re.match(r" +\d+  [A-Z]", line)) == need + errors
    assert max(len(line) for line in lines if "https://" not in line) <= 80
    assert "Run file:     a.sqlite" in lines


def test_every_command_that_is_proposed_can_be_pasted(run: Shell) -> None:
    err = run("run", "--no-progress").err
    proposed = commands(err)
    assert [command[1] for command in proposed] == ["user", "explain", "run"]
    assert max(len(line) for line in err.splitlines() if "https://" not in line) <= 80
    codes = [run(*command[1:]).code for command in proposed]
    assert codes == [exit_status.NEEDS_SYNC, exit_status.OK, exit_status.INCOMPLETE]


def test_a_user_is_named_by_id_where_names_may_not_be_shown(run: Shell) -> None:
    err = run("run", "--no-progress", "--redact", "--run-file", "a.sqlite").err
    assert "@" not in err
    user = commands(err)[0]
    assert run(*user[1:]).code == exit_status.NEEDS_SYNC


def test_where_trainings_were_not_read_nothing_is_said_of_them(run: Shell) -> None:
    err = run("run", "--no-progress", "--user", "mara.lindqvist@example.com").err
    assert "trainings read" not in err
    assert "settled" not in err


def test_trainings_that_were_read_are_counted_in_a_line(run: Shell) -> None:
    lines = run("run", "--no-progress", "--trainings", "--user", "mara.lindqvist@example.com").err.splitlines()
    assert re.fullmatch(r"\d+ trainings read, back to \d{4}-\d\d-\d\d\.", lines[2])


def test_where_nobody_had_to_be_asked_for_nothing_is_said_of_the_list(run: Shell) -> None:
    err = run("run", "--no-progress", "--trainings", "--user", "isabella.conti@example.com", "-o", "x.html").err
    assert "trainings read" not in err
    assert "Trainings incomplete" not in (run.folder / "x.html").read_text()


def test_the_summary_says_whom_trainings_settled(shell: Shell, synthetic_servers: Servers) -> None:
    shell.environ = synthetic_servers.environ
    options = ("--no-progress", "--mode", "trainings", "--verify-sample", "10", "--limit", "60", "-o", "x.json")
    said = shell("run", *options).err.splitlines()[2]
    counts = re.fullmatch(
        r"(\d+) settled by trainings, (\d+) asked; list of trainings read, back to [0-9-]{10}\.", said
    )
    assert counts
    run = json.loads((shell.folder / "x.json").read_text())["run"]["trainings"]
    assert (int(counts[1]), int(counts[2])) == (run["users_settled"], run["users_asked"])
    assert run["users_settled"] > 20


def test_a_list_that_was_not_read_to_its_end_says_why(
    shell: Shell, synthetic_servers: Servers, synthetic_users: SyntheticUsers
) -> None:
    with in_thread(
        InstrumentedReplicate(synthetic_users, Behaviour(faults=(Refused(status=503, on=("trainings",)),)))
    ) as fake:
        shell.environ = Servers(synthetic_servers.dsn, fake).environ
        lines = shell("run", "--no-progress", "--trainings", "--limit", "3", "-o", "x.json").err.splitlines()
    said = next(line for line in lines if "trainings read" in line)
    assert said.startswith("0 trainings read, and not as far as wanted: ")
    assert "503" in lines[lines.index(said)] + lines[lines.index(said) + 1]
    assert max(len(line) for line in lines if not line.startswith("warning: ")) <= 80


def test_a_sample_that_disagrees_is_said_loudly(shell: Shell) -> None:
    info = run_info(
        trainings=TrainingsRead(mode="trainings", complete=True, began_at="2026-03-01T12:00:00Z"),
        finished_at="2026-03-01T12:01:00Z",
    )
    wrong = finding(Reason.EVIDENCE_DISAGREES, evidence="versions")
    with RunFile.create(shell.folder / "run.sqlite", info) as run_file:
        with run_file.loading():
            run_file.add(record(), "acme/ann", wrong)
            run_file.save_population(population(1))
        run_file.finish(msgspec.structs.replace(info, state="complete"))
    err = shell("render", "run.sqlite").err
    assert "disagree on 1 of those who were asked for as a check: do not trust" in " ".join(err.split())
    assert "sync-audit run --mode versions" in " ".join(err.split())
    assert max(map(len, err.splitlines())) <= 80


def test_where_all_is_well_there_is_nothing_to_do(run: Shell) -> None:
    err = run("run", "--no-progress", "--user", "yusuf.demir@example.com").err
    assert commands(err) == []
    assert "Errors" not in err


@pytest.fixture(scope="module")
def nobody(postgres_server: str) -> str:
    """The DSN of a database in which no word means completed."""
    dsn = asyncio.run(new_database(postgres_server, "nobody"))
    asyncio.run(execute(dsn, USERS, MODELS))
    asyncio.run(insert(dsn, "users", [ANNA]))
    asyncio.run(insert(dsn, "user_models", [model(training_status="succeeded"), model(training_status="archived")]))
    return dsn


@pytest.mark.parametrize(
    ("options", "code", "ends"),
    [
        ((), 4, exit_status.NOBODY[4]),
        (("--fail-on", "never", "--exit-zero"), 4, exit_status.NOBODY[4]),
        (("--allow-empty",), 0, exit_status.NOBODY[0]),
    ],
    ids=["plain", "nothing helps", "allowed"],
)
def test_an_audit_of_nobody_ends_in_four_and_says_what_would_count(
    options: tuple[str, ...], code: int, ends: object, run: Shell, nobody: str
) -> None:
    run.environ = {**run.environ, "DATABASE_URL": nobody}
    ended = run("run", "--no-progress", "--run-file", "a.sqlite", "-o", "a.md", *options)
    lines = ended.err.splitlines()
    assert (ended.code, lines[-1]) == (code, str(ends))
    assert lines[0] == "Nobody was audited: no user has a completed model."
    said = "Rows by training_status: 1 archived, 1 succeeded. Only 'completed' counts as completed."
    assert said in " ".join(lines)
    place = lines.index("  [database]")
    assert lines[place + 1] == '  completed = ["succeeded"]'
    assert 'completed = ["succeeded"]' in (run.folder / "a.md").read_text()
    again = run("render", "a.sqlite", "-o", "b.md")
    assert (again.code, again.last_line) == (code, str(ends)), "render keeps what the run was told"
    assert run("render", "a.sqlite", "-o", "b.md", "--allow-empty").code == 0


def test_an_empty_table_is_an_audit_of_nobody(run: Shell, postgres_server: str) -> None:
    dsn = asyncio.run(new_database(postgres_server, "empty_tables"))
    asyncio.run(execute(dsn, USERS, MODELS))
    run.environ = {**run.environ, "DATABASE_URL": dsn}
    ended = run("run", "--no-progress", "-o", "a.md")
    assert (ended.code, ended.last_line) == (4, str(exit_status.NOBODY[4]))
    assert "Rows by training_status: there are none." in ended.err


def test_a_user_whom_nobody_matches_is_a_usage_error_with_and_without_allow_empty(run: Shell) -> None:
    for options in ((), ("--allow-empty",)):
        assert run("run", "--no-progress", "--user", "nobody@example.com", *options).code == exit_status.USAGE


def test_a_trial_run_says_that_it_is_one_first_and_last(run: Shell) -> None:
    lines = run("run", "--no-progress", "--limit", "2").err.splitlines()
    assert re.fullmatch(r"Trial run: \d of \d+ users checked", lines[0])
    assert "only a part of the users was checked" in lines[-1]


def test_newer_rows_are_told_below_their_reason_and_the_completed_ones_beside_them(shell: Shell) -> None:
    users = sorted(newest_rows(), key=report_order)
    run_file_of(shell.folder / "run.sqlite", map(as_stored, users))
    err = " ".join(shell("render", "run.sqlite", "-o", "a.md").err.split())
    told = "user00501@example.com: row new-501 says training since 2026-02-03 10:00 (26 days before this run); "
    assert told + "training trained-501;" in err
    assert "completed row: outdated version" in err
    assert "the completed rows of 2 users need attention too: 1 no version recorded, 1 outdated version." in err
    assert "Weights were not checked; to check them: --trainings, --check-weights" in err


def test_a_narrow_terminal_gets_titles_alone_and_no_torn_lines(run: Shell) -> None:
    lines = run("run", "--no-progress", "--run-file", "a.sqlite", COLUMNS="40").err.splitlines()
    assert any(re.fullmatch(r" +\d+  Outdated version", line) for line in lines)
    assert max(len(line) for line in lines if re.match(r" +\d+  [A-Z]", line)) <= 40


@pytest.mark.parametrize(("name", "value", "coloured"), [("TERM", "xterm", True), ("NO_COLOR", "1", False)])
def test_colours_are_for_terminals_that_want_them(run: Shell, name: str, value: str, *, coloured: bool) -> None:
    run.environ = run.environ | {name: value}
    with terminal(run, "run", "-q", "--limit", "3") as window:
        window.to_the_end()
        assert bool(re.search(rb"\x1b\[[0-9;]*3\dm", window.raw)) is coloured
