"""What became of the last training: each outcome of the debugging guide, and what else there is."""

from typing import Any

import pytest
from msgspec.structs import replace

from audit.commands.user.case import UserCase
from audit.commands.user.last_training import TrainingOutcome, last_training
from audit.findings.classify import RunContext, classify
from audit.findings.rows import RowRules, classify_rows
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.model.ids import askable_training
from audit.model.replies import Failed, Found, Lineage, Missing, Training, Version
from audit.model.tables import Tables
from audit.model.users import Person, TrainingRow
from tests.support.samples import NEW, OLD, digest, record, training_row

ANN = Person(user_id="u1", email="ann@example.com")
ONE = Found((Version(NEW, "2026-01-02T00:00:00Z"),))
TWO = Found((Version(NEW, "2026-03-01T00:00:00Z"), Version(OLD, "2026-01-02T00:00:00Z")))
COUNTING = training_row()


def later(**changes: Any) -> TrainingRow:
    """A row that began after the one that counts."""
    plain: dict[str, Any] = {
        "model_row_id": "2",
        "training_id": "t2",
        "replicate_version_id": None,
        "created_at": "2026-02-28T23:40:00Z",
        "completed_at": None,
    }
    return training_row(**(plain | changes))


def replied(status: str, **changes: Any) -> dict[str, Any]:
    """What Replicate says of the later training."""
    return {"t2": Training(id="t2", status=status, **changes)}


def known(*others: TrainingRow, found: Found | Failed = TWO, recorded: str | None = OLD, **more: Any) -> UserCase:
    """Ann's row that counts records `recorded`; `found` is what Replicate has."""
    mine = record(replicate_version_id=recorded, shared_with_count=more.pop("shared", 0))
    rows = (*others, training_row(replicate_version_id=recorded))
    user = AuditedUser(mine, classify(mine, found, RunContext()))
    plain: dict[str, Any] = {
        "source": "",
        "person": ANN,
        "rows": classify_rows(rows, "1", RowRules(order_by="updated_at")),
        "user": user,
        "found": found if isinstance(found, Found) else None,
    }
    return UserCase(**(plain | more))


CASES = [
    pytest.param(known(found=ONE, recorded=NEW), TrainingOutcome.SINGLE, "One training row", id="one training"),
    pytest.param(known(recorded=NEW), TrainingOutcome.RECORDED, "latest one on Replicate", id="recorded"),
    pytest.param(
        known(later(training_status="failed", failure_reason="no face"), recorded=NEW),
        TrainingOutcome.HAD_ISSUES,
        "says failed: no face.",
        id="failed",
    ),
    pytest.param(
        known(
            later(training_status="training"),
            recorded=NEW,
            trainings=replied("failed", error="out of memory"),
        ),
        TrainingOutcome.HAD_ISSUES,
        "Replicate says that its training failed: out of memory.",
        id="failed on Replicate, and the row does not know",
    ),
    pytest.param(
        known(later(training_status="training"), recorded=NEW, trainings=replied("canceled")),
        TrainingOutcome.HAD_ISSUES,
        "was canceled.",
        id="canceled on Replicate",
    ),
    pytest.param(
        known(later(training_status="Canceled"), recorded=NEW),
        TrainingOutcome.HAD_ISSUES,
        "says Canceled.",
        id="canceled",
    ),
    pytest.param(
        known(later(training_status="aborted"), recorded=NEW), TrainingOutcome.HAD_ISSUES, "says aborted.", id="aborted"
    ),
    pytest.param(
        known(later(training_status="training"), recorded=NEW, trainings=replied("aborted")),
        TrainingOutcome.HAD_ISSUES,
        "was aborted.",
        id="aborted on Replicate",
    ),
    pytest.param(
        known(later(training_status="starting"), recorded=NEW),
        TrainingOutcome.IN_PROGRESS,
        "says starting;",
        id="starting",
    ),
    pytest.param(
        known(later(training_status="archived"), recorded=NEW),
        TrainingOutcome.UNKNOWN,
        "none of the words in [database] completed, in_progress or failed of the config file; Replicate does not say",
        id="a word that means nothing",
    ),
    pytest.param(
        known(later(training_status="archived"), recorded=NEW, trainings=replied("processing")),
        TrainingOutcome.IN_PROGRESS,
        "Replicate says processing.",
        id="a word that means nothing, and Replicate says it is running",
    ),
    pytest.param(
        known(later(training_status="archived"), recorded=NEW, tables=Tables(failed=("archived",))),
        TrainingOutcome.HAD_ISSUES,
        "says archived.",
        id="failed in the words of the config file",
    ),
    pytest.param(
        known(later(training_status="failed", created_at="2026-04-01T00:00:00Z")),
        TrainingOutcome.HAD_ISSUES,
        "Also, the latest version",
        id="failed, and an earlier one is not recorded either",
    ),
    pytest.param(known(), TrainingOutcome.NOT_RECORDED, f"{NEW[:12]}, made 2026-03-01 00:00,", id="newer on Replicate"),
    pytest.param(
        known(later(training_status="training")),
        TrainingOutcome.NOT_RECORDED,
        "still says training, but version",
        id="a version was made since",
    ),
    pytest.param(
        known(
            later(training_status="processing", created_at="2026-04-01T00:00:00Z"),
            trainings=replied("succeeded", version=digest("newest")),
        ),
        TrainingOutcome.NOT_RECORDED,
        f"succeeded and made version {digest('newest')[:12]}",
        id="Replicate says it succeeded",
    ),
    pytest.param(
        known(later(training_status="Completed"), recorded=NEW),
        TrainingOutcome.NOT_RECORDED,
        "`Completed`, which does not count as",
        id="near miss",
    ),
    pytest.param(
        known(training_row(model_row_id="7", is_test=True, replicate_version_id=NEW)),
        TrainingOutcome.NOT_RECORDED,
        "stored in row 7, which does not count: a test row",
        id="recorded in a row that does not count",
    ),
    pytest.param(known(recorded=None), TrainingOutcome.NOT_RECORDED, "not stored in any row", id="nothing recorded"),
    pytest.param(known(shared=1), TrainingOutcome.UNKNOWN, "may show another user", id="newer, of a shared model"),
    pytest.param(
        known(later(training_status="training"), shared=1),
        TrainingOutcome.IN_PROGRESS,
        "Also, the latest version",
        id="running, and a newer version of a shared model",
    ),
    pytest.param(
        known(recorded=None, found=Failed(Reason.TIMEOUT, "too slow")),
        TrainingOutcome.NOT_RECORDED,
        "no version is stored",
        id="nothing recorded, and Replicate is silent",
    ),
    pytest.param(
        known(later(training_status="training"), recorded=NEW, trainings=replied("succeeded", version=NEW)),
        TrainingOutcome.RECORDED,
        "its training made the stored version",
        id="recorded, although its own row does not say so",
    ),
    pytest.param(
        known(later(training_status="training"), recorded=NEW, trainings=replied("processing")),
        TrainingOutcome.IN_PROGRESS,
        "Replicate says processing too",
        id="running",
    ),
    pytest.param(
        known(later(training_status="pending"), recorded=NEW, trainings={"t2": Missing()}),
        TrainingOutcome.IN_PROGRESS,
        "does not say more",
        id="waiting, unknown to Replicate",
    ),
    pytest.param(
        known(later(training_status="pending", created_at=None, updated_at=None), recorded=NEW),
        TrainingOutcome.IN_PROGRESS,
        "Row 2 says pending",
        id="a row without any date is taken to be later",
    ),
    pytest.param(
        known(later(training_status="failed", created_at="2025-01-01T00:00:00Z"), recorded=NEW),
        TrainingOutcome.RECORDED,
        "latest one",
        id="an earlier failure is past",
    ),
    pytest.param(
        known(later(training_status="failed", is_test=True), recorded=NEW),
        TrainingOutcome.RECORDED,
        "latest one",
        id="a failed test is nobody's",
    ),
    pytest.param(
        known(found=Failed(Reason.TIMEOUT, "too slow")), TrainingOutcome.UNKNOWN, "not known", id="Replicate is silent"
    ),
    pytest.param(UserCase(source="", person=ANN, rows=()), TrainingOutcome.NO_TRAINING, "has no row", id="no row"),
    pytest.param(
        UserCase(
            source="",
            person=ANN,
            rows=classify_rows((training_row(is_test=True),), None, RowRules(order_by="updated_at")),
        ),
        TrainingOutcome.NO_TRAINING,
        "No row of this user counts",
        id="only a test row",
    ),
    pytest.param(
        UserCase(
            source="",
            person=ANN,
            rows=classify_rows((later(training_status="failed"),), None, RowRules(order_by="updated_at")),
        ),
        TrainingOutcome.HAD_ISSUES,
        "says failed.",
        id="the only training failed",
    ),
]


@pytest.mark.parametrize(("case", "outcome", "words"), CASES)
def test_the_outcome_is_recognised_and_said_in_words(case: UserCase, outcome: TrainingOutcome, words: str) -> None:
    last = last_training(case)
    assert last.outcome is outcome
    assert words in last.why


def test_every_outcome_has_a_case_and_a_title() -> None:
    seen = {last_training(case.values[0]) for case in CASES}  # type: ignore[arg-type]  # pytest's cases are untyped
    assert {last.outcome for last in seen} == set(TrainingOutcome)
    assert len({last.title for last in seen}) == len(TrainingOutcome)


@pytest.mark.parametrize(
    ("changes", "recorded", "outcome"),
    [
        pytest.param({"retraining_in_progress": True}, NEW, TrainingOutcome.IN_PROGRESS, id="running"),
        pytest.param({"later_training_failed": True}, NEW, TrainingOutcome.HAD_ISSUES, id="failed"),
        pytest.param(
            {"retraining_in_progress": True}, OLD, TrainingOutcome.NOT_RECORDED, id="running, and a newer version"
        ),
        pytest.param({"older_completed": 1}, NEW, TrainingOutcome.RECORDED, id="recorded"),
    ],
)
def test_a_run_file_knows_the_outcome_without_the_rows(changes: Any, recorded: str, outcome: TrainingOutcome) -> None:
    mine = record(replicate_version_id=recorded, **changes)
    user = AuditedUser(mine, classify(mine, TWO, RunContext()))
    assert last_training(UserCase(source="", person=ANN, rows=None, user=user)).outcome is outcome


@pytest.mark.parametrize(
    ("training", "outcome", "words"),
    [
        pytest.param(
            {"status": "failed", "error": "no face"}, TrainingOutcome.HAD_ISSUES, "failed: no face.", id="failed"
        ),
        pytest.param({"status": "canceled"}, TrainingOutcome.HAD_ISSUES, "was canceled.", id="canceled"),
        pytest.param({"status": "aborted"}, TrainingOutcome.HAD_ISSUES, "was aborted.", id="aborted"),
        pytest.param({"status": "processing"}, TrainingOutcome.IN_PROGRESS, "was processing when", id="running"),
        pytest.param(
            {"status": "succeeded", "version": NEW}, TrainingOutcome.RECORDED, "made the stored", id="recorded"
        ),
        pytest.param(
            {"status": "succeeded", "version": digest("lost")},
            TrainingOutcome.NOT_RECORDED,
            digest("lost")[:12],
            id="lost",
        ),
    ],
)
def test_a_run_file_says_what_the_list_said_of_the_later_training(
    training: Any, outcome: TrainingOutcome, words: str
) -> None:
    mine = record(replicate_version_id=NEW, later_training_id="t2", retraining_in_progress=True)
    finding = classify(mine, TWO, RunContext())
    user = AuditedUser(mine, replace(finding, lineage=Lineage(later=Training(id="t2", **training))))
    last = last_training(UserCase(source="", person=ANN, rows=None, user=user))
    assert last.outcome is outcome
    assert words in last.why


def test_the_training_that_made_an_unrecorded_version_is_named() -> None:
    mine = record(replicate_version_id=OLD)
    made = Training(id="t9", status="succeeded", version=NEW)
    user = AuditedUser(mine, replace(classify(mine, TWO, RunContext()), lineage=Lineage(latest=made)))
    last = last_training(UserCase(source="", person=ANN, rows=None, user=user))
    assert last.outcome is TrainingOutcome.NOT_RECORDED
    assert last.why.endswith("Training t9 made it and succeeded on Replicate.")


@pytest.mark.parametrize("training_id", [None, "", "  ", "a/b", "../account", "a b", "é", "x" * 65])
def test_a_training_id_that_is_no_word_is_never_sent(training_id: str | None) -> None:
    assert askable_training(training_id) is None
    assert askable_training(" t1\n") == "t1"


@pytest.mark.parametrize(
    ("reason", "outcome", "words"),
    [
        (Reason.WRONG_WEIGHTS, TrainingOutcome.RECORDED, "Its weights are not that version's: no good."),
        (Reason.WEIGHTS_GONE, TrainingOutcome.RECORDED, "Its weights are gone: no good."),
        (Reason.TRAINER_RECORDED, TrainingOutcome.NOT_RECORDED, "has a trainer as its model."),
    ],
)
@pytest.mark.parametrize("in_run", [True, False])
def test_the_version_is_not_blamed_for_weights_or_a_trainer(
    reason: Reason, outcome: TrainingOutcome, words: str, *, in_run: bool
) -> None:
    case = known(recorded=NEW)
    assert case.user
    user = replace(case.user, finding=replace(case.user.finding, reason=reason, detail="no good"))
    found = last_training(replace(case, user=user, **({"rows": None} if in_run else {})))
    assert found.outcome is outcome
    assert words in found.why
    assert "not the recorded one" not in found.why


def test_a_training_in_a_state_that_nobody_knows_is_not_said_to_go_on() -> None:
    case = known(later(training_status="training"), recorded=NEW, trainings=replied("paused"))
    assert last_training(case).outcome is TrainingOutcome.UNKNOWN
