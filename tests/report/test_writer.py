"""The writer: places checked first, files replaced whole, and what happens when the disk has other plans."""

import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from audit.errors import ReportError, SettingsError
from audit.report.view import RunView
from audit.report.writer import FORMATS, Output, check, renderer, write
from tests import ROOT
from tests.support.report_samples import SampleRun, everything, up_to_date

VIEW = RunView(SampleRun(everything()))
BIG = RunView(SampleRun([up_to_date(n) for n in range(2_000)]))


def expected(name: str, view: RunView = VIEW) -> bytes:
    out = io.BytesIO()
    renderer(name)(view, out)
    return out.getvalue()


def leftovers(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name.startswith(".sync-audit"))


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_written_whole_and_for_the_owner_only(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"report.{name}"
    write([Output(name, str(path))], VIEW)
    assert path.read_bytes() == expected(name)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert leftovers(tmp_path) == []


def test_an_old_report_is_replaced_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("old")
    path.chmod(0o644)
    write([Output("csv", str(path))], VIEW)
    assert path.read_bytes() == expected("csv")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    target, link = tmp_path / "kept" / "real.csv", tmp_path / "latest.csv"
    link.symlink_to(target)
    check([Output("csv", str(link))])
    write([Output("csv", str(link))], VIEW)
    assert link.is_symlink()
    assert target.read_bytes() == expected("csv")


@pytest.mark.parametrize(("path", "printed"), [("-", True), ("/dev/null", True), ("new.csv", False), (".", False)])
def test_what_goes_into_no_file_is_printed(path: str, *, printed: bool) -> None:
    assert Output("csv", path).printed == printed


def test_standard_output_gets_the_very_bytes() -> None:
    out = io.BytesIO()
    write([Output("json", "-")], VIEW, stdout=out)
    assert out.getvalue() == expected("json")


def test_devices_are_written_to_and_stay(tmp_path: Path) -> None:
    outputs = [Output("html", os.devnull), Output("csv", os.devnull)]
    check(outputs)
    write(outputs, VIEW)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_pipe_that_nobody_reads_is_named_and_keeps_no_other_report_from_being_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    outputs = [Output("json", str(tmp_path / "pipe")), Output("csv", str(tmp_path / "r.csv"))]
    check(outputs)
    with pytest.raises(ReportError, match=r"pipe: it is a pipe that nobody reads$"):
        write(outputs, VIEW)
    assert (tmp_path / "r.csv").read_bytes() == expected("csv")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_check_creates_parents_and_leaves_nothing_else(tmp_path: Path) -> None:
    check([Output("csv", str(tmp_path / "a" / "b" / "r.csv")), Output("json", "-")])
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_check_leaves_an_old_report_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("old")
    check([Output("csv", str(path))])
    assert path.read_text() == "old"


@pytest.mark.parametrize("other", ["r.html", "./r.html", "sub/../r.html", "link.html", "sub/linked/r.html"])
def test_two_outputs_on_one_path_are_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "linked").symlink_to(tmp_path)
    (tmp_path / "link.html").symlink_to("r.html")
    with pytest.raises(SettingsError, match="two outputs on one path") as caught:
        check([Output("html", str(tmp_path / "r.html")), Output("csv", other)])
    assert caught.value.next_step


def test_standard_output_twice_is_a_usage_error() -> None:
    with pytest.raises(SettingsError):
        check([Output("json", "-"), Output("csv", "-")])


def test_a_directory_in_the_place_of_the_report_is_found_first(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="a directory is in its place") as caught:
        check([Output("csv", str(tmp_path))])
    assert str(tmp_path) in str(caught.value)
    assert "-o csv=PATH" in caught.value.next_step


def test_a_file_in_the_place_of_a_parent_is_found_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="file"):
        check([Output("csv", str(tmp_path / "file" / "r.csv"))])


def test_a_place_where_nothing_can_be_created_is_found_first() -> None:
    with pytest.raises(ReportError, match="/proc/nothing"):
        check([Output("csv", "/proc/nothing/r.csv")])


def test_a_loop_of_links_is_found_first(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("b.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    with pytest.raises(ReportError, match=r"a\.csv"):
        check([Output("csv", str(tmp_path / "a.csv"))])


def test_control_characters_of_a_path_are_spelled_out(tmp_path: Path) -> None:
    path = tmp_path / "a\x1bb"
    path.mkdir()
    with pytest.raises(ReportError) as caught:
        check([Output("csv", str(path))])
    assert "a\\x1bb" in str(caught.value)


def test_a_full_device_is_reported_and_the_other_reports_are_written(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    outputs = [Output("csv", "/dev/full"), Output("json", str(path)), Output("html", "/dev/full")]
    with pytest.raises(ReportError) as caught:
        write(outputs, VIEW)
    assert str(caught.value).count("/dev/full: No space left on device") == 2
    assert "render" in caught.value.next_step
    assert path.read_bytes() == expected("json")


FULL_STDOUT = """
import sys
from audit.errors import ReportError
from audit.report.writer import Output, write
from tests.report.test_writer import VIEW
try:
    write([Output("csv", "-")], VIEW)
except ReportError as error:
    print(error, file=sys.stderr)
"""


def test_full_standard_output_is_reported_once() -> None:
    root = ROOT
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-c", FULL_STDOUT]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=True, cwd=root)
    assert done.stderr == "could not write the csv report to standard output: No space left on device\n"


FULL_DISK = """
import resource, sys
from pathlib import Path
from audit.errors import ReportError
from audit.report.writer import Output, write
from tests.report.test_writer import BIG
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write([Output("html", sys.argv[1]), Output("csv", sys.argv[2])], BIG)
except ReportError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_leaves_the_old_reports_and_no_litter(tmp_path: Path) -> None:
    old, new = tmp_path / "old.html", tmp_path / "new.csv"
    old.write_text("old")
    command = [sys.executable, "-c", FULL_DISK, str(old), str(new)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.count("File too large") == 2
    assert "old.html" in done.stdout
    assert old.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["old.html"]


def test_a_directory_that_vanished_is_reported(tmp_path: Path) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    outputs = [Output("csv", str(place / "r.csv"))]
    check(outputs)
    place.rmdir()
    with pytest.raises(ReportError, match=r"r\.csv: No such file or directory"):
        write(outputs, VIEW)


class Broken:
    """A view that fails in the middle of its users, as a damaged run file would."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getattr__(self, name: str) -> object:
        return getattr(VIEW, name)

    def users(self, *_: object, **__: object) -> object:
        raise self._error


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()], ids=["bug", "interrupt"])
@pytest.mark.parametrize("name", FORMATS)
def test_any_other_failure_passes_through_and_keeps_the_old_report(
    tmp_path: Path, name: str, error: BaseException
) -> None:
    path = tmp_path / "r"
    path.write_text("old")
    with pytest.raises(type(error)):
        write([Output(name, str(path))], Broken(error))  # type: ignore[arg-type]  # a view but for its users
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


CLOSED_PIPE = """
from audit.report.writer import Output, write
from tests.report.test_writer import BIG
write([Output("json", "{}")], BIG)
"""


@pytest.mark.parametrize("path", ["-", "/dev/stdout"])
def test_a_reader_that_goes_away_is_no_failure(path: str) -> None:
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", CLOSED_PIPE.format(path)]
    root = ROOT
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root) as process:
        stdout: BinaryIO = process.stdout  # type: ignore[assignment]  # it is a pipe
        assert stdout.read(1) == b"{"
        stdout.close()
        error = process.stderr.read() if process.stderr else b""
        assert process.wait() == 0, error.decode()
    assert error == b""


def test_only_html_pays_for_jinja() -> None:
    code = (
        "import sys; from audit.report import writer; writer.renderer('csv'); writer.renderer('json'); "
        "assert 'jinja2' not in sys.modules; writer.renderer('html'); assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
