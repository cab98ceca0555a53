"""Whether shards belong together, and the run that they make."""

from typing import Any

import msgspec
import pytest

from audit.cli.config_file import mapping
from audit.commands.merge.shards import (
    Allowed,
    ShardInput,
    caveats,
    check,
    merged_choices,
    merged_info,
    merged_population,
    with_end,
    with_users,
)
from audit.commands.settings import default_choices
from audit.errors import SettingsError
from audit.model.findings import Acceptances
from audit.model.place import Place
from audit.model.replies import Requests, TrainingsRead
from audit.model.run import Baseline, Filters, Seen, permanent_gaps
from tests.support.run_files import population as population_of
from tests.support.samples import place, run_info
from tests.support.shard_inputs import ACME, ENTRY, FAST, OTHER, RUN_ID, shard, shards


def test_whole_shards_in_any_order_are_taken() -> None:
    check(list(reversed(shards())), Allowed())


@pytest.mark.parametrize(
    ("number", "changes", "message"),
    [
        (
            2,
            {"database": "db.example.com/other"},
            "the databases are db.example.com/other and db.example.com/shop",
        ),
        (2, {"base_url": "https://eu.example/v1"}, "the address of Replicate is https://eu.example/v1 in it"),
        (3, {"account": OTHER}, "the account of the token is other in it, and acme there"),
        (3, {"account": None}, "the account of the token is not known in it, and acme there"),
        (2, {"order_by": "created_at"}, "--order-by is created_at in it, and updated_at there"),
        (2, {"filters": Filters(users=("ann@example.com",))}, "--user is another"),
        (2, {"filters": Filters(include_tests=True)}, "--include-tests is given in it, and not given there"),
        (2, {"trainings": TrainingsRead(mode="versions")}, "--mode is versions with --trainings in it, and versions"),
        (2, {"trainings": FAST}, "--mode is trainings with --verify-sample 1 in it, and versions there"),
        (2, {"stuck_after": 3600.0}, "--stuck-after is 1 in it, and not given there"),
        (2, {"tables": mapping({"tables": {"users": "people"}})}, "the mapping of tables and columns is another"),
        (
            2,
            {"missing_columns": ("is_test",)},
            "the list of columns that the database lacks is is_test in it, and empty",
        ),
        (2, {"redacted": True}, "--redact is given in it, and not given there"),
        (
            2,
            {"baseline": Baseline(run_id="b" * 32, started_at="", path="x")},
            f"the baseline is {'b' * 32} in it, and none",
        ),
        (2, {"choices": default_choices(fail_on="never")}, "--fail-on is never in it, and any there"),
        (2, {"acceptances": Acceptances(file="a", entries=(ENTRY,))}, "the list of accepted findings is another"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_shard_of_another_audit_is_refused_and_named(number: int, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check(shards(shard(number, **changes)), Allowed(partial=True))
    assert f"{number}.sqlite is a shard of another audit than 1.sqlite: {message}" in str(caught.value)
    assert "ann@example.com" not in str(caught.value)
    assert caught.value.next_step


def test_shards_of_two_places_are_refused_and_both_are_named() -> None:
    other = shard(2, place=place(port="5433"))
    with pytest.raises(SettingsError) as caught:
        check([shard(1, place=place()), other, shard(3, place=place())], Allowed(partial=True))
    assert str(caught.value) == (
        "2.sqlite is a shard of another audit than 1.sqlite: the databases are db.example.com:5433/shop "
        "(public.user_models) and db.example.com:5432/shop (public.user_models) (the server is db.example.com:5433 and "
        "db.example.com:5432)"
    )


OLD_PLACE, NEW_PLACE = place(), place(host="elsewhere", system="8")
MOVED_FROM = "db.example.com:5432/shop"


def test_shards_made_before_and_after_a_move_are_merged_when_that_is_said() -> None:
    inputs = [
        shard(1, place=OLD_PLACE),
        shard(2, place=NEW_PLACE, database="elsewhere/shop"),
        shard(3, place=OLD_PLACE),
    ]
    with pytest.raises(SettingsError) as caught:
        check(list(reversed(inputs)), Allowed())
    assert caught.value.next_step.endswith(f"if it has moved between them, add --moved-from {MOVED_FROM}.")
    check(inputs, Allowed(moved_from=MOVED_FROM))
    merged = merged_info(inputs, RUN_ID, MOVED_FROM)
    assert (merged.place, merged.database) == (NEW_PLACE, "elsewhere/shop")
    assert list(caveats(inputs, 0, MOVED_FROM)) == [
        f"Some shards were made in {MOVED_FROM}, and the database has moved (--moved-from)."
    ]


@pytest.mark.parametrize(
    ("odd", "moved_from", "message"),
    [
        (NEW_PLACE, "other:5432/shop", "the shards are of db.example.com:5432/shop, elsewhere:5432/shop"),
        (place(host="elsewhere", users="tb.users"), MOVED_FROM, "the table is tb.users and public.users"),
        (place(host="third", system="8"), "third:5432/shop", "the server is elsewhere:5432 and db.example.com:5432"),
    ],
    ids=["no shard's place", "other tables", "two places besides"],
)
def test_move_that_does_not_explain_all_differences_is_refused(odd: Place, moved_from: str, message: str) -> None:
    third = NEW_PLACE if odd.host == "third" else OLD_PLACE
    with pytest.raises(SettingsError, match=message) as caught:
        check([shard(1, place=OLD_PLACE), shard(2, place=odd), shard(3, place=third)], Allowed(moved_from=moved_from))
    assert ("if it has moved" in caught.value.next_step) == (odd.host == "third")


def test_two_servers_are_seen_also_where_the_first_shard_could_not_read_which_it_is() -> None:
    inputs = [shard(1, place=place(system=None)), shard(2, place=place()), shard(3, place=place(system="8"))]
    with pytest.raises(SettingsError, match=r"3\.sqlite .* than 2\.sqlite: .* system identifier is 8 and 7"):
        check(inputs, Allowed())
    assert merged_info(inputs[:2], RUN_ID).place == place()


def test_merged_run_has_no_place_where_that_of_a_shard_is_not_known() -> None:
    inputs = [shard(1), shard(2, place=place()), shard(3)]
    check(inputs, Allowed())
    assert merged_info(inputs, RUN_ID).place is None
    check(inputs, Allowed(moved_from=MOVED_FROM))


def test_shards_read_by_socket_and_by_loopback_of_one_server_are_of_one_place() -> None:
    inputs = [
        shard(1, place=place(host="/run/postgresql"), database="socket/shop"),
        shard(2, place=place(host="127.0.0.1"), database="127.0.0.1/shop"),
        shard(3, place=place(host="localhost"), database="localhost/shop"),
    ]
    check(inputs, Allowed())
    assert merged_info(inputs, RUN_ID).place == inputs[0].info.place


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (shard(2, shard=None), "2.sqlite is no shard: its run was about all models"),
        (
            shard(2, shard=None, shards=merged_info(shards(), RUN_ID).shards),
            "2.sqlite is no shard: it is merged already",
        ),
        (shard(2, 4), "2.sqlite is shard 2 of 4, and 1.sqlite is shard 1 of 3: other users are in them"),
        (shard(3), "3.sqlite and 3.sqlite are both shard 3 of 3"),
    ],
    ids=["a whole run", "a merged one", "of another N", "doubled"],
)
@pytest.mark.parametrize("allowed", [Allowed(), Allowed(partial=True)], ids=["whole", "partial"])
def test_what_makes_no_run_is_refused_also_with_partial(odd: ShardInput, message: str, allowed: Allowed) -> None:
    with pytest.raises(SettingsError) as caught:
        check([shard(1), odd, shard(3)], allowed)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("there", "message"),
    [((1, 2, 4), "shard 3 of 4 is missing"), ((2,), "shards 1, 3 and 4 of 4 are missing")],
    ids=["one", "several"],
)
def test_missing_shards_are_named_and_taken_with_partial(there: tuple[int, ...], message: str) -> None:
    some = [shard(number, 4) for number in there]
    with pytest.raises(SettingsError, match=message):
        check(some, Allowed())
    check(some, Allowed(partial=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": "running"}, "it was interrupted"),
        ({"state": "interrupted", "stop_reason": "stopped by SIGINT"}, "it was interrupted (stopped by SIGINT)"),
        ({"state": "stopped", "stop_reason": "token"}, "it was stopped (token)"),
    ],
    ids=["killed", "interrupted", "stopped"],
)
def test_an_unfinished_shard_is_named_with_how_to_finish_it(changes: dict[str, Any], message: str) -> None:
    odd = shards(shard(2, **changes))
    with pytest.raises(SettingsError) as caught:
        check(odd, Allowed())
    assert str(caught.value) == f"shard 2 of 3 (2.sqlite) is not finished: {message}"
    assert "sync-audit run --resume 2.sqlite" in caught.value.next_step
    check(odd, Allowed(partial=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"state": "running"}, "was interrupted"), ({"state": "stopped", "stop_reason": "token"}, "was stopped (token)")],
    ids=["killed", "stopped"],
)
def test_a_run_with_an_unfinished_shard_was_stopped_and_says_which(changes: dict[str, Any], message: str) -> None:
    odd = shards(shard(2, **changes))
    info = with_end(merged_info(odd, RUN_ID), odd, ())
    assert (info.state, info.stop_reason) == ("stopped", f"shard 2 of 3 {message}")


def test_shards_that_minded_case_are_not_merged_with_others_that_did_not() -> None:
    older = shard(2)
    others = [shard(number, by_model_key=True) for number in (1, 3)]
    for given in ([older, *others], [*others, older]):
        with pytest.raises(SettingsError, match=r"^2\.sqlite was run by an older version than \d\.sqlite") as caught:
            check(given, Allowed(partial=True))
        assert caught.value.next_step.endswith("sync-audit run --shard 2/3")
    check([older, shard(1), shard(3)], Allowed())
    check([shard(2, by_model_key=True), *others], Allowed())


def test_a_shard_in_which_nobody_is_counts_as_missing() -> None:
    odd = shards(msgspec.structs.replace(shard(2, state="running", account=None), population=None))
    with pytest.raises(SettingsError, match=r"shard 2 of 3 \(2.sqlite\) was ended before the database had been read"):
        check(odd, Allowed())
    check(odd, Allowed(partial=True))
    assert [each.state for each in merged_info(with_users(odd), RUN_ID).shards] == ["complete", "missing", "complete"]
    assert next(caveats(odd, 0)).endswith("was ended before the database had been read, and counts as missing.")
    empty = [msgspec.structs.replace(each, population=None) for each in shards()]
    with pytest.raises(SettingsError, match=r"shard 1 of 3 .* was ended before"):
        check(empty, Allowed(partial=True))


def test_accounts_and_acceptances_may_differ_where_that_was_said() -> None:
    odd = shards(shard(2, account=OTHER, acceptances=Acceptances(file="a", entries=(ENTRY,))))
    check(odd, Allowed(any_account=True, other_acceptances=True))
    info = merged_info(odd, RUN_ID)
    assert info.account is None
    assert [each.account for each in info.shards] == [ACME, OTHER, ACME]


def test_the_merged_run_lasts_from_the_first_to_the_last_and_sums_up_requests() -> None:
    several = shards(shard(1, finished_at="2026-03-01T13:00:00.5Z"), shard(3, started_at="2026-03-01T11:00:00Z"))
    info = with_end(merged_info(several, RUN_ID), several, ())
    assert (info.id, info.state, info.stop_reason, info.shard) == (RUN_ID, "complete", None, None)
    assert (info.started_at, info.finished_at) == ("2026-03-01T11:00:00Z", "2026-03-01T13:00:00.5Z")
    assert info.requests == Requests(6, 3, 0)
    assert [(each.number, each.id, each.state) for each in info.shards] == [
        (1, "1" * 32, "complete"),
        (2, "2" * 32, "complete"),
        (3, "3" * 32, "complete"),
    ]


def test_a_run_that_lacks_a_shard_is_never_complete() -> None:
    some = [shard(1), shard(3)]
    info = merged_info(some, RUN_ID)
    why = permanent_gaps(info, merged_population(some), lambda: Seen(9, 9))
    assert why == ("shard 2 of 3 is missing, and nothing is known of its users",)
    assert with_end(info, some, why).state == "stopped"
    assert info.shards[1].state == "missing"


@pytest.mark.parametrize(
    ("total", "filters", "message"),
    [
        (9, Filters(), ()),
        (10, Filters(), ()),
        (8, Filters(), ("1 user is in no shard, as the database changed while they were read",)),
        (8, Filters(users=("ann",)), ()),
    ],
    ids=["all", "one more", "one less", "narrowed"],
)
def test_users_who_are_in_no_shard_make_it_incomplete(total: int, filters: Filters, message: tuple[str, ...]) -> None:
    several = [shard(number, filters=filters, users=8 + number) for number in (1, 2, 3)]
    assert merged_population(several).users == 9
    assert (
        permanent_gaps(merged_info(several, RUN_ID), merged_population(several), lambda: Seen(total, total)) == message
    )


def test_who_was_not_there_yet_makes_up_for_nobody() -> None:
    several = [shard(number, users=9) for number in (1, 2, 3)]
    gaps = permanent_gaps(merged_info(several, RUN_ID), merged_population(several), lambda: Seen(11, 7))
    assert gaps == ("2 users are in no shard, as the database changed while they were read",)


def test_no_other_run_lacks_anything() -> None:
    assert permanent_gaps(run_info(), population_of(5), lambda: Seen(0, 0)) == ()


def test_what_does_not_fit_is_told_and_nothing_else() -> None:
    assert not list(caveats(shards(), 0))
    odd = shards(shard(2, users=7, tool_version="9", started_at="2026-03-03T12:00:00Z"))
    apart, numbers, doubled, versions = caveats(odd, 2)
    assert apart.endswith("shard 1 of 3 was begun on 2026-03-01, and shard 2 of 3 on 2026-03-03.")
    assert numbers.endswith("7 in shard 2 of 3, 9 in shard 1 of 3. The report has the first.")
    assert doubled.startswith("2 users were in two shards")
    assert versions.startswith("Different versions of sync-audit")


def test_the_merged_run_is_resumed_at_the_pace_of_one() -> None:
    choices = [default_choices(per_minute=rate) for rate in (800, 800, 800)]
    several = [shard(number, choices=each) for number, each in enumerate(choices, 1)]
    assert merged_choices(several, ()).per_minute == 2400
    assert merged_choices([shard(1, choices=default_choices(per_minute=2400)), shard(2)], ()).per_minute == 2400


def read(back_to: str, **changes: Any) -> TrainingsRead:
    plain: dict[str, Any] = {"mode": "trainings", "sample": 1.0, "began_at": "2026-03-01T12:00:00Z", "complete": True}
    return TrainingsRead(**(plain | {"back_to": back_to, "pages": 3, "read": 30} | changes))


def test_trainings_were_read_as_far_as_by_the_shard_that_came_furthest() -> None:
    several = [
        shard(1, trainings=read("2026-01-02", unreadable=1)),
        shard(2, trainings=read("2026-01-01")),
        shard(3, trainings=FAST),
    ]
    info = merged_info(several, RUN_ID)
    assert info.trainings == read("2026-01-01", unreadable=1)


def test_trainings_are_not_complete_where_one_shard_has_not_read_them_all() -> None:
    halfway = read("2026-02-01", complete=False, problem="HTTP 500", next="https://x/2")
    several = [shard(1, trainings=halfway), shard(2, trainings=read("2026-01-01"))]
    trainings = merged_info(several, RUN_ID).trainings
    assert trainings
    assert (trainings.complete, trainings.problem, trainings.back_to) == (False, "shard 1 of 3: HTTP 500", "2026-01-01")
    none = merged_info([shard(1, trainings=FAST), shard(2, trainings=FAST)], RUN_ID).trainings
    assert none == FAST
