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
    joined = re.sub(r"\\\n +", "", err)
    return [
        shlex.split(each) for each in re.findall(r"^(?:fix: |retry: | {8}).*?(sync-audit .*)", joined, re.MULTILINE)
    ]


TITLES = ("Hold: ", "Affected since ", "fix: ", "report: ", "23 users need a sync")


@pytest.mark.parametrize("columns", ["80", "100", "200"])
def test_a_run_ends_in_at_most_eight_lines(run: Shell, columns: str) -> None:
    err = run("run", "--no-progress", "--run-file", "a.sqlite", "-o", "a.html", COLUMNS=columns).err
    lines = [line for line in err.splitlines() if not line.startswith("asking ")]
    assert len(lines) <= 8
    assert max(map(len, lines)) <= int(columns)
    assert [title for title in TITLES if any(line.startswith(title) for line in lines)] == list(TITLES)
    assert lines[-1] == "23 users need a sync; 21 could not be checked (exit 4)"
    assert "report: a.html, .sqlite" in lines


@pytest.mark.parametrize("columns", ["40", "53", "80", "100", "200"])
def test_no_word_and_no_command_is_cut_however_wide_the_terminal_is(run: Shell, columns: str) -> None:
    run("run", "--no-progress", "--run-file", "a.sqlite")
    whole = run("render", "a.sqlite", COLUMNS="200").err
    err = run("render", "a.sqlite", COLUMNS=columns).err
    assert err.replace("\\\n", " ").split() == whole.split()
    assert commands(err) == commands(whole)
    assert max(map(len, err.splitlines()[:-1])) <= int(columns)


def test_every_command_that_is_proposed_can_be_pasted(run: Shell) -> None:
    err = run("run", "--no-progress").err
    [proposed] = commands(err)
    assert proposed[:3] == ["sync-audit", "run", "--resume"]
    assert run(*proposed[1:]).code == exit_status.INCOMPLETE


def test_a_path_of_several_words_is_pasted_whole_at_any_width(run: Shell) -> None:
    run("run", "--no-progress", "--run-file", "a b/the  run's.sqlite", "--user", "beatriz.costa@example.com")
    for columns in ("40", "80"):
        err = run("render", "a b/the  run's.sqlite", COLUMNS=columns).err
        assert commands(err) == [["sync-audit", "sync", "a b/the  run's.sqlite"]]


def test_nobody_is_named_where_names_may_not_be_shown(run: Shell) -> None:
    for detail in ((), ("-v",)):
        err = run(
            "run", "--no-progress", "--redact", *detail, "-o", "a.html", "--run-file", f"{len(detail)}.sqlite"
        ).err
        assert "@example" not in err
        assert "a.html (redacted), " in err


def test_verbose_lists_the_users_of_each_reason_first(run: Shell) -> None:
    run("run", "-qq", "--run-file", "a.sqlite")
    lines = run("render", "a.sqlite", "-v").err.splitlines()
    assert lines[0] == "Needs sync"
    assert re.fullmatch(r" +\d+  Outdated version +beatriz.costa@example.com \+\d+", lines[1])
    assert [line for line in lines if line in {"Needs sync", "Check failed", "Not reached"}] == [
        "Needs sync",
        "Check failed",
    ]
    assert any(line.startswith("Hold: ") for line in lines)


def test_where_trainings_were_not_read_nothing_is_said_of_them(run: Shell) -> None:
    err = run("run", "--no-progress", "--user", "mara.lindqvist@example.com").err
    assert "trainings read" not in err
    assert "settled" not in err


def test_trainings_that_were_read_are_counted_in_a_line(run: Shell) -> None:
    err = run("run", "--no-progress", "-v", "--trainings", "--user", "mara.lindqvist@example.com").err
    assert re.search(r"^\d+ trainings read, back to \d{4}-\d\d-\d\d\.$", err, re.MULTILINE)


def test_where_nobody_had_to_be_asked_for_nothing_is_said_of_the_list(run: Shell) -> None:
    err = run("run", "--no-progress", "--trainings", "--user", "isabella.conti@example.com", "-o", "x.html").err
    assert "trainings read" not in err
    assert "Trainings incomplete" not in (run.folder / "x.html").read_text()


def test_the_summary_says_whom_trainings_settled(shell: Shell, synthetic_servers: Servers) -> None:
    shell.environ = synthetic_servers.environ
    options = ("--no-progress", "-v", "--mode", "trainings", "--verify-sample", "10", "--limit", "60", "-o", "x.json")
    counts = re.search(
        r"(\d+) settled by trainings, (\d+) asked; list of trainings read, back to [0-9-]{10}\.",
        shell("run", *options).err,
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
        lines = shell("run", "--no-progress", "-v", "--trainings", "--limit", "3", "-o", "x.json").err.splitlines()
    said = next(line for line in lines if "trainings read" in line)
    assert said.startswith("0 trainings read, and not as far as needed: ")
    assert "503" in lines[lines.index(said)] + lines[lines.index(said) + 1]
    assert max(len(line) for line in lines if not re.match("(warning|info): ", line)) <= 80


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
    ended = shell("render", "run.sqlite")
    assert "Do not trust this run: check everybody by versions" in " ".join(ended.err.split())
    assert commands(ended.err) == [["sync-audit", "run", "--mode", "versions"]]
    assert "disagree on 1 of those who were asked for as a check" in " ".join(
        shell("render", "run.sqlite", "-v").err.split()
    )


def test_where_all_is_well_there_is_nothing_to_do(run: Shell) -> None:
    err = run("run", "--no-progress", "--user", "yusuf.demir@example.com").err
    assert [each[:2] for each in commands(err)] == [["sync-audit", "run"]], "about everybody"
    assert err.splitlines()[-1] == "1 of 80 users checked: up to date (exit 0)"


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
        ((), 4, "nobody was audited: no user has a row that counts (exit 4)"),
        (("--fail-on", "never", "--exit-zero"), 4, "nobody was audited: no user has a row that counts (exit 4)"),
        (("--allow-empty",), 0, "nobody was audited, which --allow-empty or an empty shard allows (exit 0)"),
    ],
    ids=["plain", "nothing helps", "allowed"],
)
def test_an_audit_of_nobody_ends_in_four_and_says_what_would_count(
    options: tuple[str, ...], code: int, ends: str, run: Shell, nobody: str
) -> None:
    run.environ = {**run.environ, "DATABASE_URL": nobody}
    ended = run("run", "--no-progress", "--run-file", "a.sqlite", "-o", "a.md", *options)
    lines = ended.err.splitlines()
    assert (ended.code, lines[-1]) == (code, ends)
    assert lines[0].endswith(": Nobody was audited: no user has a completed model")
    assert len(lines) <= 8
    said = "Rows by training_status: 1 archived, 1 succeeded. Only 'completed' counts as completed."
    assert said in " ".join(" ".join(lines).split())
    assert '        completed = ["succeeded"]' in lines
    assert 'completed = ["succeeded"]' in (run.folder / "a.md").read_text()
    again = run("render", "a.sqlite", "-o", "b.md")
    assert (again.code, again.last_line) == (code, ends), "render keeps what the run was told"
    assert run("render", "a.sqlite", "-o", "b.md", "--allow-empty").code == 0


def test_an_empty_table_is_an_audit_of_nobody(run: Shell, postgres_server: str) -> None:
    dsn = asyncio.run(new_database(postgres_server, "empty_tables"))
    asyncio.run(execute(dsn, USERS, MODELS))
    run.environ = {**run.environ, "DATABASE_URL": dsn}
    ended = run("run", "--no-progress", "-o", "a.md")
    assert (ended.code, ended.last_code) == (4, 4)
    assert "Rows by training_status: there are none." in ended.err


def test_a_user_whom_nobody_matches_is_a_usage_error_with_and_without_allow_empty(run: Shell) -> None:
    for options in ((), ("--allow-empty",)):
        assert run("run", "--no-progress", "--user", "nobody@example.com", *options).code == exit_status.USAGE


def test_a_trial_run_says_that_it_is_one_first_and_last(run: Shell) -> None:
    lines = run("run", "--no-progress", "--limit", "2").err.splitlines()
    said = " ".join(" ".join(lines).split())
    assert re.search(r"This run checked only 2 of \d+ users; about the others it says nothing\.", said)
    assert re.match(r"\d of \d+ users checked: ", lines[-1])


def test_newer_rows_are_told_below_their_reason_and_the_completed_ones_beside_them(shell: Shell) -> None:
    users = sorted(newest_rows(), key=report_order)
    run_file_of(shell.folder / "run.sqlite", map(as_stored, users))
    err = " ".join(shell("render", "run.sqlite", "-v", "-o", "a.md").err.split())
    told = "user00501@example.com: row new-501 says training since 2026-02-03 10:00 (26 days before this run); "
    assert told + "training trained-501;" in err
    assert "completed row: outdated version" in err
    assert "the completed rows of 2 users need attention too: 1 no version recorded, 1 outdated version." in err
    assert "Weights were not checked; to check them: --trainings, --check-weights" in err


def test_in_a_narrow_terminal_details_are_titles_alone_and_no_line_is_torn(run: Shell) -> None:
    lines = run("run", "-v", "--no-progress", "--run-file", "a.sqlite", COLUMNS="40").err.splitlines()
    assert any(re.fullmatch(r" +\d+  Outdated version", line) for line in lines)
    assert max(len(line) for line in lines if re.match(r" +\d+  [A-Z]", line)) <= 40


@pytest.mark.parametrize(("name", "value", "coloured"), [("TERM", "xterm", True), ("NO_COLOR", "1", False)])
def test_colours_are_for_terminals_that_want_them(run: Shell, name: str, value: str, *, coloured: bool) -> None:
    run.environ = run.environ | {name: value}
    with terminal(run, "run", "--no-progress", "--limit", "3") as window:
        window.to_the_end()
        assert bool(re.search(rb"\x1b\[[0-9;]*3\dm", window.raw)) is coloured
