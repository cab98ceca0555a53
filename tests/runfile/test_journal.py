"""The journal of repairs in a run file: what is written stays, whatever ends the process."""

import os
import signal
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from audit.errors import RunFileError
from audit.model.codes import Reason
from audit.model.repair import ChangeOutcome, ChangeState, RowChange
from audit.runfile import JournalEntry, RunFile, sqlite
from tests import ROOT
from tests.support.run_files import edited
from tests.support.samples import NEW, OLD, run_info


def change(row_id: str) -> RowChange:
    return RowChange(
        user_id=f"u{row_id}",
        email=None,
        model_row_id=row_id,
        replicate_model_id="acme/ann",
        reason=Reason.OUTDATED_VERSION,
        old_version=OLD,
        new_version=NEW,
        latest_version=NEW,
        old_weights=None,
        new_weights=None,
        weights="left_alone",
        old_updated_at=None,
    )


def entries(state: ChangeState, count: int, start: int = 0) -> list[JournalEntry]:
    return [
        JournalEntry(change(f"{i:05}"), state, ChangeOutcome(why=f"because {i}")) for i in range(start, start + count)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run.sqlite"
    RunFile.create(path, run_info()).close()
    return path


def test_entries_come_back_as_they_were_written_by_state_and_one_by_one(path: Path) -> None:
    with RunFile.resume(path) as run_file:
        run_file.journal.write(entries(ChangeState.DONE, 3) + entries(ChangeState.SKIPPED, 2, start=3))
    with RunFile.open(path) as run_file:
        assert list(run_file.journal.entries(ChangeState.DONE)) == entries(ChangeState.DONE, 3)
        assert list(run_file.journal.entries()) == entries(ChangeState.DONE, 3) + entries(
            ChangeState.SKIPPED, 2, start=3
        )
        assert run_file.journal.entry("00004") == entries(ChangeState.SKIPPED, 1, start=4)[0]
        assert run_file.journal.entry("4") is None
        assert run_file.journal.counts() == {
            ChangeState.BEGUN: 0,
            ChangeState.DONE: 3,
            ChangeState.SKIPPED: 2,
            ChangeState.FAILED: 0,
            ChangeState.UNDONE: 0,
        }


def test_what_is_known_last_of_a_row_counts(path: Path) -> None:
    with RunFile.resume(path) as run_file:
        for state in ChangeState:
            run_file.journal.write(entries(state, 2))
        assert list(run_file.journal.entries()) == entries(ChangeState.UNDONE, 2)


def test_entries_may_be_written_while_they_are_gone_through(path: Path) -> None:
    count = sqlite._PAGE * 2 + 7
    with RunFile.resume(path) as run_file:
        run_file.journal.write(entries(ChangeState.BEGUN, count))
        seen = []
        for entry in run_file.journal.entries(ChangeState.BEGUN):
            seen.append(entry.change.model_row_id)
            run_file.journal.write([entry._replace(state=ChangeState.DONE)])
        assert seen == [f"{i:05}" for i in range(count)]
        assert run_file.journal.counts()[ChangeState.DONE] == count


def test_a_batch_is_written_whole_or_not_at_all(path: Path) -> None:
    def broken() -> list[JournalEntry]:
        raise OSError

    with RunFile.resume(path) as run_file:
        with pytest.raises(OSError):  # noqa: PT011 - ours
            run_file.journal.write(chain(entries(ChangeState.BEGUN, 5), (each for _ in "x" for each in broken())))
        assert list(run_file.journal.entries()) == []
        run_file.journal.write(entries(ChangeState.BEGUN, 1))
        assert run_file.journal.counts()[ChangeState.BEGUN] == 1


def test_a_file_of_schema_1_gets_its_journal_when_it_is_locked(path: Path) -> None:
    dropped = [f"DROP TABLE {table}" for table in ("training", "repair", "unfinished")]
    added = (("audited", "checked_at"), ("audited", "sum"), ("run", "sum"))
    dropped += [f"ALTER TABLE {table} DROP COLUMN {column}" for table, column in added]
    edited(path, *dropped, "PRAGMA user_version = 1")
    with RunFile.open(path) as run_file:
        assert not run_file.journal.exists
    with RunFile.resume(path) as run_file:
        run_file.journal.write(entries(ChangeState.DONE, 1))
        assert run_file.journal.exists


KILLED = f"""
import os, sys
from pathlib import Path
from audit.runfile import RunFile
from audit.model.repair import ChangeState
from tests.runfile.test_journal import entries
run_file = RunFile.resume(Path(sys.argv[1]))
run_file.journal.write(entries(ChangeState.BEGUN, 100))
run_file.journal.write(entries(ChangeState.DONE, 50))
os.kill(os.getpid(), {int(signal.SIGKILL)})
"""


def test_a_kill_right_after_writing_loses_nothing(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, path], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    with RunFile.open(path) as run_file:
        counts = run_file.journal.counts()
    assert (counts[ChangeState.BEGUN], counts[ChangeState.DONE]) == (50, 50)


def test_a_journal_that_cannot_be_read_is_said_to_be_damaged(path: Path) -> None:
    with RunFile.resume(path) as run_file:
        run_file._db.execute(
            "INSERT INTO repair (model_row_id, state, change, outcome) VALUES ('1', 'done', 'no JSON', NULL)"
        )
        with pytest.raises(RunFileError, match="damaged"):
            list(run_file.journal.entries())
