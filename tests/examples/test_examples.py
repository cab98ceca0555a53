"""The GitHub Action, and the examples for GitHub, GitLab and cron, step by step against real servers."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.examples.workflows import Runner, parsed
from tests.support.audits import Servers, Shell

ACTION = parsed(ROOT / "action.yml")
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
WORKFLOW = parsed(ROOT / "examples/github/sync-audit.yml")
GITLAB = parsed(ROOT / "examples/gitlab/.gitlab-ci.yml")["sync-audit"]
NIGHTLY = ROOT / "examples/cron/sync-audit-nightly"
WELL = "ada.okafor@example.com"


def program(shell: Shell, place: str = "bin") -> Path:
    """A folder with `sync-audit` and `python`, as an environment with the wheel would have them."""
    folder = shell.folder / place
    folder.mkdir(parents=True)
    for name, line in (("sync-audit", shell.script()), ("python", f'exec {sys.executable} "$@"\n')):
        script = folder / name
        script.write_text(f"#!/bin/sh\n{line}")
        script.chmod(0o755)
    return folder


@pytest.fixture
def runner(servers: Servers, shell: Shell) -> Runner:
    """A job that uses the action."""
    program(shell, "sync-audit/bin")
    environ = servers.environ | {
        "SYNC_AUDIT_RETRIES": "0",
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(shell.folder / "summary.md"),
    }
    inputs = {name: str(each.get("default", "")) for name, each in ACTION["inputs"].items()}
    return Runner(shell.folder, shell.all_environ(environ), inputs)


def outputs(runner: Runner) -> dict[str, str]:
    """What a workflow sees of the action."""
    return {name: runner.value(each["value"]) for name, each in ACTION["outputs"].items()}


def with_options(runner: Runner, *options: str, **inputs: str) -> Runner:
    runner.inputs = {**runner.inputs, "options": "\n".join(options), **inputs}
    return runner


def all_scripts() -> list[str]:
    jobs = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    return [step["run"] for step in (*ACTION["runs"]["steps"], *jobs) if "run" in step]


@pytest.mark.parametrize("script", all_scripts())
def test_no_expression_gets_into_a_shell_line(script: str) -> None:
    assert "${{" not in script


def test_the_action_installs_the_commit_that_was_asked_for(runner: Runner, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho "$@" >>calls\n[ "$1" = -m ] || exit 0\nmkdir -p "$3/bin"\ncp "$0" "$3/bin/pip"\n'
    )
    python.chmod(0o755)
    runner.outputs["python"] = {"python-path": str(python)}
    runner.environ = {**runner.environ, "GITHUB_ACTION_PATH": str(ROOT)}
    runner.folder = tmp_path / "temp dir"
    runner.folder.mkdir()
    assert runner.run(STEPS["Install sync-audit"]).code == 0
    venv, pip = (runner.folder / "calls").read_text().splitlines()
    assert venv == f"-m venv {runner.folder}/sync-audit"
    assert pip.split()[0] == "install"
    assert pip.endswith(f" {ROOT}")


def test_the_action_audits_and_puts_out_counts_and_paths(runner: Runner) -> None:
    assert runner.run(STEPS["Audit"]).code == 0
    found = outputs(runner)
    report = json.loads(Path(found["json"]).read_text())
    assert found["exit-code"] == "4"
    for name in ("verdict", "total", "up-to-date", "needs-sync", "error", "not-checked"):
        assert found[name] == str(report["summary"][name.replace("-", "_")])
    assert Path(found["html"]).read_text().startswith("<!DOCTYPE html>")
    assert Path(found["csv"]).read_text().startswith("status,")
    assert (runner.folder / "summary.md").read_text()
    assert runner.run(STEPS["End as the audit has ended"]).code == 4


def test_the_action_masks_names_unless_told_not_to(runner: Runner) -> None:
    printed = {}
    for redact in ("true", "false"):
        ended = (
            runner.run(STEPS["Audit"]) if redact == "true" else with_options(runner, redact=redact).run(STEPS["Audit"])
        )
        printed[redact] = ended.err + Path(outputs(runner)["csv"]).read_text()
    assert "beatriz.costa@example.com" in printed["false"]
    assert "beatriz.costa@example.com" not in printed["true"]


def test_each_line_of_options_is_one_argument(runner: Runner) -> None:
    ended = with_options(runner, f"--user={WELL}", "", "--exit-zero\r").run(STEPS["Audit"])
    assert (outputs(runner)["exit-code"], outputs(runner)["total"]) == ("0", "1"), ended.err
    assert runner.run(STEPS["End as the audit has ended"]).code == 0


@pytest.mark.parametrize(
    "trick", ["$(touch pwned)", "`touch pwned`", '"; touch pwned; "', "--user=x; touch pwned", "*"]
)
def test_an_option_is_never_run(runner: Runner, trick: str) -> None:
    with_options(runner, trick).run(STEPS["Audit"])
    assert outputs(runner)["exit-code"] == "2"
    assert not list(runner.folder.rglob("pwned"))


def test_where_nothing_could_be_audited_there_is_nothing_to_upload(runner: Runner) -> None:
    runner.environ = {**runner.environ, "DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    runner.run(STEPS["Audit"])
    found = outputs(runner)
    assert (found["exit-code"], found["html"], found["total"]) == ("5", "", "")
    assert runner.run(STEPS["End as the audit has ended"]).code == 5


def test_html_and_csv_are_uploaded(runner: Runner) -> None:
    runner.run(STEPS["Audit"])
    found = outputs(runner)
    paths = runner.value(STEPS["Upload the reports"]["with"]["path"]).split()
    assert paths == [found["html"], found["csv"]]


def test_the_workflow_compares_with_the_last_time(runner: Runner) -> None:
    steps: dict[str, Any] = {step["name"]: step for step in WORKFLOW["jobs"]["audit"]["steps"] if "name" in step}
    last, audit, keep = (steps[name] for name in ("Is there a last time?", "Audit", "Keep it for next time"))
    codes = []
    for _ in range(2):
        runner.run(last)
        with_options(runner, *runner.value(audit["with"]["options"]).splitlines(), f"--user={WELL}").run(STEPS["Audit"])
        codes.append(outputs(runner)["exit-code"])
        runner.outputs["audit"] = outputs(runner)
        assert runner.run(keep).code == 0
    assert codes == ["0", "0"]
    report = json.loads((runner.folder / "baseline.json").read_text())
    assert report["run"]["baseline"]["path"] == "baseline.json"


def test_the_workflow_gives_the_secrets_to_the_action_alone() -> None:
    steps = WORKFLOW["jobs"]["audit"]["steps"]
    with_secrets = [step for step in steps if "secrets." in json.dumps(step)]
    assert [step["name"] for step in with_secrets] == ["Audit"]
    assert set(with_secrets[0]["env"]) == {"DATABASE_URL", "REPLICATE_API_TOKEN"}
    assert "env" not in WORKFLOW
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_the_examples_name_the_version_that_comes_next() -> None:
    (version, *_) = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    uses = [step.get("uses", "") for step in WORKFLOW["jobs"]["audit"]["steps"]]
    assert f"example/sync-audit@v{version}" in uses
    assert GITLAB["variables"]["SYNC_AUDIT_PACKAGE"] == f"replicate-sync-audit=={version}"


def test_the_gitlab_job_leaves_its_artifacts(servers: Servers, shell: Shell) -> None:
    program(shell)
    line = GITLAB["script"][-1].replace("/tmp/sync-audit/bin/", "bin/")
    environ = shell.all_environ(servers.environ | {"SYNC_AUDIT_RETRIES": "0"})
    done = subprocess.run(["bash", "-c", line], cwd=shell.folder, env=environ, capture_output=True, check=False)
    assert done.returncode == 4, done.stderr
    artifacts = [*GITLAB["artifacts"]["paths"], GITLAB["artifacts"]["reports"]["junit"]]
    assert all((shell.folder / name).stat().st_size for name in artifacts)


@pytest.fixture
def nightly(servers: Servers, shell: Shell) -> Shell:
    """The cron script's folder, with its settings."""
    bin_folder = program(shell)
    settings = servers.environ | {"SYNC_AUDIT_RETRIES": "0"}
    (shell.folder / "env").write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
    shell.environ = {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "SYNC_AUDIT_SETTINGS": str(shell.folder / "env"),
        "SYNC_AUDIT_REPORTS": str(shell.folder / "reports"),
    }
    (shell.folder / "reports").mkdir()
    return shell


def night(nightly: Shell) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NIGHTLY], env=nightly.all_environ({}), capture_output=True, text=True, check=False)


def test_the_nightly_script_says_what_is_to_be_done(nightly: Shell, servers: Servers) -> None:
    done = night(nightly)
    assert done.returncode == 4
    assert done.stdout.startswith("Hold: ")
    assert "\nfix:    preview for " in done.stdout
    assert done.stdout.splitlines()[-1].endswith("(exit 4)")
    assert servers.environ["REPLICATE_API_TOKEN"] not in done.stdout + done.stderr
    assert {path.stat().st_mode & 0o077 for path in (nightly.folder / "reports").iterdir()} == {0}


def test_the_nightly_script_says_nothing_where_all_is_well(nightly: Shell) -> None:
    (nightly.folder / "reports/sync-audit.toml").write_text(f'user = "{WELL}"\n')
    done = night(nightly)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_nightly_script_removes_old_reports_and_nothing_else(nightly: Shell) -> None:
    folder = nightly.folder / "reports"
    for name in ("2020-01-01.html", "2020-01-01.sqlite", "notes.txt", "sync-audit.toml"):
        (folder / name).write_text(f'user = "{WELL}"\n')
        os.utime(folder / name, (0, 0))
    assert night(nightly).returncode == 0
    left = {path.name for path in folder.iterdir()}
    assert {"notes.txt", "sync-audit.toml"} < left
    assert not any(name.startswith("2020") for name in left)
