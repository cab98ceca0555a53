"""The demo's users: the scenarios with ids, hashes and dates, as database rows and as a world on Replicate."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from audit.demo.database import ModelRow, UserRow
from audit.demo.fake_replicate.world import FakeTraining, Model, SmallWorld, training_id, version_hash, weights_url
from audit.demo.scenarios import ACCOUNT, SCENARIOS, FurtherRow, Scenario
from audit.model.replies import Account, Version

_TRAINED_BY_US = frozenset(("completed", "Completed", "succeeded"))
_TRIGGER_WORD = "TOK"
_WITHOUT_RESULT = frozenset(("starting", "processing", "failed", "canceled", "aborted"))
_STATUS_OF_TRAINING = {"pending": "starting", "training": "processing", "processing": "processing", "failed": "failed"}


class DemoUsers(msgspec.Struct, frozen=True):
    """What is in both servers."""

    users: tuple[UserRow, ...]
    """In the order of `SCENARIOS`."""
    rows: tuple[ModelRow, ...]
    world: SmallWorld


def users_at(now: datetime) -> DemoUsers:
    """The demo's users as they are at `now`; for the same `now`, which has a time zone, always the very same."""
    demo_users = [_DemoUser(scenario, now.astimezone(UTC)) for scenario in SCENARIOS]
    rows = [row for each in demo_users for row in each.rows()]
    account = Account(type="organization", username=ACCOUNT)
    models = [each.model() for each in demo_users if each.scenario.exists]
    trainings = {training.id: training for each in demo_users for training in each.trainings()}
    return DemoUsers(
        users=tuple(each.user for each in demo_users),
        rows=tuple(row._replace(id=number) for number, row in enumerate(rows, 1)),
        world=SmallWorld(account, models, trainings.values(), dict.fromkeys(_kept(demo_users), 206)),
    )


def _kept(demo_users: Iterable["_DemoUser"]) -> Iterator[str]:
    """Paths of the weights that are there."""
    for each in demo_users:
        for row in () if each.scenario.weights_gone else each.rows():
            yield urlsplit(row.lora_weights_url or "").path.removeprefix("/")


class _DemoUser:
    """One user at `now`."""

    def __init__(self, scenario: Scenario, now: datetime) -> None:
        self.scenario = scenario
        self._now = now
        self.user = _user(scenario)
        self._name = scenario.model_name or f"user-{self.user.id[:8]}-selfie-lora"
        self._model_id = f"{scenario.owner}/{self._name}"
        # Those who share a model share its versions.
        self._hashes = [version_hash(f"{scenario.id_begins or scenario.name} {days:g}") for days in scenario.versions]
        self._moments = [_moment(now, days, seed) for days, seed in zip(scenario.versions, self._hashes, strict=True)]

    def model(self) -> Model:
        """What Replicate has."""
        scenario = self.scenario
        return Model(
            owner=scenario.owner,
            name=self._name,
            versions=tuple(Version(h, _text(m)) for h, m in zip(self._hashes, self._moments, strict=True)),
            public=scenario.public,
            lists_versions=scenario.lists_versions,
            faults=scenario.faults,
        )

    def rows(self) -> Iterator[ModelRow]:
        """The row that counts, if there is one, and the others; ids are still to be given."""
        if self.scenario.status is not None:
            yield self._row()
        for further in self.scenario.further:
            yield self._further_row(further)

    def trainings(self) -> Iterator[FakeTraining]:
        """Every training of this user on our account: one per version, and those without a result."""
        scenario = self.scenario
        if scenario.owner != ACCOUNT:
            return
        if scenario.status in _TRAINED_BY_US or scenario.reason:
            for digest, moment in list(zip(self._hashes, self._moments, strict=True))[int(scenario.by_hand) :]:
                yield self._training("succeeded", moment, training_id(digest), digest)
        own = [scenario.status] if scenario.status is not None else []
        outcomes = [_STATUS_OF_TRAINING.get(status) for status in own]
        outcomes += [each.outcome or _STATUS_OF_TRAINING.get(each.status) for each in scenario.further]
        for row, outcome in zip(self.rows(), outcomes, strict=True):
            if outcome in _WITHOUT_RESULT and row.training_id and row.created_at:
                yield self._training(outcome, row.created_at, row.training_id, error=row.failure_reason)

    def _row(self) -> ModelRow:
        scenario = self.scenario
        place = scenario.recorded if isinstance(scenario.recorded, int) else 0
        moment = self._moments[place] if self._moments else self._now - timedelta(days=20)
        recorded = (
            self._hash(scenario.recorded) if isinstance(scenario.recorded, int) else self._filled(scenario.recorded)
        )
        row = self._dated(
            scenario.status or "", moment, recorded and (recorded.upper() if scenario.upper else recorded)
        )
        if scenario.edited_days is not None:
            row = row._replace(updated_at=self._now - timedelta(days=scenario.edited_days))
        made_by = self._hashes[place] if self._hashes else scenario.name
        row = row._replace(training_id=training_id(made_by), lora_weights_url=weights_url(made_by))
        return row._replace(**self._changes(scenario.row))

    def _further_row(self, further: FurtherRow) -> ModelRow:
        digest = self._hash(further.recorded)
        row = self._dated(further.status, self._now - timedelta(days=further.days), digest)
        if digest:
            row = row._replace(training_id=training_id(digest), lora_weights_url=weights_url(digest))
        if further.outcome == "succeeded":
            row = row._replace(training_id=training_id(self._hashes[0]))
        return row._replace(**self._changes(further.row))

    def _dated(self, status: str, moment: datetime, recorded: str | None) -> ModelRow:
        ended = status in _TRAINED_BY_US or status == "failed"
        first_name = self.scenario.name.partition(" ")[0]
        return ModelRow(
            id=0,
            user_id=self.user.id,
            training_status=status,
            replicate_model_id=self._model_id,
            replicate_version_id=recorded,
            updated_at=moment + timedelta(seconds=9),
            completed_at=moment + timedelta(seconds=7) if ended else None,
            created_at=moment - timedelta(minutes=21),
            training_id=training_id(f"{self.scenario.name} {status} {moment - self._now}"),
            trigger_word=_TRIGGER_WORD,
            lora_scale=Decimal(1),
            lora_weights_url=None,
            model_name=f"{first_name} selfie",
            display_name=self.user.display_name,
            started_at=moment - timedelta(minutes=20, seconds=30),
        )

    def _training(
        self, status: str, moment: datetime, number: str, digest: str | None = None, error: str | None = None
    ) -> FakeTraining:
        ended = status in ("succeeded", "failed")
        return FakeTraining(
            id=number,
            destination=self._model_id,
            status=status,
            created_at=_text(moment - timedelta(minutes=20)),
            completed_at=_text(moment + timedelta(seconds=5)) if ended else None,
            output_version=digest,
            trigger_word=_TRIGGER_WORD,
            error=error,
        )

    def _hash(self, place: int | None) -> str | None:
        return self._hashes[place] if place is not None and place < len(self._hashes) else None

    def _changes(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._filled(value) if isinstance(value, str) else value for name, value in columns.items()}

    def _filled(self, text: str | None) -> str | None:
        return text and text.format(
            *self._hashes, model=self._model_id, name=self._name, weights=list(map(weights_url, self._hashes))
        )


def _user(scenario: Scenario) -> UserRow:
    digest = hashlib.sha256(f"user {scenario.name}".encode()).hexdigest()
    digest = scenario.id_begins + digest[len(scenario.id_begins) :]
    user_id = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
    domain = "example.org" if int(digest[31], 16) % 3 == 0 else "example.com"
    email = f"{scenario.name.lower().replace(' ', '.')}@{domain}" if scenario.email == "" else scenario.email
    return UserRow(user_id, email, scenario.name if scenario.shown_name == "" else scenario.shown_name)


def _moment(now: datetime, days: float, seed: str) -> datetime:
    """So many days ago, less up to six hours that follow from the seed: nobody trains at midnight sharp."""
    return now.replace(microsecond=0) - timedelta(
        days=days, seconds=int(seed[:4], 16) % 21_600, microseconds=1 + int(seed[4:8], 16)
    )


def _text(moment: datetime) -> str:
    """As Replicate writes times: always with microseconds."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
