"""What trainings say of a finding, case by case."""

from typing import Any

import pytest

from audit.findings.classify import RunContext, classify
from audit.findings.trainings import OddTrainings, disagreeing, in_sample, settled, with_lineage
from audit.model.codes import Note, Reason
from audit.model.findings import Finding
from audit.model.replies import Account, Failed, Found, Reply, Training, TrainingsRead
from audit.model.tables import Column
from audit.model.times import epoch_seconds
from tests.support.samples import NEW, OLD, digest, found, record

MINE = RunContext(Account(type="user", username="acme"))
READ = TrainingsRead(mode="versions", began_at="2026-04-01T00:00:00Z", complete=True)
URL = "https://replicate.delivery/xezq/{}/flux-lora.tar"


def training(version: str | None = NEW, **changes: Any) -> Training:
    """A training that put `version` into the model of `record()`."""
    plain: dict[str, Any] = {
        "id": f"t-{(version or '')[:6]}",
        "status": "succeeded",
        "model": "acme/ann",
        "version": version,
        "weights": URL.format((version or "")[:40]),
        "trigger_word": "TOK",
        "created_at": "2026-03-27T00:00:00Z",
        "completed_at": "2026-03-27T00:20:00Z",
    }
    return Training(**(plain | changes))


def look(
    *about: Training, reply: Reply | None = None, read: TrainingsRead = READ, seen: RunContext = MINE, **row: Any
) -> Finding:
    """The finding on `record(**row)` with the trainings `about` it."""
    mine = record(**row)
    return with_lineage(mine, classify(mine, reply or found(NEW, OLD), seen), about, read, seen)


def test_the_trainings_of_both_versions_are_named() -> None:
    finding = look(training(OLD), training(NEW), replicate_version_id=OLD)
    assert finding.lineage
    assert (finding.lineage.current, finding.lineage.latest) == (training(OLD), training(NEW))


def test_where_the_latest_version_is_recorded_its_training_is_named_once() -> None:
    finding = look(training(OLD), training(NEW))
    assert finding.lineage
    assert (finding.lineage.current, finding.lineage.latest) == (None, training(NEW))
    assert finding.notes == ()


def test_the_training_that_a_later_row_names_tells_what_became_of_it() -> None:
    failed = training(None, id="t-later", status="failed", model=None, error="out of memory", completed_at=None)
    finding = look(failed, training(NEW), later_training_id="t-later")
    assert finding.lineage
    assert finding.lineage.later == failed


OTHER = digest("another")
NOTES = {
    "a training made the latest version": (
        (training(OLD), training(NEW)), {"replicate_version_id": OLD}, Note.UNRECORDED_TRAINING,
    ),
    "the weights of another version": (
        (training(NEW), training(OLD)),
        {"lora_weights_url": training(OLD).weights},
        Note.WEIGHTS_URL_OF_ANOTHER_VERSION,
    ),
    "the weights of another model's version": (
        (training(NEW), training(OTHER, model="acme/bob")),
        {"lora_weights_url": training(OTHER).weights},
        Note.WEIGHTS_URL_OF_ANOTHER_VERSION,
    ),
    "another trigger word": (
        (training(NEW, trigger_word="ANN"),), {}, Note.TRIGGER_WORD_DIFFERS,
    ),
    "another trigger word of an outdated version": (
        (training(OLD, trigger_word="ANN"),),
        {"replicate_version_id": OLD},
        Note.TRIGGER_WORD_DIFFERS,
    ),
    "nobody trained the latest version": ((training(OLD),), {}, Note.VERSION_MADE_BY_HAND),
}  # fmt: skip


@pytest.mark.parametrize(("about", "row", "note"), NOTES.values(), ids=NOTES)
def test_a_note_is_made_of(about: tuple[Training, ...], row: dict[str, Any], note: Note) -> None:
    assert note in look(*about, **row).notes


SILENT: dict[str, tuple[tuple[Training, ...], dict[str, Any], Note]] = {
    "the recorded version's training ended after the latest one's, which was recorded once": (
        (training(NEW), training(OLD, completed_at="2026-03-28T00:00:00Z")),
        {"replicate_version_id": OLD},
        Note.UNRECORDED_TRAINING,
    ),
    "a shared model, where the training may be the other user's": (
        (training(OLD), training(NEW)),
        {"replicate_version_id": OLD, "shared_with": ("u2",), "shared_with_count": 1},
        Note.UNRECORDED_TRAINING,
    ),
    "a failed model question": (
        (training(OLD), training(NEW)),
        {"replicate_version_id": OLD, "reply": Failed(Reason.TIMEOUT, "slow")},
        Note.UNRECORDED_TRAINING,
    ),
    "a URL that no training put out, such as a copy": (
        (training(NEW),),
        {"lora_weights_url": "https://cdn.example.com/a.tar"},
        Note.WEIGHTS_URL_OF_ANOTHER_VERSION,
    ),
    "blanks around a trigger word": ((training(NEW, trigger_word=" TOK "),), {}, Note.TRIGGER_WORD_DIFFERS),
    "no recorded trigger word, which has a note of its own": (
        (training(NEW),),
        {"trigger_word": None},
        Note.TRIGGER_WORD_DIFFERS,
    ),
    "a version that is younger than the list": (
        (training(OLD),),
        {"read": TrainingsRead(mode="versions", began_at="2026-03-28T00:05:00Z", complete=True)},
        Note.VERSION_MADE_BY_HAND,
    ),
    "a version from before the part of the list that was wanted": (
        (),
        {"read": TrainingsRead(mode="versions", since="2026-03-27T12:00:00Z", began_at=READ.began_at, complete=True)},
        Note.VERSION_MADE_BY_HAND,
    ),
    "a list that ended before the version": (
        (),
        {"read": TrainingsRead(mode="versions", began_at=READ.began_at, back_to="2026-03-28T12:00:00Z", problem="x")},
        Note.VERSION_MADE_BY_HAND,
    ),
    "a list with entries that could not be read": (
        (),
        {"read": TrainingsRead(mode="versions", began_at=READ.began_at, complete=True, unreadable=1)},
        Note.VERSION_MADE_BY_HAND,
    ),
    "another account's model, whose trainings are not in the list": (
        (),
        {"seen": RunContext(Account(type="user", username="bob"))},
        Note.VERSION_MADE_BY_HAND,
    ),
    "nobody knows whose token it is": ((), {"seen": RunContext()}, Note.VERSION_MADE_BY_HAND),
    "a column that is not there": (
        (training(NEW, trigger_word="ANN"),),
        {"seen": RunContext(MINE.account, frozenset({Column.TRIGGER_WORD}))},
        Note.TRIGGER_WORD_DIFFERS,
    ),
}


@pytest.mark.parametrize(("about", "row", "note"), SILENT.values(), ids=SILENT)
def test_nothing_is_said_of(about: tuple[Training, ...], row: dict[str, Any], note: Note) -> None:
    assert note not in look(*about, **row).notes


def test_a_part_of_the_list_is_enough_for_versions_well_within_it() -> None:
    part = TrainingsRead(mode="versions", began_at=READ.began_at, back_to="2026-03-20T00:00:00Z", problem="it broke")
    assert Note.VERSION_MADE_BY_HAND in look(read=part).notes


def test_a_user_whose_last_training_is_recorded_is_settled() -> None:
    finding = settled(record(), training(), READ, MINE)
    assert finding == Finding(reason=Reason.LATEST_VERSION, latest_version=NEW, versions_behind=0, evidence="training")


def test_a_version_with_its_model_in_front_and_in_capitals_is_the_same() -> None:
    assert settled(record(replicate_version_id=f"acme/ann:{NEW.upper()}"), training(), READ, MINE)


ASKED: dict[str, tuple[Training | None, dict[str, Any], TrainingsRead, RunContext]] = {
    "nobody trained": (None, {}, READ, MINE),
    "another version is recorded": (training(), {"replicate_version_id": OLD}, READ, MINE),
    "nothing is recorded": (training(), {"replicate_version_id": None}, READ, MINE),
    "no hash is recorded": (training(), {"replicate_version_id": NEW[:8]}, READ, MINE),
    "there is no model id": (training(), {"replicate_model_id": None}, READ, MINE),
    "the training began before the window": (
        training(), {}, TrainingsRead(mode="trainings", since="2026-03-27T00:00:01Z"), MINE,
    ),
    "the training has no date": (training(created_at=None), {}, READ, MINE),
    "the model is shared": (training(), {"shared_with": ("u2",), "shared_with_count": 1}, READ, MINE),
    "a retraining is in progress": (training(), {"retraining_in_progress": True}, READ, MINE),
    "a later training failed": (training(), {"later_training_failed": True}, READ, MINE),
    "a row has no date": (training(), {"undated_rows": 1}, READ, MINE),
    "another model is named in the version": (training(), {"replicate_version_id": f"acme/bob:{NEW}"}, READ, MINE),
    "the model is another account's": (
        training(), {}, READ, RunContext(Account(type="user", username="bob")),
    ),
    "nobody knows whose token it is": (training(), {}, READ, RunContext()),
    "entries of the list could not be read": (
        training(), {}, TrainingsRead(mode="trainings", complete=True, unreadable=1), MINE,
    ),
    "the row has bytes that are no text": (training(), {"trigger_word": r"(no text) T\351K"}, READ, MINE),
    "the output is another model's": (training(model="bob/ann"), {}, READ, MINE),
}  # fmt: skip


@pytest.mark.parametrize(("newest", "row", "read", "seen"), ASKED.values(), ids=ASKED)
def test_versions_are_asked_for_where(
    newest: Training | None, row: dict[str, Any], read: TrainingsRead, seen: RunContext
) -> None:
    assert settled(record(**row), newest, read, seen) is None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (found(NEW, OLD), Reason.LATEST_VERSION),
        (found(OLD, NEW), Reason.EVIDENCE_DISAGREES),
        (Found(found(OLD).versions), Reason.EVIDENCE_DISAGREES),
        (Failed(Reason.TIMEOUT, "slow"), Reason.TIMEOUT),
    ],
    ids=["same", "newer version", "deleted version", "no answer"],
)
def test_a_check_of_a_settled_user_ends_in(reply: Reply, reason: Reason) -> None:
    by_training = settled(record(), training(), READ, MINE)
    assert by_training
    assert disagreeing(classify(record(), reply, MINE), by_training).reason is reason


def test_a_sample_is_as_large_as_wanted_and_another_one_in_each_run() -> None:
    models = [f"acme/user-{i}" for i in range(20_000)]
    one, two = ({model for model in models if in_sample(run, model, 5)} for run in ("a" * 32, "b" * 32))
    assert 850 <= len(one) <= 1150
    assert len(one & two) <= 100
    assert not any(in_sample("a" * 32, model, 0) for model in models)
    assert all(in_sample("a" * 32, model, 100) for model in models)


def odd_one(ended: str, **changes: Any) -> Training:
    return Training(id="odd", status="succeeded", created_at=ended, completed_at=ended, **changes)


def test_a_training_whose_output_says_nothing_may_concern_any_model_that_it_may_have_overtaken() -> None:
    newest = Training(id="t", status="succeeded", model="a/b", version=NEW, completed_at="2026-02-01T00:00:00Z")
    later, earlier = (epoch_seconds(f"2026-0{month}-01T00:00:00Z") for month in (3, 1))
    assert not OddTrainings().may_concern("a/b", newest)
    assert OddTrainings(anywhere=later).may_concern("a/b", newest)
    assert not OddTrainings(anywhere=earlier).may_concern("a/b", newest)
    assert OddTrainings(by_model={"a/b": later}).may_concern("A/b", newest)
    assert not OddTrainings(by_model={"a/c": later}).may_concern("a/b", newest)
    assert OddTrainings(anywhere=earlier).may_concern("a/b")


@pytest.mark.parametrize("odd", [OddTrainings(anywhere=4e9), OddTrainings(by_model={"acme/ann": 4e9})])
def test_nobody_is_settled_by_a_training_where_a_later_one_cannot_be_read(odd: OddTrainings) -> None:
    newest = Training(id="t1", status="succeeded", model="acme/ann", version=NEW, created_at="2026-02-01T00:00:00Z")
    read = TrainingsRead(mode="trainings", complete=True)
    context = RunContext(Account("user", "acme"))
    assert settled(record(), newest, read, context)
    assert settled(record(), newest, read, context, odd) is None
