"""The SQL that chooses rows and counts, against the same rules in slow, obvious Python, on generated rows."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.model.codes import LatestPer, OrderBy
from audit.model.lines import Line
from audit.model.run import Filters
from audit.model.users import SHARED_SHOWN, TRIMMED, ModelRecord, Population
from tests.support.database_rows import execute, insert, read

# Few values, so that rows meet: equal dates, no date at all, blanks, and models that several users name.
DATES = st.sampled_from([None, None, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.500000Z", "2026-06-01T12:00:00Z"])
NOW = datetime.now(UTC).replace(microsecond=0)
AGES = st.sampled_from([None, *(((NOW - timedelta(hours=hours)).isoformat()[:19] + "Z") for hours in (1, 4, 10, -2))])
"""Of rows in progress; those of six hours and more are old."""
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
    replicate_version_id: str | None = None
    started_at: str | None = None
    lora_weights_url: str | None = None
    id: int = 0


EVERYBODY = [User("u1", "b@x"), User("u2", None), User("U3", "a@x"), User("u4", None), User("ü5", "ä@x")]
models = st.builds(
    Model,
    user_id=st.sampled_from([*(user.id for user in EVERYBODY), *(user.id for user in EVERYBODY), "gone", None]),
    training_status=st.sampled_from(STATES),
    replicate_model_id=st.sampled_from(MODEL_IDS),
    is_test=st.sampled_from([None, False, False, True]),
    created_at=DATES,
    updated_at=DATES | AGES,
    completed_at=DATES,
    failure_reason=st.sampled_from([None, "no face", "out of memory"]),
    replicate_version_id=st.sampled_from([None, " ", "ab", "acme/x:ab", "acme:ab"]),
    started_at=st.sampled_from([None, None]) | DATES | AGES,
    lora_weights_url=st.sampled_from([None, " \n", "https://example.com/a.tar"]),
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


def started(row: Model) -> datetime | None:
    return moment(row.started_at or row.created_at or row.completed_at or row.updated_at)


def began(row: Model) -> datetime | None:
    """Without its own date a row is as new as the latest of the others."""
    dates = [date for date in map(moment, (row.created_at, row.updated_at, row.completed_at)) if date]
    return moment(row.started_at) or max(dates, default=None)


@dataclass(frozen=True)
class Obvious:
    """The contract's rules, one loop each."""

    users: list[User]
    rows: list[Model]
    order_by: OrderBy
    include_tests: bool
    latest_per: LatestPer = "user"

    def counts(self, row: Model) -> bool:
        return self.include_tests or row.is_test is not True

    def part(self, row: Model) -> str:
        match self.latest_per:
            case "user":
                return ""
            case "model":
                return lower_case(row.replicate_model_id)
            case "row":
                return str(row.id)

    def belongs(self, row: Model, line: Line) -> bool:
        return row.user_id == line.user_id and self.part(row) == line.part

    def lines(self, user: User) -> list[Line]:
        """All that the user's rows belong to."""
        return list(dict.fromkeys(Line(user.id, self.part(row)) for row in self.rows if row.user_id == user.id))

    def completed(self, line: Line) -> list[Model]:
        """Of this line, those that count, the one that counts most first."""
        rows = [r for r in self.rows if self.belongs(r, line) and r.training_status == "completed" and self.counts(r)]
        rows.sort(key=lambda r: r.id, reverse=True)
        for column in ("completed_at", "updated_at", self.order_by):  # the last sort decides first
            rows.sort(key=lambda r: moment(getattr(r, column)) or NEVER, reverse=True)
        return rows

    def later(self, line: Line, chosen: Model, *states: str) -> list[Model]:
        """Rows in these states that started no earlier, newest first, undated ones last."""

        found = []
        for row in self.rows:
            if (
                self.belongs(row, line)
                and (row.training_status or "").strip(TRIMMED).lower() in states
                and self.counts(row)
            ):
                mine, its = started(row), started(chosen)
                if mine is None or its is None or not mine < its:
                    found.append(row)
        found.sort(key=lambda r: (started(r) or NEVER, r.id), reverse=True)
        return found

    def open(self, line: Line, chosen: Model | None) -> Model | None:
        """The newest row that has come to nothing yet and is newer than the one that counts, whatever its age."""
        found = []
        for row in self.rows:
            word = (row.training_status or "").strip(TRIMMED).lower()
            nothing = word in IN_PROGRESS or word in FAILED or blank(row.replicate_version_id)
            done = row.training_status == "completed"
            if not self.belongs(row, line) or done or not self.counts(row) or not nothing:
                continue
            if chosen:
                mine, its = started(row), started(chosen)
                last, its_last = began(row), began(chosen)
                older = mine is not None and its is not None and mine < its
                if older and not (last and its_last and last > its_last):
                    continue
            found.append(row)
        return max(found, key=lambda r: (began(r) or NEVER, r.id), default=None)

    def is_fresh(self, row: Model) -> bool:
        at = began(row)
        in_progress = (row.training_status or "").strip(TRIMMED).lower() in IN_PROGRESS
        return in_progress and at is not None and at > NOW - timedelta(hours=6)

    def unfinished(self, line: Line, chosen: Model | None) -> Model | None:
        row = self.open(line, chosen)
        return None if row is None or self.is_fresh(row) else row

    def records(self) -> list[ModelRecord]:
        lines = {line: user for user in self.users for line in self.lines(user)}
        chosen = {line: self.completed(line)[0] for line in lines if self.completed(line)}
        opened = {line: self.open(line, chosen.get(line)) for line in lines}
        found = []
        for line, user in lines.items():
            row = self.unfinished(line, chosen.get(line))
            newer = self.newer(user, row, chosen, opened) if row else None
            if line in chosen:
                found.append(self.record(user, line, chosen, newer))
            elif newer:
                found.append(newer)

        def place(record: ModelRecord) -> tuple[Any, ...]:
            model = record.replicate_model_id
            own = (model is None, model or "", record.model_row_id)
            return record.email is None, record.email or "", record.user_id, *own

        return sorted(found, key=place)

    def newer(self, user: User, row: Model, chosen: dict[Line, Model], opened: dict[Line, Model | None]) -> ModelRecord:
        key = lower_case(row.replicate_model_id)
        others = {
            other.user_id
            for rows in (chosen, opened)
            for other, its in rows.items()
            if its and other.user_id != user.id and key and lower_case(its.replicate_model_id) == key
        }
        at = began(row)
        return ModelRecord(
            **self.of_row(user, row),
            began_at=at.isoformat().replace("+00:00", "Z") if at else None,
            unfinished=True,
            shared_with=tuple(sorted(others)[:SHARED_SHOWN]),
            shared_with_count=len(others),
        )

    def of_row(self, user: User, row: Model) -> dict[str, Any]:
        return {
            "user_id": user.id,
            "email": user.email,
            "display_name": None,
            "model_row_id": str(row.id),
            "training_status": row.training_status,
            "is_test": bool(row.is_test),
            "replicate_model_id": row.replicate_model_id,
            "replicate_version_id": row.replicate_version_id,
            "lora_weights_url": row.lora_weights_url,
            "failure_reason": row.failure_reason,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "completed_at": row.completed_at,
            "started_at": row.started_at,
        }

    def record(self, user: User, line: Line, everybodys: dict[Line, Model], newer: ModelRecord | None) -> ModelRecord:
        row = everybodys[line]
        completed = self.completed(line)
        failed = self.later(line, row, *FAILED)
        key = lower_case(row.replicate_model_id)
        others = {
            other.user_id
            for other, its in everybodys.items()
            if other.user_id != user.id and key and lower_case(its.replicate_model_id) == key
        }
        return ModelRecord(
            **self.of_row(user, row),
            newer=newer,
            older_completed=len(completed) - 1,
            other_models=len({lower_case(each.replicate_model_id) for each in completed} - {key, ""})
            if len(completed) > 1
            else None,
            undated_rows=sum(getattr(r, self.order_by) is None for r in completed),
            retraining_in_progress=bool(self.later(line, row, *IN_PROGRESS)),
            later_training_failed=bool(failed),
            later_failure_reason=failed[0].failure_reason if failed else None,
            shared_with=tuple(sorted(others)[:SHARED_SHOWN]),
            shared_with_count=len(others),
        )

    def population(self) -> Population:
        ids = {user.id for user in self.users}
        whole = replace(self, latest_per="user")
        per_user = [whole.completed(Line(user.id)) for user in self.users]
        all_completed = [row for row in self.rows if row.training_status == "completed"]
        statuses = Counter(row.training_status or "(null)" for row in self.rows)
        counted = [row for rows in per_user for row in rows]
        versions = [row.replicate_version_id for row in counted if not blank(row.replicate_version_id)]
        lines = {line: self.completed(line) for user in self.users for line in self.lines(user)}
        open_lines = {line: rows for line, rows in lines.items() if self.unfinished(line, next(iter(rows), None))}
        open_users = {line.user_id for line in open_lines}
        unfinished = [rows for user, rows in zip(self.users, per_user, strict=True) if user.id in open_users]
        completed_lines = sum(map(bool, lines.values()))
        models = [{lower_case(row.replicate_model_id) for row in rows} - {""} for rows in per_user]
        counted_apart = {
            "completed_lines": completed_lines,
            "unfinished_only_lines": sum(not rows for rows in open_lines.values()),
        }
        return Population(
            users=len(self.users),
            users_with_completed_model=sum(bool(rows) for rows in per_user),
            completed_models=sum(map(len, per_user)),
            users_with_several_completed_models=sum(len(rows) > 1 for rows in per_user),
            completed_models_hidden=len(counted) - completed_lines,
            users_with_several_models=sum(len(each) > 1 for each in models),
            **({} if self.latest_per == "user" else counted_apart),
            completed_without_model_id=sum(blank(row.replicate_model_id) for rows in per_user for row in rows),
            test_models_left_out=sum(row.user_id in ids and not self.counts(row) for row in all_completed),
            models_without_user=sum(row.user_id not in ids for row in all_completed),
            users_with_unfinished_training=len(unfinished),
            users_with_unfinished_only=sum(not rows for rows in unfinished),
            completed_with_weights=sum(not blank(row.lora_weights_url) for row in counted),
            completed_with_version=len(versions),
            completed_qualified=sum(version == "acme/x:ab" for version in versions),
            training_status=dict(sorted(statuses.items(), key=lambda item: (-item[1], item[0]))),
        )


GENERATED = given(
    rows=st.lists(models, max_size=5) | st.lists(models, min_size=15, max_size=30),
    users=st.sampled_from([EVERYBODY, EVERYBODY, EVERYBODY, EVERYBODY[:2], []]),
    ids=st.randoms(use_true_random=False),
    order_by=st.sampled_from(["updated_at", "completed_at", "created_at"]),
    filters=st.builds(Filters, include_tests=st.booleans()),
    latest_per=st.sampled_from(["user", "model", "row"]),
)
ON_ONE_DATABASE = [HealthCheck.function_scoped_fixture]


async def obeys(  # noqa: PLR0917 - hypothesis passes by name
    tables: str,
    rows: list[Model],
    users: list[User],
    ids: Any,
    order_by: OrderBy,
    filters: Filters,
    latest_per: LatestPer,
) -> None:
    numbers = ids.sample(range(1, 100), len(rows))
    rows = [replace(row, id=number) for row, number in zip(rows, numbers, strict=True)]
    await execute(tables, "TRUNCATE users, user_models")
    await insert(tables, "users", [vars(user) for user in users])
    await insert(tables, "user_models", [vars(row) for row in rows])

    records, population = await read(tables, order_by=order_by, filters=filters, latest_per=latest_per)

    obvious = Obvious(users, rows, order_by, filters.include_tests, latest_per)
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
