"""The trend in the run file, of real runs."""

import json
from pathlib import Path

import pytest

from audit.commands.merge import merge as app_merge
from audit.commands.merge.merge import MergeSettings
from audit.commands.outputs import report
from audit.model.run import Filters
from audit.model.shard import Shard
from audit.report.writer import Output
from audit.runfile import RunFile
from tests.support.audits import Servers, audit


@pytest.fixture(scope="module")
def past(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole run, then a narrowed one, then another whole one."""
    folder = tmp_path_factory.mktemp("past")
    for name, filters in (("first", Filters()), ("trial", Filters(limit=2)), ("second", Filters())):
        audit(servers.settings(folder, run_file=folder / f"{name}.sqlite", filters=filters)).close()
    return folder


def trend(path: Path) -> list[str]:
    with RunFile.open(path) as run_file:
        return [run_id(path.parent, past.run_id) for past in run_file.trend]


def run_id(folder: Path, wanted: str) -> str:
    """The name of the run file whose run it is."""
    for path in folder.glob("*.sqlite"):
        with RunFile.open(path) as run_file:
            if run_file.info.id == wanted:
                return path.stem
    return wanted


def test_a_run_keeps_the_counts_of_the_whole_runs_beside_it(past: Path) -> None:
    assert trend(past / "first.sqlite") == []
    assert trend(past / "trial.sqlite") == []
    assert trend(past / "second.sqlite") == ["first"]


def test_what_was_counted_is_in_the_report_wherever_the_run_file_is_rendered(past: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "second.sqlite"
    elsewhere.write_bytes((past / "second.sqlite").read_bytes())
    written = []
    for path in (past / "second.sqlite", elsewhere):
        with RunFile.open(path) as run_file:
            report(run_file, [Output("json", str(tmp_path / "report.json"))])
        written.append((tmp_path / "report.json").read_bytes())

    assert written[0] == written[1]
    read = json.loads(written[0])
    (before,) = read["run"]["trend"]
    counted = ("total", "needs_sync", "error", "not_checked", "up_to_date")
    assert {name: before[name] for name in counted} == {name: read["summary"][name] for name in counted}


def test_a_merged_run_has_a_trend_and_its_shards_are_none(servers: Servers, past: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.sqlite").write_bytes((past / f"{name}.sqlite").read_bytes())
    shards = [tmp_path / f"shard-{number}.sqlite" for number in (1, 2)]
    for number, path in enumerate(shards, 1):
        audit(servers.settings(tmp_path, run_file=path, shard=Shard(number, 2))).close()
        assert trend(path) == []
    merged = tmp_path / "merged.sqlite"
    app_merge.merge(MergeSettings(inputs=tuple(shards), run_file=merged, outputs=())).run_file.close()

    assert trend(merged) == ["first", "second"]
