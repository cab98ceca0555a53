"""The two kinds of questions of a run: which versions a model has, and what became of an unfinished row.

The models come first, as what a model's versions say of the completed row is part of the verdict on an unfinished one.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from audit.findings.classify import RunContext
from audit.findings.hopeless import Key, shown_of_model, shown_of_row
from audit.findings.trainings import Classifier
from audit.findings.unfinished import (
    heard_of,
    needs_versions,
    open_question,
    reply_of,
    row_question,
    unfinished_row,
)
from audit.model.codes import Reason
from audit.model.findings import AuditedUser, Finding
from audit.model.ids import model_key
from audit.model.replies import Failed, Heard, Missing, Reply, Training, of_model
from audit.model.users import ModelRecord
from audit.runfile.file import Unfinished, Verdict


class Shown(NamedTuple):
    """What the answer to a question has shown of the model that it is about; see `audit.findings.hopeless`."""

    question: Key
    model: str | None
    """As recorded."""
    shown: bool | None


class Client(Protocol):
    """Replicate, as far as single questions are concerned."""

    async def ask(self, model: str, *, once: bool = False) -> Reply:
        """What it has of `model`, `once` without retries. Never raises for what a server or the network did."""

    async def training(self, training_id: str, *, once: bool = False) -> Training | Missing | Failed:
        """What it says of one training."""


class Ahead(Protocol):
    """Models that were asked for before their turn."""

    def pending(self) -> Sequence[str]:
        """Those of them that are still to be judged."""

    def take(self, model: str) -> Awaitable[Reply] | None:
        """What came of asking for `model`; None where that was not done, or was taken before."""


class PendingModels(Protocol):
    """Models to ask for, and where the findings go: the run file."""

    def pending(self) -> Iterator[str]:
        """Models to ask for, each once."""

    def records_sharing(self, model: str) -> Iterator[Sequence[tuple[int, ModelRecord]]]:
        """The records that wait for the reply about `model`, by their ids, in batches."""

    def record_findings(self, findings: Iterable[tuple[int, Verdict]], failure: Reason | None, at: int) -> None:
        """Record what the reply, which came `at` seconds since 1970, means for each of them."""

    def heard(self, row_id: int) -> Heard | None:
        """What was said of the unfinished row of a user who has a question of their own."""

    def record_base(self, row_id: int, base: Finding) -> None:
        """Keep the finding on the completed row of such a user."""


class PendingRows(Protocol):
    """Unfinished rows to ask about, and where the findings go: the run file."""

    def pending_unfinished(self) -> Iterator[Unfinished]:
        """Users whose unfinished row has yet to be asked about."""

    def record_heard(self, row_id: int, heard: Heard, verdict: Verdict, at: int) -> None:
        """Record what was said, and what it means."""


class Listed(Protocol):
    """The list of trainings, as far as it was read: the run file has it."""

    def by_id(self, training_id: str) -> Training | None:
        """The one of this id."""


async def hear(
    record: ModelRecord,
    base: Finding | None,
    context: RunContext,
    training: Callable[[str], Awaitable[Training | Missing | Failed]],
    versions: Callable[[str], Awaitable[Reply]],
) -> Heard:
    """Ask what became of the record's unfinished row: `training` by its id, then `versions` where they are needed.

    What `base`, the finding on the completed row, tells of the same model is not asked again.
    """
    row = unfinished_row(record)
    assert row is not None  # noqa: S101 - only such are asked about
    wanted = row_question(row, context)
    heard = Heard()
    if wanted.training:
        said = await training(wanted.training)
        if isinstance(said, Failed):
            return Heard.nothing(said)
        heard = Heard(unknown=True) if isinstance(said, Missing) else Heard(training=said)
    if wanted.model is None or not needs_versions(heard, counting=not record.unfinished):
        return heard
    same = model_key(record.replicate_model_id) == model_key(wanted.model) and not record.unfinished
    if same and reply_of(base):
        return heard  # they are known already
    return heard_of(await versions(wanted.model), heard) or heard


class ModelQuestions:
    """Which versions does this model have?"""

    def __init__(
        self, client: Client, models: PendingModels, classifier: Classifier, ahead: Ahead | None = None
    ) -> None:
        self._client = client
        self._models = models
        self._classifier = classifier
        self._ahead = ahead

    def pending(self) -> Iterator[str]:
        """Models, each once; first those that were asked for ahead."""
        ahead = self._ahead.pending() if self._ahead else []
        yield from ahead
        asked = set(ahead)
        yield from (each for each in self._models.pending() if each not in asked)

    async def ask(self, question: str, *, once: bool = False) -> Reply:
        """What Replicate has. Of a trainer, which the list of trainings may show to be one, nobody needs to know."""
        if self._classifier.context.is_trainer(question):
            return Missing()
        if self._ahead and (reply := self._ahead.take(question)):
            return await reply
        return await self._client.ask(question, once=once)

    def failure(self, answer: Reply) -> Failed | None:
        """See `Questions`."""
        said = of_model(answer)
        return said if isinstance(said, Failed) else None

    def shown(self, question: str, answer: Reply) -> Shown:
        """See `Questions`. Of a trainer nobody was asked."""
        trainer = self._classifier.context.is_trainer(question)
        return Shown(model_key(question), question, None if trainer else shown_of_model(answer))

    def record(self, question: str, answer: Reply) -> Iterator[Sequence[AuditedUser]]:
        """See `Questions`."""
        failed = self.failure(answer)
        failure = failed.reason if failed else None
        for batch in self._models.records_sharing(question):
            verdicts = [(row_id, record, self._verdict(row_id, record, answer)) for row_id, record in batch]
            self._models.record_findings(((row_id, each) for row_id, _, each in verdicts), failure, int(time.time()))
            yield [AuditedUser.of(record, each) for _, record, each in verdicts if isinstance(each, Finding)]

    def _verdict(self, row_id: int, record: ModelRecord, answer: Reply) -> Verdict:
        """What `answer` about the model means for a record, with all that is known besides."""
        context = self._classifier.context
        if record.unfinished:
            return self._classifier.judged(record, None, heard_of(answer))
        base = self._classifier.finding(record, answer)
        if record.newer is None:
            return base
        self._models.record_base(row_id, base)  # there may be a question that trainers known by now make needless
        if open_question(record, context):
            return self._classifier.judged(record, base, self._models.heard(row_id))
        same = model_key(record.replicate_model_id) == model_key(record.newer.replicate_model_id)
        return self._classifier.judged(record, base, heard_of(answer) if same else Heard())


class RowQuestions:
    """What became of this unfinished row?"""

    def __init__(self, client: Client, rows: PendingRows, classifier: Classifier, listed: Listed) -> None:
        self._client = client
        self._rows = rows
        self._classifier = classifier
        self._listed = listed

    def pending(self) -> Iterator[Unfinished]:
        """Users who have such a row."""
        return self._rows.pending_unfinished()

    async def ask(self, question: Unfinished, *, once: bool = False) -> Heard:
        """The training that the row names, from the list where it had ended; then the versions where they are needed.

        A list may be days old where a run is resumed.
        """

        async def training(training_id: str) -> Training | Missing | Failed:
            listed = self._listed.by_id(training_id)
            if listed and listed.has_ended:
                return listed
            return await self._client.training(training_id, once=once)

        versions = partial(self._client.ask, once=once)
        return await hear(question.record, question.base, self._classifier.context, training, versions)

    def failure(self, answer: Heard) -> Failed | None:
        """See `Questions`."""
        return answer.failed

    def shown(self, question: Unfinished, answer: Heard) -> Shown:
        """See `Questions`."""
        row = unfinished_row(question.record)
        return Shown(question.row_id, row.replicate_model_id if row else None, shown_of_row(answer))

    def record(self, question: Unfinished, answer: Heard) -> Iterator[Sequence[AuditedUser]]:
        """See `Questions`."""
        verdict = self._classifier.judged(question.record, question.base, answer)
        self._rows.record_heard(question.row_id, answer, verdict, int(time.time()))
        yield [AuditedUser.of(question.record, verdict)] if isinstance(verdict, Finding) else []
