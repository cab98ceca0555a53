r"""The CSV report: RFC 4180, one line per user, safe to open in a spreadsheet.

Characters that act on a reader are spelled out, line breaks too: a cell with "\n" in it survives `grep`, `cut`
and every importer that reads line by line, and one user stays one line.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import BinaryIO

from audit.hints import filled as hints
from audit.model.findings import AuditedUser
from audit.model.tables import Tables
from audit.model.text import escape_controls
from audit.report.view import RunView

COLUMNS = (
    "status",
    "reason",
    "user_id",
    "email",
    "display_name",
    "replicate_model_id",
    "current_version",
    "latest_version",
    "latest_version_created_at",
    "versions_behind",
    "total_versions_on_replicate",
    "model_row_id",
    "training_id",
    "trigger_word",
    "lora_scale",
    "lora_weights_url",
    "created_at",
    "updated_at",
    "completed_at",
    "notes",
    "detail",
    "hint",
    "replicate_url",
    "baseline",
    "accepted",
    "affected_since",
    "row_status",
    "weights_checked",
    "also",
    "coverage",
)
CELL_LIMIT = 32_767
"""What Excel keeps of a cell, in UTF-16 code units; it drops the rest without a word."""
_ROOM_FOR_MARK = 60
_BATCH = 200
_QUOTE = '"'
# What a spreadsheet runs as a formula: the contract's characters, their full-width forms (which some take for the
# plain ones), also after white space or zero-width characters, which importers strip.
_FORMULA = re.compile("[\t\r]|[\\s\u200b-\u200f\u2060\ufeff]*[=+\\-@\uff1d\uff0b\uff0d\uff20\u2212]")
# The same in the middle of a text, where somebody imports with another separator than ours: "Anna;=1+41". A tab is
# spelled out, and a comma is between quotes.
_FORMULA_BEHIND_SEPARATOR = re.compile('([;|])(?=[\\s"]*[=+\\-@\uff1d\uff0b\uff0d\uff20\u2212])')
_ISO = re.compile(r"^([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?Z\Z")
_SUSPECT = frozenset(" =+-@\uff1d\uff0b\uff0d\uff20\u2212")
"""First characters of a printable text for which `_FORMULA` is worth a look."""


def render(view: RunView, out: BinaryIO) -> None:
    """Write the whole report to `out`; memory does not grow with the number of users."""
    coverage = str(view.coverage or "")
    if view.csv_for_excel:
        out.write(codecs.BOM_UTF8)
    write_table(COLUMNS, (_row(user, coverage, view.run.tables) for user in view.users()), out)


def write_table(columns: Sequence[str], lines: Iterator[Sequence[object]], out: BinaryIO) -> None:
    """Write a header and `lines`, whose texts have been through `cell`, a batch at a time."""
    written = map(_line, chain([columns], lines))
    while batch := "".join(islice(written, _BATCH)):
        out.write(batch.encode())


def _line(values: Sequence[object]) -> str:
    """As Python's csv writes it, in a third of the time: no cell holds a line break, for which that looks as well."""
    cells = ["" if value is None else str(value) for value in values]
    quoted = [f'"{each.replace(_QUOTE, 2 * _QUOTE)}"' if "," in each or _QUOTE in each else each for each in cells]
    return ",".join(quoted) + "\r\n"


def cell(text: str | None) -> str:
    """`text` as it may stand in a spreadsheet: spelled out, guarded against formulas, not too long."""
    if not text:
        return ""
    usual = text.isascii() and text.isprintable() and text[0] not in _SUSPECT and len(text) <= CELL_LIMIT
    if usual and not _separated(text):
        return text  # nearly every cell; such a text holds nothing that `escape_controls` would spell out
    guard = "'" if looks_like_formula(text) else ""
    return guard + _fitting(_FORMULA_BEHIND_SEPARATOR.sub(r"\1'", escape_controls(text)))


def time(iso: str | None) -> str:
    """A time in UTC as "2026-03-01 11:22:33", which spreadsheets take for one; they do not take ISO 8601 with a Z."""
    return _ISO.sub(r"\1 \2", iso or "")


def _separated(text: str) -> bool:
    return ";" in text or "|" in text


def looks_like_formula(text: str) -> bool:
    """Whether a spreadsheet would run `text`."""
    return _FORMULA.match(text) is not None


def _fitting(text: str) -> str:
    units = text.encode("utf-16-le")
    if len(units) // 2 <= CELL_LIMIT - 1:
        return text
    kept = units[: 2 * (CELL_LIMIT - _ROOM_FOR_MARK)].decode("utf-16-le", errors="ignore")
    return f"{kept}… ({len(text) - len(kept):,} more characters)"


def _row(user: AuditedUser, coverage: str, tables: Tables) -> tuple[str | int | None, ...]:
    record, finding = user.record, user.finding
    reason = finding.reason
    return (
        reason.status.value,
        reason.value,
        cell(record.user_id),
        cell(record.email),
        cell(record.display_name),
        cell(record.replicate_model_id),
        cell(record.replicate_version_id),
        cell(finding.latest_version),
        cell(time(finding.latest_version_created_at)),
        finding.versions_behind,
        finding.total_versions,
        cell(record.model_row_id),
        cell(record.training_id),
        cell(record.trigger_word),
        cell(record.lora_scale),
        cell(record.lora_weights_url),
        time(record.created_at),
        time(record.updated_at),
        time(record.completed_at),
        ";".join(finding.notes),
        cell(finding.detail),
        cell(hints.one_line(user, tables)),
        hints.model_url(record, finding.model),
        user.baseline,
        user.accepted.until if user.accepted else None,
        time(finding.affected_since),
        cell(record.training_status),
        finding.weights_checked,
        finding.also.reason.value if finding.also else None,
        coverage,
    )
