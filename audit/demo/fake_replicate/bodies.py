"""Answers as bytes, put together from pieces that are prepared once.

A version carries 9 KB of schema that is the same for all. It is compressed once, ended with a full flush, which makes
it a whole number of bytes that may stand anywhere in a deflate stream (RFC 1951, zlib's Z_FULL_FLUSH); what differs
stands between as stored blocks. So a gzip body costs one checksum instead of one compression.
"""

import struct
import zlib
from collections.abc import Iterable
from functools import cached_property

import msgspec

from audit.demo.fake_replicate.faults import MISSING
from audit.demo.fake_replicate.schema import OPENAPI_SCHEMA
from audit.demo.fake_replicate.world import TRAINER, Model, Training, version_hash
from audit.model.replies import Account, Version

_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x01\x00\x00\xff\xff"
_STORED_LIMIT = 0xFFFF


class Piece:
    """Bytes, and the same bytes as part of a deflate stream."""

    __slots__ = ("deflated", "plain")

    def __init__(self, plain: bytes) -> None:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.plain = plain
        self.deflated = packer.compress(plain) + packer.flush(zlib.Z_FULL_FLUSH)


class Body:
    """A body of prepared pieces and loose bytes, to be sent plain or as gzip."""

    def __init__(self, parts: Iterable[bytes | Piece]) -> None:
        self._parts = tuple(parts)

    @cached_property
    def plain(self) -> bytes:
        """The body as it is."""
        return b"".join([part if isinstance(part, bytes) else part.plain for part in self._parts])

    def gzipped(self) -> bytes:
        """The body as one gzip member, valid to the last checksum."""
        out = [_GZIP_HEAD]
        checksum = size = 0
        for part in self._parts:
            if isinstance(part, bytes):
                out.append(_stored(part))
                plain = part
            else:
                out.append(part.deflated)
                plain = part.plain
            checksum = zlib.crc32(plain, checksum)
            size += len(plain)
        out.append(_LAST_BLOCK)
        out.append(struct.pack("<II", checksum, size & 0xFFFFFFFF))
        return b"".join(out)


def _stored(plain: bytes) -> bytes:
    if len(plain) > _STORED_LIMIT:
        return Piece(plain).deflated
    return struct.pack("<BHH", 0, len(plain), len(plain) ^ 0xFFFF) + plain


VERSION_END = Piece(b'"cog_version":"0.14.1","openapi_schema":' + msgspec.json.encode(OPENAPI_SCHEMA) + b"}")
"""What all versions have in common."""
_TRAINER_VERSION = version_hash(TRAINER)


def dumped(value: object) -> bytes:
    """`value` as the API writes JSON: no blanks, UTF-8."""
    return msgspec.json.encode(value)


def refusal(status: int, detail: str, **more: object) -> bytes:
    """The body of most errors: `detail` and `status`."""
    return dumped({"detail": detail, "status": status, **more})


def account_body(account: Account, name: str) -> bytes:
    """The answer to `/account`."""
    return dumped(
        {
            "type": account.type,
            "username": account.username,
            "name": name,
            "github_url": None,
            "avatar_url": None,
        }
    )


def version_parts(version: Version) -> list[bytes | Piece]:
    """One version object. `created_at` may be "missing" (see `faults.Dates`)."""
    dated = b"" if version.created_at == MISSING else b'"created_at":' + dumped(version.created_at) + b","
    return [b'{"id":' + dumped(version.id) + b"," + dated, VERSION_END]


def page_head(previous: str | None, following: str | None) -> bytes:
    """A page up to its results."""
    return b'{"previous":' + dumped(previous) + b',"next":' + dumped(following) + b',"results":['


def page_body(head: bytes, results: Iterable[Iterable[bytes | Piece]]) -> Body:
    """A page, from `page_head` and its results."""
    parts: list[bytes | Piece] = [head]
    for number, result in enumerate(results):
        if number:
            parts.append(b",")
        parts += result
    parts.append(b"]}")
    return Body(parts)


def model_parts(model: Model) -> list[bytes | Piece]:
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
    head = dumped(fields)[:-1] + b',"latest_version":'
    if not model.versions:
        return [head + b"null}"]
    return [head, *version_parts(model.versions[0]), b"}"]


def training_parts(training: Training, origin: str) -> list[bytes | Piece]:
    """One training object; `origin` is where its `urls` lead."""
    url = f"{origin}/v1/trainings/{training.id}"
    finished = training.completed_at is not None
    output = (
        {"version": f"{training.destination}:{training.output_version}", "weights": training.weights}
        if training.output_version
        else None
    )
    fields = {
        "id": training.id,
        "model": TRAINER,
        "version": _TRAINER_VERSION,
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
        "metrics": {"predict_time": 1043.62, "total_time": 1102.91} if finished else {},
        "created_at": training.created_at,
        "started_at": None if training.status == "starting" else training.created_at,
        "completed_at": training.completed_at,
        "urls": {"get": url, "cancel": f"{url}/cancel"},
    }
    return [dumped(fields)]
