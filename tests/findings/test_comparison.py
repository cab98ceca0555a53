"""What becomes of a user between two runs: every pair, and what follows from it."""

from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.findings.comparison import (
    Change,
    ComparedRun,
    UserSnapshot,
    UserState,
    compare,
    diff_exit_status,
    doubts,
    marked,
    may_be_worse,
    sighting_of,
    standing,
)
from audit.model.codes import FailureReason, Reason, Status
from audit.model.exit_status import DIFF, ExitStatus
from audit.model.findings import AuditedUser
from audit.model.replies import Account
from audit.model.run import Filters
from tests.support.samples import NEW, OLD, finding, record

EXAMPLES = {
    UserState.FINE: Reason.LATEST_VERSION,
    UserState.DUE: Reason.OUTDATED_VERSION,
    UserState.FAULTY: Reason.MODEL_NOT_FOUND,
    UserState.UNANSWERED: Reason.TIMEOUT,
    UserState.UNREACHED: Reason.STOPPED,
}


def seen(reason: Reason, **fields: str) -> UserSnapshot:
    return UserSnapshot(user_id="u1", status=reason.status, reason=reason.value, **fields)


def side(what: UserState) -> UserSnapshot | None:
    return seen(EXAMPLES[what]) if what in EXAMPLES else None


TABLE = """
before      absent        fine       due        faulty     unanswered    unreached
absent      -             appeared   new        new        not_compared  not_compared
fine        left          unchanged  new        new        not_compared  not_compared
due         left          resolved   unchanged  changed    not_compared  not_compared
faulty      left          resolved   new        unchanged  not_compared  not_compared
unanswered  left          resolved   new        changed    not_compared  not_compared
unreached   left          changed    new        new        not_compared  not_compared
"""
_LINES = [line.split() for line in TABLE.strip().splitlines()]
PAIRS = {
    (UserState(line[0]), UserState(now)): change
    for line in _LINES[1:]
    for now, change in zip(_LINES[0][1:], line[1:], strict=True)
    if change != "-"
}


@pytest.mark.parametrize(("pair", "change"), PAIRS.items(), ids=[f"{a} to {b}" for a, b in PAIRS])
def test_every_pair_has_one_change(pair: tuple[UserState, UserState], change: str) -> None:
    assert compare(side(pair[0]), side(pair[1])).change.value == change


def test_the_table_of_this_test_has_every_pair() -> None:
    assert set(PAIRS) == set(product(UserState, UserState)) - {(UserState.ABSENT, UserState.ABSENT)}


CHANCE = {*get_args(FailureReason), Reason.EVIDENCE_DISAGREES}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_standing(reason: Reason) -> None:
    found = standing(reason.status, reason.value)
    assert (found is UserState.UNANSWERED) == (reason in CHANCE)
    assert (found is UserState.FINE) == (reason is Reason.LATEST_VERSION)
    assert (found is UserState.UNREACHED) == (reason is Reason.STOPPED)
    assert (found is UserState.DUE) == (reason.status is Status.NEEDS_SYNC)


def test_an_error_of_a_later_version_of_this_program_is_a_certain_one() -> None:
    assert standing(Status.ERROR, "moon_phase") is UserState.FAULTY


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        pytest.param({}, {}, (), id="nothing"),
        pytest.param({"latest_version": OLD}, {"latest_version": NEW}, ("latest_version",), id="a newer version"),
        pytest.param({"current_version": OLD}, {"current_version": NEW}, ("current_version",), id="another record"),
        pytest.param({"replicate_model_id": "a/b"}, {}, ("replicate_model_id",), id="another model"),
        pytest.param({"detail": "a", "email": "a@b"}, {}, (), id="words alone"),
    ],
)
def test_a_user_of_the_same_standing_is_changed_by_versions_and_model(
    old: dict[str, str], new: dict[str, str], differs: tuple[str, ...]
) -> None:
    reason = Reason.OUTDATED_VERSION
    found = compare(seen(reason, **old), seen(reason, **new))
    assert found.differs == differs
    assert found.change is (Change.CHANGED if differs else Change.UNCHANGED)


def test_another_reason_of_the_same_status_is_a_change() -> None:
    found = compare(seen(Reason.OUTDATED_VERSION), seen(Reason.UNKNOWN_VERSION))
    assert (found.change, found.differs) == (Change.CHANGED, ("reason",))


def test_an_incomplete_run_resolves_nobody() -> None:
    found = compare(seen(Reason.OUTDATED_VERSION), seen(Reason.LATEST_VERSION), complete=False)
    assert found.change is Change.CHANGED


def test_nobody_has_left_a_run_that_has_lost_users() -> None:
    assert compare(seen(Reason.LATEST_VERSION), None, whole=False).change is Change.NOT_COMPARED


SIGHTINGS = st.builds(
    lambda reason, current, latest: UserSnapshot(
        user_id="u", status=reason.status, reason=reason.value, current_version=current, latest_version=latest
    ),
    st.sampled_from(Reason),
    st.sampled_from([None, OLD, NEW]),
    st.sampled_from([None, OLD, NEW]),
)


@given(SIGHTINGS)
def test_a_run_compared_with_itself_has_no_change(user: UserSnapshot) -> None:
    assert compare(user, user).change in {Change.UNCHANGED, Change.NOT_COMPARED}


@given(SIGHTINGS, SIGHTINGS)
def test_a_resolved_user_is_new_the_other_way_round(one: UserSnapshot, other: UserSnapshot) -> None:
    back = compare(other, one).change
    if compare(one, other).change is Change.RESOLVED:
        assert back in {Change.NEW, Change.NOT_COMPARED}


@pytest.mark.parametrize(
    ("worse", "maybe", "status"),
    [(0, 0, DIFF[0]), (1, 0, DIFF[3]), (0, 1, DIFF[4]), (1, 1, DIFF[3])],
)
def test_what_is_certain_counts_before_what_is_not_known(worse: int, maybe: int, status: ExitStatus) -> None:
    assert diff_exit_status(worse, maybe) == status


@pytest.mark.parametrize("old", [None, *Status])
def test_who_was_due_already_cannot_have_got_worse_unseen(old: Status | None) -> None:
    assert may_be_worse(Change.NOT_COMPARED, old) == (old is not Status.NEEDS_SYNC)
    assert not may_be_worse(Change.LEFT, old)


MARKS = """
before      absent  fine      due    faulty  unanswered  unreached
absent      -       -         new    new     new         -
fine        -       -         new    new     new         -
due         -       resolved  known  known   known       -
faulty      -       resolved  new    known   known       -
unanswered  -       resolved  new    known   known       -
unreached   -       -         new    new     new         -
"""
_MARK_LINES = [line.split() for line in MARKS.strip().splitlines()]


@pytest.mark.parametrize("line", _MARK_LINES[1:], ids=[line[0] for line in _MARK_LINES[1:]])
def test_every_pair_has_its_mark(line: list[str]) -> None:
    before, *marks = line
    found = [marked(UserState(before), now, complete=True) or "-" for now in UserState]
    assert found == marks


def test_an_incomplete_run_marks_nobody_as_resolved() -> None:
    assert marked(UserState.DUE, UserState.FINE, complete=False) is None


def test_a_user_of_a_run_file_is_what_the_json_report_says() -> None:
    user = AuditedUser(record(), finding(Reason.OUTDATED_VERSION, latest_version=NEW))
    found = sighting_of(user)
    assert (found.status, found.reason) == (Status.NEEDS_SYNC, "outdated_version")
    assert (found.current_version, found.latest_version, found.email) == (NEW, NEW, "ann@example.com")


RUN = ComparedRun(
    path="a.json",
    id="a" * 32,
    started_at="2026-03-01T12:00:00Z",
    state="complete",
    database="db/shop",
    base_url="https://api.replicate.com/v1",
    account=Account(type="user", username="acme"),
    order_by="updated_at",
    users=5,
    expected=5,
)


def run(**changes: object) -> ComparedRun:
    fields = {name: getattr(RUN, name) for name in RUN.__struct_fields__} | {"id": "b" * 32}
    return ComparedRun(**(fields | changes))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({}, {"state": "stopped"}, "NEW is incomplete (stopped), so it resolves nobody"),
        ({"state": "interrupted"}, {}, "OLD is incomplete"),
        ({}, {"users": 4}, "NEW has only 4 of its 5 users"),
        ({"users": 4}, {}, "OLD has only 4 of its 5 users"),
        ({"started_at": "2026-03-01T12:00:01Z"}, {}, "OLD is newer than NEW"),
        ({"id": "c"}, {"id": "c"}, "Both are the same run"),
        ({}, {"database": "db/test"}, "databases differ: db/shop and db/test"),
        ({}, {"base_url": "https://eu.example/v1"}, "two addresses"),
        ({}, {"account": Account(type="user", username="evil")}, "two accounts: acme and evil"),
        ({}, {"order_by": "created_at"}, "by updated_at in OLD and by created_at in NEW"),
        ({}, {"filters": Filters(limit=3)}, "narrowed differently"),
        ({"redacted": True}, {"filters": Filters(users=("a",))}, "narrowed differently"),
        ({}, {"filters": Filters(include_tests=True)}, "narrowed differently"),
    ],
)
def test_what_makes_two_runs_hard_to_compare_is_said(
    old: dict[str, object], new: dict[str, object], words: str
) -> None:
    (doubt,) = doubts(run(id="a", **old) if "id" not in old else run(**old), run(**new))
    assert words in doubt


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {}),
        ({"started_at": "2026-03-01T11:59:59.5Z"}, {}),
        ({"account": None}, {}),
        ({"expected": None, "users": 1}, {}),
        ({"redacted": True, "filters": Filters(users=("a***@***",))}, {"filters": Filters(users=("ann@example.com",))}),
    ],
    ids=["alike", "a moment earlier", "account not known", "narrowed", "one masked"],
)
def test_two_runs_of_the_same_place_raise_no_doubt(old: dict[str, object], new: dict[str, object]) -> None:
    assert doubts(run(id="a", **old), run(**new)) == ()
