"""Files that somebody, a disk or a program has spoiled: the same ones each time."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1e308, 10**30, 2**63, float("inf"), float("nan"), "", "x", "\ud800", "a\0b", "\u202e"),
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-13-45T99:99:99Z", "1969-12-31T23:59:59-23:59"),
    *([], {}, [None], {"a": 1}, ["\ud800"], "x" * 5_000),
)
"""Values that a field may have in the place of its own."""


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every field and item of a document; of a list the first item."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*before, key)
            yield from places(inner, (*before, key))
    elif isinstance(value, list) and value:
        yield (*before, 0)
        yield from places(value[0], (*before, 0))


def with_odd_fields(document: Any) -> Iterator[Any]:
    """`document` with another value in each of its places, one at a time, and without each."""
    for number, place in enumerate(places(document)):
        for odd in (*ODD[number % 2 :: 2], _GONE):
            changed = copy.deepcopy(document)
            inner = changed
            for step in place[:-1]:
                inner = inner[step]
            if odd is _GONE:
                del inner[place[-1]]
            else:
                inner[place[-1]] = odd
            yield changed


_GONE = object()


def spoiled(content: bytes, times: int, seed: int = 0) -> Iterator[bytes]:
    """`content` cut, doubled in parts, with bits flipped and with bytes of other files in it."""
    dice = random.Random(seed)
    foreign = (
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"\0" * 9,
        b"[" * 3_000,
        b"{" * 9,
        b'"',
        b"\n",
        b"1" * 5_000,
        b"\xef\xbb\xbf",
    )
    for _ in range(times):
        changed = bytearray(content)
        for _ in range(dice.choice((1, 1, 1, 3))):
            at = dice.randrange(len(changed) + 1)
            match dice.randrange(5):
                case 0 if changed:
                    changed[at % len(changed)] ^= 1 << dice.randrange(8)
                case 1:
                    del changed[at:]
                case 2:
                    del changed[at : at + dice.choice((1, 5, 500))]
                case 3:
                    changed[at:at] = changed[at : at + dice.choice((1, 20, 500))]
                case _:
                    changed[at:at] = dice.choice(foreign)
        yield bytes(changed)
    yield from (
        b"",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf" + content,
        content.decode("utf-8", "replace").encode("utf-16"),
        b"\x1f\x8b" + content,
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"a":' * 50_000,
    )


def as_json(documents: Iterator[Any]) -> Iterator[bytes]:
    """Also what is no JSON strictly speaking."""
    return (json.dumps(document).encode() for document in documents)
