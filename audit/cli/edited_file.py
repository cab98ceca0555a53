"""Files that people write too: read, changed and written again, so that nothing that others write meanwhile is lost."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from audit.files import real
from audit.report.writer import replacing

_PATIENCE = 60.0
"""Seconds that another process may take with its change: milliseconds mostly, more for the plan of a million rows."""
_POLL = 0.02
_ATTEMPTS = 20


class _ChangedError(Exception):
    """The file is not what was read any more."""


def edit(path: Path, read: Callable[[Path], str | None], change: Callable[[str | None], str]) -> None:
    """Put what `change` makes of the text of the file at `path` in its place; None is a file that is not there.

    A link stays one, and so do the permissions. `change` may be called again. Raises OSError, and what both raise.
    """
    target = real(path)
    if target.is_symlink():  # one that leads in a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists() and not target.is_file():  # which would be replaced by a file
        raise OSError(errno.EINVAL, "it is a device or a pipe and no file")
    with only_one(target.parent):
        for _ in range(_ATTEMPTS):
            before = read(target)
            after = change(before).encode()
            with suppress(_ChangedError), replacing(target, _mode(target)) as file:
                file.write(after)
                if read(target) != before:  # by hand, or where drives have no locks
                    raise _ChangedError
                return
    raise _in_use()


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for `directory`: a file that gets replaced cannot be locked.

    The lock goes with the process, whatever ends it. Raises OSError where another one has it for too long.
    """
    fd = None
    try:
        with suppress(OSError):  # some may be written to and not be read; and writing says better what is wrong
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        if fd is not None:
            _lock(fd)
        yield
    finally:
        if fd is not None:
            os.close(fd)


def _lock(fd: int) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise _in_use() from None
            time.sleep(_POLL)
        except OSError:  # some network drives have no locks
            return
        else:
            return


def _in_use() -> OSError:
    return OSError(errno.EBUSY, "another process is changing it")


def _mode(target: Path) -> int:
    """The permissions of the file, or those that a new one gets."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
