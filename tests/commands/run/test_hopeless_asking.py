"""Questions that are asked until that is hopeless: a real run file, and a client made of plain Python."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from audit.cli.signals import Stop
from audit.commands.run.auditor import Auditor, Questions
from audit.commands.run.hopeless import Asking, begin_anew
from audit.commands.run.questions import ModelQuestions, RowQuestions
from audit.findings.classify import context_of
from audit.findings.trainings import Classifier, OddTrainings
from audit.findings.unfinished import asked_model, open_question, unasked
from audit.model.codes import Reason
from audit.model.ids import training_as_model
from audit.model.replies import Account, Failed, Missing, NoVersions, Reply, Through, Training, TrainingsRead
from audit.model.run import RunInfo
from audit.model.users import ModelRecord
from audit.runfile import RunFile
from audit.runfile.accounts import Accounts
from tests.support.run_files import population
from tests.support.samples import NEW, found, record, run_info

_Q = TypeVar("_Q")
_A = TypeVar("_A")
STAGING, ACME = Account("organization", "acme-staging"), Account("organization", "acme")
ID = "{:026}".format
DOWN = Failed(Reason.TIMEOUT, "no answer")


@dataclass
class FakeClient:
    """404 for all but what is in `replies`; those in `late` wait until so many have been asked for."""

    replies: dict[str, Reply] = field(default_factory=dict)
    trainings: dict[str, Training] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    never: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    async def ask(self, model: str, *, once: bool = False) -> Reply:
        self.asked.append(model)
        await asyncio.sleep(0)
        if model in self.never:
            await asyncio.Event().wait()
        for _ in range(200 * (model in self.late)):  # turns of the loop: where there are fewer questions, in vain
            if len(self.asked) < self.late[model]:
                await asyncio.sleep(0)
        return self.replies.get(model, Through(Missing()) if training_as_model(model) else Missing())

    async def training(self, training_id: str, *, once: bool = False) -> Training | Missing | Failed:
        self.asked.append(training_id)
        await asyncio.sleep(0)
        return self.trainings.get(training_id, Missing())


def begun(path: Path, records: Sequence[ModelRecord], account: Account | None = STAGING, **changes: object) -> RunFile:
    """A run file as it is when the records are read."""
    info = run_info(account=account, by_model_key=True, stuck_after=86400.0, **changes)
    run_file = RunFile.create(path / "run.sqlite", info)
    context = context_of(info, population(len(records)))
    with run_file.loading():
        for each in records:
            base, first = unasked(each, context)
            question = open_question(each, context) is not None
            run_file.add(each, asked_model(each, context), first, question=question, base=base)
        run_file.save_population(population(len(records)))
    return run_file


def ask(run_file: RunFile, client: FakeClient, at_once: int = 8) -> Stop:
    """Ask all that is pending, and return the stop, requested or not."""

    async def run() -> Stop:
        stop = Stop()
        asking = Asking(run_file, stop, grace=0.05)
        classifier = Classifier(
            context_of(run_file.info, run_file.population), None, run_file.trainings, OddTrainings()
        )

        def auditor(questions: Questions[_Q, _A]) -> Auditor[_Q, _A]:
            return Auditor(questions, lambda _: None, token_works=True)

        await asking.run(ModelQuestions(client, run_file, classifier), auditor, at_once)
        if not stop.requested:
            await asking.run(RowQuestions(client, run_file, classifier, run_file.trainings), auditor, at_once)
        return stop

    return asyncio.run(run())


def dumped(run_file: RunFile) -> list[tuple[object, ...]]:
    """All that the file has of users and questions."""
    tables = ("audited", "unfinished")
    return [row for table in tables for row in run_file.storage.connection.execute(f"SELECT * FROM {table}")]


def users(count: int, owner: str = "acme", **changes: object) -> list[ModelRecord]:
    return [
        record(user_id=f"{owner}{i}", replicate_model_id=f"{owner}/m{i:04}", model_row_id=f"{i}", **changes)
        for i in range(count)
    ]


def stuck(number: int, owner: str = "acme", **changes: object) -> ModelRecord:
    """A row that has never ended and names a training."""
    row = record(
        user_id=f"s{number}",
        replicate_model_id=f"{owner}/s{number}",
        replicate_version_id=None,
        training_id=ID(number),
        training_status="training",
        unfinished=True,
    )
    return msgspec.structs.replace(row, **changes)


def retraining(number: int, owner: str = "acme", **changes: object) -> ModelRecord:
    """A completed row, and a newer one that has never ended."""
    whole = record(user_id=f"r{number}", replicate_model_id=f"{owner}/r{number}")
    return msgspec.structs.replace(whole, newer=stuck(number, owner, user_id=f"r{number}", **changes))


KINDS: dict[str, Callable[[int], ModelRecord]] = {
    "completed": lambda i: record(user_id=f"u{i}", replicate_model_id=f"acme/m{i}"),
    "without a version": lambda i: record(user_id=f"u{i}", replicate_model_id=f"acme/m{i}", replicate_version_id=None),
    "with a training in the model's place": lambda i: record(user_id=f"u{i}", replicate_model_id=ID(i)),
    "shared by two": lambda i: record(user_id=f"u{i}", replicate_model_id=f"acme/m{i // 2}", shared_with_count=1),
    "in other letters": lambda i: record(user_id=f"u{i}", replicate_model_id=f" ACME/M{i}"),
    "never ended, with a training": stuck,
    "never ended, with a model": lambda i: stuck(i, training_id=None),
    "trained again": retraining,
    "trained again, of the same model": lambda i: retraining(i, training_id=None),
    "trained again, into another model": lambda i: retraining(i, training_id=None, replicate_model_id=f"beta/x{i}"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_was_answered_with_404_is_as_if_never_asked(tmp_path: Path, kind: str) -> None:
    some = [KINDS[kind](i) for i in range(60)]
    with begun(tmp_path, [*some, record(user_id="none", replicate_model_id=None)]) as run_file:
        before = dumped(run_file)
        client = FakeClient()
        stop = ask(run_file, client)
        assert (stop.state, dumped(run_file) == before) == ("stopped", True), stop.reason
        assert "the token belongs to account acme-staging" in (stop.reason or "")
        assert len(set(client.asked)) <= 2 * (20 + 8)
        assert run_file.info.none_found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reply", [found(NEW), NoVersions()], ids=["found", "without versions"])
def test_where_the_last_is_found_all_are_asked_and_nobody_is_put_back(tmp_path: Path, kind: str, reply: Reply) -> None:
    some = [record(user_id="first", replicate_model_id="beta/public"), *(KINDS[kind](i) for i in range(60))]
    with begun(tmp_path, some) as run_file:
        stop = ask(run_file, FakeClient({"beta/public": reply}, late={"beta/public": 25}))
        assert not stop.requested
        assert run_file.count_pending() == 0
        assert not run_file.info.none_found


def test_an_answer_on_its_way_that_finds_something_takes_the_end_back_and_each_is_asked_once(tmp_path: Path) -> None:
    with begun(tmp_path, users(60)) as run_file:
        # The 28th is asked for when the 20th has come, as eight are asked for at once.
        client = FakeClient({"acme/m0003": found(NEW)}, late={"acme/m0003": 27})
        assert not ask(run_file, client).requested
        assert len(client.asked) == len(set(client.asked)) == 60
        assert run_file.summary().reasons == {Reason.MODEL_NOT_FOUND: 59, Reason.LATEST_VERSION: 1}


def test_an_answer_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    with begun(tmp_path, users(60)) as run_file:
        stop = ask(run_file, FakeClient(never=("acme/m0003",)))
        assert stop.reason == (
            "none of the first 20 models was found: the token belongs to account acme-staging, the models belong to "
            "acme (60 models)"
        )


def test_failures_stay_what_they_are(tmp_path: Path) -> None:
    with begun(tmp_path, users(60)) as run_file:
        assert ask(run_file, FakeClient({"acme/m0003": DOWN})).requested
        assert run_file.summary().reasons == {Reason.TIMEOUT: 1, Reason.STOPPED: 59}


OWN = users(3, "acme-staging")


@pytest.mark.parametrize("letters", [str.lower, str.upper])
def test_as_long_as_one_of_the_account_s_own_is_to_be_asked_the_others_are_asked_too(
    tmp_path: Path, letters: Callable[[str], str]
) -> None:
    own = [msgspec.structs.replace(each, replicate_model_id=letters(each.replicate_model_id or "")) for each in OWN]
    with begun(tmp_path, [*users(60), *own, *users(60, "beta")]) as run_file:
        client = FakeClient()
        stop = ask(run_file, client)
        assert 63 <= len(client.asked) <= 63 + 2 * 8
        assert "acme (60 models), beta (60 models) and acme-staging (3 models)" in (stop.reason or "")
        assert run_file.summary().reasons == {Reason.STOPPED: 123}


@pytest.mark.parametrize(
    "own",
    [
        pytest.param([record(replicate_model_id="acme-staging/x")], id="its question fails"),
        pytest.param([stuck(1, "acme-staging")], id="it is a row that has never ended"),
        pytest.param([retraining(1, training_id=ID(1), replicate_model_id="acme-staging/x")], id="it is a newer row"),
    ],
)
def test_one_of_the_account_s_own_without_an_answer_keeps_the_run_going(
    tmp_path: Path, own: Sequence[ModelRecord]
) -> None:
    with begun(tmp_path, [*users(60), *own]) as run_file:
        client = FakeClient({"acme-staging/x": DOWN}, {ID(1): Training(id=ID(1), status="processing")})
        assert not ask(run_file, client).requested
        assert len(set(client.asked)) >= 60


@pytest.mark.parametrize(
    ("changes", "account"),
    [({}, None), ({"by_model_key": False}, STAGING)],
    ids=["the account is not known", "an older version has read the records"],
)
def test_where_nobody_knows_whose_models_are_the_account_s_all_are_asked_for(
    tmp_path: Path, changes: dict[str, object], account: Account | None
) -> None:
    with begun(tmp_path, users(60), account) as run_file:
        run_file.save_info(msgspec.structs.replace(run_file.info, **changes))
        assert not ask(run_file, FakeClient()).requested
        assert run_file.summary().reasons == {Reason.MODEL_NOT_FOUND: 60}


@pytest.mark.parametrize(
    ("kind", "client"),
    [
        ("completed", FakeClient({"acme/m0": found(NEW)})),
        ("completed", FakeClient({"acme/m0": NoVersions()})),
        ("without a version", FakeClient({"acme/m0": found(NEW)})),
        ("with a training in the model's place", FakeClient({ID(0): Through(Training(id=ID(0), status="processing"))})),
        ("never ended, with a training", FakeClient(trainings={ID(0): Training(id=ID(0), status="processing")})),
        ("never ended, with a training", FakeClient(trainings={ID(0): Training(id=ID(0), status="failed")})),
        ("never ended, with a model", FakeClient({"acme/s0": found(NEW)})),
        ("trained again", FakeClient({"acme/r0": found(NEW)})),
    ],
)
def test_what_an_earlier_process_has_found_is_known_and_what_it_has_not_is_not(
    tmp_path: Path, kind: str, client: FakeClient
) -> None:
    with begun(tmp_path, [KINDS[kind](i) for i in range(9)]) as run_file:
        assert not Accounts(run_file).anything_found()
        ask(run_file, FakeClient())
        assert not Accounts(run_file).anything_found()
        begin_anew(run_file, STAGING)
        ask(run_file, client)
        assert Accounts(run_file).anything_found()


def test_a_model_that_was_found_counts_while_its_newer_row_waits(tmp_path: Path) -> None:
    with begun(tmp_path, [retraining(i) for i in range(9)]) as run_file:
        classifier = Classifier(context_of(run_file.info, None), None, run_file.trainings, OddTrainings())
        questions = ModelQuestions(FakeClient(), run_file, classifier)
        for model, reply in (("acme/r1", Missing()), ("acme/r2", DOWN)):
            list(questions.record(model, reply))
        assert not Accounts(run_file).anything_found()
        list(questions.record("acme/r3", found(NEW)))
        assert run_file.summary().reasons[Reason.STOPPED] > 6
        assert Accounts(run_file).anything_found()


def test_begun_anew_it_is_the_run_of_the_other_account(tmp_path: Path) -> None:
    everybody = [each(i) for i, each in enumerate(KINDS.values())]
    read = TrainingsRead(mode="trainings", since="2026-01-01T00:00:00Z", sample=2.0)
    (tmp_path / "fresh").mkdir()
    with begun(tmp_path / "fresh", everybody, ACME, trainings=read) as fresh, begun(tmp_path, everybody) as run_file:
        ask(run_file, FakeClient({"acme/m0": DOWN}))
        reads = msgspec.structs.replace(read, pages=3, read=200, next="https://next", complete=True, began_at="2026")
        run_file.save_info(msgspec.structs.replace(run_file.info, trainings=reads))
        with run_file.transaction():
            run_file.trainings.add([Training(id=ID(7), status="succeeded")])
        info: RunInfo = begin_anew(run_file, ACME)
        assert dumped(run_file) == dumped(fresh)
        assert info == run_file.info == fresh.info
        assert run_file.trainings.count() == 0


def test_owners_are_named_by_the_number_of_their_models_three_at_most(tmp_path: Path) -> None:
    owners = {"a": 1, "b": 5, "c": 3, "d": 3, "e": 1}
    odd = [record(user_id="x", replicate_model_id=ID(1)), stuck(1, replicate_model_id="https://x/y/z")]
    shared = [record(user_id="y", replicate_model_id="B/M0000"), stuck(2, "f")]
    with begun(
        tmp_path, [*odd, *shared, *(each for owner, n in owners.items() for each in users(n, owner))]
    ) as run_file:
        none_found = Accounts(run_file).none_found(20)
        assert (none_found.owners, none_found.more_owners) == ((("b", 5), ("c", 3), ("d", 3)), 3)
        assert none_found.whose(STAGING) == (
            "the token belongs to account acme-staging, the models belong to b (5 models), c (3 models), d (3 models)"
            " and 3 more"
        )


def test_where_only_trainings_are_recorded_nobody_is_called_the_owner(tmp_path: Path) -> None:
    with begun(tmp_path, [record(user_id=f"u{i}", replicate_model_id=ID(i)) for i in range(30)]) as run_file:
        assert (ask(run_file, FakeClient()).reason or "").endswith("which knows none of the recorded trainings")
