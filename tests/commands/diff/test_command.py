"""`sync-audit diff`: real runs with changes in between, files of other releases, every format."""

import asyncio
import csv
import io
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import jsonschema
import pytest
from click.testing import CliRunner, Result

import audit.report
from audit.commands import cli
from audit.commands.diff.csv_format import COLUMNS
from audit.demo.database import load
from audit.demo.fake_replicate.faults import Refused
from audit.demo.fake_replicate.server import in_thread
from audit.findings.comparison import Change
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.model.run import Filters
from tests import ROOT
from tests.support.audits import Servers, new_database
from tests.support.audits import audit as audited
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.run_files import run_file_of
from tests.support.samples import NEW, OLD, finding, record
from tests.support.synthetic_users import OWNER, SyntheticUsers

SCHEMA = json.loads((Path(audit.report.__file__).parent / "diff-schema-1.json").read_text())
FIRST_JSON, FIRST_RUN = ROOT / "tests/fixtures/report-0.1.0.json", ROOT / "tests/fixtures/run-0.1.0.sqlite"


def diff(*arguments: object) -> Result:
    """The command in this process; `return_value` is its exit status."""
    return CliRunner().invoke(cli, ["diff", *map(str, arguments)], standalone_mode=False)


def compared(old: object, new: object, *options: str) -> dict[str, Any]:
    """The comparison as JSON, checked against its schema."""
    ended = diff(old, new, "-o", "json=-", *options)
    assert ended.exception is None, ended.exception
    document: dict[str, Any] = json.loads(ended.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["exit_code"] == ended.return_value.code
    return document


def by_change(document: dict[str, Any]) -> dict[str, set[str]]:
    """User ids by change."""
    found: dict[str, set[str]] = {}
    for user in document["users"]:
        found.setdefault(user["change"], set()).add(user["user_id"])
    return found


@dataclass
class Days:
    """Audits of the same users: at first, the day after, and while Replicate was down; each as run file and JSON."""

    synthetic_users: SyntheticUsers
    folder: Path

    def run(self, name: str) -> Path:
        return self.folder / name / "run.sqlite"

    def report(self, name: str) -> Path:
        return self.folder / name / "report.json"


@pytest.fixture(scope="module")
def days(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Days:
    synthetic_users, folder = SyntheticUsers(60, oddities=0.5), tmp_path_factory.mktemp("days")
    dsn = asyncio.run(new_database(postgres_server, "days"))
    asyncio.run(load(dsn, synthetic_users))
    with in_thread(InstrumentedReplicate(synthetic_users)) as fake:
        place = Servers(dsn, fake)
        audited(place.settings(folder / "first", outputs=())).close()
        asyncio.run(overnight(dsn, synthetic_users))
        audited(place.settings(folder / "second", outputs=())).close()
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(faults=(Refused(status=503),)))) as fake:
        audited(Servers(dsn, fake).settings(folder / "down", outputs=(), retries=0)).close()
    made = Days(synthetic_users, folder)
    for name in ("first", "second", "down"):
        CliRunner().invoke(cli, ["render", str(made.run(name)), "-o", str(made.report(name))], standalone_mode=False)
    return made


def who(synthetic_users: SyntheticUsers, reason: Reason, place: int = 0) -> str:
    """The id of a user of whom `reason` is the right verdict."""
    return [synthetic_users.user_id(i) for i in range(synthetic_users.n) if synthetic_users.reason(i) is reason][place]


async def overnight(dsn: str, synthetic_users: SyntheticUsers) -> None:
    """One is repaired, one broken, one changed for the worse, one gone, one has come."""
    newest = {synthetic_users.user_id(i): synthetic_users.versions(i) for i in range(synthetic_users.n)}
    set_version = "UPDATE user_models SET replicate_version_id = $2 WHERE user_id = $1"
    connection = await asyncpg.connect(dsn)
    try:
        repaired = who(synthetic_users, Reason.OUTDATED_VERSION)
        await connection.execute(set_version, repaired, newest[repaired][0].id)
        own = "UPDATE user_models SET lora_weights_url = 'https://weights.example.com/new.tar' WHERE user_id = $1"
        await connection.execute(own, repaired)
        broken = who(synthetic_users, Reason.LATEST_VERSION)
        await connection.execute(set_version, broken, newest[broken][1].id)
        await connection.execute(set_version, who(synthetic_users, Reason.OUTDATED_VERSION, 1), "latest")
        gone = who(synthetic_users, Reason.LATEST_VERSION, 1)
        await connection.execute("DELETE FROM user_models WHERE user_id = $1", gone)
        await connection.execute("INSERT INTO users (id, email) VALUES ('zoe', 'zoe@example.com')")
        await connection.execute(
            "INSERT INTO user_models (user_id, training_status, replicate_model_id, updated_at)"
            " VALUES ('zoe', 'completed', $1, now())",
            f"{OWNER}/{synthetic_users.model_name(0)}",
        )
    finally:
        await connection.close()


@pytest.mark.parametrize("old", ["run", "report"])
@pytest.mark.parametrize("new", ["run", "report"])
def test_what_happened_overnight_is_told_whichever_kinds_of_files_are_compared(days: Days, old: str, new: str) -> None:
    document = compared(getattr(days, old)("first"), getattr(days, new)("second"))
    synthetic_users = days.synthetic_users
    assert by_change(document) == {
        "new": {who(synthetic_users, Reason.LATEST_VERSION), "zoe"},
        "changed": {who(synthetic_users, Reason.OUTDATED_VERSION, 1)},
        "resolved": {who(synthetic_users, Reason.OUTDATED_VERSION)},
        "left": {who(synthetic_users, Reason.LATEST_VERSION, 1)},
    }
    assert (document["exit_code"], document["warnings"]) == (3, [])
    assert document["summary"]["total"] == synthetic_users.n + 1
    changed = next(user for user in document["users"] if user["change"] == "changed")
    assert changed["differs"] == ["reason", "current_version"]
    assert (changed["old"]["reason"], changed["new"]["reason"]) == ("outdated_version", "malformed_version")


def test_a_run_while_replicate_was_down_resolves_nobody_and_cannot_tell(days: Days) -> None:
    document = compared(days.run("second"), days.report("down"))
    summary = document["summary"]
    assert (summary["resolved"], summary["new"], document["exit_code"]) == (0, 0, 4)
    assert summary["not_compared"] >= summary["maybe_worse"] > 0
    due = {who(days.synthetic_users, Reason.UNKNOWN_VERSION), who(days.synthetic_users, Reason.LATEST_VERSION)}
    assert due <= by_change(document)["not_compared"]


def test_back_again_is_the_other_way_round(days: Days) -> None:
    synthetic_users = days.synthetic_users
    document = compared(days.run("second"), days.run("first"))
    assert by_change(document)["resolved"] == {who(synthetic_users, Reason.LATEST_VERSION)}
    assert by_change(document)["new"] == {who(synthetic_users, Reason.OUTDATED_VERSION)}
    assert by_change(document)["left"] == {"zoe"}
    assert "OLD is newer than NEW" in document["warnings"][0]


@pytest.mark.parametrize("name", ["first", "second", "down"])
@pytest.mark.parametrize("kind", ["run", "report"])
def test_a_run_compared_with_itself_has_no_change_and_the_counts_add_up(days: Days, name: str, kind: str) -> None:
    document = compared(getattr(days, kind)(name), days.run(name))
    summary = document["summary"]
    assert {user["change"] for user in document["users"]} <= {"not_compared"}
    assert sum(summary[change] for change in Change) == summary["total"] == document["old"]["users"]
    assert sum(summary["unchanged_by_status"].values()) == summary["unchanged"]
    assert document["warnings"] == ["Both are the same run: only retried users can differ."]


@pytest.mark.parametrize("path", [FIRST_JSON, FIRST_RUN], ids=["JSON", "run file"])
def test_what_the_first_release_wrote_is_read(path: Path, days: Days) -> None:
    document = compared(path, FIRST_RUN)
    assert document["old"]["users"] == 71
    assert document["summary"]["unchanged_by_status"]["up_to_date"] == 32
    assert document["summary"]["changed"] == 0
    assert compared(path, days.run("second"))["summary"]["left"] == 71


def run_of(folder: Path, name: str, *users: AuditedUser, **info: Any) -> Path:
    return run_file_of(folder / f"{name}.sqlite", users, **({"id": name * 32} | info))


def one(reason: Reason, **changes: Any) -> AuditedUser:
    return AuditedUser(record(**changes), finding(reason, latest_version=NEW, detail=changes.get("detail")))


def test_an_interrupted_run_says_that_it_resolves_nobody(tmp_path: Path) -> None:
    old = run_of(tmp_path, "a", one(Reason.OUTDATED_VERSION))
    new = run_of(tmp_path, "b", one(Reason.LATEST_VERSION), state="interrupted", stop_reason="stopped by SIGINT")
    document = compared(old, new)
    assert (document["summary"]["resolved"], document["summary"]["changed"], document["exit_code"]) == (0, 1, 0)
    assert "users who are up to date now are changed, not resolved" in document["warnings"][0]


def test_what_is_written_is_masked_if_either_run_is(tmp_path: Path) -> None:
    old = run_of(tmp_path, "a", one(Reason.LATEST_VERSION))
    new = run_of(tmp_path, "b", one(Reason.OUTDATED_VERSION), redacted=True)
    for form in ("text", "json", "md", "html", "csv"):
        masked = diff(old, new, "-o", f"{form}=-").stdout
        assert "ann@example.com" not in masked, form
        assert "a***@***" in masked, form
    assert "ann@example.com" in diff(old, run_of(tmp_path, "c", one(Reason.NO_VERSIONS))).stdout


def test_a_masked_report_and_its_run_file_are_alike(days: Days, tmp_path: Path) -> None:
    masked = tmp_path / "masked.json"
    CliRunner().invoke(cli, ["render", str(days.run("first")), "--redact", "-o", str(masked)], standalone_mode=False)
    document = compared(masked, days.run("first"))
    assert document["redacted"] is True
    assert document["summary"]["changed"] == 0


def test_masked_ids_are_refused_because_they_name_nobody(tmp_path: Path) -> None:
    old = run_of(tmp_path, "a", *(one(Reason.LATEST_VERSION, user_id=name) for name in ("ann@a.com", "ada@a.com")))
    masked = tmp_path / "masked.json"
    CliRunner().invoke(cli, ["render", str(old), "--redact", "-o", str(masked)], standalone_mode=False)
    ended = diff(masked, old)
    assert "masked (--redact), so nobody in it can be found again" in str(ended.exception)
    new = run_of(tmp_path, "b", *(one(Reason.NO_VERSIONS, user_id=name) for name in ("ann@a.com", "ada@a.com")))
    document = compared(old, new, "--redact")
    assert [(user["user_id"], user["change"]) for user in document["users"]] == [("a***@***", "new")] * 2
    assert [user["new"]["reason"] for user in document["users"]] == ["no_versions"] * 2


def test_a_damaged_run_does_not_say_that_its_lost_users_have_left(tmp_path: Path) -> None:
    users = [one(Reason.LATEST_VERSION, user_id=f"u{n}") for n in range(3)]
    old, new = run_of(tmp_path, "a", *users), run_of(tmp_path, "b", *users)
    with closing(sqlite3.connect(new)) as file, file:
        file.execute("DELETE FROM audited WHERE id = 2")
    document = compared(old, new)
    assert (by_change(document), document["exit_code"]) == ({"not_compared": {"u1"}}, 4)
    assert "NEW has only 2 of its 3 users" in document["warnings"][0]


HOSTILE = "<script>alert(1)</script>|`x`\x1b[31m\u202e@team #1\n=1+1"


def test_text_from_data_does_nothing_in_any_format(tmp_path: Path) -> None:
    old = run_of(tmp_path, "a", one(Reason.LATEST_VERSION, email=HOSTILE, replicate_version_id=OLD))
    new = run_of(
        tmp_path,
        "b",
        AuditedUser(record(email=HOSTILE, replicate_model_id=HOSTILE), finding(Reason.TIMEOUT, detail=HOSTILE)),
        database=HOSTILE,
    )
    for form in ("text", "json", "md", "html", "csv"):
        written = diff(old, new, "-o", f"{form}=-").stdout
        assert not re.search("[\x1b\u202e]", written), form
    assert "<script>" not in diff(old, new, "-o", "html=-").stdout
    markdown = diff(old, new, "-o", "md=-").stdout
    assert markdown.count("<script>") == len(re.findall(r"`[^`\n]*<script>[^`\n]*`", markdown)) > 0
    (row,) = csv.DictReader(io.StringIO(diff(old, new, "-o", "csv=-").stdout))
    assert row["new_detail"].startswith("<script>")
    guarded = run_of(tmp_path, "c", one(Reason.TIMEOUT, email="=1+1"))
    assert "'=1+1" in diff(old, guarded, "-o", "csv=-").stdout


def test_csv_has_a_line_for_each_user_of_whom_there_is_something_to_tell(days: Days) -> None:
    ended = diff(days.run("first"), days.run("second"), "-o", "csv=-")
    rows = list(csv.DictReader(io.StringIO(ended.stdout)))
    assert tuple(rows[0]) == COLUMNS
    assert [row["change"] for row in rows] == ["new", "new", "changed", "resolved", "left"]
    assert (rows[-1]["old_status"], rows[-1]["new_status"]) == ("up_to_date", "")


def test_text_fits_into_eighty_columns_and_names_everybody(days: Days) -> None:
    ended = diff(days.run("first"), days.run("second"), "-o", "text=-")
    lines = ended.stdout.splitlines()
    assert max(len(line) for line in lines if str(days.folder) not in line) <= 80
    assert "2 users newly need attention" in lines
    assert "New (2)" in lines
    assert any("zoe@example.com" in line and "not there → No version stored" in line for line in lines)


def test_long_lists_are_cut_where_a_person_reads_them_and_whole_elsewhere(tmp_path: Path) -> None:
    users = [record(user_id=f"u{n:03}", email=f"u{n:03}@example.com") for n in range(230)]
    old = run_of(tmp_path, "a", *(AuditedUser(user, finding(Reason.LATEST_VERSION)) for user in users))
    new = run_of(tmp_path, "b", *(AuditedUser(user, finding(Reason.NO_VERSION_RECORDED)) for user in users))
    assert "and 210 more; all of them: -o csv=PATH" in diff(old, new).stdout
    assert "And 30 more; `-o csv=PATH` has them all." in diff(old, new, "-o", "md=-").stdout
    assert diff(old, new, "-o", "html=-").stdout.count("@example.com") == 230
    assert len(compared(old, new)["users"]) == 230


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gone.json", "{run}"), "gone.json cannot be read: no such file or directory"),
        (("{run}", "."), "cannot be read: is a directory"),
        (("{empty}", "{run}"), "is empty"),
        (("{text}", "{run}"), "is neither a run file nor a JSON report of sync-audit"),
        (("{run}", "{diff}"), "is no report of a run but a diff"),
        (("{sqlite}", "{run}"), "is not a run file of sync-audit"),
        (("{run}", "{run}", "-o", "x.junit"), "unknown format 'junit'"),
        (("{run}", "{run}", "-o", "csv={run}"), "is one of the runs to be compared"),
    ],
    ids=["missing", "directory", "empty", "text", "a diff", "another SQLite file", "format", "overwriting"],
)
def test_files_that_cannot_be_compared_are_named(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, "a", one(Reason.LATEST_VERSION))
    made = {name: tmp_path / name for name in ("empty", "text", "diff", "sqlite")}
    made["empty"].touch()
    made["text"].write_text("hello")
    made["diff"].write_text(diff(run, run, "-o", "json=-").stdout)
    with closing(sqlite3.connect(made["sqlite"])) as file, file:
        file.execute("CREATE TABLE a (b)")
    ended = diff(*(each.format(run=run, **made) for each in arguments))
    assert words in str(ended.exception)


def test_narrowed_runs_are_compared_with_a_warning(tmp_path: Path) -> None:
    old = run_of(tmp_path, "a", one(Reason.LATEST_VERSION))
    new = run_of(tmp_path, "b", one(Reason.LATEST_VERSION), filters=Filters(limit=1))
    assert "narrowed differently" in compared(old, new)["warnings"][0]
