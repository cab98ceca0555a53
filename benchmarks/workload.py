"""What every contender meets: the same users in PostgreSQL and behind a fake Replicate that is fresh each time."""

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from audit.demo.database import load
from audit.demo.fake_replicate.server import TOKEN
from audit.demo.postgres import embedded_postgres
from audit.model.ids import askable_model
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate
from tests.support.process import RemoteFakeReplicate, in_process
from tests.support.synthetic_users import SyntheticUsers

UNHINDERED = 1_000_000
"""Requests a minute, the most that can be asked for: the rate limit then costs what it costs and delays nothing."""


@dataclass(frozen=True)
class Workload:
    """Synthetic users, loaded; contenders may write below `folder`."""

    synthetic_users: SyntheticUsers
    dsn: str
    folder: Path

    @property
    def users(self) -> int:
        """How many there are."""
        return self.synthetic_users.n

    def replicate(self, behaviour: Behaviour | None = None) -> AbstractContextManager[RemoteFakeReplicate]:
        """A fake Replicate in a process of its own, with an empty log."""
        return in_process(partial(InstrumentedReplicate, self.synthetic_users, behaviour))

    def environ(self, fake: RemoteFakeReplicate) -> dict[str, str]:
        """The audit's settings, and nothing of the caller's but the way to Python."""
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "TMPDIR"}}
        settings = {
            "DATABASE_URL": self.dsn,
            "REPLICATE_BASE_URL": fake.base_url,
            "REPLICATE_API_TOKEN": TOKEN,
            "SYNC_AUDIT_RATE": str(UNHINDERED),
        }
        return kept | settings

    def models(self, limit: int | None = None) -> Path:
        """A file of the models that an audit of the first `limit` users asks for, one a line."""
        return self._listed("models", (model for model, _ in self._asked(limit)), limit)

    def recorded(self, limit: int | None = None) -> Path:
        """The same with the version that is recorded of each behind a blank."""
        return self._listed("recorded", (f"{model} {version}" for model, version in self._asked(limit)), limit)

    def _asked(self, limit: int | None) -> Iterator[tuple[str, str]]:
        # Every other row is an older one of the same user, which does not count.
        rows = islice(self.synthetic_users.rows, 0, None, 2)
        asked = ((askable_model(row.replicate_model_id), row.replicate_version_id or "") for row in rows)
        return islice(((model, version) for model, version in asked if model), limit)

    def _listed(self, name: str, lines: Iterable[str], limit: int | None) -> Path:
        path = self.folder / f"{name}-{limit or self.users}"
        path.write_text("\n".join(lines))
        return path


@contextmanager
def prepare(synthetic_users: SyntheticUsers, folder: Path) -> Iterator[Workload]:
    """Both tables filled; the server is gone when the block ends."""
    binaries = os.environ.get("SYNC_AUDIT_PG_BIN")
    with embedded_postgres(Path(binaries) if binaries else None) as dsn:
        asyncio.run(load(dsn, synthetic_users))
        yield Workload(synthetic_users, dsn, folder)
