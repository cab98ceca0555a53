"""`run --baseline`: what is marked, where the marks stand, and what they do to the exit code."""

import asyncio
import csv
import io
import json
import os
import select
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import msgspec
import pytest
from playwright.async_api import expect

from audit.cli.signals import CODES, Stop
from audit.commands import past_run
from audit.commands.outputs import report
from audit.commands.replicate import ProgressListener
from audit.commands.run import audit as audit_run
from audit.commands.settings import default_choices
from audit.errors import SettingsError
from audit.findings.comparison import UserSnapshot, snapshot_of
from audit.model.codes import Reason, Status
from audit.model.findings import AuditedUser, BaselineState
from audit.model.run import Baseline, Choices
from audit.model.times import utc_now
from audit.report.writer import Output
from audit.runfile import RunFile, open_salvaged
from tests.commands.run.test_kill_matrix import ended, wait_until
from tests.report.test_json_report import SCHEMA
from tests.support.audits import Servers, Shell, audit
from tests.support.command_lines import begun, resumed
from tests.support.report_browser import Open, browser, opened
from tests.support.report_samples import SampleRun, as_stored, narrowed, outdated, unfinished, up_to_date
from tests.support.run_files import population
from tests.support.samples import run_info

__all__ = ["browser", "opened"]


@pytest.fixture(scope="module")
def plain(synthetic_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON report on the synthetic users, without a baseline."""
    folder = tmp_path_factory.mktemp("plain")
    with audit(synthetic_servers.settings(folder)) as run_file:
        report(run_file, [Output("json", str(folder / "report.json"))])
    document: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return document


def earlier(plain: dict[str, Any], folder: Path, was: dict[str, str | None]) -> Path:
    """The report of an earlier run, in which users stood otherwise; reason None: was not there."""
    document = json.loads(json.dumps(plain))
    users = [user for user in document["users"] if was.get(user["user_id"], "") is not None]
    for user in users:
        if reason := was.get(user["user_id"]):
            user.update(status=Reason(reason).status.value, reason=reason)
    document.update(users=users, summary={})
    path = folder / "earlier.json"
    path.write_text(json.dumps(document))
    return path


def ids(plain: dict[str, Any], status: Status) -> list[str]:
    return [user["user_id"] for user in plain["users"] if user["status"] == status]


def test_every_report_marks_what_is_new_known_and_resolved(
    synthetic_servers: Servers, plain: dict[str, Any], tmp_path: Path
) -> None:
    due, fine, wrong = ids(plain, Status.NEEDS_SYNC), ids(plain, Status.UP_TO_DATE), ids(plain, Status.ERROR)
    was = {due[0]: "latest_version", due[1]: None, fine[0]: "outdated_version", wrong[0]: "latest_version"}
    path = earlier(plain, tmp_path, was)
    with audit(synthetic_servers.settings(tmp_path, baseline=path)) as run_file:
        path.unlink()  # the run file has all that is needed
        outputs = [Output(kind, str(tmp_path / f"a.{kind}")) for kind in ("json", "csv", "html")]
        outcome = report(run_file, outputs)
    document = json.loads((tmp_path / "a.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    marks = {user["user_id"]: user["baseline"] for user in document["users"]}
    assert {user for user, mark in marks.items() if mark == "new"} == {due[0], due[1], wrong[0]}
    assert {user for user, mark in marks.items() if mark == "resolved"} == {fine[0]}
    assert {user for user, mark in marks.items() if mark == "known"} == {*due[2:], *wrong[1:]}
    assert outcome.view.since_baseline
    assert document["summary"]["baseline"] == outcome.view.since_baseline.states
    assert document["run"]["baseline"] == {
        "run_id": plain["run"]["id"],
        "started_at": plain["run"]["started_at"],
        "path": str(path),
        "looked_for": plain["run"]["looked_for"],
    }
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert {row["user_id"]: row["baseline"] or None for row in rows} == marks
    assert "3 new since the baseline" in (tmp_path / "a.html").read_text()


def test_a_report_rendered_again_has_the_same_marks_and_the_same_code(
    synthetic_servers: Servers, plain: dict[str, Any], tmp_path: Path
) -> None:
    path = earlier(plain, tmp_path, {ids(plain, Status.NEEDS_SYNC)[0]: None})
    first, again = tmp_path / "first.json", tmp_path / "again.json"
    with audit(synthetic_servers.settings(tmp_path, baseline=path, fail_on="new")) as run_file:
        status = report(run_file, [Output("json", str(first))]).exit_status
    with RunFile.open(tmp_path / "run.sqlite") as run_file:
        assert report(run_file, [Output("json", str(again))]).exit_status == status
    assert again.read_bytes() == first.read_bytes()
    assert (status.code, status.meaning) == (3, "1 user newly needs a sync")


class Case(NamedTuple):
    """Options of a run, of whom the baseline lacks one, and how the run ends."""

    options: tuple[str, ...]
    gone: Status | None
    code: int
    words: str


CASES = {
    "nothing new": Case(("--fail-on", "new"), None, 0, "none counts with --fail-on new"),
    "a new one": Case(("--fail-on", "new"), Status.NEEDS_SYNC, 3, "1 user newly needs a sync"),
    "exit zero": Case(("--fail-on", "new", "--exit-zero"), Status.NEEDS_SYNC, 0, "but --exit-zero lets that pass"),
    "a new error": Case(("--fail-on", "new"), Status.ERROR, 4, "1 user has a new error"),
    "any": Case((), None, 4, "could not be checked"),
    "never": Case(("--fail-on", "never"), None, 4, "could not be checked"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_exit_code_follows_the_marks(
    case: Case, synthetic_servers: Servers, plain: dict[str, Any], shell: Shell
) -> None:
    path = earlier(plain, shell.folder, {ids(plain, case.gone)[0]: None} if case.gone else {})
    shell.environ = synthetic_servers.environ
    ended = shell("run", "--baseline", path.name, "-o", "a.json", *case.options)
    assert ended.code == case.code, ended.err
    assert case.words in ended.last_line
    assert f"{1 if case.gone else 0} new since earlier.json" in ended.err


def test_a_baseline_that_cannot_be_read_ends_the_run_before_anything_is_asked(
    synthetic_servers: Servers, shell: Shell
) -> None:
    (shell.folder / "old.json").write_text("{")
    shell.environ = synthetic_servers.environ
    ended = shell("run", "--baseline", "old.json", "--run-file", "run.sqlite")
    assert ended.code == 5
    assert "Error: --baseline: old.json is damaged: it ends in the middle" in ended.err
    assert not (shell.folder / "run.sqlite").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_the_first_signal_ends_the_wait_for_a_baseline_that_does_not_come(
    synthetic_servers: Servers, shell: Shell, number: signal.Signals
) -> None:
    os.mkfifo(shell.folder / "pipe")
    writer = os.open(shell.folder / "pipe", os.O_RDWR)
    try:
        shell.environ = synthetic_servers.environ
        os.write(writer, b"{")
        process = shell.start("run", "--baseline", "pipe", "--run-file", "run.sqlite")
        wait_until(lambda: not select.select([writer], [], [], 0)[0], process)  # so it has been read
        process.send_signal(number)
        assert ended(process).code == CODES[number]
    finally:
        os.close(writer)
    assert not (shell.folder / "run.sqlite").exists()


def test_a_resumed_run_keeps_its_baseline(synthetic_servers: Servers, plain: dict[str, Any], tmp_path: Path) -> None:
    due = ids(plain, Status.NEEDS_SYNC)[0]
    path = earlier(plain, tmp_path, {due: None})
    with audit(synthetic_servers.settings(tmp_path, baseline=path, fail_on="new", outputs=())) as run_file:
        before = {user.record.user_id: user.baseline for user in run_file.users()}
    path.unlink()
    with audit_run.open_to_resume(tmp_path / "run.sqlite") as run_file:
        again = resumed({}, synthetic_servers.environ, run_file.info, run_file.choices)
        asyncio.run(audit_run.resume(run_file, again, ProgressListener(), Stop()))
        assert {user.record.user_id: user.baseline for user in run_file.users()} == before
        assert (again.choices.fail_on, before[due]) == ("new", "new")


def test_what_counts_may_be_said_anew_and_is_remembered(synthetic_servers: Servers, tmp_path: Path) -> None:
    audit(synthetic_servers.settings(tmp_path, outputs=())).close()
    with audit_run.open_to_resume(tmp_path / "run.sqlite") as run_file:
        again = resumed({"fail_on": "never"}, synthetic_servers.environ, run_file.info, run_file.choices)
        asyncio.run(audit_run.resume(run_file, again, ProgressListener(), Stop()))
        assert run_file.choices
        assert run_file.choices.fail_on == "never"


@pytest.mark.parametrize("compared", [True, False])
def test_only_with_a_baseline_can_something_be_new(compared: bool) -> None:  # noqa: FBT001 - pytest's
    environ = {"DATABASE_URL": "postgresql://h/d", "REPLICATE_API_TOKEN": "r8_x"}
    if compared:
        assert begun({"fail_on": "new", "baseline": "x"}, environ, utc_now()).choices.fail_on == "new"
    else:
        with pytest.raises(SettingsError, match="--fail-on: new needs --baseline"):
            begun({"fail_on": "new"}, environ, utc_now())


def test_an_unknown_word_for_what_counts_is_named() -> None:
    with pytest.raises(SettingsError, match="--fail-on: 'some' is not one of 'any', 'new', 'never'"):
        begun({"fail_on": "some"}, {}, utc_now())


def test_a_choice_that_an_older_run_file_lacks_is_the_default() -> None:
    older = msgspec.json.decode(b'{"outputs":[],"concurrency":1,"per_minute":1,"timeout":1,"retries":1}', type=Choices)
    assert older.fail_on == "any"


@pytest.mark.parametrize("table", ["audited", "baseline"])
def test_what_is_left_of_a_damaged_run_is_marked_by_what_is_left_of_its_baseline(
    table: str, synthetic_servers: Servers, plain: dict[str, Any], tmp_path: Path
) -> None:
    due = ids(plain, Status.NEEDS_SYNC)[0]
    settings = synthetic_servers.settings(tmp_path, baseline=earlier(plain, tmp_path, {due: None}), outputs=())
    audit(settings).close()
    with closing(sqlite3.connect(settings.run_file)) as file, file:
        file.execute("DELETE FROM audited WHERE id = 1" if table == "audited" else "DROP TABLE baseline")
    with open_salvaged(settings.run_file) as rest:
        marks = {user.record.user_id: user.baseline for user in rest.users()}
        assert (rest.info.baseline is None) == (table == "baseline")
    assert marks[due] == (None if table == "baseline" else "new")


def marked(user: AuditedUser, mark: BaselineState | None) -> AuditedUser:
    return AuditedUser(user.record, user.finding, mark)


COMPARED = SampleRun(
    [
        marked(outdated(1, behind=1), "new"),
        marked(outdated(2, behind=1), "known"),
        marked(up_to_date(3), "resolved"),
        marked(up_to_date(4), None),
    ],
    narrowed(baseline=Baseline(run_id="a" * 32, started_at="2026-02-28T12:00:00Z", path="last.json")),
)


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_has_badges_and_a_filter_for_them(opened: Open) -> None:
    tab = await (await opened(COMPARED)).ready()
    marks = tab.page.locator("#rows td:nth-child(2) small")
    assert await marks.all_inner_texts() == ["New", "Known"]
    await tab.page.click('[data-tab="all"]')
    assert sorted(await marks.all_inner_texts()) == ["Known", "New", "Resolved"]
    await tab.page.locator('[data-filter="baseline"][data-value="new"]').first.evaluate("button => button.click()")
    assert await tab.names() == ["user00001@example.com"]
    assert "baseline=new" in await tab.fragment()


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_without_scripts_has_the_badges_too(opened: Open) -> None:
    tab = await opened(COMPARED, java_script_enabled=False)
    await expect(tab.page.locator("tr[id] td:nth-child(2) small")).to_have_text(["New", "Known"])


@pytest.mark.asyncio(loop_scope="session")
async def test_without_a_baseline_there_is_no_filter_for_it(opened: Open) -> None:
    tab = await (await opened(SampleRun([up_to_date(1)]))).ready()
    await expect(tab.page.locator('[data-filter="baseline"]')).to_have_count(0)


BOTH = unfinished(7, Reason.TRAINING_NOT_RECORDED, outdated(7, behind=2))
LOOKED: tuple[str, ...] = ("unfinished", "trainers")


def compared_run(
    folder: Path, before: AuditedUser | None, now: AuditedUser, looked_for: tuple[str, ...] = LOOKED
) -> Path:
    """The run file of a run that has found `now`, compared with one that had found `before`."""
    baseline = Baseline(run_id="b", started_at="2026-02-01T12:00:00Z", path="last.json", looked_for=looked_for)
    path = folder / "run.sqlite"
    info = run_info(state="complete", finished_at="2026-03-01T12:01:00Z", stuck_after=21_600.0, baseline=baseline)
    with RunFile.create(path, info) as run_file:
        with run_file.loading_baseline() as add:
            if before:
                add(snapshot_of(before))
        with run_file.loading():
            stored = as_stored(now)
            run_file.add(stored.record, None, stored.finding)
            run_file.save_population(population(1))
        run_file.save_choices(default_choices(fail_on="new"))
        run_file.finish(info)
    return path


@pytest.mark.parametrize(
    ("before", "looked_for", "code", "mark"),
    [
        (up_to_date(7), LOOKED, 3, "new"),
        (outdated(7, behind=2), LOOKED, 3, "new"),
        (unfinished(7, Reason.TRAINING_NOT_RECORDED), LOOKED, 3, "new"),
        (BOTH, LOOKED, 0, "known"),
        (outdated(7, behind=2), (), 0, None),
        (up_to_date(7), (), 3, "new"),
    ],
    ids=[
        *("was up to date", "was outdated alone", "was not recorded alone", "was both"),
        *("nobody had looked for the newer row", "the completed row is new"),
    ],
)
def test_fail_on_new_looks_at_both_reasons(
    before: AuditedUser, looked_for: tuple[str, ...], code: int, mark: str | None, shell: Shell
) -> None:
    compared_run(shell.folder, before, BOTH, looked_for)
    ended = shell("render", "run.sqlite", *(f"-oa.{kind}" for kind in ("json", "html", "md", "xml")))
    assert ended.code == code, ended.err
    document = json.loads((shell.folder / "a.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["users"][0]["baseline"] == mark
    said = "The baseline did not look for trainings that were not recorded"
    for text in (ended.err, *((shell.folder / f"a.{kind}").read_text() for kind in ("html", "md", "xml"))):
        assert (said in " ".join(text.replace("\\", "").split())) is (looked_for == ())


def test_a_report_is_a_baseline_with_both_reasons(shell: Shell) -> None:
    compared_run(shell.folder, None, BOTH)
    shell("render", "run.sqlite", "-oa.json")
    seen: dict[str, UserSnapshot] = {}
    for name in ("a.json", "run.sqlite"):

        def keep(user: UserSnapshot, name: str = name) -> bool:
            seen[name] = user
            return True

        assert past_run.read(shell.folder / name, keep).looked_for == LOOKED
        assert seen[name].reasons == ("training_not_recorded", "outdated_version")
    assert seen["a.json"] == seen["run.sqlite"]


def test_a_baseline_that_an_older_version_has_kept_is_read(shell: Shell) -> None:
    path = compared_run(shell.folder, outdated(7, behind=2), outdated(7, behind=2))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE older (user_id TEXT PRIMARY KEY, status TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;"
            "INSERT INTO older SELECT user_id, status, reason FROM baseline;"
            "DROP TABLE baseline; ALTER TABLE older RENAME TO baseline;"
        )
    assert shell("render", "run.sqlite", "-oa.json").code == 0
    assert json.loads((shell.folder / "a.json").read_text())["users"][0]["baseline"] == "known"
    with RunFile.open(path) as run_file:
        assert list(run_file.baseline.rows()) == [("user-00007", "", "needs_sync", "outdated_version", None)]
