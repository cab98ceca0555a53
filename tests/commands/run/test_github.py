"""What `run` does inside GitHub Actions, read as the runner reads it."""

import os
import re
from pathlib import Path

import pytest

from audit.commands.run.github import MOST, Workflow, annotations, command, failure
from audit.errors import SettingsError
from audit.model import exit_status
from audit.model.codes import Reason
from audit.model.text import RUNNER_COMMAND
from audit.report.markdown import LEAST, LIMIT
from audit.report.view import RunView
from tests.support.audits import Servers, Shell
from tests.support.ci_runner import TRICKS, Heard, heard, obeyed
from tests.support.report_hostile import HOSTILE, ids
from tests.support.report_samples import SampleRun, anna, compared, everything, failed, narrowed, outdated, up_to_date

BEHIND = "beatriz.costa@example.com"


def told(run: SampleRun, code: int = exit_status.INCOMPLETE, *, redact: bool = False) -> list[Heard]:
    lines = list(annotations(RunView(run, redact=redact), code))
    found = heard("\n".join(lines))
    assert len(found) == len(lines)
    return found


def levels(found: list[Heard]) -> list[str]:
    return [each.name for each in found]


@pytest.mark.parametrize("text", [*HOSTILE, *TRICKS], ids=ids([*HOSTILE, *TRICKS]))
def test_a_command_is_one_line_and_carries_its_texts_unchanged(text: str) -> None:
    plain = text.isprintable() and len(text) < 1000 and not re.search(RUNNER_COMMAND, text)
    said = command("warning", text, text)
    (only,) = heard(said)
    assert (only.name, set(only.properties) <= {"title"}) == ("warning", True)
    assert not re.search(RUNNER_COMMAND, said)
    if plain:
        assert (only.properties.get("title", ""), only.data) == (text, text)


@pytest.mark.parametrize(
    ("run", "code", "level"),
    [
        (SampleRun([up_to_date(1)]), exit_status.OK, "notice"),
        (SampleRun([outdated(1)]), exit_status.NEEDS_SYNC, "error"),
        (SampleRun([outdated(1)]), exit_status.OK, "warning"),
        (SampleRun([failed(1, Reason.TIMEOUT)]), exit_status.INCOMPLETE, "error"),
    ],
    ids=["well", "behind", "behind, with --exit-zero", "incomplete"],
)
def test_the_first_annotation_is_the_outcome(run: SampleRun, code: int, level: str) -> None:
    first, *others = told(run, code)
    assert first.name == level
    assert first.properties["title"].startswith("sync-audit: ")
    assert all(other.name == "warning" for other in others)


def test_each_reason_names_its_first_users_and_counts_the_others() -> None:
    _, reason = told(SampleRun([outdated(n) for n in range(8)]), exit_status.NEEDS_SYNC)
    assert reason.properties["title"] == "Outdated version: 8 users"
    assert reason.data.startswith("user00000@example.com, user00001@example.com, ")
    assert "user00004@example.com and 3 more. The model was trained again" in reason.data


def test_of_no_level_there_are_more_than_github_shows_and_no_reason_is_forgotten() -> None:
    run = SampleRun(everything())
    found = told(run)
    assert levels(found).count("warning") == MOST
    assert levels(found).count("error") == 1
    *single, rest = (each.properties["title"] for each in found[1:])
    assert [title.partition(":")[0] for title in single][:2] == ["Outdated version", "Malformed version"]
    counts = {reason: count for reason, count in run.summary().reasons.items() if reason is not Reason.LATEST_VERSION}
    reasons = len(counts)
    users = sum(counts.values()) - sum(int(title.split()[-2]) for title in single)
    assert rest == f"{reasons - len(single)} more reasons: {users} users"


def test_of_warnings_there_are_no_more_than_github_shows_where_the_outcome_is_one_too() -> None:
    assert levels(told(SampleRun(everything()), exit_status.OK)) == ["warning"] * MOST


def test_with_a_baseline_the_outcome_says_how_many_are_new() -> None:
    assert "Since the baseline: 1 new, 1 known, 1 resolved." in told(compared())[0].data


def test_a_run_that_was_ended_says_by_what() -> None:
    run = SampleRun([failed(1, Reason.STOPPED)], narrowed(state="stopped", stop_reason="the job's time limit"))
    said = told(run)[0].data
    assert "The run ended early: the job's time limit" in said
    assert "sync-audit run --resume " in said


def test_redacted_annotations_name_ids_alone() -> None:
    said = str(told(anna(), redact=True)).casefold()
    assert "user-00007" in said
    assert "anna" not in said
    assert "muster" not in said


def test_what_kept_a_run_from_starting_is_an_error_with_its_next_step() -> None:
    (only,) = heard(failure(SettingsError("no API token", "Make one.")))
    assert (only.name, only.data) == ("error", "no API token. Make one.")


DUE = SampleRun([outdated(1)])


def tell(environ: dict[str, str], run: SampleRun = DUE) -> None:
    with Workflow({"GITHUB_ACTIONS": "true"} | environ, wanted=True) as workflow:
        workflow.add_run(RunView(run), exit_status.NEEDS_SYNC)


def test_what_is_in_the_summary_already_stays_and_the_next_run_adds_to_it(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("# Deployment")
    tell({"GITHUB_STEP_SUMMARY": str(path)}, SampleRun([up_to_date(1)]))
    assert path.read_text().startswith("# Deployment\n\n## Release OK: The only user is up to date\n")
    tell({"GITHUB_STEP_SUMMARY": str(path)})
    assert len(re.findall("\n## (?:Release OK|Hold): ", path.read_text())) == 2


@pytest.mark.parametrize(
    ("server", "is_there"), [("https://github.com", True), ("https://g)[x](y", False), ("", False)]
)
def test_the_summary_leads_to_what_the_workflow_has_uploaded(tmp_path: Path, server: str, *, is_there: bool) -> None:
    path = tmp_path / "summary.md"
    environ = {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": "acme/shop", "GITHUB_RUN_ID": "7"}
    tell({"GITHUB_STEP_SUMMARY": str(path), **environ})
    line = "\n[Reports of this workflow run](https://github.com/acme/shop/actions/runs/7#artifacts)\n"
    assert path.read_text().endswith(line) is is_there
    assert ("actions/runs" in path.read_text()) is is_there


@pytest.mark.parametrize("place", ["/proc/nothing/summary.md", "", "."], ids=["unwritable", "unset", "a folder"])
def test_a_summary_that_cannot_be_written_is_a_warning(
    place: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    tell({"GITHUB_STEP_SUMMARY": place})
    assert ("the step summary could not be written: " in caplog.text) is bool(place)
    assert levels(heard(capsys.readouterr().err)) == ["error", "warning"]


def test_a_summary_that_is_a_pipe_without_a_reader_is_waited_for_by_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "pipe")
    tell({"GITHUB_STEP_SUMMARY": str(tmp_path / "pipe")})
    assert "the step summary could not be written: it is a pipe that nobody reads" in caplog.text.lower()


@pytest.mark.parametrize("left", [LEAST, LEAST + 3], ids=["too little", "enough"])
def test_the_summary_of_a_step_never_grows_beyond_what_github_takes(
    left: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, before = tmp_path / "summary.md", "x" * (LIMIT - left)
    path.write_text(before)
    tell({"GITHUB_STEP_SUMMARY": str(path)}, SampleRun([outdated(n) for n in range(500)]))
    assert path.stat().st_size <= LIMIT
    assert ("the step summary is full (" in caplog.text) is (path.read_text() == before) is (left == LEAST)


@pytest.mark.parametrize("said", ["", "false", "1"])
def test_elsewhere_nothing_is_written(said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell({"GITHUB_ACTIONS": said, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")})
    assert capsys.readouterr().err == ""
    assert not list(tmp_path.iterdir())


@pytest.fixture
def step(shell: Shell, servers: Servers) -> Shell:
    """A step of a workflow, with an empty summary."""
    (shell.folder / "summary.md").touch()
    shell.environ = servers.environ | {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(shell.folder / "summary.md"),
    }
    return shell


def summary(step: Shell) -> str:
    return (step.folder / "summary.md").read_text()


def test_run_writes_the_summary_and_annotates(step: Shell) -> None:
    ended = step("run", "--user", BEHIND, "-o", "report.md", "-o", "csv=-")
    assert ended.code == exit_status.NEEDS_SYNC
    assert summary(step) == (step.folder / "report.md").read_text()
    assert levels(heard(ended.err)) == ["error", "warning"]
    assert "::error" not in ended.out
    assert ended.last_code == 3


def test_off_is_off_for_run_and_resuming_has_a_summary_and_rendering_none(step: Shell) -> None:
    ended = step("run", "--run-file", "r.sqlite", "--user", BEHIND, "--github", "off")
    assert ended.code == exit_status.NEEDS_SYNC
    assert "::" not in ended.err + step("render", "r.sqlite").err
    assert summary(step) == ""
    assert levels(heard(step("run", "--resume", "r.sqlite").err)) == ["error", "warning"]
    assert summary(step).startswith("## Hold: 1 of 1 user gets photos from an old version of their model\n")


def test_redacted_runs_stay_redacted(step: Shell) -> None:
    ended = step("run", "--redact", "--user", BEHIND)
    assert summary(step)
    assert "beatriz" not in (summary(step) + ended.err).lower()


def test_with_exit_zero_the_outcome_is_a_warning(step: Shell) -> None:
    ended = step("run", "--exit-zero", "--user", BEHIND)
    assert (ended.code, levels(heard(ended.err))) == (0, ["warning", "warning"])


def test_a_run_that_cannot_start_is_an_annotation_and_ends_as_it_would(step: Shell) -> None:
    ended = step("run", REPLICATE_API_TOKEN="")
    assert ended.code == exit_status.USAGE
    assert [each.data[:12] for each in heard(ended.err)] == ["no API token"]
    assert "Error: no API token" in ended.err
    assert summary(step) == ""


@pytest.mark.parametrize("trick", ["##[error]x", "##vso[task.setvariable variable=x]y", "##teamcity[x]"])
@pytest.mark.parametrize(
    ("options", "names"),
    [(["--user", BEHIND, "-o", "{}.csv"], ["error", "warning"]), (["--user", "{}"], ["error"])],
    ids=["the ending", "an error"],
)
def test_what_the_run_prints_is_shown_and_obeyed_by_no_runner(
    step: Shell, trick: str, options: list[str], names: list[str]
) -> None:
    ended = step("run", *(each.format(trick) for each in options))
    assert trick.replace("[", "\\x5b") in ended.err
    assert trick not in ended.err
    assert levels(heard(ended.err)) == names
    told = re.sub(r"(?m)^::stop-commands::.*\n", "", ended.err)  # to who knows no such command
    assert [each for each in obeyed(told) if not isinstance(each, Heard)] == []
    assert levels(heard(told)) == names
