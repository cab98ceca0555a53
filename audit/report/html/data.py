r"""The users of the page's table as data for the page's script: columns of texts, JSON lines, gzip, base64.

The first line is an object: the names of the fields and what is the same for all users (`hint_data`). Each line
after it is a block of `BLOCK` users: an array with one text for each field, its rows joined by `ROW`, or the one
text that all of them have. Every text has been through `visible`, so control characters are free to stand for
something; these are some that JSON does not escape:

    "\x7f"            between rows                  "\x8f"   nothing recorded (null), in `recorded` alone
    "\x9e"            between items of a list       "\x80" to "\x84"   what the first to fifth version has
                                                   (of a training "\x80": what is recorded; "\x81": left out)

A date is the number of seconds since the date before it (in the order updated, created, completed; and among the
versions), or since 1970 where there is none. "-" is no date; "~" marks a text that is not in the contract's form.
"""

import base64
import struct
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

import msgspec

from audit.hints import filled as hints
from audit.hints.own_names import names, steps_of
from audit.hints.table import CHECKLIST, HIDDEN, HINTS, ONE_LINE, PER_MODEL
from audit.hints.trainings import (
    BASIS,
    GOING_ON,
    MADE_BOTH,
    MADE_CURRENT,
    MADE_LATEST,
    NONE_MADE,
    WENT,
    TrainingLine,
    shown_trainings,
)
from audit.hints.unfinished import Fact, also_facts, row_facts
from audit.model.codes import Note, Reason, Status
from audit.model.findings import Acceptance, AuditedUser, Finding
from audit.model.tables import Tables
from audit.model.text import escape_controls, shortened
from audit.model.times import to_minute
from audit.report import words
from audit.report.csv_report import COLUMNS, looks_like_formula
from audit.report.fix import Fix, Fixes
from audit.report.html.users import WEIGHTS_CHECKED, comparison
from audit.report.view import RunView

MOST = 100_000
"""With more users than that, those who are up to date are left to CSV. Nobody else ever is, however many they are."""


class Listed(NamedTuple):
    """How many users are in the table, and how many are left out, all of them up to date."""

    number: int
    left_out: int


def listed(view: RunView, most: int) -> Listed:
    """The two numbers for a page with at most `most` users who are up to date among others."""
    calm = view.summary.statuses[Status.UP_TO_DATE] if view.summary.total > most else 0
    return Listed(view.summary.total - calm, calm)


def users(view: RunView, shown: Listed) -> Iterator[tuple[AuditedUser, Fix | None]]:
    """Those in the table, in the report's order, and what repairs each: whoever is left out stands at the end."""
    return islice(Fixes(view).users(), shown.number)


_ROOM_FOR_A_TEXT = 2_000
"""Characters of a text about a user that is not in the run file's record; JSON has all of it."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BLOCK = 2_000
"""Users in a block: enough for gzip to see what repeats, few enough to hold."""
ROW, ITEM, NULL = "\x7f", "\x9e", "\x8f"
LARGE = 20_000
"""From this many users on, of each model only the newest version's id and the recorded one's are there: hashes do not
compress, and the others would be half of the file. Their dates stay, and JSON has them all. Of trainings there are no
dates then, and of those of up-to-date users no id that is not the recorded one."""
SAME, LEFT_OUT = "\x80", "\x81"
"""In the place of a training, or of what is known of it: what stands for it elsewhere, and what JSON alone has."""
_TEXTS = (
    "user_id",
    "email",
    "display_name",
    "replicate_model_id",
    "model_row_id",
    "training_id",
    "trigger_word",
    "lora_scale",
    "lora_weights_url",
    "model_name",
    "later_failure_reason",
    "training_status",
)
"""Fields of `ModelRecord` that are shown as they are."""
_texts = attrgetter(*_TEXTS)
FIELDS = (
    *_TEXTS,
    "detail",
    "recorded",
    "shared_with",
    "reason",
    "notes",
    "baseline",
    "accepted",
    "because",
    "author",
    "behind",
    "total",
    "older_completed",
    "other_models",
    "shared_with_count",
    "updated_at",
    "created_at",
    "completed_at",
    "recorded_at",
    "latest",
    "latest_at",
    "others",
    "version_dates",
    "evidence",
    "current",
    "made_latest",
    "later",
    "affected_at",
    "weights_checked",
    "unfinished",
    "fix",
    "odd",
    "newest",
)
"""The columns of a block. `reason` is an index and `notes` a bit set over the lists of the first line; `odd` is JSON
with what the script cannot reckon from texts that were spelled out. `newest` is the id of the first version, and
last because it is packed apart; `others` are those of the second to fifth. `evidence` is empty where trainings were
not read, as are the trainings after it (`_training`); `SAME` in `current` is the one in `made_latest`. `unfinished` is
JSON about a row that is not completed."""


def packed(view: RunView, listed: Listed) -> Iterator[str]:
    """The whole block as base64 text, in pieces; memory does not grow with the number of users."""
    rest = b""
    for piece in _gzipped(view, listed):
        ready = rest + piece
        whole = len(ready) - len(ready) % 3
        yield base64.b64encode(ready[:whole]).decode()
        rest = ready[whole:]
    yield base64.b64encode(rest).decode()


class _Gzip:
    """A gzip stream of two kinds of text, each with a compressor that suits it.

    In hexadecimal digits that are as good as random, matches are found and cost more than they save: Huffman codes
    alone come out at half the size, to the bit; matches at 0.56 of it.
    """

    def __init__(self) -> None:
        self._words = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._digits = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
        self._sum, self._size = zlib.crc32(b""), 0

    def head(self) -> bytes:
        """No name, no time: the same input gives the same bytes."""
        return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

    def add(self, text: bytes, *, digits: bool = False) -> bytes:
        """A part that stands for itself, so that the other compressor may go on after it."""
        self._sum, self._size = zlib.crc32(text, self._sum), self._size + len(text)
        squeeze = self._digits if digits else self._words
        return squeeze.compress(text) + squeeze.flush(zlib.Z_FULL_FLUSH)

    def tail(self) -> bytes:
        """The end of the stream, with its checksum."""
        return self._words.flush() + struct.pack("<II", self._sum, self._size & 0xFFFFFFFF)


def _gzipped(view: RunView, listed: Listed) -> Iterator[bytes]:
    squeeze = _Gzip()
    encode = msgspec.json.Encoder().encode
    yield squeeze.head() + squeeze.add(encode({"fields": FIELDS, "block": BLOCK, **hint_data(view, listed)}))
    pack = _Packer(view, large=listed.number >= LARGE).row
    everybody = users(view, listed)
    while rows := [pack(*both) for both in islice(everybody, BLOCK)]:
        *columns, newest = (
            column[0] if len(rows) > 1 and column.count(column[0]) == len(rows) else ROW.join(column)
            for column in zip(*rows, strict=True)
        )
        yield squeeze.add(b"\n[")
        for column in columns:
            yield squeeze.add(encode(column) + b",")
        yield squeeze.add(encode(newest) + b"]", digits=True)
    yield squeeze.tail()


def hint_data(view: RunView, listed: Listed) -> dict[str, object]:
    """The first line's fields that all users share: hint templates for the reasons and notes that occur."""
    tables = view.run.tables
    return {
        "total": listed.number,
        "left_out": listed.left_out,
        "reasons": [
            _entry(reason, view) | {"status": reason.status, "line": ONE_LINE[reason]}
            for reason in view.summary.reasons
        ],
        "notes": [_entry(note, view) for note in _notes(view)],
        "checks": CHECKLIST,
        "sql": hints.rows_sql_around(tables),
        "names": names(tables),
        "missing": view.run.missing_columns,
        "columns": COLUMNS,
        "coverage": str(view.coverage or ""),
        "now": view.run.started_at,
        "per": view.latest_per,
        "redacted": view.run.redacted,
        "hidden": HIDDEN,
        "per_model": PER_MODEL,
        "weights": WEIGHTS_CHECKED,
        "origins": _ORIGINS if view.run.trainings or view.run.looked_for else None,
    }


_ORIGINS = {
    "basis": BASIS,
    "both": MADE_BOTH,
    "current": MADE_CURRENT,
    "latest": MADE_LATEST,
    "later": {**WENT, "": GOING_ON},
    "none": NONE_MADE,
}
"""The words of `audit.hints.trainings`."""


def _notes(view: RunView) -> tuple[Note, ...]:
    """Those that occur, in the order in which every finding has them."""
    return tuple(note for note in Note if note in view.summary.notes)


def _entry(code: Reason | Note, view: RunView) -> dict[str, object]:
    hint, steps = HINTS[code], steps_of(code, view.run.tables)
    shown = [words.of_run(step, view) for step in steps]
    return {"code": code.value, "title": hint.title, "meaning": hint.meaning, "steps": shown}


def _pasted(fix: Fix) -> str:
    """The command alone where the statement holds what must be spelled out, and so could not be pasted."""
    return fix.text if escape_controls(fix.text.replace("\n", "")) == fix.text.replace("\n", "") else fix.command


_NO_ORIGINS = ("", "", "", "")


class _Packer:
    """Users -> rows of texts, in the order of `FIELDS`."""

    def __init__(self, view: RunView, *, large: bool) -> None:
        self._reasons = {reason: str(number) for number, reason in enumerate(view.summary.reasons)}
        self._bits = {note: 1 << number for number, note in enumerate(_notes(view))}
        self._large = large
        self._tables = view.run.tables
        self._now = view.run.started_at

    def row(self, user: AuditedUser, fix: Fix | None) -> list[str]:
        """One user."""
        record, finding = user.record, user.finding
        texts = [text or "" for text in _texts(record)]
        texts += [finding.detail or "", record.replicate_version_id or "", ITEM.join(record.shared_with)]
        joined = " ".join(texts).replace(ITEM, "")
        odd = ""
        if escape_controls(joined) != joined:
            odd = msgspec.json.encode(_odd(user, self._tables)).decode()
            texts = [*map(escape_controls, texts[:-1]), ITEM.join(map(escape_controls, record.shared_with))]
        ids = [version.id for version in finding.versions]
        if not ids and finding.latest_version:  # known by its training
            ids = [finding.latest_version]
        dates = [version.created_at for version in finding.versions]
        texts[-2] = NULL if record.replicate_version_id is None else _same(record.replicate_version_id, ids, texts[-2])
        return [
            *texts,
            self._reasons[finding.reason],
            str(sum([self._bits[note] for note in finding.notes])) if finding.notes else "0",
            user.baseline or "",
            *_accepted(user.accepted),
            "" if finding.versions_behind is None else str(finding.versions_behind),
            "" if finding.total_versions is None else str(finding.total_versions),
            str(record.older_completed),
            "" if record.other_models is None else str(record.other_models),
            str(record.shared_with_count),
            *_dates((record.updated_at, record.created_at, record.completed_at)),
            _same_date(finding.current_version_created_at, dates),
            _same(finding.latest_version or "", ids, escape_controls(finding.latest_version or "")),
            _same_date(finding.latest_version_created_at, dates),
            ITEM.join(self._others(ids, finding)),
            ITEM.join(_dates(dates)),
            *(self._origins(user) if finding.lineage else _NO_ORIGINS),
            _same_date(finding.affected_since, dates),
            finding.weights_checked or "",
            self._unfinished(user) if finding.unfinished else "",
            _pasted(fix) if fix else "",
            odd,
            ids[0] if ids else "",
        ]

    def _origins(self, user: AuditedUser) -> tuple[str, str, str, str]:
        current, latest, later = shown_trainings(user)
        if later and later.id in {each.id for each in (current, latest) if each}:
            later = None  # it is told already
        return (
            user.finding.evidence or "none",
            SAME if current and current is latest else self._training(current, user),
            self._training(latest, user),
            self._training(later, user),
        )

    def _unfinished(self, user: AuditedUser) -> str:
        """What the page says of the newest row and of the completed one."""
        also = user.finding.also
        told = {
            "began": to_minute(user.record.began_at),
            "code": also.reason if also else "",
            "title": HINTS[also.reason].title if also else "",
            "newest": _spelled(row_facts(user, self._now)),
            "also": _spelled(also_facts(user)),
        }
        return msgspec.json.encode(told).decode()

    def _training(self, training: TrainingLine | None, user: AuditedUser) -> str:
        """Id, status ("" is succeeded), weights, trigger word, error, and two dates as `_dates` packs them."""
        if training is None:
            return ""
        record = user.record
        calm = self._large and user.finding.status is Status.UP_TO_DATE
        training_id = _unless_recorded(training.id, record.training_id)
        return ITEM.join(
            (
                LEFT_OUT if calm and training_id != SAME else training_id,
                "" if training.status == "succeeded" else escape_controls(training.status),
                _unless_recorded(training.weights, record.lora_weights_url),
                _unless_recorded(training.trigger_word, record.trigger_word),
                escape_controls(training.error or ""),
                *(("-", "-") if self._large else _dates((training.created_at, training.completed_at))),
            )
        )

    def _others(self, ids: list[str], finding: Finding) -> list[str]:
        if self._large:
            return [other if number == finding.versions_behind else "" for number, other in enumerate(ids)][1:]
        return ids[1:]


def _spelled(facts: Iterable[Fact]) -> list[Fact]:
    return [(label, shortened(escape_controls(value), _ROOM_FOR_A_TEXT)) for label, value in facts]


def _unless_recorded(text: str | None, recorded: str | None) -> str:
    return SAME if text and text == recorded else escape_controls(text or "")


def _accepted(entry: Acceptance | None) -> tuple[str, str, str]:
    if entry is None:
        return "", "", ""
    return entry.until, shortened(escape_controls(entry.because), _ROOM_FOR_A_TEXT), escape_controls(entry.author or "")


def _same(value: str, others: list[str], shown: str) -> str:
    """Which of `others` the value is, as one character; the value as shown where it is none of them."""
    return chr(0x80 + others.index(value)) if value in others else shown


def _same_date(date: str | None, others: list[str | None]) -> str:
    if not date:
        return "-"  # as most have none
    return chr(0x80 + others.index(date)) if date in others else _dates((date,))[0]


def _dates(dates: Iterable[str | None]) -> list[str]:
    """Each as seconds since the one before."""
    packed_dates, before = [], _EPOCH
    for date in dates:
        at = _exact_time(date)
        if at is None:
            packed_dates.append(f"~{escape_controls(date)}" if date else "-")
            continue
        gap, sign = (at - before, "") if at >= before else (before - at, "-")
        seconds, rest = gap.days * 86_400 + gap.seconds, gap.microseconds
        packed_dates.append(f"{sign}{seconds}.{rest:06}".rstrip("0") if rest else f"{sign}{seconds}")
        before = at
    return packed_dates


def _exact_time(iso: str | None) -> datetime | None:
    """None where the text is not exactly what the script would print for that time."""
    if not iso or iso[-1] != "Z" or iso[10:11] != "T" or len(iso) not in {20, 27}:
        return None
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return None if len(iso) == 27 and (at.microsecond == 0 or iso[19] != ".") else at


def _odd(user: AuditedUser, tables: Tables) -> dict[str, object]:
    """What cannot be told from the spelled-out texts: whether a cell needs a guard, and what a hash or a page is."""
    record, finding = user.record, user.finding
    compared = comparison(record.replicate_version_id, finding.latest_version)
    cells = {name: getattr(record, name) for name in _TEXTS} | {
        "detail": finding.detail,
        "current_version": record.replicate_version_id,
        "hint": hints.one_line(user, tables),
        "row_status": record.training_status,
    }
    return {
        "page": hints.model_url(record, finding.model) or "",
        "sql": escape_controls(hints.rows_sql(record.user_id, tables)),
        "compared": compared and [escape_controls(part) for part in compared],
        "guard": [name for name, text in cells.items() if text and looks_like_formula(text)],
    }
