"""Whether shards belong together: what is refused, and how that is said."""

from typing import Any

import pytest

from audit.cli.config_file import mapping
from audit.commands.merge.merged_run import merged
from audit.commands.merge.shards import Allowed, Part, check
from audit.commands.settings import default_choices
from audit.errors import SettingsError
from audit.model.findings import Acceptances
from audit.model.replies import TrainingsRead
from audit.model.run import Baseline, Filters
from tests.support.shard_parts import ENTRY, FAST, OTHER, RUN_ID, part, parts


def test_whole_shards_in_any_order_are_taken() -> None:
    check(list(reversed(parts())), Allowed())


@pytest.mark.parametrize(
    ("number", "changes", "said"),
    [
        (
            2,
            {"database": "db.example.com/other"},
            "the database is db.example.com/other in it, and db.example.com/shop",
        ),
        (2, {"base_url": "https://eu.example/v1"}, "the address of Replicate is https://eu.example/v1 in it"),
        (3, {"account": OTHER}, "the account of the token is other in it, and acme there"),
        (3, {"account": None}, "the account of the token is not known in it, and acme there"),
        (2, {"order_by": "created_at"}, "--order-by is created_at in it, and updated_at there"),
        (2, {"filters": Filters(users=("ann@example.com",))}, "--user is another"),
        (2, {"filters": Filters(include_tests=True)}, "--include-tests is given in it, and not given there"),
        (2, {"trainings": TrainingsRead(mode="versions")}, "--mode is versions with --trainings in it, and versions"),
        (2, {"trainings": FAST}, "--mode is trainings with --verify-sample 1 in it, and versions there"),
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
        (2, {"told": default_choices(fail_on="never")}, "--fail-on is never in it, and any there"),
        (2, {"acceptances": Acceptances(file="a", entries=(ENTRY,))}, "the list of accepted findings is another"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_shard_of_another_audit_is_refused_and_named(number: int, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check(parts(part(number, **changes)), Allowed(partial=True))
    assert f"{number}.sqlite is a shard of another audit than 1.sqlite: {said}" in str(caught.value)
    assert "ann@example.com" not in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (part(2, shard=None), "2.sqlite is no shard: its run was about all models"),
        (part(2, shard=None, shards=merged(parts(), RUN_ID).shards), "2.sqlite is no shard: it is merged already"),
        (part(2, 4), "2.sqlite is shard 2 of 4, and 1.sqlite is shard 1 of 3: other users are in them"),
        (part(3), "3.sqlite and 3.sqlite are both shard 3 of 3"),
    ],
    ids=["a whole run", "a merged one", "of another N", "doubled"],
)
@pytest.mark.parametrize("allowed", [Allowed(), Allowed(partial=True)], ids=["whole", "partial"])
def test_what_makes_no_run_is_refused_also_with_partial(odd: Part, said: str, allowed: Allowed) -> None:
    with pytest.raises(SettingsError) as caught:
        check([part(1), odd, part(3)], allowed)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("there", "said"),
    [((1, 2, 4), "shard 3 of 4 is missing"), ((2,), "shards 1, 3 and 4 of 4 are missing")],
    ids=["one", "several"],
)
def test_missing_shards_are_named_and_taken_with_partial(there: tuple[int, ...], said: str) -> None:
    some = [part(number, 4) for number in there]
    with pytest.raises(SettingsError, match=said):
        check(some, Allowed())
    check(some, Allowed(partial=True))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "running"}, "it was interrupted"),
        ({"state": "interrupted", "stop_reason": "stopped by SIGINT"}, "it was interrupted (stopped by SIGINT)"),
        ({"state": "stopped", "stop_reason": "token"}, "it was stopped (token)"),
    ],
    ids=["killed", "interrupted", "stopped"],
)
def test_an_unfinished_shard_is_named_with_how_to_finish_it(changes: dict[str, Any], said: str) -> None:
    odd = parts(part(2, **changes))
    with pytest.raises(SettingsError) as caught:
        check(odd, Allowed())
    assert str(caught.value) == f"shard 2 of 3 (2.sqlite) is not finished: {said}"
    assert "sync-audit run --resume 2.sqlite" in caught.value.next_step
    check(odd, Allowed(partial=True))
