"""Runs a command and prints what the kernel counted of it: `python -S measure.py OUTPUT COMMAND...`.

A process of its own, and a small one: the kernel's peak of a new process begins with that of the one that made it.
Prints the command's process id at once, and at the end exit code, CPU seconds, seconds, and peak memory in the system's
unit.
"""

import os
import sys
import time

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def main(output: str, *command: str) -> None:
    began = time.monotonic()
    redirected = [(os.POSIX_SPAWN_OPEN, 1, output, _CREATE, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=redirected)
    print(pid, flush=True)
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - began
    print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss)


if __name__ == "__main__":
    main(*sys.argv[1:])
