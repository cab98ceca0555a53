"""The run file on a real disk."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from operator import itemgetter
from pathlib import Path

import msgspec
import pytest

from audit.errors import RunFileError
from audit.model.codes import Note, Reason, Status
from audit.model.ids import askable_model, model_key
from audit.model.users import ModelRecord, Population
from audit.runfile import RunFile
from audit.runfile.file import BATCH
from tests import ROOT
from tests.support.samples import finding, record, run_info

POPULATION = Population(
    users=4,
    users_with_completed_model=3,
    completed_models=3,
    users_with_several_completed_models=0,
    completed_models_hidden=0,
    completed_without_model_id=0,
    test_models_left_out=0,
    models_without_user=0,
    training_status={"completed": 3},
)


def filled(path: Path, records: list[ModelRecord]) -> RunFile:
    run_file = RunFile.create(path, run_info())
    with run_file.loading():
        for each in records:
            run_file.add(each, each.replicate_model_id, finding(Reason.STOPPED))
        run_file.save_population(POPULATION)
    return run_file


def sharing(run_file: RunFile, model: str) -> list[tuple[int, ModelRecord]]:
    return sorted(((i, each) for batch in run_file.records_sharing(model) for i, each in batch), key=itemgetter(0))


def people(*models: str | None) -> list[ModelRecord]:
    return [record(user_id=f"u{i}", replicate_model_id=model) for i, model in enumerate(models)]


def test_a_run_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    with RunFile.create(tmp_path / "run.sqlite", run_info()):
        assert (tmp_path / "run.sqlite").stat().st_mode & 0o777 == 0o600


def test_what_was_put_in_comes_out_again(tmp_path: Path) -> None:
    hostile = record(user_id="ü'\x1b\u202e", display_name="𝔄" * 100, email=None)
    with filled(tmp_path / "run.sqlite", [hostile]) as run_file:
        user = next(run_file.users())
        assert user.record == hostile
        assert user.finding == finding(Reason.STOPPED)
        assert run_file.info == run_info()
        assert run_file.population == POPULATION


def test_before_anything_is_asked_everybody_is_not_checked(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("a/1", "a/2")) as run_file:
        assert run_file.summary().statuses[Status.NOT_CHECKED] == run_file.summary().total == 2


def test_each_model_is_pending_once_in_the_order_of_the_source(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("b/1", None, "a/1", "b/1", "c/1")) as run_file:
        assert list(run_file.pending()) == ["b/1", "a/1", "c/1"]
        assert run_file.count_pending() == 3


def test_of_some_models_those_come_that_are_pending_as_they_are_asked_for(tmp_path: Path) -> None:
    """With their first record, and whether others have the model too."""
    with filled(tmp_path / "run.sqlite", people(" B/1", None, "a/1", "b/1", "c/1", "d/1", "D/1")) as run_file:
        run_file.record_findings([(5, finding())], None, 5)
        last_first = sharing(run_file, "d/1")[::-1]
        run_file.record_findings([(last_first[0][0], finding())], None, 5)
        found = [(model, each.user_id, shared) for model, each, shared in run_file.pending_among(["b/1", "c/1", "d/1"])]
        assert found == [("B/1", "u0", True), ("d/1", "u5", True)]
        assert list(run_file.pending()) == ["B/1", "a/1", "d/1"]
        everybody = [record.replicate_model_id for _, record in run_file.records()]
        assert [model for model, _, _ in run_file.pending_among(map(model_key, everybody))] == list(run_file.pending())


def test_a_model_that_many_share_comes_in_batches_and_waits_until_the_last_one(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people(*["a/1"] * 1700, "a/2")) as run_file:
        seen: list[int] = []
        for batch in run_file.records_sharing("a/1"):
            assert len(batch) <= BATCH + 1
            assert list(run_file.pending()) == ["a/1", "a/2"]
            seen += [row_id for row_id, _ in batch]
            run_file.record_findings([(row_id, finding()) for row_id, _ in batch], None, 0)
        assert sorted(seen) == list(range(1, 1701))
        assert list(run_file.pending()) == ["a/2"]


def test_settling_while_going_through_what_is_pending_skips_nothing(tmp_path: Path) -> None:
    models = [f"a/{i}" for i in range(1200)]
    with filled(tmp_path / "run.sqlite", people(*models)) as run_file:
        seen = []
        for model in run_file.pending():
            seen.append(model)
            run_file.record_findings([(row_id, finding()) for row_id, _ in sharing(run_file, model)], None, 0)
        assert seen == models
        assert run_file.count_pending() == 0


def test_one_answer_settles_all_who_share_the_model(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("a/1", "b/1", "a/1")) as run_file:
        assert [each.user_id for _, each in sharing(run_file, "a/1")] == ["u0", "u2"]
        run_file.record_findings([(row_id, finding()) for row_id, _ in sharing(run_file, "a/1")], None, 0)
        assert list(run_file.pending()) == ["b/1"]


def test_models_that_differ_in_case_are_asked_for_once_as_the_first_record_has_it(tmp_path: Path) -> None:
    records = [
        record(user_id=f"u{i}", replicate_model_id=each) for i, each in enumerate((" B/1\n", "a/1", "b/1", "A/1"))
    ]
    run_file = RunFile.create(tmp_path / "run.sqlite", run_info())
    with run_file, run_file.loading():
        for each in records:
            run_file.add(each, askable_model(each.replicate_model_id), finding(Reason.STOPPED))
    with RunFile.open(tmp_path / "run.sqlite") as run_file:
        assert (list(run_file.pending()), run_file.count_pending()) == (["B/1", "a/1"], 2)
        assert [each.user_id for _, each in sharing(run_file, "B/1")] == ["u0", "u2"]
        assert not list(run_file.pending_unshared())


def test_a_file_of_an_older_version_which_minded_case_is_gone_on_with(tmp_path: Path) -> None:
    filled(tmp_path / "run.sqlite", people("A/1", "b/1", "A/1")).close()
    with sqlite3.connect(tmp_path / "run.sqlite") as connection:
        connection.execute("UPDATE audited SET model = json_extract(record, '$.replicate_model_id')")
    connection.close()
    with RunFile.open(tmp_path / "run.sqlite") as run_file:
        assert list(run_file.pending()) == ["A/1", "b/1"]
        assert [each.user_id for _, each in sharing(run_file, "A/1")] == ["u0", "u2"]
        assert not run_file.info.by_model_key


def test_models_are_asked_for_again_by_failure_and_by_what_was_found(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("a/1", "a/2", "a/3", "a/3", "a/4", None)) as run_file:
        answers = {
            1: (finding(Reason.TIMEOUT), Reason.TIMEOUT),
            2: (finding(Reason.MODEL_NOT_FOUND), None),
            3: (finding(Reason.LATEST_VERSION), None),
            4: (finding(Reason.OUTDATED_VERSION), None),
            5: (finding(Reason.LATEST_VERSION), None),
            6: (finding(Reason.MISSING_MODEL_ID), None),
        }
        for row_id, (found, failure) in answers.items():
            run_file.record_findings([(row_id, found)], failure, 0)
        before = run_file.summary()
        run_file.make_pending([Reason.TIMEOUT])
        assert list(run_file.pending()) == ["a/1"]
        run_file.make_pending([], [Reason.OUTDATED_VERSION, Reason.MISSING_MODEL_ID])
        assert list(run_file.pending()) == ["a/1", "a/3"]
        assert [each.user_id for _, each in sharing(run_file, "a/3")] == ["u2", "u3"]
        assert run_file.summary() == before


def test_a_reason_that_stands_beside_another_is_asked_about_again_too(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("a/1", "a/2")) as run_file:
        both = finding(Reason.TRAINING_NOT_RECORDED, also=finding(Reason.OUTDATED_VERSION))
        run_file.record_findings([(1, both), (2, finding())], None, 0)
        run_file.make_pending([], [Reason.OUTDATED_VERSION])
        assert list(run_file.pending()) == ["a/1"]


def test_only_who_was_never_asked_for_may_be_settled_otherwise(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("a/1", "a/2")) as run_file:
        run_file.record_findings([(1, finding(Reason.EVIDENCE_DISAGREES))], None, 0)
        run_file.make_pending([], [Reason.EVIDENCE_DISAGREES])
        assert list(run_file.pending()) == ["a/1", "a/2"]
        assert [model for _, model, _ in run_file.pending_unshared()] == ["a/2"]


def test_users_come_by_status_and_then_in_the_order_of_the_source(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("a/1", "a/2", "a/3", "a/4", "a/5")) as run_file:
        for model, reason in {
            "a/1": Reason.LATEST_VERSION,
            "a/2": Reason.TIMEOUT,
            "a/4": Reason.OUTDATED_VERSION,
            "a/5": Reason.TIMEOUT,
        }.items():
            run_file.record_findings([(row_id, finding(reason)) for row_id, _ in sharing(run_file, model)], None, 0)
        assert [user.record.user_id for user in run_file.users()] == ["u3", "u1", "u4", "u2", "u0"]
        assert [user.record.user_id for user in run_file.users(Status.ERROR)] == ["u1", "u4"]
        assert [user.record.user_id for user in run_file.users(Status.ERROR, Reason.SERVER_ERROR)] == []


def test_the_summary_counts_statuses_reasons_and_notes(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("a/1", "a/2", "a/3")) as run_file:
        both = finding(Reason.OUTDATED_VERSION, notes=(Note.UNDATED_ROW, Note.SHARED_MODEL))
        run_file.record_findings(
            [(1, both), (2, finding(Reason.OUTDATED_VERSION, notes=(Note.SHARED_MODEL,)))], None, 0
        )
        summary = run_file.summary()
        assert summary.statuses == {
            Status.NEEDS_SYNC: 2,
            Status.ERROR: 0,
            Status.NOT_CHECKED: 1,
            Status.UP_TO_DATE: 0,
        }
        assert summary.reasons == {Reason.OUTDATED_VERSION: 2, Reason.STOPPED: 1}
        assert summary.notes == {Note.SHARED_MODEL: 2, Note.UNDATED_ROW: 1}


def test_a_loading_that_fails_leaves_no_records(tmp_path: Path) -> None:
    run_file = RunFile.create(tmp_path / "run.sqlite", run_info())
    with pytest.raises(ZeroDivisionError), run_file.loading():  # noqa: PT012 - something must be there to be lost
        run_file.add(record(), "a/1", finding(Reason.STOPPED))
        _ = 1 / 0
    assert run_file.summary().total == 0
    assert run_file.population is None
    run_file.close()


def test_a_finished_run_is_a_single_file(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("a/1")) as run_file:
        run_file.finish(run_info(state="complete"))
        assert [each.name for each in tmp_path.iterdir()] == ["run.sqlite"]
    with RunFile.open(tmp_path / "run.sqlite") as run_file:
        assert run_file.info.state == "complete"


def test_a_path_that_is_taken_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    path.write_text("precious")
    with pytest.raises(RunFileError, match="exists already"):
        RunFile.create(path, run_info())
    assert path.read_text() == "precious"


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match=r"nowhere/run.sqlite cannot be created: no such file"):
        RunFile.create(tmp_path / "nowhere" / "run.sqlite", run_info())


def test_a_missing_run_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match=r"there is no run file .*run.sqlite"):
        RunFile.open(tmp_path / "run.sqlite")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty, as a run leaves its file"), (b"hello, this is no database" * 100, "is not a run file")],
    ids=["empty", "text"],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "run.sqlite"
    path.write_bytes(content)
    with pytest.raises(RunFileError, match=words):
        RunFile.open(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE audited (id)")
    other.close()
    with pytest.raises(RunFileError, match="is not a run file"):
        RunFile.open(path)


def test_a_run_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    RunFile.create(path, run_info()).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(RunFileError, match="written by a newer sync-audit"):
        RunFile.open(path)


def test_a_run_file_of_a_live_run_is_refused_and_free_once_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with filled(path, people("a/1")), pytest.raises(RunFileError, match="in use by a run"):
        RunFile.open(path)
    with RunFile.open(path) as run_file:
        assert run_file.summary().total == 1


def test_a_damaged_run_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with filled(path, people(*(f"a/{i}" for i in range(500)))) as run_file:
        run_file.finish(run_info())
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 20] = b"\xff" * 4096 * 17
    path.write_bytes(content)
    with RunFile.open(path) as run_file, pytest.raises(RunFileError, match=r"run.sqlite is damaged"):
        list(run_file.users())


KILLED = """
    import os, signal, sys, time
    from pathlib import Path
    from audit.runfile import RunFile
    from audit.model.codes import Reason
    from tests.support.samples import finding, record, run_info
    from tests.runfile.test_file import filled, people
    run_file = filled(Path(sys.argv[1]), people(*(f"a/{i}" for i in range(1000))))
    for row_id in range(1, 411):
        if row_id == 400:
            time.sleep(0.15)
        run_file.record_findings([(row_id, finding())], None, 0)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_a_tenth_of_a_second_at_most_and_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": "."}, check=False)
    assert done.returncode == -signal.SIGKILL
    with RunFile.open(path) as run_file:
        kept = run_file.summary().reasons[Reason.LATEST_VERSION]
        assert 400 <= kept <= 410
        assert run_file.summary().reasons[Reason.STOPPED] == run_file.count_pending() == 1000 - kept
        assert run_file.info.state == "running"


def test_findings_are_json_that_other_tools_can_read(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with filled(path, people("a/1")) as run_file:
        run_file.record_findings([(1, finding(notes=(Note.SHARED_MODEL,)))], Reason.TIMEOUT, 0)
        run_file.finish(run_info())
    other = sqlite3.connect(path)
    row = other.execute("SELECT outcome, notes, finding FROM audited").fetchone()
    other.close()
    assert row[:2] == ("timeout", "shared_model")
    assert msgspec.json.decode(row[2])["reason"] == "latest_version"


def test_what_sqlite_has_taken_back_itself_is_told_as_what_it_was(tmp_path: Path) -> None:
    with filled(tmp_path / "run.sqlite", people("a/1")) as run_file:
        with pytest.raises(RunFileError, match="UNIQUE constraint failed"), run_file.transaction():
            run_file._db.execute("INSERT OR ROLLBACK INTO audited SELECT * FROM audited")
        with run_file.transaction():
            run_file.save_info(run_file.info)


def test_a_process_that_is_killed_while_it_fills_the_file_leaves_nothing_in_it(tmp_path: Path) -> None:
    killed = tmp_path / "killed.sqlite"
    with RunFile.create(tmp_path / "run.sqlite", run_info()) as run_file, run_file.loading():
        for each in people(*[f"acme/m{number}" for number in range(3000)]):
            run_file.add(each, each.replicate_model_id, finding(Reason.STOPPED))
        for name in ("run.sqlite", "run.sqlite-journal"):  # as they are on disk at this moment
            (tmp_path / name.replace("run", "killed")).write_bytes((tmp_path / name).read_bytes())
    with pytest.raises(RunFileError, match="in the middle of a change") as raised:
        RunFile.open(killed, "ro")
    assert "sync-audit render" in raised.value.next_step
    with RunFile.open(killed) as run_file:
        assert (run_file.population, run_file.summary().total) == (None, 0)


def test_the_file_is_filled_without_a_log_as_large_as_itself(tmp_path: Path) -> None:
    with RunFile.create(tmp_path / "run.sqlite", run_info()) as run_file:
        with run_file.loading():
            for each in people(*[f"acme/m{number}" for number in range(3000)]):
                run_file.add(each, each.replicate_model_id, finding(Reason.STOPPED))
        sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        assert sizes.pop("run.sqlite") > 20 * sum(sizes.values())
