"""Which trainings are behind a user's versions, and the labels that they get."""

import pytest
from msgspec.structs import replace

from audit.findings.classify import RunContext, classify
from audit.hints.trainings import (
    BASIS,
    GOING_ON,
    LATER,
    MADE_BOTH,
    MADE_CURRENT,
    MADE_LATEST,
    WENT,
    labelled,
    shown_trainings,
)
from audit.model.findings import AuditedUser
from audit.model.replies import Lineage, Training
from tests.support.samples import NEW, OLD, found, record

FIRST = Training(id="t1", status="succeeded", version=OLD)
SECOND = Training(id="t2", status="succeeded", version=NEW)


def user(lineage: Lineage | None, recorded: str | None = OLD) -> AuditedUser:
    mine = record(replicate_version_id=recorded)
    return AuditedUser(mine, replace(classify(mine, found(NEW, OLD), RunContext()), lineage=lineage))


@pytest.mark.parametrize(
    ("lineage", "recorded", "labels"),
    [
        pytest.param(None, OLD, [], id="trainings were not read"),
        pytest.param(Lineage(), OLD, [], id="none is known"),
        pytest.param(Lineage(latest=SECOND), NEW, [(MADE_BOTH, "t2")], id="the same"),
        pytest.param(Lineage(latest=SECOND), f"acme/ann:{NEW.upper()}", [(MADE_BOTH, "t2")], id="the same, qualified"),
        pytest.param(Lineage(latest=SECOND), OLD, [(MADE_LATEST, "t2")], id="the recorded one's is not known"),
        pytest.param(Lineage(latest=SECOND), None, [(MADE_LATEST, "t2")], id="nothing recorded"),
        pytest.param(
            Lineage(current=FIRST, latest=SECOND), OLD, [(MADE_CURRENT, "t1"), (MADE_LATEST, "t2")], id="both"
        ),
        pytest.param(Lineage(latest=SECOND, later=SECOND), OLD, [(MADE_LATEST, "t2")], id="later and latest are one"),
        pytest.param(
            Lineage(later=Training(id="t3", status="failed")), OLD, [(WENT["failed"], "t3")], id="a later one failed"
        ),
        pytest.param(Lineage(later=Training(id="t3", status="starting")), OLD, [(GOING_ON, "t3")], id="one goes on"),
        pytest.param(Lineage(later=Training(id="t3", status="?")), OLD, [(GOING_ON, "t3")], id="an unknown status"),
        pytest.param(Lineage(later=replace(SECOND, id="t3")), OLD, [(LATER, "t3")], id="a later one succeeded"),
    ],
)
def test_each_training_is_labelled_once_with_what_it_did(
    lineage: Lineage | None, recorded: str | None, labels: list[tuple[str, str]]
) -> None:
    assert [(label, training.id) for label, training in labelled(shown_trainings(user(lineage, recorded)))] == labels


def test_the_training_of_the_recorded_version_is_known_also_where_it_made_the_latest() -> None:
    current, latest, _ = shown_trainings(user(Lineage(latest=SECOND), NEW))
    assert current is latest
    assert shown_trainings(user(Lineage(latest=SECOND), OLD)).current is None


def test_what_a_training_cannot_show_is_said_with_what_the_verdict_rests_on() -> None:
    assert "pushed or deleted by hand" in BASIS["training"]
