"""Files that others have made, opened so that nothing about them can hang, fill the memory or surprise."""

import errno
import io
import os
import select
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

from audit.errors import SettingsError
from audit.model.text import escape_controls, os_cause

LONGEST_LINE = 1 << 24
"""Bytes. A longer line is none of ours."""


def open_foreign(path: Path, *, pipes: bool = False) -> io.BufferedReader:
    """Open a file for reading. Raises OSError, in words that can follow a colon, for what is none.

    With `pipes` it may be one, as a shell makes it of <(...), which is read once and waited for. What is in /dev/null
    is nothing.
    """
    try:
        _check_kind(path.stat(), pipes=pipes)  # before it is opened, as some devices mind
    except ValueError as error:
        raise OSError(errno.EINVAL, "it is no name of a file") from error
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        found = os.fstat(fd)
        _check_kind(found, pipes=pipes)
        return io.BufferedReader(_Pipe(fd) if stat.S_ISFIFO(found.st_mode) else io.FileIO(fd))
    except BaseException:
        os.close(fd)
        raise


def foreign_text(path: Path, largest: int, *, pipes: bool = False, encoding: str = "utf-8") -> str | None:
    """The text of a file; None where that has more than `largest` bytes. Raises OSError and UnicodeError."""
    with open_foreign(path, pipes=pipes) as file:
        raw = file.read(largest + 1)
    return raw.decode(encoding) if len(raw) <= largest else None


def check_key_log() -> None:
    """Raises SettingsError where Python could not write keys to SSLKEYLOGFILE, or would wait there for ever.

    Every context for TLS opens that file, one already where aiohttp is imported.
    """
    keys = os.environ.get("SSLKEYLOGFILE")
    if not keys:
        return
    try:
        with suppress(FileNotFoundError):
            _check_kind(Path(keys).stat(), pipes=False)
        Path(keys).open("ab").close()
    except OSError as error:
        raise SettingsError(
            f"SSLKEYLOGFILE: cannot write to {escape_controls(keys)}: {os_cause(error)}", "Correct or unset it."
        ) from error


def open_to_append(path: Path) -> io.BufferedWriter:
    """Open a file, device or pipe for writing; a file is made with mode 0600 where there is none. Raises OSError.

    The reader of a pipe is not waited for, which no signal would end.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        fd = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno == errno.ENXIO and path.is_fifo():
            raise OSError(errno.ENXIO, "it is a pipe that nobody reads") from error
        raise
    os.set_blocking(fd, True)
    return io.BufferedWriter(io.FileIO(fd, "ab"))


def text_lines(file: BinaryIO) -> Iterator[str]:
    """The lines of a text in UTF-8, with their ends. Raises OSError and UnicodeError."""
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise OSError(errno.EFBIG, f"it has a line of more than {LONGEST_LINE:,} bytes")
        yield line.decode()


def make_directory(path: Path) -> None:
    """See that there is a directory `path`, also where that is thousands deep, which `Path.mkdir` is not made for."""
    missing = list(takewhile(lambda each: not each.exists(), (path, *path.parents)))
    for each in reversed(missing):
        each.mkdir(exist_ok=True)


IGNORED = "# Made by sync-audit: reports hold personal data.\n*\n"


def make_reports(folder: Path) -> None:
    """Make the default `folder`, and see that no repository takes in what is there; an existing one stays as it is."""
    with suppress(OSError):  # whoever writes there says better what is wrong
        folder.mkdir()
        ignored = folder / ".gitignore"
        ignored.touch(0o600, exist_ok=False)
        ignored.write_text(IGNORED, encoding="utf-8")


def real(path: str | Path) -> Path:
    """The file that `path` means, links followed as far as they lead somewhere."""
    return Path(os.path.realpath(path))


def _check_kind(found: os.stat_result, *, pipes: bool) -> None:
    mode = found.st_mode
    if stat.S_ISREG(mode) or (pipes and stat.S_ISFIFO(mode)) or _is_null(found):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise OSError(errno.EINVAL, f"it is {kind} and no file")


def _is_null(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(os.devnull).stat().st_rdev


class _Pipe(io.RawIOBase):
    """The end of a pipe that is read, opened without waiting for somebody to write to it."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            try:
                size = os.readv(self._fd, [buffer])
            except BlockingIOError:
                select.select([self._fd], [], [])
                continue
            if not size and not self._begun:
                raise OSError(errno.EPIPE, "it is a pipe that nobody writes to")
            self._begun = True
            return size

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()
