"""The JSON report against its schema, its readers and hostile text."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from msgspec.structs import replace

import audit.report
from audit.model.codes import LatestPer, Note, OrderBy, Reason, Status
from audit.model.replies import Training, WeightsAsked
from audit.model.run import Filters
from audit.model.tables import Column
from audit.model.trend import PastCounts
from audit.report.json_report import UserLine, render
from audit.report.view import RunView
from tests.support.report_hostile import HOSTILE, ids
from tests.support.report_samples import (
    POPULATION,
    SampleRun,
    anna,
    everything,
    narrowed,
    outdated,
    read,
    settled,
    trained,
    up_to_date,
    with_trainings,
)

SCHEMA = json.loads((Path(audit.report.__file__).parent / "schema-1.json").read_text())

PAST = PastCounts(run_id="a" * 32, started_at="2026-02-01T12:00:00Z", statuses=dict.fromkeys(Status, 3))


def rendered(run: SampleRun, *, redact: bool = False) -> bytes:
    out = io.BytesIO()
    render(RunView(run, redact=redact), out)
    return out.getvalue()


RUNS = {
    "everything": SampleRun(everything()),
    "nobody": SampleRun([]),
    "died early": SampleRun([], narrowed(state="running", finished_at=None, account=None), population=None),
    "narrowed": SampleRun(everything()[:3], narrowed(filters=Filters(users=("a",), limit=3), stop_reason="SIGINT")),
    "columns missing": SampleRun([], narrowed(missing_columns=("trigger_word", "is_test"))),
    "redacted": anna(),
    "with a trend": SampleRun(everything(), trend=(PAST, PAST)),
    "trainings": SampleRun(with_trainings(), read(mode="trainings", sample=1.0)),
    "weights": SampleRun([], narrowed(check_weights=True), weights=WeightsAsked(812, 3, 5)),
    "trainings incomplete": SampleRun([], read(complete=False, problem="503", back_to=None, since=None)),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_output_fits_the_schema(run: SampleRun) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    validator.validate(json.loads(rendered(run, redact=run is RUNS["redacted"])))


def unnamed_keys(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Keys of `value` that the schema allows but does not name."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null" and value is not None:
            yield from unnamed_keys(value, choice, path)
            return
    if isinstance(value, dict) and "additionalProperties" not in schema:
        properties = schema.get("properties", {})
        for key, inner in value.items():
            if key in properties:
                yield from unnamed_keys(inner, properties[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    for inner in value if isinstance(value, list) else ():
        yield from unnamed_keys(inner, schema["items"], f"{path}[]")


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_output_has_no_key_that_the_schema_does_not_name(run: SampleRun) -> None:
    assert list(unnamed_keys(json.loads(rendered(run)), SCHEMA, "$")) == []


def test_the_search_for_unnamed_keys_finds_one() -> None:
    report = json.loads(rendered(RUNS["everything"]))
    report["users"][0]["surprise"] = 1
    assert list(unnamed_keys(report, SCHEMA, "$")) == ["$.users[].surprise"]


@pytest.mark.parametrize(
    ("name", "values"),
    [("status", list(Status)), ("reason", list(Reason)), ("note", list(Note))],
    ids=["status", "reason", "note"],
)
def test_the_schema_knows_exactly_the_codes_of_the_program(name: str, values: list[str]) -> None:
    assert sorted(SCHEMA["$defs"][name]["enum"]) == sorted(values)


def test_the_schema_knows_the_run_fields_choices() -> None:
    properties = SCHEMA["$defs"]["run"]["properties"]
    assert properties["order_by"]["enum"] == list(get_args(OrderBy))
    assert properties["latest_per"]["enum"] == list(get_args(LatestPer))
    assert properties["missing_columns"]["items"]["enum"] == [column for column in Column if column.lost]


def test_every_user_has_every_key_in_the_contracts_order() -> None:
    report = json.loads(rendered(RUNS["everything"]))
    assert {tuple(user) for user in report["users"]} == {UserLine.__struct_fields__}
    assert SCHEMA["$defs"]["user"]["required"] == list(UserLine.__struct_fields__)


def test_each_user_stands_on_a_line_of_its_own() -> None:
    lines = rendered(RUNS["everything"]).decode().splitlines()
    users = [line for line in lines if line.startswith('    {"user_id"')]
    assert len(users) == len(everything())
    assert all(json.loads(line.rstrip(",")) for line in users)


def test_more_users_than_a_batch_come_out_once_each_and_valid() -> None:
    run = SampleRun([up_to_date(n) for n in range(401)])
    report = json.loads(rendered(run))
    assert [user["user_id"] for user in report["users"]] == [f"user-{n:05}" for n in range(401)]


def test_totals_are_the_sum_of_the_users() -> None:
    report = json.loads(rendered(RUNS["everything"]))
    summary = report["summary"]
    assert summary["total"] == sum(summary[status] for status in Status) == sum(summary["reasons"].values())
    assert summary["total"] == len(report["users"])
    assert report["population"]["training_status"] == POPULATION.training_status


def test_what_asking_for_weights_came_to_is_in_the_run_block() -> None:
    assert json.loads(rendered(RUNS["weights"]))["run"]["weights"] == {"asked": 812, "gone": 3, "not_told": 5}
    assert json.loads(rendered(RUNS["nobody"]))["run"]["weights"] is None


def test_words_of_training_status_that_mean_nothing_are_named_where_there_are_any() -> None:
    population = replace(POPULATION, training_status={"completed": 5, "Queued": 1, "archived": 3, "(null)": 1})
    report = json.loads(rendered(SampleRun([], population=population)))
    jsonschema.validate(report, SCHEMA)
    assert report["population"]["unknown_training_status"] == {"archived": 3}
    assert "unknown_training_status" not in json.loads(rendered(SampleRun([])))["population"]


def test_the_same_input_gives_the_same_bytes() -> None:
    assert rendered(SampleRun(everything())) == rendered(SampleRun(everything()))


@pytest.mark.parametrize("text", HOSTILE, ids=ids(HOSTILE))
def test_hostile_text_keeps_its_value_and_nothing_acts_on_a_reader(text: str) -> None:
    run = SampleRun([up_to_date(1, email=text, display_name=text, trigger_word=text, user_id="u")])
    raw = rendered(run)
    user = json.loads(raw)["users"][0]
    assert user["email"] == user["display_name"] == user["trigger_word"] == text
    acting = {c for c in raw.decode() if c != "\n" and (c < " " or c in "\x7f\u2028\u2029\u202e\u200f\ufeff\u061c")}
    assert not acting
    assert not any("\x80" <= c <= "\x9f" or "\u2066" <= c <= "\u2069" for c in raw.decode())


def test_the_trainings_behind_a_user_are_told_with_every_key() -> None:
    later = Training(id="tr-later", status="failed", error="no face")
    users = [
        trained(outdated(1), later, id="tr-new", weights="https://replicate.delivery/new"),
        settled(2),
        up_to_date(3),
    ]
    behind, same, without = json.loads(rendered(SampleRun(users, read())))["users"]
    assert behind["latest_training"] == {
        "id": "tr-new",
        "status": "succeeded",
        "weights": "https://replicate.delivery/new",
        "trigger_word": "TOK1",
        "error": None,
        "created_at": "2026-02-20T09:40:00.500000Z",
        "completed_at": "2026-02-20T10:00:05Z",
    }
    assert (behind["evidence"], behind["current_training"]) == ("versions", None)
    assert (behind["later_training"]["id"], behind["later_training"]["error"]) == ("tr-later", "no face")
    assert same["evidence"] == "training"
    assert same["current_training"] == same["latest_training"]
    assert same["latest_training"] is not None
    assert {without[name] for name in ("evidence", "current_training", "latest_training", "later_training")} == {None}


def test_how_far_trainings_were_read_is_in_the_run_block() -> None:
    users = [settled(1), settled(2), trained(outdated(3))]
    run = json.loads(rendered(SampleRun(users, read(mode="trainings", sample=2.5, unreadable=1))))["run"]
    assert list(run["trainings"]) == SCHEMA["$defs"]["trainings"]["required"]
    assert run["trainings"] == {
        "mode": "trainings",
        "since": "2025-10-31T08:00:00Z",
        "back_to": "2025-10-30T22:10:00Z",
        "began_at": "2026-03-01T12:00:01Z",
        "complete": True,
        "problem": None,
        "pages": 6,
        "read": 540,
        "unreadable": 1,
        "sample": 2.5,
        "users_settled": 2,
        "users_asked": 1,
    }
    assert json.loads(rendered(SampleRun(users)))["run"]["trainings"] is None


def test_redaction_leaves_no_trace_of_address_or_name() -> None:
    raw = rendered(anna(), redact=True).decode().casefold()
    assert "anna" in rendered(anna()).decode().casefold()
    assert "muster" not in raw
    assert "anna" not in raw
    assert "bert@" not in raw
    assert '"user-00007"' in raw
