"""Flipped bits in run files: none passes for what a run has found."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from audit.commands import cli
from audit.errors import AuditError, RunFileError
from audit.findings.comparison import UserSnapshot
from audit.model.codes import Reason, Status
from audit.model.repair import ChangeState
from audit.model.replies import Heard, Training, WeightsAnswer
from audit.runfile import DamagedError, RunFile, open_salvaged
from tests.runfile.test_file import filled, people
from tests.runfile.test_journal import entries
from tests.support.run_files import finished_run_file
from tests.support.samples import NEW, finding, record, run_info

PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A finished run of 30 users."""
    path = tmp_path_factory.mktemp("whole") / "run.sqlite"
    finished_run_file(path, 30, "https://api.replicate.com/v1")
    return path.read_bytes()


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A run file with rows in every table."""
    path = tmp_path / "full.sqlite"
    with filled(path, people("a/1", "a/2")) as run_file:
        with run_file.loading_baseline() as add:
            add(UserSnapshot(user_id="u0", status=Status.ERROR, reason="timeout"))
        with run_file.transaction():
            run_file.add(record(user_id="u9"), None, finding(Reason.STOPPED), question=True)
            run_file.trainings.add([Training(id="t1", status="succeeded", created_at="2026-01-01T00:00:00Z")])
            run_file.weights.create()
            run_file.weights.want(["https://w"])
            run_file.weights.record([("https://w", WeightsAnswer("there", "HTTP 206"))])
        run_file.journal.write(entries(ChangeState.BEGUN, 1))
        run_file.record_heard(3, Heard(), finding(Reason.STOPPED), 1)
        run_file.record_findings([(1, finding())], None, 1)
    return path


CHANGES = {
    "run": "value = replace(value, 'example', 'fxample')",
    "audited": "record = replace(record, 'u1', 'u3')",
    "unfinished": "outcome = 'timeout'",
    "training": "training = replace(training, 'succeeded', 'sucbeeded')",
    "repair": "state = 'done'",
    "baseline": "status = 'needs_sync'",
    "weights": "told = 'gone'",
}


@pytest.mark.parametrize("table", CHANGES)
def test_a_row_that_is_not_what_was_written_is_damage_whatever_the_table(table: str, full: Path) -> None:
    with RunFile.open(full) as run_file:
        run_file.check_integrity()
    with sqlite3.connect(full) as file:  # as a flipped bit would, without a new checksum
        assert file.execute(f"UPDATE {table} SET {CHANGES[table]}").rowcount
    file.close()
    with RunFile.open(full) as run_file, pytest.raises(DamagedError, match=rf"full.sqlite is damaged .*{table}"):
        run_file.check_integrity()
    with pytest.raises(DamagedError, match=r"full.sqlite is damaged"):
        RunFile.resume(full)


def test_every_way_of_writing_a_row_leaves_the_file_whole(full: Path) -> None:
    with RunFile.resume(full) as run_file:
        run_file.make_pending([Reason.TIMEOUT], [Reason.STOPPED])
        run_file.replace_findings([(2, finding(Reason.NO_VERSIONS))])
        run_file.record_findings_by_training([(1, finding())], 2)
        run_file.record_base(3, finding())
        run_file.record_heard(3, Heard(), finding(Reason.STOPPED), 1)
        run_file.weights.forget("there")
        run_file.weights.give_up("stopped")
        run_file.journal.write(entries(ChangeState.DONE, 2))
        run_file.finish(run_info(state="complete"))
    with RunFile.open(full) as run_file:
        run_file.check_integrity()


def test_many_lines_of_one_user_in_a_baseline_cost_no_more_each_than_few(tmp_path: Path) -> None:
    took = {}
    for lines in (500, 4000):
        with filled(tmp_path / f"{lines}.sqlite", people("a/1")) as run_file:
            began = time.process_time()
            with run_file.loading_baseline() as add:
                for number in range(lines):
                    add(UserSnapshot(user_id="u0", part=str(number), status=Status.ERROR, reason="timeout"))
            took[lines] = time.process_time() - began
    assert took[4000] < 25 * took[500]  # as many times as there are lines would be 64


def test_a_file_without_checksums_is_read_as_it_was(full: Path) -> None:
    with sqlite3.connect(full) as file:
        for table in CHANGES:
            file.execute(f"ALTER TABLE {table} DROP COLUMN sum")
        file.execute("PRAGMA user_version = 3")
    file.close()
    with RunFile.open(full) as run_file:
        run_file.check_integrity()
        assert run_file.summary().total == len(list(run_file.users())) == 3
    with RunFile.resume(full) as run_file:  # and gets them for what is written from then on
        run_file.record_findings([(1, finding(latest_version=NEW))], None, 1)
    with RunFile.open(full) as run_file:
        run_file.check_integrity()
    with sqlite3.connect(full) as file:
        assert [row[0] is None for row in file.execute("SELECT sum FROM audited")] == [False, True, True]
        file.execute("UPDATE audited SET reason = 'timeout'")
    file.close()
    with RunFile.open(full) as run_file, pytest.raises(DamagedError):
        run_file.check_integrity()


def test_what_is_salvaged_has_no_row_that_is_not_what_was_written(full: Path) -> None:
    with sqlite3.connect(full) as file:
        file.execute("UPDATE audited SET record = replace(record, 'ann@', 'bnn@') WHERE id = 2")
    file.close()
    with open_salvaged(full) as rest:
        assert sorted(user.record.user_id for user in rest.users()) == ["u0", "u9"]
        assert rest.info.stop_reason == "the run file was damaged: 2 users could still be read"


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


Render = Callable[[bytes], tuple[str, str]]


@pytest.fixture
def render(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Render:
    """The report of a run file of these bytes, and what was said about it."""

    def rendered(content: bytes) -> tuple[str, str]:
        path, out = tmp_path / "run.sqlite", tmp_path / "report.json"
        for each in (*tmp_path.glob("run.sqlite-*"), out):
            each.unlink(missing_ok=True)
        path.write_bytes(content)
        try:
            cli.main(["render", str(path), "-o", str(out)], standalone_mode=False)
        except AuditError as error:
            return "", str(error)
        return out.read_text(), capsys.readouterr().err

    return rendered


def indexes(content: bytes, path: Path) -> Iterator[int]:
    """The pages, counted from 0, that the indexes of the run file begin with."""
    path.write_bytes(content)
    with sqlite3.connect(path) as file:
        yield from (row[0] - 1 for row in file.execute("SELECT rootpage FROM sqlite_master WHERE sql LIKE '%INDEX%'"))
    file.close()


def check(content: bytes, bit: int, render: Render, good: str) -> None:
    report, said = render(flipped(content, bit))
    if report != good:
        assert "is damaged" in said or not report, (bit, said)
        assert "run.sqlite" in said, bit
        assert not report or "could still be read" in json.loads(report)["run"]["stop_reason"], bit


def test_a_flipped_bit_in_an_index_leaves_nobody_out_without_a_word(
    whole: bytes, render: Render, tmp_path: Path
) -> None:
    good, _ = render(whole)
    damages = 0
    for page in indexes(whole, tmp_path / "copy.sqlite"):
        for bit in (
            *range(page * PAGE * 8, page * PAGE * 8 + 640, 37),
            *range((page + 1) * PAGE * 8 - 3200, (page + 1) * PAGE * 8, 101),
        ):
            check(whole, bit, render, good)
            damages += "is damaged" in render(flipped(whole, bit))[1]
    assert damages > 20


@pytest.mark.slow
def test_no_flipped_bit_anywhere_ends_in_another_report_without_a_word(whole: bytes, render: Render) -> None:
    good, _ = render(whole)
    for bit in (*range(800), *range(800, len(whole) * 8, 397)):
        check(whole, bit, render, good)


def test_a_flipped_bit_is_an_error_for_whoever_reads_a_whole_run(whole: bytes, tmp_path: Path) -> None:
    path, good = tmp_path / "bad.sqlite", tmp_path / "good.sqlite"
    good.write_bytes(whole)
    at = whole.index(b"user7@example.com")
    path.write_bytes(flipped(whole, at * 8))
    for command in (
        ["user", "u7", "--run", str(path)],
        ["accept", "u7", "--because", "x", "--until", "9999-12-31", "--run", str(path), "--file", str(tmp_path / "a")],
        ["diff", str(path), str(good)],
        ["diff", str(good), str(path)],
        ["sync", str(path)],
        ["merge", str(path), str(good), "--run-file", str(tmp_path / "all.sqlite")],
    ):
        with pytest.raises(RunFileError, match=r"bad\.sqlite is damaged"):
            cli.main(command, standalone_mode=False)
