"""Commands that are started at the same moment: each gets files of its own, and nothing of another's is lost."""

import subprocess
import sys
from pathlib import Path

from audit.commands.accept.file import read
from audit.commands.demo import free_stem
from audit.commands.sync.files import read_undo_file
from audit.model import exit_status
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.model.shard import Shard
from tests.support.audits import Servers, Shell, audit
from tests.support.run_files import run_file_of
from tests.support.samples import NEW, OLD, finding, outdated_users, planned_run, record

IN_ONE_SECOND = """
from datetime import UTC, datetime
from audit.model import times
times.utc_now = lambda: datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
from audit.commands import main
main()
"""
STEM = "sync-audit-20260301T120005Z"


def all_of(shell: Shell, *commands: tuple[str, ...], code: str = IN_ONE_SECOND) -> list[tuple[int, str]]:
    """Exit codes and what was said on stderr of commands that run at the same time."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, *command],
            cwd=shell.folder,
            env=shell.all_environ({}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    said = [process.communicate(timeout=120)[1] for process in started]
    return [(process.returncode, words) for process, words in zip(started, said, strict=True)]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_sixteen_accepts_at_once_lose_nothing(shell: Shell) -> None:
    (shell.folder / ".git").mkdir()
    commands = [
        ("accept", f"u{number}", "--because", "x", "--until", "9999-12-31", "--reason", "outdated_version")
        for number in range(16)
    ]
    ended = all_of(shell, *commands)
    assert {code for code, _ in ended} == {0}, ended
    path = shell.folder / "sync-audit-accept.toml"
    assert {each.user for each in read(path).entries} == {f"u{number}" for number in range(16)}
    assert names(shell.folder) == {".git", path.name}


def test_runs_of_one_second_each_get_a_run_file_and_reports_of_their_own(
    shell: Shell, synthetic_servers: Servers
) -> None:
    shell.environ = synthetic_servers.environ
    ended = all_of(shell, *[("run", "--no-progress", "--limit", "5")] * 4)
    assert {code for code, _ in ended} <= {exit_status.OK, exit_status.NEEDS_SYNC, exit_status.INCOMPLETE}, ended
    wanted = {f"{STEM}{n}.{end}" for n in ("", "-2", "-3", "-4") for end in ("sqlite", "html", "csv")}
    assert names(shell.folder / "reports") - {".gitignore"} == wanted
    assert len({words.count(f"{STEM}") for _, words in ended}) == 1


def test_merges_of_one_second_each_get_a_run_file_of_their_own(
    shell: Shell, synthetic_servers: Servers, tmp_path: Path
) -> None:
    parts = []
    for number in (1, 2):
        (folder := tmp_path / str(number)).mkdir()
        settings = synthetic_servers.settings(folder, outputs=(), shard=Shard(number, 2))
        audit(settings).close()
        parts.append(str(settings.run_file))
    ended = all_of(shell, *[("merge", *parts)] * 3)
    assert {code for code, _ in ended} == {exit_status.INCOMPLETE}, ended
    links = {path for path in (shell.folder / "reports").iterdir() if path.is_symlink()}
    assert names(shell.folder / "reports") - {".gitignore", *(path.name for path in links)} == {
        f"{STEM}{n}.{end}" for n in ("", "-2", "-3") for end in ("sqlite", "html", "csv")
    }
    assert len(links) == 3
    assert len({path.readlink().stem for path in links}) == 1


def test_a_name_that_somebody_has_given_is_not_replaced_by_another(shell: Shell, synthetic_servers: Servers) -> None:
    shell.environ = synthetic_servers.environ
    ended = all_of(shell, *[("run", "--no-progress", "--limit", "5", "--run-file", "a.sqlite", "-o", "a.json")] * 2)
    assert sorted(code for code, _ in ended)[1] == exit_status.COULD_NOT_RUN
    assert sum("the run file a.sqlite exists already" in words for _, words in ended) == 1


def test_of_plans_at_once_the_files_of_one_are_left_and_all_of_them_can_be_undone(shell: Shell) -> None:
    users = outdated_users(8)
    info = planned_run()
    run_file_of(shell.folder / "run.sqlite", users, place=info.place, columns=info.columns)
    plans = [("sync", "run.sqlite", "--version-only", "--user", f"u{n}") for n in range(8)]
    ended = all_of(shell, *plans)
    assert {code for code, _ in ended} == {exit_status.NEEDS_SYNC}, ended
    assert {line.model_row_id for line in read_undo_file(shell.folder / "run-undo.sql")} == set("01234567")
    assert names(shell.folder) == {"run.sqlite", "run-apply.sql", "run-undo.sql"}


def test_an_undo_file_that_is_put_aside_never_takes_the_place_of_another(shell: Shell) -> None:
    user = AuditedUser(record(replicate_version_id=OLD), finding(Reason.OUTDATED_VERSION, latest_version=NEW))
    info, path = planned_run(), shell.folder / "run.sqlite"
    for number in "aba" * 2:
        path.unlink(missing_ok=True)
        run_file_of(path, [user], place=info.place, columns=info.columns, id=number * 32)
        assert shell("sync", "run.sqlite", "--version-only", "--max-age", "99999d").code == exit_status.NEEDS_SYNC
    aside = {f"run-undo-{name}.sql" for name in ("aaaaaaaa", "aaaaaaaa-2", "bbbbbbbb", "bbbbbbbb-2")}
    assert aside | {"run-undo.sql"} == {name for name in names(shell.folder) if "undo" in name}


def test_a_demo_leaves_the_files_of_another_one_alone(tmp_path: Path) -> None:
    (tmp_path / "demo.sqlite").write_text("of an earlier one")
    with free_stem(tmp_path) as first:
        assert first == tmp_path / "demo"
        assert names(tmp_path) == set()
        (tmp_path / "demo.sqlite").write_text("of this one")
        with free_stem(tmp_path) as second, free_stem(tmp_path) as third:
            assert len({first, second, third}) == 3
        assert (tmp_path / "demo.sqlite").read_text() == "of this one"
    with free_stem(tmp_path) as again:
        assert again == first
