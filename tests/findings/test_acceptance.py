"""Which acceptance holds for which finding: the rule, case by case."""

import pytest
from hypothesis import given, strategies

from audit.findings.acceptance import ACCEPTABLE, AcceptanceMatcher, Accepted, day_of, holds
from audit.model.codes import Reason, Status
from audit.model.findings import Acceptance, Acceptances, AuditedUser
from audit.model.users import ModelRecord
from tests.support.report_samples import INFO, failed, outdated, record, unfinished, up_to_date, version_hash

DAY = "2026-03-01"
USER = outdated(7)
RECORDED = USER.record.replicate_version_id or ""


def entry(**changes: object) -> Acceptance:
    """One that holds for `USER`; `changes` are fields of Acceptance."""
    plain: dict[str, object] = {
        "user": "user-00007",
        "reason": Reason.OUTDATED_VERSION,
        "because": "leaves in May",
        "until": "2026-12-31",
    }
    return Acceptance(**(plain | changes))  # type: ignore[arg-type]  # a table of fields, checked by each test


def about_model(**changes: object) -> Acceptance:
    return entry(user=None, model="acme/user-00007-selfie-lora", **changes)


@pytest.mark.parametrize(
    ("accepting", "is_held"),
    [
        (entry(), True),
        (entry(user="user-00008"), False),
        (entry(user="USER-00007"), False),
        (entry(user="user00007@example.com"), True),
        (entry(user=" User00007@Example.COM "), True),
        (entry(user="user00007"), False),
        (about_model(), True),
        (entry(user=None, model=" acme/user-00007-selfie-lora\n"), True),
        (entry(user=None, model="acme/user-00008-selfie-lora"), False),
        (entry(user="acme/user-00007-selfie-lora"), False),
        (entry(reason=Reason.UNKNOWN_VERSION), False),
        (entry(version=RECORDED), True),
        (entry(version=f" ACME/x:{RECORDED.upper()} "), True),
        (entry(version=version_hash("another")), False),
        (about_model(version=version_hash("another")), False),
        (entry(until=DAY), True),
        (entry(until="2026-02-28"), False),
    ],
    ids=[
        "user id",
        "another user id",
        "user ids have case",
        "e-mail",
        "e-mails have no case",
        "a part of the e-mail",
        "model",
        "model, untrimmed",
        "another model",
        "a model is no user",
        "another reason",
        "version",
        "version as people write it",
        "another version",
        "another version of the model",
        "the last day",
        "the day after",
    ],
)
def test_an_entry_holds_for_its_user_or_model_reason_version_and_days(accepting: Acceptance, is_held: bool) -> None:  # noqa: FBT001 - pytest's
    assert holds(accepting, USER, DAY) is is_held
    found = AcceptanceMatcher(Acceptances(file="a.toml", entries=(accepting,)), DAY).holding(USER)
    assert found == (accepting if is_held else None)


@pytest.mark.parametrize(
    ("recorded", "version", "is_held"),
    [
        (None, None, True),
        (None, "latest", False),
        ("latest", "LATEST ", True),
        ("latest", "newest", False),
        ("", "x", False),
    ],
)
def test_what_is_recorded_may_be_no_version(recorded: str | None, version: str | None, is_held: bool) -> None:  # noqa: FBT001 - pytest's
    user = failed(7, Reason.MODEL_NOT_FOUND, replicate_version_id=recorded)
    accepting = entry(reason=Reason.MODEL_NOT_FOUND, version=version)
    assert holds(accepting, user, DAY) is is_held


@pytest.mark.parametrize("reason", Reason)
def test_only_who_needs_a_sync_or_has_an_error_can_be_accepted(reason: Reason) -> None:
    user = failed(7, reason)
    accepted = holds(entry(reason=reason), user, DAY)
    assert accepted is (reason.status in {Status.NEEDS_SYNC, Status.ERROR}) is (reason in ACCEPTABLE)


def test_of_several_entries_the_one_that_holds_the_longest_is_named() -> None:
    first, last, over = entry(until="2026-04-01"), about_model(until="2026-05-01"), entry(until="2026-01-01")
    entries = AcceptanceMatcher(Acceptances(file="a.toml", entries=(first, last, over)), DAY)
    assert entries.holding(USER) is last


@given(strategies.text(), strategies.text(min_size=1), strategies.none() | strategies.text())
def test_any_texts_are_compared_without_a_fault(recorded: str, named: str, email: str | None) -> None:
    user = failed(7, Reason.MODEL_NOT_FOUND, replicate_version_id=recorded, email=email)
    accepting = entry(user=named, reason=Reason.MODEL_NOT_FOUND, version=named)
    entries = AcceptanceMatcher(Acceptances(file="a.toml", entries=(accepting,)), DAY)
    found = entries.holding(user)
    assert (found is accepting) is holds(accepting, user, DAY)


def tally(entries: tuple[Acceptance, ...], *users: AuditedUser, whole: bool = True) -> Accepted:
    """As a view makes it: of those who are not up to date, each with what accepts it."""
    known = AcceptanceMatcher(Acceptances(file="a.toml", entries=entries), DAY)
    marked = [
        AuditedUser(user.record, user.finding, None, known.holding(user))
        for user in users
        if user.finding.status is not Status.UP_TO_DATE
    ]
    return known.tally(marked, whole=whole)


def test_accepted_findings_are_counted_by_status_and_reason() -> None:
    gone = failed(9, Reason.MODEL_NOT_FOUND)
    found = tally((entry(), entry(user="user-00009", reason=Reason.MODEL_NOT_FOUND)), USER, gone, outdated(8))
    assert found.statuses == {Status.NEEDS_SYNC: 1, Status.ERROR: 1}
    assert found.reasons == {Reason.OUTDATED_VERSION: 1, Reason.MODEL_NOT_FOUND: 1}
    assert (found.total, found.expired, found.unmatched) == (2, (), ())


def test_a_model_that_several_share_is_accepted_for_all_of_them() -> None:
    users = [outdated(number, replicate_model_id="acme/shared") for number in (1, 2, 3)]
    assert tally((entry(user=None, model="acme/shared"),), *users).total == 3


def test_a_model_is_accepted_in_whatever_case_its_id_is_recorded() -> None:
    users = [
        outdated(n, replicate_model_id=each) for n, each in enumerate(("Acme/M1", "acme/m1", " ACME/m1\n", "acme/m2"))
    ]
    found = tally((entry(user=None, model=" acme/M1 "),), *users)
    assert (found.total, found.unmatched) == (3, ())


def test_what_has_expired_is_named_whether_anybody_needs_it_or_not() -> None:
    over, other = entry(until="2026-02-28"), entry(user="who", until="2025-01-01")
    found = tally((over, other), USER)
    assert (found.total, found.expired, found.unmatched) == (0, (over, other), ())


@pytest.mark.parametrize(
    ("user", "needless"),
    [
        (outdated(8), True),
        (up_to_date(7), True),
        (failed(7, Reason.MODEL_NOT_FOUND), True),
        (failed(7, Reason.TIMEOUT), False),
        (failed(7, Reason.STOPPED), False),
        (USER, False),
    ],
    ids=["somebody else", "up to date", "another reason", "no answer", "not reached", "needed"],
)
def test_an_entry_matches_nobody_only_where_that_is_certain(user: AuditedUser, needless: bool) -> None:  # noqa: FBT001 - pytest's
    assert tally((entry(),), user).unmatched == ((entry(),) if needless else ())


def test_in_a_run_without_everybody_nobody_can_say_that_an_entry_matches_nobody() -> None:
    assert tally((entry(),), outdated(8), whole=False).unmatched == ()


def test_a_blank_model_id_or_e_mail_is_nobodys() -> None:
    nameless: ModelRecord = record(1, email="", replicate_model_id=" ")
    entries = AcceptanceMatcher(Acceptances(file="a.toml", entries=(entry(user="x"), entry(user=None, model="m"))), DAY)
    assert entries.about(nameless) == []


def test_the_day_of_a_run_is_that_of_its_start() -> None:
    assert day_of(INFO) == DAY


BOTH = unfinished(7, Reason.TRAINING_NOT_RECORDED, outdated(7, behind=2))
NEWER = unfinished(7, Reason.TRAINING_NOT_RECORDED)
TWO = {"reason": Reason.TRAINING_NOT_RECORDED, "also": Reason.OUTDATED_VERSION}


@pytest.mark.parametrize(
    ("accepting", "user", "is_held"),
    [
        (entry(**TWO), BOTH, True),
        (entry(reason=Reason.OUTDATED_VERSION, also=Reason.TRAINING_NOT_RECORDED), BOTH, True),
        (entry(reason=Reason.TRAINING_NOT_RECORDED), BOTH, False),
        (entry(reason=Reason.OUTDATED_VERSION), BOTH, False),
        (entry(reason=Reason.TRAINING_NOT_RECORDED, also=Reason.UNKNOWN_VERSION), BOTH, False),
        (entry(**TWO), NEWER, False),
        (entry(**TWO), USER, False),
        (entry(reason=Reason.TRAINING_NOT_RECORDED), NEWER, True),
        (entry(**TWO, training=" trained-7\n"), BOTH, True),
        (entry(**TWO, training="trained-8"), BOTH, False),
        (entry(reason=Reason.TRAINING_NOT_RECORDED, training="trained-8"), NEWER, False),
        (entry(**TWO, version=version_hash((7, 2))), BOTH, True),
        (entry(**TWO, version=version_hash((7, "new"))), BOTH, False),
    ],
    ids=[
        *("both", "in the other order", "the newer alone", "the completed alone", "another one"),
        *("both, and there is the newer alone", "both, and there is the completed alone", "the newer one's"),
        *(
            "its training",
            "the next training",
            "the next training alone",
            "the version that runs",
            "the one that was made",
        ),
    ],
)
def test_where_two_rows_need_attention_both_reasons_have_to_be_named(
    accepting: Acceptance, user: AuditedUser, *, is_held: bool
) -> None:
    assert holds(accepting, user, DAY) is is_held
