"""What Replicate says to `init`: whose token it is, and whether a model that was found is there."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from audit import __version__
from audit.model.codes import Reason
from audit.model.ids import askable_model, model_key
from audit.model.replies import Failed, Found, Missing, NoVersions
from audit.replicate import Target, connect

_SECONDS = 3.0
"""For one answer: nobody should wait longer for what can be done without."""
_ASKED = 3
"""Models, at most."""


class Whose(NamedTuple):
    """Whose token it is."""

    account: str | None
    why_not: str = ""
    """Why that is not known: a clause."""


def init_target(base_url: str, token: str, proxy: str | None) -> Target:
    """How Replicate is asked: once, and not for long."""
    return Target(
        base_url=base_url,
        token=token,
        user_agent=f"sync-audit/{__version__}",
        concurrency=_ASKED,
        per_minute=600,
        timeout=_SECONDS,
        retries=0,
        proxy=proxy,
        delivery_stand_in=None,
    )


async def whose(target: Target | None) -> Whose:
    """Ask for the account. `target` is None without a token."""
    if target is None:
        return Whose(None, "there is no token (REPLICATE_API_TOKEN)")
    async with connect(target) as replicate:
        account = await replicate.account()
    if isinstance(account, Failed):
        refused = account.reason is Reason.UNAUTHORIZED
        return Whose(None, f"Replicate refuses the token: {account.detail}" if refused else account.detail)
    return Whose(account.username)


async def are_there(target: Target | None, models: Sequence[str]) -> dict[str, bool]:
    """Whether there are such models, by key; of those that it could not be found out of nothing is said."""
    ids = [model for model in dict.fromkeys(models) if askable_model(model)][:_ASKED]
    if target is None or not ids:
        return {}
    async with connect(target) as replicate:
        replies = await asyncio.gather(*(replicate.ask(model, once=True) for model in ids))
    said = {Found: True, NoVersions: True, Missing: False}
    return {
        model_key(model): said[type(reply)] for model, reply in zip(ids, replies, strict=True) if type(reply) in said
    }
