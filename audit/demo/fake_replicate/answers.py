"""The right answer to each request, as Replicate documents it."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar
from urllib.parse import parse_qs, quote, unquote

import msgspec

from audit.demo.fake_replicate.delivery import Answer, Body, Piece
from audit.demo.fake_replicate.faults import Endpoint, Fault, ForeignNext, VersionFields, error
from audit.demo.fake_replicate.schema import OPENAPI_SCHEMA
from audit.demo.fake_replicate.world import FakeTraining, Model, World, version_hash, visible_model
from audit.model.replies import Account, Version

T = TypeVar("T")
Parts: TypeAlias = list[bytes | Piece]
"""The pieces of a JSON object."""
_VERSION_END = Piece(b'"cog_version":"0.14.1","openapi_schema":' + msgspec.json.encode(OPENAPI_SCHEMA) + b"}")
"""What all versions have in common, encoded once."""
_dumped = msgspec.json.encode


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
        case ["v1", "trainings", *ids] if len(ids) < 2:
            return Question("training" if ids else "trainings", path, cursor, item="".join(ids))
        case ["weights", *file]:
            return Question("weights", path, item="/".join(file))
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

    def answer(self, asked: Question, fault: Fault | None = None) -> Answer:
        """The right answer, or, with a `ForeignNext`, one whose `next` must not be followed."""
        match asked.endpoint:
            case "account":
                return Answer(200, Body(_dumped(account_fields(self._world.account))))
            case "models":
                return self._page(asked, self._world.public_models, model_parts, self._sizes.models)
            case "trainings":
                return self._page(asked, self._world.trainings, self._training, self._sizes.trainings)
            case "training":
                training = self._world.training(asked.item)
                return Answer(200, Body(*self._training(training))) if training else not_found()
            case "weights":
                return weights_file(self._world.weights(asked.item))
            case "nothing":
                return not_found()
            case _:
                model = visible_model(self._world, asked.model_id)
                return self._about(asked, model, fault) if model else not_found()

    def _about(self, asked: Question, model: Model, fault: Fault | None) -> Answer:
        if asked.endpoint == "model":
            return Answer(200, Body(*model_parts(model)))
        if not model.lists_versions:
            return not_found()
        if asked.endpoint == "version":
            chosen = [version for version in model.versions if version.id == asked.item]
            return Answer(200, Body(*version_parts(version_fields(chosen[0])))) if chosen else not_found()
        versions = [version_fields(version) for version in model.versions]
        for variant in model.variants if versions else ():
            versions = variant.listed(versions)
        misleading = fault if isinstance(fault, ForeignNext) else None
        return self._page(asked, versions, version_parts, self._sizes.versions, misleading)

    def _training(self, training: FakeTraining) -> Parts:
        return [_dumped(training_fields(training, f"{self._origin}/v1/trainings/{training.id}"))]

    def _page(
        self,
        asked: Question,
        items: Sequence[T],
        parts_of: Callable[[T], Parts],
        size: int,
        misleading: ForeignNext | None = None,
    ) -> Answer:
        start = _offset(asked.cursor)
        if start is None:
            return error(404, "Invalid cursor")
        here = self._origin + asked.path
        previous = _url(here, max(0, start - size)) if start else None
        following = _url(here, start + size) if start + size < len(items) else None
        if misleading:
            this = f"{here}?cursor={quote(asked.cursor)}" if asked.cursor else here
            following = misleading.next_url(this, _url(here, start + size))
            start %= len(items) or 1  # a list without an end begins again
        parts: Parts = [b'{"previous":' + _dumped(previous) + b',"next":' + _dumped(following) + b',"results":[']
        for number, item in enumerate(items[start : start + size]):
            if number:
                parts.append(b",")
            parts += parts_of(item)
        parts.append(b"]}")
        return Answer(200, Body(*parts))


def not_found() -> Answer:
    """404, in the API's words."""
    return error(404, "The requested resource could not be found.")


def weights_file(status: int) -> Answer:
    """The first byte of a file of weights, or what a delivery host says where there is none."""
    if status == 206:
        return Answer(status, Body(b"\0"), "application/x-tar", "Content-Range: bytes 0-0/171969408\r\n")
    return Answer(status, Body(b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"), "application/xml")


def account_fields(account: Account) -> dict[str, object]:
    """The answer to `/account`."""
    return {
        "type": account.type,
        "username": account.username,
        "name": account.username.replace("-", " ").title(),
        "github_url": None,
        "avatar_url": None,
    }


def version_fields(version: Version) -> VersionFields:
    """What differs between versions."""
    return {"id": version.id, "created_at": version.created_at}


def version_parts(fields: VersionFields) -> Parts:
    """One version object."""
    return [_dumped(fields)[:-1] + b",", _VERSION_END]


def model_parts(model: Model) -> Parts:
    """One model object, its latest version included."""
    fields = {
        "url": f"https://replicate.com/{model.id}",
        "owner": model.owner,
        "name": model.name,
        "description": None,
        "visibility": "public" if model.public else "private",
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 17 * len(model.versions),
        "cover_image_url": None,
        "default_example": None,
    }
    head = _dumped(fields)[:-1] + b',"latest_version":'
    if not model.versions:
        return [head + b"null}"]
    return [head, *version_parts(version_fields(model.versions[0])), b"}"]


def training_fields(training: FakeTraining, url: str) -> dict[str, object]:
    """One training object, which is at `url`."""
    output = None if training.output is msgspec.UNSET else training.output
    if training.output is msgspec.UNSET and training.output_version:
        output = {"version": f"{training.destination}:{training.output_version}", "weights": training.weights}
    return {
        "id": training.id,
        "model": training.trainer,
        "version": version_hash(training.trainer),
        "status": training.status,
        "source": training.source,
        "input": {
            "steps": 1000,
            "lora_rank": 16,
            "trigger_word": training.trigger_word,
            "input_images": f"https://replicate.delivery/uploads/{training.id}/photos.zip",
        },
        "output": output,
        "error": training.error,
        "logs": "flux_train_replicate: 100%|##########| 1000/1000\n" if output else "",
        "metrics": {"predict_time": 1043.62, "total_time": 1102.91} if training.completed_at else {},
        "created_at": training.created_at,
        "started_at": None if training.status == "starting" else training.created_at,
        "completed_at": training.completed_at,
        "urls": {"get": url, "cancel": f"{url}/cancel"},
    }


def _url(here: str, start: int) -> str:
    return f"{here}?cursor={quote(base64.urlsafe_b64encode(f'o={start}'.encode()))}"


def _offset(cursor: str) -> int | None:
    """Where a page starts: 0 without a cursor, None where the cursor is none of ours."""
    if not cursor:
        return 0
    try:
        name, _, number = base64.urlsafe_b64decode(cursor).decode().partition("=")
        return int(number) if name == "o" and int(number) >= 0 else None
    except (binascii.Error, ValueError):
        return None
