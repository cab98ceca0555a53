"""The rule table of repairs: who is changed, how, and who is left out and why."""

from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
from msgspec.structs import replace

from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.repair import LeftOut, RowChange, WhyLeftOut
from audit.model.replies import Lineage, Training
from audit.model.tables import Column
from audit.model.who import names_user
from audit.repair.rules import INCLUDABLE, WHY_LEFT_OUT, PlanRules, PlanSettings, looked_up, plan_user
from tests.support.samples import NEW, OLD, digest, finding, record

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REAL = "https://replicate.delivery/xezq/real/flux-lora.tar"


def rules(**changes: Any) -> PlanRules:
    of_run = {name: changes.pop(name) for name in tuple(changes) if name in PlanRules.__struct_fields__}
    return PlanRules(settings=PlanSettings(**changes), now=NOW, **of_run)


def user(reason: Reason = Reason.OUTDATED_VERSION, weights: str | None = REAL, **fields: Any) -> AuditedUser:
    """Somebody who runs an old version, while a training has put out a new one."""
    names = ("notes", "latest_version", "lineage", "unfinished", "also", "latest_version_created_at")
    of_finding = {name: fields.pop(name) for name in names if name in fields}
    lineage = Lineage(latest=Training(id="t", status="succeeded", version=NEW, weights=weights))
    return AuditedUser(
        record(**({"replicate_version_id": OLD} | fields)),
        finding(reason, **({"latest_version": NEW, "lineage": lineage} | of_finding)),
    )


def open_row(reason: Reason = Reason.TRAINING_NOT_RECORDED, **fields: Any) -> AuditedUser:
    """Somebody whose newest row says that the training goes on, and which has put out a version."""
    row: dict[str, Any] = {
        "unfinished": True,
        "training_status": "training",
        "replicate_version_id": None,
        "lora_weights_url": None,
        "completed_at": None,
    }
    made = training(model="acme/ann", completed_at="2026-02-20T10:00:00Z")
    found = user(reason, **(row | {"lineage": Lineage(latest=made)} | fields))
    return replace(found, record=replace(found.record, unfinished=True))


def training(**fields: Any) -> Training:
    """One that has put out the new version."""
    return Training(**({"id": "t", "status": "succeeded", "version": NEW, "weights": REAL} | fields))


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
def test_where_bare_hashes_are_usual_the_new_version_has_the_form_of_the_recorded_one(
    recorded: str | None, new: str
) -> None:
    assert change(user(replicate_version_id=recorded)).new_version == new


@pytest.mark.parametrize(
    ("recorded", "new"),
    [
        pytest.param(None, f"acme/ann:{NEW}", id="nothing recorded"),
        pytest.param("\n", f"acme/ann:{NEW}", id="blank"),
        pytest.param(OLD, f"acme/ann:{NEW}", id="bare"),
        pytest.param("latest", f"acme/ann:{NEW}", id="no hash"),
        pytest.param(f"Acme/Ann:{OLD}", f"Acme/Ann:{NEW}", id="qualified, in another case"),
        pytest.param("acme/ann:latest", f"acme/ann:{NEW}", id="qualified, but no hash"),
    ],
)
def test_where_qualified_versions_are_usual_the_new_version_is_one_whatever_is_recorded(
    recorded: str | None, new: str
) -> None:
    somebody = user(replicate_version_id=recorded, replicate_model_id=" acme/ann")
    assert change(somebody, version_form="qualified").new_version == new


MADE_UP = f"https://replicate.delivery/pbxt/{OLD}/flux-lora.tar"
DELIVERED = record().lora_weights_url


@pytest.mark.parametrize(
    ("weights", "kind"),
    [
        pytest.param(REAL, "replaced", id="known"),
        pytest.param(DELIVERED, "same", id="recorded already"),
        pytest.param(None, WhyLeftOut.WEIGHTS_NOT_KNOWN, id="the training has none"),
        pytest.param("", WhyLeftOut.WEIGHTS_NOT_KNOWN, id="empty"),
        pytest.param("flux-lora.tar", WhyLeftOut.WEIGHTS_NOT_KNOWN, id="no URL"),
        pytest.param("https://replicate.delivery/a\x00b", WhyLeftOut.WEIGHTS_NOT_KNOWN, id="what no row can hold"),
        pytest.param("https://replicate.delivery/\u202etar", WhyLeftOut.WEIGHTS_NOT_KNOWN, id="what deceives"),
        pytest.param("https://replicate.delivery/a b", WhyLeftOut.WEIGHTS_NOT_KNOWN, id="a blank"),
    ],
)
def test_only_a_real_url_that_is_known_replaces_the_recorded_one(weights: str | None, kind: str | WhyLeftOut) -> None:
    somebody = user(weights=weights)
    if isinstance(kind, WhyLeftOut):
        assert why(somebody) is kind
        alone = change(somebody, version_only=True)
        assert (alone.weights, alone.new_weights, alone.new_version) == ("left_alone", DELIVERED, NEW)
    else:
        planned_change = change(somebody)
        assert planned_change.weights == kind
        assert planned_change.new_weights == weights


OTHER_TRAINING = Lineage(latest=Training(id="x", status="succeeded", version=OLD, weights=REAL))
BY_HAND = (Note.VERSION_MADE_BY_HAND,)


@pytest.mark.parametrize(
    ("fields", "in_use", "kind"),
    [
        pytest.param({"lineage": None}, False, "to_be_looked_up", id="trainings not read"),
        pytest.param({"lineage": Lineage()}, False, "to_be_looked_up", id="no training known"),
        pytest.param({"lineage": OTHER_TRAINING}, False, "to_be_looked_up", id="the training of another version"),
        pytest.param({"lineage": None, "lora_weights_url": MADE_UP}, False, "to_be_looked_up", id="made up"),
        pytest.param({"lineage": None, "lora_weights_url": None}, False, "left_alone", id="nobody uses the column"),
        pytest.param({"lineage": None, "lora_weights_url": " "}, False, "left_alone", id="blank, the same"),
        pytest.param({"lineage": None, "lora_weights_url": None}, True, "to_be_looked_up", id="most rows have some"),
        pytest.param({"lora_weights_url": None}, False, "replaced", id="known, although nobody uses the column"),
        pytest.param({"lineage": Lineage(), "notes": BY_HAND}, True, WhyLeftOut.WEIGHTS_NOT_KNOWN, id="by hand"),
        pytest.param(
            {"lineage": Lineage(), "notes": BY_HAND, "lora_weights_url": None},
            False,
            "left_alone",
            id="nobody, by hand",
        ),
    ],
)
def test_a_version_gets_the_weights_of_its_training_or_they_are_looked_up(
    fields: dict[str, Any], kind: str | WhyLeftOut, *, in_use: bool
) -> None:
    outcome = plan_user(user(**fields), NOW, rules(weights_in_use=in_use))
    assert (outcome.why if isinstance(outcome, LeftOut) else outcome and outcome.weights) == kind


@pytest.mark.parametrize(
    "recorded",
    [
        "https://cdn.example.com/ann.tar",
        "https://huggingface.co/acme/ann/resolve/main/lora.safetensors",
        "acme/somebody-else",
        "huggingface.co/acme/ann",
        "https://replicate.delivery.example.com/a.tar",
        "flux-lora.tar",
    ],
)
@pytest.mark.parametrize("weights", [REAL, None], ids=["known", "not known"])
def test_what_lies_in_a_place_of_the_products_own_is_never_overwritten(recorded: str, weights: str | None) -> None:
    somebody = user(lora_weights_url=recorded, weights=weights)
    assert why(somebody) is WhyLeftOut.WEIGHTS_ELSEWHERE
    alone = change(somebody, version_only=True)
    assert (alone.weights, alone.new_weights, alone.new) == ("left_alone", recorded, {Column.VERSION_ID: NEW})


@pytest.mark.parametrize(
    ("recorded", "new"),
    [
        ("acme/ann", "acme/ann"),
        (f"acme/ann/{OLD}", f"acme/ann/{NEW}"),
        (f"Acme/ann:{OLD.upper()}", f"Acme/ann:{NEW}"),
        ("https://replicate.com/acme/ann", "https://replicate.com/acme/ann"),
        (f"https://replicate.com/acme/ann/versions/{OLD}", f"https://replicate.com/acme/ann/versions/{NEW}"),
        (f"acme/ann/{NEW}", f"acme/ann/{NEW}"),
        (f"acme/earlier/{OLD}", f"acme/ann/{NEW}"),
    ],
)
def test_a_reference_becomes_one_to_the_version_in_the_same_form(recorded: str, new: str) -> None:
    planned_change = change(user(lora_weights_url=recorded, lineage=None))
    assert planned_change.new_weights == new
    assert planned_change.weights == ("same" if recorded == new else "replaced")


def known(
    of: AuditedUser, url: str | None, *, found: bool = True, version_only: bool = False
) -> RowChange | WhyLeftOut:
    """The change of somebody whose training was looked up, and whether that was found."""
    wanted = change(of, version_only=version_only)
    assert wanted.weights == "to_be_looked_up"
    return looked_up(of, wanted, training(weights=url) if found else None, rules(version_only=version_only))


def test_weights_that_were_looked_up_go_with_the_version() -> None:
    complete = known(user(lineage=None), REAL)
    assert isinstance(complete, RowChange)
    assert complete.new == {Column.VERSION_ID: NEW, Column.LORA_WEIGHTS_URL: REAL}
    same = known(user(lineage=None), DELIVERED)
    assert isinstance(same, RowChange)
    assert (same.weights, same.new) == ("same", {Column.VERSION_ID: NEW})


@pytest.mark.parametrize(("url", "found"), [(None, False), (None, True), ("", True), ("flux-lora.tar", True)])
def test_where_nobody_knows_the_weights_the_version_is_set_only_if_that_alone_is_wanted(
    url: str | None, *, found: bool
) -> None:
    assert known(user(lineage=None), url, found=found) is WhyLeftOut.WEIGHTS_NOT_KNOWN
    alone = known(user(lineage=None), url, found=found, version_only=True)
    assert isinstance(alone, RowChange)
    assert (alone.weights, alone.new) == ("left_alone", {Column.VERSION_ID: NEW})


RIGHT: dict[str, Any] = {"replicate_version_id": f"acme/ann:{NEW}"}


@pytest.mark.parametrize("reason", [Reason.WRONG_WEIGHTS, Reason.WEIGHTS_GONE])
def test_wrong_weights_alone_are_set_alone(reason: Reason) -> None:
    planned_change = change(user(reason, **RIGHT), version_form="hash")
    assert planned_change.new == {Column.LORA_WEIGHTS_URL: REAL}
    assert planned_change.old == {Column.LORA_WEIGHTS_URL: DELIVERED}
    assert planned_change.new_version == planned_change.old_version


@pytest.mark.parametrize("reason", [Reason.WRONG_WEIGHTS, Reason.WEIGHTS_GONE])
def test_wrong_weights_are_looked_up_too_and_version_only_means_nothing_to_them(reason: Reason) -> None:
    unknown = user(reason, lineage=None, **RIGHT)
    assert known(unknown, None, found=False, version_only=True) is WhyLeftOut.WEIGHTS_NOT_KNOWN
    assert known(unknown, None, version_only=True) is WhyLeftOut.WEIGHTS_NOT_KNOWN
    assert known(unknown, DELIVERED, version_only=True) is WhyLeftOut.WEIGHTS_GONE
    elsewhere = user(reason, lora_weights_url="https://cdn.example.com/a.tar", **RIGHT)
    assert why(elsewhere, version_only=True) is WhyLeftOut.WEIGHTS_ELSEWHERE


ROW = {
    Column.VERSION_ID: NEW,
    Column.LORA_WEIGHTS_URL: REAL,
    Column.TRAINING_STATUS: "ready",
    Column.COMPLETED_AT: "2026-02-20T10:00:00Z",
}


def completed(of: AuditedUser, **of_rules: Any) -> RowChange:
    of_rules = {"completed_word": "ready", "include": frozenset(INCLUDABLE)} | of_rules
    return change(of, **of_rules)


@pytest.mark.parametrize("reason", [Reason.TRAINING_NOT_RECORDED, Reason.VERSION_LOST, Reason.TRAINER_RECORDED])
def test_a_row_that_is_not_completed_becomes_one(reason: Reason) -> None:
    planned_change = completed(open_row(reason))
    assert planned_change.new == ROW
    assert planned_change.completes
    assert planned_change.old_others == {Column.TRAINING_STATUS: "training", Column.COMPLETED_AT: None}


def test_it_gets_the_model_that_its_training_made() -> None:
    other = open_row(lineage=Lineage(latest=training(model="acme/new")), replicate_model_id="acme/old")
    planned_change = completed(other, version_form="qualified")
    assert planned_change.new == {
        Column.MODEL_ID: "acme/new",
        Column.VERSION_ID: f"acme/new:{NEW}",
        Column.LORA_WEIGHTS_URL: REAL,
        Column.TRAINING_STATUS: "ready",
    }
    assert planned_change.replicate_model_id == "acme/new"
    nothing = open_row(lineage=Lineage(latest=training(model="acme/new")), replicate_model_id=None)
    assert completed(nothing).new[Column.MODEL_ID] == "acme/new"
    same = open_row(lineage=Lineage(latest=training(model="acme/ann")), replicate_model_id=" Acme/ann")
    assert Column.MODEL_ID not in completed(same).new


def test_without_the_trainings_date_it_was_completed_when_the_version_was_made() -> None:
    undated = open_row(lineage=Lineage(latest=training()), latest_version_created_at="2026-02-19T00:00:00Z")
    assert completed(undated).new[Column.COMPLETED_AT] == "2026-02-19T00:00:00Z"
    assert Column.COMPLETED_AT not in completed(open_row(lineage=Lineage(latest=training()))).new
    assert Column.COMPLETED_AT not in completed(open_row(), not_set=frozenset({Column.COMPLETED_AT})).new


@pytest.mark.parametrize(
    ("older", "own", "order_by", "set_to"),
    [
        pytest.param("2026-02-10T00:00:00Z", None, "updated_at", "2026-02-20T10:00:00Z", id="no date"),
        pytest.param("2026-02-10T00:00:00Z", "2026-02-10T00:00:00Z", "updated_at", "2026-02-20T10:00:00Z", id="same"),
        pytest.param("2026-02-10T00:00:00Z", "2026-02-11T00:00:00Z", "updated_at", None, id="it counts anyhow"),
        pytest.param("2026-02-25T00:00:00Z", None, "updated_at", "2026-03-01T12:00:00Z", id="edited since: now"),
        pytest.param(None, None, "updated_at", None, id="the other has none either"),
        pytest.param("2026-02-10T00:00:00Z", None, "completed_at", None, id="by another date"),
    ],
)
def test_a_row_that_is_completed_is_dated_only_where_it_would_not_count_otherwise(
    older: str | None, own: str | None, order_by: str, set_to: str | None
) -> None:
    row = replace(open_row(updated_at=own), counting=record(updated_at=older))
    assert completed(row, order_by=order_by).new.get(Column.UPDATED_AT) == set_to
    assert Column.UPDATED_AT not in completed(row, not_set=frozenset({Column.UPDATED_AT})).new
    assert Column.UPDATED_AT not in completed(open_row(updated_at=own)).new, "there is no other one"


def test_a_row_without_a_training_keeps_its_model_and_its_weights_are_looked_up_where_they_are_in_use() -> None:
    unknown = open_row(Reason.VERSION_LOST, lineage=None)
    assert completed(unknown).weights == "left_alone"
    assert completed(unknown, weights_in_use=True).weights == "to_be_looked_up"


def test_a_trainer_is_replaced_by_the_model_that_the_training_made() -> None:
    trained = Lineage(latest=training(model="acme/ann"))
    notes = (Note.SHARED_MODEL, Note.OWNER_DIFFERS_FROM_ACCOUNT, Note.RECORDED_MODEL_DIFFERS)
    row: dict[str, Any] = {
        "replicate_model_id": "ostris/trainer",
        "replicate_version_id": f"ostris/trainer:{OLD}",
        "notes": notes,
    }
    planned_change = completed(user(Reason.TRAINER_RECORDED, lineage=trained, **row))
    assert not planned_change.completes
    assert planned_change.new == {
        Column.MODEL_ID: "acme/ann",
        Column.VERSION_ID: f"acme/ann:{NEW}",
        Column.LORA_WEIGHTS_URL: REAL,
    }
    for lineage in (None, Lineage(latest=training(model=None)), OTHER_TRAINING):
        unknown = user(Reason.TRAINER_RECORDED, lineage=lineage, **row)
        assert why(unknown, include=frozenset(INCLUDABLE)) is WhyLeftOut.TRAINING_NOT_KNOWN


def test_where_models_have_names_alone_a_model_of_another_owner_is_not_recorded() -> None:
    trained = user(
        Reason.TRAINER_RECORDED, lineage=Lineage(latest=training(model="Acme/ann")), replicate_model_id="ostris/trainer"
    )
    assert completed(trained, only_owner="acme").new[Column.MODEL_ID] == "acme/ann", "as the audit will read it"
    assert why(trained, include=EVERY, only_owner="other") is WhyLeftOut.OWNER_NOT_RECORDED
    assert why(user(), only_owner="other") is None, "only the version is set"


def test_what_the_table_has_in_one_column_is_set_there_alone() -> None:
    made = Lineage(latest=training(model="acme/ann"))
    tables: dict[str, Any] = {"one_column": True, "version_form": "qualified"}
    for recorded in (None, "ostris/trainer", "acme/ann"):
        row = open_row(lineage=made, replicate_model_id=recorded)
        planned_change = completed(row, not_set=frozenset({Column.TRAINING_STATUS, Column.COMPLETED_AT}), **tables)
        assert planned_change.completes
        assert planned_change.new == {Column.VERSION_ID: f"acme/ann:{NEW}", Column.LORA_WEIGHTS_URL: REAL}


def test_a_training_in_the_models_place_stays_there() -> None:
    row = open_row(lineage=Lineage(latest=training(model="acme/ann")), replicate_model_id="a" * 26)
    assert Column.MODEL_ID not in completed(row).new


def test_a_failure_is_never_recorded_and_it_is_said_what_to_do() -> None:
    assert why(open_row(Reason.FAILURE_NOT_RECORDED, latest_version=None)) is WhyLeftOut.FAILURE_NOT_RECORDED
    said = WHY_LEFT_OUT[WhyLeftOut.FAILURE_NOT_RECORDED]
    assert "set the row to failed" in said
    assert "start it again" in said


def test_a_table_without_the_column_gets_no_weights_url() -> None:
    somebody = change(user(lora_weights_url=None), missing_columns=frozenset({"lora_weights_url"}))
    assert (somebody.weights, somebody.new_weights) == ("no_column", None)


def test_notes_about_weights_and_who_made_the_version_are_told_and_no_others() -> None:
    told = (Note.MISSING_WEIGHTS_URL, Note.GUESSED_WEIGHTS_URL, Note.WEIGHTS_URL_OF_ANOTHER_VERSION)
    notes = (Note.OLDER_MODELS_HIDDEN, *told, Note.UNRECORDED_TRAINING, Note.VERSION_MADE_BY_HAND)
    assert change(user(notes=notes)).notes == (*told, Note.VERSION_MADE_BY_HAND)


EVERY = frozenset(INCLUDABLE)
LEFT_OUT: dict[WhyLeftOut, dict[str, Any]] = {
    WhyLeftOut.SHARED_MODEL: {"notes": (Note.SHARED_MODEL,)},
    WhyLeftOut.RETRAINING_IN_PROGRESS: {"notes": (Note.RETRAINING_IN_PROGRESS,)},
    WhyLeftOut.OWNER_DIFFERS_FROM_ACCOUNT: {"notes": (Note.OWNER_DIFFERS_FROM_ACCOUNT,)},
    WhyLeftOut.RECORDED_MODEL_DIFFERS: {"notes": (Note.RECORDED_MODEL_DIFFERS,)},
    **{why: {"reason": reason} for reason, why in INCLUDABLE.items()},
    WhyLeftOut.FAILURE_NOT_RECORDED: {"reason": Reason.FAILURE_NOT_RECORDED},
    WhyLeftOut.LATEST_NOT_KNOWN: {"latest_version": None},
    WhyLeftOut.TRAINING_NOT_KNOWN: {
        "reason": Reason.TRAINING_NOT_RECORDED,
        "include": EVERY,
        "replicate_model_id": "x",
    },
    WhyLeftOut.TOO_OLD: {"checked_at": NOW - timedelta(hours=1, seconds=1)},
    WhyLeftOut.CHECKED_IN_FUTURE: {"checked_at": NOW + timedelta(hours=1, seconds=1)},
    WhyLeftOut.WEIGHTS_ELSEWHERE: {"lora_weights_url": "https://cdn.example.com/a.tar"},
    WhyLeftOut.WEIGHTS_NOT_KNOWN: {"weights": None},
    WhyLeftOut.WEIGHTS_GONE: {"reason": Reason.WEIGHTS_GONE, "lora_weights_url": REAL},
}
NOT_TOLD_OF_A_TRAINER = {
    WhyLeftOut.SHARED_MODEL,
    WhyLeftOut.OWNER_DIFFERS_FROM_ACCOUNT,
    WhyLeftOut.RECORDED_MODEL_DIFFERS,
    WhyLeftOut.TRAINING_NOT_KNOWN,
}


def possible(first: WhyLeftOut, second: WhyLeftOut) -> bool:
    """Whether both can be so of one row."""
    one, other = LEFT_OUT[first], LEFT_OUT[second]
    if WhyLeftOut.TRAINER_RECORDED in (first, second) and {first, second} & NOT_TOLD_OF_A_TRAINER:
        return False
    if {first, second} == {WhyLeftOut.LATEST_NOT_KNOWN, WhyLeftOut.TRAINING_NOT_KNOWN}:
        return False
    return all(one[key] == other[key] for key in (one.keys() & other.keys()) - {"notes"}) and not (
        second is WhyLeftOut.TRAINING_NOT_KNOWN and first.value == one.get("reason")
    )


@pytest.mark.parametrize("expected", LEFT_OUT)
def test_each_cause_alone_leaves_a_user_out(expected: WhyLeftOut) -> None:
    fields = dict(LEFT_OUT[expected])
    checked_at, include = fields.pop("checked_at", NOW), fields.pop("include", frozenset())
    assert why(user(**fields), checked_at, include=include) is expected


@pytest.mark.parametrize(("first", "second"), [pair for pair in combinations(LEFT_OUT, 2) if possible(*pair)])
def test_of_two_causes_the_first_is_told(first: WhyLeftOut, second: WhyLeftOut) -> None:
    fields = LEFT_OUT[first] | LEFT_OUT[second]
    fields["notes"] = (*LEFT_OUT[second].get("notes", ()), *LEFT_OUT[first].get("notes", ()))
    checked_at, include = fields.pop("checked_at", NOW), fields.pop("include", frozenset())
    assert why(user(**fields), checked_at, include=include) is first


@pytest.mark.parametrize("reason", INCLUDABLE)
def test_what_is_not_changed_unasked_is_changed_where_it_is_named(reason: Reason) -> None:
    somebody = user(reason, lineage=Lineage(latest=training(model="acme/ann")))
    assert why(somebody, include=frozenset({reason})) is None
    assert why(somebody, include=frozenset(INCLUDABLE) - {reason}) is INCLUDABLE[reason]


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
