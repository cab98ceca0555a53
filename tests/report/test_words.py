"""The words that all formats share: how much of everybody a run is about, and what that means."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from audit.model.codes import NoLine, Note, Reason
from audit.model.findings import Acceptances, AuditedUser
from audit.model.replies import Account
from audit.model.run import Filters, NoneFound, RunInfo
from audit.model.shard import Shard
from audit.report import words
from audit.report.view import RunView
from tests.support.report_samples import INFO, POPULATION, SampleRun, accepting, failed, outdated, up_to_date

TRIAL = replace(INFO, filters=Filters(limit=20))
CHOSEN = replace(INFO, filters=Filters(users=("anna",)))
SHARD = replace(INFO, shard=Shard(2, 4))
STOPPED = replace(INFO, state="stopped", stop_reason="the disk was full")
PEOPLE = replace(POPULATION, users=1000, users_with_completed_model=800)
ACCEPTANCES = Acceptances(file="sync-audit-accept.toml", entries=())
FINE = [up_to_date(number) for number in range(20)]


@pytest.mark.parametrize(
    ("info", "users", "verdict", "sentence"),
    [
        (TRIAL, FINE, "trial", "Trial run: 20 of 800 users checked; all 20 are up to date"),
        (TRIAL, FINE[:1], "trial", "Trial run: 1 of 800 users checked; it is up to date"),
        (TRIAL, [outdated(1), *FINE[1:]], "needs_sync", "Trial run: 20 of 800 users checked; 1 of 20 needs a sync"),
        (
            replace(TRIAL, acceptances=ACCEPTANCES),
            [accepting(outdated(1)), *FINE[1:]],
            "trial",
            "Trial run: 20 of 800 users checked; 1 of 20 needs attention, and is accepted",
        ),
        (
            TRIAL,
            [failed(1, Reason.TIMEOUT), *FINE[1:]],
            "error",
            "Trial run: 19 of 800 users checked; 0 of 20 need a sync; 1 could not be checked",
        ),
        (SHARD, FINE, "trial", "Shard 2 of 4: 20 of 800 users checked; all 20 are up to date"),
        (SHARD, [], "empty", "No user is in shard 2 of 4"),
        (CHOSEN, FINE[:2], "trial", "Chosen users: 2 of 800 users checked; all 2 are up to date"),
        (STOPPED, FINE, "error", "Incomplete run: 20 of 800 users checked; all 20 are up to date"),
        (
            replace(TRIAL, state="interrupted"),
            FINE[:3],
            "error",
            "Trial run, incomplete: 3 of 800 users checked; all 3 are up to date",
        ),
        (INFO, FINE, "ok", "All 20 users are up to date"),
    ],
    ids=[
        *("trial", "trial of one", "in need", "accepted", "error", "shard", "empty shard", "chosen", "stopped"),
        *("interrupted", "everybody"),
    ],
)
def test_what_was_not_looked_at_is_in_the_headline(
    info: RunInfo, users: Sequence[AuditedUser], verdict: str, sentence: str
) -> None:
    assert words.headline(RunView(SampleRun(users, info, PEOPLE))) == (verdict, sentence)


@pytest.mark.parametrize("info", [TRIAL, CHOSEN, SHARD, STOPPED], ids=["trial", "chosen", "shard", "stopped"])
@pytest.mark.parametrize("users", [FINE, [accepting(outdated(1)), *FINE]], ids=["fine", "accepted"])
def test_that_nothing_has_to_be_done_is_said_of_a_whole_audit_only(info: RunInfo, users: list[AuditedUser]) -> None:
    meaning = words.exit_meaning(RunView(SampleRun(users, info, PEOPLE)))
    assert "Nothing has to be done" not in meaning
    assert "Every user was checked" not in meaning


def test_that_nothing_has_to_be_done_is_said_with_the_users_who_have_notes() -> None:
    users = [up_to_date(1, notes=(Note.SHARED_MODEL, Note.UNDATED_ROW)), up_to_date(2, notes=(Note.UNDATED_ROW,))]
    meaning = words.exit_meaning(RunView(SampleRun([*users, up_to_date(3)])))
    assert meaning.endswith("Nothing has to be done. 2 users have notes, which change no status.")
    assert words.exit_meaning(RunView(SampleRun(FINE))).endswith("Nothing has to be done.")


def test_who_is_in_no_line_is_counted_by_why() -> None:
    people = replace(PEOPLE, users_with_unfinished_training=30, users_with_unfinished_only=9)
    facts = dict(words.coverage_facts(RunView(SampleRun(FINE, INFO, people, absent={NoLine.REALLY_FAILED: 4}))))
    assert facts == {
        "Checked": "20 of 805 users; 1,000 in the database",
        "Users with an unfinished training": "30, 9 of them without a completed model",
        "Users whose only training failed, with nothing to run on Replicate": "4: they are in no line",
    }


ACCOUNT = Account("organization", "acme-staging")
NONE_FOUND = NoneFound(not_found=20, owners=(("acme", 780), ("jane-doe", 1)), more_owners=1200)
HOPELESS = replace(
    INFO, account=ACCOUNT, state="stopped", none_found=NONE_FOUND, stop_reason=NONE_FOUND.told(ACCOUNT), redacted=False
)


def test_a_run_that_found_no_model_says_whose_token_and_models_there_are_and_how_to_go_on() -> None:
    view = RunView(SampleRun([failed(1, Reason.STOPPED)], HOPELESS))
    (wrong_token,) = words.suspicions(view, lambda text, _: f"<{text}>")
    assert wrong_token.title == "Probably the wrong token"
    assert wrong_token.text.startswith(
        "The token belongs to account <acme-staging>, the models belong to <acme> (780 models), <jane-doe> (1 model)"
        " and 1,200 more. "
    )
    assert wrong_token.step.endswith("sync-audit run --resume RUN")
    assert view.run.stop_reason == (
        "none of the first 20 models was found: the token belongs to account acme-staging, the models belong to "
        "acme (780 models), jane-doe (1 model) and 1,200 more"
    )


def test_an_owner_who_is_one_of_the_users_is_masked_where_users_are() -> None:
    jane = failed(1, Reason.STOPPED)
    jane = AuditedUser(replace(jane.record, display_name="Jane Doe"), jane.finding)
    view = RunView(SampleRun([jane], HOPELESS), redact=True)
    (wrong_token,) = words.suspicions(view)
    for text in (wrong_token.text, view.run.stop_reason or ""):
        assert "jane" not in text
        assert "the models belong to acme (780 models), *** (1 model)" in text
