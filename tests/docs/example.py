"""Makes `reports/example/`: the demo's reports, the same bytes each time. `python -m tests.docs.example FOLDER`.

It is the demo's own audit, on its own servers, at a fixed moment. What still differs between two runs is the `run`
block of the reports, and is set here: id, duration, the port in the base URL, and how many requests there were (those
of a quiet machine; a busy one may need a retry more).
"""

import asyncio
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from audit.cli.signals import Stop
from audit.commands import outputs
from audit.commands.demo import demo_settings
from audit.commands.replicate import ProgressListener
from audit.commands.run import audit as audit_run
from audit.demo.servers import demo_servers
from audit.model import times as instants
from audit.model.codes import Format
from audit.model.replies import Requests
from audit.report.writer import Output
from audit.runfile import RunFile

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIXED = {
    "id": "5eed" * 8,
    "finished_at": instants.utc_text(NOW + timedelta(seconds=2.25)),
    "base_url": "http://127.0.0.1:8000/v1",
    "requests": Requests(sent=89, retried=6, throttled=2),
}
FILES: dict[str, Format] = {
    "demo.html": "html",
    "demo.csv": "csv",
    "demo.json": "json",
    "demo.md": "md",
    "demo.xml": "junit",
}


def write(folder: Path) -> None:
    """Audit, and write all `FILES` into `folder`."""
    with tempfile.TemporaryDirectory() as scratch, demo_servers(NOW) as staged:

        async def audit() -> RunFile:
            return await audit_run.audit(
                demo_settings(staged, (), Path(scratch, "run.sqlite")), ProgressListener(), Stop(), lambda: NOW
            )

        with asyncio.run(audit()) as run_file:
            run_file.save_info(msgspec.structs.replace(run_file.info, **FIXED))
            outputs.report(run_file, [Output(kind, str(folder / name)) for name, kind in FILES.items()])


if __name__ == "__main__":
    write(Path(sys.argv[1]))
