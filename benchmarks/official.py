"""Contender: the official client (`replicate` 1.0, asynchronous), asked for the versions of the same models.

python -m benchmarks.official BASE_URL CONCURRENCY MODELS
"""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from replicate.client import Client
from replicate.exceptions import ReplicateError
from replicate.version import Versions


async def _worker(client: Client, models: Iterator[str]) -> None:
    for model in models:
        owner, _, name = model.partition("/")
        try:
            page = await Versions(client, (owner, name)).async_list()
        except ReplicateError:
            continue  # 404: the model is gone
        for version in page.results:
            _ = version.id, version.created_at


async def _main(base_url: str, concurrency: int, models: Iterator[str]) -> None:
    client = Client(base_url=base_url.removesuffix("/v1"))  # this client adds /v1 itself
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(_worker(client, models))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), iter(Path(sys.argv[3]).read_text().split())))
