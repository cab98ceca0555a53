"""Files that a disk, an editor or another program has spoiled: each is read, or an error that names it."""

import copy
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from audit.cli import options
from audit.commands import cli
from audit.commands.sync.files import UndoLine, read_notes, read_undo_file, undo_header, write_plan, write_undone
from audit.errors import AuditError, SettingsError
from audit.model.times import parse_utc
from audit.repair.plan import Plan
from audit.repair.rules import PlanSettings
from audit.runfile import RunFile
from tests.report.test_json_reader import DOCUMENT
from tests.support.mutations import as_json, spoiled, with_odd_fields
from tests.support.run_files import edited, finished_run_file, run_file_of
from tests.support.samples import outdated_users, planned_run

REPORT = copy.deepcopy(DOCUMENT)
REPORT["users"] = REPORT["users"][:3]
REPORT["summary"]["total"] = 3
CONFIG = b"""
output = ["json=a.json", "html=b.html"]
rate = 100
verify-sample = 0.5
[sync]
include = ["unknown_version"]
[database]
completed = ["ready", "done"]
owner = "acme"
latest_per = "model"
where = "deleted_at IS NULL"
[database.tables]
users = "app.accounts"
[database.columns]
email = "mail"
[database.columns.user_models]
id = {sql = "data->>'id'"}
[database.repair]
table = "app.trainings"
"""
ACCEPT = b"""# known
[[accept]]
user = "u1"
reason = ["training_not_recorded", "outdated_version"]
because = "x"
until = 2099-12-31

[[accept]]
model = "acme/m"  # of nobody
user = "u2"
reason = "outdated_version"
version = "abc"
because = "x"
until = 2099-12-31
"""
ENTRY = ("--because", "y", "--until", "2099-01-01", "--reason", "outdated_version")
ALL_FORMATS = [word for form in ("html", "json", "md", "csv", "text") for word in ("-o", f"{form}=o.{form}")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a report and a run file that are as they were written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "good.json").write_bytes(json.dumps(REPORT).encode())
    finished_run_file(tmp_path / "good.sqlite", 2, "https://api.replicate.com/v1")
    return tmp_path


def error_of(command: Sequence[str]) -> str | None:
    """What the command ends in; None where it works."""
    try:
        cli.main(list(command), standalone_mode=False)
    except AuditError as error:
        return str(error)
    return None


def every_one_is_read_or_named(contents: Iterable[bytes], *commands: Sequence[str]) -> None:
    """Each command, given `spoiled` with these contents, works or says in few words that this file is what is wrong."""
    refused = 0
    for content in contents:
        for command in commands:
            Path("spoiled").write_bytes(content)
            error = error_of(command)
            refused += error is not None
            assert error is None or ("spoiled" in error and len(error) < 8_000), content
    assert refused


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_json_report_with_odd_fields_is_compared_or_damaged() -> None:
    every_one_is_read_or_named(
        as_json(with_odd_fields(REPORT)),
        ["diff", "good.json", "spoiled", *ALL_FORMATS],
        ["diff", "spoiled", "good.json"],
    )


@pytest.mark.usefixtures("here")
def test_a_spoiled_json_report_is_compared_or_damaged() -> None:
    contents = spoiled(json.dumps(REPORT).encode(), 150)
    every_one_is_read_or_named(contents, ["diff", "good.json", "spoiled", *ALL_FORMATS])


@pytest.mark.usefixtures("here")
def test_a_spoiled_config_file_is_heard_or_an_error() -> None:
    every_one_is_read_or_named(
        spoiled(CONFIG, 300), ["diff", "good.json", "good.json", "--config", "spoiled", "-o", "json=o.json"]
    )


@pytest.mark.usefixtures("here")
def test_spoiled_acceptances_are_read_or_an_error() -> None:
    every_one_is_read_or_named(
        spoiled(ACCEPT, 100),
        ["render", "good.sqlite", "--accept", "spoiled", "-o", "json=o.json"],
        ["accept", "u1", *ENTRY, "--file", "spoiled"],
    )


def test_the_mark_of_utf8_that_editors_begin_a_file_with_means_nothing(here: Path) -> None:
    (here / "a.toml").write_bytes(b"\xef\xbb\xbf" + ACCEPT)
    (here / "c.toml").write_bytes(b"\xef\xbb\xbf" + CONFIG)
    assert error_of(["accept", "u9", *ENTRY, "--file", "a.toml"]) is None
    assert error_of(["diff", "good.json", "good.json", "--config", "c.toml", "-o", "json=o.json"]) is None
    assert (here / "a.toml").read_text().startswith("# known")


@pytest.fixture
def undo_file(tmp_path: Path) -> Path:
    """The undo file of a plan for 20 users."""
    users = outdated_users(20)
    path = tmp_path / "run.sqlite"
    info = planned_run()
    run_file_of(path, users, place=info.place, columns=info.columns)
    started = parse_utc(info.started_at)
    assert started
    with RunFile.open(path) as run_file:
        settings = PlanSettings(version_only=True)
        written = write_plan(Plan(run_file, settings, started + timedelta(minutes=5)), path)
    assert written.undo_file
    return written.undo_file


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error within names the file, and does not show what is in it."""
    try:
        yield
    except SettingsError as error:
        said = str(error)
    else:
        return
    assert str(path) in said
    assert "abcdef" not in said


def read_again(path: Path) -> list[UndoLine] | None:
    """The lines of an undo file; None where there is an error, which names it."""
    with naming(path):
        _ = undo_header(path).place
        return list(read_undo_file(path))
    return None


def test_no_line_of_a_spoiled_undo_file_says_anything_else(undo_file: Path) -> None:
    content = undo_file.read_bytes()
    whole = read_again(undo_file)
    assert whole
    assert len(whole) == 20
    for spoilt in spoiled(content, 400):
        undo_file.write_bytes(spoilt)
        lines = read_again(undo_file)
        assert lines is None or all(line in whole for line in lines)


def test_no_flipped_bit_makes_a_line_of_an_undo_file_go_away(undo_file: Path) -> None:
    content = undo_file.read_bytes()
    whole = read_again(undo_file)
    start = content.index(b"\n('{")
    for bit in (*range(start * 8, start * 8 + 400), *range(start * 8, len(content) * 8, 61)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        undo_file.write_bytes(changed)
        assert read_again(undo_file) in (None, whole), bit


def test_spoiled_notes_of_what_was_done_are_read_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "run-applied.txt"
    write_undone(path, "0" * 32, {f"{n}": "77" for n in range(5)}, None)
    for content in spoiled(path.read_bytes(), 300):
        path.write_bytes(content)
        with naming(path):
            read_notes(path, "0" * 32)


def test_a_spoiled_token_file_is_a_token_or_an_error_that_does_not_show_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    for content in spoiled(b"r8_abcdefghijklmnopqrstuvwxyz0123456789\n", 300):
        path.write_bytes(content)
        with naming(path):
            assert options.token.type.convert(str(path), None, None).isascii()


TIMES = (
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2099-01-01T00:00:00Z"),
    *("", "yesterday", "2026-13-45T00:00:00Z", "2026-03-01T12:00:00"),
)


def times_in(path: Path) -> Iterator[str]:
    """Statements, each of which changes one time that a run file has."""
    for field in ("started_at", "finished_at"):
        for text in TIMES:
            yield f"UPDATE run SET value = json_set(value, '$.{field}', '{text}') WHERE name = 'info'"
    for field in ("created_at", "updated_at", "completed_at"):
        for text in TIMES:
            yield f"UPDATE audited SET record = json_set(record, '$.{field}', '{text}')"
    for number in (0, -1, -(2**62), 2**62, 253402300800):
        yield f"UPDATE audited SET checked_at = {number}"


def test_whatever_the_clock_said_reports_plans_and_comparisons_are_made(here: Path, undo_file: Path) -> None:
    good = undo_file.with_name("run.sqlite").read_bytes()
    path = here / "odd.sqlite"
    for statement in times_in(path):
        path.write_bytes(good)
        edited(path, statement)
        for command in (
            [
                "render",
                "odd.sqlite",
                *[word for form in ("html", "json", "csv", "md", "junit") for word in ("-o", f"{form}=o.{form}")],
            ],
            ["diff", "odd.sqlite", "good.sqlite"],
            ["diff", "good.sqlite", "odd.sqlite"],
            ["user", "u1", "--run", "odd.sqlite"],
            ["sync", "odd.sqlite"],
            ["accept", "u1", "--because", "x", "--until", "9999-12-31", "--run", "odd.sqlite", "--file", "a.toml"],
        ):
            error = error_of(command)
            assert error is None or "odd.sqlite" in error, (statement, command)


@pytest.mark.parametrize("seconds", [0, -1, 1, 2**33, 253402300800])
def test_the_date_of_a_file_means_nothing(seconds: int, here: Path) -> None:
    for name in ("good.sqlite", "good.json"):
        os.utime(here / name, (seconds, seconds))
    cli.main(["diff", "good.sqlite", "good.json"], standalone_mode=False)
    cli.main(["render", "good.sqlite", "-o", "json=o.json"], standalone_mode=False)
