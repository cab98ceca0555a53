"""Runs of the past, in a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit.commands.outputs import report
from audit.commands.settings import default_choices
from audit.model.codes import Format, Reason
from audit.model.findings import AuditedUser
from audit.report.writer import Output
from audit.runfile import RunFile
from tests.support.run_files import run_file_of
from tests.support.samples import finding, outdated_users, place, record


def past_run(folder: Path, day: int, *, need: int = 0, failed: int = 0, fine: int = 1, **changes: Any) -> Path:
    """The run of that day of March; whole, and of one place, unless `changes` say otherwise."""
    folder.mkdir(exist_ok=True)
    users = outdated_users(need)
    users += [AuditedUser(record(user_id=f"bad{n}"), finding(Reason.NETWORK_ERROR)) for n in range(failed)]
    users += [AuditedUser(record(user_id=f"fine{n}"), finding()) for n in range(fine)]
    told: dict[str, Any] = {"id": f"{day:032x}", "place": place(), "started_at": f"2026-03-{day:02}T12:00:00Z"}
    return run_file_of(folder / f"day-{day:02}.sqlite", users, **(told | changes))


def with_reports(path: Path, formats: Sequence[Format] = ("html", "csv"), **ends: str) -> Path:
    """The run at `path`, with its reports beside it under the same name, but for the ends of those named in `ends`."""
    outputs = tuple((each, str(path.with_suffix(f".{ends.get(each, each)}").absolute())) for each in formats)
    with RunFile.resume(path) as run_file:
        run_file.save_choices(default_choices(outputs=outputs))
        report(run_file, [Output(*each) for each in outputs])
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """All that is in `folder`, links as what they lead to."""
    return {
        each.name: str(each.readlink()).encode() if each.is_symlink() else each.read_bytes() if each.is_file() else b""
        for each in folder.iterdir()
    }
