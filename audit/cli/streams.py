"""Standard output and error as all commands write to them: writing never fails, and the end says what did not get out.

A disk that is full, a stream that is closed, a reader or a terminal that has gone: what a command has to do besides
(run file, reports, changes of a database) is worth more than what it prints, so it goes on, and `lost` tells `main`.

The runner of a CI job obeys lines of a log. Inside of one, whatever is printed is no command, on either stream and
whoever has put it into a database: the last character of what would make it one is spelled out. JSON, HTML and XML
say it in a way that changes nothing, wherever they go; this is for text, Markdown and CSV. What this program itself has
to say to a runner is written within `obeyed`.
"""

import codecs
import errno
import io
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TextIO

from audit.model.text import RUNNER_COMMAND, spelled

_PLAIN = {"…": "...", "→": "->", "–": "-", "—": "-", "·": "-", "✓": "ok", "“": '"', "”": '"', "’": "'"}
"""Characters that some code pages lack, and what replaces them."""
_READER_GONE = {errno.EPIPE, errno.ECONNRESET}
_SIGHT = 64
"""Bytes of an unfinished line that are kept to know what the next ones mean: more than the names of commands have."""
# What a runner trims, and what changes nothing that it sees. Then `::` begins a command; `##[` does so anywhere.
_BLANK = rb"(?:\x1b\[[0-?]*[ -/]*[@-~]|(?!\x1b(?:\[|\Z))[^!-~\r\n])*"
_OBEYED = re.compile(rb"(?:\A|(?<=[\r\n]))" + _BLANK + rb"::|" + RUNNER_COMMAND.encode())
_START = re.compile(_BLANK)


class Outlet(io.RawIOBase):
    """Where a stream's bytes go. What cannot be written is dropped, and so is all that follows."""

    def __init__(self, raw: io.RawIOBase | None, *, guarded: bool) -> None:
        """`raw` is None where the stream was closed before the program began."""
        self._raw = raw
        self._terminal = raw is not None and raw.isatty()
        self._dropping = False
        self._guarded = guarded
        self._line = b""
        """What is written of the last line, as far as it matters."""
        self.lost: OSError | None = None
        """Why something was not written; None also where only the reader has gone."""

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """OSError where the stream was closed."""
        if self._raw is None:
            raise io.UnsupportedOperation("closed")
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether it was a terminal at the beginning."""
        return self._terminal

    def write(self, data: object) -> int:
        """All of it, whatever comes of it."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # as typeshed has no name for a buffer yet
        if not self._dropping:
            self._write(self._harmless(bytes(view)) if self._guarded else view)
        return len(view)

    def _write(self, data: bytes | memoryview) -> None:
        if self._raw is None:
            self._dropping, self.lost = True, OSError(errno.EBADF, "it was closed")
            return
        rest = memoryview(data)
        try:
            while rest:
                written = self._raw.write(rest)
                if written is None:
                    _wait(self.fileno())
                rest = rest[written or 0 :]
        except OSError as error:
            self._dropping = True
            if error.errno not in _READER_GONE and not self._hung_up(error):
                self.lost = error
        except BaseException:  # a signal has ended the wait for a reader who does not read: nobody waits again
            self._dropping = True
            raise

    def _hung_up(self, error: OSError) -> bool:
        """Whether this is a terminal that has been closed; by then it says no more that it is one."""
        return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(self.fileno()).st_mode)

    @contextmanager
    def unguarded(self) -> Iterator[None]:
        """Within the block a runner may obey what is written."""
        before, self._guarded = self._guarded, False
        try:
            yield
        finally:
            self._guarded, self._line = before, b""

    def _harmless(self, data: bytes) -> bytes:
        seen = len(self._line)
        whole = self._line + data

        def last_spelled(match: re.Match[bytes]) -> bytes:
            return match[0] if match.end() <= seen else match[0][:-1] + b"\\x%02x" % match[0][-1]

        line = _START.sub(b"", re.split(rb"[\r\n]", whole)[-1], count=1)
        self._line = line if len(line) <= _SIGHT else b"x" + line[-_SIGHT:]
        return _OBEYED.sub(last_spelled, whole)[seen:]


class _Buffer(io.BufferedWriter):
    """The binary stream of standard output or error."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__(outlet)
        self.outlet = outlet

    def check(self) -> None:
        """Raise OSError, once, where something of what was written is lost."""
        lost, self.outlet.lost = self.outlet.lost, None
        if lost:
            raise lost


def set_up() -> None:
    """Put the streams of this process in order. Call it before anything is opened or printed."""
    closed = {descriptor for descriptor in range(3) if _closed(descriptor)}
    for _ in closed:  # or the next file that is opened would be standard output: a run file, a connection
        with suppress(OSError):
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    codecs.register_error("plainer", _plainer)
    codecs.register(_seven_bits)
    guarded = _inside_runner(os.environ)
    if sys.stdin is None or 0 in closed:
        sys.stdin = io.StringIO()
    sys.stdout = _opened(None if 1 in closed else sys.stdout, guarded=guarded)
    sys.stderr = _opened(None if 2 in closed else sys.stderr, guarded=guarded, lines=True)


def lost(stream: TextIO) -> OSError | None:
    """Why something of what was written to `stream` is lost, and has not been told; None where nothing is."""
    stream.flush()
    outlet = _outlet(stream)
    return outlet.lost if outlet else None


def takes_more(stream: TextIO) -> bool:
    """Whether a line may be written to `stream` without a wait for its reader, as far as the system tells."""
    import select

    try:
        return bool(select.select([], [stream.fileno()], [], 0)[1])
    except (OSError, ValueError):  # it is in memory, or closed, or no system can tell
        return True


@contextmanager
def obeyed() -> Iterator[None]:
    """Within the block the runner of a CI job obeys what is written to stderr."""
    outlet = _outlet(sys.stderr)
    with outlet.unguarded() if outlet else nullcontext():
        yield
        sys.stderr.flush()


def _outlet(stream: TextIO) -> Outlet | None:
    buffer = getattr(stream, "buffer", None)
    return buffer.outlet if isinstance(buffer, _Buffer) else None


def _closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


def _opened(stream: TextIO | None, *, guarded: bool, lines: bool = False) -> TextIO:
    if stream is not None and (_outlet(stream) or not isinstance(stream, io.TextIOWrapper)):
        return stream  # somebody else's, who takes what is printed
    buffer: Any = stream and stream.buffer
    raw = getattr(buffer, "raw", buffer)  # with python -u it is not buffered
    encoding = (stream and stream.encoding) or "utf-8"
    if codecs.lookup(encoding).name == "ascii":
        encoding = _SEVEN_BITS
    outlet = Outlet(raw, guarded=guarded)
    return io.TextIOWrapper(_Buffer(outlet), encoding, "plainer", line_buffering=lines or outlet.isatty())


def _inside_runner(environ: Mapping[str, str]) -> bool:
    """Whether this is a job of GitHub Actions or what behaves like it, Azure Pipelines or TeamCity."""
    said = environ.get("GITHUB_ACTIONS"), environ.get("TF_BUILD", "").lower()
    return "true" in said or "TEAMCITY_VERSION" in environ


def _wait(descriptor: int) -> None:
    """Return when a stream that does not block takes more."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()


_SEVEN_BITS = "seven_bits"


def _seven_bits(name: str) -> codecs.CodecInfo | None:
    """ASCII by another name: click takes a stream that says ASCII for a mistake, and writes UTF-8 to it."""
    if name != _SEVEN_BITS:
        return None
    ascii_ = codecs.lookup("ascii")
    return codecs.CodecInfo(
        ascii_.encode,
        ascii_.decode,
        incrementalencoder=ascii_.incrementalencoder,
        incrementaldecoder=ascii_.incrementaldecoder,
        name=_SEVEN_BITS,
    )


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """A handler of encoding errors, as `codecs.register_error` wants it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(_PLAIN.get(char) or spelled(char) for char in bad), error.end
