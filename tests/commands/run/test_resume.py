"""`run --resume`: what it takes from the run file, what it refuses, what it asks again."""

import json
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit.commands import cli
from audit.commands.run import audit as audit_run
from audit.demo.fake_replicate.faults import Hang, Odd, Refused, Reset
from audit.demo.fake_replicate.server import TOKEN, in_thread
from audit.demo.fake_replicate.world import SmallWorld
from audit.errors import AuditError, RunFileError, SettingsError
from audit.model import exit_status
from audit.model.codes import RETRYABLE, Reason
from audit.model.replies import Account, TrainingsRead
from audit.model.run import Choices, Filters, RunInfo
from audit.report.view import RunView
from audit.runfile import DamagedError, RunFile, open_salvaged
from tests.support.audits import Ended, Servers, Shell, audit
from tests.support.command_lines import begun, resumed
from tests.support.faults import Chaos, Redirected
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.run_files import finished_run_file
from tests.support.samples import place, run_info
from tests.support.synthetic_users import SyntheticUsers

INFO = run_info(filters=Filters(users=("ann@example.com",), limit=5))
CHOSEN = Choices(outputs=(("html", "/r/a.html"), ("csv", "-")), concurrency=3, per_minute=70, timeout=1.5, retries=2)
ENVIRON = {"REPLICATE_API_TOKEN": TOKEN}


@pytest.mark.parametrize(
    ("options", "environ", "now", "then"),
    [
        pytest.param(
            {"database_url": "postgresql://u:hunter2@other/shop"}, {}, "other:5432/shop", "db.example.com/shop"
        ),
        pytest.param({}, {"DATABASE_URL": "postgresql://db.example.com/x"}, "com:5432/x now", "db.example.com/shop"),
        pytest.param({"base_url": "https://eu.example"}, {}, "https://eu.example/v1", "https://api.replicate.com/v1"),
        pytest.param({}, {"REPLICATE_BASE_URL": "http://[::1]:1"}, "http://[::1]:1/v1", "https://api.replicate.com/v1"),
        pytest.param({"order_by": "created_at"}, {}, "created_at", "updated_at"),
        pytest.param({"user": ("bob", "cid")}, {}, "bob, cid", "ann@example.com"),
        pytest.param({"limit": "6"}, {}, "6 now", "5 in"),
        pytest.param({"include_tests": True}, {}, "given now", "not given in"),
    ],
    ids=["database", "DATABASE_URL", "base URL", "REPLICATE_BASE_URL", "order", "users", "limit", "tests"],
)
def test_what_belongs_to_another_audit_is_refused_and_both_are_named(
    options: dict[str, object], environ: dict[str, str], now: str, then: str
) -> None:
    with pytest.raises(SettingsError, match="two audits do not mix") as caught:
        resumed(options, ENVIRON | environ, INFO, CHOSEN)
    assert now in str(caught.value)
    assert then in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "now"),
    [
        ("postgresql://u:hunter2@db.example.com:5433/shop", "db.example.com:5433/shop"),
        ("postgresql://u:hunter2@db.example.com/lab", "db.example.com:5432/lab"),
        ("postgresql://u:hunter2@127.0.0.1/shop", "127.0.0.1:5432/shop"),
        ("postgresql://u:hunter2@db.example.com/shop?schema=tb", 'db.example.com:5432/shop with search path "tb"'),
    ],
)
def test_another_place_is_refused_without_connecting_and_both_are_named(url: str, now: str) -> None:
    info = msgspec.structs.replace(INFO, place=place())
    resumed({"database_url": "postgresql://other@DB.example.com/shop"}, ENVIRON, info, CHOSEN)
    with pytest.raises(SettingsError, match="two audits do not mix") as caught:
        resumed({"database_url": url}, ENVIRON, info, CHOSEN)
    assert f"is {now} now, and was db.example.com:5432/shop" in str(caught.value)
    assert "hunter2" not in str(caught.value)


MOVED = "db.example.com:5432/shop"


@pytest.mark.parametrize("info", [INFO, msgspec.structs.replace(INFO, place=place())], ids=["older", "with a place"])
def test_database_that_has_moved_is_the_same_when_that_is_said(info: RunInfo) -> None:
    url = "postgresql://u@elsewhere:6432/store"
    with pytest.raises(SettingsError, match="two audits do not mix"):
        resumed({"database_url": url}, ENVIRON, info, CHOSEN)
    assert resumed({"database_url": url, "moved_from": MOVED}, ENVIRON, info, CHOSEN).moved_from == MOVED
    assert resumed({"moved_from": "DB.example.com:5432/shop"}, ENVIRON, info, CHOSEN).moved_from


@pytest.mark.parametrize("wrong", ["db.example.com:5433/shop", "other:5432/shop", "db.example.com:5432/store"])
def test_move_from_a_place_that_is_not_the_run_s_is_refused(wrong: str) -> None:
    info = msgspec.structs.replace(INFO, place=place())
    with pytest.raises(SettingsError, match=f"the run is of {MOVED}") as caught:
        resumed({"database_url": f"postgresql://{MOVED}", "moved_from": wrong}, ENVIRON, info, CHOSEN)
    assert caught.value.next_step == f"Write --moved-from {MOVED} if that has moved; or start a new run."


def test_another_search_path_is_another_audit_wherever_the_database_has_moved_to() -> None:
    options = {"database_url": "postgresql://u@elsewhere/shop?schema=tb", "moved_from": MOVED}
    with pytest.raises(SettingsError, match="two audits do not mix") as caught:
        resumed(options, ENVIRON, msgspec.structs.replace(INFO, place=place()), CHOSEN)
    assert 'with search path "tb" now' in str(caught.value)


def test_run_that_is_begun_cannot_have_moved() -> None:
    with pytest.raises(SettingsError, match="--moved-from has no meaning without --resume"):
        begun(
            {"moved_from": MOVED}, ENVIRON | {"DATABASE_URL": f"postgresql://{MOVED}"}, datetime(2026, 3, 1, tzinfo=UTC)
        )


@pytest.mark.parametrize(
    ("options", "environ"),
    [
        ({"database_url": "postgresql://somebody@db.example.com:5433/shop?sslmode=require"}, {}),
        ({"base_url": "https://api.replicate.com/"}, {"DATABASE_URL": ""}),
        ({"order_by": "updated_at", "limit": "5", "user": ("ann@example.com",)}, {}),
    ],
    ids=["another user of the same database", "another spelling", "said again"],
)
def test_the_same_said_again_is_no_other_audit(options: dict[str, object], environ: dict[str, str]) -> None:
    settings = resumed(options, ENVIRON | environ, INFO, CHOSEN)
    assert settings.base_url == INFO.base_url


def test_settings_come_from_the_run_file_and_the_token_from_now() -> None:
    settings = resumed({}, ENVIRON, INFO, CHOSEN)
    assert settings.choices == CHOSEN
    assert settings.token == TOKEN


def test_what_is_said_now_about_pace_and_outputs_wins() -> None:
    options = {"concurrency": "9", "output": ("x.json",)}
    settings = resumed(options, ENVIRON | {"SYNC_AUDIT_RATE": "80"}, INFO, CHOSEN)
    made = settings.choices
    assert (made.concurrency, made.per_minute, made.outputs) == (9, 80, (("json", "x.json"),))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("run_file", "x"), ("statement_timeout", "x"), ("baseline", "x"), ("trainings", True)),
        *(("trainings_since", "2026-01-01"), ("mode", "trainings"), ("verify_sample", "5")),
        ("check_weights", True),
    ],
)
def test_options_without_meaning_are_refused(option: str, value: object) -> None:
    with pytest.raises(SettingsError, match=option.replace("_", "-")):
        resumed({option: value}, ENVIRON, INFO, CHOSEN)


def test_resuming_without_a_token_is_refused() -> None:
    with pytest.raises(SettingsError, match="REPLICATE_API_TOKEN"):
        resumed({}, {}, INFO, CHOSEN)


def newer(path: Path) -> str:
    finished_run_file(path, 1, "https://x/v1")
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 7")
    return "was written by a newer sync-audit (schema 7, not 4)"


def foreign(path: Path) -> str:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE audited (id)")
    return "is not a run file of sync-audit"


def text(path: Path) -> str:
    path.write_text("hello " * 2000)
    return "is not a run file of sync-audit"


def empty(path: Path) -> str:
    path.touch()
    return "is empty, as a run leaves its file that is killed when it has hardly begun"


def missing(path: Path) -> str:
    return "there is no run file"


def directory(path: Path) -> str:
    path.mkdir()
    return "there is no run file"


@pytest.mark.parametrize("kind", [newer, foreign, text, empty, missing, directory], ids=lambda kind: kind.__name__)
def test_what_is_no_run_file_of_this_version_is_refused_and_left_alone(
    kind: Callable[[Path], str], tmp_path: Path
) -> None:
    path = tmp_path / "run.sqlite"
    words = kind(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(RunFileError) as caught:
        audit_run.open_to_resume(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.next_step
    assert before is None or path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) <= 1


@pytest.fixture
def synthetic_shell(shell: Shell, synthetic_servers: Servers) -> Shell:
    """A shell with everything set that an audit of the synthetic users needs."""
    shell.environ = synthetic_servers.environ
    return shell


def refused(ended: Ended, code: int, *words: str) -> None:
    assert ended.code == code, ended.err
    assert ended.last_code == code
    assert "Traceback" not in ended.err
    for each in words:
        assert each in ended.err


def asking(shell: Shell, servers: Servers, asked: int = 20, **environ: str) -> subprocess.Popen[bytes]:
    """A run that has asked so often, and will need some seconds more."""
    before = servers.fake.request_log.requests
    process = shell.start("run", "--run-file", "run.sqlite", "-oreport.json", **({"SYNC_AUDIT_RATE": "3000"} | environ))
    while servers.fake.request_log.requests < before + asked:
        assert process.poll() is None
        time.sleep(0.001)
    return process


def test_a_run_that_is_still_going_on_is_refused_and_not_disturbed(
    synthetic_shell: Shell, synthetic_servers: Servers
) -> None:
    # It needs a minute; and it ends at once when it is told to, for nobody else waits for a turn.
    process = asking(synthetic_shell, synthetic_servers, 3, SYNC_AUDIT_RATE="300", SYNC_AUDIT_CONCURRENCY="1")
    for command in (("run", "--resume", "run.sqlite"), ("render", "run.sqlite")):
        refused(synthetic_shell(*command), exit_status.COULD_NOT_RUN, "run.sqlite is in use by a running audit")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == exit_status.INTERRUPTED


def test_what_a_killed_process_left_beside_the_file_is_no_obstacle(
    synthetic_shell: Shell, synthetic_servers: Servers
) -> None:
    process = asking(synthetic_shell, synthetic_servers)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert {path.name for path in synthetic_shell.folder.iterdir()} == {"run.sqlite", "run.sqlite-wal"}
    (synthetic_shell.folder / "run.sqlite-shm").write_bytes(b"")  # of a reader that was killed too
    assert synthetic_shell("run", "--resume", "run.sqlite", "--rate", "99999").code == exit_status.INCOMPLETE
    assert {path.name for path in synthetic_shell.folder.iterdir()} == {"run.sqlite", "report.json"}


def test_the_token_of_another_account_is_refused_and_both_are_named(shell: Shell) -> None:
    with in_thread(InstrumentedReplicate(SmallWorld(Account("user", "mallory"), ()))) as fake:
        path = shell.folder / "run.sqlite"
        finished_run_file(path, 3, fake.base_url, account=Account("organization", "acme"))
        refused(
            shell("run", "--resume", "run.sqlite", "-oreport.json", **ENVIRON),
            exit_status.USAGE,
            "mallory now",
            "acme in the run",
        )
        with RunFile.open(path) as run_file:
            assert (run_file.info.state, run_file.summary().reasons) == ("complete", {Reason.LATEST_VERSION: 3})
        assert not (shell.folder / "report.json").exists()


def test_a_run_of_an_older_version_says_what_it_did_not_look_for(shell: Shell) -> None:
    world = SmallWorld(Account("organization", "acme"), [], [])
    with in_thread(InstrumentedReplicate(world)) as fake:
        finished_run_file(shell.folder / "run.sqlite", 1, fake.base_url)
        ended = shell("run", "--resume", "run.sqlite", **ENVIRON)
    assert "an older version started this run" in ended.err


AILING = Chaos(
    share=0.3,
    faults=(
        Refused(status=502, on=()),
        Reset(),
        Hang(),
        Odd(content=b"<html>"),
        Redirected(),
        Refused(status=403),
        Refused(status=418),
    ),
    seed=3,
)


def ailing_run(
    shell: Shell, synthetic_servers: Servers, synthetic_users: SyntheticUsers
) -> tuple[dict[str, dict[str, Any]], int]:
    """A finished run of a Replicate that ails: its users, and the port to be well at the next time."""
    shell.environ = synthetic_servers.environ | {"SYNC_AUDIT_RETRIES": "0"}
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(chaos=AILING))) as ailing:
        shell.environ |= {"REPLICATE_BASE_URL": ailing.base_url}
        assert shell("run", "--run-file", "run.sqlite", "-oone.json").code == exit_status.INCOMPLETE
        return users(shell.folder / "one.json"), ailing.port


def test_a_finished_run_asks_again_for_what_may_have_passed_and_for_nothing_else(
    shell: Shell, synthetic_servers: Servers, synthetic_users: SyntheticUsers
) -> None:
    first, port = ailing_run(shell, synthetic_servers, synthetic_users)
    again = {user["replicate_model_id"] for user in first.values() if user["reason"] in RETRYABLE}
    kept = [who for who, user in first.items() if user["reason"] in {"forbidden", "rejected"}]
    # Where nothing is recorded that is the verdict, though Replicate has more to say.
    unsure = {user["replicate_model_id"] for user in first.values() if user["reason"] == "no_version_recorded"}
    assert len(again) > 30
    assert len(kept) > 3
    with in_thread(InstrumentedReplicate(synthetic_users, port=port)) as well:
        del shell.environ["DATABASE_URL"]
        done = shell("run", "--resume", "run.sqlite", "-otwo.json", SYNC_AUDIT_TIMEOUT="20")
        assert well.request_log.models.keys() - unsure == again
    second = users(shell.folder / "two.json")
    right = {synthetic_users.user_id(i): synthetic_users.reason(i).value for i in range(synthetic_users.n)}
    for who, user in second.items():
        assert user == first[who] if who in kept else user["reason"] == right[who]
    assert done.code == exit_status.INCOMPLETE
    run = json.loads((shell.folder / "two.json").read_text())["run"]
    assert run["state"] == "complete"
    assert run["requests"]["sent"] > synthetic_users.n * 0.8  # those of both times


def test_any_reason_is_asked_for_again_where_that_is_said(
    shell: Shell, synthetic_servers: Servers, synthetic_users: SyntheticUsers
) -> None:
    first, port = ailing_run(shell, synthetic_servers, synthetic_users)
    named = {"forbidden", "rejected", "model_not_found"}
    again = {user["replicate_model_id"] for user in first.values() if user["reason"] in named | RETRYABLE}
    unsure = {user["replicate_model_id"] for user in first.values() if user["reason"] == "no_version_recorded"}
    assert named <= {user["reason"] for user in first.values()}
    with in_thread(InstrumentedReplicate(synthetic_users, port=port)) as well:
        asked = [word for reason in sorted(named) for word in ("--ask-again", reason)]
        shell("run", "--resume", "run.sqlite", "-otwo.json", *asked, SYNC_AUDIT_TIMEOUT="20")
        assert well.request_log.models.keys() - unsure == again
    right = {synthetic_users.user_id(i): synthetic_users.reason(i).value for i in range(synthetic_users.n)}
    assert {who: user["reason"] for who, user in users(shell.folder / "two.json").items()} == right


def test_asking_again_is_for_a_run_that_is_resumed_and_for_reasons_that_can_be_asked_about() -> None:
    with pytest.raises(SettingsError, match="--ask-again has no meaning without --resume"):
        begun(
            {"ask_again": "timeout"}, ENVIRON | {"DATABASE_URL": "postgresql://x/y"}, datetime(2026, 3, 1, tzinfo=UTC)
        )
    for reason in ("missing_model_id", "invalid_model_id", "stopped", "nonsense"):
        with pytest.raises(SettingsError, match="--ask-again"):
            resumed({"ask_again": reason}, ENVIRON, INFO, CHOSEN)
    again = resumed({"ask_again": ("model_not_found", "forbidden")}, ENVIRON, INFO, CHOSEN).ask_again
    assert again == (Reason.MODEL_NOT_FOUND, Reason.FORBIDDEN)


def users(path: Path) -> dict[str, dict[str, Any]]:
    return {user["user_id"]: user for user in json.loads(path.read_text())["users"]}


def test_resuming_elsewhere_writes_the_runs_own_outputs_and_needs_no_database(synthetic_shell: Shell) -> None:
    assert synthetic_shell("run", "--run-file", "run.sqlite", "-oa.json", "-ocsv=-").code == exit_status.INCOMPLETE
    (synthetic_shell.folder / "a.json").unlink()
    (synthetic_shell.folder / "deeper").mkdir()
    del synthetic_shell.environ["DATABASE_URL"]
    synthetic_shell.folder = synthetic_shell.folder / "deeper"
    done = synthetic_shell("run", "--resume", "../run.sqlite")
    assert done.code == exit_status.INCOMPLETE, done.err
    assert done.out.startswith("status,reason,user_id,")
    assert len(users(synthetic_shell.folder.parent / "a.json")) == 300
    assert list(synthetic_shell.folder.iterdir()) == []


# A run file that a full disk or a bad one has damaged.
@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a run file of 400 users, to be damaged; pages are of 4,096 bytes."""
    path = tmp_path_factory.mktemp("whole") / "run.sqlite"
    finished_run_file(path, 400, "https://api.replicate.com/v1")
    return path.read_bytes()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The same of 60 users, whose few pages are hit more often."""
    path = tmp_path_factory.mktemp("small") / "run.sqlite"
    finished_run_file(path, 60, "https://api.replicate.com/v1")
    return path.read_bytes()


def cut_off(content: bytearray) -> None:
    del content[len(content) // 2 :]


def pages_of_zeros(content: bytearray) -> None:
    content[4096 * 20 : 4096 * 30] = bytes(4096 * 10)


def pages_of_ones(content: bytearray) -> None:
    content[4096 * 40 : 4096 * 60] = b"\xff" * 4096 * 20


DAMAGES = pytest.mark.parametrize("damage", [cut_off, pages_of_zeros, pages_of_ones], ids=lambda each: each.__name__)


@DAMAGES
def test_a_damaged_run_file_is_not_resumed_and_what_can_be_read_is_rendered(
    damage: Callable[[bytearray], None], whole: bytes, shell: Shell
) -> None:
    path = shell.folder / "run.sqlite"
    content = bytearray(whole)
    damage(content)
    path.write_bytes(content)
    refused(
        shell("run", "--resume", "run.sqlite", **ENVIRON),
        exit_status.COULD_NOT_RUN,
        "the run file run.sqlite is damaged",
        "sync-audit render run.sqlite",
    )
    done = shell("render", "run.sqlite", "-oreport.json")
    refused(done, exit_status.INCOMPLETE, "run.sqlite is damaged", "users could still be read")
    report = json.loads((shell.folder / "report.json").read_text())
    assert report["run"]["state"] == "stopped"
    assert f"{report['summary']['total']} users could still be read" in report["run"]["stop_reason"]
    assert 50 < report["summary"]["total"] < 400
    assert path.read_bytes() == content


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 30))])
def test_no_damage_ends_in_anything_but_reports_or_an_error_in_words(
    seed: int, small: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(seed)
    path = tmp_path / "run.sqlite"
    content = bytearray(small)
    for _ in range(dice.randrange(1, 4)):
        start = dice.randrange(100, len(content))
        stop = start + dice.choice([1, 8, 100, 4096, 40_000])
        content[start:stop] = dice.choice([bytes(len(content[start:stop])), dice.randbytes(len(content[start:stop]))])
    if dice.random() < 0.3:
        del content[dice.randrange(len(content)) :]
    path.write_bytes(content)
    errors = []
    for attempt in (
        lambda: cli.main(["render", str(path), "-o", f"{path}.json"], standalone_mode=False),
        lambda: audit_run.open_to_resume(path).close(),
    ):
        try:
            attempt()
        except AuditError as error:
            errors.append(error)
    assert all(str(path) in str(error) and error.next_step for error in errors)
    capsys.readouterr()


def test_of_a_file_without_its_first_page_nothing_can_be_read(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    content = bytearray(small)
    content[100:4096] = bytes(3996)
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        audit_run.open_to_resume(path)
    with pytest.raises(RunFileError, match=r"nothing can be read any more of the run file .*run.sqlite"):
        open_salvaged(path)


def test_what_is_read_of_a_damaged_file_still_says_whom_trainings_settled(
    synthetic_servers: Servers, tmp_path: Path
) -> None:
    settings = synthetic_servers.settings(tmp_path, trainings=TrainingsRead(mode="trainings"))
    with audit(settings) as run_file:
        before = RunView(run_file)
    with open_salvaged(settings.run_file) as rest:
        view = RunView(rest)
        assert (view.run.trainings, view.by_training) == (before.run.trainings, before.by_training)
    assert before.by_training > 100
