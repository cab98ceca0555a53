"""Contender: as many workers as the audit has, which fetch and decode the same answers and do nothing else.

    python -m benchmarks.bare BASE_URL CONCURRENCY MODELS

No database, no finding, no record, no report, no retry, no limit on time, rate or size.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import msgspec


class _Version(msgspec.Struct):
    id: str
    created_at: str | None = None


class _Page(msgspec.Struct):
    results: list[_Version]
    next: str | None = None


_DECODER = msgspec.json.Decoder(_Page)


async def _worker(session: aiohttp.ClientSession, base_url: str, models: Iterator[str]) -> None:
    for model in models:
        url = f"{base_url}/models/{model}"
        async with session.get(f"{url}/versions") as response:
            body = await response.read()
        if response.status == 200:
            _DECODER.decode(body)
            continue
        async with session.get(url) as response:  # as the audit does after a 404
            await response.read()


async def _main(base_url: str, concurrency: int, models: Iterator[str]) -> None:
    headers = {
        "Authorization": f"Bearer {os.environ['REPLICATE_API_TOKEN']}",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session, asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(_worker(session, base_url, models))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), iter(Path(sys.argv[3]).read_text().split())))
