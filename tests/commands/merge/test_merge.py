"""Shards that are audited one by one and merged: the run that one would have made, whatever happened on the way."""

import asyncio
import hashlib
import json
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import msgspec
import pytest

from audit.cli.signals import Stop
from audit.commands.diff import compare
from audit.commands.merge import merge as app_merge
from audit.commands.merge.merge import MergeSettings
from audit.commands.outputs import report
from audit.commands.replicate import ProgressListener
from audit.commands.run import audit as audit_run
from audit.commands.settings import default_choices
from audit.demo.database import load
from audit.demo.fake_replicate.answers import PageSizes
from audit.demo.fake_replicate.server import TOKEN, in_thread
from audit.demo.fake_replicate.world import SmallWorld
from audit.demo.users import DemoUsers
from audit.errors import ReportError, RunFileError, SettingsError
from audit.findings.comparison import Change
from audit.model import exit_status
from audit.model.codes import Reason, Status
from audit.model.findings import Acceptance, Acceptances, AuditedUser
from audit.model.replies import Account, TrainingsRead
from audit.model.shard import Shard, shard_number
from audit.model.times import utc_now
from audit.repair.plan import Plan
from audit.repair.rules import PlanSettings
from audit.report.writer import Output
from audit.runfile import RunFile
from tests.commands.run.test_kill_matrix import wait_until
from tests.docs.test_docs import SLOW
from tests.report.test_json_report import SCHEMA
from tests.support.audits import Servers, Shell, new_database
from tests.support.command_lines import resumed
from tests.support.database_rows import MODELS, USERS, execute, insert, model
from tests.support.faults import Slow
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.report_hostile import CONTROLS, FORMULAS, HTML, PLANES, QUOTES
from tests.support.run_files import run_file_of
from tests.support.samples import finding, record, run_info
from tests.support.synthetic_users import OddlyTrainedUsers, SyntheticUsers

KINDS = ("json", "csv")


class Reports(NamedTuple):
    """What a run says of its users, and of itself."""

    report: dict[str, Any]
    csv: bytes
    run: dict[str, Any]

    @property
    def findings(self) -> tuple[dict[str, Any], bytes]:
        """Everything but the run block."""
        return self.report, self.csv


def whole_and_shards(place: Servers, folder: Path, of: int, **changes: Any) -> list[Path]:
    """The run file of everybody, then those of all shards, audited at the same time."""
    shards = [None, *(Shard(number, of) for number in range(1, of + 1))]
    names = ["whole", *(f"shard-{number}" for number in range(1, of + 1))]
    for name in names:
        (folder / name).mkdir()
    runs = [
        place.settings(folder / name, shard=shard, run_file=folder / f"{name}.sqlite", timeout=20.0, **changes)
        for name, shard in zip(names, shards, strict=True)
    ]

    async def run() -> None:
        for run_file in await asyncio.gather(
            *(audit_run.audit(settings, ProgressListener(), Stop()) for settings in runs)
        ):
            run_file.close()

    asyncio.run(run())
    return [settings.run_file for settings in runs]


def merge(inputs: Sequence[Path], run_file: Path, **changes: Any) -> app_merge.Merged:
    return app_merge.merge(MergeSettings(inputs=tuple(inputs), run_file=run_file, outputs=(), **changes))


def reports(run_file: RunFile) -> Reports:
    """Of an open run file; the JSON is what its schema wants."""
    outputs = [Output(kind, str(run_file.path.with_suffix(f".{kind}"))) for kind in KINDS]
    report(run_file, outputs)
    written = json.loads(run_file.path.with_suffix(".json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(written)
    return Reports(written, run_file.path.with_suffix(".csv").read_bytes(), written.pop("run"))


def reports_of(path: Path) -> Reports:
    with RunFile.open(path) as run_file:
        return reports(run_file)


def compared(place: Servers, folder: Path, of: int, **changes: Any) -> tuple[Reports, Reports]:
    """The run of everybody, and the one that is merged from shards."""
    whole, *shards = whole_and_shards(place, folder, of, **changes)
    with merge(list(reversed(shards)), folder / "all.sqlite").run_file as run_file:
        return reports_of(whole), reports(run_file)


def digests(paths: Sequence[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


class Parted(NamedTuple):
    """The run of the synthetic users, whole and in four shards."""

    whole: Path
    shards: list[Path]


@pytest.fixture(scope="module")
def slow(synthetic_servers: Servers, synthetic_users: SyntheticUsers) -> Iterator[Servers]:
    """A fake Replicate whose answers take their time."""
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(faults=(Slow(low=0.02, high=0.04),)))) as fake:
        yield Servers(synthetic_servers.dsn, fake)


@pytest.fixture(scope="module")
def parted(slow: Servers, tmp_path_factory: pytest.TempPathFactory) -> Parted:
    whole, *shards = whole_and_shards(slow, tmp_path_factory.mktemp("parted"), 4, trainings=None)
    return Parted(whole, shards)


@pytest.fixture
def beside(shell: Shell, parted: Parted) -> Shell:
    """A folder with shard-1.sqlite to shard-4.sqlite."""
    for path in parted.shards:
        shutil.copy(path, shell.folder)
    return shell


SHARDS = tuple(f"shard-{number}.sqlite" for number in (1, 2, 3, 4))


@pytest.fixture(scope="module")
def killed(slow: Servers, parted: Parted, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What a run of shard 2 has left that was killed after some answers: the run file and its log."""
    folder = tmp_path_factory.mktemp("killed")
    with ExitStack() as cleanup:
        environ = slow.environ | {"SYNC_AUDIT_TIMEOUT": "20", "SYNC_AUDIT_RATE": "600"}  # seven seconds for all
        asked = slow.fake.request_log.requests
        process = Shell(folder, environ, cleanup).start("run", "--shard", "2/4", "--run-file", "shard-2.sqlite")
        wait_until(lambda: slow.fake.request_log.requests >= asked + 12, process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    return [folder / "shard-2.sqlite", folder / "shard-2.sqlite-wal"]


@pytest.fixture
def with_killed(parted: Parted, killed: list[Path], tmp_path: Path) -> list[Path]:
    """All shards, of which the second one is not finished."""
    for path in (*parted.shards, *killed):
        shutil.copy(path, tmp_path)
    return [tmp_path / name for name in SHARDS]


def resume(path: Path) -> None:
    """As `run --resume`."""
    with audit_run.open_to_resume(path) as run_file:
        settings = resumed({}, {"REPLICATE_API_TOKEN": TOKEN}, run_file.info, run_file.choices)
        asyncio.run(
            audit_run.resume(
                run_file,
                replace(settings, choices=msgspec.structs.replace(settings.choices, per_minute=100_000)),
                ProgressListener(),
                Stop(),
            )
        )


def changed(old: Path, new: Path) -> dict[Change, int]:
    with compare.comparison(old, new) as view:
        return dict(view.counts.changes)


@pytest.fixture
def quick(postgres_server: str, demo_users: DemoUsers) -> Iterator[Servers]:
    """The demo's users but for those whom Replicate keeps waiting."""
    dsn = asyncio.run(new_database(postgres_server, "quick_cast"))
    asyncio.run(load(dsn, demo_users))
    asyncio.run(execute(dsn, f"DELETE FROM user_models USING users WHERE user_id = users.id AND email IN {SLOW}"))
    with in_thread(InstrumentedReplicate(demo_users.world)) as fake:
        yield Servers(dsn, fake)


def test_four_shards_of_the_demo_users_make_the_run_that_one_would_have_made(quick: Servers, tmp_path: Path) -> None:
    """Shared models, rows without a model id or with a wrong one, and nearly every failure are among them."""
    whole, merged = compared(quick, tmp_path, 4, trainings=None)
    assert merged.findings == whole.findings
    assert whole.report["summary"]["notes"]["shared_model"]
    assert (merged.run["state"], merged.run["shard"]) == ("complete", None)
    assert [each["number"] for each in merged.run["shards"]] == [1, 2, 3, 4]
    same = {"database", "base_url", "account", "order_by", "filters", "missing_columns"}
    assert {name: merged.run[name] for name in same} == {name: whole.run[name] for name in same}


async def test_hostile_people_are_in_one_shard_each_and_come_out_in_the_same_order(
    database: str, tmp_path: Path
) -> None:
    texts = [text for text in dict.fromkeys((*HTML, *FORMULAS, *CONTROLS, *PLANES, *QUOTES)) if text]
    people = [
        {"id": f"é{text}", "email": None if n % 9 == 0 else text, "display_name": text} for n, text in enumerate(texts)
    ]
    ids = [None, "", " \t", "a/b", " a/b\n", "a/B", "ä/b", "acme/one", "https://replicate.com/acme/one"]
    rows = [model(user_id=each["id"], replicate_model_id=ids[n % len(ids)]) for n, each in enumerate(people)]
    await execute(database, USERS, MODELS)
    await insert(database, "users", people)
    await insert(database, "user_models", rows)
    with in_thread(InstrumentedReplicate(SmallWorld(Account("user", "acme"), []))) as fake:
        whole, merged = await asyncio.to_thread(compared, Servers(database, fake), tmp_path, 3, trainings=None)
    assert merged.findings == whole.findings
    assert len(merged.report["users"]) == len(texts)
    accounts = 2  # shards that ask who they are, beyond the one run
    assert merged.run["requests"]["sent"] == whole.run["requests"]["sent"] + accounts


@pytest.mark.parametrize("mode", ["trainings", "versions"])
def test_trainings_come_to_the_same_in_shards(trained: Servers, tmp_path: Path, mode: Any) -> None:
    whole, merged = compared(trained, tmp_path, 3, trainings=TrainingsRead(mode=mode))
    assert merged.findings == whole.findings
    settled = merged.run["trainings"]["users_settled"]
    assert settled == whole.run["trainings"]["users_settled"]
    assert (settled > 0) is (mode == "trainings")
    told = ("since", "back_to", "complete", "read", "unreadable")
    assert [merged.run["trainings"][name] for name in told] == [whole.run["trainings"][name] for name in told]


@pytest.fixture
def trained(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[Servers]:
    synthetic_users = OddlyTrainedUsers(200, oddities=0.2, odd_trainings=0.15)
    name = "trained_" + hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    dsn = asyncio.run(new_database(postgres_server, name))
    asyncio.run(load(dsn, synthetic_users))
    with in_thread(InstrumentedReplicate(synthetic_users, Behaviour(sizes=PageSizes(trainings=50)))) as fake:
        yield Servers(dsn, fake)


def test_the_marks_of_a_baseline_are_those_of_one_run(
    synthetic_servers: Servers, parted: Parted, tmp_path: Path
) -> None:
    earlier = reports_of(parted.whole)
    users = [user for n, user in enumerate(earlier.report["users"]) if n % 3]
    for n, user in enumerate(users):
        if n % 4 == 0:
            user.update(status="needs_sync", reason="outdated_version")
    path = tmp_path / "earlier.json"
    path.write_text(json.dumps(earlier.report | {"run": earlier.run, "users": users, "summary": {}}))
    whole, merged = compared(synthetic_servers, tmp_path, 2, trainings=None, baseline=path)
    assert merged.findings == whole.findings
    assert all(merged.report["summary"]["baseline"][mark] for mark in ("new", "known", "resolved"))


def test_a_shard_is_no_baseline_for_others(synthetic_servers: Servers, parted: Parted, tmp_path: Path) -> None:
    settings = synthetic_servers.settings(tmp_path, baseline=parted.shards[0], shard=Shard(2, 4))
    with pytest.raises(ReportError, match=r"--baseline: .*shard-1.sqlite is shard 1 of 4"):
        asyncio.run(audit_run.audit(settings, ProgressListener(), Stop()))


def test_merging_changes_no_shard_and_leaves_one_file(parted: Parted, tmp_path: Path) -> None:
    before = digests(parted.shards)
    names = sorted(path.name for path in parted.shards[0].parent.iterdir())
    merge(parted.shards, tmp_path / "all.sqlite").run_file.close()
    assert digests(parted.shards) == before
    assert sorted(path.name for path in parted.shards[0].parent.iterdir()) == names
    assert [path.name for path in tmp_path.iterdir()] == ["all.sqlite"]
    assert (tmp_path / "all.sqlite").stat().st_mode & 0o777 == 0o600


def test_every_synthetic_user_is_in_one_shard(parted: Parted, synthetic_users: SyntheticUsers) -> None:
    seen = []
    for number, path in enumerate(parted.shards, 1):
        with RunFile.open(path) as run_file:
            users = [user.record for user in run_file.users()]
            assert run_file.population
            assert run_file.population.users_with_completed_model == synthetic_users.n
        assert {shard_number(each, 4) for each in users} == {number}
        seen += [each.user_id for each in users]
    assert sorted(seen) == [synthetic_users.user_id(i) for i in range(synthetic_users.n)]


def test_a_killed_shard_is_refused_and_as_good_as_any_other_when_it_was_resumed(
    with_killed: list[Path], parted: Parted, tmp_path: Path
) -> None:
    names, before = sorted(tmp_path.iterdir()), digests(sorted(tmp_path.iterdir()))
    with pytest.raises(SettingsError, match=r"shard 2 of 4 .*shard-2.sqlite\) is not finished: it was interrupted"):
        merge(with_killed, tmp_path / "all.sqlite")
    assert (sorted(tmp_path.iterdir()), digests(names)) == (names, before)
    resume(with_killed[1])
    with merge(with_killed, tmp_path / "all.sqlite").run_file as run_file:
        assert reports(run_file).findings == reports_of(parted.whole).findings


def test_users_of_an_unfinished_shard_are_not_checked_until_the_merged_run_is_resumed(
    with_killed: list[Path], parted: Parted, tmp_path: Path
) -> None:
    names, before = sorted(tmp_path.iterdir()), digests(sorted(tmp_path.iterdir()))
    path = tmp_path / "all.sqlite"
    with merge(with_killed, path, partial=True).run_file as run_file:
        first = reports(run_file)
    assert digests(names) == before
    summary = first.report["summary"]
    assert (first.run["state"], first.run["stop_reason"]) == ("stopped", "shard 2 of 4 was interrupted")
    assert summary["reasons"]["stopped"] == summary["not_checked"] > 0
    assert summary["total"] == len(reports_of(parted.whole).report["users"])
    assert changed(parted.whole, path)[Change.RESOLVED] == 0
    resume(path)
    resumed = reports_of(path)
    assert resumed.run["state"] == "complete"
    assert [each["state"] for each in resumed.run["shards"]] == ["complete", "interrupted", "complete", "complete"]
    assert resumed.findings == reports_of(parted.whole).findings


def test_without_a_shard_the_run_is_never_complete_and_resolves_nobody(parted: Parted, tmp_path: Path) -> None:
    path, here = tmp_path / "all.sqlite", [each for each in parted.shards if each.name != "shard-3.sqlite"]
    with pytest.raises(SettingsError, match="shard 3 of 4 is missing"):
        merge(here, path)
    merge(here, path, partial=True).run_file.close()
    resume(path)
    run = reports_of(path).run
    assert (run["state"], run["shards"][2]["state"], run["shards"][2]["id"]) == ("stopped", "missing", None)
    assert run["stop_reason"] == "shard 3 of 4 is missing, and nothing is known of its users"
    changes = changed(parted.whole, path)
    assert (changes[Change.RESOLVED], changes[Change.LEFT]) == (0, 0)


def test_a_person_is_told_loudly_what_is_missing_and_how_to_get_it(beside: Shell) -> None:
    done = beside("merge", *(name for name in SHARDS if "3" not in name), "--partial", "--run-file", "all.sqlite")
    assert done.code == exit_status.INCOMPLETE, done.err
    assert "Merged from 3 of 4 shards: many users are in no count" in done.err
    assert "The run ended early: shard 3 of 4 is missing, and nothing is known of its users" in done.err
    assert "sync-audit run --shard 3/4" in done.err
    assert "retry:" not in done.err
    assert {"all.sqlite", "all.html", "all.csv"} <= {path.name for path in beside.folder.iterdir()}


def test_a_repair_of_the_merged_run_is_that_of_one_run(parted: Parted, tmp_path: Path) -> None:
    with merge(parted.shards, tmp_path / "all.sqlite").run_file as run_file, RunFile.open(parted.whole) as whole:
        plans = [list(Plan(each, PlanSettings(), utc_now()).changes()) for each in (whole, run_file)]
    assert plans[0] == plans[1] != []


def test_a_shard_says_everywhere_that_it_is_one(beside: Shell) -> None:
    done = beside("render", "shard-2.sqlite", "-oa.html", "-oa.md", "-oa.json", "-oa.xml")
    assert re.search(r"^\d+ of 300 users checked: ", done.last_line)
    for name in ("a.html", "a.md", "a.xml"):
        assert "to shard 2 of 4: about a quarter of the models" in (beside.folder / name).read_text(), name
    report = json.loads((beside.folder / "a.json").read_text())
    assert (report["run"]["shard"], report["run"]["shards"]) == ({"number": 2, "of": 4}, [])
    compared = beside("diff", "shard-1.sqlite", "a.json")
    assert "OLD is about shard 1 of 4 and NEW about shard 2 of 4" in " ".join(compared.out.split())


def test_an_empty_shard_of_a_population_that_is_not_empty_says_so_and_is_no_failure(
    tmp_path: Path, shell: Shell
) -> None:
    run_file_of(tmp_path / "run.sqlite", [], in_all=20, shard=Shard(1, 9))
    done = shell("render", "run.sqlite", "-oa.html")
    assert (done.code, done.err.splitlines()[0]) == (0, "Trial run: No user is in shard 1 of 9")


@pytest.mark.parametrize("shards", [1, 2])
def test_whether_empty_shards_make_an_empty_audit_the_merged_run_decides(
    shards: int, tmp_path: Path, shell: Shell
) -> None:
    files = [run_file_of(tmp_path / f"{n}.sqlite", [], shard=Shard(n, shards)).name for n in range(1, shards + 1)]
    merged = shell("merge", *files, "--run-file", "all.sqlite", "-oa.json")
    assert (merged.code, merged.last_line) == (4, str(exit_status.NOBODY[4]))
    assert shell("render", "all.sqlite", "-oa.json").code == 4


def test_an_empty_merged_run_that_is_allowed_stays_so(tmp_path: Path, shell: Shell) -> None:
    run_file_of(tmp_path / "1.sqlite", [], shard=Shard(1, 1))
    merged = shell("merge", "1.sqlite", "--run-file", "all.sqlite", "-oa.json", "--allow-empty")
    assert (merged.code, merged.last_line) == (0, str(exit_status.NOBODY[0]))
    assert shell("render", "all.sqlite", "-oa.json").code == 0


@pytest.mark.parametrize(("said", "now"), [("1/4", "1/4"), ("2/5", "2/5")])
def test_a_shard_is_resumed_as_no_other(said: str, now: str) -> None:
    info, environ = run_info(shard=Shard(2, 4)), {"REPLICATE_API_TOKEN": TOKEN}
    assert resumed({"shard": "2/4"}, environ, info, None).choices == default_choices()
    with pytest.raises(SettingsError, match=f"--shard .* is {now} now, and was 2/4"):
        resumed({}, environ | {"SYNC_AUDIT_SHARD": said}, info, None)
    with pytest.raises(SettingsError, match=f"--shard .* is {now} now, and was not given"):
        resumed({"shard": said}, environ, run_info(), None)


def shard_file(folder: Path, number: int, of: int, users: Sequence[AuditedUser], **changes: Any) -> Path:
    return run_file_of(folder / f"{number}.sqlite", users, shard=Shard(number, of), **changes)


def in_shard(number: int, of: int, **changes: Any) -> AuditedUser:
    """A user who belongs there, by the model."""
    names = (f"acme/m{n}" for n in range(1000))
    users = (record(replicate_model_id=name, **changes) for name in names)
    return AuditedUser(next(each for each in users if shard_number(each, of) == number), finding())


def test_what_a_shard_does_not_accept_another_one_may(tmp_path: Path) -> None:
    known = Acceptance(user="b", reason=Reason.MODEL_NOT_FOUND, because="known", until="2030-01-01")
    nobody = msgspec.structs.replace(known, user="nobody")
    changes = {"acceptances": Acceptances(file="sync-audit-accept.toml", entries=(known, nobody))}
    missing = msgspec.structs.replace(in_shard(2, 2, user_id="b"), finding=finding(Reason.MODEL_NOT_FOUND))
    shards = [
        shard_file(tmp_path, 1, 2, [in_shard(1, 2, user_id="a")], **changes),
        shard_file(tmp_path, 2, 2, [missing], **changes),
    ]
    assert [reports_of(path).run["acceptances"]["unmatched"] for path in shards] == [[], []]
    with merge(shards, tmp_path / "all.sqlite").run_file as run_file:
        accepted = reports(run_file).run["acceptances"]
    assert (accepted["accepted"], [each["user"] for each in accepted["unmatched"]]) == (1, ["nobody"])
    with merge(shards, tmp_path / "none.sqlite", replaces_acceptances=True).run_file as run_file:
        assert run_file.info.acceptances is None


def test_a_row_of_another_shard_is_named_with_its_file(tmp_path: Path) -> None:
    paths = [
        shard_file(tmp_path, 1, 2, [in_shard(1, 2, user_id="a")]),
        shard_file(tmp_path, 2, 2, [in_shard(2, 2, user_id="b"), in_shard(1, 2, user_id="c\x1b")]),
    ]
    with pytest.raises(RunFileError) as caught:
        merge(paths, tmp_path / "all.sqlite")
    assert str(caught.value) == f"{paths[1]} is shard 2 of 2, but user c\\x1b in it belongs to shard 1 of 2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.sqlite", "2.sqlite"]


def test_shards_of_versions_that_minded_case_are_merged_with_their_like_alone(tmp_path: Path) -> None:
    upper = (record(replicate_model_id=f"acme/M{n}") for n in range(1000))
    mixed = next(each for each in upper if shard_number(each, 2) == 1 and shard_number(each, 2, by_key=False) == 2)
    paths = [
        shard_file(tmp_path, 1, 2, [in_shard(1, 2, user_id="a")]),
        shard_file(tmp_path, 2, 2, [AuditedUser(mixed, finding())]),
    ]
    with merge(paths, tmp_path / "all.sqlite").run_file as run_file:
        assert {user.record.user_id for user in run_file.users()} == {"a", mixed.user_id}
        assert not run_file.info.by_model_key
    later = tmp_path / "later"
    later.mkdir()
    paths[0] = shard_file(later, 1, 2, [in_shard(1, 2, user_id="a")], by_model_key=True)
    with pytest.raises(SettingsError, match="was run by an older version than"):
        merge(paths, tmp_path / "none.sqlite")


@pytest.mark.parametrize("later", [1, 2])
def test_who_has_gone_to_another_shard_meanwhile_counts_as_seen_last(tmp_path: Path, later: int) -> None:
    began = {later: "2026-03-01T12:30:00Z"}
    paths = [
        shard_file(
            tmp_path,
            number,
            2,
            [
                in_shard(number, 2, user_id="moved", email=f"{number}@example.com"),
                in_shard(number, 2, user_id=f"stays-{number}", email="x@example.com"),
            ],
            started_at=began.get(number, "2026-03-01T12:00:00Z"),
        )
        for number in (1, 2)
    ]
    merged = merge(paths, tmp_path / "all.sqlite")
    with merged.run_file as run_file:
        assert {(user.record.user_id, user.record.email) for user in run_file.users()} == {
            ("moved", f"{later}@example.com"),
            ("stays-1", "x@example.com"),
            ("stays-2", "x@example.com"),
        }
        assert run_file.summary().statuses[Status.UP_TO_DATE] == 3
    assert any("1 user was in two shards" in caveat for caveat in merged.caveats)


def test_the_order_is_by_code_point_with_no_address_last(tmp_path: Path) -> None:
    emails = ["A@x", "a@x", "ab", "ä@x", "\uff21@x", "\U0001f600@x", None]
    users = [in_shard(n % 3 + 1, 3, user_id=f"u{n}", email=email) for n, email in enumerate(emails)]
    parts = [
        shard_file(tmp_path, number, 3, [each for n, each in enumerate(users) if n % 3 == number - 1])
        for number in (1, 2, 3)
    ]
    with merge(parts, tmp_path / "all.sqlite").run_file as run_file:
        assert [user.record.email for user in run_file.users()] == emails


def test_a_file_that_is_there_is_never_replaced(beside: Shell) -> None:
    mine = beside.folder / "all.sqlite"
    mine.write_text("mine")
    shards = [beside.folder / name for name in SHARDS]
    before = digests([mine, *shards])
    with pytest.raises(RunFileError, match=r"all\.sqlite exists already"):
        merge(shards, mine)
    with pytest.raises(SettingsError, match=r"shard-2\.sqlite is one of the run files to be merged"):
        merge(shards, shards[1])
    done = beside("merge", *SHARDS, "--run-file", "new.sqlite", "-o", "json=shard-2.sqlite")
    assert (done.code, "shard-2.sqlite is a run file to be read" in done.err) == (exit_status.USAGE, True)
    assert digests([mine, *shards]) == before


def test_the_same_file_twice_is_refused_under_any_name(parted: Parted, tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite"
    link.symlink_to(parted.shards[0])
    with pytest.raises(SettingsError, match="are the same run file"):
        merge([*parted.shards, link], tmp_path / "all.sqlite")


def test_a_shard_whose_run_goes_on_is_refused(parted: Parted, tmp_path: Path) -> None:
    live = Path(shutil.copy(parted.shards[0], tmp_path / "live.sqlite"))
    with (
        RunFile.resume(live),
        pytest.raises(RunFileError, match=r"live\.sqlite is in use by a running audit"),
    ):
        merge([live, *parted.shards[1:]], tmp_path / "all.sqlite", partial=True)
    assert not (tmp_path / "all.sqlite").exists()


def test_a_damaged_shard_is_refused(parted: Parted, tmp_path: Path) -> None:
    damaged = Path(shutil.copy(parted.shards[0], tmp_path / "damaged.sqlite"))
    with closing(damaged.open("r+b")) as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)
    with pytest.raises(RunFileError, match=r"damaged\.sqlite is damaged"):
        merge([damaged, *parted.shards[1:]], tmp_path / "all.sqlite")
    assert not (tmp_path / "all.sqlite").exists()


def test_a_merge_may_mask_what_shards_do_not(parted: Parted, tmp_path: Path) -> None:
    with merge(parted.shards, tmp_path / "all.sqlite", redact=True).run_file as run_file:
        merged = reports(run_file)
    assert merged.run["redacted"]
    assert b"user1@example.com" not in merged.csv
