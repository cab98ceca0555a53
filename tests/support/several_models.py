"""Users who have several models in use, in the plain tables, with what Replicate has of them and what must be said."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from audit.demo.fake_replicate.server import in_thread
from audit.demo.fake_replicate.world import FakeTraining, Model, SmallWorld, training_id, version_hash
from audit.model.codes import Reason
from audit.model.lines import Line
from audit.model.replies import Account, Version
from tests.support.audits import Servers, Shell, new_database
from tests.support.database_rows import MODELS, USERS, Row, execute, insert, model
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.shops import Shop

_BORN = datetime(2025, 3, 1, tzinfo=UTC)
PEOPLE: list[Row] = [
    {"id": "ann", "email": "ann@example.com", "display_name": "Ann"},
    {"id": "ben", "email": "ben@example.com", "display_name": "Ben"},
    {"id": "cleo", "email": "cleo@example.com", "display_name": None},
    {"id": "dora", "email": None, "display_name": None},
]
VERSIONS = {
    "acme/ann-cat": ("ann cat 2", "ann cat 1"),
    "acme/ann-dog": ("ann dog 2", "ann dog 1"),
    "acme/shared": ("shared 2", "shared 1"),
    "acme/ben": ("ben 2", "ben 1"),
    "acme/cleo-a": ("cleo a 2", "cleo a 1"),
    "acme/cleo-b": ("cleo b 1",),
    "acme/dora": ("dora 1",),
}
"""Newest first, by what their hashes are made of."""
OUTDATED, LATEST, NO_ID = Reason.OUTDATED_VERSION, Reason.LATEST_VERSION, Reason.MISSING_MODEL_ID
NOT_RECORDED = Reason.TRAINING_NOT_RECORDED
PER_USER: Mapping[Line, Reason] = {
    Line("ann"): LATEST,
    Line("ben"): OUTDATED,
    Line("cleo"): NOT_RECORDED,
    Line("dora"): LATEST,
}
PER_MODEL: Mapping[Line, Reason] = {
    Line("ann", "acme/ann-cat"): LATEST,
    Line("ann", "acme/ann-dog"): OUTDATED,
    Line("ann", "acme/shared"): LATEST,
    Line("ben", "acme/ben"): LATEST,
    Line("ben", "acme/shared"): OUTDATED,
    Line("cleo", "acme/cleo-a"): NOT_RECORDED,
    Line("cleo", "acme/cleo-b"): NOT_RECORDED,
    Line("dora", ""): NO_ID,
    Line("dora", "acme/dora"): LATEST,
}
PER_ROW: Mapping[Line, Reason] = {
    Line("ann", "1"): OUTDATED,
    Line("ann", "2"): LATEST,
    Line("ann", "3"): OUTDATED,
    Line("ann", "4"): LATEST,
    Line("ben", "5"): LATEST,
    Line("ben", "6"): OUTDATED,
    Line("cleo", "7"): OUTDATED,
    Line("cleo", "8"): NOT_RECORDED,
    Line("cleo", "9"): NOT_RECORDED,
    Line("dora", "10"): NO_ID,
    Line("dora", "11"): LATEST,
}
REPAIRED: Mapping[str, Mapping[str, str]] = {
    "user": {"9": version_hash("cleo b 1")},
    "model": {"3": version_hash("ann dog 2"), "8": version_hash("cleo a 2"), "9": version_hash("cleo b 1")},
    "row": {
        "1": version_hash("ann cat 2"),
        "3": version_hash("ann dog 2"),
        "7": version_hash("cleo a 2"),
        "8": version_hash("cleo a 2"),
        "9": version_hash("cleo b 1"),
    },
}
"""The versions that a repair writes, trainings that were not recorded included, by row: none of a shared model."""
FINDINGS = {"user": PER_USER, "model": PER_MODEL, "row": PER_ROW}
"""By what has a line."""


def _row(number: int, user: str, model_id: str | None, version: str | None, **changes: Any) -> dict[str, Any]:
    at = (_BORN + timedelta(days=number)).isoformat()
    made = {
        "replicate_version_id": version and version_hash(version),
        "training_id": training_id(f"row {number}"),
        "lora_weights_url": None,
    }
    plain = model(id=number, user_id=user, replicate_model_id=model_id, created_at=at, updated_at=at, completed_at=at)
    return plain | made | changes


ROWS = [
    _row(1, "ann", "acme/ann-cat", "ann cat 1"),
    _row(2, "ann", " acme/ann-cat", "ann cat 2"),
    _row(3, "ann", "acme/ann-dog", "ann dog 1"),
    _row(4, "ann", "acme/shared", "shared 2"),
    _row(5, "ben", "acme/ben", "ben 2"),
    _row(6, "ben", "acme/shared", "shared 1"),
    _row(7, "cleo", "acme/cleo-a", "cleo a 1"),
    _row(8, "cleo", "acme/cleo-a", None, training_status="training", completed_at=None),
    _row(9, "cleo", "acme/cleo-b", None, training_status="failed", completed_at=None),
    _row(10, "dora", None, "dora 1"),
    _row(11, "dora", "acme/dora", "dora 1"),
]
"""Cleo's eighth row has come to a version, and so has her ninth: the product knows of neither."""


def world() -> SmallWorld:
    """What Replicate has."""
    models = []
    for model_id, names in VERSIONS.items():
        owner, _, name = model_id.partition("/")
        dates = (_BORN + timedelta(days=200 - age) for age in range(len(names)))
        versions = (Version(version_hash(name), _text(date)) for name, date in zip(names, dates, strict=True))
        models.append(Model(owner=owner, name=name, versions=tuple(versions)))
    made = {8: ("acme/cleo-a", "cleo a 2"), 9: ("acme/cleo-b", "cleo b 1")}
    trainings = (
        FakeTraining(
            id=training_id(f"row {number}"),
            destination=destination,
            status="succeeded",
            created_at=_text(_BORN + timedelta(days=number)),
            completed_at=_text(_BORN + timedelta(days=200)),
            output_version=version_hash(version),
        )
        for number, (destination, version) in made.items()
    )
    return SmallWorld(Account("organization", "acme"), models, trainings)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@contextmanager
def opened(server: str, name: str, shell: Shell) -> Iterator[Shop]:
    """A shop of them in the database `name` of `server`, which is made anew; no run has been made."""
    dsn = asyncio.run(new_database(server, name))

    async def fill() -> None:
        await execute(dsn, USERS, MODELS)
        await insert(dsn, "users", PEOPLE)
        await insert(dsn, "user_models", ROWS)

    asyncio.run(fill())
    with in_thread(InstrumentedReplicate(world())) as fake:
        shell.environ = Servers(dsn, fake).environ
        yield Shop(server, dsn, shell)
