"""What commands that ask Replicate share: target, account, progress, and cancelling where a stop is requested."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from audit import __version__
from audit.cli.signals import Stop
from audit.commands.settings import ResumeSettings
from audit.commands.waiting import Waits
from audit.errors import AuditError, ReplicateError
from audit.model.codes import Reason
from audit.model.findings import Finding
from audit.model.replies import Account, Failed, Reply
from audit.replicate import Replicate, Target

log = logging.getLogger(__name__)
T = TypeVar("T")
TOKEN_STEP = "Check REPLICATE_API_TOKEN (or --token-file); tokens are at https://replicate.com/account/api-tokens"  # noqa: S105


class StoppedError(AuditError):
    """A signal came before anything was asked: there is nothing to report."""


class Session(Waits, Protocol):
    """A connection to Replicate, as far as its requests are concerned."""

    @property
    def per_minute(self) -> int:
        """Requests a minute that it may make."""

    def last_minute(self) -> int:
        """Requests within the last 60 s, never more than `per_minute`."""


class ProgressListener:
    """Is told how a command is getting on. This one only writes lines; override what is to be heard."""

    def connected(self, session: Session) -> None:
        """Replicate is asked from now on; `session` tells at any time how that goes."""

    def users_read(self, count: int) -> None:
        """So many users have been read from the database; 0 when it begins."""

    def trainings_read(self, count: int, answered: int = 0) -> None:
        """So many trainings have been read from Replicate's list, 0 when it begins; so many models answered by then."""

    def asking(self, models: int, session: Session) -> None:
        """So many models are about to be asked for; `session` tells at any time how that goes."""

    def answered(self, findings: Sequence[Finding]) -> None:
        """One model has been answered, and with it these users."""

    def doing(self, what: str) -> None:
        """A step that is none of the others begins; no more models are asked for."""

    def pausing(self, seconds: float) -> None:
        """Replicate seems to be down, and is tried again in so many seconds."""

    def stopping(self, reason: str = "") -> None:
        """The command ends early, for that reason, and waits for the answers in flight, if there are any."""

    def weights_asked(self, done: int, total: int) -> None:
        """So many of so many weights URLs have been asked for; 0 when that begins."""

    def done(self) -> None:
        """There will be no more progress, unless something else is begun with `doing`."""

    def line(self, text: str) -> None:
        """Write a whole line to stderr, without tearing what is shown there."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the fallback of all that print


def target(settings: ResumeSettings) -> Target:
    """Where and how `settings` say to ask."""
    return Target(
        base_url=settings.base_url,
        token=settings.token,
        user_agent=f"sync-audit/{__version__}",
        concurrency=settings.choices.concurrency,
        per_minute=settings.choices.per_minute,
        timeout=settings.choices.timeout,
        retries=settings.choices.retries,
        proxy=settings.proxy,
        delivery_stand_in=settings.delivery_stand_in,
    )


async def account_of(replicate: Replicate) -> Account | None:
    """Whose token it is. A token that is refused ends the run; any other failure leaves the question open."""
    account = await replicate.account()
    if not isinstance(account, Failed):
        return account
    if account.reason is Reason.UNAUTHORIZED:
        raise ReplicateError(f"Replicate refuses the API token ({account.detail})", TOKEN_STEP)
    log.warning("could not identify the token's account: %s", account.detail)
    return None


async def replies_to(replicate: Replicate, models: Iterable[str], at_once: int) -> dict[str, Reply]:
    """What Replicate says of each of a few models, `at_once` at a time, and once where one is named twice."""
    free = asyncio.Semaphore(at_once)

    async def ask(model: str) -> Reply:
        async with free:
            return await replicate.ask(model)

    ids = list(dict.fromkeys(models))
    replicate.expect(len(ids))
    return dict(zip(ids, await asyncio.gather(*map(ask, ids)), strict=True))


async def cancel_on_stop(stop: Stop, work: Coroutine[None, None, T]) -> T:
    """The result of `work`; raises StoppedError, with `work` cancelled, where a stop comes first."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise StoppedError(f"{stop.reason} before any request was sent", "Start it again at any time.")
        return task.result()
    finally:
        for each in (task, stopping):
            each.cancel()
        await asyncio.wait({task, stopping})


@asynccontextmanager
async def meanwhile(work: Coroutine[None, None, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Do `work` beside the block; it is cancelled where it goes on when the block ends."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def first_failure(*tasks: asyncio.Task[Any]) -> None:
    """Return when all are done, or raise what one has failed with; the first of them where several have by then."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for each in tasks:
        if each.done():
            each.result()


async def together(worker: Callable[[], Coroutine[None, None, None]], count: int) -> None:
    """Let `count` workers run to their ends; what one of them raises is raised, with the others cancelled."""
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(worker())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several  # the run file fails all alike; one of them is enough


async def end_on_stop(stop: Stop, work: Coroutine[None, None, None], grace: float) -> None:
    """Return when `work` is done, or `grace` seconds after a stop, with `work` cancelled. Raises what `work` raises."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=grace)
    finally:
        stopping.cancel()
        task.cancel()  # does nothing where it is done
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()
