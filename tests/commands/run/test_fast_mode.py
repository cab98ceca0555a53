"""`--mode trainings` comes to the same verdicts as asking for every model, but for what no list of trainings shows."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.demo.database import load
from audit.demo.fake_replicate.server import in_thread
from audit.model.codes import Note, Reason
from audit.model.replies import TrainingsRead
from audit.runfile import RunFile
from tests.support.audits import Servers, audit, new_database
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.synthetic_users import UNSEEN, Oddity, OddlyTrainedUsers

LONG_AGO = "2020-01-01T00:00:00Z"
FAST = TrainingsRead(mode="trainings", since=LONG_AGO)


@pytest.fixture(scope="module")
def odd() -> OddlyTrainedUsers:
    """Users of whom every kind of oddity is there several times."""
    return OddlyTrainedUsers(800, oddities=0.2, odd_trainings=0.15)


@pytest.fixture(scope="module")
def odd_servers(postgres_server: str, odd: OddlyTrainedUsers) -> Iterator[Servers]:
    """Servers with them."""
    dsn = asyncio.run(new_database(postgres_server, "odd_trainings"))
    asyncio.run(load(dsn, odd))
    with in_thread(InstrumentedReplicate(odd)) as fake:
        yield Servers(dsn, fake)


def reasons(run_file: RunFile) -> dict[str, Reason]:
    """By user id."""
    return {user.record.user_id: user.finding.reason for user in run_file.users()}


def test_every_oddity_is_there(odd: OddlyTrainedUsers) -> None:
    assert {odd.oddity(i) for i in range(odd.n)} == {None, *Oddity}


def test_with_all_versions_asked_for_every_verdict_is_right(
    odd: OddlyTrainedUsers, odd_servers: Servers, tmp_path: Path
) -> None:
    with audit(odd_servers.settings(tmp_path, timeout=20)) as run_file:
        assert reasons(run_file) == {odd.user_id(i): odd.verdict(i) for i in range(odd.n)}


def test_trainings_alone_miss_what_was_pushed_or_deleted_by_hand_and_nothing_else(
    odd: OddlyTrainedUsers, odd_servers: Servers, tmp_path: Path
) -> None:
    right = {odd.user_id(i): odd.verdict(i) for i in range(odd.n)}
    unseen = {odd.user_id(i) for i in range(odd.n) if odd.oddity(i) in UNSEEN}
    with audit(odd_servers.settings(tmp_path, timeout=20, trainings=FAST)) as run_file:
        got = reasons(run_file)
        requests = run_file.info.requests.sent
        by_training = run_file.count_by_training()
    assert {user for user in got if got[user] != right[user]} == unseen
    assert {got[user] for user in unseen} == {Reason.LATEST_VERSION}
    assert by_training >= 0.6 * odd.n
    assert requests <= odd.n - by_training + len(odd.trainings) // 100 + 100


def test_trainings_older_than_the_window_settle_nobody(odd_servers: Servers, tmp_path: Path) -> None:
    with audit(
        odd_servers.settings(
            tmp_path, timeout=20, trainings=TrainingsRead(mode="trainings", since="2026-03-01T11:35:00Z")
        )
    ) as run_file:
        settled = [user.record for user in run_file.users() if user.finding.evidence == "training"]
    assert 0 < len(settled) <= 301
    assert min(str(record.created_at) for record in settled) >= "2026-03-01T11:55:00Z"


def test_a_sample_of_everybody_finds_all_that_trainings_do_not_show(
    odd: OddlyTrainedUsers, odd_servers: Servers, tmp_path: Path
) -> None:
    unseen = {odd.user_id(i) for i in range(odd.n) if odd.oddity(i) in UNSEEN}
    every = TrainingsRead(mode="trainings", since=LONG_AGO, sample=100)
    with audit(odd_servers.settings(tmp_path, timeout=20, trainings=every)) as run_file:
        found = {user: reason for user, reason in reasons(run_file).items() if reason is Reason.EVIDENCE_DISAGREES}
        assert found.keys() == unseen
        assert run_file.count_by_training() == 0
        detail = next(user.finding.detail for user in run_file.users(reason=Reason.EVIDENCE_DISAGREES))
    assert detail is not None
    assert "by its trainings" in detail


def test_a_sample_is_never_empty_unless_none_is_wanted(odd_servers: Servers, tmp_path: Path) -> None:
    with audit(odd_servers.settings(tmp_path, timeout=20, trainings=FAST)) as run_file:
        without = run_file.count_by_training()
    tiny = TrainingsRead(mode="trainings", since=LONG_AGO, sample=0.0001)
    with audit(
        odd_servers.settings(tmp_path, timeout=20, run_file=tmp_path / "tiny.sqlite", trainings=tiny)
    ) as run_file:
        assert run_file.count_by_training() == without - 1


def test_full_mode_tells_by_hand_from_trained(odd: OddlyTrainedUsers, odd_servers: Servers, tmp_path: Path) -> None:
    with audit(
        odd_servers.settings(tmp_path, timeout=20, trainings=TrainingsRead(mode="versions", since=LONG_AGO))
    ) as run_file:
        notes = {user.record.user_id: set(user.finding.notes) for user in run_file.users()}
    pushed = {Oddity.PUSHED, Oddity.PUSHED_AND_RECORDED}  # one without an output may have made it
    for i in range(odd.n):
        by_hand = odd.oddity(i) in pushed
        assert (Note.VERSION_MADE_BY_HAND in notes[odd.user_id(i)]) == by_hand, odd.oddity(i)
        outdated = odd.verdict(i).status == "needs_sync" and odd.oddity(i) is None
        outdated = outdated and Note.SHARED_MODEL not in notes[odd.user_id(i)]  # whose training it is nobody knows
        assert (Note.UNRECORDED_TRAINING in notes[odd.user_id(i)]) == outdated
