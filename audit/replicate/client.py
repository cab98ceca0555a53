"""The client of Replicate's HTTP API. Every method returns a value, whatever server and network do.

Redirects are not followed, and `next` only on the origin of the base URL, because the token travels with every request.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from yarl import URL

from audit.model.codes import Reason
from audit.model.replies import (
    Account,
    Awaited,
    Failed,
    Found,
    Missing,
    NotAsked,
    NoVersions,
    Reply,
    Requests,
    Through,
    Training,
    Version,
)
from audit.model.secrecy import CUT, CUT_TOKEN
from audit.replicate import responses, transport, weights
from audit.replicate.responses import LONGEST_URL, TrainingsPage
from audit.replicate.transport import Response, ResponseMetadata, Target, Timing, Transport
from audit.replicate.under_way import Asked

MOST_PAGES = 200
"""Of one model's versions."""
MOST_VERSIONS = 100_000
"""Of one model: a page without end in sight is as bad as pages without end."""
MOST_TRAININGS_PAGES = 10_000
"""That anybody reads of an account's list: the newest million of trainings, a hundred a page."""
TOO_LONG = Failed(Reason.BAD_RESPONSE, f"the list of trainings goes on after {MOST_TRAININGS_PAGES:,} pages")
LOOP = Failed(Reason.BAD_RESPONSE, "`next` loops: it leads to a page that was read before")
LARGEST_TRAININGS = 64 * 1024 * 1024
"""Bytes of a page of trainings: each of the hundred brings its whole log."""


@asynccontextmanager
async def connect(target: Target, timing: Timing | None = None) -> AsyncIterator["Replicate"]:
    """Replicate as `target` names it; the sockets are closed at the end."""
    async with transport.connect(target, timing or Timing()) as connection:
        yield Replicate(connection, target.base_url)


class Replicate:
    """The API as one account sees it."""

    def __init__(self, connection: Transport, base_url: str) -> None:
        self._transport = connection
        self._secrecy = connection.secrecy
        self._base = base_url
        self._origin = URL(base_url).origin()

    @property
    def requests(self) -> Requests:
        """Counts so far."""
        return self._transport.requests

    @property
    def per_minute(self) -> int:
        """Requests a minute that may be made."""
        return self._transport.per_minute

    @property
    def last_response(self) -> ResponseMetadata | None:
        """What the last response said beside its body: clock and rate limit. None before any."""
        return self._transport.last_response

    def waiting(self) -> float:
        """Seconds for which the server wants no request; 0 where it has said no such thing."""
        return self._transport.waiting()

    def last_minute(self) -> int:
        """Requests within the last 60 s, never more than `per_minute`."""
        return self._transport.last_minute()

    def longest_wait(self) -> Awaited | None:
        """Of all that is asked and not answered yet what was asked first; None where there is nothing."""
        return self._transport.under_way.longest_wait()

    def expect(self, questions: int) -> None:
        """So many models, trainings and pages of them are still to be asked for.

        Where they fit into what the account has left of this minute they go at once; unsaid, they are evenly spaced.
        """
        self._transport.expect(questions)

    async def account(self) -> Account | Failed:
        """Whose token it is."""
        answer = await self._transport.get(URL(f"{self._base}/account"), Asked("account"))
        if isinstance(answer, Failed):
            return answer
        return (
            responses.parse_account(answer.body, self._secrecy)
            if answer.status == 200
            else self._transport.failure(answer)
        )

    async def training(self, training_id: str, *, once: bool = False) -> Training | Missing | Failed:
        """One training of the account, for an `askable_training`; `once` asks without retries."""
        self._transport.begun()
        url = URL(f"{self._base}/trainings/{training_id}", encoded=True)
        answer = await self._transport.get(url, Asked("training", training_id), once=once)
        if isinstance(answer, Failed):
            return answer
        if answer.status == 404:
            return Missing()
        training = responses.parse_training(answer.body, self._secrecy)
        if isinstance(training, Training) and training.id != training_id:
            return Failed(Reason.BAD_RESPONSE, "the answer is about another training than the one asked for")
        return training

    async def trainings(self, following: str | None = None) -> TrainingsPage | Failed:
        """A page of the account's trainings: the first, or the one that `next` of the page before names."""
        self._transport.begun()
        url = self._on_origin(following) if following else URL(f"{self._base}/trainings")
        if isinstance(url, Failed):
            return url
        answer = await self._transport.get(url, Asked("trainings"), largest=LARGEST_TRAININGS)
        if isinstance(answer, Failed):
            return answer
        if answer.status == 404:
            return Failed(Reason.BAD_RESPONSE, "a page of the trainings answered 404")
        return responses.parse_trainings(answer.body, self._secrecy)

    def delivery_hosts(self) -> AbstractAsyncContextManager[weights.DeliveryHosts]:
        """The hosts where weights lie, for as long as the block lasts: asked by the same way, but without the token."""
        return weights.connect(self._transport.target, self._transport.timing, self._transport.under_way)

    async def ask(self, model: str, *, once: bool = False) -> Reply:
        """Every version of `model`, for a `question_of`; `once` asks without retries.

        Of a training in the model's place: the training, then every version of the model that it names.
        """
        if "/" not in model:
            return await self._through(model, once=once)
        self._transport.begun()
        url, asked = f"{self._base}/models/{model}", Asked("model", model)
        first = URL(f"{url}/versions", encoded=True)
        answer = await self._transport.get(first, asked, once=once)
        if isinstance(answer, Failed):
            return answer
        if answer.status == 404:
            return await self._latest_version(URL(url, encoded=True), asked)
        return await self._pages(first, asked, answer)

    async def _through(self, training_id: str, *, once: bool) -> Reply:
        training = await self.training(training_id, once=once)
        if isinstance(training, Failed):
            return training
        if isinstance(training, Missing) or training.model is None:
            return Through(training)
        reply = await self.ask(training.model, once=once)
        assert not isinstance(reply, NotAsked | Through)  # noqa: S101 - it was asked, and has a slash
        return Through(training, reply)

    async def _latest_version(self, url: URL, asked: Asked) -> Reply:
        """A 404 for the versions says little: the model may be gone, an official one, or without any."""
        answer = await self._transport.get(url, asked)
        if isinstance(answer, Failed):
            return answer
        return Missing() if answer.status == 404 else responses.parse_model(answer.body, self._secrecy)

    async def _pages(self, url: URL, asked: Asked, answer: Response) -> Reply:
        versions: dict[str, Version] = {}  # by id: a list that changes while it is read names some twice
        read = {url}
        while True:
            page = responses.parse_versions(answer.body, self._secrecy)
            if isinstance(page, Failed):
                return page
            for version in page.versions:
                versions.setdefault(version.id, version)
            if len(versions) > MOST_VERSIONS:
                return Failed(Reason.BAD_RESPONSE, f"more than {MOST_VERSIONS:,} versions")
            if page.next is None:
                return Found(tuple(versions.values())) if versions else NoVersions()
            following = self._next_page(page.next, read)
            if isinstance(following, Failed):
                return following
            read.add(following)
            got = await self._transport.get(following, asked)
            if isinstance(got, Failed):
                return got
            if got.status == 404:
                return Failed(Reason.BAD_RESPONSE, f"page {len(read)} of the versions answered 404")
            answer = got

    def _next_page(self, link: str, read: set[URL]) -> URL | Failed:
        url = self._on_origin(link)
        if isinstance(url, Failed):
            return url
        if url in read:
            return Failed(Reason.BAD_RESPONSE, f"`next` loops: page {len(read) + 1} is one that was read before")
        if len(read) >= MOST_PAGES:
            return Failed(Reason.BAD_RESPONSE, f"more than {MOST_PAGES} pages of versions")
        return url

    def _on_origin(self, link: str) -> URL | Failed:
        # Visible ASCII alone, which is what a URL is made of: what else there may be yarl takes in many ways.
        if len(link) > LONGEST_URL or not link.isascii() or not link.isprintable() or " " in link:
            return Failed(Reason.BAD_RESPONSE, "`next` is no absolute http or https URL")
        if CUT in link or CUT_TOKEN in link:
            return Failed(Reason.BAD_RESPONSE, "`next` holds the token or the proxy's password, and was not followed")
        try:
            url = URL(link, encoded=True)
            origin, place = url.origin(), str(url.origin())
            followed = origin == self._origin and url.user is None and url.password is None
        except ValueError:
            return Failed(Reason.BAD_RESPONSE, "`next` is no absolute http or https URL")
        if not followed:
            place = responses.shown(place, self._secrecy)
            return Failed(Reason.BAD_RESPONSE, f"`next` leads to another place, {place}, and was not followed")
        return url
