"""What every format tells of rows that are not completed, of the completed ones beside them, and since when."""

import csv
import io
import json
from typing import Any

import pytest
from msgspec.structs import replace

from audit.findings.redaction import redacted_user
from audit.hints.unfinished import age, also_facts, brief, brief_also, row_facts
from audit.model.codes import NoLine, Note, Reason
from audit.model.replies import TrainingsRead
from audit.model.run import Filters, RunInfo
from audit.model.tables import Column, Tables
from audit.report import words
from audit.report.view import RunView
from audit.report.writer import FORMATS, renderer
from tests.support.report_samples import (
    INFO,
    POPULATION,
    SampleRun,
    newest_rows,
    outdated,
    uncompared,
    unfinished,
    up_to_date,
    version_hash,
)

NOW = INFO.started_at
BOTH = unfinished(7, Reason.TRAINING_NOT_RECORDED, outdated(7, behind=2))
WEIGHTS = "https://replicate.delivery/xezq/new-7/flux-lora.tar"


def rendered(name: str, run: SampleRun, *, redact: bool = False) -> str:
    out = io.BytesIO()
    renderer(name)(RunView(run, redact=redact), out)
    return out.getvalue().decode()


def document(run: SampleRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rendered("json", run))
    return found


def lines(run: SampleRun) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(rendered("csv", run))))


def test_a_row_is_told_with_its_status_and_age_its_training_and_what_that_made() -> None:
    assert row_facts(BOTH, NOW) == [
        ("Newest row", "new-7"),
        ("It says", "training"),
        ("Since", "2026-02-03 10:00 (26 days before this run)"),
        ("Its training", "trained-7"),
        ("Version that it made", version_hash((7, "new"))),
        ("Weights that it made", WEIGHTS),
    ]
    assert brief(BOTH, NOW) == (
        "row new-7 says training since 2026-02-03 10:00 (26 days before this run); training trained-7; "
        f"version {version_hash((7, 'new'))}; weights {WEIGHTS}"
    )


def test_of_what_is_not_known_it_is_said_that_it_is_not() -> None:
    user = unfinished(1, Reason.FAILURE_NOT_RECORDED, began_at=None, training_status=None, training_id=None)
    assert row_facts(user, NOW)[1:] == [
        ("It says", "(null)"),
        ("Since", "not known"),
        ("Its training", "none stored"),
    ]
    assert brief(user, NOW) == "row new-1 says (null), since when is not known"


def test_why_a_row_says_that_it_failed_is_told() -> None:
    user = unfinished(1, Reason.VERSION_LOST, failure_reason="CUDA out of memory")
    assert ("It failed because", "CUDA out of memory") in row_facts(user, NOW)


def test_the_completed_row_beside_it_is_told_too() -> None:
    also = dict(also_facts(BOTH))
    assert also["Finding"] == "Outdated version (outdated_version)"
    assert (also["Completed row"], also["Stored version"]) == ("7", version_hash((7, 2)))
    assert brief_also(BOTH) == "completed row: outdated version"


@pytest.mark.parametrize("user", [up_to_date(1), outdated(2)], ids=["up to date", "outdated"])
def test_of_a_completed_row_nothing_of_the_kind_is_told(user: Any) -> None:
    assert (row_facts(user, NOW), also_facts(user), brief(user, NOW), brief_also(user)) == ([], [], "", "")


@pytest.mark.parametrize(
    ("days", "text"),
    [(0.01, "less than an hour"), (0.05, "1 hour"), (0.99, "23 hours"), (1, "1 day"), (1200.7, "1,200 days")],
)
def test_an_age_is_told_in_hours_or_days(days: float, text: str) -> None:
    assert age(days) == text


def test_json_has_the_row_and_what_is_wrong_with_the_completed_one() -> None:
    user = document(SampleRun([BOTH]))["users"][0]
    assert (user["row_status"], user["started_at"], user["began_at"]) == ("training", *["2026-02-03T10:00:00Z"] * 2)
    assert user["affected_since"] == "2026-02-03T10:41:00Z"
    assert user["also"] == {
        "reason": "outdated_version",
        "model_row_id": "7",
        "replicate_model_id": "acme/user-00007-selfie-lora",
        "current_version": version_hash((7, 2)),
        "latest_version": version_hash((7, 0)),
        "latest_version_created_at": "2026-02-20T10:00:00Z",
        "versions_behind": 2,
        "affected_since": "2025-07-01T10:00:00Z",
    }


def test_json_counts_them_beside_all_other_counts() -> None:
    summary = document(SampleRun(newest_rows()))["summary"]
    assert summary["also"] == {"no_version_recorded": 1, "outdated_version": 1}
    assert summary["total"] == sum(summary["reasons"].values()) == len(newest_rows())
    assert document(SampleRun([outdated(1)]))["summary"]["also"] == {}


def test_csv_has_columns_for_them() -> None:
    both, fine = lines(SampleRun([BOTH, up_to_date(8, training_status="completed")]))
    names = ("affected_since", "row_status", "weights_checked", "also", "coverage")
    assert [both[name] for name in names] == ["2026-02-03 10:41:00", "training", "", "outdated_version", "2/431"]
    assert [fine[name] for name in names] == ["", "completed", "", "", "2/431"]


@pytest.mark.parametrize("name", ["html", "md", "junit"])
def test_formats_for_people_show_row_training_version_weights_and_the_completed_row(name: str) -> None:
    text = rendered(name, SampleRun([BOTH]))
    for said in ("new-7", "26 days before this run", "trained-7", version_hash((7, "new")), WEIGHTS):
        assert said in text
    assert "outdated version" in text.lower()


@pytest.mark.parametrize("name", FORMATS)
def test_redaction_leaves_no_trace_of_address_or_name(name: str) -> None:
    personal: Any = {"email": "anna@example.com", "display_name": "Anna Berg", "failure_reason": "Anna Berg again"}
    completed = outdated(7, **personal, model_name="Anna Berg", replicate_model_id="acme/anna@example.com")
    user = unfinished(7, Reason.TRAINING_NOT_RECORDED, completed, **personal, training_id="for anna@example.com")
    text = rendered(name, SampleRun([user]), redact=True)
    assert "anna@example.com" not in text
    assert "Anna Berg" not in text


def test_redaction_masks_the_completed_row_and_the_newer_one_as_well() -> None:
    record = replace(up_to_date(1).record, newer=unfinished(1, Reason.VERSION_LOST).record)
    counting, newer = redacted_user(BOTH).counting, redacted_user(replace(up_to_date(1), record=record)).record.newer
    assert counting
    assert newer
    assert (counting.email, newer.email) == ("u***@***", "u***@***")


READ = TrainingsRead(mode="versions", began_at="2026-03-01T12:00:01Z", complete=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "--check-weights"),
        ({"check_weights": True}, "--trainings"),
        ({"trainings": READ}, None),
        ({"missing_columns": (Column.LORA_WEIGHTS_URL,)}, None),
        ({"tables": Tables(weights="ignore")}, None),
    ],
    ids=["not read", "only asked for", "read", "no column", "nobody's business"],
)
def test_where_weights_were_not_checked_it_says_so_and_how_to(changes: dict[str, Any], said: str | None) -> None:
    run = SampleRun([up_to_date(1)], replace(INFO, **changes))
    text = words.weights_unchecked(RunView(run))
    assert bool(text) is bool(said)
    if said:
        assert text.endswith(f"run {said}.")
        assert text in rendered("md", run).replace("\\", "")
        assert text in rendered("html", run)


def test_who_has_not_been_affected_since_a_known_day_is_said_to_be_so() -> None:
    text = rendered("md", SampleRun([uncompared(1, Reason.UNKNOWN_VERSION, "ab" * 32)]))
    assert "| not known |" in text
    page = rendered("html", SampleRun([uncompared(1, Reason.UNKNOWN_VERSION, "ab" * 32)]))
    assert "<dt>Affected since</dt><dd>not known</dd>" in page


@pytest.mark.parametrize("name", ["html", "md", "json", "junit"])
@pytest.mark.parametrize(
    "info",
    [replace(INFO, filters=Filters(limit=3)), replace(INFO, filters=Filters(users=("a",)))],
    ids=["--limit", "--user"],
)
def test_every_format_says_how_many_of_all_were_checked(name: str, info: RunInfo) -> None:
    text = rendered(name, SampleRun([up_to_date(1, notes=(Note.SHARED_MODEL,))], info))
    told = {
        "json": '"coverage": {\n      "users": 2310,\n      "eligible": 431,\n      "checked": 1\n    }',
        "md": "This run checked only 1 of 431 users",
        "junit": '<property name="run.coverage.checked" value="1"/>',
    }
    assert told.get(name, "1 of 431 users checked") in text


@pytest.mark.parametrize("name", ["html", "md", "json"])
def test_who_is_in_no_line_is_counted_in_the_population(name: str) -> None:
    people = replace(POPULATION, users_with_unfinished_training=40, users_with_unfinished_only=12)
    text = rendered(name, SampleRun([up_to_date(1)], INFO, people, absent={NoLine.REALLY_FAILED: 5}))
    assert (
        '"without_line": {\n      "really_failed": 5\n    }' if name == "json" else "no version on Replicate"
    ) in text
