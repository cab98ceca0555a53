"""Two things at once: what one of them raises, and what becomes of the other."""

import asyncio
from collections.abc import Coroutine

import pytest

from audit.commands.replicate import first_failure, meanwhile
from audit.errors import DatabaseError, ReplicateError

TOKEN_REFUSED, DOWN = ReplicateError("the token is refused", "-"), DatabaseError("the database is down", "-")


async def raises(error: Exception, *, after: int = 0) -> None:
    """After so many turns of the loop."""
    for _ in range(after):
        await asyncio.sleep(0)
    raise error


async def for_ever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("token", "database", "raised"),
    [
        (raises(TOKEN_REFUSED), for_ever(), TOKEN_REFUSED),
        (for_ever(), raises(DOWN), DOWN),
        (raises(TOKEN_REFUSED), raises(DOWN), TOKEN_REFUSED),
        (raises(TOKEN_REFUSED, after=5), raises(DOWN), DOWN),
        (raises(TOKEN_REFUSED), raises(DOWN, after=5), TOKEN_REFUSED),
    ],
    ids=["the first alone", "the second alone", "both at once", "the second first", "the first first"],
)
async def test_what_fails_first_is_raised_and_ends_the_other(
    token: Coroutine[None, None, None], database: Coroutine[None, None, None], raised: Exception
) -> None:
    with pytest.raises(type(raised), match=str(raised)):
        async with meanwhile(token) as one, meanwhile(database) as other:
            await first_failure(one, other)
    assert one.done()
    assert other.done()


async def test_nothing_is_raised_where_both_succeed() -> None:
    async with meanwhile(asyncio.sleep(0, "a")) as one, meanwhile(asyncio.sleep(0.01, "b")) as other:
        await first_failure(one, other)
        assert (one.result(), other.result()) == ("a", "b")


async def test_what_nobody_waits_for_is_cancelled_at_the_end_of_the_block() -> None:
    async with meanwhile(for_ever()) as task:
        assert not task.done()
    assert task.cancelled()
