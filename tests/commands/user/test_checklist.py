"""The checklist for "up to date, but the pictures are poor": a verdict on each item."""

from typing import Any

import pytest
from msgspec.structs import replace

from audit.commands.user.case import UserCase
from audit.commands.user.checklist import Item, checklist
from audit.findings.classify import RunContext, classify
from audit.findings.rows import RowRules, classify_rows
from audit.model.codes import Note, Reason
from audit.model.findings import AuditedUser
from audit.model.replies import Failed, Found, Lineage, Missing, NotAsked, Reply, Training, Version
from audit.model.users import Person
from tests.support.samples import NEW, OLD, digest, record, training_row

WEIGHTS = record().lora_weights_url
TRAINING = Training(id="t1", status="succeeded", version=NEW, weights=WEIGHTS, trigger_word="TOK")
REPLY = Found((Version(NEW, "2026-03-01T00:00:00Z"), Version(OLD, "2026-01-02T00:00:00Z")))


def item(code: str, reply: Reply = REPLY, missing: str = "", **changes: Any) -> Item:
    """One item for a user whom `changes` tell from one without any trouble."""
    training = changes.pop("training", TRAINING)
    others = changes.pop("others", ())
    mine = record(**changes)
    absent: Any = frozenset(filter(None, (missing,)))
    user = AuditedUser(mine, classify(mine, reply, RunContext(missing_columns=absent)))
    case = UserCase(
        source="",
        person=Person(user_id="u1"),
        rows=classify_rows((*others, training_row()), "1", RowRules(order_by="updated_at")),
        user=user,
        trainings={} if training is None else {"t1": training},
        missing_columns=absent,
    )
    return coded(code, case)


def coded(code: str, case: UserCase) -> Item:
    return next(each for each in checklist(case) if each.code == code)


@pytest.mark.parametrize(
    ("lineage", "good", "words"),
    [
        pytest.param(Lineage(latest=TRAINING), True, "the output of the stored version's training", id="its own"),
        pytest.param(
            Lineage(latest=replace(TRAINING, weights="https://x/y")), False, "another one: https://x/y", id="other"
        ),
        pytest.param(Lineage(), False, "another version's training", id="only the owner of the URL is known"),
    ],
)
def test_without_the_training_of_the_row_that_of_the_recorded_version_says_it(
    lineage: Lineage,
    good: bool,  # noqa: FBT001 - a table's column
    words: str,
) -> None:
    mine = record(training_id=None)
    finding = classify(mine, REPLY, RunContext())
    notes = () if lineage.latest else (Note.WEIGHTS_URL_OF_ANOTHER_VERSION,)
    user = AuditedUser(mine, replace(finding, lineage=lineage, notes=notes))
    case = UserCase(source="", person=Person(user_id="u1"), rows=None, user=user, trainings_listed=True)
    found = coded("weights_url", case)
    assert found.good is good
    assert words in found.verdict


def test_of_a_list_it_is_said_that_it_lacks_the_training() -> None:
    mine = record()
    user = AuditedUser(mine, classify(mine, REPLY, RunContext()))
    case = UserCase(source="", person=Person(user_id="u1"), rows=None, user=user, trainings_listed=True)
    found = coded("weights_url", case)
    assert (found.good, "not in the list that was read" in found.verdict) == (None, True)


@pytest.mark.parametrize(
    ("code", "changes", "good", "words"),
    [
        pytest.param("hash", {}, True, "the latest one", id="latest"),
        pytest.param("hash", {"replicate_version_id": OLD}, False, "1 version behind", id="behind"),
        pytest.param("hash", {"replicate_version_id": digest("x")}, False, "not among", id="unknown hash"),
        pytest.param(
            "hash", {"replicate_version_id": None, "reply": NotAsked()}, False, "None is stored", id="no hash"
        ),
        pytest.param("hash", {"reply": Failed(Reason.TIMEOUT, "slow")}, None, "not known", id="Replicate is silent"),
        pytest.param("trigger_word", {}, True, "the training's word", id="trigger word of the training"),
        pytest.param("trigger_word", {"training": None}, True, "One is stored", id="trigger word"),
        pytest.param("trigger_word", {"trigger_word": "ANN"}, False, "used TOK", id="another trigger word"),
        pytest.param("trigger_word", {"trigger_word": " "}, False, "the training used TOK", id="no trigger word"),
        pytest.param("trigger_word", {"missing": "trigger_word"}, None, "no such column", id="no such column"),
        pytest.param("lora_scale", {}, True, "between 0.5 and 1.5", id="scale"),
        pytest.param("lora_scale", {"lora_scale": "2.5"}, False, "Usual is", id="scale too large"),
        pytest.param("lora_scale", {"lora_scale": "much"}, False, "Usual is", id="scale is no number"),
        pytest.param("lora_scale", {"lora_scale": None}, None, "default applies", id="no scale"),
        pytest.param(
            "weights_url", {}, True, "the output of the stored version's training", id="weights of the version"
        ),
        pytest.param(
            "weights_url", {"replicate_version_id": OLD}, False, "which is not the stored one", id="other version's"
        ),
        pytest.param(
            "weights_url",
            {"lora_weights_url": "https://replicate.delivery/else.tar"},
            False,
            "output is another one",
            id="other weights",
        ),
        pytest.param(
            "weights_url",
            {"lora_weights_url": f"https://replicate.delivery/pbxt/{NEW}/flux.tar"},
            False,
            "somebody built it",
            id="made-up weights",
        ),
        pytest.param("weights_url", {"lora_weights_url": None}, False, "None is stored", id="no weights"),
        pytest.param("weights_url", {"training": Missing()}, None, "does not show", id="training is unknown"),
        pytest.param("weights_url", {"training": None}, None, "was not read", id="training was not asked for"),
        pytest.param("weights_url", {"training_id": None}, None, "No training id", id="no training id"),
        pytest.param(
            "weights_url",
            {"training": Training(id="t1", status="processing")},
            None,
            "is processing and has no weights in its output",
            id="training is not done",
        ),
        pytest.param("later_training", {}, True, "No.", id="no later training"),
        pytest.param(
            "later_training",
            {"others": (training_row(model_row_id="5", training_status="failed", created_at="2026-05-01T00:00:00Z"),)},
            False,
            "begun 2026-05-01 00:00",
            id="later training failed",
        ),
        pytest.param(
            "later_training", {"replicate_version_id": OLD}, False, "newer version", id="only Replicate knows of it"
        ),
        pytest.param("later_training", {"reply": NotAsked()}, None, "can't tell", id="nobody knows"),
        pytest.param("photos", {}, None, "more varied photos", id="photos"),
    ],
)
def test_each_item_has_this_users_verdict(code: str, changes: dict[str, Any], good: object, words: str) -> None:
    found = item(code, **changes)
    assert found.good is good
    assert words in found.verdict


def test_a_hostile_trigger_word_is_spelled_out_in_the_verdict() -> None:
    hostile = Training(id="t1", status="succeeded", trigger_word="\x1b[2J")
    assert "\\x1b[2J" in item("trigger_word", training=hostile).verdict


@pytest.mark.parametrize(
    ("reason", "detail", "words"),
    [
        (Reason.WRONG_WEIGHTS, "training t0 put them out", "No: training t0 put them out."),
        (Reason.WEIGHTS_GONE, "HTTP 404 for its first byte", "They are gone: HTTP 404 for its first byte."),
    ],
)
def test_where_the_weights_are_wrong_the_version_is_right(reason: Reason, detail: str, words: str) -> None:
    mine = record()
    user = AuditedUser(mine, replace(classify(mine, REPLY, RunContext()), reason=reason, detail=detail))
    case = UserCase(source="", person=Person(user_id="u1"), rows=None, user=user, trainings={"t1": TRAINING})
    assert coded("hash", case).good is True
    weights = coded("weights_url", case)
    assert (weights.good, weights.verdict) == (False, words)
    assert coded("later_training", case).good is True


def test_of_a_trainer_no_version_is_the_latest() -> None:
    assert item("hash", NotAsked(), replicate_model_id="ostris/flux-dev-lora-trainer").good is None


@pytest.mark.parametrize(
    ("url", "good"),
    [
        (f"acme/ann/{NEW}", True),
        (f"acme/ann/{OLD}", False),
        ("https://replicate.delivery/xezq/other/flux-lora.tar", False),
        ("https://pictures.example/ann.safetensors", None),
    ],
)
def test_weights_in_a_place_of_the_products_own_are_not_judged(url: str, good: bool | None) -> None:  # noqa: FBT001 - a table's column
    assert item("weights_url", lora_weights_url=url).good is good
