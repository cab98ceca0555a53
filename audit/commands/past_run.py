"""A run that is over, read from whatever is left of it: its run file or its JSON report."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from audit.errors import ReportError, RunFileError
from audit.files import open_foreign
from audit.findings.comparison import ComparedRun, UserSnapshot, snapshot_of
from audit.findings.redaction import MASKED_NAME
from audit.model.coverage import eligible_lines
from audit.model.run import is_narrowed
from audit.model.text import escape_controls, os_cause
from audit.report import json_reader
from audit.runfile import RunFile

_SQLITE = b"SQLite format 3\0"
_NEITHER = "Name a run file (.sqlite) or a JSON report (-o json=PATH) of sync-audit."
_MASKED = "***@***"
"""What `--redact` leaves of an address in a user id."""


def read(path: Path, keep: Callable[[UserSnapshot], bool]) -> ComparedRun:
    """Hand every user of the run at `path` to `keep`, and return what is known of the run itself.

    `keep` is false where it has the user's id already. Raises RunFileError or ReportError, which name the file.
    """
    try:
        with open_foreign(path, pipes=True) as file:
            start = file.peek(len(_SQLITE))
            if not start.startswith(_SQLITE):
                return _read_json(file, start, escape_controls(str(path)), keep)
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {os_cause(error).lower()}", _NEITHER) from error
    return _read_run_file(path, keep)


def _read_json(file: BinaryIO, start: bytes, path: str, keep: Callable[[UserSnapshot], bool]) -> ComparedRun:
    if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        what = "is empty" if not start else "is neither a run file nor a JSON report of sync-audit"
        raise ReportError(f"{path} {what}", _NEITHER)
    masked = False

    def watched(user: UserSnapshot) -> bool:
        nonlocal masked
        masked = masked or _MASKED in user.user_id or MASKED_NAME in user.part
        return keep(user) or masked  # two that are masked alike are no damage

    run = json_reader.read(file, path, watched)
    if masked and run.redacted:
        why = f"user ids of {path} are e-mail addresses and masked"
        if run.latest_per != "user":
            why = f"ids of users or {run.latest_per}s of {path} hold e-mail addresses or names and are masked"
        raise ReportError(
            f"{why} (--redact), so nobody in it can be found again",
            "Name its run file instead: what is written then is masked all the same.",
        )
    return run


def _read_run_file(path: Path, keep: Callable[[UserSnapshot], bool]) -> ComparedRun:
    with RunFile.open(path) as run_file:
        run_file.check_integrity()
        info, population = run_file.info, run_file.population
        if population is None:
            raise RunFileError(f"the run {path} was ended before the database had been read", "Compare with another.")
        eligible = eligible_lines(population, run_file.without_line())
        users = 0
        for user in run_file.users():
            keep(snapshot_of(user, info.latest_per))
            users += 1
    return ComparedRun(
        path=escape_controls(str(path)),
        id=info.id,
        started_at=info.started_at,
        state=info.ended_as,
        stop_reason=info.stop_reason,
        database=info.database,
        place=info.place,
        base_url=info.base_url,
        account=info.account,
        order_by=info.order_by,
        latest_per=info.latest_per,
        filters=info.filters,
        redacted=info.redacted,
        shard=info.shard,
        users=users,
        expected=None if is_narrowed(info.filters, info.shard) else eligible,
        looked_for=info.looked_for,
    )
