"""The plan of a repair as JSON: one change or user per line. `sync-1.json` beside this module describes it."""

from collections.abc import Iterable
from itertools import islice
from typing import BinaryIO

import msgspec

from audit.model.repair import LeftOut, RowChange
from audit.report.json_report import escaped

SCHEMA_VERSION = 1
"""Fields are only ever added within a version."""
_BATCH = 200


class RunOfPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The run that the plan is made from."""

    id: str
    started_at: str
    finished_at: str | None
    state: str
    """complete, interrupted or stopped."""
    database: str
    redacted: bool
    """E-mails and names are masked here; the SQL files hold neither."""


class PlanSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How many, of all whom the plan is about."""

    needs_sync: int
    """The sum of the next four."""
    changes: int
    left_out: int
    done_already: int
    """Changed by an earlier `--apply`."""
    beyond_limit: int
    weights: dict[str, int]
    """Of the changes, what happens to the weights URL."""
    why_left_out: dict[str, int]


def render(
    head: dict[str, object],
    changes: Iterable[RowChange],
    left_out: Iterable[LeftOut],
    summary: PlanSummary,
    out: BinaryIO,
) -> None:
    """Write the whole plan to `out`; memory does not grow with the number of users."""
    indented = msgspec.json.format(msgspec.json.encode({"schema_version": SCHEMA_VERSION, **head}), indent=2)
    out.write(escaped(indented.removesuffix(b"\n}")))
    for name, items in (("changes", changes), ("left_out", left_out)):
        out.write(f',\n  "{name}": ['.encode())
        _lines(items, out)
        out.write(b"\n  ]")
    out.write(b',\n  "summary": ' + msgspec.json.encode(summary) + b"\n}\n")


def _lines(items: Iterable[RowChange | LeftOut], out: BinaryIO) -> None:
    encode = msgspec.json.Encoder().encode
    rest = iter(items)
    separator = b"\n    "
    while lines := [escaped(encode(each)) for each in islice(rest, _BATCH)]:
        out.write(separator + b",\n    ".join(lines))
        separator = b",\n    "
