"""Unfinished rows in whole audits, on real servers: nobody is green who is not, and nobody is missing."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.commands.merge.merge import MergeSettings, merge
from audit.demo.database import load
from audit.demo.fake_replicate.server import in_thread
from audit.model import exit_status
from audit.model.codes import Mode, Status
from audit.model.replies import TrainingsRead
from audit.model.shard import Shard
from audit.runfile import RunFile
from tests.support.audits import Servers, Shell, audit, new_database
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.unfinished_users import Expected, Outcome, UnfinishedUsers

LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def users() -> UnfinishedUsers:
    return UnfinishedUsers(600)


@pytest.fixture(scope="module")
def place(postgres_server: str, users: UnfinishedUsers) -> Iterator[Servers]:
    dsn = asyncio.run(new_database(postgres_server, "unfinished"))
    asyncio.run(load(dsn, users))
    with in_thread(InstrumentedReplicate(users.world)) as fake:
        yield Servers(dsn, fake)


def outcomes(run_file: RunFile) -> dict[str, Outcome]:
    """By user id, as the reports have it."""
    found = {}
    for user in run_file.users():
        finding = user.finding
        found[user.record.user_id] = Outcome(finding.reason.value, finding.also.reason.value if finding.also else None)
    return found


def wrong(got: dict[str, Outcome], expected: dict[str, Outcome]) -> dict[str, tuple[Outcome | None, Outcome | None]]:
    """Whom the two differ about: got, expected."""
    return {
        user: (got.get(user), expected.get(user))
        for user in sorted(got.keys() | expected.keys())
        if got.get(user) != expected.get(user)
    }


def test_everybody_gets_the_outcome_that_the_rules_call_for(
    users: UnfinishedUsers, place: Servers, tmp_path: Path
) -> None:
    with audit(place.settings(tmp_path, timeout=20, trainings=None)) as run_file:
        got = outcomes(run_file)
    expected = Expected(users.facts)
    assert wrong(got, expected.outcomes()) == {}
    assert len({outcome.reason for outcome in got.values()}) >= 9


def test_no_question_is_asked_twice_and_none_that_the_rules_do_not_call_for(
    users: UnfinishedUsers, place: Servers, tmp_path: Path
) -> None:
    before = Counter(place.fake.request_log.paths)
    audit(place.settings(tmp_path, timeout=20, trainings=None)).close()
    asked = Counter(place.fake.request_log.paths) - before
    expected = Expected(users.facts)
    expected.outcomes()
    del asked["/v1/account"]
    assert asked == expected.requests


@pytest.mark.parametrize("mode", ["versions", "trainings"])
def test_with_the_list_of_trainings_it_comes_to_the_same_and_asks_for_none_that_had_ended_by_it(
    users: UnfinishedUsers, place: Servers, tmp_path: Path, mode: Mode
) -> None:
    before = Counter(place.fake.request_log.paths)
    with audit(place.settings(tmp_path, timeout=20, trainings=TrainingsRead(mode=mode, since=LONG_AGO))) as run_file:
        assert wrong(outcomes(run_file), Expected(users.facts).outcomes()) == {}
    asked = Counter(place.fake.request_log.paths) - before
    ids = {path.rpartition("/")[2] for path in asked if path.startswith("/v1/trainings/")}
    assert ids
    ended = {each.id for each in users.facts.trainings.values() if each.status not in {"starting", "processing"}}
    assert not ids & ended


@pytest.mark.parametrize("mode", [None, "versions", "trainings"])
def test_shards_that_are_merged_come_to_the_same(
    users: UnfinishedUsers, place: Servers, tmp_path: Path, mode: Mode | None
) -> None:
    read = TrainingsRead(mode=mode, since=LONG_AGO) if mode else None
    paths = [tmp_path / f"{number}.sqlite" for number in (1, 2, 3)]
    for number, path in enumerate(paths, 1):
        shard = Shard(number, 3)
        audit(place.settings(tmp_path, timeout=20, trainings=read, run_file=path, shard=shard)).close()
    together = tmp_path / "all.sqlite"
    with merge(MergeSettings(inputs=tuple(paths), run_file=together, outputs=())).run_file as run_file:
        assert wrong(outcomes(run_file), Expected(users.facts).outcomes()) == {}
        assert run_file.info.state == "complete"
        assert len(list(run_file.pending_unfinished())) == 0


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_run_that_is_killed_and_resumed_comes_to_the_same(
    users: UnfinishedUsers, place: Servers, shell: Shell, share: float
) -> None:
    expected = Expected(users.facts)
    outcome = expected.outcomes()
    shell.environ = place.environ | {"SYNC_AUDIT_TIMEOUT": "20", "SYNC_AUDIT_CONCURRENCY": "4"}
    log = place.fake.request_log
    before = log.requests
    enough = before + share * expected.requests.total()
    process = shell.start("run", "--run-file", "run.sqlite", "-o", "a.json")
    while log.requests < enough and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, "the run was over before it could be killed"
    process.kill()
    process.wait()
    with RunFile.open(shell.folder / "run.sqlite") as run_file:
        left = {user.record.user_id for user in run_file.users(Status.NOT_CHECKED)}
        got = outcomes(run_file)
    assert left
    green = {user for user, each in got.items() if each.reason == "latest_version"}
    assert all(outcome[user].reason == "latest_version" for user in green)
    asked = log.requests - before
    assert shell("run", "--resume", "run.sqlite").code == exit_status.INCOMPLETE
    with RunFile.open(shell.folder / "run.sqlite") as run_file:
        assert wrong(outcomes(run_file), outcome) == {}
    assert log.requests - before - asked <= expected.requests.total() - asked + 150


@pytest.mark.slow
def test_twenty_thousand_users_with_all_of_it(postgres_server: str, tmp_path: Path) -> None:
    many = UnfinishedUsers(20_000, seed=2)
    dsn = asyncio.run(new_database(postgres_server, "unfinished_many"))
    asyncio.run(load(dsn, many))
    expected = Expected(many.facts).outcomes()
    with in_thread(InstrumentedReplicate(many.world)) as fake:
        for mode in (None, "versions", "trainings"):
            read = TrainingsRead(mode=mode, since=LONG_AGO) if mode else None
            path = tmp_path / f"{mode}.sqlite"
            with audit(Servers(dsn, fake).settings(tmp_path, timeout=60, trainings=read, run_file=path)) as run_file:
                assert wrong(outcomes(run_file), expected) == {}
