"""The users on the HTML page: which of them have a static row, and what templates may ask about one.

Templates get `AuditedUser`s with their places and say themselves what stands in a row.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import NamedTuple

from audit.hints import filled as hints
from audit.hints.filled import Hint
from audit.hints.table import HINTS
from audit.hints.trainings import TrainingLine, labelled, shown_trainings
from audit.hints.unfinished import NOT_KNOWN, also_facts, days_between, row_facts
from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser, Finding
from audit.model.ids import recorded_hash
from audit.model.replies import WeightsEvidence
from audit.model.text import shortened
from audit.model.times import to_second
from audit.model.users import ModelRecord
from audit.repair.plan import PLANNED
from audit.report import words
from audit.report.fix import Fixes
from audit.report.view import ATTENTION, Placed, RunView
from audit.report.words import counted

SHOWN = 5_000
"""How many users who are not up to date have a static row: a browser copes, and the file stays small."""
IN_FULL = 100
"""How many of these, the first ones, have all their details there as well."""
ACCEPTED_SHOWN = 1_000
CHUNK = 100
"""Rows per table: a browser lays out only the tables in view."""
NOT_RECORDED = "not stored"
_NOTABLE = 4
"""Equal digits at the start from which on two hashes look alike; chance gives one or two."""
_LONGER_THAN_A_WORD = 20
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-\d\d", re.ASCII)
_DETAIL = 300
"""Characters of a detail within a sentence."""
_HEAD_CELL = 120
"""Characters of a user's e-mail, name or model id in a table's main columns; the details have more."""


class Chunk(NamedTuple):
    """Some users in a table of their own; `first` and `last` count from 1 within the section."""

    first: int
    last: int
    users: list[Placed]
    in_full: bool
    """With a row of details for each."""
    fixes: Mapping[int, str]
    """Where they are in full, what repairs the user at a place."""
    far: bool
    """A full table further down: a browser may skip it until it is scrolled to."""


def accepted(view: RunView) -> Iterator[Placed]:
    """The first users whose findings are accepted."""
    users = chain.from_iterable(view.placed(status) for status in ATTENTION)
    return islice(((place, user) for place, user in users if user.accepted), ACCEPTED_SHOWN)


def shown(view: RunView, status: Status) -> int:
    """How many users of `status`, one of `ATTENTION`, have a static row in its section."""
    return max(0, min(view.open[status], SHOWN - _before(view, status)))


def _before(view: RunView, status: Status) -> int:
    """How many rows stand before those of `status`, if all have one; accepted findings have a section of their own."""
    counts = [view.open[other] for other in Status]
    return sum(counts[: list(Status).index(status)])


def chunks(view: RunView, status: Status) -> Iterator[Chunk]:
    """The static tables of a section, streamed."""
    number = shown(view, status)
    users = islice(((place, user) for place, user in view.placed(status) if not user.accepted), number)
    full = max(0, min(number, IN_FULL - _before(view, status)))
    yield from _chunks(islice(users, full), 0, fixes(view, status, full))
    yield from _chunks(users, full)


def _chunks(users: Iterator[Placed], before: int, fixed: Mapping[int, str] | None = None) -> Iterator[Chunk]:
    first = before + 1
    while some := list(islice(users, CHUNK)):
        far = first > before + 1 and len(some) == CHUNK
        yield Chunk(first, first + len(some) - 1, some, fixed is not None, fixed or {}, far)
        first += len(some)


def head(text: str) -> str:
    """`text` short enough for a main column."""
    return text if len(text) <= _HEAD_CELL else text[:_HEAD_CELL] + "…"


def digits(version: str | None) -> str:
    """The first eight of a version's hash; what is no hash as it is, "" where there is none."""
    bare = (version or "").strip()
    text = bare.rpartition(":")[2]
    return text[:8] if len(text) > _LONGER_THAN_A_WORD else head(bare)


def day(iso: str | None) -> str:
    """`18 Jan 2026`; other texts as they are."""
    if not iso or not _DAY.match(iso):
        return iso or ""
    number, month, year = words.long_date(iso).split()
    return f"{number} {month[:3]} {year}"


def anchor(place: int) -> str:
    """The id of the row of the user at `place`; the script makes the same."""
    return f"u-{place}"


class Sheet:
    """What the details of one user are made of."""

    def __init__(self, user: AuditedUser, view: RunView) -> None:
        tables, now = view.run.tables, view.run.started_at
        self.user, self._tables, self._view = user, tables, view
        self.newest = row_facts(user, now)
        self.also = also_facts(user)
        self.sql = hints.rows_sql(user.record.user_id, tables)
        self.hint = hints.one_line(user, tables)
        self.trainings = [(label, training_facts(each)) for label, each in labelled(shown_trainings(user))]

    @property
    def why(self) -> str:
        """Why this verdict, in a sentence."""
        return why(self.user)

    @property
    def notes(self) -> Iterable[tuple[str, Hint]]:
        """Code and text."""
        return [(note.value, self.filled(note)) for note in self.user.finding.notes]

    def filled(self, code: Reason | Note) -> Hint:
        """With the query named and not repeated: it stands below, ready to copy."""
        hint = hints.filled(code, self.user, self._tables)
        return Hint(hint.title, hint.meaning, tuple([self._shown(step) for step in hint.steps]))

    def _shown(self, step: str) -> str:
        return words.of_run(step.replace(self.sql, "the query below"), self._view)


def why(user: AuditedUser) -> str:
    """Why this verdict, in a sentence with the user's own versions; the page's script says the same."""
    finding = user.finding
    stored, latest = digits(user.record.replicate_version_id), digits(finding.latest_version)
    if finding.reason is Reason.OUTDATED_VERSION and stored and latest:
        newer = f"; {counted(finding.versions_behind, 'newer version')} exist" if finding.versions_behind else ""
        newer = newer.replace("1 newer version exist", "1 newer version exists")
        uses = _made(stored, finding.current_version_created_at)
        return (
            f"The product uses version {uses}{newer}. The latest is {_made(latest, finding.latest_version_created_at)}."
        )
    if finding.status is Status.UP_TO_DATE:
        return f"The stored version, {stored or latest}, is the latest one."
    detail = f" ({shortened(finding.detail, _DETAIL)})" if finding.detail else ""
    return f"{HINTS[finding.reason].title}{detail}. {HINTS[finding.reason].meaning}".replace("`", "")


def _made(version: str, made: str | None) -> str:
    return f"{version} of {day(made)}" if made else version


def fixes(view: RunView, status: Status, number: int) -> Mapping[int, str]:
    """What repairs the first `number` users of `status` who are not accepted, by their places."""
    if status not in PLANNED or not number:
        return {}
    made = Fixes(view)
    both = zip(view.placed(status), view.checked_users(status), strict=True)
    first = islice(((place, checked) for (place, user), checked in both if not user.accepted), number)
    found = ((place, made.of(*checked)) for place, checked in first)
    return {place: fix.text for place, fix in found if fix}


def facts(record: ModelRecord, finding: Finding) -> list[tuple[str, str]]:
    """Label and value of what is recorded; what is not there is left out."""
    total = finding.total_versions
    return _there(
        ("User id", record.user_id),
        ("E-mail", record.email),
        ("Name", record.display_name),
        ("Model id", record.replicate_model_id),
        ("Stored version", record.replicate_version_id),
        ("Stored version made", to_second(finding.current_version_created_at)),
        ("Affected since", affected_since(finding)),
        ("Weights", WEIGHTS_CHECKED[finding.weights_checked] if finding.weights_checked else ""),
        ("Row of user_models", record.model_row_id),
        ("Training", record.training_id),
        ("Trigger word", record.trigger_word or NOT_RECORDED),
        ("LoRA scale", record.lora_scale or NOT_RECORDED),
        ("Weights URL", record.lora_weights_url or NOT_RECORDED),
        ("Created", to_second(record.created_at)),
        ("Updated", to_second(record.updated_at)),
        ("Completed", to_second(record.completed_at)),
        ("Versions on Replicate", "" if total is None else f"{total:,}"),
        *_rare_facts(record),
    )


WEIGHTS_CHECKED: Mapping[WeightsEvidence, str] = {
    "training": "compared with what the training of the stored version put out",
    "request": "asked for, by the URL that is recorded",
}


def affected_since(finding: Finding) -> str:
    """The date, "not known" for who is in need without one, "" for all others."""
    return to_second(finding.affected_since) or (NOT_KNOWN if finding.status is Status.NEEDS_SYNC else "")


def training_facts(training: TrainingLine) -> list[tuple[str, str]]:
    """Label and value of what Replicate says of a training; what it does not say is left out."""
    return _there(
        ("Training", training.id),
        ("Ended as", training.status),
        ("Why", training.error),
        ("Trigger word used", training.trigger_word),
        ("Real weights URL", training.weights),
        ("Begun", to_second(training.created_at)),
        ("Ended", to_second(training.completed_at)),
    )


def _there(*facts: tuple[str, str | None]) -> list[tuple[str, str]]:
    return [(label, value) for label, value in facts if value]


def _rare_facts(record: ModelRecord) -> list[tuple[str, str]]:
    """What few users have."""
    names, more = ", ".join(record.shared_with), record.shared_with_count - len(record.shared_with)
    return _there(
        ("Model name", record.model_name),
        ("Older completed models", f"{record.older_completed:,}" if record.older_completed else ""),
        ("Other models of the user", f"{record.other_models:,}" if record.other_models else ""),
        ("Later training failed", record.later_failure_reason),
        ("Model shared with", f"{names} and {more:,} more" if more > 0 else names if record.shared_with_count else ""),
    )


def older(finding: Finding) -> str:
    """A line about the versions that are not listed, or ""."""
    listed, behind = len(finding.versions), finding.versions_behind or 0
    hidden = (finding.total_versions or listed) - listed
    if hidden <= 0:
        return ""
    return f"and {hidden:,} older" + (f"; the stored one is number {behind + 1:,}" if behind >= listed else "")


def days_affected(finding: Finding, now: str) -> float | None:
    """How long the user has had the wrong result at `now`; None where that is not known."""
    return days_between(finding.affected_since, now)


class Comparison(NamedTuple):
    """Recorded and latest version, cut where they begin to differ."""

    prefix: str
    """What stands before the hash in the record: blanks, `owner/name:`."""
    common_recorded: str
    rest_recorded: str
    common_latest: str
    rest_latest: str
    sentence: str


def comparison(recorded: str | None, latest: str | None) -> Comparison | None:
    """How the two differ, case aside; None where one of them is not there."""
    if not recorded or not recorded.strip() or not latest:
        return None
    bare = recorded.rstrip()
    start = max(bare.rfind(":") + 1, len(bare) - len(bare.lstrip()))
    hash_text = recorded[start:]
    length = _common(hash_text.lower(), latest.lower())
    if length == len(hash_text.strip()) == len(latest):
        sentence = "They are equal."
    elif length and length == len(hash_text.strip()):
        sentence = f"What is recorded is only the first {counted(length, 'digit')} of the latest."
    elif recorded_hash(recorded) is None:
        sentence = "The stored version is not a version hash."
    elif length < _NOTABLE:
        sentence = "Two different versions."
    else:
        sentence = f"They differ from digit {length + 1} on."
    return Comparison(
        recorded[:start], hash_text[:length], hash_text[length:], latest[:length], latest[length:], sentence
    )


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    both = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in both if a != b), min(len(one), len(other)))
