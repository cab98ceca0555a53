"""The verdict on one record from everything that is known: the model's versions, and trainings where they were read."""

from typing import Protocol

from audit.models import Finding, ModelRecord, Reply
from audit.provenance import disagreeing, settled, traced
from audit.training import Training, TrainingsRead
from audit.verdict import Circumstances, askable_model, classify


class KnownTrainings(Protocol):
    """The trainings that were read: the run file has them."""

    def about(self, record: ModelRecord, latest_version: str | None) -> tuple[Training, ...]:
        """All that may say something about `record`."""

    def newest(self, model: str) -> Training | None:
        """The last one that put a version into `model`."""


class Judge:
    """What is the same for all records of a run."""

    def __init__(
        self, circumstances: Circumstances, read: TrainingsRead | None = None, trainings: KnownTrainings | None = None
    ) -> None:
        self.circumstances = circumstances
        self._read = read
        self._trainings = trainings

    def finding(self, record: ModelRecord, reply: Reply) -> Finding:
        """The verdict, given what Replicate said about the model."""
        finding = classify(record, reply, self.circumstances)
        if self._read is None or self._trainings is None:
            return finding
        if self._read.mode == "trainings" and (by_training := self._settled(record)):
            finding = disagreeing(finding, by_training)
        return self._traced(record, finding)

    def settled(self, record: ModelRecord) -> Finding | None:
        """The verdict where trainings are enough for one, else None."""
        by_training = self._settled(record)
        return by_training and self._traced(record, by_training)

    def _settled(self, record: ModelRecord) -> Finding | None:
        model = askable_model(record.replicate_model_id)
        if self._read is None or self._trainings is None or model is None:
            return None
        return settled(record, self._trainings.newest(model), self._read, self.circumstances)

    def _traced(self, record: ModelRecord, finding: Finding) -> Finding:
        if self._read is None or self._trainings is None:
            return finding
        about = self._trainings.about(record, finding.latest_version)
        return traced(record, finding, about, self._read, self.circumstances)
