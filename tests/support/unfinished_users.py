"""Users whose newest row may have come to nothing, in every state that there is, and what must be said of each.

The oracle, `Expected`, is written from the rules as they are told to users (docs/reference/reasons.md), over plain rows
and plain facts of Replicate; it shares nothing with the program but the names of reasons.
"""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from audit.demo.database import ModelRow, UserRow
from audit.demo.fake_replicate.world import TRAINER, FakeTraining, Model, SmallWorld, training_id, weights_url
from audit.model.replies import Account, Version

OWNER = "acme"
STUCK_AFTER = timedelta(hours=6)
_IN_PROGRESS = ("training", "pending", "PROCESSING", " starting")
_FAILED = ("failed", "canceled", "error")


class Outcome(NamedTuple):
    """What a report must say of a user."""

    reason: str
    also: str | None = None


@dataclass
class Facts:
    """What there is: rows by user, versions by model, trainings by id. Times are aware."""

    now: datetime
    rows: dict[str, list[ModelRow]] = field(default_factory=lambda: defaultdict(list))
    models: dict[str, list[tuple[str, datetime]]] = field(default_factory=dict)
    """Versions with their dates, newest first; [] for a model without any."""
    trainings: dict[str, FakeTraining] = field(default_factory=dict)


class UnfinishedUsers:
    """`n` users, made from a seed."""

    def __init__(self, n: int, seed: int = 1) -> None:
        self.n = n
        self.facts = Facts(datetime.now(UTC).replace(microsecond=0))
        self._number = 0
        for i in range(n):
            self._make(i, random.Random(f"{seed} {i}"))

    @property
    def users(self) -> Iterator[UserRow]:
        """Every user."""
        for i in range(self.n):
            yield UserRow(_user(i), f"user{i}@example.com", None)

    @property
    def rows(self) -> Iterator[ModelRow]:
        """Every row."""
        for rows in self.facts.rows.values():
            yield from rows

    @cached_property
    def world(self) -> SmallWorld:
        """What Replicate has."""
        models = []
        for model_id, versions in self.facts.models.items():
            owner, _, name = model_id.partition("/")
            listed = tuple(Version(version, _text(made)) for version, made in versions)
            models.append(Model(owner=owner, name=name, versions=listed, public=owner != OWNER))
        return SmallWorld(Account("organization", OWNER), models, self.facts.trainings.values())

    def _make(self, i: int, dice: random.Random) -> None:
        now, facts = self.facts.now, self.facts
        own = f"{OWNER}/m{i}"
        completed = dice.choices(["none", "latest", "outdated", "blank", "gone", "trainer"], [30, 40, 12, 6, 6, 6])[0]
        kind = dice.choices(["none", "in_progress", "failed", "unknown", "null"], [20, 45, 25, 5, 5])[0]
        born = now - timedelta(days=dice.randint(40, 400))
        if completed not in {"none", "gone", "trainer"} or dice.random() < 0.4:
            facts.models.setdefault(own, [])
            for age in range(dice.randint(1, 3)):
                self._train(own, born + timedelta(days=10 * age, hours=1))
        if completed != "none":
            self._completed(i, own, completed, born, dice)
        if kind != "none":
            self._newer(i, own, kind, born, dice)
        if dice.random() < 0.1:  # an old row that came to nothing long before says nothing
            at = born - timedelta(days=30)
            self._row(i, "failed", own, None, at, at + timedelta(hours=1), started=at)
            if not any(row.training_status != "failed" for row in facts.rows[_user(i)]):
                facts.rows[_user(i)].pop()

    def _completed(self, i: int, own: str, kind: str, born: datetime, dice: random.Random) -> None:
        versions = self.facts.models.get(own, [])
        place = 0 if kind != "outdated" else min(1, len(versions) - 1)
        recorded = versions[place][0] if versions and kind != "blank" else None
        if kind in {"gone", "trainer"}:
            recorded = _digest(f"{own} gone")
        made = versions[place][1] if versions else born + timedelta(hours=1)
        model = {"gone": f"{OWNER}/gone{i}", "trainer": TRAINER}.get(kind, own)
        row = self._row(
            i, "completed", model, recorded, made - timedelta(minutes=20), made, started=made - timedelta(minutes=20)
        )
        if recorded and kind not in {"gone", "trainer"}:
            known = dict(versions)
            assert recorded in known
            self.facts.rows[_user(i)][-1] = row._replace(
                training_id=training_id(recorded), lora_weights_url=weights_url(recorded)
            )

    def _newer(self, i: int, own: str, kind: str, born: datetime, dice: random.Random) -> None:
        now, facts = self.facts.now, self.facts
        status = {
            "in_progress": dice.choice(_IN_PROGRESS),
            "failed": dice.choice(_FAILED),
            "unknown": "paused",
            "null": None,
        }[kind]
        age = dice.choice([timedelta(hours=1), timedelta(hours=5), timedelta(hours=10), timedelta(days=9)])
        began = now - age
        model = dice.choices([own, f"{OWNER}/n{i}", f"{OWNER}/shared{i // 2}", None, TRAINER], [50, 25, 10, 8, 7])[0]
        if model and model != TRAINER:
            facts.models.setdefault(model, [])
            fate = dice.choices(["nothing", "before", "after"], [40, 25, 35])[0]
            if fate == "before" and not facts.models[model]:
                self._train(model, born)
            if fate == "after":
                self._train(model, began + timedelta(minutes=30), listed=dice.random() < 0.7)
            if not facts.models[model] and dice.random() < 0.5:
                del facts.models[model]
        named = dice.choices(
            [None, "unknown", "succeeded", "no output", "processing", "failed", "canceled", "aborted"],
            [30, 10, 20, 4, 8, 14, 7, 7],
        )[0]
        number = None
        if named:
            number = self._named(i, model, named, began)
        stamped = dice.random() < 0.7
        created = began if stamped or dice.random() < 0.5 else began - timedelta(days=300)
        self._row(i, status, model, None, created, began, started=began if stamped else None, training=number)
        if dice.random() < 0.15 and facts.rows[_user(i)][0].training_status == "completed" and number:
            # the product has recorded in another row what the training made
            training = facts.trainings.get(number)
            if training and training.output_version:
                first = facts.rows[_user(i)][0]
                facts.rows[_user(i)][0] = first._replace(
                    replicate_version_id=training.output_version,
                    replicate_model_id=training.destination,
                    training_id=number,
                    lora_weights_url=training.weights,
                )

    def _named(self, i: int, model: str | None, what: str, began: datetime) -> str:
        number = training_id(f"newer {i}")
        if what == "unknown":
            return number
        destination = model if model and model != TRAINER else f"{OWNER}/d{i}"
        ended = None if what == "processing" else _text(began + timedelta(minutes=25))
        made = None
        if what in {"succeeded", "no output"}:
            made = _digest(f"newer {i}")
            self.facts.models.setdefault(destination, [])
            self._add_version(destination, made, began + timedelta(minutes=25))
        self.facts.trainings[number] = FakeTraining(
            id=number,
            destination=destination,
            status="succeeded" if made else what,
            created_at=_text(began + timedelta(seconds=5)),
            completed_at=ended,
            output_version=made if what == "succeeded" else None,
            error="out of memory" if what == "failed" else None,
        )
        return number

    def _train(self, model: str, at: datetime, *, listed: bool = True) -> None:
        made = _digest(f"{model} {at.isoformat()}")
        self._add_version(model, made, at)
        number = training_id(made)
        if listed:
            self.facts.trainings[number] = FakeTraining(
                id=number,
                destination=model,
                status="succeeded",
                created_at=_text(at - timedelta(minutes=15)),
                completed_at=_text(at + timedelta(seconds=5)),
                output_version=made,
            )

    def _add_version(self, model: str, version: str, at: datetime) -> None:
        versions = self.facts.models.setdefault(model, [])
        versions.append((version, at))
        versions.sort(key=lambda each: each[1], reverse=True)

    def _row(  # noqa: PLR0917 - a row
        self,
        i: int,
        status: str | None,
        model: str | None,
        version: str | None,
        created: datetime,
        updated: datetime,
        *,
        started: datetime | None,
        training: str | None = None,
    ) -> ModelRow:
        self._number += 1
        row = ModelRow(
            id=self._number,
            user_id=_user(i),
            training_status=status,  # type: ignore[arg-type]  # null in some products
            replicate_model_id=model,
            replicate_version_id=version,
            updated_at=updated,
            completed_at=updated if status == "completed" else None,
            created_at=created,
            training_id=training,
            trigger_word="TOK",
            lora_scale=None,
            lora_weights_url=None,
            started_at=started,
        )
        self.facts.rows[_user(i)].append(row)
        return row


@dataclass
class Expected:
    """What must be said of each user, from the rules alone."""

    facts: Facts
    requests: Counter[str] = field(default_factory=Counter)
    """Trainings and models that have to be asked for where no list is read: each once."""

    def outcomes(self) -> dict[str, Outcome]:
        """By user id; who is not there must be in no report."""
        found = {}
        for user in self.facts.rows:
            if outcome := self.outcome(user):
                found[user] = outcome
        return found

    def completed(self, user: str) -> ModelRow | None:
        rows = [row for row in self.facts.rows[user] if row.training_status == "completed"]
        return max(rows, key=lambda row: (row.updated_at, row.completed_at, row.id), default=None)

    @staticmethod
    def began(row: ModelRow) -> datetime:
        return row.started_at or max(filter(None, (row.created_at, row.updated_at, row.completed_at)))

    def newest(self, user: str) -> ModelRow | None:
        """The newest row that is newer than the completed one, or the only one."""
        completed = self.completed(user)
        rows = [row for row in self.facts.rows[user] if row.training_status != "completed"]
        if completed:
            rows = [row for row in rows if self.began(row) > self.began(completed)]
        return max(rows, key=self.began, default=None)

    def state(self, row: ModelRow) -> str:
        word = (row.training_status or "").strip().lower()
        if word in {"training", "pending", "processing", "starting"}:
            return "in_progress"
        return "failed" if word in {"failed", "canceled", "error"} else "neither"

    @cached_property
    def owners(self) -> dict[str, set[str]]:
        """Users by the models of their completed and of their newest rows."""
        found = defaultdict(set)
        for user in self.facts.rows:
            for row in (self.completed(user), self.newest(user)):
                if row and row.replicate_model_id:
                    found[row.replicate_model_id].add(user)
        return found

    def base(self, user: str, row: ModelRow) -> str:
        """Of the completed row alone."""
        model, recorded = row.replicate_model_id, row.replicate_version_id
        assert model
        if model == TRAINER:
            return "trainer_recorded"
        self.ask_model(model)
        versions = self.facts.models.get(model)
        if versions is None:
            return "model_not_found"
        if not versions:
            return "no_versions"
        if recorded is None:
            return "no_version_recorded"
        if versions[0][0] == recorded:
            return "latest_version"
        return "outdated_version" if recorded in dict(versions) else "unknown_version"

    def ask_model(self, model: str) -> None:
        self.requests[f"/v1/models/{model}/versions"] = 1
        if model not in self.facts.models:
            self.requests[f"/v1/models/{model}"] = 1

    def outcome(self, user: str) -> Outcome | None:
        completed, row = self.completed(user), self.newest(user)
        base = self.base(user, completed) if completed else None
        plain = Outcome(base) if base else None
        if row is None:
            return plain
        state = self.state(row)
        if state == "in_progress" and self.facts.now - self.began(row) < STUCK_AFTER:
            return plain
        said = self.of_row(user, row, state, completed)
        if said is None:
            return plain
        return Outcome(said, base if base != "latest_version" else None)

    def of_row(self, user: str, row: ModelRow, state: str, completed: ModelRow | None) -> str | None:
        model, training = row.replicate_model_id, None
        if row.training_id:
            self.requests[f"/v1/trainings/{row.training_id}"] = 1
            training = self.facts.trainings.get(row.training_id)
            if training and training.status in {"starting", "processing"}:
                return None
        if model == TRAINER:
            return "trainer_recorded"
        if training and training.status == "succeeded":
            return None if self.recorded(training, completed, row) else "training_not_recorded"
        versions: list[tuple[str, datetime]] = []
        wanted = training is None or completed is None
        if wanted and model and len(self.owners[model]) == 1:
            self.ask_model(model)
            versions = self.facts.models.get(model) or []
        after = bool(versions) and versions[0][1] > self.began(row)
        if after and not (completed and completed.replicate_version_id == versions[0][0]):
            return "training_not_recorded"
        if completed is None and versions:
            return "version_lost"
        if training:
            return "failure_not_recorded" if state == "in_progress" else None
        return "training_not_found" if row.training_id else None

    def recorded(self, training: FakeTraining, completed: ModelRow | None, row: ModelRow) -> bool:
        """Whether the completed row has what the training made."""
        if completed is None:
            return False
        if training.output_version:
            return training.output_version == completed.replicate_version_id
        versions = self.facts.models.get(completed.replicate_model_id or "") or []
        if not versions or row.replicate_model_id != completed.replicate_model_id:
            return False
        newest, made = versions[0]
        return newest == completed.replicate_version_id and made >= datetime.fromisoformat(training.created_at)


def _user(i: int) -> str:
    return f"u{i:06}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
