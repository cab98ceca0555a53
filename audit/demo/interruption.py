"""A run that ends early, so that people know such a report when they see one."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from audit import app, reporting
from audit.asking import Asking
from audit.auditor import Stop
from audit.ledger import Ledger
from audit.models import Finding
from audit.report.writer import Output
from audit.settings import RunSettings

MODELS = 12
"""So many are asked for, one after the other, which makes it the same users each time."""


class _StopAfter:
    """An `asking.Watcher` that shows nothing and stops the run."""

    def __init__(self, models: int, stop: Stop) -> None:
        self._left = models
        self._stop = stop

    def reading(self, records: int) -> None:
        """Nothing to do."""

    def listing(self, trainings: int) -> None:
        """Nothing to do."""

    def asking(self, models: int, asking: Asking) -> None:
        """Nothing to do."""

    def settled(self, findings: Sequence[Finding]) -> None:  # noqa: ARG002 - asking.Watcher's signature
        """Count down."""
        self._left -= 1
        if self._left == 0:
            self._stop.request("interrupted", "stopped by the demo, to show what such a report looks like")

    def done(self) -> None:
        """Nothing to do."""


def interrupted(settings: RunSettings, html: Path) -> None:
    """Audit as `settings` say, stop after `MODELS`, and write that run's report to `html`; the run file is not kept."""
    run_file = html.with_suffix(".sqlite")
    run_file.unlink(missing_ok=True)

    async def audit() -> Ledger:
        stop = Stop()
        few = replace(settings, outputs=(("html", str(html)),), run_file=run_file, concurrency=1)
        return await app.audit(few, _StopAfter(MODELS, stop), stop)

    with asyncio.run(audit()) as ledger:
        reporting.report(ledger, [Output("html", str(html))])
    with suppress(OSError):
        run_file.unlink()
