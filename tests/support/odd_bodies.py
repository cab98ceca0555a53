"""Bodies that came with 200 and were no page of versions. By name, so that table tests can go through all of them."""

from collections.abc import Mapping

from audit.demo.fake_replicate.faults import Odd

_HASH = b'"' + b"5" * 64 + b'"'
_ONE = b'{"previous":null,"next":%s,"results":[{"id":%s,"created_at":%s}]}'
_DATE = b'"2026-01-01T00:00:00.000000Z"'
ODD_BODIES: Mapping[str, Odd] = {
    "not json": Odd(content=b"{'results': []}"),
    "html": Odd(content=b"<!doctype html><title>Just a moment...</title>", content_type="text/html; charset=UTF-8"),
    "empty": Odd(content=b""),
    "cut off": Odd(content=b'{"previous":null,"next":null,"results":[{"id":"55'),
    "list": Odd(content=b"[]"),
    "string": Odd(content=b'"ok"'),
    "null": Odd(content=b"null"),
    "number": Odd(content=b"NaN"),
    "no results": Odd(content=b'{"previous":null,"next":null}'),
    "results null": Odd(content=b'{"previous":null,"next":null,"results":null}'),
    "results an object": Odd(content=b'{"previous":null,"next":null,"results":{}}'),
    "results of strings": Odd(content=b'{"previous":null,"next":null,"results":["' + b"5" * 64 + b'"]}'),
    "id missing": Odd(content=b'{"previous":null,"next":null,"results":[{"created_at":' + _DATE + b"}]}"),
    "id null": Odd(content=_ONE % (b"null", b"null", _DATE)),
    "id a number": Odd(content=_ONE % (b"null", b"5", _DATE)),
    "id no hash": Odd(content=_ONE % (b"null", b'"latest"', _DATE)),
    "id short": Odd(content=_ONE % (b"null", b'"55555555"', _DATE)),
    "next a number": Odd(content=_ONE % (b"2", _HASH, _DATE)),
    "next no url": Odd(content=_ONE % (b'"page two"', _HASH, _DATE)),
    "NaN inside": Odd(content=_ONE % (b"null", b"NaN", _DATE)),
    "not utf-8": Odd(content=b'{"previous":null,"next":null,"results":[{"id":"\xff\xfe"}]}'),
    "utf-16": Odd(
        content='{"previous":null,"next":null,"results":[]}'.encode("utf-16"),
        content_type="application/json; charset=utf-16",
    ),
    "unknown charset": Odd(
        content=_ONE % (b"null", _HASH, _DATE), content_type="application/json; charset=klingon", harmless=True
    ),
    "wrong content type": Odd(content=_ONE % (b"null", _HASH, _DATE), content_type="text/plain", harmless=True),
    "no content type": Odd(content=_ONE % (b"null", _HASH, _DATE), content_type=None, harmless=True),
    "problem document as 200": Odd(content=b'{"title":"Service unavailable","status":503}'),
    "gzip that is none": Odd(content=b'{"results":[]}', encoding="gzip"),
    "deeply nested": Odd(content=b"[" * 100_000),
}
"""By name. The harmless ones hold one version, whose id is 64 fives."""
ODD_VERSION = "5" * 64
