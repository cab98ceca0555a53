"""The demo's users: what is in the tables, on Replicate and in the expected findings has to fit together."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from audit.demo.database import ModelRow, UserRow, load
from audit.demo.scenarios import ACCOUNT, SCENARIOS
from audit.demo.users import DemoUsers, users_at
from audit.findings.classify import RunContext, classify
from audit.model.codes import Note, Reason
from audit.model.ids import askable_model
from audit.model.replies import Failed, Found
from audit.model.users import TRIMMED, ModelRecord
from tests.support.expected_findings import expected_findings
from tests.support.synthetic_users import SyntheticUsers
from tests.support.truth import truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEMO = users_at(NOW)
EXPECTED = expected_findings(DEMO)
SHOWS = {user.id: scenario.shows for user, scenario in zip(DEMO.users, SCENARIOS, strict=True)}


def test_every_reason_but_stopped_and_every_note_is_shown() -> None:
    reasons = {reason for reason, _ in expected_findings(DEMO, check_weights=True).values()}
    assert reasons == set(Reason) - {Reason.STOPPED, Reason.EVIDENCE_DISAGREES, Reason.UNREADABLE_ROW}
    assert {note for _, notes in EXPECTED.values() for note in notes} == set(Note)


def test_the_same_moment_gives_the_same_users_and_another_moment_the_same_findings() -> None:
    again, later = users_at(NOW), users_at(NOW + timedelta(days=500, seconds=1.5))
    assert (again.users, again.rows) == (DEMO.users, DEMO.rows)
    assert list(again.world.trainings) == list(DEMO.world.trainings)
    assert (later.users, expected_findings(later)) == (DEMO.users, EXPECTED)
    assert later.rows != DEMO.rows


def test_ids_and_emails_are_unique_and_every_row_has_a_user() -> None:
    ids = [user.id for user in DEMO.users]
    emails = [user.email for user in DEMO.users if user.email]
    assert len(set(ids)) == len(ids)
    assert len(set(emails)) == len(emails)
    assert {row.user_id for row in DEMO.rows} <= set(ids)
    assert all(email.endswith(("@example.com", "@example.org")) for email in emails)
    assert set(EXPECTED) <= set(ids)


def test_nothing_lies_in_the_future() -> None:
    dates = [date for row in DEMO.rows for date in (row.created_at, row.updated_at, row.completed_at) if date]
    assert max(dates) <= NOW
    assert all(datetime.fromisoformat(training.created_at) <= NOW for training in DEMO.world.trainings)


def counting_rows(data: DemoUsers) -> dict[str, ModelRow]:
    """The contract's choice of one row per user, in the slowest and most obvious way."""
    chosen: dict[str, ModelRow] = {}
    never = datetime.min.replace(tzinfo=UTC)
    for row in sorted(data.rows, key=lambda row: (row.updated_at or never, row.completed_at or never, row.id)):
        if row.training_status == "completed" and not row.is_test:
            chosen[row.user_id] = row
    return chosen


def record(data: DemoUsers, row: ModelRow, chosen: dict[str, ModelRow]) -> ModelRecord:
    """What a reader of the tables would say about a user, again the slow way."""
    others = [other for other in data.rows if other.user_id == row.user_id and other.id != row.id]
    completed = [other for other in others if other.training_status == "completed" and not other.is_test]
    later = [other for other in others if other.created_at and row.created_at and other.created_at > row.created_at]
    model = (row.replicate_model_id or "").strip(TRIMMED)
    shared = [
        other.user_id
        for other in chosen.values()
        if other.user_id != row.user_id and model and (other.replicate_model_id or "").strip(TRIMMED) == model
    ]
    user = next(user for user in data.users if user.id == row.user_id)
    return ModelRecord(
        user_id=user.id,
        email=user.email,
        display_name=user.display_name,
        model_row_id=str(row.id),
        replicate_model_id=row.replicate_model_id,
        replicate_version_id=row.replicate_version_id,
        trigger_word=row.trigger_word,
        lora_scale=None if row.lora_scale is None else str(row.lora_scale),
        lora_weights_url=row.lora_weights_url,
        created_at=None,
        updated_at=None,
        completed_at=None,
        older_completed=len(completed),
        undated_rows=sum(other.updated_at is None for other in (row, *completed)),
        retraining_in_progress=any(other.training_status in ("pending", "processing", "training") for other in later),
        later_training_failed=any(other.training_status == "failed" for other in later),
        shared_with=tuple(shared),
        shared_with_count=len(shared),
    )


OF_TRAININGS = {
    Note.UNRECORDED_TRAINING,
    Note.WEIGHTS_URL_OF_ANOTHER_VERSION,
    Note.TRIGGER_WORD_DIFFERS,
    Note.VERSION_MADE_BY_HAND,
}
"""What versions alone do not tell."""
BEYOND = {
    Reason.TRAINING_NOT_RECORDED,
    Reason.FAILURE_NOT_RECORDED,
    Reason.VERSION_LOST,
    Reason.TRAINING_NOT_FOUND,
    Reason.WRONG_WEIGHTS,
}
"""Neither do the completed row and its model's versions."""


def test_the_rows_and_the_world_lead_to_the_expected_findings() -> None:
    chosen = counting_rows(DEMO)
    context = RunContext(account=DEMO.world.account)
    findings = {}
    for user_id, row in chosen.items():
        model = askable_model(row.replicate_model_id)
        reply = truth(DEMO.world, model) if model else Failed(Reason.BAD_RESPONSE, "never asked")
        finding = classify(record(DEMO, row, chosen), reply, context)
        findings[user_id] = (finding.reason, frozenset(finding.notes))
    assert {SHOWS[each]: found for each, found in findings.items() if EXPECTED[each][0] not in BEYOND} == {
        SHOWS[each]: (reason, notes - OF_TRAININGS)
        for each, (reason, notes) in EXPECTED.items()
        if reason not in BEYOND
    }


def test_somebody_is_200_days_behind_and_somebody_one_version() -> None:
    behind = {}
    for row in counting_rows(DEMO).values():
        model = askable_model(row.replicate_model_id)
        reply = truth(DEMO.world, model) if model else None
        if EXPECTED[row.user_id][0] is Reason.OUTDATED_VERSION and isinstance(reply, Found):
            ids = [version.id for version in reply.versions]
            dates = [datetime.fromisoformat(version.created_at or "") for version in reply.versions]
            place = ids.index(row.replicate_version_id or "")
            behind[(max(dates) - dates[place]).days] = sum(date > dates[place] for date in dates)
    assert any(199 <= days <= 201 for days in behind)
    assert {1, 7} <= set(behind.values())


def test_recorded_versions_that_are_on_replicate_have_a_training_that_made_them() -> None:
    made_by = {training.output_version: training for training in DEMO.world.trainings if training.output_version}
    for row in DEMO.rows:
        training = made_by.get(row.replicate_version_id or "")
        guessed = row.lora_weights_url is None or "pbxt" in row.lora_weights_url or "Sven" in str(row.model_name)
        if training and training.destination == row.replicate_model_id and not guessed:
            assert (row.training_id, row.lora_weights_url) == (training.id, training.weights)
    assert {training.status for training in DEMO.world.trainings} == {"succeeded", "processing", "starting", "failed"}
    assert all(training.destination.startswith(f"{ACCOUNT}/") for training in DEMO.world.trainings)


def test_one_latest_version_was_made_by_no_training_and_others_by_one_that_was_not_recorded() -> None:
    made = {training.output_version for training in DEMO.world.trainings}
    recorded = {row.replicate_version_id for row in DEMO.rows}
    latest = set()
    for row in counting_rows(DEMO).values():
        model = askable_model(row.replicate_model_id)
        if model and model.startswith(ACCOUNT) and EXPECTED[row.user_id][0] is Reason.OUTDATED_VERSION:
            owner, name = model.split("/")
            of_world = DEMO.world.model(owner, name)
            assert of_world
            latest.add(of_world.versions[0].id)
    assert len(latest - made) == 1
    assert len((latest & made) - recorded) > 3


async def test_tables_are_loaded_as_they_are(database: str) -> None:
    await load(database, DEMO)
    connection = await asyncpg.connect(database)
    try:
        users = [UserRow(*user) for user in await connection.fetch("SELECT * FROM users")]
        columns = ", ".join(ModelRow._fields)
        rows = [ModelRow(*row) for row in await connection.fetch(f"SELECT {columns} FROM user_models ORDER BY id")]
        new_id = await connection.fetchval(
            "INSERT INTO user_models (user_id, training_status) VALUES ($1, 'pending') RETURNING id", users[0].id
        )
        indexed = await connection.fetchval("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%(user_id)'")
    finally:
        await connection.close()
    assert (sorted(users), rows) == (sorted(DEMO.users), list(DEMO.rows))
    assert new_id == len(rows) + 1
    assert indexed == 1


async def test_synthetic_users_are_loaded_by_copy(database: str) -> None:
    begun = time.monotonic()
    await load(database, SyntheticUsers(5_000))
    assert time.monotonic() - begun < 5
    connection = await asyncpg.connect(database)
    try:
        counts = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM users) AS users, count(*), count(DISTINCT user_id) FROM user_models"
        )
    finally:
        await connection.close()
    assert counts
    assert tuple(counts) == (5_000, 10_000, 5_000)


@pytest.mark.parametrize("oddities", [0.0, 0.1, 1.0])
def test_the_synthetic_users_rows_and_world_lead_to_its_findings(oddities: float) -> None:
    synthetic_users = SyntheticUsers(300, seed=5, oddities=oddities)
    chosen: dict[str, ModelRow] = {}
    for row in synthetic_users.rows:
        best = chosen.get(row.user_id)
        if not best or (row.updated_at and best.updated_at and row.updated_at > best.updated_at):
            chosen[row.user_id] = row
    for i, reason in enumerate(synthetic_users.reasons):
        row = chosen[synthetic_users.user_id(i)]
        model = askable_model(row.replicate_model_id)
        reply = truth(synthetic_users, model) if model else Failed(Reason.BAD_RESPONSE, "never asked")
        bare = ModelRecord(
            user_id=row.user_id,
            email=None,
            display_name=None,
            model_row_id=str(row.id),
            replicate_model_id=row.replicate_model_id,
            replicate_version_id=row.replicate_version_id,
            created_at=None,
            updated_at=None,
            completed_at=None,
        )
        assert classify(bare, reply, RunContext()).reason is reason


def test_synthetic_users_follow_the_seed_and_have_the_share_of_oddities_that_was_asked_for() -> None:
    first, same, other = SyntheticUsers(2_000), SyntheticUsers(2_000), SyntheticUsers(2_000, seed=2)
    assert list(first.rows) == list(same.rows)
    assert set(first.rows).isdisjoint(other.rows)
    odd = Counter(reason is not Reason.LATEST_VERSION for reason in SyntheticUsers(20_000).reasons)[True]
    assert 1_800 <= odd <= 2_200
