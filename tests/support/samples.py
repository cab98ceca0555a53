"""Records and hashes for tests, all defaults harmless."""

from hashlib import sha256
from typing import Any

import msgspec

from audit.model.codes import Reason
from audit.model.findings import AuditedUser, Finding
from audit.model.place import Place
from audit.model.replies import Found, Version
from audit.model.run import RunInfo
from audit.model.tables import COLUMNS, Column, ColumnTypes
from audit.model.users import ModelRecord, TrainingRow


def digest(name: str) -> str:
    """A version id that is the same for the same name."""
    return sha256(name.encode()).hexdigest()


OLD, NEW = digest("old"), digest("new")
_RECORD = ModelRecord(
    user_id="u1",
    email="ann@example.com",
    display_name="Ann",
    model_row_id="1",
    replicate_model_id="acme/ann",
    replicate_version_id=NEW,
    training_id="t1",
    trigger_word="TOK",
    lora_scale="1.0",
    lora_weights_url="https://replicate.delivery/xezq/AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCd/flux-lora.tar",
    created_at="2026-01-01T00:00:00Z",
    updated_at="2026-01-02T00:00:00Z",
    completed_at="2026-01-02T00:00:00Z",
)


def record(**changes: Any) -> ModelRecord:
    """A record without anything to remark, but for `changes`."""
    return msgspec.structs.replace(_RECORD, **changes)


def found(*ids: str) -> Found:
    """Versions in the API's order, a day apart, the first the newest."""
    versions = (Version(version, f"2026-03-{28 - i:02d}T00:00:00Z") for i, version in enumerate(ids))
    return Found(tuple(versions))


def finding(reason: Reason = Reason.LATEST_VERSION, **fields: Any) -> Finding:
    """A finding with nothing but its reason."""
    return Finding(reason=reason, **fields)


def place(**changes: str | None) -> Place:
    """Where the run of `run_info` was made."""
    known = Place(
        host="db.example.com",
        port="5432",
        database="shop",
        users="public.users",
        user_models="public.user_models",
        search_path="public",
        system="7",
    )
    return msgspec.structs.replace(known, **changes)


def outdated_users(count: int) -> list[AuditedUser]:
    """Users, each with a row and no weights, whose model has a newer version."""
    return [
        AuditedUser(
            record(user_id=f"u{n}", model_row_id=f"{n}", replicate_version_id=OLD, lora_weights_url=None),
            finding(Reason.OUTDATED_VERSION, latest_version=NEW),
        )
        for n in range(count)
    ]


def planned_run(**changes: Any) -> RunInfo:
    """A run that knows its tables well enough for SQL."""
    dates = ("updated_at", "completed_at", "created_at")
    models = {column: "timestamptz" if column in dates else "text" for column in COLUMNS["user_models"]}
    known = ColumnTypes(users=dict.fromkeys(COLUMNS["users"], "text"), user_models=models | {Column.IS_TEST: "bool"})
    return run_info(place=place(), columns=known, **changes)


def run_info(**changes: Any) -> RunInfo:
    """A run that has begun."""
    info = RunInfo(
        id="0" * 32,
        tool_version="0",
        started_at="2026-03-01T12:00:00Z",
        database="db.example.com/shop",
        base_url="https://api.replicate.com/v1",
    )
    return msgspec.structs.replace(info, **changes)


_ROW = TrainingRow(
    model_row_id="1",
    training_status="completed",
    replicate_model_id="acme/ann",
    replicate_version_id=NEW,
    training_id="t1",
    trigger_word="TOK",
    lora_scale="1.0",
    created_at="2026-01-01T00:00:00Z",
    updated_at="2026-01-02T00:00:00Z",
    completed_at="2026-01-02T00:00:00Z",
)


def training_row(**changes: Any) -> TrainingRow:
    """The row behind `record()`, but for `changes`."""
    return msgspec.structs.replace(_ROW, **changes)
