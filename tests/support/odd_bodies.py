"""Bodies that came with 200 and were no page of versions. By name, so that table tests can go through all of them."""

from collections.abc import Mapping

from tests.support.faults import OddBody

_HASH = b'"' + b"5" * 64 + b'"'
_ONE = b'{"previous":null,"next":%s,"results":[{"id":%s,"created_at":%s}]}'
_DATE = b'"2026-01-01T00:00:00.000000Z"'
ODD_BODIES: Mapping[str, OddBody] = {
    "not json": OddBody(content=b"{'results': []}"),
    "html": OddBody(content=b"<!doctype html><title>Just a moment...</title>", content_type="text/html; charset=UTF-8"),
    "empty": OddBody(content=b""),
    "cut off": OddBody(content=b'{"previous":null,"next":null,"results":[{"id":"55'),
    "list": OddBody(content=b"[]"),
    "string": OddBody(content=b'"ok"'),
    "null": OddBody(content=b"null"),
    "number": OddBody(content=b"NaN"),
    "no results": OddBody(content=b'{"previous":null,"next":null}'),
    "results null": OddBody(content=b'{"previous":null,"next":null,"results":null}'),
    "results an object": OddBody(content=b'{"previous":null,"next":null,"results":{}}'),
    "results of strings": OddBody(content=b'{"previous":null,"next":null,"results":["' + b"5" * 64 + b'"]}'),
    "id missing": OddBody(content=b'{"previous":null,"next":null,"results":[{"created_at":' + _DATE + b"}]}"),
    "id null": OddBody(content=_ONE % (b"null", b"null", _DATE)),
    "id a number": OddBody(content=_ONE % (b"null", b"5", _DATE)),
    "id no hash": OddBody(content=_ONE % (b"null", b'"latest"', _DATE)),
    "id short": OddBody(content=_ONE % (b"null", b'"55555555"', _DATE)),
    "next a number": OddBody(content=_ONE % (b"2", _HASH, _DATE)),
    "next no url": OddBody(content=_ONE % (b'"page two"', _HASH, _DATE)),
    "NaN inside": OddBody(content=_ONE % (b"null", b"NaN", _DATE)),
    "not utf-8": OddBody(content=b'{"previous":null,"next":null,"results":[{"id":"\xff\xfe"}]}'),
    "utf-16": OddBody(
        content='{"previous":null,"next":null,"results":[]}'.encode("utf-16"),
        content_type="application/json; charset=utf-16",
    ),
    "unknown charset": OddBody(
        content=_ONE % (b"null", _HASH, _DATE), content_type="application/json; charset=klingon", harmless=True
    ),
    "wrong content type": OddBody(content=_ONE % (b"null", _HASH, _DATE), content_type="text/plain", harmless=True),
    "no content type": OddBody(content=_ONE % (b"null", _HASH, _DATE), content_type=None, harmless=True),
    "problem document as 200": OddBody(content=b'{"title":"Service unavailable","status":503}'),
    "gzip that is none": OddBody(content=b'{"results":[]}', encoding="gzip"),
    "deeply nested": OddBody(content=b"[" * 100_000),
}
"""By name. The harmless ones hold one version, whose id is 64 fives."""
ODD_VERSION = "5" * 64
