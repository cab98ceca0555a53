"""Parsers of what Replicate sends: bytes and headers in, parts of a `Reply` out. None of them raises.

Shapes are those of the public API description (1.0.0-a1), in which every field is optional. What this program does not
need, above all the 9 KB of `openapi_schema` in each version, is skipped by the decoder, not built.

This is the border at which foreign texts come in: each is cleaned of what `secrecy` knows, once, and before anything is
cut off it. What is meant for a person is then escaped and shortened too; what is data, such as a training's weights, is
not, as reports escape what they show.
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
from audit.model.secrecy import Secrecy
from audit.model.text import escape_controls, shortened
from audit.model.times import parse_utc, utc_text

T = TypeVar("T")
LONGEST_URL = 4000
"""Characters of a `next`; Replicate's have some 200."""
_LONGEST = 100_000
"""Characters of any other text that is kept."""
_SHOWN = 200
_PAGE = 4000
"""Bytes of a page that are searched for its title."""
_NOTHING_SECRET = Secrecy()
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


def parse_versions(body: bytes, secrecy: Secrecy = _NOTHING_SECRET) -> VersionsPage | Failed:
    """The body of `GET /models/{owner}/{name}/versions`."""
    page = _decode(_VERSIONS, body, secrecy)
    if isinstance(page, Failed):
        return page
    versions = []
    for each in page.results:
        version = _version(each, secrecy)
        if isinstance(version, Failed):
            return version
        versions.append(version)
    return VersionsPage(tuple(versions), _next(page.next, secrecy))


def parse_model(body: bytes, secrecy: Secrecy = _NOTHING_SECRET) -> Found | NoVersions | Failed:
    """The body of `GET /models/{owner}/{name}`, asked for where its versions answered 404: its latest version."""
    model = _decode(_MODEL, body, secrecy)
    if isinstance(model, Failed):
        return model
    if model.latest_version is None:
        return NoVersions()
    version = _version(model.latest_version, secrecy)
    return version if isinstance(version, Failed) else Found((version,), only_latest=True)


def parse_account(body: bytes, secrecy: Secrecy = _NOTHING_SECRET) -> Account | Failed:
    """The body of `GET /account`."""
    account = _decode(_ACCOUNT, body, secrecy)
    if isinstance(account, Failed):
        return account
    return Account(type=_kept(account.type, secrecy), username=_kept(account.username, secrecy))


def parse_training(body: bytes, secrecy: Secrecy = _NOTHING_SECRET) -> Training | Failed:
    """The body of `GET /trainings/{id}`. Input and output are the trainer's own affair: read as far as they fit."""
    training = _decode(_TRAINING, body, secrecy)
    return training if isinstance(training, Failed) else _training(training, secrecy)


def parse_trainings(body: bytes, secrecy: Secrecy = _NOTHING_SECRET) -> TrainingsPage | Failed:
    """The body of `GET /trainings`. An entry that makes no sense is counted and does not spoil the others."""
    page = _decode(_TRAININGS, body, secrecy)
    if isinstance(page, Failed):
        return page
    trainings = []
    for entry in page.results:
        with suppress(*_UNDECODABLE):
            trainings.append(_training(_TRAINING.decode(entry), secrecy))
    return TrainingsPage(tuple(trainings), len(page.results) - len(trainings), _next(page.next, secrecy))


def is_foreign(status: int, body: bytes) -> bool:
    """Whether a 403 or 404 is a proxy's or a gateway's page: Replicate's own is a JSON object with `detail`."""
    return status in {403, 404} and _text(_object(body).get("detail")) is None


def failure(status: int, headers: Mapping[str, str], body: bytes, secrecy: Secrecy = _NOTHING_SECRET) -> Failed:
    """What an HTTP status other than 200 means, with the server's own words as far as they are text."""
    if 300 <= status < 400:
        target = shown(headers.get("Location", "nowhere"), secrecy)
        return Failed(Reason.BAD_RESPONSE, f"HTTP {status}: a redirect to {target}, which is not followed")
    words = _error_text(body, secrecy)
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
        waits.append(seconds(fields.get("retry_after")))
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


def seconds(value: object) -> float | None:
    """`value` as seconds: a finite number that is not negative, as a JSON number or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None


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


def _training(decoded: _JsonTraining, secrecy: Secrecy) -> Training:
    given, output = _object(decoded.input), _object(decoded.output)

    def text(value: object) -> str | None:
        return _kept(value, secrecy) if isinstance(value, str) and value.strip() else None

    model, _, version = (text(output.get("version")) or "").rpartition(":")
    version = version.strip().lower()
    return Training(
        id=_kept(decoded.id, secrecy),
        status=_kept(decoded.status, secrecy),
        model=askable_model(model),
        version=version if _HASH.fullmatch(version) else None,
        weights=text(output.get("weights")),
        trigger_word=text(given.get("trigger_word")),
        error=text(_decoded(decoded.error)),
        created_at=_utc(decoded.created_at),
        completed_at=_utc(decoded.completed_at),
        trainer=askable_model(text(_decoded(decoded.model))),
    )


def _version(found: _JsonVersion, secrecy: Secrecy) -> Version | Failed:
    version_id = _kept(found.id, secrecy).strip().lower()
    if not _HASH.fullmatch(version_id):
        return Failed(Reason.BAD_RESPONSE, f"a version id is no 64-digit hash: {shown(found.id, secrecy)}")
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


def _decode(decoder: msgspec.json.Decoder[T], body: bytes, secrecy: Secrecy) -> T | Failed:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        return Failed(Reason.BAD_RESPONSE, f"JSON of an unexpected shape: {shown(str(error), secrecy)}")
    except _UNDECODABLE as error:
        if not body.strip():
            return Failed(Reason.BAD_RESPONSE, "the answer is empty")
        if isinstance(error, RecursionError):
            return Failed(Reason.BAD_RESPONSE, "JSON that is nested too deeply")
        return Failed(Reason.BAD_RESPONSE, f"not JSON, it begins with: {_beginning(body, secrecy)}")


def _error_text(body: bytes, secrecy: Secrecy) -> str:
    """What an error body says: the API's `detail` or `title`, else as `_beginning`."""
    fields = _object(body)
    for name in ("detail", "title"):
        if isinstance(fields.get(name), str) and fields[name].strip():
            return shown(fields[name], secrecy)
    return _beginning(body, secrecy)


def _beginning(body: bytes, secrecy: Secrecy) -> str:
    """A page's title, or how the text begins. Builds nothing of a large body, which `_object` would."""
    text = _cut(body[: 2 * _PAGE].decode("utf-8", "replace"), _PAGE, secrecy)
    title = _TITLE.search(text)
    return shown(_TAGS.sub(" ", title[1] if title else text), secrecy)


def shown(text: str, secrecy: Secrecy) -> str:
    """A foreign text for a person: cleaned, escaped, shortened, in this order."""
    return shortened(escape_controls(_cut(" ".join(text.split()), _LONGEST, secrecy)), _SHOWN)


def safe(text: str, secrecy: Secrecy) -> str:
    """A foreign text for a log: cleaned and escaped, and whole."""
    return escape_controls(secrecy.cut(text))


def _kept(text: str, secrecy: Secrecy) -> str:
    """A foreign text as data: cleaned, and at most as long as anybody needs it."""
    return _cut(text, _LONGEST, secrecy)


def _next(link: str | None, secrecy: Secrecy) -> str | None:
    """A URL of a page; one that is too long stays so, and will not be asked for."""
    return _cut(link, LONGEST_URL + 1, secrecy) if link else None


def _cut(text: str, most: int, secrecy: Secrecy) -> str:
    """The beginning of `text`, cleaned first: twice as much as is kept, so that no secret there has lost its end."""
    return secrecy.cut(text[: 2 * most])[:most]


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


def _header_wait(value: str, now: datetime) -> float | None:
    wait = seconds(value.strip() or None)
    if wait is not None or not value.strip():
        return wait
    until = http_date(value)
    return max(0.0, (until - now).total_seconds()) if until else None
