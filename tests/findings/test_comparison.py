"""What becomes of a user between two runs: every pair, and what follows from it."""

from itertools import product
from typing import cast, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from audit.findings.comparison import (
    Change,
    ComparedRun,
    Looked,
    Sighted,
    UserSnapshot,
    UserState,
    baseline_state,
    caveats,
    compare,
    diff_exit_status,
    may_be_worse,
    snapshot_of,
    user_state,
)
from audit.model.codes import FailureReason, Reason, Status
from audit.model.exit_status import DIFF, ExitStatus
from audit.model.findings import AuditedUser, BaselineState
from audit.model.replies import Account
from audit.model.run import Filters
from tests.support.samples import NEW, OLD, finding, place, record

EXAMPLES = {
    UserState.UP_TO_DATE: Reason.LATEST_VERSION,
    UserState.NEEDS_SYNC: Reason.OUTDATED_VERSION,
    UserState.CERTAIN_ERROR: Reason.MODEL_NOT_FOUND,
    UserState.UNCERTAIN_ERROR: Reason.TIMEOUT,
    UserState.NOT_CHECKED: Reason.STOPPED,
}


def snapshot(reason: Reason, **fields: str) -> UserSnapshot:
    return UserSnapshot(user_id="u1", status=reason.status, reason=reason.value, **fields)


def side(what: UserState) -> UserSnapshot | None:
    return snapshot(EXAMPLES[what]) if what in EXAMPLES else None


TABLE = """
before           absent  up_to_date  needs_sync  certain_error  uncertain_error  not_checked
absent           -       appeared    new         new            not_compared     not_compared
up_to_date       left    unchanged   new         new            not_compared     not_compared
needs_sync       left    resolved    unchanged   changed        not_compared     not_compared
certain_error    left    resolved    new         unchanged      not_compared     not_compared
uncertain_error  left    resolved    new         changed        not_compared     not_compared
not_checked      left    changed     new         new            not_compared     not_compared
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


UNCERTAIN_REASONS = {*get_args(FailureReason), Reason.EVIDENCE_DISAGREES}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_user_state(reason: Reason) -> None:
    found = user_state(reason.status, reason.value)
    assert (found is UserState.UNCERTAIN_ERROR) == (reason in UNCERTAIN_REASONS)
    assert (found is UserState.UP_TO_DATE) == (reason is Reason.LATEST_VERSION)
    assert (found is UserState.NOT_CHECKED) == (reason is Reason.STOPPED)
    assert (found is UserState.NEEDS_SYNC) == (reason.status is Status.NEEDS_SYNC)


def test_an_error_of_a_later_version_of_this_program_is_a_certain_one() -> None:
    assert user_state(Status.ERROR, "moon_phase") is UserState.CERTAIN_ERROR


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        pytest.param({}, {}, (), id="nothing"),
        pytest.param({"latest_version": OLD}, {"latest_version": NEW}, ("latest_version",), id="a newer version"),
        pytest.param({"current_version": OLD}, {"current_version": NEW}, ("current_version",), id="another record"),
        pytest.param({"replicate_model_id": "a/b"}, {}, ("replicate_model_id",), id="another model"),
        pytest.param(
            {"replicate_model_id": "Acme/M1 "},
            {"replicate_model_id": "acme/m1"},
            (),
            id="the same model in another case",
        ),
        pytest.param(
            {"replicate_model_id": "acme/\u0130"},
            {"replicate_model_id": "acme/i"},
            ("replicate_model_id",),
            id="no ASCII",
        ),
        pytest.param({"detail": "a", "email": "a@b"}, {}, (), id="words alone"),
    ],
)
def test_a_user_of_the_same_state_is_changed_by_versions_and_model(
    old: dict[str, str], new: dict[str, str], differs: tuple[str, ...]
) -> None:
    reason = Reason.OUTDATED_VERSION
    found = compare(snapshot(reason, **old), snapshot(reason, **new))
    assert found.differs == differs
    assert found.change is (Change.CHANGED if differs else Change.UNCHANGED)


def test_another_reason_of_the_same_status_is_a_change() -> None:
    found = compare(snapshot(Reason.OUTDATED_VERSION), snapshot(Reason.UNKNOWN_VERSION))
    assert (found.change, found.differs) == (Change.CHANGED, ("reason",))


def test_an_incomplete_run_resolves_nobody() -> None:
    found = compare(snapshot(Reason.OUTDATED_VERSION), snapshot(Reason.LATEST_VERSION), complete=False)
    assert found.change is Change.CHANGED


def test_nobody_has_left_a_run_that_has_lost_users() -> None:
    assert compare(snapshot(Reason.LATEST_VERSION), None, whole=False).change is Change.NOT_COMPARED


SNAPSHOTS = st.builds(
    lambda reason, current, latest: UserSnapshot(
        user_id="u", status=reason.status, reason=reason.value, current_version=current, latest_version=latest
    ),
    st.sampled_from(Reason),
    st.sampled_from([None, OLD, NEW]),
    st.sampled_from([None, OLD, NEW]),
)


@given(SNAPSHOTS)
def test_a_run_compared_with_itself_has_no_change(user: UserSnapshot) -> None:
    assert compare(user, user).change in {Change.UNCHANGED, Change.NOT_COMPARED}


@given(SNAPSHOTS, SNAPSHOTS)
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
def test_who_needed_a_sync_already_cannot_have_got_worse_unsnapshot(old: Status | None) -> None:
    assert may_be_worse(Change.NOT_COMPARED, old) == (old is not Status.NEEDS_SYNC)
    assert not may_be_worse(Change.LEFT, old)


BASELINE_STATES = """
before           absent  up_to_date  needs_sync  certain_error  uncertain_error  not_checked
absent           -       -           new         new            new              -
up_to_date       -       -           new         new            new              -
needs_sync       -       resolved    known       known          known            -
certain_error    -       resolved    new         known          known            -
uncertain_error  -       resolved    new         known          known            -
not_checked      -       -           new         new            new              -
"""
_STATE_LINES = [line.split() for line in BASELINE_STATES.strip().splitlines()]


def state_of(before: UserState, now: UserState, *, complete: bool) -> BaselineState | None:
    """With a reason for each state; who is absent now is in no report."""
    if now is UserState.ABSENT:
        return None
    return baseline_state(sighted(before), cast(Sighted, sighted(now)), complete=complete)


def sighted(what: UserState) -> Sighted | None:
    return Sighted(EXAMPLES[what].status, EXAMPLES[what].value) if what in EXAMPLES else None


@pytest.mark.parametrize("line", _STATE_LINES[1:], ids=[line[0] for line in _STATE_LINES[1:]])
def test_every_pair_has_its_baseline_state(line: list[str]) -> None:
    before, *states = line
    found = [state_of(UserState(before), now, complete=True) or "-" for now in UserState]
    assert found == states


def test_an_incomplete_run_calls_nobody_resolved() -> None:
    assert state_of(UserState.NEEDS_SYNC, UserState.UP_TO_DATE, complete=False) is None


def test_a_user_of_a_run_file_is_what_the_json_report_says() -> None:
    user = AuditedUser(record(), finding(Reason.OUTDATED_VERSION, latest_version=NEW))
    found = snapshot_of(user)
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
        (
            {},
            {"state": "stopped"},
            "NEW is incomplete (stopped), so users who are up to date now are changed, not resolved",
        ),
        ({"state": "interrupted"}, {}, "OLD is incomplete"),
        ({}, {"users": 4}, "NEW has only 4 of its 5 users"),
        ({"users": 4}, {}, "OLD has only 4 of its 5 users"),
        ({"started_at": "2026-03-01T12:00:01Z"}, {}, "OLD is newer than NEW"),
        ({"id": "c"}, {"id": "c"}, "Both are the same run"),
        ({}, {"database": "db/test"}, "databases differ: db/shop and db/test"),
        (
            {"place": place()},
            {"place": place(host="b")},
            "differ: db.example.com:5432/shop (public.user_models) and",
        ),
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
    (caveat,) = caveats(run(id="a", **old) if "id" not in old else run(**old), run(**new))
    assert words in caveat


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
    assert caveats(run(id="a", **old), run(**new)) == ()


EVERYTHING = ("unfinished", "weights", "weights_requests", "trainers")
OUTDATED, UNKNOWN, TIMEOUT = Reason.OUTDATED_VERSION, Reason.UNKNOWN_VERSION, Reason.TIMEOUT
NOT_RECORDED, FAILED_SINCE, WEIGHTS = Reason.TRAINING_NOT_RECORDED, Reason.FAILURE_NOT_RECORDED, Reason.WRONG_WEIGHTS
NOT_FOUND, FINE, STOPPED = Reason.TRAINING_NOT_FOUND, Reason.LATEST_VERSION, Reason.STOPPED
Two = tuple[Reason, ...] | None


@pytest.mark.parametrize(
    ("before", "now", "change", "state"),
    [
        ((OUTDATED,), (NOT_RECORDED, OUTDATED), "new", "new"),
        ((NOT_RECORDED,), (NOT_RECORDED, OUTDATED), "new", "new"),
        ((NOT_RECORDED, OUTDATED), (NOT_RECORDED, OUTDATED), "unchanged", "known"),
        ((NOT_RECORDED, OUTDATED), (FAILED_SINCE, OUTDATED), "new", "new"),
        ((NOT_RECORDED, OUTDATED), (NOT_RECORDED,), "changed", "known"),
        ((NOT_RECORDED, OUTDATED), (OUTDATED,), "changed", "known"),
        ((OUTDATED,), (NOT_RECORDED,), "changed", "known"),
        ((FINE,), (NOT_RECORDED, OUTDATED), "new", "new"),
        ((FINE,), (NOT_RECORDED,), "new", "new"),
        (None, (NOT_RECORDED, OUTDATED), "new", "new"),
        ((OUTDATED,), (NOT_FOUND, OUTDATED), "new", "new"),
        ((FINE,), (TIMEOUT, OUTDATED), "new", "new"),
        ((OUTDATED,), (TIMEOUT, OUTDATED), "not_compared", "known"),
        ((TIMEOUT, OUTDATED), (OUTDATED,), "changed", "known"),
        ((TIMEOUT, OUTDATED), (UNKNOWN,), "new", "new"),
        ((FINE,), (STOPPED, OUTDATED), "new", "new"),
        ((OUTDATED,), (STOPPED, OUTDATED), "not_compared", "known"),
        ((OUTDATED,), (STOPPED, TIMEOUT), "not_compared", None),
        ((NOT_RECORDED, OUTDATED), (FINE,), "resolved", "resolved"),
    ],
)
def test_each_of_two_reasons_counts_for_itself(before: Two, now: Two, change: str, state: str | None) -> None:
    assert compared(before, now, Looked(before=EVERYTHING, now=EVERYTHING)) == (change, state)


@pytest.mark.parametrize(
    ("before", "now", "looked", "change", "state"),
    [
        ((FINE,), (NOT_RECORDED,), (), "changed", None),
        (None, (NOT_RECORDED,), (), "appeared", None),
        ((FINE,), (NOT_FOUND,), (), "changed", None),
        ((FINE,), (WEIGHTS,), ("unfinished", "trainers"), "changed", None),
        ((FINE,), (WEIGHTS,), ("unfinished", "trainers", "weights"), "new", "new"),
        ((FINE,), (Reason.WEIGHTS_GONE,), ("unfinished", "trainers", "weights"), "changed", None),
        ((FINE,), (Reason.TRAINER_RECORDED,), (), "changed", None),
        ((OUTDATED,), (NOT_RECORDED, OUTDATED), (), "changed", None),
        ((FINE,), (NOT_RECORDED, OUTDATED), (), "new", "new"),
        ((FINE,), (OUTDATED,), (), "new", "new"),
        ((OUTDATED,), (FINE,), (), "resolved", "resolved"),
    ],
)
def test_what_the_earlier_run_did_not_look_for_is_not_new(
    before: Two, now: Two, looked: tuple[str, ...], change: str, state: str | None
) -> None:
    assert compared(before, now, Looked(before=looked, now=EVERYTHING)) == (change, state)


@pytest.mark.parametrize("gone", [(Reason.WEIGHTS_GONE,), (NOT_RECORDED, OUTDATED)], ids=["weights", "both"])
def test_what_the_later_run_did_not_look_for_is_not_resolved(gone: Two) -> None:
    assert compared(gone, (FINE,), Looked(before=EVERYTHING, now=("weights", "trainers"))) == ("changed", None)


def compared(before: Two, now: Two, looked: Looked) -> tuple[str, str | None]:
    """The change that `diff` names, and the baseline state."""
    old, new = (both_of(reasons) if reasons else None for reasons in (before, now))
    assert new
    then, standing = (Sighted(each.status, each.reason, each.also) if each else None for each in (old, new))
    assert standing
    return compare(old, new, looked=looked).change.value, baseline_state(then, standing, complete=True, looked=looked)


def both_of(reasons: tuple[Reason, ...]) -> UserSnapshot:
    first, *second = reasons
    return snapshot(first, also=second[0].value) if second else snapshot(first)


def test_what_only_one_of_the_runs_looked_for_is_a_caveat_for_both_ways() -> None:
    older, newer = RUN, replace(RUN, id="b" * 32, looked_for=EVERYTHING)
    (said,) = caveats(older, newer)
    assert said == (
        "OLD did not look for trainings that were not recorded, weights of another version, weights that are gone and "
        "trainers in the model's place: who has such a finding now is listed as changed or appeared, and not as new."
    )
    without = replace(newer, id="c" * 32, looked_for=("unfinished", "weights", "trainers"))
    (said,) = caveats(newer, without)
    assert said.startswith("NEW did not look for weights that are gone, as OLD did: ")
    assert caveats(newer, replace(newer, id="d" * 32)) == ()
