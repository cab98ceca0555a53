"""Which runs may stand side by side in a trend."""

from typing import Any

import pytest
from msgspec.structs import replace

from audit.findings.trend import is_comparable, is_same_place, is_whole
from audit.model.replies import TrainingsRead
from audit.model.run import Filters, RunInfo, ShardRun
from audit.model.shard import Shard
from audit.model.tables import PLAIN
from tests.support.samples import place, run_info

INFO = run_info(id="a" * 32, state="complete", place=place(), stuck_after=21_600.0)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"id": "b" * 32, "started_at": "2026-04-01T00:00:00Z"}, id="another run"),
        pytest.param({"state": "stopped"}, id="how far it came"),
        pytest.param({"redacted": True}, id="redacted"),
        pytest.param({"tool_version": "9"}, id="another version of the tool"),
    ],
)
def test_runs_that_look_for_the_same_in_the_same_place_are_comparable(changes: dict[str, Any]) -> None:
    assert is_comparable(replace(INFO, **changes), INFO)


OTHER_PLACES = [
    pytest.param({"place": place(host="staging.example.com")}, id="another host"),
    pytest.param({"place": place(port="6432")}, id="another port"),
    pytest.param({"place": place(database="staging")}, id="another database"),
    pytest.param({"place": place(system="8")}, id="another server at this address"),
    pytest.param({"place": place(users="tenant.users")}, id="users in another schema"),
    pytest.param({"place": place(user_models="tenant.user_models")}, id="models in another schema"),
    pytest.param({"place": None}, id="a place that is not known"),
    pytest.param({"base_url": "http://127.0.0.1:8000/v1"}, id="another Replicate"),
    pytest.param({"made_up": True}, id="a demo"),
]


@pytest.mark.parametrize("changes", OTHER_PLACES)
def test_another_place_is_not_comparable(changes: dict[str, Any]) -> None:
    other = replace(INFO, **changes)

    assert not is_same_place(INFO, other)
    assert not is_comparable(INFO, other)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"tables": replace(PLAIN, latest_per="row")}, id="latest_per"),
        pytest.param({"order_by": "created_at"}, id="order_by"),
        pytest.param({"filters": Filters(include_tests=True)}, id="include_tests"),
        pytest.param({"check_weights": True}, id="check_weights"),
        pytest.param({"trainings": TrainingsRead(mode="trainings")}, id="mode"),
        pytest.param({"trainings": TrainingsRead(mode="versions", began_at="2026-03-01T00:00:00Z")}, id="trainings"),
        pytest.param({"stuck_after": 0.0}, id="stuck_after"),
        pytest.param({"stuck_after": None}, id="an older version"),
    ],
)
def test_other_choices_in_the_same_place_are_not_comparable(changes: dict[str, Any]) -> None:
    other = replace(INFO, **changes)

    assert is_same_place(INFO, other)
    assert not is_comparable(INFO, other)


@pytest.mark.parametrize(
    ("info", "whole"),
    [
        (INFO, True),
        (replace(INFO, filters=Filters(include_tests=True)), True),
        (replace(INFO, shards=(ShardRun(number=1, state="complete"), ShardRun(number=2, state="complete"))), True),
        (replace(INFO, shards=(ShardRun(number=1, state="complete"), ShardRun(number=2, state="missing"))), False),
        (replace(INFO, shard=Shard(1, 2)), False),
        (replace(INFO, filters=Filters(limit=1)), False),
        (replace(INFO, filters=Filters(users=("ann",))), False),
        *((replace(INFO, state=state), False) for state in ("running", "stopped", "interrupted")),
    ],
)
def test_a_whole_run_is_about_everybody_and_came_to_its_end(info: RunInfo, whole: bool) -> None:  # noqa: FBT001
    assert is_whole(info) is whole
