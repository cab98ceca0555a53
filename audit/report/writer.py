"""Puts reports in their places: checked before the run, replaced whole, mode 0600, the old file kept on any failure."""

import contextlib
import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable

from audit.errors import ReportError, SettingsError
from audit.files import make_directory, open_to_append, real
from audit.model.text import escape_controls, os_cause
from audit.report.view import RunView

Renderer = Callable[[RunView, BinaryIO], None]


def _html() -> Renderer:
    from audit.report.html.render import render  # noqa: PLC0415 - jinja2 costs 40 ms that CSV and JSON need not pay

    return render


def _csv() -> Renderer:
    from audit.report.csv_report import render  # noqa: PLC0415 - see the module

    return render


def _json() -> Renderer:
    from audit.report.json_report import render  # noqa: PLC0415 - see the module

    return render


def _md() -> Renderer:
    from audit.report.markdown import render  # noqa: PLC0415 - see the module

    return render


def _junit() -> Renderer:
    from audit.report.junit_report import render  # noqa: PLC0415 - see the module

    return render


FORMATS: dict[str, Callable[[], Renderer]] = {"html": _html, "csv": _csv, "json": _json, "md": _md, "junit": _junit}
"""Name -> what imports the renderer."""


def prepare(formats: Iterable[str]) -> None:
    """Import and compile what reports of these formats need; they can be written without. May run in a thread."""
    for name in formats:
        renderer(name)
        if name == "html":
            from audit.report.html import render  # noqa: PLC0415 - see `_html`

            render.prepare()


def renderer(name: str) -> Renderer:
    """The renderer of the format `name`, one of `FORMATS`."""
    return FORMATS[name]()


@runtime_checkable
class Checked(Protocol):
    """A stream to which writing never fails."""

    def check(self) -> None:
        """Raise OSError where something of what was written is lost."""


STDOUT = "-"
Drawing = Callable[[str], Callable[[BinaryIO], None]]
"""Format -> what writes it to a stream."""


class Output(NamedTuple):
    """One report to write: a format of `FORMATS`, and a path or `-` for standard output."""

    format: str
    path: str

    @property
    def printed(self) -> bool:
        """Whether it goes to standard output or a device, such as a terminal, and into no file."""
        return self.path == STDOUT or _is_special(Path(self.path))


def check(outputs: Sequence[Output]) -> None:
    """See that every output can be written, without touching a report that is there; parents are created.

    SettingsError where two outputs meet on one path, ReportError where a path cannot be written. Permission bits
    say nothing to root and little on network drives, so a file is really made beside each, and removed.
    """
    _check_distinct(outputs)
    for output in outputs:
        if output.path != STDOUT:
            try:
                check_path(output.path)
            except OSError as error:
                raise ReportError(
                    f"cannot write the {output.format} report to {_shown(output)}: {os_cause(error)}",
                    f"Choose another place with -o {output.format}=PATH, or make this one writable.",
                ) from error


def write(outputs: Sequence[Output], view: RunView, stdout: BinaryIO | None = None) -> None:
    """Render `view` to every output; see `write_each`."""
    write_each(outputs, lambda name: partial(renderer(name), view), stdout)


def write_each(outputs: Sequence[Output], drawing: Drawing, stdout: BinaryIO | None = None) -> None:
    """Have every output written by what `drawing` has for its format; one that fails keeps no other from it.

    Raises ReportError, once, that names every output that failed; what was there before is untouched.
    A reader of standard output that goes away is no failure.
    """
    failures: list[str] = []
    first_error: OSError | None = None
    for output in outputs:
        try:
            put(output.path, drawing(output.format), stdout)
        except OSError as error:
            failures.append(f"the {output.format} report to {_shown(output)}: {os_cause(error)}")
            first_error = first_error or error
    if failures:
        raise ReportError(
            "could not write " + "; nor ".join(failures),
            "Nothing is lost: write it again from the run file with sync-audit render RUN -o FORMAT=PATH.",
        ) from first_error


def _check_distinct(outputs: Sequence[Output]) -> None:
    seen: dict[str, Output] = {}
    for output in outputs:
        key = STDOUT if output.path == STDOUT else str(_target(output.path))
        other = seen.setdefault(key, output)
        if other is not output and not _is_special(Path(key)):
            raise SettingsError(
                f"two outputs on one path: -o {other.format}={escape_controls(other.path)} and "
                f"-o {output.format}={escape_controls(output.path)}",
                "Give each its own PATH.",
            )


def check_path(path: str) -> None:
    """See that `put` can write the file at `path`, and make its directory. Raises OSError."""
    target = _target(path)
    if _is_special(target):
        if not os.access(target, os.W_OK):
            raise PermissionError(f"{target} is not writable")
        return
    if target.is_symlink():  # `realpath` follows every link but those that lead in circles
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.is_dir():
        raise IsADirectoryError("a directory is in its place")
    make_directory(target.parent)
    fd, name = _temporary(target)
    os.close(fd)
    Path(name).unlink()


def put(path: str, render: Callable[[BinaryIO], None], stdout: BinaryIO | None = None) -> None:
    """Have `render` write the file at `path`, which is replaced whole, or standard output. Raises OSError."""
    if path == STDOUT or _is_stdout(Path(path)):
        stream = stdout or sys.stdout.buffer
        with _quiet_when_closed(stream):
            render(stream)
            stream.flush()
        if isinstance(stream, Checked):
            stream.check()
        return
    target = _target(path)
    if _is_special(target):
        with contextlib.suppress(BrokenPipeError), open_to_append(target) as file:
            render(file)
        return
    with replacing(target) as file:
        render(file)


@contextlib.contextmanager
def replacing(target: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """A new file beside `target` that takes its place at the end, or is removed on any way out but that.

    Its permissions are `mode`, by default 0600. Raises OSError.
    """
    fd, name = _temporary(target)
    temporary = Path(name)
    try:
        with os.fdopen(fd, "wb", buffering=1 << 18) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):  # the directory may be gone; the first error is the one to tell
            temporary.unlink()
        raise
    _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    """Make the rename survive a power cut, where the file system can; the report is complete either way."""
    with contextlib.suppress(OSError):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _temporary(target: Path) -> tuple[int, str]:
    """A new empty file beside `target`, mode 0600; its name is short, as the target's may be as long as allowed."""
    return tempfile.mkstemp(prefix=".sync-audit-", suffix=".tmp", dir=target.parent)


def _target(path: str) -> Path:
    """The file that `path` means: absolute, with symbolic links followed, so that a link stays one.

    Not for devices and pipes: what /dev/stdout leads to may have no name in the file system.
    """
    given = Path(path)
    return given.absolute() if _is_special(given) else real(path)


def _is_special(target: Path) -> bool:
    """Whether this is a device, pipe or socket, which is written to and not replaced."""
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_stdout(given: Path) -> bool:
    """Whether this is standard output by another name, such as /dev/stdout, and a device or a pipe."""
    try:
        return _is_special(given) and os.path.samestat(given.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def _quiet_when_closed(stream: BinaryIO) -> Iterator[None]:
    """Ignore a closed pipe (`| head`) while the block writes.

    After any failure what is still in the buffer goes nowhere, else Python would fail once more at its end.
    """
    try:
        yield
    except OSError as error:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def _shown(output: Output) -> str:
    return "standard output" if output.path == STDOUT else escape_controls(output.path)
