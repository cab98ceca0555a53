"""The rule table of repairs: who is changed, how, and who is left out and why."""

from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from audit.commands.sync.plan import WHY_LEFT_OUT, PlanRules, PlanSettings, plan_user
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.repair import LeftOut, RowChange, WhyLeftOut
from audit.model.replies import Lineage, Training
from audit.model.who import names_user
from tests.support.samples import NEW, OLD, digest, finding, record

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REAL = "https://replicate.delivery/xezq/real/flux-lora.tar"


def rules(**changes: Any) -> PlanRules:
    missing = changes.pop("missing_columns", frozenset())
    return PlanRules(settings=PlanSettings(**changes), now=NOW, missing_columns=missing)


def user(reason: Reason = Reason.OUTDATED_VERSION, weights: str | None = REAL, **fields: Any) -> AuditedUser:
    """Somebody who runs an old version, while a training has put out a new one."""
    of_finding = {name: fields.pop(name) for name in ("notes", "latest_version", "lineage") if name in fields}
    lineage = Lineage(latest=Training(id="t", status="succeeded", version=NEW, weights=weights))
    return AuditedUser(
        record(**({"replicate_version_id": OLD} | fields)),
        finding(reason, **({"latest_version": NEW, "lineage": lineage} | of_finding)),
    )


def change(of: AuditedUser, **of_rules: Any) -> RowChange:
    outcome = plan_user(of, NOW, rules(**of_rules))
    assert isinstance(outcome, RowChange)
    return outcome


def why(of: AuditedUser, checked_at: datetime = NOW, **of_rules: Any) -> WhyLeftOut | None:
    outcome = plan_user(of, checked_at, rules(**of_rules))
    return outcome.why if isinstance(outcome, LeftOut) else None


def test_an_outdated_version_becomes_the_latest_and_its_weights_url_the_trainings() -> None:
    somebody = user()
    assert change(somebody) == RowChange(
        user_id="u1",
        email="ann@example.com",
        model_row_id="1",
        replicate_model_id="acme/ann",
        reason=Reason.OUTDATED_VERSION,
        old_version=OLD,
        new_version=NEW,
        latest_version=NEW,
        old_weights=somebody.record.lora_weights_url,
        new_weights=REAL,
        weights="replaced",
        old_updated_at="2026-01-02T00:00:00Z",
    )


@pytest.mark.parametrize("reason", [each for each in Reason if each.status is not Status.NEEDS_SYNC])
def test_nothing_is_done_where_no_sync_is_needed(reason: Reason) -> None:
    assert plan_user(user(reason), NOW, rules()) is None


@pytest.mark.parametrize(
    ("recorded", "new"),
    [
        pytest.param(None, NEW, id="nothing recorded"),
        pytest.param("  ", NEW, id="blank"),
        pytest.param(OLD.upper(), NEW, id="bare"),
        pytest.param(f"acme/ann:{OLD}", f"acme/ann:{NEW}", id="qualified"),
        pytest.param(f" Acme/Ann:{OLD}\n", f"Acme/Ann:{NEW}", id="qualified, padded, in another case"),
        pytest.param("acme/ann:latest", NEW, id="qualified, but no hash"),
        pytest.param(f"https://replicate.com/acme/ann:{OLD}", NEW, id="a URL"),
    ],
)
def test_the_new_version_has_the_form_of_the_recorded_one(recorded: str | None, new: str) -> None:
    assert change(user(replicate_version_id=recorded)).new_version == new


@pytest.mark.parametrize(
    ("weights", "kind"),
    [
        pytest.param(REAL, "replaced", id="known"),
        pytest.param(record().lora_weights_url, "same", id="recorded already"),
        pytest.param(None, "left_alone", id="not known"),
        pytest.param("", "left_alone", id="empty"),
        pytest.param("flux-lora.tar", "left_alone", id="no URL"),
        pytest.param("https://replicate.delivery/a\x00b", "left_alone", id="a character that no row can hold"),
        pytest.param("https://replicate.delivery/\u202etar", "left_alone", id="a character that deceives"),
        pytest.param("https://replicate.delivery/a b", "left_alone", id="a blank"),
    ],
)
def test_only_a_real_url_that_is_known_replaces_the_recorded_one(weights: str | None, kind: str) -> None:
    planned_change = change(user(weights=weights))
    assert planned_change.weights == kind
    assert planned_change.new_weights == (REAL if kind == "replaced" else record().lora_weights_url)


@pytest.mark.parametrize("lineage", [None, Lineage()], ids=["trainings not read", "no training made it"])
def test_without_a_training_the_weights_url_is_left_alone(lineage: Lineage | None) -> None:
    assert change(user(lineage=lineage)).weights == "left_alone"


def test_a_table_without_the_column_gets_no_weights_url() -> None:
    somebody = change(user(lora_weights_url=None), missing_columns=frozenset({"lora_weights_url"}))
    assert (somebody.weights, somebody.new_weights) == ("no_column", None)


def test_notes_about_weights_and_who_made_the_version_are_told_and_no_others() -> None:
    told = (Note.MISSING_WEIGHTS_URL, Note.GUESSED_WEIGHTS_URL, Note.WEIGHTS_URL_OF_ANOTHER_VERSION)
    notes = (Note.OLDER_MODELS_HIDDEN, *told, Note.UNRECORDED_TRAINING, Note.VERSION_MADE_BY_HAND)
    assert change(user(notes=notes)).notes == (*told, Note.VERSION_MADE_BY_HAND)


LEFT_OUT: dict[WhyLeftOut, dict[str, Any]] = {
    WhyLeftOut.SHARED_MODEL: {"notes": (Note.SHARED_MODEL,)},
    WhyLeftOut.RETRAINING_IN_PROGRESS: {"notes": (Note.RETRAINING_IN_PROGRESS,)},
    WhyLeftOut.OWNER_DIFFERS_FROM_ACCOUNT: {"notes": (Note.OWNER_DIFFERS_FROM_ACCOUNT,)},
    WhyLeftOut.RECORDED_MODEL_DIFFERS: {"notes": (Note.RECORDED_MODEL_DIFFERS,)},
    WhyLeftOut.UNKNOWN_VERSION: {"reason": Reason.UNKNOWN_VERSION},
    WhyLeftOut.MALFORMED_VERSION: {"reason": Reason.MALFORMED_VERSION},
    WhyLeftOut.LATEST_NOT_KNOWN: {"latest_version": None},
    WhyLeftOut.TOO_OLD: {"checked_at": NOW - timedelta(hours=1, seconds=1)},
    WhyLeftOut.CHECKED_IN_FUTURE: {"checked_at": NOW + timedelta(hours=1, seconds=1)},
}


EXCLUDE_EACH_OTHER = (
    {WhyLeftOut.UNKNOWN_VERSION, WhyLeftOut.MALFORMED_VERSION},
    {WhyLeftOut.TOO_OLD, WhyLeftOut.CHECKED_IN_FUTURE},
)


@pytest.mark.parametrize("expected", WhyLeftOut)
def test_each_cause_alone_leaves_a_user_out(expected: WhyLeftOut) -> None:
    fields = dict(LEFT_OUT[expected])
    checked_at = fields.pop("checked_at", NOW)
    assert why(user(**fields), checked_at) is expected


@pytest.mark.parametrize(
    ("first", "second"),
    [pair for pair in combinations(WhyLeftOut, 2) if set(pair) not in EXCLUDE_EACH_OTHER],
)
def test_of_two_causes_the_first_is_told(first: WhyLeftOut, second: WhyLeftOut) -> None:
    fields = LEFT_OUT[first] | LEFT_OUT[second]
    fields["notes"] = (*LEFT_OUT[second].get("notes", ()), *LEFT_OUT[first].get("notes", ()))
    checked_at = fields.pop("checked_at", NOW)
    assert why(user(**fields), checked_at) is first


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_VERSION, Reason.MALFORMED_VERSION])
def test_what_somebody_may_have_meant_is_changed_where_it_is_named(reason: Reason) -> None:
    other = {Reason.UNKNOWN_VERSION: Reason.MALFORMED_VERSION}.get(reason, Reason.UNKNOWN_VERSION)
    assert why(user(reason), include=frozenset({reason})) is None
    assert why(user(reason), include=frozenset({other})) is not None


def test_an_hour_old_is_young_enough_and_so_is_one_ahead_by_a_clock_that_is_wrong() -> None:
    assert why(user(), NOW - timedelta(hours=1)) is None
    assert why(user(), NOW + timedelta(hours=1)) is None
    assert why(user(), NOW + timedelta(days=10)) is WhyLeftOut.CHECKED_IN_FUTURE


def test_every_cause_is_said_in_words() -> None:
    assert set(WHY_LEFT_OUT) == set(WhyLeftOut)


@pytest.mark.parametrize(
    ("who", "is_meant"),
    [
        pytest.param("ANN@example.com", True, id="e-mail in any case"),
        pytest.param("u1", True, id="user id"),
        pytest.param("U1", False, id="user id in another case"),
        pytest.param("CME/an", True, id="part of the model id"),
        pytest.param("ann@", False, id="part of the e-mail"),
        pytest.param(digest("ann"), False, id="somebody else"),
    ],
)
def test_a_user_is_named_as_for_a_run(who: str, *, is_meant: bool) -> None:
    assert names_user(who, record()) is is_meant
