"""`sync-audit` in processes that are forked from one which has imported everything.

What a command costs is mostly Python's start and its imports. A fork of a process that has got them over with is a
process all the same: it has its own id, streams, folder and environment, and ends as any other does.
"""

import atexit
import gc
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]  # as in tests.audits, which takes long to import
_MOST = 1 << 20
"""Bytes of arguments and environment."""


class Forks:
    """Runs commands one after the other, or several at once from several threads, until it is closed."""

    def __init__(self, environ: dict[str, str]) -> None:
        """`environ` has what Python itself heeds: it is not started again for a command."""
        self._here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._here, there):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST)
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.forks", str(there.fileno())],
                cwd=ROOT,
                env=environ,
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # into which nothing is written; but Python asks each stream when it starts
                stderr=subprocess.PIPE,  # whether it can be positioned, and those of the commands are pipes
            )

    def run(
        self, arguments: Sequence[str], folder: Path, environ: dict[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run `sync-audit` with these arguments to the end: exit code (negative for a signal), stdout and stderr."""
        asked = json.dumps([list(arguments), str(folder), environ]).encode()
        with ExitStack() as open_ends:
            pipes = [os.pipe() for _ in range(3)]
            ours = [open_ends.enter_context(os.fdopen(end, "rb", buffering=0)) for end, _ in pipes]
            try:
                socket.send_fds(self._here, [asked], [0, *(end for _, end in pipes)])
            finally:
                for _, end in pipes:
                    os.close(end)
            said = {end: bytearray() for end in ours}
            deadline = time.monotonic() + timeout
            with selectors.DefaultSelector() as selector:
                for end in ours:
                    selector.register(end, selectors.EVENT_READ)
                while selector.get_map():
                    ready = selector.select(max(0.0, deadline - time.monotonic()))
                    if not ready:
                        os.kill(int(said[ours[2]].split()[0]), signal.SIGKILL)
                        raise subprocess.TimeoutExpired(list(arguments), timeout)
                    for key, _ in ready:
                        data = os.read(key.fd, 1 << 16)
                        said[key.fileobj] += data  # type: ignore[index]  # one of ours
                        if not data:
                            selector.unregister(key.fileobj)
        out, err, ended = (bytes(said[end]) for end in ours)
        _, code = ended.split()
        return int(code), out, err

    def close(self) -> None:
        """End the process; commands that still run are left alone."""
        self._here.close()
        with self._process:
            pass


def _forked(asking: socket.socket) -> list[str]:
    """Fork for each command that is asked for. Returns in the forks alone: the arguments of the command."""
    while True:
        asked, descriptors, _, _ = socket.recv_fds(asking, _MOST, 4)
        if not asked:
            os._exit(0)
        if os.fork():  # the waiting is done by a fork, too, so that the next command need not wait
            for each in descriptors:
                os.close(each)
            os.waitpid(-1, os.WNOHANG)
            continue
        *streams, status = descriptors
        pid = os.fork()
        if pid:
            for each in streams:
                os.close(each)
            os.write(status, b"%d " % pid)
            _, code = os.waitpid(pid, 0)
            os.write(status, b"%d" % os.waitstatus_to_exitcode(code))
            os._exit(0)
        asking.close()
        os.close(status)
        for wanted, given in enumerate(streams):
            os.dup2(given, wanted)
            os.close(given)
        arguments, folder, environ = json.loads(asked)
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


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which end this process
    _import_everything()
    gc.freeze()  # or each fork would copy all that is there, only to look for garbage in it
    sys.argv = ["sync-audit", *_forked(socket.socket(fileno=int(sys.argv[1])))]
    code: object = 1
    try:
        import_module("audit.cli").main(prog_name="sync-audit")
    except SystemExit as left:
        code = left.code
    _end(code)
