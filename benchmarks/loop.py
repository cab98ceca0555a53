"""Contender: the loop that one writes first: for each model the model, then its versions, with the official client.

python -m benchmarks.loop BASE_URL CONCURRENCY MODELS
"""

import asyncio
import sys
from pathlib import Path

from replicate.client import Client
from replicate.exceptions import ReplicateError


async def _main(base_url: str, concurrency: int, models: list[str]) -> None:
    client = Client(base_url=base_url.removesuffix("/v1"))  # this client adds /v1 itself
    free = asyncio.Semaphore(concurrency)

    async def latest(name: str) -> str | None:
        async with free:
            try:
                model = await client.models.async_get(name)
                versions = await model.versions.async_list()
            except ReplicateError:
                return None  # 404: the model is gone
            return max(versions.results, key=lambda version: version.created_at).id if versions.results else None

    await asyncio.gather(*map(latest, models))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_text().split()))
