"""The SQL that chooses rows and counts, against the same rules in slow, obvious Python, on generated rows."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.model.codes import OrderBy
from audit.model.run import Filters
from audit.model.users import SHARED_SHOWN, TRIMMED, ModelRecord, Population
from tests.support.database_rows import execute, insert, read

# Few values, so that rows meet: equal dates, no date at all, blanks, and models that several users name.
DATES = st.sampled_from([None, None, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.500000Z", "2026-06-01T12:00:00Z"])
MODEL_IDS = [None, "", " \t\n\r\f\v", "\u00a0", "acme/\u0131", "acme/i", " ACME/I\n", "acme/\u0130", "\u00a0acme/i"]
STATES = [
    *(["completed"] * 4),
    "failed",
    "Training",
    "pending",
    "starting\n",
    " ABORTED",
    "fa\u0130led",
    "succeeded",
    None,
]
IN_PROGRESS = ("starting", "training", "pending")
FAILED = ("failed", "aborted")


@dataclass(frozen=True)
class User:
    id: str
    email: str | None


@dataclass(frozen=True)
class Model:
    user_id: str | None
    training_status: str | None
    replicate_model_id: str | None
    is_test: bool | None
    created_at: str | None
    updated_at: str | None
    completed_at: str | None
    failure_reason: str | None
    id: int = 0


EVERYBODY = [User("u1", "b@x"), User("u2", None), User("U3", "a@x"), User("u4", None), User("ü5", "ä@x")]
models = st.builds(
    Model,
    user_id=st.sampled_from([*(user.id for user in EVERYBODY), *(user.id for user in EVERYBODY), "gone", None]),
    training_status=st.sampled_from(STATES),
    replicate_model_id=st.sampled_from(MODEL_IDS),
    is_test=st.sampled_from([None, False, False, True]),
    created_at=DATES,
    updated_at=DATES,
    completed_at=DATES,
    failure_reason=st.sampled_from([None, "no face", "out of memory"]),
)
NEVER = datetime.min.replace(tzinfo=UTC)


def moment(text: str | None) -> datetime | None:
    """As texts, "00Z" would come after "00.5Z"."""
    return datetime.fromisoformat(text) if text else None


def blank(model_id: str | None) -> bool:
    return not (model_id or "").strip(TRIMMED)


def lower_case(model_id: str | None) -> str:
    """Letters of ASCII alone, by their codes."""
    trimmed = (model_id or "").strip(TRIMMED)
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in trimmed)


@dataclass(frozen=True)
class Obvious:
    """The contract's rules, one loop each."""

    users: list[User]
    rows: list[Model]
    order_by: OrderBy
    include_tests: bool

    def counts(self, row: Model) -> bool:
        return self.include_tests or row.is_test is not True

    def completed(self, user_id: str) -> list[Model]:
        """Of this user, those that count, the one that counts most first."""
        rows = [r for r in self.rows if r.user_id == user_id and r.training_status == "completed" and self.counts(r)]
        rows.sort(key=lambda r: r.id, reverse=True)
        for column in ("completed_at", "updated_at", self.order_by):  # the last sort decides first
            rows.sort(key=lambda r: moment(getattr(r, column)) or NEVER, reverse=True)
        return rows

    def later(self, chosen: Model, *states: str) -> list[Model]:
        """Rows in these states that started no earlier, newest first, undated ones last."""

        def started(row: Model) -> datetime | None:
            return moment(row.created_at or row.completed_at or row.updated_at)

        found = []
        for row in self.rows:
            if (
                row.user_id == chosen.user_id
                and (row.training_status or "").strip(TRIMMED).lower() in states
                and self.counts(row)
            ):
                mine, its = started(row), started(chosen)
                if mine is None or its is None or not mine < its:
                    found.append(row)
        found.sort(key=lambda r: (started(r) or NEVER, r.id), reverse=True)
        return found

    def records(self) -> list[ModelRecord]:
        chosen = {user.id: self.completed(user.id)[0] for user in self.users if self.completed(user.id)}
        users = sorted(self.users, key=lambda user: (user.email is None, user.email or "", user.id))
        return [self.record(user, chosen) for user in users if user.id in chosen]

    def record(self, user: User, everybodys: dict[str, Model]) -> ModelRecord:
        row = everybodys[user.id]
        completed = self.completed(user.id)
        failed = self.later(row, *FAILED)
        others = []
        for other, its in everybodys.items():
            same = lower_case(its.replicate_model_id) == lower_case(row.replicate_model_id)
            if other != user.id and same and not blank(row.replicate_model_id):
                others.append(other)
        return ModelRecord(
            user_id=user.id,
            email=user.email,
            display_name=None,
            model_row_id=str(row.id),
            training_status="completed",
            is_test=bool(row.is_test),
            replicate_model_id=row.replicate_model_id,
            replicate_version_id=None,
            created_at=row.created_at,
            updated_at=row.updated_at,
            completed_at=row.completed_at,
            older_completed=len(completed) - 1,
            undated_rows=sum(getattr(r, self.order_by) is None for r in completed),
            retraining_in_progress=bool(self.later(row, *IN_PROGRESS)),
            later_training_failed=bool(failed),
            later_failure_reason=failed[0].failure_reason if failed else None,
            shared_with=tuple(sorted(others)[:SHARED_SHOWN]),
            shared_with_count=len(others),
        )

    def population(self) -> Population:
        ids = {user.id for user in self.users}
        per_user = [self.completed(user.id) for user in self.users]
        all_completed = [row for row in self.rows if row.training_status == "completed"]
        statuses = Counter(row.training_status or "(null)" for row in self.rows)
        return Population(
            users=len(self.users),
            users_with_completed_model=sum(bool(rows) for rows in per_user),
            completed_models=sum(map(len, per_user)),
            users_with_several_completed_models=sum(len(rows) > 1 for rows in per_user),
            completed_models_hidden=sum(max(len(rows) - 1, 0) for rows in per_user),
            completed_without_model_id=sum(blank(row.replicate_model_id) for rows in per_user for row in rows),
            test_models_left_out=sum(row.user_id in ids and not self.counts(row) for row in all_completed),
            models_without_user=sum(row.user_id not in ids for row in all_completed),
            training_status=dict(sorted(statuses.items(), key=lambda item: (-item[1], item[0]))),
        )


GENERATED = given(
    rows=st.lists(models, max_size=5) | st.lists(models, min_size=15, max_size=30),
    users=st.sampled_from([EVERYBODY, EVERYBODY, EVERYBODY, EVERYBODY[:2], []]),
    ids=st.randoms(use_true_random=False),
    order_by=st.sampled_from(["updated_at", "completed_at", "created_at"]),
    filters=st.builds(Filters, include_tests=st.booleans()),
)
ON_ONE_DATABASE = [HealthCheck.function_scoped_fixture]


async def obeys(  # noqa: PLR0917 - hypothesis passes by name
    tables: str, rows: list[Model], users: list[User], ids: Any, order_by: OrderBy, filters: Filters
) -> None:
    numbers = ids.sample(range(1, 100), len(rows))
    rows = [replace(row, id=number) for row, number in zip(rows, numbers, strict=True)]
    await execute(tables, "TRUNCATE users, user_models")
    await insert(tables, "users", [vars(user) for user in users])
    await insert(tables, "user_models", [vars(row) for row in rows])

    records, population = await read(tables, order_by=order_by, filters=filters)

    obvious = Obvious(users, rows, order_by, filters.include_tests)
    assert records == obvious.records()
    assert population == obvious.population()
    assert list(population.training_status) == list(obvious.population().training_status)


@settings(max_examples=50, suppress_health_check=ON_ONE_DATABASE)
@GENERATED
async def test_rows_and_counts_are_those_of_the_obvious_rule(tables: str, **generated: Any) -> None:
    await obeys(tables, **generated)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=ON_ONE_DATABASE)
@GENERATED
async def test_rows_and_counts_of_many_more_are_those_of_the_obvious_rule(tables: str, **generated: Any) -> None:
    await obeys(tables, **generated)
