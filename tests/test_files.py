"""Files that others have made, opened without a surprise."""

import os
import select
import threading
from pathlib import Path

import pytest

from audit import files
from audit.files import make_directory, open_foreign, open_to_append, text_lines


def test_a_file_is_read_and_so_is_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x\ny")
    (tmp_path / "link").symlink_to("a")
    for name in ("a", "link"):
        with open_foreign(tmp_path / name) as file:
            assert list(text_lines(file)) == ["x\n", "y"]


def test_nothing_is_in_the_device_for_nothing() -> None:
    with open_foreign(Path(os.devnull)) as file:
        assert file.read() == b""


@pytest.mark.parametrize("parts", [[b"all of it"], [b"one, ", b"two, ", b"x" * 200_000]])
def test_a_pipe_is_waited_for_and_read_to_its_end(tmp_path: Path, parts: list[bytes]) -> None:
    read, write = os.pipe()

    def send() -> None:
        for part in parts:
            os.write(write, part) if len(part) < 1000 else [
                os.write(write, part[i : i + 1000]) for i in range(0, len(part), 1000)
            ]
        os.close(write)

    sender = threading.Thread(target=send)
    try:
        with open_foreign(Path(f"/dev/fd/{read}"), pipes=True) as file:
            sender.start()
            assert file.read() == b"".join(parts)
    finally:
        sender.join()
        os.close(read)


def test_a_pipe_that_nobody_reads_is_not_waited_for_and_one_with_a_reader_takes_everything(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="it is a pipe that nobody reads"):
        open_to_append(pipe)
    much = b"x" * 1_000_000  # more than a pipe holds
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:  # noqa: PTH123 - not by its name
        os.set_blocking(reader.fileno(), True)
        writing = threading.Thread(target=write_all, args=(pipe, much), daemon=True)
        writing.start()
        assert select.select([reader], [], [], 60)[0]
        assert reader.read() == much
        writing.join()


def write_all(path: Path, data: bytes) -> None:
    with open_to_append(path) as file:
        file.write(data)


def test_what_is_appended_to_comes_first_and_what_is_made_is_private(tmp_path: Path) -> None:
    for part in (b"a", b"b"):
        write_all(tmp_path / "new", part)
    assert (tmp_path / "new").read_bytes() == b"ab"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_a_pipe_is_no_file_for_whoever_reads_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a pipe and no file"):
        open_foreign(tmp_path / "pipe")


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        open_foreign(tmp_path / "pipe", pipes=True) as file,
        pytest.raises(OSError, match="it is a pipe that nobody writes to"),
    ):
        file.read()


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_can_be_no_name_is_an_error_like_any_other(name: str) -> None:
    with pytest.raises(OSError, match="it is no name of a file"):
        open_foreign(Path(name))


def test_a_line_without_an_end_is_not_read_into_memory(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 40)
    with (
        open_foreign(tmp_path / "sparse") as file,
        pytest.raises(OSError, match="a line of more than 16,777,216 bytes"),
    ):
        next(text_lines(file))
    assert files.LONGEST_LINE == 16_777_216


def test_directories_are_made_however_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deep = Path("d/" * 1900)
    make_directory(deep)
    make_directory(deep)
    assert deep.is_dir()
    for each in (deep, *deep.parents[:-1]):  # what tidies up after the tests is not made for that either
        each.rmdir()


@pytest.mark.parametrize("name", ["file/below", "x" * 300, "d/" * 2500])
def test_a_directory_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File name too long"):
        make_directory(tmp_path / name)
