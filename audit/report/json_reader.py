"""Reads a JSON report again, ours or what another tool made of it, one user at a time.

Line breaks and the order of keys mean nothing here. Memory holds one user, or one of the blocks around them.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NoReturn

import msgspec

from audit.errors import ReportError
from audit.findings.comparison import ComparedRun, UserSnapshot
from audit.model.codes import LatestPer
from audit.model.lines import NOUNS, line
from audit.model.replies import Account
from audit.model.run import Filters, is_narrowed
from audit.model.shard import Shard
from audit.model.text import escape_controls, os_cause, shortened
from audit.report.json_report import SCHEMA_VERSION

LARGEST = 1 << 24
"""Characters of one user or block; a report of ours has some thousand."""
_BLOCKS = ("schema_version", "kind", "run", "population", "summary")
_PIECE = 1 << 16
_BLANKS = re.compile(r"[ \t\r\n]*")
_WHOLE = "It is probably cut off or edited. Write it again: sync-audit render RUN -o json=PATH"
_NO_REPORT = "Name a JSON report of sync-audit (-o json=PATH) or a run file."


class _Run(msgspec.Struct, frozen=True):
    """`run` of the report, as far as it is needed."""

    id: str
    started_at: str
    state: str
    database: str
    base_url: str
    order_by: str
    stop_reason: str | None = None
    account: Account | None = None
    filters: Filters = Filters()
    redacted: bool = False
    shard: Shard | None = None
    latest_per: LatestPer = "user"
    looked_for: tuple[str, ...] = ()


def read(file: BinaryIO, path: str, keep: Callable[[UserSnapshot], bool]) -> ComparedRun:
    """Hand every user of the report to `keep`, and return what it says of the run.

    `keep` is false where it has the user's id already. Raises ReportError, which names `path`.
    """
    blocks: dict[str, Any] = {}
    users: int | None = None
    per: LatestPer = "user"
    window = _Window(file, path)
    for key in window.members():
        if key == "users":
            if users is not None:
                raise ReportError(f"{path} is damaged: it has 'users' twice", _WHOLE)
            per = _latest_per(blocks)
            users = sum(1 for _ in _kept(window, path, per, keep))
            continue
        value = window.value()
        if key in _BLOCKS:
            _check_block(key, value, blocks, path)
            blocks[key] = value
            _check_kind(blocks, path)
    window.end()
    run = _checked(blocks, users, path)
    if run.latest_per != per:
        raise ReportError(f"{path}: 'run' has to stand before 'users', as it says what they are lines of", _WHOLE)
    return run


def _check_block(key: str, value: object, blocks: Mapping[str, Any], path: str) -> None:
    """Raises ReportError for a block that is there twice, or has half a character in it, which nothing can write."""
    if key in blocks:
        raise ReportError(f"{path} is damaged: it has {key!r} twice", _WHOLE)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ReportError(f"{path} is damaged: a text in its {key!r} makes no sense", _WHOLE) from error


def _latest_per(blocks: dict[str, Any]) -> LatestPer:
    """What has a line, as far as it is known before the users are read; what is wrong with it is said after them."""
    run = blocks.get("run")
    said = run.get("latest_per") if isinstance(run, dict) else None
    return next((each for each in NOUNS if each == said), "user")


def _kept(
    window: "_Window", path: str, latest_per: LatestPer, keep: Callable[[UserSnapshot], bool]
) -> Iterator[UserSnapshot]:
    for count, value in enumerate(window.elements(), 1):
        try:
            user = msgspec.convert(_with_reason_alone(value), UserSnapshot)
            part = line(user.user_id, user.replicate_model_id, user.model_row_id or "", latest_per).part
            user = msgspec.structs.replace(user, part=part)
            fresh = keep(user)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise ReportError(
                f"{path} is damaged: user {count:,} of it makes no sense ({_shown(error)})", _WHOLE
            ) from error
        if not fresh:
            model = f" with the model {user.replicate_model_id!r}" if latest_per == "model" else ""
            which = f"the row id {part!r}" if latest_per == "row" else f"the user id {user.user_id!r}{model}"
            raise ReportError(f"{path} is damaged: it has {which} twice", _WHOLE)
        yield user


def _with_reason_alone(user: object) -> object:
    """Of what is told of the completed row beside a newer one, its reason is compared."""
    if not isinstance(user, dict) or not isinstance(user.get("also"), dict):
        return user
    return {**user, "also": user["also"].get("reason")}


def _check_kind(blocks: dict[str, Any], path: str) -> None:
    """Said before the users are read, which look otherwise in another document."""
    if "kind" in blocks:
        raise ReportError(f"{path} is no report of a run but a {_shown(blocks['kind'])}", _NO_REPORT)
    version = blocks.get("schema_version")
    if type(version) is int and version > SCHEMA_VERSION:
        raise ReportError(
            f"the report {path} was written by a newer sync-audit (schema {version}, not {SCHEMA_VERSION})",
            "Update sync-audit: pip install --upgrade replicate-sync-audit",
        )


def _checked(blocks: dict[str, Any], users: int | None, path: str) -> ComparedRun:
    """The run, once everything has been read. Raises ReportError where it is no report, or not a whole one."""
    for name in ("schema_version", "run"):
        if name not in blocks:
            raise ReportError(f"{path} is no JSON report of sync-audit: it has no {name!r}", _NO_REPORT)
    if blocks["schema_version"] != SCHEMA_VERSION:
        raise ReportError(f"{path} is no JSON report of sync-audit: its schema_version is no version", _NO_REPORT)
    if users is None:
        raise ReportError(f"the report {path} has no 'users', so there is nobody to compare", _WHOLE)
    if blocks.get("population", {}) is None:
        raise ReportError(f"the run of {path} was ended before the database had been read", "Compare with another run.")
    try:
        run = msgspec.convert(blocks["run"], _Run)
        said = msgspec.convert(blocks.get("summary", {}), dict[str, Any]).get("total", users)
    except msgspec.ValidationError as error:
        raise ReportError(f"{path} is damaged: its run or summary makes no sense ({_shown(error)})", _WHOLE) from error
    if said != users:
        raise ReportError(f"{path} is not whole: it says that it has {_shown(said)} users, and has {users:,}", _WHOLE)
    return ComparedRun(path=path, users=users, expected=_expected(blocks, run), **msgspec.structs.asdict(run))


def _shown(value: object) -> str:
    return shortened(escape_controls(str(value)), 200)


def _expected(blocks: dict[str, Any], run: _Run) -> int | None:
    population, coverage = blocks.get("population"), blocks["run"].get("coverage")
    count = population.get("users_with_completed_model") if isinstance(population, dict) else None
    if isinstance(coverage, dict):  # what an older version tells of the population is all that it looked for
        count = coverage.get("eligible")
    return count if isinstance(count, int) and not is_narrowed(run.filters, run.shard) else None


class _Window:
    """A piece of the file, moved along as its values are taken."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file, self._path = file, path
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._parse = json.JSONDecoder(parse_constant=_refused).raw_decode
        self._text, self._at, self._before, self._ended = "", 0, 0, False

    def members(self) -> Iterator[str]:
        """The keys of the object that begins here; after each, its value has to be taken."""
        self._expect("{")
        if self._next() == "}":
            self._at += 1
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                self._fail("a key is no text")
            self._expect(":")
            yield key
            if self._expect(",}") == "}":
                return

    def elements(self) -> Iterator[object]:
        """The values of the array that begins here."""
        self._expect("[")
        if self._next() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._expect(",]") == "]":
                return

    def value(self) -> Any:
        """The whole value that begins here."""
        self._next()
        size = _PIECE
        while True:
            try:
                value, end = self._parse(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._ended or len(self._text) - self._at > LARGEST or isinstance(error, RecursionError):
                    self._fail(_why(error), getattr(error, "pos", self._at), error)
            else:
                if end < len(self._text) or self._ended:  # else a number may go on
                    self._at = end
                    return value
            self._more(size)
            size *= 2

    def end(self) -> None:
        """See that nothing follows."""
        if self._next():
            self._fail("something follows after its end")

    def _expect(self, wanted: str) -> str:
        found = self._next()
        if not found or found not in wanted:
            self._fail(f"there is no {' or '.join(wanted)}")
        self._at += 1
        return found

    def _next(self) -> str:
        """The next character that is no blank, "" at the end."""
        before = self._before + self._at
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            if self._before + self._at - before > LARGEST:
                self._fail("blanks without an end")
            self._more(_PIECE)

    def _more(self, size: int) -> None:
        try:
            piece = self._file.read(size)
            self._ended = not piece
            text = self._decoder.decode(piece, final=self._ended)
        except OSError as error:
            raise ReportError(f"{self._path} cannot be read: {os_cause(error).lower()}") from error
        except UnicodeDecodeError as error:
            raise ReportError(f"{self._path} is damaged or no JSON report: it is not UTF-8", _NO_REPORT) from error
        self._before += self._at
        self._text, self._at = self._text[self._at :] + text, 0

    def _fail(self, why: str, at: int | None = None, error: Exception | None = None) -> NoReturn:
        place = self._at if at is None else at
        if self._ended and (place >= len(self._text.rstrip()) or why.startswith("Unterminated")):
            raise ReportError(f"{self._path} is damaged: it ends in the middle", _WHOLE) from error
        where = f"at character {self._before + place + 1:,}"
        raise ReportError(f"{self._path} is damaged: it is no JSON {where} ({why})", _WHOLE) from error


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _why(error: ValueError | RecursionError) -> str:
    """In words about the file, and not about Python's settings."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeError):
        return "a text in it is none"
    words = getattr(error, "msg", str(error))
    return "a number in it is too long" if "int_max_str_digits" in words else words
