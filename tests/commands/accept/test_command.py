"""`accept`, `run --accept` and `render --accept`, from whole audits."""

import asyncio
import json
import shutil
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from audit.cli.signals import Stop
from audit.commands import outputs
from audit.commands.accept.file import NAME, read
from audit.commands.replicate import ProgressListener
from audit.commands.run import audit as audit_run
from audit.model.codes import Reason, Status
from audit.model.findings import Acceptance, Acceptances, Finding
from audit.model.shard import Shard
from audit.report.writer import Output
from audit.runfile import RunFile, open_salvaged
from tests.support.audits import Servers, Shell, audit
from tests.support.command_lines import resumed
from tests.support.report_samples import as_stored, outdated, unfinished, version_hash
from tests.support.run_files import run_file_of

BEHIND = "beatriz.costa@example.com"
WELL = "yusuf.demir@example.com"
GONE = "clara.schmidt@example.com"
TODAY = datetime.now(UTC).date()
LATER = (TODAY + timedelta(days=90)).isoformat()
OVER = (TODAY - timedelta(days=1)).isoformat()


@pytest.fixture(scope="module")
def run_file(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, made without acceptances; not to be changed."""
    folder = tmp_path_factory.mktemp("run")
    settings = servers.settings(folder, outputs=())
    audit(settings).close()
    return settings.run_file


@pytest.fixture
def at_home(shell: Shell, run_file: Path) -> Shell:
    """A folder in which a run has been made."""
    (shell.folder / ".git").mkdir()
    (shell.folder / "reports").mkdir()
    shutil.copy(run_file, shell.folder / "reports" / "sync-audit-20260301T120000Z.sqlite")
    return shell


@pytest.fixture
def demo_shell(shell: Shell, servers: Servers) -> Shell:
    """A folder, and what a command needs to audit the demo users."""
    shell.environ = servers.environ
    return shell


def user(run_file: Path, email: str) -> Any:
    """The user in the run."""
    with RunFile.open(run_file) as opened:
        return next(user for user in opened.users() if user.record.email == email)


def entry(who: str, reason: Reason = Reason.OUTDATED_VERSION, **changes: Any) -> Acceptance:
    return Acceptance(**({"user": who, "reason": reason, "because": "leaves in May", "until": LATER} | changes))


def text(*entries: Acceptance) -> str:
    """A file of them."""
    lines = [
        f'[[accept]]\nuser = "{each.user}"\nreason = "{each.reason}"\nbecause = "{each.because}"\n'
        f"until = {each.until}\n"
        for each in entries
    ]
    return "\n".join(lines)


def reported(folder: Path, name: str = "a.json") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / name).read_text())
    return document


# The command
def test_reason_and_version_are_taken_from_the_newest_run(at_home: Shell, run_file: Path) -> None:
    newest = "reports/sync-audit-20260301T120000Z.sqlite"
    (at_home.folder / "reports" / "sync-audit-20250101T000000Z.sqlite").write_text("an old one")
    (at_home.folder / "reports" / "zzz.sqlite").write_text("no run file")
    ended = at_home("accept", "beatriz", "--because", "leaves in May", "--until", LATER, "--author", "Bo")
    assert ended.code == 0
    assert ended.err.startswith(f"using {newest}, the newest whole run of ")
    found = user(run_file, BEHIND).record
    written = entry(found.user_id, version=found.replicate_version_id, author="Bo")
    assert read(at_home.folder / NAME).entries == (written,)
    assert ended.out == (
        f"Wrote into {NAME}, which is new:\n\n"
        "  [[accept]]\n"
        f'  user = "{written.user}"\n'
        '  reason = "outdated_version"\n'
        f'  version = "{written.version}"\n'
        '  because = "leaves in May"\n'
        f"  until = {LATER}\n"
        '  author = "Bo"\n\n'
        f"It holds up to and including {LATER} (UTC), as long as reason and stored version stay the same.\n"
        "To see the run with it:\n"
        f"  sync-audit render {newest} \\\n    --accept {NAME}\n"
    )


def test_who_writes_the_e_mail_finds_it_in_the_file(at_home: Shell) -> None:
    at_home("accept", BEHIND.upper(), "--because", "x", "--until", LATER)
    assert [each.user for each in read(at_home.folder / NAME).entries] == [BEHIND.upper()]


def test_an_entry_on_the_same_user_and_reason_is_changed_and_said_so(at_home: Shell) -> None:
    at_home("accept", BEHIND, "--because", "x", "--until", LATER)
    ended = at_home("accept", "beatriz", "--because", "y", "--until", TODAY.isoformat())
    assert ended.out.startswith(f"Changed in {NAME} (it was until {LATER}, because: x):\n")
    assert [each.because for each in read(at_home.folder / NAME).entries] == ["y"]


def test_it_is_written_where_run_will_look(at_home: Shell) -> None:
    deep = at_home.folder / "a"
    shutil.copytree(at_home.folder / "reports", deep / "reports")
    (at_home.folder / NAME).write_text("# ours\n")
    at_home.folder = deep
    assert "Wrote into ../sync-audit-accept.toml:" in at_home("accept", BEHIND, "--because", "x", "--until", LATER).out
    (deep / "sync-audit.toml").write_text('accept = "known.toml"\n')
    ended = at_home("accept", BEHIND, "--because", "x", "--until", LATER)
    assert "Wrote into known.toml, which is new:" in ended.out
    ended = at_home("accept", BEHIND, "--because", "x", "--until", LATER, "--file", "other.toml")
    assert "Wrote into other.toml, which is new:" in ended.out


def test_without_a_run_the_reason_is_what_is_said(shell: Shell) -> None:
    options = ("--because", "x", "--until", LATER, "--file", "a.toml")
    ended = shell("accept", "anna", *options)
    assert ended.code == 2
    assert "no reason: --reason is not given, and there is no run file to look it up in" in ended.err
    ended = shell("accept", "anna", *options, "--reason", "timeout", "--version", "v")
    assert ended.code == 0
    assert read(shell.folder / "a.toml").entries == (entry("anna", Reason.TIMEOUT, because="x", version="v"),)


@pytest.mark.parametrize(
    ("who", "options", "words"),
    [
        (WELL, {}, "is up to date in"),
        ("nobody", {}, "matches 'nobody'"),
        ("example", {}, "'example' matches 77 users of"),
        (" ", {}, "USER is empty"),
        (BEHIND, {"--because": " "}, "--because is empty"),
        (BEHIND, {"--because": "\udcff"}, "--because is not UTF-8 text"),
        (BEHIND, {"--author": ""}, "--author is empty"),
        (BEHIND, {"--until": OVER}, f"--until {OVER} is over: today is {TODAY} (UTC)"),
        (BEHIND, {"--until": "2027-02-31"}, "--until '2027-02-31' is no date"),
        (BEHIND, {"--until": "tomorrow"}, "--until 'tomorrow' is no date"),
        (BEHIND, {"--until": "20271231"}, "--until '20271231' is no date"),
        (BEHIND, {"--reason": "stopped"}, "--reason: reason stopped cannot be accepted: the run did not reach"),
        (BEHIND, {"--reason": "outdated"}, "--reason: unknown reason 'outdated'"),
        (BEHIND, {"--reason": "timeout"}, "--reason is timeout, and"),
        (BEHIND, {"--run": "none.sqlite"}, "there is no run file none.sqlite"),
    ],
)
def test_what_cannot_be_accepted_is_refused_and_nothing_is_written(
    who: str, options: dict[str, str], words: str, at_home: Shell
) -> None:
    given = {"--because": "x", "--until": LATER} | options
    ended = at_home("accept", who, *[word for option in given.items() for word in option])
    assert words in ended.err.replace("\n  ", " ")
    assert ended.code == (5 if "--run" in options else 2)
    assert not (at_home.folder / NAME).exists()


def test_who_is_not_in_a_shard_is_looked_for_in_the_merged_run(shell: Shell) -> None:
    run_file_of(shell.folder / "part.sqlite", [], shard=Shard(2, 4))
    ended = shell("accept", "anna", "--because", "x", "--until", LATER, "--run", "part.sqlite")
    assert ended.code == 2
    assert "nobody in part.sqlite, which is only shard 2 of 4, matches 'anna'" in ended.err
    assert "Name the merged run file with --run." in ended.err


def stopped(place: Servers, folder: Path, **changes: Any) -> RunFile:
    """A run that ends after its first answer."""
    stop = Stop()

    class Impatient(ProgressListener):
        def answered(self, findings: Sequence[Finding]) -> None:
            stop.request("interrupted", "stopped by SIGINT")

    settings = place.settings(folder, outputs=(), concurrency=1, **changes)
    return asyncio.run(audit_run.audit(settings, Impatient(), stop))


def test_who_was_not_reached_cannot_be_accepted_and_an_incomplete_run_neither(servers: Servers, shell: Shell) -> None:
    with stopped(servers, shell.folder) as run_file:
        first, reached = (next(run_file.users(status)).record.user_id for status in (Status.NOT_CHECKED, Status.ERROR))
        entries = [
            entry(each.record.user_id, each.finding.reason)
            for each in run_file.users()
            if each.finding.status is not Status.UP_TO_DATE
        ]
        run_file.use_acceptances(Acceptances(file="a.toml", entries=(*entries, entry("nobody"))))
        outcome = outputs.report(run_file, [], exit_zero=True)
        assert outcome.view.accepted.statuses.keys() <= {Status.ERROR, Status.NEEDS_SYNC}
        assert (outcome.view.accepted.total > 0, outcome.exit_status.code) == (True, 4)
        assert outcome.view.accepted.unmatched == (), "those who were not reached may need them"
    options = ("--because", "x", "--until", LATER, "--run", "run.sqlite")
    ended = shell("accept", first, *options)
    assert ended.code == 2
    assert "was not reached in run.sqlite" in ended.err
    assert "sync-audit run --resume run.sqlite" in ended.err
    assert shell("accept", reached, *options).code == 0


# What it does to a run
def test_run_reads_the_file_that_it_finds_and_the_exit_code_follows(servers: Servers, shell: Shell) -> None:
    (shell.folder / NAME).write_text(text(entry(BEHIND)))
    shell.environ = servers.environ
    ended = shell("run", "--user", BEHIND, "-o", "a.json", "--run-file", "run.sqlite")
    assert ended.code == 0, ended.err
    assert ended.last_line == "1 of 80 users checked: 1 accepted finding does not count (exit 0)"
    assert f"1 finding is accepted by {NAME} and does not count." in ended.err
    document = reported(shell.folder)
    assert document["users"][0]["accepted"] == {"because": "leaves in May", "until": LATER, "author": None}
    assert (document["summary"]["needs_sync"], document["summary"]["accepted"]) == (1, 1)
    (shell.folder / NAME).unlink()
    ended = shell("render", "run.sqlite", "-o", "b.json")
    assert (ended.code, reported(shell.folder, "b.json")) == (0, document)


PART = "1 of 80 users checked: 1 needs a sync"


@pytest.mark.parametrize(
    ("entries", "options", "code", "words"),
    [
        ([entry(BEHIND)], (), 0, "accepted finding"),
        ([entry(BEHIND)], ("--fail-on", "never"), 0, "accepted finding"),
        ([entry(BEHIND)], ("--no-accept",), 3, PART),
        ([entry(BEHIND, until=OVER)], (), 3, PART),
        ([entry(BEHIND, Reason.TIMEOUT)], (), 3, PART),
        ([entry(GONE, Reason.MODEL_NOT_FOUND)], ("--user", GONE), 3, "needs a sync"),
        ([entry(BEHIND)], ("--user", GONE), 4, "1 could not be checked"),
        ([entry(BEHIND), entry(GONE, Reason.MODEL_NOT_FOUND)], ("--user", GONE), 0, "accepted finding"),
    ],
    ids=["accepted", "never", "--no-accept", "expired", "another reason", "an error", "not the error", "both"],
)
def test_what_is_accepted_does_not_count(
    entries: list[Acceptance], options: tuple[str, ...], code: int, words: str, demo_shell: Shell
) -> None:
    shell = demo_shell
    (shell.folder / NAME).write_text(text(*entries))
    ended = shell("run", "--user", BEHIND, "-o", "a.json", *options)
    assert ended.code == code, ended.err
    assert words in ended.last_line


def test_the_last_day_still_counts_and_the_day_after_it_no_more(run_file: Path) -> None:
    who = user(run_file, BEHIND).record.user_id
    with RunFile.open(run_file) as opened:
        day = opened.info.started_at[:10]
        for until, total in ((day, 1), ("2026-01-01", 0)):
            opened.use_acceptances(Acceptances(file="a.toml", entries=(entry(who, until=until),)))
            outcome = outputs.report(opened, [])
            assert outcome.view.accepted.total == total
            assert len(outcome.view.accepted.expired) == 1 - total


def test_expired_and_needless_entries_are_named_on_the_terminal(at_home: Shell) -> None:
    over, stray = entry(BEHIND, until="2026-01-01"), entry("x\x1b@example.com".replace("\x1b", "\\u001b"))
    (at_home.folder / "a.toml").write_text(text(over, stray))
    [run] = (at_home.folder / "reports").glob("sync-audit-*.sqlite")
    ended = at_home("render", str(run), "--accept", "a.toml", "-o", "a.json")
    assert (
        "1 acceptance expired, and what it accepted counts again: "
        f"{BEHIND} (outdated version), until 2026-01-01 "
        "1 acceptance matches nobody: x\\x1b@example.com (outdated version)"
    ) in " ".join(ended.err.split())


def test_render_judges_anew_and_leaves_the_run_as_it_was(run_file: Path, at_home: Shell) -> None:
    [run] = (at_home.folder / "reports").glob("sync-audit-*.sqlite")
    (at_home.folder / NAME).write_text(text(entry(BEHIND)))
    before = run.read_bytes()
    anew = at_home("render", str(run), "--accept", NAME, "-o", "a.json")
    assert reported(at_home.folder)["summary"]["accepted"] == 1
    assert f"1 finding is accepted by {NAME}" in anew.err
    assert at_home("render", str(run), "-o", "a.json").code == 4
    assert reported(at_home.folder)["run"]["acceptances"] is None
    assert run.read_bytes() == before


def test_the_config_file_names_the_file_for_run_and_for_render_only_in_its_own_table(at_home: Shell) -> None:
    [run] = (at_home.folder / "reports").glob("sync-audit-*.sqlite")
    (at_home.folder / "known.toml").write_text(text(entry(BEHIND)))
    (at_home.folder / "sync-audit.toml").write_text('accept = "known.toml"\n')
    at_home("render", str(run), "-o", "a.json")
    assert reported(at_home.folder)["run"]["acceptances"] is None
    (at_home.folder / "sync-audit.toml").write_text('[render]\naccept = "known.toml"\n')
    at_home("render", str(run), "-o", "a.json")
    assert reported(at_home.folder)["run"]["acceptances"]["file"] == "known.toml"


def test_a_file_that_is_wrong_ends_the_run_before_anything_is_asked(shell: Shell) -> None:
    (shell.folder / NAME).write_text(text(entry(BEHIND)).replace("because", "becuase"))
    environ = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REPLICATE_API_TOKEN": "r8_x"}
    ended = shell("run", **environ)
    assert ended.code == 2
    assert f"fix: Did you mean because?\nError: {NAME}: entry 1 ({BEHIND}): unknown key becuase (exit 2)" in ended.err
    ended = shell("run", "--accept", "none.toml", **environ)
    assert "Error: --accept: file of acceptances none.toml cannot be read: no such file or directory" in ended.err
    ended = shell("run", "--accept", NAME, "--no-accept", **environ)
    assert "--accept and --no-accept can't be used together" in ended.err


@pytest.mark.slow
def test_a_resumed_run_keeps_its_acceptances_unless_others_are_given(servers: Servers, shell: Shell) -> None:
    kept = Acceptances(file="a.toml", entries=(entry(BEHIND),))
    with stopped(servers, shell.folder, acceptances=kept) as run_file:
        assert run_file.info.acceptances == kept
    (shell.folder / NAME).write_text(text(entry(WELL)))
    shell.environ = servers.environ
    assert shell("run", "--resume", "run.sqlite", "-o", "a.json").code == 4
    assert reported(shell.folder)["run"]["acceptances"]["accepted"] == 1
    assert shell("run", "--resume", "run.sqlite", "-o", "a.json", "--accept", NAME).code == 4
    block = reported(shell.folder)["run"]["acceptances"]
    assert (block["file"], block["accepted"], block["unmatched"][0]["user"]) == (NAME, 0, WELL)


def test_resuming_by_settings_alone_changes_nothing(run_file: Path, servers: Servers) -> None:
    with RunFile.open(run_file) as opened:
        again = resumed({}, servers.environ, opened.info, opened.choices)
    assert (again.replaces_acceptances, again.acceptances) == (False, None)


def test_what_is_left_of_a_damaged_run_can_be_judged_too(servers: Servers, tmp_path: Path) -> None:
    kept = Acceptances(file="a.toml", entries=(entry(BEHIND),))
    settings = servers.settings(tmp_path, outputs=(), acceptances=kept)
    audit(settings).close()
    with open_salvaged(settings.run_file) as rest:
        assert outputs.report(rest, []).view.accepted.total == 1
        rest.use_acceptances(None)
        assert outputs.report(rest, []).view.accepted.total == 0


def test_with_a_baseline_marks_stay_and_what_is_accepted_is_not_new(servers: Servers, tmp_path: Path) -> None:
    first = servers.settings(tmp_path, outputs=(("json", str(tmp_path / "old.json")),))
    with audit(first) as run_file:
        outputs.report(run_file, [Output("json", str(tmp_path / "old.json"))])
    document = reported(tmp_path, "old.json")
    document["users"] = [each for each in document["users"] if each["email"] not in {BEHIND, GONE}]
    document["summary"] = {}
    (tmp_path / "old.json").write_text(json.dumps(document))
    both = Acceptances(file="a.toml", entries=(entry(BEHIND), entry(GONE, Reason.MODEL_NOT_FOUND)))
    changes = {"baseline": tmp_path / "old.json", "fail_on": "new", "outputs": ()}
    with audit(servers.settings(tmp_path, run_file=tmp_path / "new.sqlite", acceptances=both, **changes)) as run_file:
        outcome = outputs.report(run_file, [])
        states = {each.record.email: (each.baseline, each.accepted is not None) for each in run_file.users()}
        assert (states[BEHIND], states[GONE]) == (("new", True), ("new", True))
        assert outcome.view.since_baseline
        assert (
            outcome.view.since_baseline.states["new"],
            outcome.view.since_baseline.needs_sync,
            outcome.view.since_baseline.errors,
        ) == (2, 0, 0)


def test_every_format_is_written_again_byte_for_byte(servers: Servers, tmp_path: Path) -> None:
    kept = Acceptances(file="a.toml", entries=(entry(BEHIND), entry(WELL), entry(GONE, until="2026-01-01")))
    formats = ("html", "csv", "json", "md", "junit")
    with audit(servers.settings(tmp_path, outputs=(), acceptances=kept)) as run_file:
        outputs.report(run_file, [Output(each, str(tmp_path / f"a.{each}")) for each in formats])
    with RunFile.open(tmp_path / "run.sqlite") as run_file:
        outputs.report(run_file, [Output(each, str(tmp_path / f"b.{each}")) for each in formats])
    for each in formats:
        assert (tmp_path / f"a.{each}").read_bytes() == (tmp_path / f"b.{each}").read_bytes()
        assert b"leaves in May" in (tmp_path / f"a.{each}").read_bytes() or each in {"csv", "html"}


def newest_run(folder: Path) -> Path:
    both = unfinished(7, Reason.TRAINING_NOT_RECORDED, outdated(7, behind=2))
    alone = unfinished(8, Reason.FAILURE_NOT_RECORDED)
    return run_file_of(folder / "run.sqlite", map(as_stored, (both, alone)))


def test_both_reasons_the_version_that_runs_and_the_training_are_filled_in(shell: Shell) -> None:
    newest_run(shell.folder)
    ended = shell("accept", "user-00007", "--because", "on leave", "--until", LATER, "--run", "run.sqlite")
    assert ended.code == 0, ended.err
    (entry,) = tomllib.loads((shell.folder / NAME).read_text())["accept"]
    assert entry["reason"] == ["training_not_recorded", "outdated_version"]
    assert (entry["training"], entry["version"]) == ("trained-7", version_hash((7, 2)))
    assert "as long as both reasons, stored version and training stay the same" in ended.out
    shell("render", "run.sqlite", "-o", "a.json", "--accept", NAME)
    users = {each["user_id"]: each["accepted"] for each in reported(shell.folder)["users"]}
    assert users["user-00007"]
    assert users["user-00008"] is None


def test_the_next_training_is_not_swallowed(shell: Shell) -> None:
    newest_run(shell.folder)
    ended = shell("accept", "user-00008", "--because", "b", "--until", LATER, "--run", "run.sqlite")
    assert "as long as reason and training stay the same" in ended.out
    (shell.folder / "run.sqlite").unlink()
    next_one = unfinished(8, Reason.FAILURE_NOT_RECORDED, training_id="trained-9")
    run_file_of(shell.folder / "run.sqlite", [next_one])
    shell("render", "run.sqlite", "-o", "a.json", "--accept", NAME)
    document = reported(shell.folder)
    assert document["users"][0]["accepted"] is None
    assert [each["training"] for each in document["run"]["acceptances"]["unmatched"]] == ["trained-8"]


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ("training_not_recorded", 2),
        ("outdated_version", 2),
        ("training_not_recorded,outdated_version", 0),
        ("outdated_version, training_not_recorded", 0),
    ],
)
def test_one_reason_of_two_is_not_enough(codes: str, code: int, shell: Shell) -> None:
    newest_run(shell.folder)
    options = ("--because", "b", "--until", LATER, "--run", "run.sqlite", "--reason", codes)
    ended = shell("accept", "user-00007", *options)
    assert ended.code == code, ended.err
    if code:
        assert "an entry has to name both" in " ".join(ended.err.split())
