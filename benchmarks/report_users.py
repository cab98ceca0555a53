"""A run of any number of users that is made while it is read: memory then shows what a report holds."""

from base64 import b32encode
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec.structs import replace

from audit.demo.fake_replicate.world import weights_url
from audit.model.codes import NoLine, Reason, Status
from audit.model.findings import AuditedUser, Finding, Summary
from audit.model.replies import Account, Lineage, Training, TrainingsRead, Version
from audit.model.run import RunInfo
from audit.model.users import ModelRecord, Population
from tests.support.synthetic_users import NOW, SyntheticUsers
from tests.support.unrepaired import Unrepaired


class SyntheticRun(Unrepaired):
    """The audit of synthetic users, as a run file would tell it; one in ten is not up to date.

    With `trained` the account's trainings were read as well, and are known of everybody.
    """

    def __init__(self, users: int, *, trained: bool = False) -> None:
        self._users = SyntheticUsers(users)
        self._trained = trained
        self.choices = None
        started = _text(NOW)
        self.info = RunInfo(
            id="0" * 32,
            tool_version="0",
            started_at=started,
            finished_at=started,
            state="complete",
            database="localhost/synthetic",
            base_url="https://api.replicate.com/v1",
            account=Account("organization", "synthetic-photos"),
            trainings=TrainingsRead(mode="versions", read=users, complete=True) if trained else None,
        )
        self.population: Population | None = None

    def summary(self) -> Summary:
        """Counted anew."""
        reasons = Counter(self._users.reasons)
        statuses = Counter[Status]()
        for reason, count in reasons.items():
            statuses[reason.status] += count
        return Summary({status: statuses[status] for status in Status}, dict(reasons.most_common()), {})

    def count_by_training(self) -> int:
        """Nobody."""
        return 0

    def count_noted(self) -> int:
        """As many as there are notes."""
        return sum(self.summary().notes.values())

    def without_line(self) -> Mapping[NoLine, int]:
        """Everybody is in a line."""
        return {}

    def count_weights(self) -> None:
        """They are not asked for."""
        return

    def count_answered(self) -> int:
        """Synthetic users do not tell."""
        return 0

    def users(self, status: Status | None = None, reason: Reason | None = None) -> Iterator[AuditedUser]:
        """By status, then in the order of the users."""
        for wanted in (status,) if status else Status:
            for number in range(self._users.n):
                found = self._users.reason(number)
                if found.status is wanted and reason in {None, found}:
                    yield self._user(number, found)

    def _user(self, number: int, reason: Reason) -> AuditedUser:
        synthetic_users = self._users
        versions = synthetic_users.versions(number)
        latest, made = versions[0], versions[0].created_at
        recorded = {
            Reason.OUTDATED_VERSION: versions[1].id,
            Reason.UNKNOWN_VERSION: latest.id[::-1],
            Reason.MALFORMED_VERSION: latest.id[:8],
            Reason.NO_VERSION_RECORDED: None,
        }.get(reason, latest.id)
        record = ModelRecord(
            user_id=synthetic_users.user_id(number),
            email=f"user{number}@example.com",
            display_name=f"User {number}",
            model_row_id=str(2 * number + 1),
            replicate_model_id=f"synthetic-photos/{synthetic_users.model_name(number)}",
            replicate_version_id=recorded,
            training_id=synthetic_users.made(number, 0).id,
            trigger_word="TOK",
            lora_scale="1",
            lora_weights_url=f"https://replicate.delivery/xezq/{latest.id[:40]}/flux-lora.tar",
            created_at=made,
            updated_at=made,
            completed_at=made,
        )
        if reason.status is Status.ERROR:
            return AuditedUser(record, Finding(reason=reason, detail="what Replicate said"))
        finding = _compared(reason, versions)
        return AuditedUser(record, replace(finding, lineage=_lineage(record, finding)) if self._trained else finding)


def _lineage(record: ModelRecord, finding: Finding) -> Lineage:
    """The recorded training is that of the recorded version, and one that is not recorded made any other latest one."""
    made = finding.latest_version_created_at
    recorded = Training(
        id=record.training_id or "",
        status="succeeded",
        weights=record.lora_weights_url,
        trigger_word=record.trigger_word,
        created_at=made,
        completed_at=made,
    )
    if finding.reason is Reason.LATEST_VERSION:
        return Lineage(latest=recorded)
    digest = finding.latest_version or ""
    newer = replace(recorded, id=_letters(digest, 26), weights=weights_url(digest[::-1]))
    return Lineage(current=recorded, latest=newer)


def _letters(digest: str, count: int) -> str:
    """As random as ids on Replicate are."""
    return b32encode(bytes.fromhex(digest)).decode()[:count].lower()


def _compared(reason: Reason, versions: tuple[Version, ...]) -> Finding:
    behind = {Reason.LATEST_VERSION: 0, Reason.OUTDATED_VERSION: 1}.get(reason)
    return Finding(
        reason=reason,
        current_version_created_at=None if behind is None else versions[behind].created_at,
        latest_version=versions[0].id,
        latest_version_created_at=versions[0].created_at,
        versions_behind=behind,
        total_versions=len(versions),
        versions=versions,
    )


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
