"""Hand-made runs for the tests of the reports: small ones that show everything, hostile ones, large ones."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from audit.model.codes import NoLine, Note, Reason, Status
from audit.model.findings import Acceptance, Acceptances, AuditedUser, BaselineState, Finding, Summary
from audit.model.ids import recorded_hash
from audit.model.replies import Account, Lineage, Requests, Training, TrainingsRead, Version, WeightsAsked
from audit.model.run import Baseline, Choices, Filters, RunInfo
from audit.model.trend import PastCounts
from audit.model.users import ModelRecord, Population
from tests.support.unrepaired import Unrepaired

_ORDER = {status: number for number, status in enumerate(Status)}
INFO = RunInfo(
    id="0123456789abcdef0123456789abcdef",
    tool_version="0.1.0",
    started_at="2026-03-01T12:00:00Z",
    finished_at="2026-03-01T12:03:07.250000Z",
    state="complete",
    database="db.example.com/shop",
    base_url="https://api.replicate.com/v1",
    account=Account("organization", "acme"),
    requests=Requests(431, 3, 1),
)
POPULATION = Population(
    users=2310,
    users_with_completed_model=431,
    completed_models=520,
    users_with_several_completed_models=77,
    completed_models_hidden=89,
    completed_without_model_id=2,
    test_models_left_out=12,
    models_without_user=1,
    training_status={"completed": 533, "failed": 41, "training": 7, "(null)": 2},
)


@dataclass(frozen=True)
class SampleRun(Unrepaired):
    """A run in memory that reads like a run file."""

    audited: Sequence[AuditedUser]
    info: RunInfo = INFO
    population: Population | None = POPULATION
    weights: WeightsAsked | None = None
    passes: list[str] = field(default_factory=list)
    """What was asked for, in order."""
    absent: Mapping[NoLine, int] = field(default_factory=dict)
    choices: Choices | None = None
    trend: tuple[PastCounts, ...] = ()

    def summary(self) -> Summary:
        reasons = Counter(user.finding.reason for user in self.audited)
        also = Counter(user.finding.also.reason for user in self.audited if user.finding.also)
        notes = Counter(note for user in self.audited for note in user.finding.notes)
        statuses = Counter(user.finding.status for user in self.audited)
        return Summary(
            {status: statuses[status] for status in Status},
            dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
            dict(sorted(notes.items(), key=lambda item: (-item[1], item[0]))),
            dict(sorted(also.items(), key=lambda item: (-item[1], item[0]))),
        )

    def count_by_training(self) -> int:
        return sum(user.finding.evidence == "training" for user in self.audited)

    def count_noted(self) -> int:
        return sum(bool(user.finding.notes) for user in self.audited)

    def without_line(self) -> Mapping[NoLine, int]:
        return self.absent

    def count_weights(self) -> WeightsAsked | None:
        return self.weights

    def count_answered(self) -> int:
        return sum(user.finding.evidence == "versions" for user in self.audited)

    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        self.passes.append(f"{status or '*'}/{reason or '*'}")
        wanted = (
            user
            for user in self.audited
            if status in {None, user.finding.status} and reason in {None, user.finding.reason}
        )
        return iter(sorted(wanted, key=report_order))


def report_order(user: AuditedUser) -> tuple[int, bool, str, str]:
    email = user.record.email
    return _ORDER[user.finding.status], email is None, email or "", user.record.user_id


def version_hash(seed: object) -> str:
    return hashlib.sha256(str(seed).encode()).hexdigest()


def record(number: int = 1, **changes: object) -> ModelRecord:
    """A tidy record; `changes` are fields of ModelRecord."""
    fields: dict[str, object] = {
        "user_id": f"user-{number:05}",
        "email": f"user{number:05}@example.com",
        "display_name": f"Name {number}",
        "model_row_id": str(number),
        "replicate_model_id": f"acme/user-{number:05}-selfie-lora",
        "replicate_version_id": version_hash((number, 0)),
        "training_id": f"tr{number:09}",
        "trigger_word": f"TOK{number}",
        "lora_scale": "1.0",
        "lora_weights_url": f"https://replicate.delivery/xezq/{number:040}/flux-lora.tar",
        "created_at": "2025-11-01T08:00:00Z",
        "updated_at": "2026-01-02T09:30:00Z",
        "completed_at": "2025-11-01T08:31:12.250000Z",
    }
    return ModelRecord(**(fields | changes))  # type: ignore[arg-type]  # a table of fields, checked by each test


def versions(number: int, count: int) -> tuple[Version, ...]:
    """The first five of `count` versions, newest first; the number in `version_hash` counts from the newest."""
    months = (f"2026-02-{20 - n:02}T10:00:00Z" if n < 2 else f"2025-{13 - n:02}-15T10:00:00Z" for n in range(5))
    return tuple(
        Version(version_hash((number, n)), date) for n, date in zip(range(min(count, 5)), months, strict=False)
    )


def up_to_date(number: int, *, count: int = 2, notes: tuple[Note, ...] = (), **changes: object) -> AuditedUser:
    shown = versions(number, count)
    finding = Finding(
        reason=Reason.LATEST_VERSION,
        current_version_created_at=shown[0].created_at,
        latest_version=shown[0].id,
        latest_version_created_at=shown[0].created_at,
        versions_behind=0,
        total_versions=count,
        versions=shown,
        notes=notes,
    )
    return AuditedUser(record(number, **changes), finding)


def outdated(
    number: int, *, behind: int = 1, since: str | None = "2025-07-01T10:00:00Z", **changes: object
) -> AuditedUser:
    shown = versions(number, behind + 2)
    finding = Finding(
        reason=Reason.OUTDATED_VERSION,
        detail=f"{behind} newer version{'s' * (behind > 1)} on Replicate",
        current_version_created_at=since,
        latest_version=shown[0].id,
        latest_version_created_at=shown[0].created_at,
        versions_behind=behind,
        total_versions=behind + 2,
        versions=shown,
        notes=(Note.RETRAINING_IN_PROGRESS,) if behind == 2 else (),
        affected_since=since,
    )
    return AuditedUser(record(number, replicate_version_id=version_hash((number, behind)), **changes), finding)


def unfinished(number: int, reason: Reason, also: AuditedUser | None = None, **changes: object) -> AuditedUser:
    """A finding on a newer row, beside what is found on the completed row of `also`."""
    fields: dict[str, object] = {
        "model_row_id": f"new-{number}",
        "training_status": "training",
        "training_id": f"trained-{number}",
        "replicate_version_id": None,
        "lora_weights_url": None,
        "completed_at": None,
        "started_at": "2026-02-03T10:00:00Z",
        "began_at": "2026-02-03T10:00:00Z",
        "unfinished": True,
    }
    row = record(number, **(fields | changes))
    url = f"https://replicate.delivery/xezq/new-{number}/flux-lora.tar"
    training = Training(id=f"trained-{number}", status="succeeded", version=version_hash((number, "new")), weights=url)
    found = reason in {Reason.TRAINING_NOT_RECORDED, Reason.VERSION_LOST}
    finding = Finding(
        reason=reason,
        detail="what the training says",
        latest_version=training.version if found else None,
        lineage=Lineage(latest=training) if found else None,
        affected_since="2026-02-03T10:41:00Z" if found else None,
        unfinished=True,
        also=also.finding if also else None,
    )
    return AuditedUser(row, finding, counting=also.record if also else None)


def newest_rows() -> list[AuditedUser]:
    """Findings on newer rows, alone and beside one on the completed row; those on weights and trainers."""
    return [
        unfinished(501, Reason.TRAINING_NOT_RECORDED, outdated(501, behind=2)),
        unfinished(502, Reason.TRAINING_NOT_RECORDED),
        unfinished(503, Reason.FAILURE_NOT_RECORDED, began_at=None, started_at=None),
        unfinished(504, Reason.VERSION_LOST, training_id=None, training_status=None),
        unfinished(505, Reason.TRAINING_NOT_FOUND, uncompared(505, Reason.NO_VERSION_RECORDED, None)),
        uncompared(506, Reason.TRAINER_RECORDED, version_hash((506, 0))),
        uncompared(507, Reason.WRONG_WEIGHTS, version_hash((507, 0))),
        uncompared(508, Reason.WEIGHTS_GONE, version_hash((508, 0))),
        up_to_date(509, training_status="completed"),
    ]


def trained(user: AuditedUser, later: Training | None = None, **changes: object) -> AuditedUser:
    """`user` with the training that made the latest version, to which `changes` apply, and a `later` one."""
    record, finding = user.record, user.finding
    fields: dict[str, object] = {
        "id": record.training_id,
        "status": "succeeded",
        "model": record.replicate_model_id,
        "version": finding.latest_version,
        "weights": record.lora_weights_url,
        "trigger_word": record.trigger_word,
        "created_at": "2026-02-20T09:40:00.500000Z",
        "completed_at": "2026-02-20T10:00:05Z",
    }
    latest = Training(**(fields | changes))  # type: ignore[arg-type]  # a table of fields, checked by each test
    evidence = finding.evidence or "versions"
    return AuditedUser(record, replace(finding, evidence=evidence, lineage=Lineage(latest=latest, later=later)))


def settled(number: int, **changes: object) -> AuditedUser:
    """Up to date by a training, without asking for the versions."""
    changed = record(number, **changes)
    latest = recorded_hash(changed.replicate_version_id)
    finding = Finding(reason=Reason.LATEST_VERSION, latest_version=latest, versions_behind=0, evidence="training")
    return trained(AuditedUser(changed, finding))


def read(**changes: object) -> RunInfo:
    """A run that read trainings to the end; `changes` are fields of TrainingsRead."""
    fields: dict[str, object] = {
        "mode": "versions",
        "since": "2025-10-31T08:00:00Z",
        "back_to": "2025-10-30T22:10:00Z",
        "began_at": "2026-03-01T12:00:01Z",
        "pages": 6,
        "read": 540,
        "complete": True,
    }
    return narrowed(trainings=TrainingsRead(**(fields | changes)))  # type: ignore[arg-type]  # as above


def with_trainings() -> list[AuditedUser]:
    """Every way in which trainings show: of each version, failed and running ones, each note, none at all."""
    notes = (
        Note.UNRECORDED_TRAINING,
        Note.WEIGHTS_URL_OF_ANOTHER_VERSION,
        Note.TRIGGER_WORD_DIFFERS,
    )
    unrecorded = {"id": "tr-unrecorded", "weights": "https://replicate.delivery/xezq/real/flux-lora.tar"}
    failed_later = Training(id="tr-later", status="failed", error="CUDA out of memory")
    behind = trained(outdated(501), failed_later, trigger_word="OTHER", **unrecorded)
    older = Training(id="tr-older", status="succeeded", weights="https://replicate.delivery/old", trigger_word="OLD")
    lineage = replace(behind.finding.lineage or Lineage(), current=older)
    disagreeing = failed(
        505, Reason.EVIDENCE_DISAGREES, "by its trainings one is the latest version; by its versions two is"
    )
    return [
        AuditedUser(behind.record, replace(behind.finding, notes=notes, lineage=lineage)),
        trained(outdated(502), Training(id="tr-stuck", status="processing"), **unrecorded),
        AuditedUser(
            outdated(503).record, replace(outdated(503).finding, evidence="versions", lineage=Lineage(current=older))
        ),
        AuditedUser(outdated(504).record, replace(outdated(504).finding, evidence="versions", lineage=Lineage())),
        AuditedUser(disagreeing.record, replace(disagreeing.finding, evidence="versions", lineage=Lineage())),
        failed(506, Reason.MISSING_MODEL_ID, "replicate_model_id is null", replicate_model_id=None),
        trained(up_to_date(510), Training(id="tr-canceled", status="canceled")),
        trained(up_to_date(511, notes=(Note.TRIGGER_WORD_DIFFERS,)), id="tr-other", trigger_word="OTHER", weights=None),
        trained(up_to_date(512), Training(id="tr-odd", status="constructor")),
        *(settled(number) for number in range(520, 524)),
        settled(530, replicate_version_id="acme/x:" + version_hash((530, 0)).upper()),
    ]


def failed(number: int, reason: Reason, detail: str | None = "what the server said", **changes: object) -> AuditedUser:
    return AuditedUser(record(number, **changes), Finding(reason=reason, detail=detail))


def uncompared(number: int, reason: Reason, recorded: str | None, **changes: object) -> AuditedUser:
    """A needs-sync finding whose recorded version is not on Replicate."""
    shown = versions(number, 3)
    finding = Finding(
        reason=reason,
        latest_version=shown[0].id,
        latest_version_created_at=shown[0].created_at,
        total_versions=3,
        versions=shown,
    )
    return AuditedUser(record(number, replicate_version_id=recorded, **changes), finding)


def everything() -> list[AuditedUser]:
    """Every status, every reason of a completed row, every note, nulls, long texts."""
    users = [up_to_date(n) for n in range(1, 31)]
    users += [up_to_date(100 + n, notes=(note,)) for n, note in enumerate(Note)]
    users += [outdated(200 + n, behind=n) for n in range(1, 4)]
    users += [
        outdated(210, behind=14, since="2024-06-01T00:00:00Z", email="eva.von-und-zu-langenau@mail.example.org"),
        outdated(211, behind=1, since="2026-02-19T22:00:00Z", email=None),
        outdated(212, behind=1, since=None, display_name=None),
        uncompared(220, Reason.UNKNOWN_VERSION, "ab" * 32),
        uncompared(221, Reason.MALFORMED_VERSION, version_hash((221, 0))[:8]),
        uncompared(222, Reason.MALFORMED_VERSION, "latest"),
        uncompared(223, Reason.NO_VERSION_RECORDED, None, trigger_word=None, lora_scale=None, lora_weights_url=None),
        uncompared(224, Reason.UNKNOWN_VERSION, "  ACME/other-model:" + "CD" * 32 + " "),
        failed(300, Reason.MISSING_MODEL_ID, "replicate_model_id is null", replicate_model_id=None),
        failed(301, Reason.INVALID_MODEL_ID, "not owner/name: a/b/c", replicate_model_id="a/b/c"),
    ]
    errors = [each for each in Reason if each.status is Status.ERROR and each is not Reason.TRAINING_NOT_FOUND]
    users += [failed(310 + n, reason) for n, reason in enumerate(errors)]
    users += [failed(340 + n, Reason.STOPPED, None) for n in range(3)]
    shared = up_to_date(
        400,
        notes=(Note.SHARED_MODEL, Note.LATER_TRAINING_FAILED),
        shared_with=("user-00401", "user-00402"),
        shared_with_count=9,
        older_completed=2,
        later_training_failed=True,
        later_failure_reason="CUDA out of memory",
        model_name="selfie",
    )
    return [*users, shared]


def narrowed(**changes: object) -> RunInfo:
    """INFO with other values."""
    fields = {name: getattr(INFO, name) for name in INFO.__struct_fields__}
    return RunInfo(**(fields | changes))


ANNA = record(
    7,
    email="Anna.Muster@example.com",
    display_name="Anna Muster",
    model_name="Anna Muster's selfies",
    trigger_word="ANNA MUSTER",
    training_id="tr-anna.muster@example.com",
    replicate_model_id="acme/Anna Muster",
    later_failure_reason="no photos for anna.muster@example.com (Anna Muster)",
    shared_with=("bert@example.com", "user-9"),
    shared_with_count=2,
)
"""Her address and name come out in many places."""
HERS = Training(
    id="anna-muster@example.com",
    status="succeeded",
    model="acme/Anna Muster",
    version=version_hash("anna"),
    weights="https://replicate.delivery/Anna Muster/anna.muster@example.com.tar",
    trigger_word="Anna Muster",
    error="no face in the photos of Anna Muster <anna.muster@example.com>",
)


def anna() -> SampleRun:
    finding = Finding(
        reason=Reason.INVALID_MODEL_ID,
        detail="not owner/name: acme/Anna Muster, asked for Anna.Muster@example.com",
        notes=(Note.SHARED_MODEL, Note.LATER_TRAINING_FAILED),
        lineage=Lineage(current=HERS, latest=HERS, later=replace(HERS, id="tr-2", status="Anna.Muster@example.com")),
    )
    filters = Filters(users=("anna.muster@example.com", "user-00007"), limit=3)
    trainings = TrainingsRead(mode="versions", problem="no page for bert@example.com", began_at=INFO.started_at)
    info = narrowed(filters=filters, stop_reason="by bert@example.com", state="stopped", trainings=trainings)
    return SampleRun([AuditedUser(ANNA, finding)], info)


def compared() -> SampleRun:
    """One user new in need, one known, one resolved."""
    users = (outdated(1), outdated(2), up_to_date(3))
    marks: tuple[BaselineState, ...] = ("new", "known", "resolved")
    since = Baseline(run_id="b" * 32, started_at="2026-02-01T12:00:00Z", path="reports/last.sqlite")
    marked = [AuditedUser(user.record, user.finding, mark) for user, mark in zip(users, marks, strict=True)]
    return SampleRun(marked, narrowed(baseline=since))


def accepting(user: AuditedUser, because: str = "leaves in May", author: str | None = None) -> AuditedUser:
    """The user with an acceptance that holds."""
    reason = user.finding.reason
    entry = Acceptance(user=user.record.user_id, reason=reason, because=because, until="2026-12-31", author=author)
    return AuditedUser(user.record, user.finding, user.baseline, entry)


def accepted(because: str = "leaves in May", author: str | None = None, who: str = "gone@example.com") -> SampleRun:
    """Two findings accepted and two open; an entry on `who` has expired, and another matches nobody."""
    users = [
        outdated(1),
        accepting(outdated(2), because, author),
        failed(3, Reason.MODEL_NOT_FOUND),
        accepting(failed(4, Reason.MODEL_NOT_FOUND), because, author),
        up_to_date(5),
    ]
    over = Acceptance(user=who, reason=Reason.TIMEOUT, because=because, until="2026-01-31", author=author)
    stray = Acceptance(model=who, reason=Reason.TIMEOUT, because=because, until="2026-12-31")
    entries = (over, stray, *[user.accepted for user in users if user.accepted])
    return SampleRun(users, narrowed(acceptances=Acceptances(file="accept.toml", entries=entries)))


def as_stored(user: AuditedUser) -> AuditedUser:
    """For `RunFile.add`: a finding on a newer row is kept beside the completed one, where there is one."""
    if user.counting is None:
        return user
    return replace(user, record=replace(user.counting, newer=user.record), counting=None)
