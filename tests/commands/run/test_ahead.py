"""Models that are asked for while the list of trainings is read: when, which ones, and what becomes of the replies."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from audit.cli.signals import Stop
from audit.commands.replicate import ProgressListener
from audit.commands.run import audit as audit_run
from audit.commands.run.ahead import MOST_REPLIES, MOST_VERSIONS, AskedAhead
from audit.demo.database import load
from audit.demo.fake_replicate.answers import PageSizes
from audit.demo.fake_replicate.faults import Refused
from audit.demo.fake_replicate.server import in_thread
from audit.demo.fake_replicate.world import FakeTraining, Model, SmallWorld
from audit.model.codes import Mode, Reason
from audit.model.findings import AuditedUser, Finding
from audit.model.replies import Account, Failed, Found, Reply, TrainingsRead, Version
from audit.runfile import RunFile
from tests.commands.run.test_trainings import MINE, filled, new_run_file, training
from tests.support.audits import Servers, audit, new_database
from tests.support.database_rows import MODELS, USERS, execute, insert, model
from tests.support.instrumented_replicate import Behaviour
from tests.support.ordered_replicate import Keeps, OrderedReplicate, list_pages, models_in
from tests.support.samples import NEW, OLD
from tests.support.synthetic_users import OWNER, Oddity, OddlyTrainedUsers

PAGE = 20
PAGES = Behaviour(sizes=PageSizes(trainings=PAGE))
SINCE = "2020-01-01T00:00:00Z"
MODES = pytest.mark.parametrize("mode", ["versions", "trainings"])


def wanted(mode: Mode, sample: float = 0) -> TrainingsRead:
    return TrainingsRead(mode=mode, since=SINCE, sample=sample)


@pytest.fixture(scope="module")
def users() -> OddlyTrainedUsers:
    """Of 200, so that the list has 12 pages."""
    return OddlyTrainedUsers(200, oddities=0.2, odd_trainings=0.3)


@pytest.fixture(scope="module")
def dsn(postgres_server: str, users: OddlyTrainedUsers) -> str:
    dsn = asyncio.run(new_database(postgres_server, "ahead"))
    asyncio.run(load(dsn, users))
    return dsn


def audited(
    dsn: str, fake: OrderedReplicate, folder: Path, read: TrainingsRead, concurrency: int = 8
) -> list[AuditedUser]:
    """What a run finds with the list of trainings."""
    settings = Servers(dsn, fake).settings(folder, trainings=read, timeout=20, concurrency=concurrency)
    with audit(settings) as run_file:
        assert run_file.info.trainings
        assert run_file.info.trainings.complete
        return list(run_file.users())


def kept_until(page: int, asked: int) -> Keeps:
    """That page of the list, and those after it, are kept back until so many models have been asked for."""

    def keeps(path: str, order: Sequence[str]) -> bool:
        return "cursor" in path and list_pages(order) >= page and len(models_in(order)) < asked

    return keeps


def overtaken(users: OddlyTrainedUsers) -> set[str]:
    """Models whose trainings ended in another order than they began in."""
    return {f"{OWNER}/{users.model_name(i)}" for i in range(users.n) if users.oddity(i) is Oddity.OVERTAKEN}


@pytest.mark.parametrize(("mode", "sample"), [("versions", 0.0), ("trainings", 100.0)])
def test_models_of_the_first_pages_are_asked_for_before_the_last_page_has_come(
    users: OddlyTrainedUsers, dsn: str, tmp_path: Path, mode: Mode, sample: float
) -> None:
    """The fifth page comes only once as many models were asked for as four pages have at least."""
    with in_thread(OrderedReplicate(users, PAGES, keeps=kept_until(5, 50))) as fake:
        found = audited(dsn, fake, tmp_path, wanted(mode, sample))
        last = max(place for place, path in enumerate(fake.order) if "cursor" in path)
        early = models_in(fake.order[:last])
    assert len(early) >= 50
    assert len(found) == users.n


def test_progress_says_how_many_models_have_answered_while_the_list_is_read(
    users: OddlyTrainedUsers, dsn: str, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []

    class Told(ProgressListener):
        def trainings_read(self, count: int, answered: int = 0) -> None:
            told.append((count, answered))

    with in_thread(OrderedReplicate(users, PAGES, keeps=kept_until(5, 50))) as fake:
        settings = Servers(dsn, fake).settings(tmp_path, trainings=wanted("versions"), timeout=20, concurrency=8)
        asyncio.run(audit_run.audit(settings, Told(), Stop())).close()
    assert told[0] == (0, 0)
    assert told == sorted(told)
    assert told[-1][0] == len(users.trainings)
    assert told[-1][1] >= 40


def test_whoever_trainings_settle_is_not_asked_for_while_they_are_read(
    users: OddlyTrainedUsers, dsn: str, tmp_path: Path
) -> None:
    """Those of the first pages who are not up to date by their trainings are asked for before the list has ended."""
    with in_thread(OrderedReplicate(users, PAGES, keeps=kept_until(8, 5))) as fake:
        found = audited(dsn, fake, tmp_path, wanted("trainings"))
        asked = set(fake.asked_for)
    by_training = {user.record.replicate_model_id for user in found if user.finding.evidence == "training"}
    assert len(by_training) > 100
    assert asked & by_training <= overtaken(users)


@MODES
def test_findings_are_those_of_a_run_that_asks_for_one_after_the_other(
    users: OddlyTrainedUsers, dsn: str, tmp_path: Path, mode: Mode
) -> None:
    found = []
    for concurrency in (8, 1):
        folder = tmp_path / str(concurrency)
        folder.mkdir()
        with in_thread(OrderedReplicate(users, PAGES, keeps=kept_until(9, 10 if concurrency > 1 else 0))) as fake:
            lines = audited(dsn, fake, folder, wanted(mode), concurrency)
            found.append([(each.record.user_id, each.finding) for each in lines])
            assert max(Counter(fake.asked_for).values()) == 1
            assert list_pages(fake.order) == 12
            assert fake.request_log.peak_in_flight <= concurrency
    assert found[0] == found[1]


@MODES
def test_a_trainer_that_only_the_last_page_shows_to_be_one_is_never_asked_for(
    database: str, tmp_path: Path, mode: Mode
) -> None:
    """The account has it itself, two users have it recorded as their model, and all others were trained by it."""
    trainer, names = "acme/own-trainer", [f"user-{i}" for i in range(60)]
    trainings = [
        FakeTraining(
            id=f"t{i}",
            destination=f"acme/{name}",
            status="succeeded",
            created_at=f"2026-02-01T00:{59 - i:02d}:00Z",
            completed_at=f"2026-02-02T00:{59 - i:02d}:00Z",
            output_version=NEW,
            trainer=trainer if i == 59 else "ostris/flux-dev-lora-trainer",
        )
        for i, name in enumerate(names)
    ]
    versions = (Version(NEW, "2026-02-03T00:00:00Z"), Version(OLD, "2026-01-01T00:00:00Z"))
    models = [Model(owner="acme", name=name, versions=versions) for name in [*names, "own-trainer"]]
    recorded = {name: f"acme/{name}" for name in names} | {"a": trainer, "b": " Acme/Own-Trainer"}
    asyncio.run(execute(database, USERS, MODELS))
    asyncio.run(insert(database, "users", [{"id": user, "email": f"{user}@example.com"} for user in recorded]))
    rows = [model(user_id=user, replicate_model_id=each, replicate_version_id=OLD) for user, each in recorded.items()]
    asyncio.run(insert(database, "user_models", rows))
    world = SmallWorld(Account("user", "acme"), models, trainings)
    with in_thread(OrderedReplicate(world, PAGES, keeps=kept_until(3, 40))) as fake:
        found = {user.record.user_id: user.finding.reason for user in audited(database, fake, tmp_path, wanted(mode))}
        assert sorted(fake.asked_for) == sorted(f"acme/{name}" for name in names)
    assert {found.pop(user) for user in ("a", "b")} == {Reason.TRAINER_RECORDED}
    assert set(found.values()) == {Reason.OUTDATED_VERSION}


@MODES
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_replies_of_a_run_that_ends_before_the_list_are_lost_and_asked_for_again(
    users: OddlyTrainedUsers, dsn: str, tmp_path: Path, mode: Mode, *, killed: bool
) -> None:
    """The ninth page never comes; the run ends when some models have been answered for."""
    stop, whole = Stop(), tmp_path / "whole"
    whole.mkdir()
    async with OrderedReplicate(users, PAGES, keeps=kept_until(9, 10**9)) as fake:
        settings = Servers(dsn, fake).settings(tmp_path, trainings=wanted(mode), timeout=20, concurrency=8)
        running = asyncio.create_task(audit_run.audit(settings, ProgressListener(), stop))
        await fake.until(lambda: list_pages(fake.order) == 9 and len(fake.asked_for) >= 10)
        if killed:
            running.cancel()
            await asyncio.wait({running})
        else:
            stop.request("interrupted", "stopped by SIGINT")
            (await running).close()
        asked, fake.order = set(fake.asked_for), []
        await fake.release()
        with audit_run.open_to_resume(settings.run_file) as run_file:
            assert not run_file.has_answers
            assert run_file.count_by_training() == 0
            await audit_run.resume(run_file, settings, ProgressListener(), Stop())
            found = [(each.record.user_id, each.finding) for each in run_file.users()]
        assert asked - overtaken(users) <= set(fake.asked_for)
        assert max(Counter(fake.asked_for).values()) == 1
        settings = Servers(dsn, fake).settings(whole, trainings=wanted(mode), timeout=20, concurrency=8)
        with await audit_run.audit(settings, ProgressListener(), Stop()) as run_file:
            assert found == [(each.record.user_id, each.finding) for each in run_file.users()]


@MODES
def test_a_token_that_is_revoked_while_replies_wait_ends_the_run(
    users: OddlyTrainedUsers, dsn: str, tmp_path: Path, mode: Mode
) -> None:
    behaviour = Behaviour(sizes=PageSizes(trainings=PAGE), revoked_after=12)
    with in_thread(OrderedReplicate(users, behaviour)) as fake:
        settings = Servers(dsn, fake).settings(tmp_path, trainings=wanted(mode), timeout=20, concurrency=8)
        with audit(settings) as run_file:
            assert run_file.info.state == "stopped"
            assert str(run_file.info.stop_reason).startswith("Replicate refuses the API token (HTTP 401: ")
            assert run_file.count_pending() > 100
        assert fake.request_log.requests <= 12 + 3 + 3 * 8


@MODES
def test_a_service_that_fails_is_asked_no_more_until_the_list_has_been_read(
    users: OddlyTrainedUsers, dsn: str, tmp_path: Path, mode: Mode
) -> None:
    """What its failures mean is then decided as ever; here the run is stopped."""
    stop = Stop()

    class Impatient(ProgressListener):
        def answered(self, findings: Sequence[Finding]) -> None:
            stop.request("interrupted", "enough")

    behaviour = Behaviour(sizes=PageSizes(trainings=PAGE), faults=(Refused(status=503, on=("versions", "model")),))
    with in_thread(OrderedReplicate(users, behaviour, keeps=kept_until(4, 1))) as fake:
        settings = Servers(dsn, fake, retries=0).settings(tmp_path, trainings=wanted(mode), timeout=20, concurrency=8)
        with asyncio.run(audit_run.audit(settings, Impatient(), stop)) as run_file:
            assert run_file.info.trainings
            assert run_file.info.trainings.complete
        last = max(place for place, path in enumerate(fake.order) if "cursor" in path)
        assert 1 <= len(models_in(fake.order[:last])) <= 7
        assert max(Counter(fake.asked_for).values()) == 1


class Client:
    """Answers at once, `versions` of each model; `asked` are the models."""

    def __init__(self, versions: int = 1, failure: Failed | None = None) -> None:
        self.asked: list[str] = []
        self._reply: Reply = failure or Found((Version(NEW, None),) * versions)

    async def ask(self, model: str) -> Reply:
        self.asked.append(model)
        return self._reply


async def read_ahead(run_file: RunFile, client: Client, pages: int, at_once: int = 7) -> list[str]:
    """Read pages of a hundred trainings; what is then still to be judged."""
    async with AskedAhead(client, run_file, wanted("versions"), MINE, at_once) as ahead:
        for page in range(pages):
            ahead.offer(training(number) for number in range(100 * page, 100 * page + 100))
            for _ in range(100):
                await asyncio.sleep(0)
        assert ahead.count == len(client.asked)
        return ahead.pending()


@pytest.mark.parametrize(("versions", "most"), [(1, MOST_REPLIES), (500, MOST_VERSIONS // 500)])
def test_no_more_replies_wait_than_there_is_room_for(tmp_path: Path, versions: int, most: int) -> None:
    client = Client(versions)
    with new_run_file(tmp_path) as run_file:
        filled(run_file, *range(1300))
        pending = asyncio.run(read_ahead(run_file, client, 13))
    assert most <= len(client.asked) <= most + 7 * (versions > 1)
    assert pending == client.asked


def test_after_a_failure_no_model_is_asked_for_ahead(tmp_path: Path) -> None:
    client = Client(failure=Failed(Reason.UNAUTHORIZED, "HTTP 401"))
    with new_run_file(tmp_path) as run_file:
        filled(run_file, *range(300))
        assert len(asyncio.run(read_ahead(run_file, client, 3))) == 7


def test_where_one_request_is_allowed_at_a_time_none_is_made_beside_the_list(tmp_path: Path) -> None:
    client = Client()
    with new_run_file(tmp_path) as run_file:
        filled(run_file, *range(100))
        assert asyncio.run(read_ahead(run_file, client, 1, at_once=0)) == []


def test_a_model_that_is_settled_after_all_is_not_judged_by_the_reply(tmp_path: Path) -> None:
    with new_run_file(tmp_path) as run_file:
        filled(run_file, 1, 2)

        async def read() -> list[str]:
            async with AskedAhead(Client(), run_file, wanted("versions"), MINE, 7) as ahead:
                ahead.offer([training(1), training(2)])
                [(row_id, _, _), _] = run_file.pending_unshared()
                run_file.record_findings_by_training([(row_id, Finding(reason=Reason.LATEST_VERSION))], 5)
                return ahead.pending()

        assert asyncio.run(read()) == ["acme/user-2"]


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_a_model_that_is_on_many_pages_is_asked_for_once(tmp_path: Path, at_once: int) -> None:
    """Before it was asked for, while it is, and when it has been."""
    client = Client()
    with new_run_file(tmp_path) as run_file:
        filled(run_file, *range(4))

        async def read() -> None:
            async with AskedAhead(client, run_file, wanted("versions"), MINE, at_once) as ahead:
                for _ in range(6):
                    ahead.offer(training(number) for number in range(4))
                    await asyncio.sleep(0)
                for _ in range(20):
                    await asyncio.sleep(0)

        asyncio.run(read())
    assert sorted(client.asked) == [f"acme/user-{number}" for number in range(4)]
