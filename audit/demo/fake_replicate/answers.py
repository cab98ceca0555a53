"""Question -> answer, as Replicate gives it when nothing goes wrong (but for a `next` that misleads)."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qs, quote, unquote

from audit.demo.fake_replicate import bodies
from audit.demo.fake_replicate.bodies import Body, Piece
from audit.demo.fake_replicate.delivery import Answer
from audit.demo.fake_replicate.faults import Endpoint, Paging, listed
from audit.demo.fake_replicate.refusals import not_found
from audit.demo.fake_replicate.world import Model, World, visible_model
from audit.model.replies import Version

T = TypeVar("T")


class Question(NamedTuple):
    """A request line, taken apart. Parts that an endpoint does not have are ""."""

    endpoint: Endpoint
    path: str
    cursor: str = ""
    model_id: str = ""
    item: str = ""


def question(target: str) -> Question:
    """What a request target ("/v1/models/a/b/versions?cursor=...") asks for."""
    path, _, query = target.partition("?")
    cursor = parse_qs(query).get("cursor", [""])[0] if query else ""
    parts = [unquote(part) for part in path.split("/")[1:]]
    match parts:
        case ["v1", "account"]:
            return Question("account", path)
        case ["v1", "models"]:
            return Question("models", path, cursor)
        case ["v1", "models", owner, name]:
            return Question("model", path, cursor, f"{owner}/{name}")
        case ["v1", "models", owner, name, "versions"]:
            return Question("versions", path, cursor, f"{owner}/{name}")
        case ["v1", "models", owner, name, "versions", version]:
            return Question("version", path, cursor, f"{owner}/{name}", version)
        case ["v1", "trainings"]:
            return Question("trainings", path, cursor)
        case ["v1", "trainings", training]:
            return Question("training", path, cursor, item=training)
        case _:
            return Question("nothing", path)


class PageSizes(NamedTuple):
    """Results a page."""

    versions: int = 25
    trainings: int = 100
    models: int = 25


class Answers:
    """Answers questions about a world. `origin` ("http://127.0.0.1:8080") is where the URLs in the answers lead."""

    def __init__(self, world: World, origin: str, sizes: PageSizes) -> None:
        self._world = world
        self._origin = origin
        self._sizes = sizes

    def answer(self, asked: Question, paging: Paging | None = None) -> Answer:
        """The right answer, or, with `paging`, one whose `next` must not be followed."""
        match asked.endpoint:
            case "account":
                account = self._world.account
                return Answer(200, Body([bodies.account_body(account, account.username.replace("-", " ").title())]))
            case "models":
                return self._page(asked, self._world.public_models, bodies.model_parts, self._sizes.models)
            case "trainings":
                return self._page(
                    asked,
                    self._world.trainings,
                    lambda training: bodies.training_parts(training, self._origin),
                    self._sizes.trainings,
                )
            case "training":
                training = self._world.training(asked.item)
                return Answer(200, Body(bodies.training_parts(training, self._origin))) if training else not_found()
            case "nothing":
                return not_found()
            case _:
                model = visible_model(self._world, asked.model_id)
                return self._about(asked, model, paging) if model else not_found()

    def _about(self, asked: Question, model: Model, paging: Paging | None) -> Answer:
        if asked.endpoint == "model":
            return Answer(200, Body(bodies.model_parts(model)))
        if not model.lists_versions:
            return not_found()
        versions = model.versions
        if asked.endpoint == "version":
            chosen = [version for version in versions if version.id == asked.item]
            return Answer(200, Body(bodies.version_parts(chosen[0]))) if chosen else not_found()
        for disguise in model.disguises if versions else ():
            versions = listed(disguise, versions)
        if paging:
            return self._misleading_page(asked, versions, paging)
        return self._page(asked, versions, bodies.version_parts, self._sizes.versions)

    def _page(
        self, asked: Question, items: Sequence[T], parts: Callable[[T], list[bytes | Piece]], size: int
    ) -> Answer:
        start = _offset(asked.cursor)
        if start is None:
            return Answer(404, Body([bodies.refusal(404, "Invalid cursor")]))
        here = self._origin + asked.path
        previous = self._url(here, max(0, start - size)) if start else None
        following = self._url(here, start + size) if start + size < len(items) else None
        head = bodies.page_head(previous, following)
        return Answer(200, bodies.page_body(head, map(parts, items[start : start + size])))

    def _misleading_page(self, asked: Question, versions: Sequence[Version], paging: Paging) -> Answer:
        here = self._origin + asked.path
        start = _offset(asked.cursor) or 0
        onwards = f"{asked.path}?cursor={quote(_cursor(start + self._sizes.versions))}"
        scheme, _, host_and_port = self._origin.partition("://")
        host, _, port = host_and_port.rpartition(":")
        match paging.form:
            case _ if paging.to is not None:
                following = paging.to + onwards
            case "host":
                following = f"{scheme}://replicate.example{onwards}"
            case "port":
                following = f"{scheme}://{host}:{int(port) - 1}{onwards}"
            case "scheme":
                following = f"https://{host_and_port}{onwards}"
            case "loop":
                following = f"{here}?cursor={quote(asked.cursor)}" if asked.cursor else here
            case "loop2":
                following = here if start else self._url(here, self._sizes.versions)
            case _:
                following = self._origin + onwards
        first = start % len(versions) if versions else 0
        page = versions[first : first + self._sizes.versions]
        return Answer(200, bodies.page_body(bodies.page_head(None, following), map(bodies.version_parts, page)))

    def _url(self, here: str, start: int) -> str:
        return f"{here}?cursor={quote(_cursor(start))}"


def _cursor(start: int) -> str:
    return base64.urlsafe_b64encode(f"o={start}".encode()).decode()


def _offset(cursor: str) -> int | None:
    """Where a page starts: 0 without a cursor, None where the cursor is none of ours."""
    if not cursor:
        return 0
    try:
        name, _, number = base64.urlsafe_b64decode(cursor).decode().partition("=")
        return int(number) if name == "o" and int(number) >= 0 else None
    except (binascii.Error, ValueError):
        return None
