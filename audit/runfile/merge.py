"""Run files of shards -> one: everybody in the source's order, a few rows in memory."""

import heapq
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from audit.errors import RunFileError
from audit.model.run import Shard
from audit.model.shard import named, number_of
from audit.model.text import escape_controls
from audit.model.times import epoch_seconds
from audit.runfile.file import RunFile
from audit.runfile.rows import Row


@contextmanager
def untouched(path: Path) -> Iterator[RunFile]:
    """An existing run file, whole, of which nothing changes, not even where its run was killed. Raises RunFileError."""
    shared = path.with_name(f"{path.name}-shm")  # SQLite makes one to read the log of a killed run
    was_there = shared.exists()
    try:
        with RunFile.open(path, "ro") as run_file:
            run_file.copies.check_whole()
            yield run_file
    finally:
        if not was_there:
            with suppress(OSError):
                shared.unlink()


def join(into: RunFile, shards: Mapping[Shard, RunFile]) -> int:
    """Fill the new run file `into` with everything that is known of users; returns how many were in two shards.

    To be called within its `loading`. Raises RunFileError where a row is in a shard that it does not belong to.
    """
    copies = into.copies
    rows = (_belonging(shard, run_file) for shard, run_file in shards.items())
    copies.take_users(heapq.merge(*rows, key=_place))
    ledgers = sorted(
        shards.values(), key=lambda run_file: (run_file.info.trainings and run_file.info.trainings.began_at) or ""
    )
    for run_file in ledgers:  # of a training that was read twice what was read last holds
        copies.take_trainings(run_file.copies.trainings())
    first = ledgers[0]
    if first.info.baseline:
        copies.take_baseline(first.copies.baseline())
    begun = {shard.number: epoch_seconds(run_file.info.started_at) for shard, run_file in shards.items()}
    of = next(iter(shards)).of
    return copies.remove_doubled(lambda record: begun[number_of(record, of)])


def _belonging(shard: Shard, run_file: RunFile) -> Iterator[Row]:
    for row in run_file.copies.users():
        number = number_of(row.record, shard.of)
        if number != shard.number:
            other = named(Shard(number, shard.of))
            raise RunFileError(
                f"{run_file.path} is {named(shard)}, but user {escape_controls(row.record.user_id)} in it belongs to "
                f"{other}",
                "It was changed, or put together by hand: run that shard again.",
            )
        yield row


def _place(row: Row) -> tuple[bool, str, str]:
    """By code point, as PostgreSQL sorts bytes of UTF-8."""
    return row.record.email is None, row.record.email or "", row.record.user_id
