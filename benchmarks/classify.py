"""Contender: the audit's own workers, which ask and classify, without database, run file and reports.

    python -m benchmarks.classify BASE_URL CONCURRENCY RECORDED

A line of RECORDED is a model and the version that is recorded of it. Rate limit, retries, classifier: all as in a run.
"""

import asyncio
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from audit.cli.signals import Stop
from audit.commands.run.auditor import Auditor
from audit.commands.run.questions import ModelQuestions
from audit.findings.classify import RunContext
from audit.findings.trainings import Classifier
from audit.model.codes import Reason
from audit.model.findings import Finding
from audit.model.replies import Account, Heard
from audit.model.users import ModelRecord
from audit.replicate import connect
from audit.runfile.file import Verdict
from benchmarks.fetch import target

_SOMEBODY = ModelRecord(
    user_id="00000000-00000000",
    email="user0@example.com",
    display_name="User 0",
    model_row_id="1",
    replicate_model_id=None,
    replicate_version_id=None,
    trigger_word="TOK",
    lora_scale="1",
    created_at="2026-03-01T11:59:59Z",
    updated_at="2026-03-01T11:59:59Z",
    completed_at="2026-03-01T11:59:59Z",
)


class ListedModels:
    """Models from a list; findings are counted and let go."""

    def __init__(self, recorded: Iterable[str]) -> None:
        self._recorded = iter(recorded)
        self._versions: dict[str, str] = {}
        self.settled = 0

    def pending(self) -> Iterator[str]:
        """See `questions.PendingModels`."""
        for line in self._recorded:
            model, _, version = line.partition(" ")
            self._versions[model] = version
            yield model

    def records_sharing(self, model: str) -> Iterator[Sequence[tuple[int, ModelRecord]]]:
        """See `questions.PendingModels`."""
        version = self._versions.pop(model)
        yield [(0, replace(_SOMEBODY, replicate_model_id=model, replicate_version_id=version))]

    def record_findings(self, findings: Iterable[tuple[int, Verdict]], failure: Reason | None, at: int) -> None:
        """See `questions.PendingModels`."""
        if failure:
            raise RuntimeError(f"at {at}: {failure}")
        self.settled += len(list(findings))

    def heard(self, row_id: int) -> Heard | None:  # noqa: ARG002 - nobody has an unfinished row
        """See `questions.PendingModels`."""
        return None

    def record_base(self, row_id: int, base: Finding) -> None:
        """See `questions.PendingModels`."""
        raise NotImplementedError


async def _main(base_url: str, concurrency: int, recorded: list[str]) -> None:
    async with connect(target(base_url, concurrency)) as replicate:
        account = await replicate.account()
        models = ListedModels(recorded)
        context = RunContext(account if isinstance(account, Account) else None)
        questions = ModelQuestions(replicate, models, Classifier(context))
        auditor = Auditor(questions, lambda _: None, token_works=context.account is not None)
        await auditor.run(concurrency, Stop())
    if models.settled != len(recorded):
        raise RuntimeError(f"{models.settled} of {len(recorded)} were answered")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_text().splitlines()))
