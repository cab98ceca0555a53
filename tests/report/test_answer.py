"""What every report says first: the verdict, who suffers what, since when, and what is not known."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from audit.model.codes import FailOn, Note, Reason
from audit.model.findings import Acceptances, AuditedUser
from audit.model.replies import Account
from audit.model.run import Choices, Filters, NoneFound, RunInfo
from audit.model.shard import Shard
from audit.model.tables import PLAIN
from audit.report.answer import answer, facts
from audit.report.view import RunView
from tests.support.report_samples import (
    INFO,
    POPULATION,
    SampleRun,
    accepting,
    compared,
    failed,
    narrowed,
    outdated,
    uncompared,
    up_to_date,
)

TRIAL = replace(INFO, filters=Filters(limit=20))
CHOSEN = replace(INFO, filters=Filters(users=("anna",)))
SHARD = replace(INFO, shard=Shard(2, 4))
STOPPED = replace(INFO, state="stopped", stop_reason="the disk was full")
PEOPLE = replace(POPULATION, users=1000, users_with_completed_model=800)
ACCEPTING = replace(INFO, acceptances=Acceptances(file="sync-audit-accept.toml", entries=()))
CHOICES = Choices(outputs=(), concurrency=1, per_minute=1, timeout=1, retries=0)
FINE = [up_to_date(number) for number in range(20)]
OLD = "photos from an old version of their model"


def broken(number: int) -> AuditedUser:
    return uncompared(number, Reason.NO_VERSION_RECORDED, None)


@pytest.mark.parametrize(
    ("info", "users", "verdict", "sentence"),
    [
        (INFO, FINE, "release_ok", "All 20 users are up to date"),
        (INFO, FINE[:1], "release_ok", "The only user is up to date"),
        (INFO, [outdated(1), *FINE[1:]], "hold", f"1 of 20 users gets {OLD}"),
        (
            INFO,
            [outdated(1), outdated(2), broken(3), *FINE[3:]],
            "hold",
            f"2 of 20 users get {OLD}; 1 more can't generate at all",
        ),
        (INFO, [broken(1), broken(2), *FINE[2:]], "hold", "2 of 20 users can't generate at all"),
        (INFO, [outdated(1), failed(2, Reason.TIMEOUT), *FINE[2:]], "hold", f"1 of 20 users gets {OLD}"),
        (
            INFO,
            [failed(1, Reason.TIMEOUT), *FINE[1:]],
            "unknown",
            "1 of 20 users could not be checked; the other 19 are up to date",
        ),
        (INFO, [failed(1, Reason.TIMEOUT)], "unknown", "The only user could not be checked"),
        (
            ACCEPTING,
            [accepting(outdated(1)), *FINE[1:]],
            "release_ok",
            "No user needs a sync but 1 of 20 users, which is accepted",
        ),
        (ACCEPTING, [accepting(outdated(1)), outdated(2), *FINE[2:]], "hold", f"1 of 20 users gets {OLD}"),
        (TRIAL, FINE, "trial", "All 20 users that this run checked are up to date"),
        (TRIAL, FINE[:1], "trial", "The one user that this run checked is up to date"),
        (TRIAL, [outdated(1), *FINE[1:]], "hold", f"1 of 20 users gets {OLD}"),
        (SHARD, FINE, "trial", "All 20 users that this run checked are up to date"),
        (SHARD, [], "trial", "No user is in shard 2 of 4"),
        (CHOSEN, [], "unknown", "Nobody was audited: no user matches what the run was narrowed to"),
        (STOPPED, FINE, "unknown", "All 20 users that this run checked are up to date"),
    ],
)
def test_the_headline_says_what_users_suffer(
    info: RunInfo, users: Sequence[AuditedUser], verdict: str, sentence: str
) -> None:
    said = answer(RunView(SampleRun(users, info, PEOPLE)))
    assert (said.verdict, said.headline) == (verdict, sentence)


@pytest.mark.parametrize("noun", ["model", "row"])
def test_of_models_and_rows_it_is_not_said_that_they_get_photos(noun: str) -> None:
    info = replace(INFO, tables=replace(PLAIN, latest_per=noun))
    said = answer(RunView(SampleRun([outdated(1), broken(2), *FINE[2:]], info, PEOPLE)))
    assert said.headline.startswith(f"1 of 20 {noun}s of ")
    assert said.headline.endswith("is used in an old version; 1 more can't be used at all")


def since(number: int, moment: str | None) -> AuditedUser:
    user = outdated(number)
    return replace(user, finding=replace(user.finding, affected_since=moment))


@pytest.mark.parametrize(
    ("moments", "sentence"),
    [
        (
            ["2026-01-18T08:00:00Z", "2026-02-19T12:00:00Z"],
            "Affected since 18 January 2026 (42 days), the latest since 19 February 2026.",
        ),
        (["2026-02-28T08:00:00Z", "2026-02-28T09:00:00Z"], "All affected since 28 February 2026 (1 day)."),
        (["2026-03-01T08:00:00Z"], "Affected since 1 March 2026 (less than a day)."),
        (["2026-03-01T08:00:00Z", None], "Affected since 1 March 2026 (less than a day)."),
        ([None], ""),
        ([], ""),
    ],
)
def test_it_says_since_when(moments: list[str | None], sentence: str) -> None:
    users = [since(number, moment) for number, moment in enumerate(moments)]
    assert answer(RunView(SampleRun([*users, up_to_date(99)]))).since == sentence


@pytest.mark.parametrize(
    ("info", "users", "sentences"),
    [
        (INFO, FINE, ()),
        (
            INFO,
            [outdated(1), failed(2, Reason.MODEL_NOT_FOUND), *FINE[2:]],
            ("1 more could not be checked: Replicate does not know the model. The real number may be higher.",),
        ),
        (
            INFO,
            [failed(1, Reason.TIMEOUT), failed(2, Reason.TIMEOUT), failed(3, Reason.SERVER_ERROR), *FINE[3:]],
            ("3 users could not be checked: the request timed out (2), Replicate had a server error (1).",),
        ),
        (
            STOPPED,
            [failed(1, Reason.STOPPED), *FINE[1:]],
            ("The run ended early: the disk was full; 1 user was not reached.",),
        ),
        (TRIAL, FINE, ("This run checked only 20 of 800 users; about the others it says nothing.",)),
    ],
)
def test_it_says_who_was_not_checked_and_why(
    info: RunInfo, users: Sequence[AuditedUser], sentences: tuple[str, ...]
) -> None:
    assert answer(RunView(SampleRun(users, info, PEOPLE))).unknown == sentences


def test_it_says_who_does_not_count() -> None:
    said = answer(RunView(SampleRun([accepting(outdated(1)), outdated(2), *FINE], ACCEPTING, PEOPLE)))
    assert said.accepted == "1 finding is accepted by sync-audit-accept.toml and does not count."


@pytest.mark.parametrize(("fail_on", "why"), [("new", "the baseline has them already"), ("never", "no finding does")])
def test_where_an_option_makes_findings_not_count_it_is_said(fail_on: FailOn, why: str) -> None:
    users = [replace(user, baseline="known") for user in (outdated(1), outdated(2))]
    run = SampleRun([*users, *FINE], compared().info, PEOPLE, choices=replace(CHOICES, fail_on=fail_on))
    said = answer(RunView(run))
    assert said.verdict == "release_ok"
    assert said.below[-1] == f"With --fail-on {fail_on} they do not count: {why}."


def test_that_an_empty_run_is_no_failure_is_said_with_the_option() -> None:
    said = answer(RunView(SampleRun([], INFO, PEOPLE, choices=replace(CHOICES, allow_empty=True))))
    assert (said.verdict, said.below) == ("release_ok", ("With --allow-empty that is no failure.",))


def test_where_all_models_are_another_accounts_the_headline_says_whose_token_it_is() -> None:
    lost = failed(1, Reason.MODEL_NOT_FOUND)
    lost = replace(lost, finding=replace(lost.finding, notes=(Note.OWNER_DIFFERS_FROM_ACCOUNT,)))
    said = answer(RunView(SampleRun([lost])))
    assert said.headline == "No model was found with the token of acme"


def test_a_token_of_another_account_is_the_headline_in_the_dress_of_the_format() -> None:
    account = Account("organization", "acme-staging")
    none_found = NoneFound(not_found=20, owners=(("acme", 780),))
    info = replace(INFO, account=account, state="stopped", none_found=none_found, stop_reason=none_found.told(account))
    said = answer(RunView(SampleRun([failed(1, Reason.STOPPED)], info)), lambda text, _: f"<{text}>")
    assert said.verdict == "unknown"
    assert said.headline == (
        "No model was found: the token belongs to account <acme-staging>, the models belong to <acme> (780 models)"
    )


def test_the_verdict_comes_with_its_rule() -> None:
    said = answer(RunView(SampleRun([outdated(1)])))
    assert said.title == "Hold"
    assert (
        said.rule == "Hold: do not release: at least one user needs a sync, is not accepted, and counts by --fail-on."
    )


def test_the_facts_are_when_where_whose_how_many_and_how_long() -> None:
    assert list(facts(RunView(SampleRun(FINE, INFO, PEOPLE)))) == [
        "2026-03-01 12:00 UTC",
        "db.example.com/shop",
        "Replicate: acme",
        "20 of 800 users checked",
        "3 min 7 s",
    ]


def test_a_run_that_died_before_it_read_anybody_says_so() -> None:
    said = answer(RunView(SampleRun([], narrowed(state="running"), population=None)))
    assert (said.verdict, said.headline) == ("unknown", "The run ended before any user was read")
