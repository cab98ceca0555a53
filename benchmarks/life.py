"""The life of one run, from its database to its repair, at any size.

Users are loaded; the run is killed halfway and resumed to its end; its reports are written again, it is compared with
what it was when it was killed, and its repair is planned. Each step is a process of its own, whose seconds and peak of
memory are reported; at the end every finding is compared with the truth.
"""

import filecmp
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit.runfile import RunFile
from benchmarks import truth
from benchmarks.child import Child, Used, megabytes
from benchmarks.contenders import CONCURRENCY, FORMATS
from benchmarks.results import Figure
from benchmarks.workload import UNHINDERED, Workload, prepare
from tests.support.process import RemoteFakeReplicate
from tests.support.synthetic_users import SyntheticUsers

RUN = "run.sqlite"
KILLED = "killed.sqlite"
"""A copy of the run file as the killed run left it."""
_PARTS = (RUN, f"{RUN}-wal")
OPENING = 100.0
"""Milliseconds until the first user of a run file is read, however many there are."""

LOST = CONCURRENCY + 32
"""Answers that a kill may lose: those in flight, and those that wait to be written together."""

_LOOK = 0.01
"""Seconds between two looks at how many answers there are."""
_TELL = 10.0
"""Seconds between two lines about them."""


@dataclass
class Life:
    """What was measured of one run."""

    users: int
    loading: float = 0
    """Seconds in which the users were copied into PostgreSQL."""
    steps: dict[str, Used] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of what it left."""
    opening: float = 0
    """Seconds until the first user is read from the run file."""
    fake: float = 0
    """Megabytes that the fake Replicate needed at most."""
    faults: dict[str, tuple[int, int]] = field(default_factory=dict)
    """What is not as it should be: how often, and how often it may be."""


class Living:
    """Leads one run through its life."""

    def __init__(self, workload: Workload, tell: Callable[[str], None]) -> None:
        self._workload = workload
        self._folder = workload.folder
        self._tell = tell
        self.life = Life(workload.users)

    def lead(self) -> None:
        """All steps, in order, and then whether the end is right."""
        with self._workload.replicate() as fake:
            self._killed_halfway(fake)
            self._step("`run --resume`, three formats", ["run", "--resume", RUN], fake)
            usage = fake.usage()
        asked = truth.asked(self._workload.synthetic_users, usage.request_log)
        self.life.fake = megabytes(usage.peak)
        self.life.faults["models that were never asked for"] = asked.never, 0
        self.life.faults["requests made again, as the kill lost their answers"] = asked.again, LOST
        self._open()
        for name in FORMATS:
            self._step(f"`render` to {name}", ["render", RUN, "-o", f"{name}=again.{name}"])
            same = filecmp.cmp(self._folder / f"report.{name}", self._folder / f"again.{name}", shallow=False)
            self.life.faults[f"differences between the run's {name} and the rendered one"] = int(not same), 0
            (self._folder / f"again.{name}").unlink()
        self._step("`diff`, JSON and CSV", ["diff", KILLED, RUN, "-o", "json=diff.json", "-o", "csv=diff.csv"])
        self._step("`sync`, the plan", ["sync", RUN, "--max-age", "1d"])
        self._weigh()
        synthetic_users = self._workload.synthetic_users
        self.life.faults["users whose finding is wrong"] = (
            truth.wrong_findings(synthetic_users, self._folder / "report.csv"),
            0,
        )
        self.life.faults["reasons whose count is wrong"] = (
            truth.wrong_counts(synthetic_users, self._folder / "report.json"),
            0,
        )

    def _killed_halfway(self, fake: RemoteFakeReplicate) -> None:
        # So slow that the run of few users does not end before it is killed; one of many is as fast as it can be.
        rate = min(20 * self._workload.users, UNHINDERED)
        outputs = [argument for name in FORMATS for argument in ("-o", f"{name}=report.{name}")]
        fixed = ["--run-file", RUN, "--concurrency", str(CONCURRENCY), "--rate", str(rate)]
        self._step("`run`, killed halfway", ["run", *outputs, *fixed], fake, kill_after=self._workload.users // 2)
        for part in _PARTS:
            if (self._folder / part).exists():
                shutil.copyfile(self._folder / part, self._folder / part.replace(RUN, KILLED))

    def _step(
        self,
        name: str,
        arguments: Sequence[str],
        fake: RemoteFakeReplicate | None = None,
        kill_after: int | None = None,
    ) -> None:
        environ = self._workload.environ(fake) if fake else {"DATABASE_URL": self._workload.dsn}
        child = Child.python(["-m", "audit", *arguments], environ, self._folder)
        if fake:
            self._watch(child, fake, kill_after)
        used = self.life.steps[name] = child.wait()
        self._tell(f"{name}: {used.wall:,.1f} s, {used.peak:,.1f} MB")

    def _watch(self, child: Child, fake: RemoteFakeReplicate, kill_after: int | None) -> None:
        """Until it has ended, or has been killed."""
        reported = time.monotonic()
        while child.running:
            answered = fake.answered()
            if kill_after is not None and answered >= kill_after:
                child.kill()
                return
            if time.monotonic() - reported > _TELL:
                reported = time.monotonic()
                self._tell(f"  {answered:,} answers")
            time.sleep(_LOOK)
        if kill_after is not None:
            child.wait()
            raise RuntimeError("the run came to its end before it was killed")

    def _open(self) -> None:
        """The best of three: others use the disk as well."""
        took = []
        for _ in range(3):
            began = time.perf_counter()
            with RunFile.open(self._folder / RUN) as run_file:
                next(run_file.users())
            took.append(time.perf_counter() - began)
        self.life.opening = min(took)

    def _weigh(self) -> None:
        sizes = {"run file": self._folder / RUN} | {name: self._folder / f"report.{name}" for name in FORMATS}
        self.life.sizes = {name: path.stat().st_size for name, path in sizes.items()}


def live(users: int, folder: Path, tell: Callable[[str], None]) -> Life:
    """The life of a run of so many users; what it writes stays in `folder`."""
    began = time.monotonic()
    with prepare(SyntheticUsers(users), folder) as workload:
        living = Living(workload, tell)
        living.life.loading = time.monotonic() - began
        tell(f"{users:,} users are in PostgreSQL: {living.life.loading:,.1f} s")
        living.lead()
    return living.life


def figures(life: Life) -> Iterator[Figure]:
    """What there is to say of one life."""
    for name, used in life.steps.items():
        yield Figure("peak memory", name, used.peak, "MB", users=life.users)
    yield Figure("peak memory", "the fake Replicate, which is none of the audit", life.fake, "MB", users=life.users)
    yield Figure("time", "users into PostgreSQL", life.loading, "s", users=life.users)
    for name, used in life.steps.items():
        yield Figure("time", name, used.wall, "s", users=life.users)
    yield Figure("time", "until a run file's first user is read", life.opening * 1000, "ms", OPENING, users=life.users)
    for name, size in life.sizes.items():
        yield Figure("size", name, size / 1e6, "MB", users=life.users)
    yield Figure("size", "run file, each user", life.sizes["run file"] / life.users, "bytes", users=life.users)
    for name, (count, most) in life.faults.items():
        yield Figure("truth", name, count, "", most, users=life.users)
