"""The run files in a folder."""

import os
from pathlib import Path
from typing import Any

import pytest

from audit.model.codes import Reason, Status
from audit.model.findings import AuditedUser
from audit.model.trend import PastCounts
from audit.runfile import RunFile
from audit.runfile.folder import run_files, trend_of
from tests.support.run_files import edited, run_file_of
from tests.support.samples import finding, outdated_users, place, record, run_info

NOW = run_info(id="f" * 32, state="complete", place=place(), started_at="2026-03-31T12:00:00Z")


def past_run(folder: Path, day: int, *, need: int = 1, fine: int = 2, **changes: object) -> Path:
    """A whole run of the place of `NOW` on that day of March."""
    users = [*outdated_users(need), *(AuditedUser(record(user_id=f"fine{n}"), finding()) for n in range(fine))]
    told: dict[str, Any] = {"id": f"{day:032x}", "place": place(), "started_at": f"2026-03-{day:02}T12:00:00Z"}
    return run_file_of(folder / f"day-{day:02}.sqlite", users, **(told | changes))


def days(trend: tuple[PastCounts, ...]) -> list[int]:
    return [int(past.started_at[8:10]) for past in trend]


def test_the_last_ten_whole_runs_before_it_are_the_trend_of_a_run_oldest_first(tmp_path: Path) -> None:
    for day in (12, 3, 7, 1, 9, 2, 11, 4, 10, 5, 8, 6):
        past_run(tmp_path, day, need=day)

    trend = trend_of(tmp_path / "now.sqlite", NOW)

    assert days(trend) == list(range(3, 13))
    assert [past.statuses[Status.NEEDS_SYNC] for past in trend] == list(range(3, 13))
    assert trend[0].statuses == {
        Status.NEEDS_SYNC: 3,
        Status.ERROR: 0,
        Status.NOT_CHECKED: 0,
        Status.UP_TO_DATE: 2,
    }
    assert trend[0].total == 5


def test_runs_that_began_later_are_no_past_of_a_run_that_is_resumed(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        past_run(tmp_path, day)
    resumed = run_info(id="e" * 32, place=place(), started_at="2026-03-02T18:00:00Z")

    assert days(trend_of(tmp_path / "now.sqlite", resumed)) == [1, 2]


def test_a_run_is_not_in_its_own_trend_nor_is_a_copy_of_a_run_counted_twice(tmp_path: Path) -> None:
    own, other = past_run(tmp_path, 2), past_run(tmp_path, 1)
    for path in (own, other):
        (tmp_path / f"copy-{path.name}").write_bytes(path.read_bytes())
    with RunFile.open(own) as run_file:
        info = run_file.info

    assert days(trend_of(own, info)) == [1]


def test_only_whole_runs_of_the_same_place_and_choices_are_in_a_trend(tmp_path: Path) -> None:
    past_run(tmp_path, 1, place=place(host="staging.example.com"))
    past_run(tmp_path, 2, state="stopped")
    past_run(tmp_path, 3, order_by="created_at")
    past_run(tmp_path, 4)

    assert days(trend_of(tmp_path / "now.sqlite", NOW)) == [4]


def test_what_is_no_sound_run_file_is_left_out_and_left_as_it_is(tmp_path: Path) -> None:
    good = past_run(tmp_path, 1)
    damaged = past_run(tmp_path, 2)
    edited(damaged, "DROP TABLE audited")
    unsound = past_run(tmp_path, 3)
    unsound.write_bytes(unsound.read_bytes().replace(b"db.example.com/shop", b"db.example.com/shod", 1))
    (tmp_path / "text.sqlite").write_text("SELECT 1")
    (tmp_path / "empty.sqlite").touch()
    (tmp_path / "folder.sqlite").mkdir()
    os.mkfifo(tmp_path / "pipe.sqlite")
    (tmp_path / "link.sqlite").symlink_to(past_run(tmp_path / "..", 4))
    before = {path: path.read_bytes() for path in tmp_path.glob("*.sqlite") if path.is_file()}

    assert days(trend_of(tmp_path / "now.sqlite", NOW)) == [1]
    assert {path: path.read_bytes() for path in tmp_path.glob("*.sqlite") if path.is_file()} == before
    assert good in run_files(tmp_path)


def test_a_run_file_that_is_in_use_is_left_out_at_once(tmp_path: Path) -> None:
    past_run(tmp_path, 1)
    with RunFile.resume(past_run(tmp_path, 2)):
        assert days(trend_of(tmp_path / "now.sqlite", NOW)) == [1]


def test_a_folder_that_is_not_there_or_has_nothing_gives_no_trend(tmp_path: Path) -> None:
    assert trend_of(tmp_path / "now.sqlite", NOW) == ()
    assert trend_of(tmp_path / "nowhere" / "now.sqlite", NOW) == ()


def test_of_very_many_files_those_that_were_changed_last_are_looked_at(tmp_path: Path) -> None:
    for day in range(1, 6):
        path = past_run(tmp_path, day)
        os.utime(path, (day, day))

    assert [path.stem for path in run_files(tmp_path, most=2)] == ["day-05", "day-04"]


@pytest.mark.parametrize("own", ["now.sqlite", "hard-link.sqlite"])
def test_the_run_file_of_this_process_keeps_its_lock(tmp_path: Path, own: str) -> None:
    """Whoever closes a file loses all locks on it."""
    path = tmp_path / "now.sqlite"
    with RunFile.create(path, NOW) as run_file:
        if own != path.name:
            os.link(path, tmp_path / own)
        trend_of(path, NOW)
        pid = os.fork()
        if pid == 0:  # another process
            try:
                RunFile.open(path, "ro", 0).close()
            except Exception:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert run_file.info == NOW


def test_a_trend_is_kept_in_the_run_file(tmp_path: Path) -> None:
    trend = (PastCounts(run_id="a" * 32, started_at="2026-03-01T12:00:00Z", statuses=dict.fromkeys(Status, 7)),)
    with RunFile.resume(past_run(tmp_path, 1)) as run_file:
        assert run_file.trend == ()
        run_file.save_trend(trend)
    with RunFile.open(tmp_path / "day-01.sqlite") as run_file:
        run_file.check_integrity()
        assert run_file.trend == trend


def test_counts_by_status_are_those_of_the_summary(tmp_path: Path) -> None:
    users = [AuditedUser(record(user_id=reason), finding(reason)) for reason in Reason]
    users.sort(key=lambda user: list(Status).index(user.finding.reason.status))
    with RunFile.open(run_file_of(tmp_path / "run.sqlite", users)) as run_file:
        assert run_file.count_statuses() == run_file.summary().statuses
