"""The command as a person or a CI job runs it: real processes, real servers."""

import csv
import json
import re
import sqlite3
import subprocess
import sys
from io import StringIO

import pytest

from audit.cli.terminal import fitted
from audit.commands import COMMANDS
from audit.demo.fake_replicate.server import TOKEN
from audit.model import exit_status
from tests import ROOT
from tests.support.audits import Ended, Servers, Shell


@pytest.fixture
def run(shell: Shell, servers: Servers) -> Shell:
    """A shell with everything set that an audit of the demo's users needs."""
    shell.environ = servers.environ
    return shell


@pytest.fixture
def synthetic_shell(shell: Shell, synthetic_servers: Servers) -> Shell:
    """The same for the synthetic users."""
    shell.environ = synthetic_servers.environ
    return shell


def ends(ended: Ended, code: int) -> None:
    assert ended.code == code, ended.err
    assert ended.last_code == code
    assert "Traceback" not in ended.err


def test_run_writes_html_and_csv_and_says_where(run: Shell) -> None:
    ended = run("run")
    ends(ended, exit_status.INCOMPLETE)
    assert ended.out == ""
    named = re.search(r"^report: (\S+)\.html, \.csv, \.sqlite$", ended.err, re.MULTILINE)
    assert named
    for suffix in (".html", ".csv", ".sqlite"):
        path = run.folder / f"{named[1]}{suffix}"
        assert path.stat().st_size > 1000
        assert path.stat().st_mode & 0o777 == 0o600
    made = (run.folder / "reports").glob("[!.]*")
    assert len([path for path in made if not path.is_symlink()]) == 3


def test_lines_on_stderr_fit_80_columns(run: Shell) -> None:
    ended = run("run")
    assert not [line for line in ended.err.splitlines() if len(line) > 80 and not line.lstrip().startswith("https://")]


def test_stdout_carries_the_report_and_nothing_else(run: Shell) -> None:
    ended = run("run", "-o", "json=-", "-vv")
    document = json.loads(ended.out)
    assert document["schema_version"] == 1
    ended = run("run", "-o", "csv=-", "--run-file", "other.sqlite")
    assert len(list(csv.DictReader(StringIO(ended.out, newline=""), strict=True))) == document["summary"]["total"] > 70


def test_render_writes_the_same_bytes_again(run: Shell) -> None:
    formats = ("html", "csv", "json", "md", "junit")
    run("run", "--run-file", "r.sqlite", *(f"-o{name}=first.{name}" for name in formats))
    for name in ("DATABASE_URL", "REPLICATE_API_TOKEN"):
        del run.environ[name]
    ended = run("render", "r.sqlite", *(f"-o{name}=again.{name}" for name in formats))
    ends(ended, exit_status.INCOMPLETE)
    for name in formats:
        assert (run.folder / f"first.{name}").read_bytes() == (run.folder / f"again.{name}").read_bytes()


def test_render_without_outputs_writes_beside_the_run_file(run: Shell) -> None:
    run("run", "--run-file", "deep/r.sqlite", "-o", "x.json")
    ends(run("render", "deep/r.sqlite"), exit_status.INCOMPLETE)
    assert sorted(path.name for path in (run.folder / "deep").iterdir()) == ["r.csv", "r.html", "r.sqlite"]


def test_redacting_later_is_the_same_as_redacting_at_once(run: Shell) -> None:
    run("run", "--run-file", "a.sqlite", "-o", "a.csv", "--redact", "--user", "beatriz.costa@example.com")
    run("run", "--run-file", "b.sqlite", "-o", "b.csv", "--user", "beatriz.costa@example.com")
    run("render", "b.sqlite", "-o", "c.csv", "--redact")
    run("render", "a.sqlite", "-o", "d.csv")
    a, b, c, d = ((run.folder / f"{name}.csv").read_text() for name in "abcd")
    assert a == c == d != b
    assert "beatriz" in b.lower()
    assert "beatriz" not in a.lower()


def test_redacted_names_are_not_on_the_terminal_either(run: Shell) -> None:
    ended = run("run", "--redact", "-v")
    assert "@example" not in ended.err


@pytest.mark.parametrize(
    ("user", "code"),
    [("yusuf.demir@example.com", exit_status.OK), ("beatriz.costa@example.com", exit_status.NEEDS_SYNC)],
)
def test_the_exit_code_says_what_was_found(run: Shell, user: str, code: int) -> None:
    ends(run("run", "--user", user), code)


def test_exit_zero_turns_3_into_0_and_leaves_4(run: Shell) -> None:
    ended = run("run", "--exit-zero", "--user", "beatriz.costa@example.com")
    assert ended.code == exit_status.OK
    assert ended.last_line == "1 of 80 users checked: 1 needs a sync, but --exit-zero lets that pass (exit 0)"
    ends(run("run", "--exit-zero", "--run-file", "b.sqlite"), exit_status.INCOMPLETE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--concurrency", "0"], "--concurrency (SYNC_AUDIT_CONCURRENCY)"),
        (["--base-url", "http://example.com"], "--base-url (REPLICATE_BASE_URL)"),
        (["-o", "report.pdf"], "unknown format 'pdf'"),
        (["-o", "a.csv", "-o", "./a.csv"], "two outputs on one path"),
        (["-o", "html=x", "--run-file", "x"], "the same path"),
        (["--limit", "none"], "--limit"),
        (["--no-such-option"], "No such option"),
        (["--user", "nobody"], "--user 'nobody' matches no user"),
        (["--database-url", "mysql://u:hunter2@h/d"], "--database-url (DATABASE_URL)"),
    ],
)
def test_a_wrong_setting_is_named_and_ends_in_2(run: Shell, arguments: list[str], words: str) -> None:
    ended = run("run", *arguments)
    ends(ended, exit_status.USAGE)
    assert words in ended.err
    assert "hunter2" not in ended.err


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REPLICATE_API_TOKEN"])
def test_a_missing_setting_is_named_and_ends_in_2(run: Shell, missing: str) -> None:
    ended = run("run", **{missing: ""})
    ends(ended, exit_status.USAGE)
    assert missing in ended.err


def test_an_output_that_cannot_be_written_is_found_before_anything_is_asked(run: Shell, servers: Servers) -> None:
    (run.folder / "taken.html").mkdir()
    before = servers.fake.request_log.requests
    ended = run("run", "-o", "taken.html")
    ends(ended, exit_status.COULD_NOT_RUN)
    assert "taken.html" in ended.err
    assert servers.fake.request_log.requests == before


def test_a_run_file_in_an_impossible_place_is_found_before_anything_is_asked(run: Shell, servers: Servers) -> None:
    (run.folder / "file").write_text("")
    before = servers.fake.request_log.requests
    ended = run("run", "--run-file", "file/r.sqlite")
    ends(ended, exit_status.COULD_NOT_RUN)
    assert "file/r.sqlite" in ended.err
    assert servers.fake.request_log.requests == before


def test_a_refused_token_ends_in_5_and_shows_no_token(run: Shell) -> None:
    ended = run("run", REPLICATE_API_TOKEN="r8_wrong_but_secret")
    ends(ended, exit_status.COULD_NOT_RUN)
    assert "refuses the API token" in ended.err
    assert "r8_wrong" not in ended.err


def test_a_database_that_is_down_ends_in_5_with_the_host_and_no_password(run: Shell) -> None:
    ended = run("run", DATABASE_URL="postgresql://me:hunter2@127.0.0.1:9/shop")
    ends(ended, exit_status.COULD_NOT_RUN)
    assert "127.0.0.1/shop" in ended.err
    assert "hunter2" not in ended.err


def test_a_run_file_that_is_none_ends_in_5(shell: Shell) -> None:
    (shell.folder / "x.sqlite").write_text("hello")
    ended = shell("render", "x.sqlite")
    ends(ended, exit_status.COULD_NOT_RUN)
    assert "x.sqlite is not a run file" in ended.err


@pytest.mark.parametrize(("option", "line"), [("-q", r"Hold: \d+ of \d+ users [^\n]+ \(exit 4\)\n"), ("-qq", "")])
def test_quiet_leaves_one_line_and_twice_nothing(run: Shell, option: str, line: str) -> None:
    ended = run("run", option, "-o", "json=-", "--run-file", "a.sqlite")
    assert ended.code == exit_status.INCOMPLETE
    assert json.loads(ended.out)["summary"]["verdict"] == "hold"
    for each in (ended, run("render", "a.sqlite", "-o", "b.csv", option)):
        assert re.fullmatch(line, each.err), each.err


@pytest.mark.parametrize("option", ["-q", "-qq"])
def test_errors_are_printed_however_quiet_a_run_is(run: Shell, option: str) -> None:
    ended = run("run", option, DATABASE_URL="postgresql://me@127.0.0.1:9/shop")
    assert re.fullmatch(r"fix: .+\nError: .*127\.0\.0\.1.*: connection refused \(exit 5\)\n", ended.err)


def test_verbose_says_what_was_found_and_very_verbose_what_was_asked(run: Shell) -> None:
    once, twice = run("run", "-v").err, run("run", "-vv", "--run-file", "b.sqlite").err
    assert re.search(r"^info: .* needs a sync: [0-9a-f]{64} -> [0-9a-f]{64} \(outdated_version\)$", once, re.MULTILINE)
    assert "GET /v1/" not in once
    assert re.search(r"^debug: GET /v1/models/\S+/versions: 200 in \d+ ms, attempt 1$", twice, re.MULTILINE)
    assert TOKEN not in twice


def test_json_logs_are_one_object_a_line_with_stable_keys(run: Shell) -> None:
    lines = run("run", "-vv", "--log-format", "json", "--no-progress").err.splitlines()
    objects = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(objects) > 100
    assert all(each.keys() >= {"time", "level", "event"} for each in objects)
    request = next(each for each in objects if each["event"].startswith("GET"))
    assert request.keys() == {"time", "level", "event", "path", "status", "attempt", "duration_ms"}
    finding = next(each for each in objects if "needs a sync" in each["event"])
    assert finding.keys() == {"time", "level", "event", "user_id", "model", "status", "reason"}


def test_control_characters_in_data_do_not_reach_the_terminal(run: Shell) -> None:
    err = run("run", "-vv").err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", err)


def test_no_progress_means_none(run: Shell) -> None:
    assert "asking Replicate for" in run("run").err
    assert "asking Replicate for" not in run("run", "--no-progress", "--run-file", "b.sqlite").err


def test_the_token_is_in_nothing_that_a_run_leaves(run: Shell) -> None:
    run("run", "-o", "a.html", "-o", "a.csv", "-o", "a.json", "--run-file", "a.sqlite")
    for path in run.folder.iterdir():
        assert TOKEN.encode() not in path.read_bytes()


def test_a_closed_pipe_is_no_failure(synthetic_shell: Shell) -> None:
    process = synthetic_shell.start("run", "-o", "csv=-", "-q")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(30) == exit_status.INCOMPLETE
    assert "Traceback" not in err
    assert "Broken" not in err


def test_help_names_every_command_and_starts_nothing_heavy(shell: Shell) -> None:
    ended = shell("--help")
    assert ended.code == 0
    assert ended.err == ""
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", ended.out, re.MULTILINE)
    code = "import sys; sys.argv = ['sync-audit', '--help']\nimport audit.commands\n"
    code += "try:\n    audit.commands.main()\nfinally:\n"
    code += "    print(sorted({'aiohttp', 'asyncpg', 'jinja2', 'rich', 'msgspec', 'sqlite3'} & set(sys.modules)))"
    environ = shell.all_environ({"COVERAGE_PROCESS_CONFIG": ""})  # measuring coverage takes some of them
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_is_the_packages(shell: Shell) -> None:
    assert re.fullmatch(r"sync-audit, version \d+\.\d+\.\d+\n", shell("--version").out)


def test_a_bug_ends_in_1_with_its_traceback(run: Shell) -> None:
    (run.folder / "sitecustomize.py").write_text(
        "import audit.commands.run.audit\naudit.commands.run.audit.audit = None\n"
    )
    ended = run("run", PYTHONPATH=f"{run.folder}:{ROOT}")
    assert ended.code == exit_status.BUG
    assert "Traceback" in ended.err
    assert ended.last_code == exit_status.BUG


@pytest.mark.parametrize(
    ("names", "count", "width", "text"),
    [
        (["ann", "bob"], 2, 20, "ann, bob"),
        (["ann", "bob", "cid"], 9, 13, "ann, bob +7"),
        (["ann", "bob"], 2, 7, "ann +1"),
        (["annabelle"], 1, 6, "annab…"),
        (["annabelle", "bob"], 5, 8, "anna… +4"),
        ([], 0, 9, ""),
    ],
)
def test_names_are_shown_as_far_as_they_fit(names: list[str], count: int, width: int, text: str) -> None:
    assert fitted(names, count, width) == text


def test_the_run_file_can_be_read_with_sqlite_alone(run: Shell) -> None:
    run("run", "--run-file", "r.sqlite", "-o", "r.json")
    with sqlite3.connect(run.folder / "r.sqlite") as file:
        rows = dict(file.execute("SELECT reason, count(*) FROM audited GROUP BY 1"))
    file.close()
    assert (
        rows["outdated_version"]
        == json.loads((run.folder / "r.json").read_text())["summary"]["reasons"]["outdated_version"]
    )
