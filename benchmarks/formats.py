"""What each format costs, from one and the same run file."""

from collections.abc import Iterator
from statistics import median

from benchmarks.contenders import FORMATS, SINGLE, WHOLE, command
from benchmarks.results import Figure
from benchmarks.workload import Workload


def measure(workload: Workload, rounds: int) -> Iterator[Figure]:
    """From the run files that `cost` leaves. Start-up, which is what a single user takes, is taken off."""
    for name in FORMATS:
        output = f"{name}=rendered.{name}"
        starts = [command(workload, "render", SINGLE, "-o", output) for _ in range(rounds)]
        renders = [command(workload, "render", WHOLE, "-o", output) for _ in range(rounds)]
        cpu = median(used.cpu for used in renders) - median(used.cpu for used in starts)
        wall = median(used.wall for used in renders)
        size = (workload.folder / f"rendered.{name}").stat().st_size
        yield Figure(name, "CPU", cpu / (workload.users - 1) * 1e6, "µs per user")
        yield Figure(name, "time of `render`, start-up included", wall, "s")
        yield Figure(name, "size", size / workload.users, "bytes per user")
        yield Figure(name, "peak memory of `render`", max(used.peak for used in renders), "MB")
    run_file = (workload.folder / WHOLE).stat().st_size
    yield Figure("run file", "size", run_file / workload.users, "bytes per user")
