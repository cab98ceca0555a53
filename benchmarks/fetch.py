"""Contender: the audit's client alone, asked for one model after the other by as many workers as the audit has.

    python -m benchmarks.fetch BASE_URL CONCURRENCY MODELS

Rate limit, retries and limits as in a run; no finding, no record, no report.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from audit import __version__
from audit.model.replies import Failed
from audit.replicate import Replicate, Target, connect


def target(base_url: str, concurrency: int) -> Target:
    """As a run would ask there, at the rate that the environment says."""
    token, rate = os.environ["REPLICATE_API_TOKEN"], int(os.environ["SYNC_AUDIT_RATE"])
    return Target(base_url, token, f"sync-audit/{__version__}", concurrency, rate, timeout=30, retries=4)


async def _worker(replicate: Replicate, models: Iterator[str]) -> None:
    for model in models:
        reply = await replicate.ask(model)
        if isinstance(reply, Failed):
            raise RuntimeError(f"{model}: {reply.detail}")  # noqa: TRY004 - it is no type that is wrong


async def _main(base_url: str, concurrency: int, models: Iterator[str]) -> None:
    async with connect(target(base_url, concurrency)) as replicate, asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(_worker(replicate, models))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), iter(Path(sys.argv[3]).read_text().split())))
