"""One user from database and fake Replicate, or from a run file: the same verdicts as a run's, and what follows."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from audit.commands.user.case import UserCase, UserLines, next_steps
from audit.commands.user.checklist import Item, checklist
from audit.commands.user.last_training import TrainingOutcome, last_training
from audit.commands.user.lookup import look_up, look_up_in_run
from audit.demo.fake_replicate.world import SmallWorld
from audit.demo.users import DemoUsers
from audit.errors import ReplicateError
from audit.findings.rows import RowClass
from audit.hints.trainings import shown_trainings
from audit.model.codes import Note, Reason
from audit.model.exit_status import INCOMPLETE, NEEDS_SYNC, OK, USER
from audit.model.findings import AuditedUser
from audit.model.replies import Account, TrainingsRead
from audit.model.users import email_or_id
from audit.postgres.user import Candidates
from audit.runfile import RunFile
from tests.support.audits import Servers, audit
from tests.support.database_rows import ANNA, MODELS, USERS, execute, insert, locked, model
from tests.support.expected_findings import expected_findings
from tests.support.ordered_replicate import OrderedReplicate
from tests.support.synthetic_users import SyntheticUsers


@pytest.fixture(scope="module")
def cases(
    faulty_servers: Servers, demo_users: DemoUsers, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, UserCase]:
    """The case of everybody in the demo, by name as it stands in the e-mail."""
    settings = faulty_servers.settings(tmp_path_factory.mktemp("cases"))

    async def everybody() -> list[UserCase | UserLines | Candidates]:
        return await asyncio.gather(*(look_up(settings, user.id) for user in demo_users.users))

    found = asyncio.run(everybody())
    assert all(isinstance(case, UserCase) for case in found)
    return {email_or_id(case.person): case for case in found if isinstance(case, UserCase)}


@pytest.fixture(scope="module")
def run_file(faulty_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = faulty_servers.settings(tmp_path_factory.mktemp("run"))
    audit(settings).close()
    return settings.run_file


def named(cases: Mapping[str, UserCase], name: str) -> UserCase:
    [case] = [case for email, case in cases.items() if email.startswith(name)]
    return case


def audited(case: UserCase | UserLines | Candidates) -> AuditedUser:
    assert isinstance(case, UserCase)
    assert case.user
    return case.user


LISTED = {Note.UNRECORDED_TRAINING, Note.VERSION_MADE_BY_HAND, Note.WEIGHTS_URL_OF_ANOTHER_VERSION}
"""Notes that the account's list of trainings gives, and a look at one user only where a row names the training."""


def test_reasons_and_notes_are_those_of_a_run(cases: Mapping[str, UserCase], demo_users: DemoUsers) -> None:
    findings = {case.person.user_id: case.user.finding for case in cases.values() if case.user}
    assert findings.keys() == expected_findings(demo_users).keys()
    for user_id, (reason, notes) in expected_findings(demo_users).items():
        found = findings[user_id].reason
        listed_alone = (found, reason) == (Reason.LATEST_VERSION, Reason.WRONG_WEIGHTS)
        assert found is reason or listed_alone
        assert set(notes) - LISTED <= set(findings[user_id].notes) <= set(notes)


def test_the_trainings_that_rows_name_show_what_they_made(cases: Mapping[str, UserCase]) -> None:
    dmitri, noah, mara = (named(cases, name) for name in ("dmitri.volkov", "noah.kim", "mara.lindqvist"))
    current, latest, later = shown_trainings(audited(dmitri))
    assert (current, later) == (None, None)
    assert latest
    assert dmitri.rows
    assert latest.id == dmitri.rows[0].row.training_id
    current, latest, later = shown_trainings(audited(noah))
    assert current
    assert latest is None
    assert any("Which training made the latest version" in each for each in noah.not_known)
    current, latest, _ = shown_trainings(audited(mara))
    assert current
    assert current == latest
    assert not [each for each in mara.not_known if "training" in each]


def test_the_row_that_counts_is_marked_and_every_other_one_says_why(cases: Mapping[str, UserCase]) -> None:
    for case in cases.values():
        rows = case.rows or ()
        counting = [each.row.model_row_id for each in rows if each.verdict is RowClass.COUNTS]
        assert counting == ([case.completed.model_row_id] if case.completed else [])
        assert all(each.why for each in rows)


def test_all_versions_are_there_newest_first(cases: Mapping[str, UserCase]) -> None:
    chloe = named(cases, "chloe.dubois")
    finding = audited(chloe).finding
    assert len(chloe.versions) == finding.total_versions == 60
    assert chloe.versions[0].id == finding.latest_version
    marcus = named(cases, "marcus.johnson")
    assert [version.id == marcus.recorded for version in marcus.versions] == [False] * 7 + [True]
    assert audited(marcus).finding.versions_behind == 7


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("camille.petit", TrainingOutcome.RECORDED),
        ("arjun.patel", TrainingOutcome.HAD_ISSUES),
        ("dmitri.volkov", TrainingOutcome.NOT_RECORDED),
        ("julia.becker", TrainingOutcome.IN_PROGRESS),
        ("mara.lindqvist", TrainingOutcome.SINGLE),
        ("helena.costa", TrainingOutcome.NOT_RECORDED),
        ("paul.nguyen", TrainingOutcome.NO_TRAINING),
        ("ruth.abrams", TrainingOutcome.UNKNOWN),
        ("sarah.cohen", TrainingOutcome.UNKNOWN),
    ],
)
def test_the_outcome_of_the_last_training_is_recognised(
    cases: Mapping[str, UserCase], name: str, outcome: TrainingOutcome
) -> None:
    assert last_training(named(cases, name)).outcome is outcome


def weights_item(case: UserCase) -> Item:
    return next(item for item in checklist(case) if item.code == "weights_url")


def test_the_weights_url_is_held_against_the_training_that_made_it(cases: Mapping[str, UserCase]) -> None:
    good = {name: weights_item(named(cases, name)).good for name in ("mara.lindqvist", "victor.almeida", "owen.davies")}
    # Replicate shows the trainings of another account, as is Owen's, to nobody else.
    assert good == {"mara.lindqvist": True, "victor.almeida": False, "owen.davies": None}


def test_codes_are_those_of_a_run_of_that_one_user(cases: Mapping[str, UserCase]) -> None:
    codes = {name: named(cases, name).exit_status for name in ("mara", "noah", "ruth", "paul")}
    assert codes == {
        "mara": USER[OK],
        "noah": USER[NEEDS_SYNC],
        "ruth": USER[INCOMPLETE],
        "paul": USER[INCOMPLETE],
    }


def test_a_user_without_a_row_that_counts_is_told_what_would_count(cases: Mapping[str, UserCase]) -> None:
    assert "`completed`, exactly" in next_steps(named(cases, "helena.costa"))[0]
    assert "--include-tests" in next_steps(named(cases, "test.account"))[0]
    assert "Wait" in next_steps(named(cases, "rosa"))[0]


def test_the_account_of_the_token_is_named(cases: Mapping[str, UserCase], run_file: Path) -> None:
    owen = named(cases, "owen.davies")
    assert Note.OWNER_DIFFERS_FROM_ACCOUNT in audited(owen).finding.notes
    with RunFile.open(run_file) as opened:
        then = look_up_in_run(opened, owen.person.user_id)
    assert isinstance(then, UserCase)
    assert owen.account
    assert owen.account == then.account
    assert owen.account.username == "acme-photos"


def test_what_may_have_passed_is_asked_again_of_this_user_alone(cases: Mapping[str, UserCase], run_file: Path) -> None:
    stella = named(cases, "stella.rojas")
    assert next_steps(stella)[-1] == f"Check again: sync-audit user {stella.person.user_id}"
    with RunFile.open(run_file) as opened:
        then = look_up_in_run(opened, stella.person.user_id)
    assert isinstance(then, UserCase)
    assert "--resume" in next_steps(then)[-1]


def test_no_step_tells_how_to_see_the_rows_that_are_shown(cases: Mapping[str, UserCase]) -> None:
    assert not [step for case in cases.values() for step in next_steps(case) if "See all training rows" in step]


def test_a_run_file_gives_the_same_verdicts_and_says_what_it_lacks(
    cases: Mapping[str, UserCase], run_file: Path, demo_users: DemoUsers
) -> None:
    with RunFile.open(run_file) as opened:
        for user_id in expected_findings(demo_users):
            case = look_up_in_run(opened, user_id)
            assert isinstance(case, UserCase)
            live = next(each for each in cases.values() if each.person.user_id == user_id)
            if audited(live).record.display_name != "Sven Dahl":  # his weights are another training's, which is listed
                got, wanted = ((audited(each).finding.reason, each.exit_status) for each in (case, live))
                assert got == wanted
            assert set(audited(case).finding.notes) == expected_findings(demo_users)[user_id][1]
            assert case.rows is None
            assert any("training rows" in each for each in case.not_known)
        chloe = look_up_in_run(opened, "chloe.dubois@example.com")
        assert isinstance(chloe, UserCase)
        assert any(each.startswith("55 older versions") for each in chloe.not_known)


def test_a_run_file_has_the_trainings_that_the_run_read(run_file: Path) -> None:
    with RunFile.open(run_file) as opened:
        case = look_up_in_run(opened, "noah.kim@example.com")
    assert isinstance(case, UserCase)
    latest = shown_trainings(audited(case)).latest
    assert latest
    assert latest.weights
    assert f"Training {latest.id} made it and succeeded" in last_training(case).why
    assert weights_item(case).good is True
    assert not [each for each in case.not_known if "whose weights" in each]
    assert any(each.startswith("Trainings begun before ") for each in case.not_known)


def test_a_run_that_read_no_trainings_says_so(servers: Servers, tmp_path: Path) -> None:
    with audit(servers.settings(tmp_path, trainings=None)) as run_file:
        case = look_up_in_run(run_file, "noah.kim@example.com")
    assert isinstance(case, UserCase)
    assert set(shown_trainings(audited(case))) == {None}
    assert any("which version the weights are of: the run did not read it" in each for each in case.not_known)


def test_of_a_user_settled_by_a_training_the_run_says_what_it_did_not_see(
    synthetic_servers: Servers, tmp_path: Path
) -> None:
    with audit(synthetic_servers.settings(tmp_path, trainings=TrainingsRead(mode="trainings"))) as run_file:
        user = next(user for user in run_file.users() if user.finding.evidence == "training")
        case = look_up_in_run(run_file, user.record.user_id)
    assert isinstance(case, UserCase)
    assert audited(case).finding.evidence == "training"
    assert "the output of the model's last training" in last_training(case).why
    assert "last succeeded training" in checklist(case)[0].verdict
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
        found = look_up_in_run(opened, who)
    assert (len(found.persons) if isinstance(found, Candidates) else 1) >= min(count, 60)
    assert isinstance(found, UserCase) == (count == 1)


def test_a_redacted_run_stays_redacted(servers: Servers, tmp_path: Path) -> None:
    with audit(servers.settings(tmp_path, redact=True)) as run_file:
        case = look_up_in_run(run_file, "mara.lindqvist@example.com")
        several = look_up_in_run(run_file, "50c1f7a2")
    assert isinstance(case, UserCase)
    assert (case.person.email, case.person.display_name) == ("m***@***", "***")
    assert "lindqvist" not in repr(case).lower()
    assert shown_trainings(audited(case)).current, "trainings are shown all the same"
    assert isinstance(several, Candidates)
    assert "stone" not in repr(several).lower()


def test_a_refused_token_ends_the_look(servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(ReplicateError, match="refuses the API token"):
        asyncio.run(look_up(servers.settings(tmp_path, token="r8_wrong"), "mara"))


async def test_whose_token_it_is_is_asked_while_the_database_is_being_read(database: str, tmp_path: Path) -> None:
    await execute(database, USERS, MODELS)
    await insert(database, "users", [ANNA])
    await insert(database, "user_models", [model()])
    async with OrderedReplicate(SmallWorld(Account("user", "acme"), [])) as fake:
        async with locked(database):
            looking = asyncio.create_task(look_up(Servers(database, fake).settings(tmp_path, timeout=20), "u1"))
            await fake.until(lambda: fake.order == ["/v1/account"])
        case = await looking
    assert isinstance(case, UserCase)
    assert case.account == Account("user", "acme")
    assert audited(case).finding.reason is Reason.MODEL_NOT_FOUND


def test_verdicts_on_synthetic_users_are_the_right_ones(
    synthetic_servers: Servers, synthetic_users: SyntheticUsers, tmp_path: Path
) -> None:
    settings = synthetic_servers.settings(tmp_path)
    for i in range(40):
        case = asyncio.run(look_up(settings, f"user{i}@example.com"))
        assert audited(case).finding.reason is synthetic_users.reason(i)
        assert Note.OLDER_MODELS_HIDDEN in audited(case).finding.notes
    assert {synthetic_users.reason(i) for i in range(40)} > {Reason.LATEST_VERSION}
