"""`sync-audit` in processes that are forked from one which has imported everything.

What a command costs is mostly Python's start and its imports. A fork of a process that has got them over with is a
process all the same: it has its own id, streams, folder and environment, and ends with a code or by a signal.
"""

import atexit
import gc
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]  # as in tests.support.audits, which takes long to import
PYTHON = (sys.executable, "-W", "error", "-m", "audit")
"""The same without a fork, with a Python that warns as loudly as the tests do."""
_HEEDED = ("PYTHON", "LANG", "LC_", "COVERAGE_", "SSL_")
_MOST = 1 << 20
"""Bytes of arguments and environment."""


class Forks:
    """Runs commands, also several at once, until it is closed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """`environ` is that of a command: Python reads parts of it once only, when it starts."""
        with ExitStack() as cleanup:
            folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="forks-", dir="/tmp")))
            self.address = folder / "socket"
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asked:
                asked.bind(str(self.address))
                self._process = subprocess.Popen(
                    [sys.executable, "-W", "error", "-m", "tests.support.forks", str(asked.fileno())],
                    cwd=ROOT,
                    env=dict(environ),
                    pass_fds=[asked.fileno()],
                    stdin=subprocess.PIPE,  # whose end is the process's
                    stdout=subprocess.PIPE,  # nothing is written into these; but Python asks its streams at the start
                    stderr=subprocess.PIPE,  # whether they can be positioned, and those of the commands cannot
                )
            self._cleanup = cleanup.pop_all()

    def script(self) -> str:
        """The end of a shell script that is `sync-audit`."""
        return f'exec "{sys.executable}" -IS "{__file__}" "{self.address}" "$@"\n'

    def run(
        self, arguments: Sequence[str], folder: Path, environ: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run `sync-audit` with these arguments to the end: exit code (negative for a signal), stdout and stderr."""
        with ExitStack() as ends:
            pipes = [os.pipe() for _ in range(3)]
            out, err, status = (ends.enter_context(os.fdopen(end, "rb", buffering=0)) for end, _ in pipes)
            try:
                _ask(self.address, (arguments, str(folder), environ), [0, *(end for _, end in pipes)])
            finally:
                for _, end in pipes:
                    os.close(end)
            received = {end.fileno(): bytearray() for end in (out, err, status)}
            deadline = time.monotonic() + timeout
            with selectors.DefaultSelector() as selector:
                for descriptor in received:
                    selector.register(descriptor, selectors.EVENT_READ)
                while selector.get_map():
                    ready = selector.select(max(0.0, deadline - time.monotonic()))
                    if not ready:
                        os.kill(int(received[status.fileno()].split()[0]), signal.SIGKILL)
                        raise subprocess.TimeoutExpired(list(arguments), timeout)
                    for key, _ in ready:
                        data = os.read(key.fd, 1 << 16)
                        received[key.fd] += data
                        if not data:
                            selector.unregister(key.fd)
            _, code = received[status.fileno()].split()
            return int(code), bytes(received[out.fileno()]), bytes(received[err.fileno()])

    def close(self) -> None:
        """End the process; commands that still run are left alone."""
        with self._cleanup, self._process:
            pass


def forkable(environ: Mapping[str, str]) -> bool:
    """Whether Python and its libraries, which read these as they start, are told nothing but where this package is."""
    heeded = {name: value for name, value in environ.items() if name.startswith(_HEEDED)}
    return {"LC_CTYPE": "C.UTF-8"} | heeded == {"LC_CTYPE": "C.UTF-8", "PYTHONPATH": str(ROOT)}  # else Python sets it


def _ask(address: Path | str, command: tuple[Sequence[str], str, Mapping[str, str]], descriptors: list[int]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST)
        asking.connect(str(address))
        socket.send_fds(asking, [json.dumps(command).encode()], descriptors)


def _stand_for(address: str, arguments: Sequence[str]) -> NoReturn:
    """Have the command run with the streams of this process, which ends as the command does."""
    environ = dict(os.environ)
    if not forkable(environ):
        os.execv(sys.executable, [*PYTHON, *arguments])
    reading, status = os.pipe()
    _ask(address, (arguments, str(Path.cwd()), environ), [0, 1, 2, status])
    os.close(status)
    with os.fdopen(reading) as pipe:
        _, code = map(int, pipe.read().split())
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


def _forked(asked: socket.socket) -> list[str]:
    """Fork for each command that is asked for. Returns in the forks alone: the arguments of the command."""
    while True:
        if sys.stdin in select.select([asked, sys.stdin], [], [])[0]:
            os._exit(0)
        command, descriptors, _, _ = socket.recv_fds(asked, _MOST, 4)
        if os.fork():  # the waiting is done by a fork, too, so that the next command need not wait
            for each in descriptors:
                os.close(each)
            os.waitpid(-1, os.WNOHANG)
            continue
        *streams, status = descriptors
        if pid := os.fork():
            for each in streams:
                os.close(each)
            os.write(status, b"%d " % pid)
            _, code = os.waitpid(pid, 0)
            os.write(status, b"%d" % os.waitstatus_to_exitcode(code))
            os._exit(0)
        asked.close()
        os.close(status)
        for wanted, given in enumerate(streams):
            os.dup2(given, wanted)
            os.close(given)
        arguments, folder, environ = json.loads(command)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        time.tzset()
        sys.path[0] = folder
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return [*arguments]


def _import_everything() -> None:
    audit = import_module("audit")
    for module in pkgutil.walk_packages(audit.__path__, "audit."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def _end(code: object) -> NoReturn:
    """As Python ends, but for taking every module to pieces, which takes longer than most commands do."""
    assert isinstance(code, int)
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120
    os._exit(code)


def _serve(asked: socket.socket) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which end this process
    _import_everything()
    gc.freeze()  # or each fork would copy all that is there, only to look for garbage in it
    sys.argv = ["sync-audit", *_forked(asked)]
    code: object = 1
    try:
        import_module("audit.commands").main(prog_name="sync-audit")
    except SystemExit as left:
        code = left.code
    _end(code)


if __name__ == "__main__":
    place, *words = sys.argv[1:]
    if place.isdecimal():
        _serve(socket.socket(fileno=int(place)))
    _stand_for(place, words)
