"""The words that all formats share: facts, and what makes a whole run doubtful."""

from msgspec.structs import replace

from audit.model.codes import NoLine, Reason
from audit.model.findings import Acceptances, AuditedUser
from audit.model.replies import Account
from audit.model.run import Filters, NoneFound
from audit.model.shard import Shard
from audit.report import words
from audit.report.view import RunView
from tests.support.report_samples import INFO, POPULATION, SampleRun, failed, up_to_date

TRIAL = replace(INFO, filters=Filters(limit=20))
CHOSEN = replace(INFO, filters=Filters(users=("anna",)))
SHARD = replace(INFO, shard=Shard(2, 4))
STOPPED = replace(INFO, state="stopped", stop_reason="the disk was full")
PEOPLE = replace(POPULATION, users=1000, users_with_completed_model=800)
ACCEPTANCES = Acceptances(file="sync-audit-accept.toml", entries=())
FINE = [up_to_date(number) for number in range(20)]


def test_who_is_in_no_line_is_counted_by_why() -> None:
    people = replace(PEOPLE, users_with_unfinished_training=30, users_with_unfinished_only=9)
    facts = dict(words.coverage_facts(RunView(SampleRun(FINE, INFO, people, absent={NoLine.REALLY_FAILED: 4}))))
    assert facts == {
        "Checked": "20 of 805 users; 1,000 in the database",
        "Users with an unfinished training": "30, 9 of them without a completed model",
        "Users whose only training failed, with no version on Replicate": "4: they are in no line",
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
