"""`sync-audit prune` as a person runs it: what goes, and above all what stays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.commands.prune.command import remove_all
from audit.commands.prune.files import files_of, remove
from audit.errors import RunFileError
from audit.model.repair import ChangeOutcome, ChangeState
from audit.model.run import Baseline, Filters, ShardRun
from audit.model.shard import Shard
from audit.runfile import JournalEntry, RunFile
from audit.runfile.folder import survey
from tests.support.audits import Ended, Shell
from tests.support.past_runs import contents, past_run, with_reports
from tests.support.repairs import change
from tests.support.run_files import edited
from tests.support.samples import place

OLD = "day-01.sqlite"


@pytest.fixture
def reports(shell: Shell) -> Path:
    """Two whole runs, of which the older one goes with --keep 1."""
    past_run(shell.folder / "reports", 1)
    past_run(shell.folder / "reports", 20)
    return shell.folder / "reports"


def pruned(shell: Shell, *arguments: str) -> Ended:
    """Whatever has ended well."""
    ended = shell("prune", "--keep", "1", *arguments)
    assert (ended.code, ended.err) == (0, "")
    return ended


def left(shell: Shell) -> set[str]:
    """What is in the folder after pruning."""
    pruned(shell, "--yes")
    return set(contents(shell.folder / "reports"))


def test_nothing_is_removed_without_yes_and_all_that_would_be_is_listed_with_its_size(shell: Shell) -> None:
    reports = shell.folder / "reports"
    with_reports(past_run(reports, 1))
    past_run(reports, 2)
    before = contents(reports)

    lines = pruned(shell).out.splitlines()

    assert contents(reports) == before
    assert lines[0].startswith("To remove in reports/: 1 run, 3 files, ")
    assert [line.split()[-1] for line in lines[1:4]] == ["day-01.html", "day-01.csv", "day-01.sqlite"]
    assert f"{len(before['day-01.csv'])} bytes" in lines[2]
    assert lines[-1] == "  sync-audit prune --keep 1 --yes"


def test_with_yes_the_run_file_goes_with_its_reports_and_its_sql(shell: Shell, reports: Path) -> None:
    with_reports(reports / OLD, ("html", "csv", "json", "md", "junit"), junit="xml")
    for purpose in ("apply", "undo"):
        sql = f"-- sync-audit {purpose}, form 2\n-- Run {1:032x} of db.example.com/shop, begun then;\n"
        (reports / f"day-01-{purpose}.sql").write_text(sql)
    (reports / f"{OLD}-wal").touch()

    ended = pruned(shell, "--yes")

    assert set(contents(reports)) == {"day-20.sqlite"}
    assert ended.out.splitlines()[0].startswith("Removing in reports/: 1 run, 9 files, ")
    assert ended.out.splitlines()[-1] == "Removed 9 files in reports/"


def test_the_newest_whole_runs_of_each_place_stay(shell: Shell) -> None:
    reports = shell.folder / "reports"
    for day in range(1, 5):
        past_run(reports, day)
    for day in range(5, 8):
        past_run(reports, day, place=place(host="staging.example.com"))
    for day in range(8, 11):
        past_run(reports, day, made_up=True)

    assert shell("prune", "--keep", "2", "--yes").code == 0

    assert sorted(int(name[4:6]) for name in contents(reports)) == [3, 4, 6, 7, 9, 10]


def test_ten_runs_stay_where_nothing_else_is_said(shell: Shell) -> None:
    for day in range(1, 13):
        past_run(shell.folder / "reports", day)
    assert shell("prune", "--yes").code == 0
    assert min(contents(shell.folder / "reports")) == "day-03.sqlite"


def test_a_copy_of_a_run_does_not_count_as_another_one(shell: Shell, reports: Path) -> None:
    (reports / "copy.sqlite").write_bytes((reports / "day-20.sqlite").read_bytes())
    past_run(reports, 10)
    assert shell("prune", "--keep", "2", "--yes").code == 0
    assert set(contents(reports)) == {"copy.sqlite", "day-20.sqlite", "day-10.sqlite"}


def entry(state: ChangeState) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with RunFile.resume(path) as run_file:
            run_file.journal.write([JournalEntry(change(), state, ChangeOutcome())])

    return write


def noted(*lines: dict[str, object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        text = "".join(json.dumps({"run": f"{1:032x}", **line}) + "\n" for line in lines)
        path.with_name("day-01-applied.txt").write_text(text)

    return write


def link(name: str, target: str) -> Callable[[Path], object]:
    return lambda path: path.with_name(name).symlink_to(target)


def told(**changes: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        path.unlink()
        past_run(path.parent, 1, **changes)

    return write


def other(day: int, **changes: Any) -> Callable[[Path], object]:
    return lambda path: past_run(path.parent, day, **changes)


def baseline_of(day: int, **changes: Any) -> Callable[[Path], object]:
    base = Baseline(run_id=f"{1:032x}", started_at="2026-03-01T12:00:00Z", path="whatever")
    return other(day, baseline=base, **changes)


def shard_of(*merged: dict[str, Any]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        told(shard=Shard(1, 1), in_all=1, finished_at="2026-03-01T12:01:00Z")(path)
        for number, changes in enumerate(merged):
            known = {"number": 1, "state": "complete", "id": f"{1:032x}", "finished_at": "2026-03-01T12:01:00Z"}
            shards = (ShardRun(**(known | changes.pop("shard", {}))),)
            past_run(path.parent, 2 + number, shards=shards, **changes)

    return write


def damaged(path: Path) -> None:
    edited(path, "DROP TABLE run")


ROW: dict[str, object] = {"row": "1", "txid": "7", "before": {"replicate_version_id": "a"}}
DONE: dict[str, object] = {**ROW, "after": {"replicate_version_id": "b"}}
UNDONE: dict[str, object] = {**ROW, "txid": "8", "undone": True}
STAYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "repaired by sync": (entry(ChangeState.DONE), "repair is not undone"),
    "a change that was begun": (entry(ChangeState.BEGUN), "repair is not undone"),
    "repaired by psql": (noted(DONE, {"committed": "7"}), "repair is not undone"),
    "perhaps repaired by psql": (noted(DONE), "repair is not undone"),
    "undone by psql, perhaps": (noted(DONE, {"committed": "7"}, UNDONE), "repair is not undone"),
    "notes that are no text": (
        lambda path: path.with_name("day-01-applied.txt").write_bytes(b"\xff\n"),
        "psql",
    ),
    "running, and killed": (told(state="running", finished_at=None), "unfinished"),
    "interrupted": (told(state="interrupted"), "unfinished"),
    "stopped": (told(state="stopped"), "unfinished"),
    "a shard": (shard_of(), "it is a shard"),
    "a shard of another merge": (shard_of({"shard": {"id": "e" * 32}}), "it is a shard"),
    "a shard of a partial merge": (shard_of({"state": "stopped"}), "it is a shard"),
    "a shard that has changed since": (shard_of({"shard": {"finished_at": "2026-03-01T10:00:00Z"}}), "it is a shard"),
    "a baseline": (baseline_of(25), "it is the baseline of day-25.sqlite"),
    "the baseline of an unfinished run": (baseline_of(2, state="stopped"), "it is the baseline of day-02.sqlite"),
    "behind latest.sqlite": (link("latest.sqlite", OLD), "latest.sqlite points at it"),
    "behind latest.html": (link("latest.html", "day-01.html"), "latest.html points at it"),
    "behind a link of somebody": (link("good", OLD), "good points at it"),
    "damaged": (damaged, "damaged, or no run file"),
    "no run file": (lambda path: path.write_text("SELECT 1"), "damaged, or no run file"),
    "a newer trial": (told(filters=Filters(limit=1), started_at="2026-03-21T12:00:00Z"), "not older than"),
    "a trial of a place without whole runs": (
        told(filters=Filters(limit=1), place=place(host="other.example.com")),
        "not older than",
    ),
    "a place with one whole run": (told(place=place(host="other.example.com")), "one of the newest"),
}


@pytest.mark.parametrize("kind", STAYS)
def test_what_must_stay_stays_and_why_is_said(shell: Shell, reports: Path, kind: str) -> None:
    prepare, why = STAYS[kind]
    prepare(reports / OLD)
    before = (reports / OLD).read_bytes()

    ended = pruned(shell, "-v", "--yes")

    assert (reports / OLD).read_bytes() == before
    said = " ".join(ended.out.split()).partition(f" {OLD} ")[2]
    assert why in said


GOES: dict[str, Callable[[Path], object]] = {
    "a whole run": lambda _: None,
    "a repair that is undone": entry(ChangeState.UNDONE),
    "a repair that changed nothing": entry(ChangeState.SKIPPED),
    "undone by psql": noted(DONE, {"committed": "7"}, UNDONE, {"committed": "8"}),
    "notes about another run": noted({**DONE, "run": "e" * 32}, {"committed": "7"}),
    "an old trial": told(filters=Filters(limit=1), in_all=9),
    "a shard that is merged": shard_of({}),
    "the baseline of a run that goes": baseline_of(2),
    "behind a link to another folder": link("latest.sqlite", f"../elsewhere/{OLD}"),
}


@pytest.mark.parametrize("kind", GOES)
def test_what_may_go_goes(shell: Shell, reports: Path, kind: str) -> None:
    GOES[kind](reports / OLD)
    assert OLD not in left(shell)
    assert (reports / "day-20.sqlite").exists()


def test_a_run_that_is_going_on_stays(shell: Shell, reports: Path) -> None:
    with RunFile.resume(reports / OLD):
        ended = pruned(shell, "--yes", "-v")
    assert "it is in use" in ended.out
    assert (reports / OLD).exists()


def test_the_baseline_of_a_baseline_in_use_stays(shell: Shell, reports: Path) -> None:
    for day, base in ((2, 1), (25, 2)):
        baseline = Baseline(run_id=f"{base:032x}", started_at="2026-03-01T12:00:00Z", path="x")
        past_run(reports, day, baseline=baseline)
    past_run(reports, 3)
    assert left(shell) == {OLD, "day-02.sqlite", "day-25.sqlite"}


def not_ours(path: Path) -> dict[str, Callable[[], object]]:
    """Files beside the run that it has not written, whatever they are called."""
    folder = path.parent
    return {
        "day-01.txt": lambda: path.with_suffix(".txt").write_text("mine"),
        "day-01-notes.md": lambda: (folder / "day-01-notes.md").write_text("mine"),
        "day-01.json": lambda: path.with_suffix(".json").write_text(f'{{"id": "{1:032x}"}}'),  # not in its outputs
        "day-01.html": lambda: path.with_suffix(".html").write_text("<!DOCTYPE html>mine"),
        "day-01.csv": lambda: path.with_suffix(".csv").write_text("name,age\n"),
        "day-01-apply.sql": lambda: (folder / "day-01-apply.sql").write_text("DELETE FROM users;"),
        "day-01-undo.sql": lambda: (folder / "day-01-undo.sql").write_text(
            f"-- sync-audit undo, form 2\n-- Run {'e' * 32} of db.example.com/shop, begun then;\n"
        ),
        "day-01-applied.txt": lambda: (folder / "day-01-applied.txt").write_text("{}\n"),
    }


@pytest.mark.parametrize("name", not_ours(Path(OLD)))
def test_a_file_that_was_not_written_by_the_run_stays(shell: Shell, reports: Path, name: str) -> None:
    with_reports(reports / OLD)
    not_ours(reports / OLD)[name]()
    before = (reports / name).read_bytes()
    assert left(shell) == {name, "day-20.sqlite"}
    assert (reports / name).read_bytes() == before


@pytest.mark.parametrize("name", ["day-01.html", "day-01.csv", "day-01-apply.sql"])
def test_links_and_what_they_lead_to_stay(shell: Shell, reports: Path, name: str) -> None:
    with_reports(reports / OLD)
    target = shell.folder / "target"
    target.write_text(f"status,reason,user_id,\n-- Run {1:032x} of \n")
    (reports / name).unlink(missing_ok=True)
    (reports / name).symlink_to(target)
    assert left(shell) == {name, "day-20.sqlite"}
    assert target.exists()


@pytest.mark.parametrize("where", ["other name", "other folder"])
def test_reports_elsewhere_or_under_another_name_stay(shell: Shell, reports: Path, where: str) -> None:
    folder = shell.folder / "elsewhere"
    folder.mkdir()
    path = reports / "nightly.csv" if where == "other name" else folder / "day-01.csv"
    with_reports(reports / OLD, ("html",))
    with RunFile.resume(reports / OLD) as run_file:
        choices = run_file.choices
        assert choices
        run_file.save_choices(type(choices)(**{**_fields(choices), "outputs": (*choices.outputs, ("csv", str(path)))}))
    path.write_text("status,reason,user_id,\n")
    left(shell)
    assert path.exists()
    assert not (reports / "day-01.html").exists()


def _fields(choices: Any) -> dict[str, Any]:
    return {name: getattr(choices, name) for name in choices.__struct_fields__}


def test_a_report_that_another_run_has_written_over_stays(shell: Shell, reports: Path) -> None:
    with_reports(reports / OLD)
    with RunFile.open(reports / OLD) as run_file:
        choices = run_file.choices
    assert choices
    with RunFile.resume(reports / "day-20.sqlite") as run_file:
        run_file.save_choices(choices)
    assert left(shell) == {"day-01.html", "day-01.csv", "day-20.sqlite"}


def test_what_cannot_be_removed_is_named_keeps_its_run_file_and_keeps_no_other_run_from_it(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that has taken the report's place since it was listed: root, too, cannot remove that."""
    with_reports(reports / OLD)
    past_run(reports, 2)
    going = [(run, files_of(run, {})) for run in reversed(survey(reports).runs[1:])]
    (reports / "day-01.html").unlink()
    (reports / "day-01.html").mkdir()

    status = remove_all(going, "reports/")

    assert status
    assert status.code == 5
    assert f"Error: cannot remove {reports / 'day-01.html'}: " in capsys.readouterr().err
    assert set(contents(reports)) == {OLD, "day-01.html", "day-20.sqlite"}


def test_a_run_that_was_repaired_since_it_was_listed_stays(shell: Shell, reports: Path) -> None:

    run = next(run for run in survey(reports).runs if run.path.name == OLD)
    files = files_of(run, {})
    entry(ChangeState.DONE)(reports / OLD)

    with pytest.raises(RunFileError, match="was changed just now"):
        list(remove(run, files))

    assert (reports / OLD).exists()


def test_reports_go_before_the_run_file_and_nobody_can_go_on_with_it_meanwhile(shell: Shell, reports: Path) -> None:

    with_reports(reports / OLD)
    run = next(run for run in survey(reports).runs if run.path.name == OLD)
    steps = remove(run, files_of(run, {}))

    assert next(steps).name == "day-01.html"
    ended = shell(
        "sync", str(reports / OLD), "--apply", "--yes", DATABASE_URL="postgresql://h/d", REPLICATE_API_TOKEN="r8_x"
    )
    assert ended.code == 5
    assert (reports / OLD).exists()
    assert [path.name for path in steps] == ["day-01.csv", OLD]


def test_what_was_stopped_in_between_is_finished_the_next_time(shell: Shell, reports: Path) -> None:
    with_reports(reports / OLD)
    run = next(run for run in survey(reports).runs if run.path.name == OLD)
    steps = remove(run, files_of(run, {}))
    next(steps)
    del steps  # as a signal would end it
    assert set(contents(reports)) == {"day-01.csv", OLD, "day-20.sqlite"}
    assert left(shell) == {"day-20.sqlite"}


def test_what_is_asked_for_again_names_the_folder(shell: Shell) -> None:
    folder = shell.folder / "my runs"
    past_run(folder, 1)
    past_run(folder, 2)
    assert pruned(shell, "my runs").out.splitlines()[-1] == "  sync-audit prune 'my runs' --keep 1 --yes"


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_where_there_is_nothing_to_remove_that_is_said(shell: Shell, yes: tuple[str, ...]) -> None:
    assert shell("prune", *yes).out == "Nothing to remove in reports/\n"
    past_run(shell.folder / "reports", 1)
    assert shell("prune", *yes).out.splitlines()[0] == "Nothing to remove in reports/"
    assert (shell.folder / "reports" / OLD).exists()


@pytest.mark.parametrize("keep", ["0", "-1", "all"])
def test_at_least_one_run_is_kept(shell: Shell, reports: Path, keep: str) -> None:
    assert shell("prune", "--keep", keep, "--yes").code == 2
    assert (reports / OLD).exists()
