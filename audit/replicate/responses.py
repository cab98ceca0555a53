"""What Replicate sent, decoded: bytes in, `Reply` parts out. Never raises, whatever the bytes are.

Shapes are those of the public API description (1.0.0-a1), in which every field is optional. What this program
does not need, above all the 9 KB of `openapi_schema` in each version, is skipped by the decoder, not built.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from audit.model.codes import FailureReason, Reason
from audit.model.replies import Account, Failed, Found, NoVersions, Training, Version
from audit.model.text import escape_controls, shortened

_HASH = re.compile("[0-9a-f]{64}")
_AS_HERE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?!000000)\d{6})?Z", re.ASCII)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAGS = re.compile(r"<[^>]*>")
_RESETS_IN = re.compile(r"(?:resets|available) in ~?(\d{1,6}(?:\.\d{1,3})?) ?s", re.IGNORECASE)


class Page(msgspec.Struct, frozen=True):
    """One page of versions, in the API's order, and the full URL of the next one."""

    versions: tuple[Version, ...]
    next: str | None


class TrainingsPage(msgspec.Struct, frozen=True):
    """One page of the account's trainings, in the API's order (newest first), and the full URL of the next one."""

    trainings: tuple[Training, ...]
    unreadable: int
    """Entries that are no training: without an id, or of another shape."""
    next: str | None


class _WireVersion(msgspec.Struct):
    id: str
    created_at: str | None = None


class _WirePage(msgspec.Struct):
    results: list[_WireVersion]
    next: str | None = None


class _WireTrainings(msgspec.Struct):
    results: list[msgspec.Raw]
    next: str | None = None


class _WireModel(msgspec.Struct):
    latest_version: _WireVersion | None = None


class _WireAccount(msgspec.Struct):
    username: str
    type: str = ""


class _WireTraining(msgspec.Struct):
    id: str
    status: str = ""
    input: msgspec.Raw = msgspec.Raw(b"null")
    output: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    created_at: str | None = None
    completed_at: str | None = None


_PAGE = msgspec.json.Decoder(_WirePage)
_MODEL = msgspec.json.Decoder(_WireModel)
_ACCOUNT = msgspec.json.Decoder(_WireAccount)
_TRAINING = msgspec.json.Decoder(_WireTraining)
_TRAININGS = msgspec.json.Decoder(_WireTrainings)
# Deeply nested JSON ends msgspec in a RecursionError, also inside a field that it skips.
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


def versions_page(body: bytes) -> Page | Failed:
    """The body of `GET /models/{owner}/{name}/versions`."""
    try:
        page = _PAGE.decode(body)
    except _UNDECODABLE as error:
        return _bad(body, error)
    versions = []
    for wire_version in page.results:
        version = _version(wire_version)
        if isinstance(version, Failed):
            return version
        versions.append(version)
    return Page(tuple(versions), page.next or None)


def latest_of_model(body: bytes) -> Found | NoVersions | Failed:
    """The body of `GET /models/{owner}/{name}`, asked for where its versions answered 404."""
    try:
        model = _MODEL.decode(body)
    except _UNDECODABLE as error:
        return _bad(body, error)
    if model.latest_version is None:
        return NoVersions()
    version = _version(model.latest_version)
    return version if isinstance(version, Failed) else Found((version,), only_latest=True)


def account(body: bytes) -> Account | Failed:
    """The body of `GET /account`."""
    try:
        decoded = _ACCOUNT.decode(body)
    except _UNDECODABLE as error:
        return _bad(body, error)
    return Account(type=decoded.type, username=decoded.username)


def training(body: bytes) -> Training | Failed:
    """The body of `GET /trainings/{id}`. Input and output are the trainer's own affair: read as far as they fit."""
    try:
        decoded = _TRAINING.decode(body)
    except _UNDECODABLE as error:
        return _bad(body, error)
    return _training(decoded)


def trainings_page(body: bytes) -> TrainingsPage | Failed:
    """The body of `GET /trainings`. An entry that makes no sense is counted and does not spoil the others."""
    try:
        page = _TRAININGS.decode(body)
    except _UNDECODABLE as error:
        return _bad(body, error)
    trainings = []
    for entry in page.results:
        with suppress(*_UNDECODABLE):
            trainings.append(_training(_TRAINING.decode(entry)))
    return TrainingsPage(tuple(trainings), len(page.results) - len(trainings), page.next or None)


def failure(status: int, headers: Mapping[str, str], body: bytes) -> Failed:
    """What an HTTP status other than 200 means, with the server's own words as far as they are text."""
    if 300 <= status < 400:
        target = _short(headers.get("Location", "nowhere"))
        return Failed(Reason.BAD_RESPONSE, f"HTTP {status}: a redirect to {target}, which is not followed")
    return Failed(_reason(status), f"HTTP {status}: {_said(body)}".rstrip(": "))


def asked_wait(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> float | None:
    """Seconds that the server asks us to wait, the longest that it names; None where it names none.

    It may say so in `Retry-After` (seconds, or a date that is taken relative to `now`), in `retry_after` in the
    body, or only in the body's text ("Your rate limit resets in ~30s.").
    """
    waits = [_header_wait(headers.get("Retry-After", ""), now)]
    if status == 429:
        fields = _object(body)
        waits.append(_number(fields.get("retry_after")))
        match = _RESETS_IN.search(str(fields.get("detail", "")))
        waits.append(float(match[1]) if match else None)
    return max((wait for wait in waits if wait is not None), default=None)


def date(headers: Mapping[str, str]) -> datetime | None:
    """When the server says that it answered, to the second; None where it does not say."""
    try:
        said = parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, OverflowError):
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


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


def _training(decoded: _WireTraining) -> Training:
    given, put_out = _object(decoded.input), _object(decoded.output)
    model, _, version = str(put_out.get("version") or "").rpartition(":")
    version = version.strip().lower()
    return Training(
        id=decoded.id,
        status=decoded.status,
        model=model or None,
        version=version if _HASH.fullmatch(version) else None,
        weights=_text(put_out.get("weights")),
        trigger_word=_text(given.get("trigger_word")),
        error=_text(_decoded(decoded.error)),
        created_at=_utc(decoded.created_at),
        completed_at=_utc(decoded.completed_at),
    )


def _version(wire_version: _WireVersion) -> Version | Failed:
    version_id = wire_version.id.strip().lower()
    if not _HASH.fullmatch(version_id):
        return Failed(Reason.BAD_RESPONSE, f"a version id is no 64-digit hash: {_short(wire_version.id)}")
    return Version(version_id, _utc(wire_version.created_at))


def _utc(text: str | None) -> str | None:
    """`text` as every other time in this program; None where it names no instant."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        if _AS_HERE.fullmatch(text):  # the usual case
            return text
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.isoformat().replace("+00:00", "Z")


def _bad(body: bytes, error: Exception) -> Failed:
    if isinstance(error, msgspec.ValidationError):
        return Failed(Reason.BAD_RESPONSE, f"JSON of an unexpected shape: {_short(str(error))}")
    if not body.strip():
        return Failed(Reason.BAD_RESPONSE, "the answer is empty")
    if isinstance(error, RecursionError):
        return Failed(Reason.BAD_RESPONSE, "JSON that is nested too deeply")
    return Failed(Reason.BAD_RESPONSE, f"not JSON, it begins with: {_beginning(body)}")


def _said(body: bytes) -> str:
    """The gist of an error body: the API's `detail` or `title`, else as `_beginning`."""
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
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())
