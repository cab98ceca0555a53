"""`sync-audit user` as a person runs it: real processes, real servers."""

import asyncio
import json
import os
import pty
import re
import subprocess
import time
from itertools import product
from pathlib import Path

import pytest

from audit.commands.user.case import UserCase
from audit.commands.user.last_training import TrainingOutcome
from audit.commands.user.lookup import look_up_in_run
from audit.commands.user.screen import FIRST_ROWS, LAST_ROWS, is_repaired
from audit.demo.database import load
from audit.demo.fake_replicate.server import TOKEN, in_thread
from audit.findings.rows import RowClass
from audit.model.exit_status import INCOMPLETE, NEEDS_SYNC, OK
from audit.runfile import RunFile
from tests import ROOT
from tests.support.audits import Ended, Servers, Shell, new_database
from tests.support.database_rows import ANNA, MODELS, USERS, execute, insert
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.synthetic_users import SyntheticUsers


@pytest.fixture
def user(shell: Shell, servers: Servers) -> Shell:
    """A shell with everything set that a look at the demo's users needs."""
    shell.environ = servers.environ
    return shell


def ends(ended: Ended, code: int, last_line: str) -> None:
    assert ended.code == code, ended.err
    assert ended.last_line == f"{last_line} (exit {code})"
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("who", "code", "cause"),
    [
        pytest.param("mara.lindqvist@example.com", OK, " is up to date", id="up to date"),
        pytest.param("noah.kim@example.com", NEEDS_SYNC, " needs a sync: outdated version", id="needs a sync"),
        pytest.param("ruth.abrams@example.org", INCOMPLETE, " could not be checked: token refused", id="error"),
        pytest.param("paul.nguyen@example.com", INCOMPLETE, " is in no report: no training counts", id="no training"),
    ],
)
def test_user_ends_as_a_run_of_that_one_user_would(user: Shell, who: str, code: int, cause: str) -> None:
    ended = user("user", who)
    ends(ended, code, f"{who}{cause}")


def test_the_screen_has_all_of_the_guide(user: Shell) -> None:
    ended = user("user", "marcus.johnson@example.com", "-v")
    sections = re.findall(r"^(\S.*?)(?: \(.*)?$", ended.out, re.MULTILINE)
    assert [each for each in sections if not each.startswith((">", "User id", "From", "marcus"))] == [
        "What to do",
        "The last training",
        "Training rows",
        "Versions on Replicate",
        "Where it comes from",
        "If the photos are bad",
        "Links",
        "Not known",
    ]
    for words in (
        "NEEDS SYNC  Outdated version  (outdated_version)",
        "The last training succeeded, but was not stored.",
        "counts: the latest completed row by updated_at",
        "7 versions behind",
    ):
        assert words in ended.out
    assert re.search(r"^  \d{4}-\d\d-\d\d \d\d:\d\d  [0-9a-f]{12}  latest$", ended.out, re.MULTILINE)
    assert re.search(r"^  \d{4}-\d\d-\d\d \d\d:\d\d  [0-9a-f]{12}  stored$", ended.out, re.MULTILINE)


def test_verdict_and_fix_come_first_and_the_rest_is_folded(user: Shell) -> None:
    short, whole = (user("user", "marcus.johnson@example.com", *more).out for more in ((), ("-v",)))
    places = [short.index(words) for words in ("NEEDS SYNC", "\n  Fix:\n", "\nThe last training\n", "\nTraining rows")]
    assert places == sorted(places)
    assert not re.search(r"^(Versions on Replicate|Where it comes from|Links)", short, re.MULTILINE)
    assert "\nWhat to do\n" not in short
    assert whole.startswith(short.partition("\n  Note:")[0].partition("\nThe last training")[0].rstrip())
    assert whole.index("\n  Fix:\n") < whole.index("\nWhat to do\n")


def test_a_newer_row_is_shown_with_what_it_says_and_what_came_of_it(user: Shell) -> None:
    ended = user("user", "dmitri.volkov@example.com", "-v")
    for words in (
        "NEEDS SYNC Training not recorded (training_not_recorded)",
        "Besides, of the completed row",
        "Outdated version (outdated_version)",
        "The last training succeeded, but was not stored.",
        "does not count: training_status is training",
    ):
        assert words in " ".join(ended.out.split())
    assert "If the photos are bad" not in ended.out


def test_of_very_many_rows_the_first_and_the_last_are_listed_with_the_one_that_counts(
    shell: Shell, postgres_server: str, synthetic_servers: Servers
) -> None:
    dsn = asyncio.run(new_database(postgres_server, "many_rows"))
    rows = f"""
        INSERT INTO user_models (user_id, training_status, replicate_model_id, replicate_version_id, updated_at)
        SELECT '{ANNA["id"]}', CASE WHEN n > 20000 THEN 'failed' ELSE 'completed' END, 'synthetic-photos/user-1',
            md5(n::text) || md5(n::text), '2026-01-01'::timestamptz + n * interval '1 minute'
        FROM generate_series(1, 50000) AS n"""
    asyncio.run(execute(dsn, USERS, MODELS))
    asyncio.run(insert(dsn, "users", [ANNA]))
    asyncio.run(execute(dsn, rows))
    shell.environ = synthetic_servers.environ | {"DATABASE_URL": dsn}
    ended = shell("user", ANNA["email"])
    assert "Traceback" not in ended.err
    assert len(ended.out.splitlines()) < 200
    words = " ".join(ended.out.split())
    assert "Training rows (50,000," in words
    assert "49,979 rows between are not shown: 29,985 failed, 19,994 completed" in words
    assert words.count("does not count:") == FIRST_ROWS + LAST_ROWS
    assert words.count(" counts: the latest completed row") == 1


@pytest.mark.parametrize("columns", ["80", "50"])
def test_lines_fit_the_terminal_but_for_what_is_to_be_copied_whole(user: Shell, columns: str) -> None:
    for who in ("dmitri.volkov", "lena.hoffmann", "helena.costa", "isabella", "victor"):
        for line in user("user", who, COLUMNS=columns).out.splitlines():
            words = re.split(r" {2,}|: ", line.strip())
            is_copied = "https://" in line or line.lstrip().startswith("sync-audit ") or len(words[-1]) == 64
            assert is_copied or len(line) <= max(80, int(columns)), line


def test_several_matches_are_listed_and_asked_for(user: Shell) -> None:
    ended = user("user", "50c1f7a2")
    ends(ended, 2, "Error: '50c1f7a2' matches 2 users")
    assert re.findall(r"^  (50c1f7a2-\S+)  (\S+)", ended.out, re.MULTILINE)[1][1] == "sarah.cohen@example.com"
    assert "'50c1f7a2' matches 2 users" in ended.err
    document = json.loads(user("user", "50c1f7a2", "--json").out)
    assert [each["email"] for each in document["matches"]] == ["daniel.stone@example.org", "sarah.cohen@example.com"]
    assert document["exit_code"] == 2


def test_matches_in_a_run_file_are_listed_with_their_status(user: Shell) -> None:
    user("run", "--run-file", "r.sqlite", "-o", "r.json")
    listed = user("user", "50c1f7a2", "--run", "r.sqlite").out.splitlines()
    statuses = {each["email"]: each["status"] for each in json.loads((user.folder / "r.json").read_text())["users"]}
    titles = {"up_to_date": "Up to date", "needs_sync": "Needs sync", "error": "Check failed"}
    assert len(listed) == 2
    for line in listed:
        email = line.split()[1]
        assert line.endswith(f"  {titles[statuses[email]]}")
    assert all(line.endswith("  not checked") for line in user("user", "50c1f7a2").out.splitlines())


def test_what_sync_repairs_begins_with_the_command_and_fits_on_a_screen(user: Shell) -> None:
    user("run", "--run-file", "r.sqlite", "-o", "r.json")
    named, live = user("user", "noah.kim", "--run", "r.sqlite"), user("user", "noah.kim")
    for ended in (named, live):
        assert len(ended.out.splitlines()) <= 28, ended.out
        assert max(map(len, ended.out.splitlines())) <= 84, ended.out
    user_id = re.search(r"^User id (\S+)$", named.out, re.MULTILINE)
    assert user_id
    assert f"\n    sync-audit sync r.sqlite --user {user_id[1]} --apply\n" in named.out
    assert f"\n    sync-audit sync RUN.sqlite --user {user_id[1]} --apply\n" in live.out


def test_whoever_sync_changes_without_options_has_its_command_and_nobody_else(user: Shell) -> None:
    user("run", "--run-file", "r.sqlite")
    changed = {each["user_id"] for each in json.loads(user("sync", "r.sqlite", "-o", "-").out)["changes"]}
    with RunFile.open(user.folder / "r.sqlite") as run_file:
        cases = [look_up_in_run(run_file, each.record.user_id) for each in run_file.users()]
    several = [each for each in cases if isinstance(each, UserCase) and each.user]
    repaired = {each.person.user_id for each in several if is_repaired(each)}
    # Of a newer row that is left out, sync may change the completed one all the same: the steps tell both.
    besides = {each.person.user_id for each in several if each.user and each.user.finding.also}
    assert repaired - besides == changed - besides
    assert repaired <= changed


def test_of_very_many_matches_the_first_are_listed(user: Shell) -> None:
    lines = user("user", "selfie").out.splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("others")


@pytest.mark.parametrize(
    ("who", "cause"),
    [
        ("nobody@example.com", "Error: nobody matches 'nobody@example.com'"),
        ("", "Error: WHO is empty or not text"),
        ("  ", "Error: WHO is empty or not text"),
        ("\x1b[31m", "Error: WHO is empty or not text"),
    ],
)
def test_nobody_is_a_usage_error_that_says_what_who_takes(user: Shell, who: str, cause: str) -> None:
    ended = user("user", who)
    ends(ended, 2, cause)
    assert "an e-mail, a user id, a model id, or a part of one" in ended.err
    assert ended.out == ""
    assert "\x1b" not in ended.err


KEYS = [
    *("schema_version", "tool", "exit_code", "source", "account", "order_by"),
    *("user_id", "email", "display_name", "in_users"),
    *("status", "reason", "detail", "model_row_id", "replicate_model_id", "current_version"),
    *("current_version_created_at", "latest_version", "latest_version_created_at", "versions_behind"),
    *("total_versions_on_replicate", "last_training", "rows", "versions", "next_steps", "notes", "explained"),
    *("checklist", "links", "not_known", "evidence", "current_training", "latest_training", "later_training"),
    *("affected_since", "weights_checked", "row_status", "also", "other_models"),
    *("latest_per", "lines", "more_lines"),
]


def test_json_has_every_key_for_everybody(user: Shell) -> None:
    for who in ("dmitri.volkov", "paul.nguyen", "isabella"):
        document = json.loads(user("user", who, "--json").out)
        assert list(document) == KEYS
    document = json.loads(user("user", "dmitri.volkov", "--json").out)
    assert (document["status"], document["reason"], document["exit_code"]) == ("needs_sync", "training_not_recorded", 3)
    assert document["also"]["reason"] == "outdated_version"
    assert document["last_training"]["outcome"] == "not_recorded"
    assert [row["verdict"] for row in document["rows"]] == ["not_completed", "counts"]
    checklist = json.loads(user("user", "marcus.johnson", "--json").out)["checklist"]
    assert [item["code"] for item in checklist] == [
        "hash",
        "trigger_word",
        "lora_scale",
        "weights_url",
        "later_training",
        "photos",
    ]


def test_every_key_of_the_json_is_explained(user: Shell) -> None:
    section = (ROOT / "docs/reference/user-json.md").read_text()
    document = json.loads(user("user", "dmitri.volkov", "--json").out)
    nested = [key for value in document.values() for item in _objects(value) for key in item]
    assert [key for key in (*document, *nested) if f"`{key}`" not in section] == []
    assert [outcome for outcome in TrainingOutcome if f"`{outcome}`" not in section] == []
    assert [verdict for verdict in RowClass if f"`{verdict}`" not in section] == []


def _objects(value: object) -> list[dict[str, object]]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def test_a_run_file_answers_without_any_network(user: Shell) -> None:
    user("run", "--run-file", "r.sqlite", "-o", "r.json")
    user.environ = {}
    ended = user("user", "dmitri", "--run", "r.sqlite", "-v")
    ends(ended, 3, "dmitri.volkov@example.com needs a sync: training not recorded")
    assert "Not known\n" in ended.out
    assert "Training rows" not in ended.out
    assert json.loads(user("user", "dmitri", "--run", "r.sqlite", "--json").out)["rows"] is None
    ends(user("user", "paul.nguyen", "--run", "r.sqlite"), 2, "Error: nobody matches 'paul.nguyen'")
    refused = user("user", "dmitri", "--run", "r.sqlite", "--order-by", "created_at")
    ends(refused, 2, "Error: --order-by has no meaning with --run: the run file says how the run was made")
    ends(user("user", "dmitri", "--run", "none.sqlite"), 5, "Error: there is no run file none.sqlite")


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        pytest.param({"REPLICATE_API_TOKEN": "r8_of_somebody_else"}, 5, "refuses the API token", id="token refused"),
        pytest.param({"REPLICATE_API_TOKEN": ""}, 2, "REPLICATE_API_TOKEN is not set", id="no token"),
        pytest.param({"DATABASE_URL": ""}, 2, "DATABASE_URL is not set", id="no database"),
        pytest.param({"DATABASE_URL": "postgresql://x:secret@127.0.0.1:1/no"}, 5, "127.0.0.1", id="no server"),
    ],
)
def test_what_stands_in_the_way_is_said_without_secrets(
    user: Shell, changes: dict[str, str], code: int, words: str
) -> None:
    ended = user("user", "mara", **changes)
    assert ended.code == code
    assert words in ended.err
    assert "somebody_else" not in ended.err
    assert "secret" not in ended.err
    assert TOKEN not in ended.err + ended.out


def test_a_missing_table_is_named(shell: Shell, servers: Servers, postgres_server: str) -> None:
    dsn = asyncio.run(new_database(postgres_server, "without_tables"))
    ended = shell("user", "mara", **(servers.environ | {"DATABASE_URL": dsn}))
    assert "database socket/without_tables has no table users and no table user_models" in ended.last_line
    assert (ended.code, ended.last_code) == (5, 5)


SLOW = pytest.mark.slow


@pytest.mark.parametrize("encoding", [pytest.param("cp1252", marks=SLOW), pytest.param("utf-8", marks=SLOW), "ascii"])
def test_hostile_names_do_no_harm_in_any_encoding(user: Shell, encoding: str) -> None:
    names, formats = ("mallory.ansi", "mallory.bidi", "mallory.html", "Mallory"), ((), ("--json",))
    # Each is a process: of the encoding that is tested each time, every name and every format once.
    pairs = zip(names, formats * 2, strict=True) if encoding == "ascii" else product(names, formats)
    for who, more in pairs:
        ended = user("user", who, *more, PYTHONIOENCODING=encoding)
        assert ended.code == (2 if who == "Mallory" else 0), ended.err
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", ended.out + ended.err)


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "TERM=dumb"],
)
def test_colours_are_for_terminals_that_want_them(user: Shell, environ: dict[str, str], coloured: bool) -> None:  # noqa: FBT001 - a table's column
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        subprocess.run(
            user.command("user", "noah.kim"),
            env=user.all_environ(environ),
            cwd=user.folder,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
        os.close(theirs)
        drawn = bytearray()
        while True:
            try:
                piece = terminal.read(65536)
            except OSError:  # Linux says so where the other side is closed
                break
            if not piece:
                break
            drawn += piece
    assert b"NEEDS SYNC" in drawn
    assert (b"\x1b[1;33mNEEDS SYNC" in drawn) == coloured
    assert coloured or not re.search(rb"\x1b\[[0-9;]*3[0-7]", drawn)


@pytest.mark.slow
def test_one_user_of_100_000_is_found_about_as_soon_as_one_of_10_000(
    shell: Shell, postgres_server: str, tmp_path: Path
) -> None:
    took: dict[int, dict[str, float]] = {}
    for users in (10_000, 100_000):
        synthetic_users = SyntheticUsers(users)
        dsn = asyncio.run(new_database(postgres_server, "many"))
        asyncio.run(load(dsn, synthetic_users))
        with in_thread(InstrumentedReplicate(synthetic_users)) as fake:
            shell.environ = Servers(dsn, fake).environ
            took[users] = {}
            for kind, who in {
                "e-mail": "user7777@example.com",
                "id": synthetic_users.user_id(7_777),
                "model": synthetic_users.model_name(7_777),
                "part of an e-mail": "USER7777@EXAMPLE",
            }.items():
                seconds = []
                for _ in range(3):  # the best of three: others use this machine too
                    began = time.monotonic()
                    ended = shell("user", who, "--json")
                    seconds.append(time.monotonic() - began)
                    assert json.loads(ended.out)["user_id"] == synthetic_users.user_id(7_777)
                took[users][kind] = min(seconds)
    for kind, seconds_of_one in took[100_000].items():
        assert seconds_of_one < 5 * took[10_000][kind], kind  # most of it is the start of the program
