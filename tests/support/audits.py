"""Whole audits on real servers: a database with the demo's users, a fake Replicate, a command that runs."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import asyncpg
import pytest
from msgspec.structs import replace

from audit.cli.signals import Stop
from audit.commands.replicate import ProgressListener
from audit.commands.run import audit as audit_run
from audit.commands.settings import RunSettings, default_choices
from audit.demo.database import load
from audit.demo.fake_replicate.faults import Refused, Throttled
from audit.demo.fake_replicate.server import TOKEN, in_thread
from audit.demo.fake_replicate.world import Model, World
from audit.demo.users import DemoUsers, users_at
from audit.model.replies import TrainingsRead
from audit.model.run import Choices
from audit.postgres.url import parse_database_url
from audit.runfile import RunFile
from tests import ROOT
from tests.support.forks import PYTHON, Forks, forkable
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.synthetic_users import SyntheticUsers

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_KEPT = {"PATH", "HOME", "TMPDIR", "COVERAGE_PROCESS_CONFIG"}
_LONGEST = 60
"""Seconds that a command may take."""


@dataclass(frozen=True)
class Servers:
    """A database and what Replicate has to say about it."""

    dsn: str
    fake: InstrumentedReplicate
    retries: int = 1

    def settings(self, folder: Path, **changes: Any) -> RunSettings:
        """A quick audit of this place into `folder`."""
        choices = {name: changes.pop(name) for name in Choices.__struct_fields__ if name in changes}
        hasty = {"per_minute": 100_000, "timeout": 0.6, "retries": self.retries}
        plain: dict[str, Any] = {
            "database": parse_database_url(self.dsn),
            "token": TOKEN,
            "base_url": self.fake.base_url,
            "proxy": None,
            "choices": default_choices(**{"outputs": (("json", str(folder / "report.json")),)} | hasty | choices),
            "run_file": folder / "run.sqlite",
            "trainings": TrainingsRead(mode="versions"),
        }
        return RunSettings(**(plain | changes))

    @property
    def environ(self) -> dict[str, str]:
        """What a command needs to audit this place."""
        return {
            "DATABASE_URL": self.dsn,
            "REPLICATE_BASE_URL": self.fake.origin,
            "REPLICATE_API_TOKEN": TOKEN,
            "SYNC_AUDIT_RATE": "100000",
            "SYNC_AUDIT_TIMEOUT": "0.6",
            "SYNC_AUDIT_RETRIES": str(self.retries),
        }


async def new_database(server: str, name: str) -> str:
    """The DSN of a new, empty database, in the place of one that was made before.

    Workers get tests as they come, and one that comes to a module a second time makes its fixtures again.
    """
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    finally:
        await connection.close()
    return urlsplit(server)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def demo_users() -> DemoUsers:
    """The demo's users at a fixed moment."""
    return users_at(NOW)


class WorldWithoutWaits:
    """A world in which nobody is told to wait: 503 in place of 429, and what passes has passed."""

    def __init__(self, world: World) -> None:
        self.account, self.public_models, self.trainings = world.account, world.public_models, world.trainings
        self.training, self.weights = world.training, world.weights
        self._model = world.model

    def model(self, owner: str, name: str) -> Model | None:
        """See `World`."""
        model = self._model(owner, name)
        if model is None:
            return None
        lasting = [fault for fault in model.faults if fault.times is None]
        return replace(
            model, faults=tuple(Refused(status=503) if isinstance(fault, Throttled) else fault for fault in lasting)
        )


@pytest.fixture(scope="session")
def servers(postgres_server: str, demo_users: DemoUsers) -> Iterator[Servers]:
    """The demo's users, to be read only, and a Replicate that takes little time for them: nothing is retried.

    Dozens of tests audit them all. One time-out is left; `troubled` has the rest.
    """
    dsn = asyncio.run(new_database(postgres_server, "servers"))
    asyncio.run(load(dsn, demo_users))
    with in_thread(InstrumentedReplicate(WorldWithoutWaits(demo_users.world))) as fake:
        yield Servers(dsn, fake, retries=0)


@pytest.fixture(scope="session")
def faulty_servers(servers: Servers, demo_users: DemoUsers) -> Iterator[Servers]:
    """The demo's users with all that Replicate does to them: it makes everybody wait, and is well the second time."""
    with in_thread(InstrumentedReplicate(demo_users.world)) as fake:
        yield Servers(servers.dsn, fake)


@pytest.fixture(scope="session")
def synthetic_users() -> SyntheticUsers:
    """Users by the hundred, one in five of them odd."""
    return SyntheticUsers(300, oddities=0.2)


@pytest.fixture(scope="session")
def synthetic_servers(postgres_server: str, synthetic_users: SyntheticUsers) -> Iterator[Servers]:
    """Servers with the synthetic users, to be read only."""
    dsn = asyncio.run(new_database(postgres_server, "square"))
    asyncio.run(load(dsn, synthetic_users))
    replicate = InstrumentedReplicate(synthetic_users)
    replicate.rate_limit = (60, 1)  # of a bucket that is never empty: nothing goes faster than a test says
    with in_thread(replicate) as fake:
        yield Servers(dsn, fake)


def audit(settings: RunSettings) -> RunFile:
    """A whole run in this process; returns its open run file."""

    async def run() -> RunFile:
        return await audit_run.audit(settings, ProgressListener(), Stop())

    return asyncio.run(run())


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """Of stderr: it holds the cause and the exit code."""
        return self.err.splitlines()[-1]

    @property
    def last_code(self) -> int | None:
        """The exit code that the last line of stderr names."""
        named = re.search(r" \(exit (\d+)\)$", self.last_line)
        return int(named[1]) if named else None


@dataclass
class Shell:
    """Runs the command in a folder of its own, as a person would."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    cleanup: ExitStack = field(default_factory=ExitStack)
    who: dict[str, Any] = field(default_factory=dict)
    """Keywords of `Popen` that choose another user."""
    python: str = sys.executable
    forks: ClassVar[Forks | None] = None
    """Where there are some, commands that run to their end are forked; else each starts a Python of its own."""

    def __call__(self, *arguments: str, **environ: str) -> Ended:
        """Run to the end."""
        variables = self.all_environ(environ)
        if self.forks and not self.who and self.python == sys.executable and forkable(variables):
            code, out, err = self.forks.run(arguments, self.folder, variables, _LONGEST)
            return Ended(code, out.decode(), err.decode())
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=variables,
            capture_output=True,
            timeout=_LONGEST,
            check=False,
            **self.who,
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        """Begin, and leave the rest to the caller; whatever is still there at the end of the test is killed."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.all_environ(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **self.who,
        )
        self.cleanup.enter_context(process)
        self.cleanup.callback(process.kill)
        return process

    def command(self, *arguments: str) -> list[str]:
        """`sync-audit` with a Python of its own."""
        return [self.python, *PYTHON[1:], *arguments]

    def script(self) -> str:
        """The last line of a shell script that is `sync-audit`."""
        return self.forks.script() if self.forks else f'exec {shlex.join(self.command())} "$@"\n'

    def all_environ(self, more: dict[str, str]) -> dict[str, str]:
        """Nothing of the caller's settings, but for the way to Python and its packages."""
        kept = {name: value for name, value in os.environ.items() if name in _KEPT}
        return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"} | self.environ | more


@pytest.fixture(scope="session")
def forks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Commands are forked where the slow tests are left out, and where nothing else is wanted than speed."""
    if request.config.option.markexpr != "not slow":
        yield
        return
    with closing(Forks(Shell(ROOT).all_environ({}))) as Shell.forks:
        yield
    Shell.forks = None


@pytest.fixture
def shell(forks: None, tmp_path: Path) -> Iterator[Shell]:
    """A folder and no settings."""
    with ExitStack() as cleanup:
        yield Shell(tmp_path, cleanup=cleanup)
