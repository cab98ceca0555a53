"""What a finding means for the person whose photos are made."""

import pytest

from audit.hints.effects import EFFECT_OF, WHY_NOT_CHECKED, Effect, clause
from audit.model.codes import Reason, Status


def test_every_reason_to_sync_has_an_effect_and_every_failed_check_a_cause() -> None:
    assert set(EFFECT_OF) == {reason for reason in Reason if reason.status is Status.NEEDS_SYNC}
    assert set(WHY_NOT_CHECKED) == {reason for reason in Reason if reason.status is Status.ERROR}


@pytest.mark.parametrize("effect", Effect)
def test_each_effect_is_told_of_one_and_of_several_users_and_models(effect: Effect) -> None:
    assert clause(effect, 1, "user")
    assert clause(effect, 2, "user") == clause(effect, 800, "user")
    assert clause(effect, 2, "model") == clause(effect, 2, "row")
    assert "user" not in clause(effect, 2, "row")
