"""Those whose row was changed, audited again: fresh records, Replicate once more, a batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from audit.asking import replies_to
from audit.ledger import Entry
from audit.models import Finding, ModelRecord, NotAsked, Reply, RunInfo, Status
from audit.replicate import Replicate
from audit.settings import RunSettings
from audit.source_user import records_of
from audit.verdict import Circumstances, askable_model, classify
from audit.visible import visible


@dataclass(frozen=True, slots=True)
class Again:
    """What is the same for all of them."""

    replicate: Replicate
    settings: RunSettings
    info: RunInfo
    """Of the run that was repaired: who counts is decided as it was then."""

    async def judge(self, entries: Sequence[Entry]) -> list[tuple[Status, str | None]]:
        """The status of each user now, and where it is not up to date, why. Raises SourceError."""
        records = await records_of(
            self.settings.database,
            [entry.change.user_id for entry in entries],
            order_by=self.info.order_by,
            include_tests=self.info.filters.include_tests,
            statement_timeout=self.settings.statement_timeout,
        )
        models = (askable_model(record.replicate_model_id) for record in records.values())
        replies = await replies_to(self.replicate, filter(None, models), self.settings.concurrency)
        return [self._judged(entry, records.get(entry.change.user_id), replies) for entry in entries]

    def _judged(self, entry: Entry, record: ModelRecord | None, replies: dict[str, Reply]) -> tuple[Status, str | None]:
        if record is None:
            return Status.ERROR, "no completed row counts any more"
        circumstances = Circumstances(self.info.account, frozenset(self.info.missing_columns))
        reply = replies.get(askable_model(record.replicate_model_id) or "", NotAsked())
        finding = classify(record, reply, circumstances)
        if finding.status is Status.UP_TO_DATE:
            return finding.status, None
        other = record.model_row_id != entry.change.model_row_id
        return finding.status, (f"row {visible(record.model_row_id)} counts now; " if other else "") + _why(finding)


def _why(finding: Finding) -> str:
    return f"{finding.reason.value}: {finding.detail}" if finding.detail else finding.reason.value
