"""What became of a row that is not completed: every state of the row, of its training and of the model's versions."""

from typing import Any

import pytest

from audit.findings.classify import RunContext, classify
from audit.findings.unfinished import asked_model, heard_of, judge, needs_versions, open_question, reply_of
from audit.model.codes import NoLine, Note, Reason
from audit.model.findings import AuditedUser, Finding
from audit.model.replies import Failed, Found, Heard, Missing, NotAsked, NoVersions, Training, Version
from audit.model.tables import Tables
from audit.model.users import ModelRecord
from tests.support.samples import NEW, OLD, digest, record

BEGAN = "2026-03-10T12:00:00Z"
BEFORE, AFTER = "2026-03-01T00:00:00Z", "2026-03-10T12:30:00Z"
MADE = digest("made")
CONTEXT = RunContext(trainers=frozenset({"acme/own-trainer"}))


def row(**changes: Any) -> ModelRecord:
    """An unfinished row, stuck in training, that has been wiped and names training t9."""
    plain = {
        "model_row_id": "2",
        "training_status": "training",
        "replicate_version_id": None,
        "lora_weights_url": None,
        "training_id": "t9",
        "created_at": BEGAN,
        "updated_at": BEGAN,
        "completed_at": None,
        "began_at": BEGAN,
        "unfinished": True,
    }
    return record(**(plain | changes))


def training(status: str = "succeeded", **changes: Any) -> Training:
    plain: dict[str, Any] = {
        "id": "t9",
        "status": status,
        "created_at": "2026-03-10T12:00:05Z",
        "completed_at": None if status in {"starting", "processing"} else "2026-03-10T12:25:00Z",
    }
    if status == "succeeded":
        plain |= {"model": "acme/ann", "version": MADE, "weights": "https://replicate.delivery/xezq/a/flux.tar"}
    return Training(**(plain | changes))


def versions(*made: str | None) -> tuple[Version, ...]:
    """Newest first."""
    return tuple(Version(digest(str(date)), date) for date in made)


def base_of(counting: ModelRecord, *found: tuple[str, str | None]) -> Finding:
    reply = Found(tuple(Version(*each) for each in found)) if found else NotAsked()
    return classify(counting, reply, CONTEXT)


UP_TO_DATE = ((NEW, BEFORE), (OLD, "2026-02-01T00:00:00Z"))
UNKNOWN = Heard(unknown=True)


@pytest.mark.parametrize(
    ("changes", "heard", "reason"),
    [
        pytest.param({}, Heard(training=training()), Reason.TRAINING_NOT_RECORDED, id="succeeded"),
        pytest.param(
            {"training_status": "failed"}, Heard(training=training()), Reason.TRAINING_NOT_RECORDED, id="says failed"
        ),
        pytest.param(
            {"training_status": None}, Heard(training=training()), Reason.TRAINING_NOT_RECORDED, id="says nothing"
        ),
        pytest.param(
            {}, Heard(training=training(version=None, weights=None)), Reason.TRAINING_NOT_RECORDED, id="odd output"
        ),
        pytest.param({}, Heard(training=training("processing")), NoLine.STILL_RUNNING, id="still running"),
        pytest.param({}, Heard(training=training("starting")), NoLine.STILL_RUNNING, id="starting"),
        pytest.param(
            {"training_status": "failed"}, Heard(training=training("processing")), NoLine.STILL_RUNNING, id="runs on"
        ),
        pytest.param({}, Heard(training=training("paused")), Reason.BAD_RESPONSE, id="in a state that nobody knows"),
        pytest.param(
            {}, Heard(training=training("failed"), versions=()), Reason.FAILURE_NOT_RECORDED, id="failed, no versions"
        ),
        pytest.param({}, Heard(training=training("canceled"), versions=()), Reason.FAILURE_NOT_RECORDED, id="canceled"),
        pytest.param({}, Heard(training=training("aborted"), versions=()), Reason.FAILURE_NOT_RECORDED, id="aborted"),
        pytest.param(
            {"training_status": "canceled"},
            Heard(training=training("failed"), versions=()),
            NoLine.REALLY_FAILED,
            id="really failed",
        ),
        pytest.param(
            {},
            Heard(training=training("failed"), versions=versions(BEFORE)),
            Reason.VERSION_LOST,
            id="failed, versions",
        ),
        pytest.param(
            {"training_status": "failed"},
            Heard(training=training("failed"), versions=versions(BEFORE)),
            Reason.VERSION_LOST,
            id="wiped, and really failed",
        ),
        pytest.param(
            {},
            Heard(training=training("failed"), versions=versions(AFTER, BEFORE)),
            Reason.TRAINING_NOT_RECORDED,
            id="failed, and another one made a version",
        ),
        pytest.param({}, Heard(training=training("failed")), Reason.STOPPED, id="failed, versions not asked"),
        pytest.param(
            {},
            Heard.nothing(Failed(Reason.TIMEOUT, "slow"), Heard(training=training("failed"))),
            Reason.TIMEOUT,
            id="failed, versions failed",
        ),
        pytest.param({}, Heard.nothing(Failed(Reason.SERVER_ERROR, "500")), Reason.SERVER_ERROR, id="no answer"),
        pytest.param({}, None, Reason.STOPPED, id="not reached"),
        pytest.param({}, UNKNOWN, Reason.STOPPED, id="404, versions not asked"),
        pytest.param({}, Heard(unknown=True, versions=()), Reason.TRAINING_NOT_FOUND, id="404, nothing else"),
        pytest.param(
            {}, Heard(unknown=True, versions=versions(AFTER)), Reason.TRAINING_NOT_RECORDED, id="404, made since"
        ),
        pytest.param({}, Heard(unknown=True, versions=versions(BEFORE)), Reason.VERSION_LOST, id="404, made before"),
        pytest.param(
            {"replicate_model_id": None}, UNKNOWN, Reason.TRAINING_NOT_FOUND, id="404, and no model to ask for"
        ),
        pytest.param({"shared_with_count": 1}, UNKNOWN, Reason.TRAINING_NOT_FOUND, id="404, and the model is shared"),
        pytest.param(
            {"training_id": None}, Heard(versions=versions(AFTER)), Reason.TRAINING_NOT_RECORDED, id="no id, made since"
        ),
        pytest.param(
            {"training_id": " "}, Heard(versions=versions(BEFORE)), Reason.VERSION_LOST, id="no id, made before"
        ),
        pytest.param(
            {"training_id": None}, Heard(versions=versions(BEGAN)), Reason.VERSION_LOST, id="made as the row began"
        ),
        pytest.param({"training_id": None}, Heard(versions=versions(None)), Reason.VERSION_LOST, id="undated version"),
        pytest.param(
            {"training_id": None, "began_at": None},
            Heard(versions=versions(AFTER)),
            Reason.VERSION_LOST,
            id="undated row",
        ),
        pytest.param({"training_id": None}, Heard(versions=()), NoLine.NOTHING_KNOWN, id="no id, no versions"),
        pytest.param(
            {"training_id": None, "training_status": "failed"},
            Heard(versions=()),
            NoLine.REALLY_FAILED,
            id="says failed",
        ),
        pytest.param(
            {"training_id": None, "shared_with_count": 2}, Heard(), NoLine.NOTHING_KNOWN, id="no id, shared model"
        ),
        pytest.param(
            {"training_id": "a/b", "replicate_model_id": "x"}, Heard(), NoLine.NOTHING_KNOWN, id="nothing to ask"
        ),
        pytest.param(
            {"replicate_model_id": "Ostris/flux-dev-lora-trainer"},
            Heard(training=training()),
            Reason.TRAINER_RECORDED,
            id="a published trainer",
        ),
        pytest.param(
            {"replicate_model_id": "acme/own-trainer"}, UNKNOWN, Reason.TRAINER_RECORDED, id="the account's own trainer"
        ),
        pytest.param(
            {"replicate_model_id": "acme/own-trainer", "training_id": None},
            Heard(),
            Reason.TRAINER_RECORDED,
            id="a trainer, and no id",
        ),
        pytest.param(
            {"replicate_model_id": "acme/own-trainer"},
            Heard(training=training("processing")),
            NoLine.STILL_RUNNING,
            id="a trainer, still running",
        ),
    ],
)
def test_a_user_without_a_completed_row(changes: dict[str, Any], heard: Heard | None, reason: Reason | NoLine) -> None:
    verdict = judge(row(**changes), None, heard, CONTEXT)
    assert (verdict.reason if isinstance(verdict, Finding) else verdict) is reason
    if isinstance(verdict, Finding):
        assert verdict.unfinished
        assert verdict.also is None


@pytest.mark.parametrize(
    ("changes", "counting", "heard", "reason", "also"),
    [
        pytest.param({}, {}, Heard(training=training()), Reason.TRAINING_NOT_RECORDED, None, id="hidden by a good row"),
        pytest.param(
            {},
            {"replicate_version_id": OLD},
            Heard(training=training()),
            Reason.TRAINING_NOT_RECORDED,
            Reason.OUTDATED_VERSION,
            id="beside an outdated one",
        ),
        pytest.param(
            {},
            {"replicate_version_id": f"acme/ann:{MADE.upper()}"},
            Heard(training=training()),
            Reason.UNKNOWN_VERSION,
            None,
            id="what it made is recorded in the completed row",
        ),
        pytest.param(
            {},
            {"training_id": "t9"},
            Heard(training=training(version=None)),
            Reason.LATEST_VERSION,
            None,
            id="same training",
        ),
        pytest.param({}, {}, Heard(training=training("processing")), Reason.LATEST_VERSION, None, id="still running"),
        pytest.param({}, {}, Heard(training=training("failed")), Reason.FAILURE_NOT_RECORDED, None, id="failed"),
        pytest.param(
            {"training_status": "failed"},
            {},
            Heard(training=training("failed")),
            Reason.LATEST_VERSION,
            None,
            id="really",
        ),
        pytest.param({}, {}, UNKNOWN, Reason.TRAINING_NOT_FOUND, None, id="404, and the versions are older"),
        pytest.param(
            {"training_id": None}, {}, Heard(), Reason.LATEST_VERSION, None, id="no id, and the versions are older"
        ),
        pytest.param(
            {"began_at": "2026-02-20T00:00:00Z"},
            {},
            UNKNOWN,
            Reason.TRAINING_NOT_FOUND,
            None,
            id="404, and what was made since is recorded",
        ),
        pytest.param(
            {"began_at": "2026-02-20T00:00:00Z"},
            {"replicate_version_id": OLD},
            UNKNOWN,
            Reason.TRAINING_NOT_RECORDED,
            Reason.OUTDATED_VERSION,
            id="404, and what was made since is not recorded",
        ),
        pytest.param({}, {}, None, Reason.STOPPED, None, id="not reached, although the completed row is fine"),
        pytest.param(
            {},
            {},
            Heard.nothing(Failed(Reason.TIMEOUT, "slow")),
            Reason.TIMEOUT,
            None,
            id="failed, although it is fine",
        ),
        pytest.param(
            {"created_at": "2025-12-01T00:00:00Z"},
            {"created_at": "2026-01-01T00:00:00Z"},
            Heard(training=training(created_at="2025-12-01T00:00:09Z")),
            Reason.LATEST_VERSION,
            None,
            id="newer by its last date alone, of an older training",
        ),
        pytest.param(
            {},
            {},
            Heard(training=training(created_at="2026-01-20T00:00:00Z", completed_at="2026-01-20T00:25:00Z")),
            Reason.LATEST_VERSION,
            None,
            id="a later version of that model is recorded, as by a row that is used again",
        ),
        pytest.param(
            {"replicate_model_id": "acme/ann-2"},
            {},
            Heard(training=training(model="acme/ann-2", completed_at="2026-01-20T00:25:00Z")),
            Reason.TRAINING_NOT_RECORDED,
            None,
            id="of another model, whenever it ended",
        ),
    ],
)
def test_a_user_with_a_completed_row(
    changes: dict[str, Any], counting: dict[str, Any], heard: Heard | None, reason: Reason, also: Reason | None
) -> None:
    newer = row(**changes)
    counts = record(**{"newer": newer, **counting})
    base = base_of(counts, *UP_TO_DATE)
    verdict = judge(counts, base, heard, CONTEXT)
    assert isinstance(verdict, Finding)
    assert verdict.reason is reason
    assert (verdict.also.reason if verdict.also else None) is also
    shown = AuditedUser.of(counts, verdict)
    about_newer = verdict.reason is not base.reason
    assert shown.record.model_row_id == ("2" if about_newer else "1")
    assert (shown.counting is counts) == about_newer


def test_what_goes_on_is_a_note_of_the_completed_row_and_what_is_over_is_none() -> None:
    counts = record(newer=row(), retraining_in_progress=True)
    base = base_of(counts, *UP_TO_DATE)
    assert Note.RETRAINING_IN_PROGRESS in base.notes
    running = judge(counts, base, Heard(training=training("processing")), CONTEXT)
    over = judge(counts, base, Heard(training=training(version=NEW)), CONTEXT)
    assert isinstance(running, Finding)
    assert isinstance(over, Finding)
    assert (running.reason, over.reason) == (Reason.LATEST_VERSION, Reason.LATEST_VERSION)
    assert Note.RETRAINING_IN_PROGRESS in running.notes
    assert Note.RETRAINING_IN_PROGRESS not in over.notes


def test_a_finding_has_the_training_and_what_it_made_and_since_when() -> None:
    finding = judge(row(), None, Heard(training=training()), CONTEXT)
    assert isinstance(finding, Finding)
    assert (finding.latest_version, finding.affected_since) == (MADE, "2026-03-10T12:25:00Z")
    assert finding.lineage
    assert finding.lineage.latest == training()
    assert finding.detail == "training t9 succeeded 2026-03-10 12:25; the row says training since 2026-03-10 12:00"
    lost = judge(row(training_id=None), None, Heard(versions=versions(BEFORE)), CONTEXT)
    assert isinstance(lost, Finding)
    assert (lost.latest_version, lost.affected_since) == (digest(BEFORE), None)
    failed = judge(row(), None, Heard(training=training("failed", error="no\x1b face"), versions=()), CONTEXT)
    assert isinstance(failed, Finding)
    assert failed.affected_since == "2026-03-10T12:25:00Z"
    assert "no\\x1b face" in (failed.detail or "")


def test_a_user_is_affected_since_the_first_version_that_the_row_does_not_know_of() -> None:
    latest = "2026-03-12T00:00:00Z"
    found = judge(row(training_id=None), None, Heard(versions=versions(latest, AFTER, BEFORE)), CONTEXT)
    assert isinstance(found, Finding)
    assert (found.latest_version, found.affected_since) == (digest(latest), AFTER)
    counts = record(newer=row(training_id=None), replicate_version_id=digest(AFTER))
    base = classify(counts, Found(versions(latest, AFTER, BEFORE)), CONTEXT)
    found = judge(counts, base, Heard(versions=versions(latest, AFTER, BEFORE)), CONTEXT)
    assert isinstance(found, Finding)
    assert (found.reason, found.affected_since) == (Reason.TRAINING_NOT_RECORDED, latest)


@pytest.mark.parametrize(
    ("changes", "newer", "asked", "question"),
    [
        ({}, None, "acme/ann", None),
        ({}, {}, "acme/ann", ("t9", "acme/ann")),
        ({}, {"training_id": None}, "acme/ann", None),
        ({}, {"training_id": None, "replicate_model_id": "acme/other"}, "acme/ann", (None, "acme/other")),
        ({}, {"training_id": None, "replicate_model_id": "ACME/Ann "}, "acme/ann", None),
        ({}, {"training_id": None, "replicate_model_id": "acme/other", "shared_with_count": 1}, "acme/ann", None),
        ({"replicate_model_id": None}, {"training_id": None}, None, (None, "acme/ann")),
        ({"replicate_model_id": "acme/own-trainer"}, None, "acme/own-trainer", None),
    ],
)
def test_no_more_is_asked_than_has_to_be(
    changes: dict[str, Any], newer: dict[str, Any] | None, asked: str | None, question: tuple[str | None, str] | None
) -> None:
    counts = record(**changes, newer=None if newer is None else row(**newer))
    found = open_question(counts, CONTEXT)
    assert asked_model(counts, CONTEXT) == asked
    assert (found and (found.training, found.model)) == question


def test_an_only_row_is_asked_about_by_its_training_and_else_by_its_model() -> None:
    assert asked_model(row(), CONTEXT) is None
    assert open_question(row(), CONTEXT) is not None
    assert asked_model(row(training_id=None), CONTEXT) == "acme/ann"
    assert open_question(row(training_id=None), CONTEXT) is None
    assert asked_model(row(training_id=None, shared_with_count=1), CONTEXT) is None


def test_versions_are_asked_for_where_the_training_does_not_tell() -> None:
    assert needs_versions(Heard(), counting=True)
    assert needs_versions(UNKNOWN, counting=True)
    assert needs_versions(Heard(training=training("failed")), counting=False)
    assert not needs_versions(Heard(training=training("failed")), counting=True)
    assert not needs_versions(Heard(training=training()), counting=False)
    assert not needs_versions(Heard.nothing(Failed(Reason.TIMEOUT, "slow")), counting=False)


@pytest.mark.parametrize(
    "reply",
    [Found(versions(AFTER, BEFORE)), Missing(), NoVersions(), Failed(Reason.TIMEOUT, "slow")],
    ids=["found", "missing", "no versions", "failed"],
)
def test_a_finding_tells_again_what_was_said_of_the_model(reply: Found | Missing | NoVersions | Failed) -> None:
    again = reply_of(classify(record(), reply, CONTEXT))
    assert again is not None
    assert heard_of(again) == heard_of(reply)


def test_what_was_not_asked_is_not_heard() -> None:
    assert heard_of(NotAsked()) is None
    assert reply_of(classify(record(), NotAsked(), CONTEXT)) is None
    assert reply_of(None) is None


def test_the_words_of_states_are_those_of_the_tables() -> None:
    context = RunContext(tables=Tables(in_progress=("baking",), failed=("burnt",)))
    heard = Heard(training=training("failed"), versions=())
    assert judge(row(training_status="burnt"), None, heard, context) is NoLine.REALLY_FAILED
    found = judge(row(training_status=" Baking"), None, heard, context)
    assert isinstance(found, Finding)
    assert found.reason is Reason.FAILURE_NOT_RECORDED


def test_a_row_with_bytes_that_are_no_text_is_named_whatever_replicate_says_of_it() -> None:
    bad = row(trigger_word=r"(no text) T\351K", email=r"(no text) ren\351e@example.com")
    for heard in (None, Heard(training=training()), Heard(versions=versions(BEFORE))):
        verdict = judge(bad, None, heard, CONTEXT)
        assert isinstance(verdict, Finding)
        assert (verdict.reason, verdict.unfinished) == (Reason.UNREADABLE_ROW, True)
        assert (verdict.detail or "").endswith(": email, trigger_word")
