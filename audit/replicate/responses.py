"""Parsers of what Replicate sends: bytes and headers in, parts of a `Reply` out. None of them raises.

Shapes are those of the public API description (1.0.0-a1), in which every field is optional. What this program does not
need, above all the 9 KB of `openapi_schema` in each version, is skipped by the decoder, not built.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from audit.model.codes import FailureReason, Reason
from audit.model.ids import askable_model
from audit.model.replies import Account, Failed, Found, NoVersions, Training, Version
from audit.model.text import escape_controls, shortened
from audit.model.times import parse_utc, utc_text

T = TypeVar("T")
_HASH = re.compile("[0-9a-f]{64}")
_AS_HERE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?!000000)\d{6})?Z", re.ASCII)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAGS = re.compile(r"<[^>]*>")
_RESETS_IN = re.compile(r"(?:resets|available) in ~?(\d{1,6}(?:\.\d{1,3})?) ?s", re.IGNORECASE)


class VersionsPage(msgspec.Struct, frozen=True):
    """One page of versions, in the API's order, and the full URL of the next one."""

    versions: tuple[Version, ...]
    next: str | None


class TrainingsPage(msgspec.Struct, frozen=True):
    """One page of the account's trainings, in the API's order (newest first), and the full URL of the next one."""

    trainings: tuple[Training, ...]
    unreadable: int
    """Entries that are no training: without an id, or of another shape."""
    next: str | None


class _JsonVersion(msgspec.Struct):
    id: str
    created_at: str | None = None


class _JsonVersions(msgspec.Struct):
    results: list[_JsonVersion]
    next: str | None = None


class _JsonTrainings(msgspec.Struct):
    results: list[msgspec.Raw]
    next: str | None = None


class _JsonModel(msgspec.Struct):
    latest_version: _JsonVersion | None = None


class _JsonAccount(msgspec.Struct):
    username: str
    type: str = ""


class _JsonTraining(msgspec.Struct):
    id: str
    status: str = ""
    model: msgspec.Raw = msgspec.Raw(b"null")
    input: msgspec.Raw = msgspec.Raw(b"null")
    output: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    created_at: str | None = None
    completed_at: str | None = None


_VERSIONS = msgspec.json.Decoder(_JsonVersions)
_MODEL = msgspec.json.Decoder(_JsonModel)
_ACCOUNT = msgspec.json.Decoder(_JsonAccount)
_TRAINING = msgspec.json.Decoder(_JsonTraining)
_TRAININGS = msgspec.json.Decoder(_JsonTrainings)
# Deeply nested JSON ends msgspec in a RecursionError, also inside a field that it skips.
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


def parse_versions(body: bytes) -> VersionsPage | Failed:
    """The body of `GET /models/{owner}/{name}/versions`."""
    page = _decode(_VERSIONS, body)
    if isinstance(page, Failed):
        return page
    versions = []
    for each in page.results:
        version = _version(each)
        if isinstance(version, Failed):
            return version
        versions.append(version)
    return VersionsPage(tuple(versions), page.next or None)


def parse_model(body: bytes) -> Found | NoVersions | Failed:
    """The body of `GET /models/{owner}/{name}`, asked for where its versions answered 404: its latest version."""
    model = _decode(_MODEL, body)
    if isinstance(model, Failed):
        return model
    if model.latest_version is None:
        return NoVersions()
    version = _version(model.latest_version)
    return version if isinstance(version, Failed) else Found((version,), only_latest=True)


def parse_account(body: bytes) -> Account | Failed:
    """The body of `GET /account`."""
    account = _decode(_ACCOUNT, body)
    return account if isinstance(account, Failed) else Account(type=account.type, username=account.username)


def parse_training(body: bytes) -> Training | Failed:
    """The body of `GET /trainings/{id}`. Input and output are the trainer's own affair: read as far as they fit."""
    training = _decode(_TRAINING, body)
    return training if isinstance(training, Failed) else _training(training)


def parse_trainings(body: bytes) -> TrainingsPage | Failed:
    """The body of `GET /trainings`. An entry that makes no sense is counted and does not spoil the others."""
    page = _decode(_TRAININGS, body)
    if isinstance(page, Failed):
        return page
    trainings = []
    for entry in page.results:
        with suppress(*_UNDECODABLE):
            trainings.append(_training(_TRAINING.decode(entry)))
    return TrainingsPage(tuple(trainings), len(page.results) - len(trainings), page.next or None)


def is_foreign(status: int, body: bytes) -> bool:
    """Whether a 403 or 404 is a proxy's or a gateway's page: Replicate's own is a JSON object with `detail`."""
    return status in {403, 404} and _text(_object(body).get("detail")) is None


def failure(status: int, headers: Mapping[str, str], body: bytes) -> Failed:
    """What an HTTP status other than 200 means, with the server's own words as far as they are text."""
    if 300 <= status < 400:
        target = _short(headers.get("Location", "nowhere"))
        return Failed(Reason.BAD_RESPONSE, f"HTTP {status}: a redirect to {target}, which is not followed")
    words = _error_text(body)
    if is_foreign(status, body):
        return Failed(Reason.BAD_RESPONSE, f"HTTP {status}, which is not Replicate's own: {words}".rstrip(": "))
    return Failed(_reason(status), f"HTTP {status}: {words}".rstrip(": "))


def retry_after(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> float | None:
    """Seconds that the server asks us to wait, the longest that it names; None where it names none.

    It may say so in `Retry-After` (seconds, or a date that is taken relative to `now`), in the body's `retry_after`, or
    only in its text ("Your rate limit resets in ~30s.").
    """
    waits = [_header_wait(headers.get("Retry-After", ""), now)]
    if status == 429:
        fields = _object(body)
        waits.append(_number(fields.get("retry_after")))
        match = _RESETS_IN.search(str(fields.get("detail", "")))
        waits.append(float(match[1]) if match else None)
    return max((wait for wait in waits if wait is not None), default=None)


def http_date(text: str) -> datetime | None:
    """The instant that a header such as `Date` names, to the second; None where it names none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _reason(status: int) -> FailureReason:
    match status:
        case 401:
            return Reason.UNAUTHORIZED
        case 403:
            return Reason.FORBIDDEN
        case 408:
            return Reason.TIMEOUT
        case 429:
            return Reason.RATE_LIMITED
        case _ if 400 <= status < 500:
            return Reason.REJECTED
        case _ if 500 <= status < 600:
            return Reason.SERVER_ERROR
        case _:
            return Reason.BAD_RESPONSE


def _training(decoded: _JsonTraining) -> Training:
    given, output = _object(decoded.input), _object(decoded.output)
    model, _, version = (_text(output.get("version")) or "").rpartition(":")
    version = version.strip().lower()
    return Training(
        id=decoded.id,
        status=decoded.status,
        model=askable_model(model),
        version=version if _HASH.fullmatch(version) else None,
        weights=_text(output.get("weights")),
        trigger_word=_text(given.get("trigger_word")),
        error=_text(_decoded(decoded.error)),
        created_at=_utc(decoded.created_at),
        completed_at=_utc(decoded.completed_at),
        trainer=askable_model(_text(_decoded(decoded.model))),
    )


def _version(found: _JsonVersion) -> Version | Failed:
    version_id = found.id.strip().lower()
    if not _HASH.fullmatch(version_id):
        return Failed(Reason.BAD_RESPONSE, f"a version id is no 64-digit hash: {_short(found.id)}")
    return Version(version_id, _utc(found.created_at))


def _utc(text: str | None) -> str | None:
    """`text` as every other time in this program; None where it names no instant."""
    moment = parse_utc(text.strip()) if text else None
    if moment is None or text is None:
        return None
    if _AS_HERE.fullmatch(text):  # the usual case
        return text
    try:
        return utc_text(moment)
    except OverflowError:
        return None


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T | Failed:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        return Failed(Reason.BAD_RESPONSE, f"JSON of an unexpected shape: {_short(str(error))}")
    except _UNDECODABLE as error:
        if not body.strip():
            return Failed(Reason.BAD_RESPONSE, "the answer is empty")
        if isinstance(error, RecursionError):
            return Failed(Reason.BAD_RESPONSE, "JSON that is nested too deeply")
        return Failed(Reason.BAD_RESPONSE, f"not JSON, it begins with: {_beginning(body)}")


def _error_text(body: bytes) -> str:
    """What an error body says: the API's `detail` or `title`, else as `_beginning`."""
    fields = _object(body)
    for name in ("detail", "title"):
        if isinstance(fields.get(name), str) and fields[name].strip():
            return _short(fields[name])
    return _beginning(body)


def _beginning(body: bytes) -> str:
    """A page's title, or how the text begins. Builds nothing of a large body, which `_object` would."""
    text = body[:4000].decode("utf-8", "replace")
    title = _TITLE.search(text)
    return _short(_TAGS.sub(" ", title[1] if title else text))


def _short(text: str) -> str:
    return shortened(escape_controls(" ".join(text.split())), 200)


def _object(body: bytes | msgspec.Raw) -> dict[str, Any]:
    decoded = _decoded(body)
    return decoded if isinstance(decoded, dict) else {}


def _decoded(body: bytes | msgspec.Raw) -> object:
    try:
        return msgspec.json.decode(body)
    except _UNDECODABLE:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _number(value: object) -> float | None:
    """`value` as seconds: a finite number that is not negative, as a JSON number or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _header_wait(value: str, now: datetime) -> float | None:
    seconds = _number(value.strip() or None)
    if seconds is not None or not value.strip():
        return seconds
    until = http_date(value)
    return max(0.0, (until - now).total_seconds()) if until else None
