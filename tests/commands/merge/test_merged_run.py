"""The run that shards make together, and what is said of it."""

from typing import Any

import msgspec
import pytest

from audit.commands.merge.merged_run import choices, doubts, ended, merged, population
from audit.commands.merge.shards import Allowed, check, known
from audit.commands.settings import default_choices
from audit.errors import SettingsError
from audit.model.codes import Status
from audit.model.findings import Acceptances, Summary
from audit.model.replies import Requests, TrainingsRead
from audit.model.run import Filters
from audit.model.shard import lacking
from tests.support.run_files import population as counted
from tests.support.samples import run_info
from tests.support.shard_parts import ACME, ENTRY, FAST, OTHER, RUN_ID, part, parts


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"state": "running"}, "was interrupted"), ({"state": "stopped", "stop_reason": "token"}, "was stopped (token)")],
    ids=["killed", "stopped"],
)
def test_a_run_with_an_unfinished_shard_was_stopped_and_says_which(changes: dict[str, Any], said: str) -> None:
    odd = parts(part(2, **changes))
    info = ended(merged(odd, RUN_ID), odd, ())
    assert (info.state, info.stop_reason) == ("stopped", f"shard 2 of 3 {said}")


def test_a_shard_in_which_nobody_is_counts_as_missing() -> None:
    odd = parts(msgspec.structs.replace(part(2, state="running", account=None), population=None))
    with pytest.raises(SettingsError, match=r"shard 2 of 3 \(2.sqlite\) was ended before the database had been read"):
        check(odd, Allowed())
    check(odd, Allowed(partial=True))
    assert [each.state for each in merged(known(odd), RUN_ID).shards] == ["complete", "missing", "complete"]
    assert next(doubts(odd, 0)).endswith("was ended before the database had been read, and counts as missing.")
    empty = [msgspec.structs.replace(each, population=None) for each in parts()]
    with pytest.raises(SettingsError, match=r"shard 1 of 3 .* was ended before"):
        check(empty, Allowed(partial=True))


def test_accounts_and_acceptances_may_differ_where_that_was_said() -> None:
    odd = parts(part(2, account=OTHER, acceptances=Acceptances(file="a", entries=(ENTRY,))))
    check(odd, Allowed(any_account=True, other_acceptances=True))
    info = merged(odd, RUN_ID)
    assert info.account is None
    assert [each.account for each in info.shards] == [ACME, OTHER, ACME]


def test_the_merged_run_lasts_from_the_first_to_the_last_and_sums_up_requests() -> None:
    several = parts(part(1, finished_at="2026-03-01T13:00:00.5Z"), part(3, started_at="2026-03-01T11:00:00Z"))
    info = ended(merged(several, RUN_ID), several, ())
    assert (info.id, info.state, info.stop_reason, info.shard) == (RUN_ID, "complete", None, None)
    assert (info.started_at, info.finished_at) == ("2026-03-01T11:00:00Z", "2026-03-01T13:00:00.5Z")
    assert info.requests == Requests(6, 3, 0)
    assert [(each.number, each.id, each.state) for each in info.shards] == [
        (1, "1" * 32, "complete"),
        (2, "2" * 32, "complete"),
        (3, "3" * 32, "complete"),
    ]


def of_users(total: int) -> Summary:
    return Summary(dict.fromkeys(Status, 0) | {Status.UP_TO_DATE: total}, {}, {})


def test_a_run_that_lacks_a_shard_is_never_complete() -> None:
    some = [part(1), part(3)]
    info = merged(some, RUN_ID)
    why = lacking(info, population(some), lambda: of_users(9))
    assert why == ("shard 2 of 3 is missing, and nothing is known of its users",)
    assert ended(info, some, why).state == "stopped"
    assert info.shards[1].state == "missing"


@pytest.mark.parametrize(
    ("total", "filters", "said"),
    [
        (9, Filters(), ()),
        (10, Filters(), ()),
        (8, Filters(), ("1 user is in no shard, as the database changed while they were read",)),
        (8, Filters(users=("ann",)), ()),
    ],
    ids=["all", "one more", "one less", "narrowed"],
)
def test_users_who_are_in_no_shard_make_it_incomplete(total: int, filters: Filters, said: tuple[str, ...]) -> None:
    several = [part(number, filters=filters, users=8 + number) for number in (1, 2, 3)]
    assert population(several).users == 9
    assert lacking(merged(several, RUN_ID), population(several), lambda: of_users(total)) == said


def test_no_other_run_lacks_anything() -> None:
    assert lacking(run_info(), counted(5), lambda: of_users(0)) == ()


def test_what_does_not_fit_is_told_and_nothing_else() -> None:
    assert not list(doubts(parts(), 0))
    odd = parts(part(2, users=7, tool_version="9", started_at="2026-03-03T12:00:00Z"))
    apart, numbers, doubled, versions = doubts(odd, 2)
    assert apart.endswith("shard 1 of 3 was begun on 2026-03-01, and shard 2 of 3 on 2026-03-03.")
    assert numbers.endswith("7 in shard 2 of 3, 9 in shard 1 of 3. The report has the first.")
    assert doubled.startswith("2 users were in two shards")
    assert versions.startswith("Different versions of sync-audit")


def test_the_merged_run_is_resumed_at_the_pace_of_one() -> None:
    told = [default_choices(per_minute=rate) for rate in (800, 800, 800)]
    several = [part(number, told=each) for number, each in enumerate(told, 1)]
    assert choices(several, ()).per_minute == 2400
    assert choices([part(1, told=default_choices(per_minute=2400)), part(2)], ()).per_minute == 2400


def read(back_to: str, **changes: Any) -> TrainingsRead:
    plain: dict[str, Any] = {"mode": "trainings", "sample": 1.0, "began_at": "2026-03-01T12:00:00Z", "complete": True}
    return TrainingsRead(**(plain | {"back_to": back_to, "pages": 3, "read": 30} | changes))


def test_trainings_were_read_as_far_as_by_the_shard_that_came_furthest() -> None:
    several = [
        part(1, trainings=read("2026-01-02", unreadable=1)),
        part(2, trainings=read("2026-01-01")),
        part(3, trainings=FAST),
    ]
    info = merged(several, RUN_ID)
    assert info.trainings == read("2026-01-01", unreadable=1)


def test_trainings_are_not_complete_where_one_shard_has_not_read_them_all() -> None:
    halfway = read("2026-02-01", complete=False, problem="HTTP 500", next="https://x/2")
    several = [part(1, trainings=halfway), part(2, trainings=read("2026-01-01"))]
    told = merged(several, RUN_ID).trainings
    assert told
    assert (told.complete, told.problem, told.back_to) == (False, "shard 1 of 3: HTTP 500", "2026-01-01")
    none = merged([part(1, trainings=FAST), part(2, trainings=FAST)], RUN_ID).trainings
    assert none == FAST
