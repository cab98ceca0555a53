"""One user from database and fake Replicate, or from a run file: the same verdicts as a run's, and what follows."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from audit.commands.user.case import UserCase
from audit.commands.user.last_training import Outcome
from audit.commands.user.lookup import look, look_in_run
from audit.demo.users import DemoUsers
from audit.errors import ReplicateError
from audit.model.codes import Note, Reason
from audit.model.exit_status import INCOMPLETE, NEEDS_SYNC, OK, USER
from audit.model.replies import TrainingsRead
from audit.postgres.user import Candidates
from audit.runfile import RunFile
from tests.support.audits import Servers, audit
from tests.support.synthetic_users import SyntheticUsers


@pytest.fixture(scope="module")
def cases(
    faulty_servers: Servers, demo_users: DemoUsers, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, UserCase]:
    """The case of everybody in the demo, by name as it stands in the e-mail."""
    settings = faulty_servers.settings(tmp_path_factory.mktemp("cases"))

    async def everybody() -> list[UserCase | Candidates]:
        return await asyncio.gather(*(look(settings, user.id) for user in demo_users.users))

    found = asyncio.run(everybody())
    assert all(isinstance(case, UserCase) for case in found)
    return {case.email or case.user_id: case for case in found if isinstance(case, UserCase)}


@pytest.fixture(scope="module")
def run_file(faulty_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = faulty_servers.settings(tmp_path_factory.mktemp("run"))
    audit(settings).close()
    return settings.run_file


def named(cases: Mapping[str, UserCase], name: str) -> UserCase:
    [case] = [case for email, case in cases.items() if email.startswith(name)]
    return case


LISTED = {Note.UNRECORDED_TRAINING, Note.VERSION_MADE_BY_HAND}
"""Notes that the account's list of trainings gives, and a look at one user only where a row names the training."""


def test_reasons_and_notes_are_those_of_a_run(cases: Mapping[str, UserCase], demo_users: DemoUsers) -> None:
    judged = {case.user_id: case for case in cases.values() if case.reason}
    assert judged.keys() == demo_users.expected.keys()
    for user_id, (reason, notes) in demo_users.expected.items():
        assert judged[user_id].reason is reason
        assert set(notes) - LISTED <= set(judged[user_id].notes) <= set(notes)


def test_the_trainings_that_rows_name_show_what_they_made(cases: Mapping[str, UserCase]) -> None:
    dmitri, mara = named(cases, "dmitri.volkov"), named(cases, "mara.lindqvist")
    assert dmitri.current_training
    assert dmitri.later_training
    assert dmitri.rows
    assert dmitri.later_training.id == dmitri.rows[0].training_id
    assert dmitri.latest_training is None
    assert any("Which training made the latest version" in each for each in dmitri.not_known)
    assert mara.current_training
    assert mara.current_training == mara.latest_training
    assert not [each for each in mara.not_known if "training" in each]


def test_the_row_that_counts_is_marked_and_every_other_one_says_why(cases: Mapping[str, UserCase]) -> None:
    for case in cases.values():
        rows = case.rows or ()
        assert [row.model_row_id for row in rows if row.counts] == [case.model_row_id] * (case.reason is not None)
        assert all(row.why for row in rows)


def test_all_versions_are_there_with_their_marks(cases: Mapping[str, UserCase]) -> None:
    case = named(cases, "chloe.dubois")
    assert len(case.versions) == case.total_versions_on_replicate == 60
    assert [version.latest for version in case.versions] == [True] + [False] * 59
    case = named(cases, "marcus.johnson")
    assert [version.recorded for version in case.versions] == [False] * 7 + [True]
    assert case.versions_behind == 7


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("camille.petit", Outcome.RECORDED),
        ("arjun.patel", Outcome.HAD_ISSUES),
        ("dmitri.volkov", Outcome.NOT_RECORDED),
        ("julia.becker", Outcome.IN_PROGRESS),
        ("mara.lindqvist", Outcome.SINGLE),
        ("helena.costa", Outcome.NOT_RECORDED),
        ("paul.nguyen", Outcome.NO_TRAINING),
        ("ruth.abrams", Outcome.UNKNOWN),
        ("sarah.cohen", Outcome.UNKNOWN),
    ],
)
def test_the_outcome_of_the_last_training_is_recognised(
    cases: Mapping[str, UserCase], name: str, outcome: Outcome
) -> None:
    assert named(cases, name).last_training.outcome is outcome


def test_the_weights_url_is_held_against_the_training_that_made_it(cases: Mapping[str, UserCase]) -> None:
    points = {case.email: {point.code: point.good for point in case.checklist} for case in cases.values()}
    assert points["mara.lindqvist@example.com"]["weights_url"] is True
    assert named(cases, "victor.almeida").checklist[3].good is False
    assert named(cases, "owen.davies").checklist[3].good is None, "another account's trainings are not shown"


def test_codes_are_those_of_a_run_of_that_one_user(cases: Mapping[str, UserCase]) -> None:
    codes = {name: named(cases, name).exit_status for name in ("mara", "noah", "ruth", "paul")}
    assert codes == {
        "mara": USER[OK],
        "noah": USER[NEEDS_SYNC],
        "ruth": USER[INCOMPLETE],
        "paul": USER[INCOMPLETE],
    }


def test_a_user_without_a_row_that_counts_is_told_what_would_count(cases: Mapping[str, UserCase]) -> None:
    assert "`completed`, exactly" in named(cases, "helena.costa").next_steps[0]
    assert "--include-tests" in named(cases, "test.account").next_steps[0]
    assert "Wait" in named(cases, "rosa").next_steps[0]


def test_the_account_of_the_token_is_named(cases: Mapping[str, UserCase], run_file: Path) -> None:
    owen = named(cases, "owen.davies")
    assert Note.OWNER_DIFFERS_FROM_ACCOUNT in owen.notes
    with RunFile.open(run_file) as opened:
        then = look_in_run(opened, owen.user_id)
    assert isinstance(then, UserCase)
    assert owen.account == then.account == "acme-photos"


def test_what_may_have_passed_is_asked_again_of_this_user_alone(cases: Mapping[str, UserCase], run_file: Path) -> None:
    stella = named(cases, "stella.rojas")
    assert stella.next_steps[-1] == f"Ask again: sync-audit user {stella.user_id}"
    with RunFile.open(run_file) as opened:
        then = look_in_run(opened, stella.user_id)
    assert isinstance(then, UserCase)
    assert "--resume" in then.next_steps[-1]


def test_no_step_tells_how_to_see_the_rows_that_are_shown(cases: Mapping[str, UserCase]) -> None:
    assert not [step for case in cases.values() for step in case.next_steps if "See all training rows" in step]


def test_a_run_file_gives_the_same_verdicts_and_says_what_it_lacks(
    cases: Mapping[str, UserCase], run_file: Path, demo_users: DemoUsers
) -> None:
    with RunFile.open(run_file) as opened:
        for user_id in demo_users.expected:
            case = look_in_run(opened, user_id)
            assert isinstance(case, UserCase)
            live = next(each for each in cases.values() if each.user_id == user_id)
            assert (case.reason, case.exit_status) == (live.reason, live.exit_status)
            assert set(case.notes) == demo_users.expected[user_id][1]
            assert case.rows is None
            assert any("training rows" in each for each in case.not_known)
        chloe = look_in_run(opened, "chloe.dubois@example.com")
        assert isinstance(chloe, UserCase)
        assert any(each.startswith("55 older versions") for each in chloe.not_known)


def test_a_run_file_has_the_trainings_that_the_run_read(run_file: Path) -> None:
    with RunFile.open(run_file) as opened:
        case = look_in_run(opened, "dmitri.volkov@example.com")
    assert isinstance(case, UserCase)
    assert case.latest_training
    assert case.latest_training.weights
    assert f"Training {case.latest_training.id} made it and succeeded" in case.last_training.why
    assert next(point for point in case.checklist if point.code == "weights_url").good is True
    assert not [each for each in case.not_known if "whose weights" in each]
    assert any(each.startswith("Trainings begun before ") for each in case.not_known)


def test_a_run_that_read_no_trainings_says_so(servers: Servers, tmp_path: Path) -> None:
    with audit(servers.settings(tmp_path, trainings=None)) as run_file:
        case = look_in_run(run_file, "dmitri.volkov@example.com")
    assert isinstance(case, UserCase)
    assert case.current_training is case.latest_training is case.later_training is None
    assert any("whose weights the URL leads to: the run did not ask" in each for each in case.not_known)


def test_of_a_user_settled_by_a_training_the_run_says_what_it_did_not_see(
    synthetic_servers: Servers, tmp_path: Path
) -> None:
    with audit(synthetic_servers.settings(tmp_path, trainings=TrainingsRead(mode="trainings"))) as run_file:
        user = next(user for user in run_file.users() if user.finding.evidence == "training")
        case = look_in_run(run_file, user.record.user_id)
    assert isinstance(case, UserCase)
    assert case.evidence == "training"
    assert "what the model's last training put out" in case.last_training.why
    assert "last succeeded training" in case.checklist[0].verdict
    assert any("pushed or deleted by hand" in each for each in case.not_known)


@pytest.mark.parametrize(
    ("who", "count"),
    [
        ("CHLOE.dubois@example.com", 1),
        ("chloe", 1),
        ("50c1f7a2", 2),
        ("acme-photos/user-50c1f7a2-selfie-lora", 2),
        ("paul.nguyen", 0),
        ("selfie", 60),
    ],
)
def test_who_is_found_in_a_run_file_as_in_the_database(run_file: Path, who: str, count: int) -> None:
    with RunFile.open(run_file) as opened:
        found = look_in_run(opened, who)
    assert (len(found.people) if isinstance(found, Candidates) else 1) >= min(count, 60)
    assert isinstance(found, UserCase) == (count == 1)


def test_a_redacted_run_stays_redacted(servers: Servers, tmp_path: Path) -> None:
    with audit(servers.settings(tmp_path, redact=True)) as run_file:
        case = look_in_run(run_file, "mara.lindqvist@example.com")
        several = look_in_run(run_file, "50c1f7a2")
    assert isinstance(case, UserCase)
    assert (case.email, case.display_name) == ("m***@***", "***")
    assert "lindqvist" not in repr(case).lower()
    assert case.current_training, "trainings are told all the same"
    assert isinstance(several, Candidates)
    assert "stone" not in repr(several).lower()


def test_a_refused_token_ends_the_look(servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(ReplicateError, match="refuses the API token"):
        asyncio.run(look(servers.settings(tmp_path, token="r8_wrong"), "mara"))


def test_verdicts_on_synthetic_users_are_the_right_ones(
    synthetic_servers: Servers, synthetic_users: SyntheticUsers, tmp_path: Path
) -> None:
    settings = synthetic_servers.settings(tmp_path)
    for i in range(40):
        case = asyncio.run(look(settings, f"user{i}@example.com"))
        assert isinstance(case, UserCase)
        assert case.reason is synthetic_users.reason(i)
        assert Note.OLDER_MODELS_HIDDEN in case.notes
    assert {synthetic_users.reason(i) for i in range(40)} > {Reason.LATEST_VERSION}
